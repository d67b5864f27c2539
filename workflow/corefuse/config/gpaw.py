"""Section ``simulation.gpaw``."""

from __future__ import annotations

from pydantic import Field

from corefuse.core.elements import ELEMENTS
from corefuse.core.section import Section
from corefuse.core.vocabulary import Metal


class Gpaw(Section):
    """GPAW: plane waves, spin-polarised PBE+U, initial-state core orbitals on all atoms."""

    plane_wave_cutoff_ev: float = Field(300.0, ge=200, description="plane-wave cutoff")
    kpoint_spacing_per_angstrom: float = Field(
        0.7, gt=0, description="largest distance of k points (2 pi included), shifted mesh"
    )
    smearing_ev: float = Field(0.1, gt=0, description="Fermi-Dirac width")
    hubbard_u_ev: dict[Metal, float] = Field(
        {s: e.hubbard_u_ev for s, e in ELEMENTS.items() if e.hubbard_u_ev},
        description="U on the 3d shell (Materials Project)",
    )
    spectrum_max_ev: float = Field(35.0, ge=30, description="highest final state above E_F")
    density_tolerance: float = Field(1e-3, gt=0, description="SCF: electrons per valence electron")
    memory_mb: int | None = Field(
        None, ge=500, description="memory of a job; null: what its plane waves need"
    )
    max_scf_steps: int = Field(120, ge=1, description="SCF steps of one attempt")
