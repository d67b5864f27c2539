"""Does one scale explain where all edges of a specimen stand? Then its axis is off by its gain.

Chemistry moves an edge by an electronvolt or two, each edge its own way; a spectrometer whose
dispersion is off moves all of them along one straight line.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from corefuse.core.edge_table import EdgeTable
from corefuse.core.spectrum import Spectrum, SpectrumError
from corefuse.read import background
from corefuse.spectra.features import feature_energy

LEAST_EDGES = 3  # two always lie on a line
ERROR_EV = 5.0  # of stretch from the first to the last edge: more than references and chemistry do
HINT_EV = 2.0  # the same for shifts fitted to simulated spectra, which chemistry moves less
STRAIGHT = 0.25  # of the stretch: what the edges may be off their line (rms)
LOOK_EV = 30.0  # how far off an edge is looked for
BACKGROUND_EV = 30.0  # length of a power law below that


@dataclass(frozen=True)
class Line:
    """True energy = ``scale`` * energy + ``offset_ev``.

    ``stretch_ev`` is what the scale alone moves the edges apart, ``residual_ev`` their rms distance
    from the line.
    """

    scale: float
    offset_ev: float
    stretch_ev: float
    residual_ev: float

    def is_gain(self, least_ev: float) -> bool:
        """Whether the edges are stretched by at least that, and all of them by one scale."""
        return self.stretch_ev > least_ev and self.residual_ev < STRAIGHT * self.stretch_ev

    def __str__(self) -> str:
        return f"energy_scale: {self.scale:.4f}, energy_offset_ev: {self.offset_ev:.2f}"


def line(found_ev: np.ndarray, true_ev: np.ndarray) -> Line | None:
    """The straight line from found to true energies (n,) in eV; None for fewer than three edges."""
    if len(found_ev) < LEAST_EDGES:
        return None
    scale, offset_ev = np.polyfit(found_ev, true_ev, 1)
    off_ev = true_ev - (scale * found_ev + offset_ev)
    stretch_ev = abs(scale - 1) * np.ptp(found_ev)
    return Line(
        float(scale), float(offset_ev), float(stretch_ev), float(np.sqrt(np.mean(off_ev**2)))
    )


def check(spectra: Mapping[str, Spectrum], edge_table: EdgeTable, raw: Collection[str]) -> None:
    """Refuse edges (name -> spectrum, as read) that share an axis which is off by its gain.

    Those named in ``raw`` have their EELS background in them. Nothing is said where one of the
    edges is not found, or of fewer than three.

    Raises
    ------
    SpectrumError
        One scale explains the positions of all edges; it is named.
    """
    places = [position_ev(s, edge, edge_table, edge in raw) for edge, s in spectra.items()]
    if None in places:
        return
    true_ev = np.array([edge_table[edge].reference.energy_ev for edge in spectra])
    found = line(np.array(places), true_ev)
    if found and found.is_gain(ERROR_EV):
        off = zip(spectra, true_ev - places, strict=True)
        told = ", ".join(f"{edge} {off_ev:+.0f} eV" for edge, off_ev in off)
        raise SpectrumError(
            f"its edges are off along one line ({told}): the axis is off by its gain",
            f"set {found} for each of its files",
        )


def position_ev(spectrum: Spectrum, edge: str, edge_table: EdgeTable, raw: bool) -> float | None:
    """Energy (eV) of the feature that calibrates an edge, within 30 eV of its reference.

    None where the file ends in there, or has no maximum in between.
    """
    reference = edge_table[edge].reference
    low, high = reference.energy_ev - LOOK_EV, reference.energy_ev + LOOK_EV
    energy_ev, intensity = spectrum.energy_ev, spectrum.intensity
    inside = (energy_ev >= low) & (energy_ev <= high)
    if energy_ev[0] > low or energy_ev[-1] < high or not np.ptp(intensity[inside]) > 0:
        return None
    try:
        method = background.power_law if raw else background.mean
        below = (low - BACKGROUND_EV, low) if raw else (low, low + 5.0)
        flat = (intensity - method(energy_ev, intensity, below).values)[inside]
    except SpectrumError:
        return None
    at_border = np.argmax(flat) in (0, flat.size - 1)
    return None if at_border else feature_energy(energy_ev[inside], flat, reference.feature)
