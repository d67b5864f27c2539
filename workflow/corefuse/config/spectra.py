"""Section ``spectra``: from unbroadened site spectra to normalised edges."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from corefuse.core.bounds import Between, WidthEv
from corefuse.core.edges import EDGES, TECHNIQUES, modality_id
from corefuse.core.section import Section, Unique
from corefuse.core.vocabulary import EdgeName, Technique


class TechniqueSettings(Section):
    """One way to measure: its instrument width and the edges taken with it."""

    gaussian_fwhm_ev: Annotated[float, Between(0.001, 100, "a broader edge has no shape")] = Field(
        description="instrument width, full width at half maximum"
    )
    edges: Annotated[list[EdgeName], Unique] = Field(
        min_length=1, description="edges simulated for this technique"
    )


class Spectra(Section):
    """From unbroadened site spectra to calibrated, normalised edges."""

    techniques: dict[Technique, TechniqueSettings] = Field(
        min_length=1, description="instrument width and edges per technique"
    )
    final_state_lorentzian_fwhm_per_ev: Annotated[
        float, Between(0, 5, "a width that grows faster leaves no continuum")
    ] = Field(0.1, description="increase of the lifetime width (FWHM) per eV above the edge")
    l2_extra_lorentzian_fwhm_ev: WidthEv = Field(
        0.4, description="Coster-Kronig width (FWHM) of L2, added to the tabulated core-hole width"
    )

    def modalities(self) -> list[str]:
        """Ids such as ``O_K-XAS``, in the order of ``TECHNIQUES`` and ``EDGES``."""
        taken = [(t, self.techniques[t].edges) for t in TECHNIQUES if t in self.techniques]
        return [modality_id(e, t) for t, edges in taken for e in EDGES if e in edges]
