"""Whether a measured spectrum is one of the edge it is said to be, and was measured soundly."""

from __future__ import annotations

import numpy as np

from corefuse.config import MeasuredSpectrum
from corefuse.core.edge_table import EdgeEntry, EdgeTable
from corefuse.core.spectrum import Spectrum, SpectrumError
from corefuse.read import background, diagnosis
from corefuse.read.files import EV_PER_UNIT
from corefuse.read.treatment import PRE_EDGE_EV, below_window, in_window

MIN_POINTS = 20  # inside the normalisation window
NEAR_EV = 15.0  # a maximum farther from its edge than this belongs to another one
LOOK_BELOW_EV = 100.0  # how far below its edge a file may hold another one
CUT_OFF_EV = 2.0  # a maximum nearer to the end of what is looked at may go on rising
FAINT = 0.1  # of the highest maximum above it: less is no edge
CLIPPED_POINTS = 4  # equal and highest, side by side: a full detector
NEGATIVE_SHARE, NEGATIVE_DEPTH = 0.2, 0.05  # of the window's points, of its maximum
LARGEST_STEP = 2.5  # of ln(I0/It): of what comes before the edge a twelfth comes through above it
LARGEST_LOGARITHM = 4.0  # of ln(I0/It): one in fifty, of which dark counts and harmonics are a part
HOLE_EV, HOLE_STEPS = 1.5, 4.0  # a gap in the window that is no coarse step
CLIPPED_SHARE = 0.03  # of the points around an edge that are exactly zero


def covers_edge(
    energy: np.ndarray,
    measured: MeasuredSpectrum,
    entry: EdgeEntry,
    unit: str,
    axis: tuple[float, float],
    max_shift_ev: float,
) -> None:
    """Whether the energies (n,) of a file reach over its edge, on the ``axis`` scale and offset.

    Raises
    ------
    SpectrumError
        They do not, or with too few points; another unit is named where they do in that one.
    """
    low, high = entry.window_ev
    energy_ev = absolute_ev(energy, *axis, unit)
    if measured.crop_ev:
        energy_ev = energy_ev[
            (energy_ev >= measured.crop_ev[0]) & (energy_ev <= measured.crop_ev[1])
        ]
    if (
        not energy_ev.size
        or np.ptp(energy_ev) < high - low
        or energy_ev[0] > low + max_shift_ev
        or energy_ev[-1] < high - max_shift_ev
    ):
        for other_unit in EV_PER_UNIT:
            other = absolute_ev(energy, *axis, other_unit)
            enough = ((other >= low) & (other <= high)).sum() >= MIN_POINTS
            if other_unit != unit and enough:
                raise SpectrumError(
                    f"energies {energy[0]:g} to {energy[-1]:g} look like {other_unit}, "
                    f"but energy_unit is {unit}",
                    f"set energy_unit: {other_unit}",
                )
        reach = f"{energy_ev[0]:.1f} to {energy_ev[-1]:.1f} eV" if energy_ev.size else "nowhere"
        raise SpectrumError(
            f"it reaches from {reach}, but {measured.edge} needs {low:g} to {high:g} eV",
            "name the edge the file holds, give a file that covers it, "
            "or correct the axis with energy_scale and energy_offset_ev",
        )
    points = int(((energy_ev >= low) & (energy_ev <= high)).sum())
    if points < MIN_POINTS:
        raise SpectrumError(
            f"only {points} points from {low:g} to {high:g} eV",
            f"give a file with at least {MIN_POINTS} points there",
        )


def not_clipped(spectrum: Spectrum, entry: EdgeEntry) -> None:
    """Equal highest points side by side that fall off at both ends are a detector that was full."""
    inside = spectrum.intensity[in_window(spectrum.energy_ev, entry)]
    steps = np.flatnonzero(np.diff(np.concatenate([[0], inside == inside.max(), [0]])))
    runs = [(start, end) for start, end in steps.reshape(-1, 2) if start and end < inside.size]
    longest = max((end - start for start, end in runs), default=0)
    if longest >= CLIPPED_POINTS:
        raise SpectrumError(
            f"{longest} points side by side stand at {inside.max():g}: the detector was full",
            "measure with fewer counts, or give a spectrum that is not clipped",
        )


def is_something(spectrum: Spectrum) -> None:
    """Refuse a spectrum without any structure."""
    if not np.ptp(spectrum.intensity) > 0:
        raise SpectrumError(
            "all its intensities are equal, the area is not positive",
            "give absorption or energy loss that rises at the edge",
        )


def not_negative(spectrum: Spectrum, entry: EdgeEntry) -> None:
    """Refuse an edge of which a good part lies below its background."""
    low, high = entry.window_ev
    flat = (
        spectrum.intensity
        - background.mean(spectrum.energy_ev, spectrum.intensity, below_window(entry)).values
    )
    inside = flat[(spectrum.energy_ev >= low) & (spectrum.energy_ev <= high)]
    share = float((inside < -NEGATIVE_DEPTH * inside.max()).mean())
    if share > NEGATIVE_SHARE:
        raise SpectrumError(
            f"{share:.0%} of the points from {low:g} to {high:g} eV are below the background",
            "move background_window_ev, or use another background",
        )


