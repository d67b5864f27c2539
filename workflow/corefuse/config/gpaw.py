"""Section ``simulation.gpaw``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from corefuse.core.bounds import Between, MemoryMb, Steps
from corefuse.core.elements import ELEMENTS
from corefuse.core.section import Section
from corefuse.core.vocabulary import METALS

WITH_U = tuple(symbol for symbol, e in ELEMENTS.items() if e.hubbard_u_ev)


class Gpaw(Section):
    """GPAW: plane waves, spin-polarised PBE+U, initial-state core orbitals on all atoms."""

    plane_wave_cutoff_ev: Annotated[
        float, Between(200, 2000, "less is wrong for O 2p, more changes nothing")
    ] = Field(300.0, description="plane-wave cutoff energy")
    kpoint_spacing_per_angstrom: Annotated[
        float, Between(0.05, 5, "from a million k points in a small cell to one")
    ] = Field(
        0.7, description="largest distance between k points of the shifted mesh, 2 pi included"
    )
    smearing_ev: Annotated[float, Between(1e-4, 2, "1 eV is 11,600 K")] = Field(
        0.1, description="width of the Fermi-Dirac occupation"
    )
    hubbard_u_ev: dict[
        Literal[WITH_U],  # type: ignore[valid-type]
        Annotated[float, Between(0, 20, "the bare interaction of 3d electrons")],
    ] = Field(
        {metal: ELEMENTS[metal].hubbard_u_ev for metal in METALS},
        description="Hubbard U on the 3d shell; defaults of the Materials Project. An element "
        "that is left out has the value of the table of elements",
    )
    spectrum_max_ev: Annotated[
        float, Between(30, 300, "bands up to there are solved for all at once")
    ] = Field(35.0, description="energy of the highest final state above the Fermi level")
    density_tolerance: Annotated[
        float, Between(1e-10, 0.1, "an SCF of one in ten electrons is none")
    ] = Field(
        1e-3, description="convergence threshold of the density, in electrons per valence electron"
    )
    max_scf_steps: Steps = Field(120, description="largest number of SCF steps per attempt")
    memory_mb: MemoryMb | None = Field(
        None, description="memory of a job; null: estimated from the number of plane waves"
    )
