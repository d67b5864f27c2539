"""Section ``simulation.feff``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from corefuse.config.command import Command, command_of
from corefuse.core.section import Section


class Elnes(Section):
    """FEFF's ELNES card: EELS, averaged over orientations."""

    beam_energy_kev: float = Field(300.0, gt=0, description="of the electrons")
    collection_mrad: float = Field(10.0, gt=0, description="semi-angle of collection")
    convergence_mrad: float = Field(10.0, ge=0, description="semi-angle of convergence")


class Feff(Section):
    """FEFF 9 or 10 of your own: real-space multiple scattering around one absorber."""

    command: Annotated[Command, command_of("feff")] = Field(
        Command(run=["feff"]), description="the script `feff`, or the list of FEFF's modules"
    )
    time_limit_hours: float = Field(24.0, gt=0, description="of one level at one site")
    memory_mb: int | None = Field(
        None, ge=500, description="memory of a job; null: what its cluster of atoms needs"
    )
    cluster_radius_angstrom: float = Field(6.0, gt=0, description="atoms written to `ATOMS`")
    scf_radius_angstrom: float | None = Field(
        4.0, gt=0, description="`SCF`; null: free-atom potentials, wrong for O K"
    )
    scf_max_steps: int = Field(100, ge=1, description="`SCF`: iterations")
    scf_mixing: float = Field(0.2, gt=0, le=1, description="`SCF`: share of the new density")
    scf_first_mixing_steps: int = Field(
        3, ge=1, le=30, description="`SCF`: iterations before Broyden"
    )
    fms_radius_angstrom: float = Field(5.5, gt=0, description="`FMS`: full multiple scattering")
    angular_momentum_max: int = Field(2, ge=1, le=4, description="l in `SCF` and `FMS`")
    core_hole: Literal["FSR", "RPA", "None"] = Field(
        "FSR", description="`COREHOLE`: final-state rule, screened by RPA, or none"
    )
    exchange: Literal[0, 1, 2, 3, 5] = Field(
        0, description="`EXCHANGE`: 0 Hedin-Lundqvist, 1 Dirac-Hara, 2 ground state, 3, 5"
    )
    k_max_per_angstrom: float = Field(4.0, ge=3, description="`XANES`: last wave number")
    k_step_per_angstrom: float = Field(0.07, gt=0, description="`XANES`: step above the edge")
    near_edge_step_ev: float = Field(0.1, gt=0, description="`XANES`: step at the edge")
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
