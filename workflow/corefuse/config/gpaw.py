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
    ] = Field(300.0, description="plane-wave cutoff")
    kpoint_spacing_per_angstrom: Annotated[
        float, Between(0.05, 5, "from a million k points in a small cell to one")
    ] = Field(0.7, description="largest distance of k points (2 pi included), shifted mesh")
    smearing_ev: Annotated[float, Between(1e-4, 2, "1 eV is 11,600 K")] = Field(
        0.1, description="Fermi-Dirac width"
    )
    hubbard_u_ev: dict[
        Literal[WITH_U],  # type: ignore[valid-type]
        Annotated[float, Between(0, 20, "the bare interaction of 3d electrons")],
    ] = Field(
        {metal: ELEMENTS[metal].hubbard_u_ev for metal in METALS},
        description="U on the 3d shell (Materials Project); an element left out has that of the "
        "table of elements",
    )
    spectrum_max_ev: Annotated[
        float, Between(30, 300, "bands up to there are solved for all at once")
    ] = Field(35.0, description="highest final state above E_F")
    density_tolerance: Annotated[
        float, Between(1e-10, 0.1, "an SCF of one in ten electrons is none")
    ] = Field(1e-3, description="SCF: electrons per valence electron")
    max_scf_steps: Steps = Field(120, description="SCF steps of one attempt")
    memory_mb: MemoryMb | None = Field(
        None, description="memory of a job; null: what its plane waves need"
    )
