"""Section ``simulation.multiplet``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from corefuse.core.section import Section
from corefuse.core.vocabulary import IonName, IonParameter


class Multiplet(Section):
    """Multiplets: exact diagonalisation of 2p-3d with ligand field and one ligand shell."""

    charge_transfer: bool = Field(True, description="keep one ligand shell; false: crystal field")
    ligand_holes: dict[IonName, Annotated[int, Field(ge=1, le=10)]] = Field(
        {"Mn2+": 1, "Mn3+": 1, "Mn4+": 1, "Co4+": 2},
        description="ligand holes kept at most; all of them where an ion is not named",
    )
    bond_cutoff_angstrom: float = Field(2.7, gt=1.5, description="oxygen nearer than this is bound")
    temperature_k: float = Field(300.0, gt=0, description="of the Boltzmann average")
    lanczos_steps: int = Field(200, ge=20, description="length of the continued fraction")
    memory_mb: int | None = Field(None, ge=500, description="memory of a job; null: 2000")
    ions: dict[IonName, dict[IonParameter, float]] = Field(
        {}, description="ion: its numbers that replace those of resources/multiplet.yaml"
    )
