"""Section ``simulation.multiplet``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from corefuse.core.bounds import Between, MemoryMb
from corefuse.core.section import Section
from corefuse.core.vocabulary import IonName, IonParameter


class Multiplet(Section):
    """Multiplets: exact diagonalisation of 2p-3d with ligand field and one ligand shell."""

    charge_transfer: bool = Field(
        True, description="whether one ligand shell is included; false: crystal field only"
    )
    ligand_holes: dict[IonName, Annotated[int, Field(ge=1, le=10)]] = Field(
        {"Mn2+": 1, "Mn3+": 1, "Mn4+": 1, "Co4+": 2},
        description="largest number of ligand holes per ion; ions that are not named keep all "
        "of them",
    )
    bond_cutoff_angstrom: Annotated[
        float, Between(1.6, 4, "the second shell begins at 3 to 4 A")
    ] = Field(2.7, description="distance below which an oxygen atom counts as bonded")
    temperature_k: Annotated[float, Between(0.1, 10_000, "oxides melt long before")] = Field(
        300.0, description="temperature of the Boltzmann average over initial states"
    )
    memory_mb: MemoryMb | None = Field(None, description="memory of a job; null: 2000")
    lanczos_steps: Annotated[int, Between(20, 10_000, "more steps than states change nothing")] = (
        Field(200, description="number of Lanczos steps, the length of the continued fraction")
    )
    ions: dict[
        IonName,
        dict[IonParameter, Annotated[float, Between(-1000, 10_000, "eV, angstrom, scales")]],
    ] = Field({}, description="parameters per ion that replace those of resources/multiplet.yaml")
