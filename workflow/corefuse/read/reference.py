"""A foil or standard measured with a spectrum: where its edge stands, and what that tells."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xraydb
from numpy.typing import NDArray

from corefuse.config import EnergyReference, MeasuredSpectrum
from corefuse.core.spectrum import Spectrum, SpectrumError, blurred
from corefuse.read import files, measured

LOOK_EV = 50.0  # on either side of where the edge should be
SMOOTH_FWHM_EV = 1.5  # less than a monochromator's resolution at a metal's K edge
FIRST = 0.5  # of the steepest rise: the first that is as steep begins the edge
STEP_EV = 0.05
EDGE_HEIGHT = 0.15  # of what lies below and above: a rise of less is no edge


@dataclass(frozen=True)
class Offset:
    """``offset_ev`` brings a reference to its known energy, which is good to ``std_ev``."""

    offset_ev: float
    std_ev: float
    note: str


def offset(spectrum: MeasuredSpectrum, channel: Spectrum | None) -> Offset:
    """What the reference of a spectrum says about its energy axis, as corrected otherwise.

    ``channel`` is the reference channel of its own file, if there is one.

    Raises
    ------
    SpectrumError
        The reference cannot be read or has no edge near its known energy.
    """
    known = spectrum.reference
    true_ev = tabulated_ev(known)
    try:
        found = _of_file(spectrum, known) if known.file else channel
        if found is None:
            fix = "name it with reference_column, or give the file of the foil"
            raise SpectrumError("no reference channel is found in it", fix)
        found_ev = inflection(found.energy_ev, found.intensity, true_ev, first=bool(known.foil))
    except SpectrumError as fault:
        where = known.file or spectrum.file
        raise SpectrumError(f"reference {where}: {fault.problem}", fault.fix) from None
    what = f"first inflection of the {known.foil} foil" if known.foil else "E0 of the standard"
    note = (
        f"axis moved by {true_ev - found_ev:+.2f} eV: {what} at {found_ev:.2f} eV, "
        f"known {true_ev:g} eV"
    )
    return Offset(true_ev - found_ev, known.uncertainty_ev, note)


def _of_file(spectrum: MeasuredSpectrum, known: EnergyReference) -> Spectrum:
    """A reference in a file of its own, on the axis of the same monochromator."""
    recorded = files.read(Path(known.file), files.Wanted(column=known.column))
    unit = spectrum.energy_unit or recorded.unit or "eV"
    scale, offset_ev, _ = measured.axis(spectrum)
    energy_ev = scale * recorded.energy * files.EV_PER_UNIT[unit] + offset_ev
    there = np.isfinite(recorded.mean())
    return Spectrum(energy_ev[there], recorded.mean()[there])


def tabulated_ev(known: EnergyReference) -> float:
    """Known energy of a reference: E0 as given, or what is tabulated for a metal foil.

    That is the K edge of W. T. Elam, B. D. Ravel and J. R. Sieber, Radiat. Phys. Chem. 63,
    121 (2002), as xraydb gives it (Ni: 8333 eV), which beamlines set to the first inflection point.

    Raises
    ------
    SpectrumError
        There is no such element.
    """
    if known.energy_ev is not None:
        return known.energy_ev
    edge = xraydb.xray_edge(known.foil, "K") if known.foil in _elements() else None
    if edge is None:
        raise SpectrumError(f"no element is called {known.foil!r}", "give foil: Ni, or energy_ev")
    return float(edge.energy)


def inflection(
    energy_ev: NDArray[np.floating],
    intensity: NDArray[np.floating],
    expected_ev: float,
    first: bool,
) -> float:
    """Energy of an inflection point of an edge's rise, within 50 eV of ``expected_ev``.

    The steepest point, as E0 of Athena and larch; with ``first`` the first maximum of the slope
    that reaches half of the steepest, the convention of metal foils. On an even axis after a
    Gaussian of 1.5 eV FWHM, between the points by a parabola.

    Raises
    ------
    SpectrumError
        No edge rises there.
    """
    near = (energy_ev > expected_ev - LOOK_EV) & (energy_ev < expected_ev + LOOK_EV)
    near &= np.isfinite(intensity)
    if near.sum() < 20:
        raise SpectrumError(
            f"only {near.sum()} points within {LOOK_EV:g} eV of {expected_ev:g} eV",
            "give a reference measured over its edge",
        )
    even = np.arange(energy_ev[near][0], energy_ev[near][-1], STEP_EV)
    smooth = blurred(np.interp(even, energy_ev[near], intensity[near]), STEP_EV, SMOOTH_FWHM_EV)
    margin = round(2 * SMOOTH_FWHM_EV / STEP_EV)
    slope = np.gradient(smooth, even)[margin:-margin]
    rise = np.ptp(smooth)
    scatter = np.std(np.diff(intensity[near]))
    top = int(np.argmax(slope))
    tops = np.flatnonzero((slope[1:-1] >= slope[:-2]) & (slope[1:-1] > slope[2:])) + 1
    tops = tops[slope[tops] >= FIRST * slope[top]]
    if not tops.size or slope[top] * 5 < EDGE_HEIGHT * rise or rise < 5 * scatter:
        raise SpectrumError(
            f"no edge rises within {LOOK_EV:g} eV of {expected_ev:g} eV",
            "give the channel of the foil as an absorption, ln(I1/I2)",
        )
    at = int(tops[0]) if first else int(tops[np.argmax(slope[tops])])
    a, b, c = slope[at - 1 : at + 2]
    return float(even[margin + at] + STEP_EV * 0.5 * (a - c) / (a - 2 * b + c))


def _elements() -> frozenset[str]:
    return frozenset(xraydb.atomic_symbol(z) for z in range(1, 99))
