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

    beam_energy_kev: BeamKv = Field(300.0, description="of the electrons")
    collection_mrad: Annotated[float, Between(0.01, 1000, MRAD)] = Field(
        10.0, description="semi-angle of collection"
    )
    convergence_mrad: Annotated[float, Between(0, 1000, MRAD)] = Field(
        10.0, description="semi-angle of convergence"
    )


class Feff(Section):
    """FEFF 9 or 10 of your own: real-space multiple scattering around one absorber."""

    command: Annotated[Command, command_of("feff")] = Field(
        Command(run=["feff"]), description="the script `feff`, or the list of FEFF's modules"
    )
    time_limit_hours: Hours = Field(24.0, description="of one level at one site")
    memory_mb: MemoryMb | None = Field(
        None, description="memory of a job; null: what its cluster of atoms needs"
    )
    cluster_radius_angstrom: Radius = Field(6.0, description="atoms written to `ATOMS`")
    scf_radius_angstrom: Radius | None = Field(
        4.0, description="`SCF`; null: free-atom potentials, wrong for O K"
    )
    scf_max_steps: Steps = Field(100, description="`SCF`: iterations")
    scf_mixing: float = Field(0.2, gt=0, le=1, description="`SCF`: share of the new density")
    scf_first_mixing_steps: int = Field(
        3, ge=1, le=30, description="`SCF`: iterations before Broyden"
    )
    fms_radius_angstrom: Radius = Field(5.5, description="`FMS`: full multiple scattering")
    angular_momentum_max: int = Field(2, ge=1, le=4, description="l in `SCF` and `FMS`")
    core_hole: Literal["FSR", "RPA", "None"] = Field(
        "FSR", description="`COREHOLE`: final-state rule, screened by RPA, or none"
    )
    exchange: Literal[0, 1, 2, 3, 5] = Field(
        0, description="`EXCHANGE`: 0 Hedin-Lundqvist, 1 Dirac-Hara, 2 ground state, 3, 5"
    )
    k_max_per_angstrom: Annotated[float, Between(3, 30, "3400 eV above the edge")] = Field(
        4.0, description="`XANES`: last wave number"
    )
    k_step_per_angstrom: Annotated[
        float, Between(0.001, 1, "FEFF has room for some 1000 points")
    ] = Field(0.07, description="`XANES`: step above the edge")
    near_edge_step_ev: Annotated[float, Between(0.001, 10, "the core hole is wider")] = Field(
        0.1, description="`XANES`: step at the edge"
    )
    elnes: Elnes | None = Field(
        None, description="`ELNES` in place of `XANES`: all of its spectra are EELS"
    )

    @model_validator(mode="after")
    def _cluster_holds_the_rest(self) -> Feff:
        largest = max(self.fms_radius_angstrom, self.scf_radius_angstrom or 0.0)
        if self.cluster_radius_angstrom < largest:
            raise ValueError(
                f"{self.cluster_radius_angstrom:g} A hold no FMS or SCF of {largest:g} A"
                "|make it as large|cluster_radius_angstrom"
            )
        return self
