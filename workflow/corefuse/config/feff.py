"""Section ``simulation.feff``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from corefuse.config.command import Command, command_of
from corefuse.core.bounds import BeamKv, Between, Hours, MemoryMb, Radius, Steps
from corefuse.core.section import Section

MRAD = "no lens of a microscope is as wide"


class Elnes(Section):
    """FEFF's ELNES card: EELS, averaged over orientations."""

    beam_energy_kev: BeamKv = Field(300.0, description="energy of the electron beam")
    collection_mrad: Annotated[float, Between(0.01, 1000, MRAD)] = Field(
        10.0, description="collection semi-angle"
    )
    convergence_mrad: Annotated[float, Between(0, 1000, MRAD)] = Field(
        10.0, description="convergence semi-angle"
    )


class Feff(Section):
    """FEFF 9 or 10 (not included): real-space multiple scattering around one absorber."""

    command: Annotated[Command, command_of("feff")] = Field(
        Command(run=["feff"]),
        description="command that starts FEFF: the script `feff`, or the list of its modules",
    )
    time_limit_hours: Hours = Field(
        24.0,
        description="time after which a run (one level at one site) is ended and counts as failed",
    )
    memory_mb: MemoryMb | None = Field(
        None, description="memory of a job; null: estimated from the number of atoms in the cluster"
    )
    cluster_radius_angstrom: Radius = Field(
        6.0, description="radius of the cluster written to `ATOMS`"
    )
    scf_radius_angstrom: Radius | None = Field(
        4.0,
        description="`SCF`: radius of the self-consistent cluster; null: free-atom "
        "potentials, which are wrong for O K",
    )
    scf_max_steps: Steps = Field(100, description="`SCF`: largest number of iterations")
    scf_mixing: float = Field(0.2, gt=0, le=1, description="`SCF`: fraction of the new density")
    scf_first_mixing_steps: int = Field(
        3, ge=1, le=30, description="`SCF`: number of iterations before Broyden mixing"
    )
    fms_radius_angstrom: Radius = Field(
        5.5, description="`FMS`: radius of full multiple scattering"
    )
    angular_momentum_max: int = Field(
        2, ge=1, le=4, description="largest angular momentum in `SCF` and `FMS`"
    )
    core_hole: Literal["FSR", "RPA", "None"] = Field(
        "FSR", description="`COREHOLE`: final-state rule, RPA screening, or no core hole"
    )
    exchange: Literal[0, 1, 2, 3, 5] = Field(
        0,
        description="`EXCHANGE`: 0 Hedin-Lundqvist, 1 Dirac-Hara, 2 ground state, 3 "
        "Dirac-Hara with the imaginary part of Hedin-Lundqvist, 5 partially "
        "nonlocal",
    )
    k_max_per_angstrom: Annotated[float, Between(3, 30, "3400 eV above the edge")] = Field(
        4.0, description="`XANES`: largest wave number"
    )
    k_step_per_angstrom: Annotated[
        float, Between(0.001, 1, "FEFF has room for some 1000 points")
    ] = Field(0.07, description="`XANES`: step of the wave number above the edge")
    near_edge_step_ev: Annotated[float, Between(0.001, 10, "the core hole is wider")] = Field(
        0.1, description="`XANES`: energy step at the edge"
    )
    elnes: Elnes | None = Field(
        None,
        description="`ELNES` card in place of `XANES`; all spectra of this engine are then EELS",
    )

    @model_validator(mode="after")
    def _cluster_holds_the_rest(self) -> Feff:
        largest = max(self.fms_radius_angstrom, self.scf_radius_angstrom or 0.0)
        if self.cluster_radius_angstrom < largest:
            raise ValueError(
                f"a cluster of {self.cluster_radius_angstrom:g} A is smaller than the FMS or SCF "
                f"radius of {largest:g} A|use at least {largest:g}|cluster_radius_angstrom"
            )
        return self