def is_edge(spectrum: Spectrum, edge: str, edge_table: EdgeTable) -> None:
    """Whether the first edge in a background-free file is the one it is said to be.

    The highest maximum up to the end of the edge's window, or where that is faint or still rises,
    of 100 eV more, has to stand within 15 eV of the edge's reference, or else the half height
    below it: an edge without a white line has its maximum anywhere.

    Raises
    ------
    SpectrumError
        It does not; the edge that stands there is named.
    """
    entry = edge_table[edge]
    energy_ev = spectrum.energy_ev
    expected_ev = entry.reference.energy_ev
    low, high = expected_ev - LOOK_BELOW_EV, max(entry.window_ev[1], expected_ev + NEAR_EV)
    near = (energy_ev >= low) & (energy_ev <= high)
    around = (energy_ev >= low) & (energy_ev <= high + LOOK_BELOW_EV)
    first_ev = max(low, float(energy_ev[0]))
    below = first_ev, min(first_ev + PRE_EDGE_EV, entry.window_ev[0])
    flat = spectrum.intensity - background.mean(energy_ev, spectrum.intensity, below).values
    top_ev, top = _highest(energy_ev[near], flat[near])
    cut_off = energy_ev[near][-1] - top_ev < CUT_OFF_EV
    if cut_off or top < FAINT * flat[around].max():
        near = around
        top_ev, top = _highest(energy_ev[near], flat[near])
    rise_ev = float(energy_ev[near][np.argmax(flat[near] >= top / 2)])
    if min(abs(top_ev - expected_ev), abs(rise_ev - expected_ev)) <= NEAR_EV:
        diagnosis.check_stands_out(spectrum, edge, edge_table)
        return
    if top_ev - energy_ev[near][0] < CUT_OFF_EV:
        raise SpectrumError(
            f"it falls from {top_ev:.1f} eV on: its background is still in it",
            "set background: power_law (EELS) or line (XAS)",
        )
    found_ev = top_ev
    nearest = min(edge_table, key=lambda e: abs(edge_table[e].reference.energy_ev - found_ev))
    away_ev = found_ev - edge_table[nearest].reference.energy_ev
    if nearest == edge:
        raise SpectrumError(
            f"its maximum is at {found_ev:.1f} eV, {away_ev:+.0f} eV from {edge}",
            "the axis is off: give reference_peaks, or energy_scale and energy_offset_ev",
        )
    raise diagnosis.OtherEdgeError(
        f"its maximum is at {found_ev:.1f} eV, {found_ev - expected_ev:+.0f} eV from {edge}: "
        f"this looks like {nearest}",
        f"name it {nearest}; if it holds both edges, cut {edge} out with crop_ev",
    )


def _highest(energy_ev: np.ndarray, intensity: np.ndarray) -> tuple[float, float]:
    top = int(np.argmax(intensity))
    return float(energy_ev[top]), float(intensity[top])


def absolute_ev(energy: np.ndarray, scale: float, offset_ev: float, unit: str) -> np.ndarray:
    """Energies of a file on the corrected axis, in eV."""
    return scale * energy * EV_PER_UNIT[unit] + offset_ev


def at_the_limits(raw: Spectrum, step: float, quantity: str, entry: EdgeEntry) -> tuple[str, ...]:
    """Doubts about an absorption that is more than a detector can tell from its dark level.

    ``raw`` has its background, ``step`` is the edge's on the same scale; only of a logarithm of
    counts is that scale known.
    """
    if quantity != "absorption":
        return ()
    if step > LARGEST_STEP:
        return (
            f"edge step {step:.2g}: above the edge {np.exp(-step):.1g} of the beam is left; "
            "harmonics and dark counts lower the white line",
        )
    top = float(raw.intensity[in_window(raw.energy_ev, entry)].max(initial=-np.inf))
    if top > LARGEST_LOGARITHM:
        return (
            f"ln(I0/It) is {top:.2g}: {np.exp(-top):.1g} of the beam comes through, near the dark "
            "level",
        )
    return ()


def holes(energy_ev: np.ndarray, entry: EdgeEntry) -> tuple[str, ...]:
    """Doubts about gaps between the points (n,) of an edge's window."""
    inside = energy_ev[in_window(energy_ev, entry)]
    steps = np.diff(inside)
    if not steps.size:
        return ()
    widest = int(np.argmax(steps))
    if steps[widest] > max(HOLE_EV, HOLE_STEPS * float(np.median(steps))):
        return (f"no points from {inside[widest]:.1f} to {inside[widest + 1]:.1f} eV",)
    return ()


def counts_at_zero(raw: Spectrum, entry: EdgeEntry) -> tuple[str, ...]:
    """Doubts about energy-loss counts, background in them, that are cut off at zero."""
    low, high = entry.window_ev
    near = raw.intensity[(raw.energy_ev >= low - 2 * PRE_EDGE_EV) & (raw.energy_ev <= high)]
    share = float((near == 0).mean()) if near.size else 0.0
    if share > CLIPPED_SHARE:
        return (f"{share:.0%} of the counts around the edge are exactly 0: cut off there",)
    return ()
