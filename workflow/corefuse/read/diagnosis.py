"""Why a file does not hold its edge: the possible causes, tested against each other.

An axis that is off, another or an absent element, counts that fall instead of rising, and a
background that is still there all show the same symptom: no edge where it should be.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from corefuse.core.edge_table import EdgeTable
from corefuse.core.spectrum import Spectrum, SpectrumError
from corefuse.read import background

BELOW_EV, GAP_EV, ABOVE_EV = 20.0, 3.0, 6.0  # of a rise: what is continued, left out, averaged
LEAST_POINTS = 4  # on either side
NEAR_EV = 15.0  # chemistry and axes within reach of the fit
LOOK_EV = 50.0  # on either side, where else the edge may be
CLEAR = 5.0  # height over its uncertainty: less is noise, as forty places are looked at
CERTAIN = 10.0  # of an edge in another place
STRONGER = 3.0  # than anything where the edge should be
SAME_EV = 10.0  # an edge this near to another's reference may be that one


class OtherEdgeError(SpectrumError):
    """Another edge than the one that is named is in a file, which needs no explanation."""


@dataclass(frozen=True)
class Rise:
    """The clearest step of a spectrum in a range: where, how high, over its uncertainty."""

    energy_ev: float
    height: float
    clearness: float


NOTHING = Rise(np.nan, 0.0, 0.0)


def clearest_rise(
    energy_ev: np.ndarray, intensity: np.ndarray, low_ev: float, high_ev: float
) -> Rise | None:
    """The clearest rise between two energies; None where no place there has points enough.

    At each place a line through the 20 eV below is continued and compared with the mean of the
    6 eV above; its uncertainty comes from the scatter about the line.
    """
    found: Rise | None = None
    for at_ev in np.arange(low_ev, high_ev + 0.5, 1.0):
        below = (energy_ev > at_ev - BELOW_EV - GAP_EV) & (energy_ev < at_ev - GAP_EV)
        above = (energy_ev >= at_ev) & (energy_ev < at_ev + ABOVE_EV)
        if min(below.sum(), above.sum()) < LEAST_POINTS:
            continue
        x, y = energy_ev[below] - at_ev, intensity[below]
        slope, start = np.polyfit(x, y, 1)
        scatter = np.sqrt(np.sum((y - start - slope * x) ** 2) / max(x.size - 2, 1))
        middle = np.mean(energy_ev[above]) - at_ev
        spread = np.sum((x - x.mean()) ** 2)
        share = 1 / x.size + (middle - x.mean()) ** 2 / spread + 1 / above.sum()
        height = float(np.mean(intensity[above]) - start - slope * middle)
        error = scatter * np.sqrt(share) + 1e-9 * np.ptp(intensity)
        clearness = height / error if error else 0.0
        if found is None or clearness > found.clearness:
            found = Rise(float(at_ev), height, float(clearness))
    return found


def check_stands_out(spectrum: Spectrum, edge: str, edge_table: EdgeTable) -> None:
    """Whether a background-free edge rises out of the scatter below it.

    Raises
    ------
    SpectrumError
        It does not: the element is absent, or there are too few counts.
    """
    expected_ev = edge_table[edge].reference.energy_ev
    rise = _near(spectrum.energy_ev, spectrum.intensity, expected_ev)
    if rise is not None and rise.clearness < CLEAR:
        raise _absent(edge, rise)


def explained(
    raw: Spectrum, edge: str, edge_table: EdgeTable, is_loss: bool, fault: SpectrumError
) -> SpectrumError:
    """The fault of a spectrum that does not show its edge, or the better explanation of it.

    ``raw`` still has its background; that of energy losses (``is_loss``) is a power law, a straight
    line of logarithms.
    """
    expected_ev = edge_table[edge].reference.energy_ev
    energy_ev, intensity = raw.energy_ev, raw.intensity
    if is_loss and np.all(intensity > 0):
        intensity = np.log(intensity)
    here = _near(energy_ev, intensity, expected_ev)
    if here is None or not np.ptp(intensity) > 0:
        return fault
    fall = _near(energy_ev, -intensity, expected_ev) or NOTHING
    away_ev = NEAR_EV + 1.0
    below = clearest_rise(energy_ev, intensity, expected_ev - LOOK_EV, expected_ev - away_ev)
    above = clearest_rise(energy_ev, intensity, expected_ev + away_ev, expected_ev + LOOK_EV)
    far = max((r for r in (below, above) if r), key=lambda r: r.clearness, default=NOTHING)
    least = max(CERTAIN, STRONGER * here.clearness)
    if far.clearness > max(least, fall.clearness):
        rising_ev = far.energy_ev - GAP_EV, far.energy_ev + NEAR_EV
        at_ev = background.steepest_ev(energy_ev, intensity, rising_ev)
        return _elsewhere(at_ev, edge, edge_table)
    if not is_loss and fall.clearness > least:
        return SpectrumError(
            f"it falls at {fall.energy_ev:.0f} eV, where {edge} should rise: counts behind the "
            "sample are no absorption",
            "give column as an expression such as ln(i0/itrans)",
        )
    return _absent(edge, here) if here.clearness < CLEAR else fault


def _near(energy_ev: np.ndarray, intensity: np.ndarray, expected_ev: float) -> Rise | None:
    return clearest_rise(energy_ev, intensity, expected_ev - NEAR_EV, expected_ev + NEAR_EV)


def _absent(edge: str, rise: Rise) -> SpectrumError:
    return SpectrumError(
        f"no {edge} is visible: the highest rise within {NEAR_EV:g} eV is "
        f"{max(rise.clearness, 0):.1f} times its uncertainty",
        f"leave {edge} out if the sample may not contain it; else measure longer, or check the "
        "axis and background_window_ev",
    )


def _elsewhere(at_ev: float, edge: str, edge_table: EdgeTable) -> SpectrumError:
    expected_ev = edge_table[edge].reference.energy_ev
    away_ev = at_ev - expected_ev
    others = [e for e in edge_table if e != edge]
    nearest = min(others, key=lambda e: abs(edge_table[e].reference.energy_ev - at_ev))
    told = f"an edge is at {at_ev:.0f} eV, {away_ev:+.0f} eV from {edge}"
    if abs(edge_table[nearest].reference.energy_ev - at_ev) < SAME_EV:
        return SpectrumError(f"{told}: this looks like {nearest}", f"name it {nearest}")
    return SpectrumError(
        told,
        f"if it is {edge} the axis is off: give reference_peaks, or energy_offset_ev of about "
        f"{-away_ev:.0f}; else name the edge that it is",
    )
