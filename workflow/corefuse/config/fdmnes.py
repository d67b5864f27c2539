"""Section ``simulation.fdmnes``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from corefuse.config.command import Command, command_of
from corefuse.core.bounds import Between, Hours, MemoryMb, Radius
from corefuse.core.edges import EDGES
from corefuse.core.section import Section, Unique
from corefuse.core.vocabulary import EdgeName

FDMNES_RADIUS_ANGSTROM = {
    **dict.fromkeys(EDGES, 6.0),
    **{"O K": 6.0, "Li K": 6.0},
    **{"Mn L2,3": 5.75, "Co L2,3": 5.5, "Ni L2,3": 6.5},
    **{"Mn K": 5.75, "Co K": 5.5, "Ni K": 6.5},
}

MOST_POINTS = 100_000


class Fdmnes(Section):
    """FDMNES (not included): finite differences or multiple scattering around one absorber."""

    command: Annotated[Command, command_of("fdmnes")] = Field(
        Command(run=["fdmnes"]), description="command that starts FDMNES"
    )
    time_limit_hours: Hours = Field(
        48.0, description="time after which a run is ended and counts as failed"
    )
    memory_mb: MemoryMb | None = Field(
        None, description="memory of a job; null: estimated from the number of atoms in the cluster"
    )
    absorbers: Literal["site", "structure"] = Field(
        "site",
        description="`Absorber`: one run for each of `sites`; or `Z_absorber`: one run for "
        "all atoms of an element",
    )
    range_ev: list[Annotated[float, Between(-500, 5000, "XANES ends some 100 eV above E_F")]] = (
        Field(
            [-5.0, 0.2, 45.0],
            max_length=21,
            description="`Range` relative to the Fermi level: energy, step, energy, step, ..., "
            "energy",
        )
    )
    energpho: bool = Field(True, description="`Energpho`: photon energies in the files of FDMNES")
    quadrupole: bool = Field(
        True, description="`Quadrupole`: E1E2 and E2E2 transitions in addition to the dipole"
    )
    memory_save: bool = Field(True, description="`Memory_save`")
    relativism: bool = Field(True, description="`Relativism`")
    pbe: bool = Field(
        True, description="`PBE`; false: Hedin-Lundqvist, for releases without PBE (2021)"
    )
    scf: bool = Field(True, description="`SCF`, or `SCFexc` for edges with an excited absorber")
    excited: Annotated[list[Literal["K", "L2,3"]], Unique] = Field(
        ["K"], description="edges with `Excited`, a core hole in the absorber"
    )
    radius_angstrom: Annotated[
        dict[EdgeName, Radius],
        AfterValidator(lambda given: FDMNES_RADIUS_ANGSTROM | given),
    ] = Field(FDMNES_RADIUS_ANGSTROM, description="`Radius` of the cluster per edge")
    green: bool = Field(
        False, description="`Green`: multiple scattering; false: finite differences"
    )
    convolution: bool = Field(
        True, description="`Convolution`: also write the spectra that FDMNES has broadened itself"
    )

    @model_validator(mode="after")
    def _range_is_one(self) -> Fdmnes:
        points, steps = self.range_ev[::2], self.range_ev[1::2]
        if len(self.range_ev) % 2 == 0 or not steps or min(steps) <= 0 or sorted(points) != points:
            raise ValueError(
                "it must alternate energies and steps|use for instance [-5, 0.2, 45]|range_ev"
            )
        spans = zip(points, steps, points[1:], strict=False)
        if sum((high - low) / step for low, step, high in spans) > MOST_POINTS:
            raise ValueError(f"more than {MOST_POINTS} points|use larger steps|range_ev")
        if points[0] >= 0 or points[-1] < 30:
            raise ValueError(
                "it must begin below 0 and end at 30 eV or above"
                "|use for instance [-5, 0.2, 45]|range_ev"
            )
        return self
