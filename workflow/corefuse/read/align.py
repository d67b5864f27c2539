"""Where a measured edge may be on the simulated energy axis: every shift, and how well it fits.

A shift of the energy axis and a chemical shift look alike. So no single best shift is taken for
the truth: :func:`profile` tells how far the edge is from the nearest simulated one at every shift,
and :func:`weights` turns that into a distribution, whose scale (:class:`Misfit`) is measured on
simulated structures whose parents are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from corefuse.core.edge_table import EdgeEntry
from corefuse.core.section import Section
from corefuse.core.spectrum import EDGE_TOLERANCE_EV, SpectrumError, blurred, trapezoid_weights
from corefuse.spectra import standard

STEP_EV = 0.1
WIDTHS = 9  # widths tried each way
DRAWS = 16  # shifts of one spectrum that are predicted,
DRAWS_OF_MANY = 6  # of one among many
LEAST_MOVE_EV = 0.5  # a smaller relative shift of two edges says nothing of their shape

Floats = NDArray[np.float64]

# Share of the trials that count as a good fit. Intervals are asked for at this level; what fits
# worse than that share of the parents left out is not among what they were made of.
FITS_WELL = 0.80


class Misfit(Section):
    """How a simulated spectrum of a parent left out fits the structures of the others.

    ``scale`` is the mean excess of the squared relative misfit at the true shift over that at the
    best one, ``typical`` the median misfit at the best shift, ``largest`` its quantile at
    ``FITS_WELL``,
    ``shift_error_ev`` the 90 % quantile of the distance between best and true shift, ``drift_ev``
    that of the distance between the best shifts of two structures of one parent: what chemistry
    alone does to a fitted shift. ``rigid_per_ev`` is how much of its shape an edge keeps when
    chemistry moves it: half of the smallest, over pairs of structures of one parent, of their
    misfit at the best relative shift over that shift. None where there are too few parents.
    """

    scale: float | None
    typical: float | None
    largest: float | None
    shift_error_ev: float | None
    drift_ev: float | None
    rigid_per_ev: float | None = None


@dataclass(frozen=True, eq=False)
class Profile:
    """Misfit of m spectra at S shifts: ``squared`` (m, S) is the mean squared difference to the
    nearest simulated spectrum over its mean square, infinite where no edge is left in the window;
    ``width_ev`` (m, S) and ``nearest`` (m, S) are the extra width and the number of that spectrum.
    """

    shifts_ev: Floats
    squared: Floats
    width_ev: Floats
    nearest: NDArray[np.intp]

    def best(self) -> NDArray[np.intp]:
        """Index (m,) of the best shift of each spectrum."""
        return np.argmin(self.squared, axis=1)


def window(entry: EdgeEntry) -> NDArray[np.bool_]:
    """Points (n,) of an edge's standard axis inside its window."""
    low, high = entry.window_ev
    energy_ev = entry.grid.energies_ev
    return (energy_ev >= low - EDGE_TOLERANCE_EV) & (energy_ev <= high + EDGE_TOLERANCE_EV)


def on_grid(
    energy_ev: Floats, spectra: Floats, entry: EdgeEntry, shifts_ev: Floats | float = 0.0
) -> Floats:
    """Spectra (..., n) moved by ``shifts_ev`` (scalar or (...)), linearly at the points of an
    edge's standard axis; beyond their ends the last value is held.
    """
    shift = np.asarray(shifts_ev, float)
    at = np.clip(entry.grid.energies_ev - shift[..., None], energy_ev[0], energy_ev[-1])
    right = np.clip(np.searchsorted(energy_ev, at), 1, energy_ev.size - 1)
    share = (at - energy_ev[right - 1]) / (energy_ev[right] - energy_ev[right - 1])
    if shift.ndim == 0:
        return spectra[..., right - 1] * (1 - share) + spectra[..., right] * share
    left, after = (np.take_along_axis(spectra, k, axis=-1) for k in (right - 1, right))
    return left * (1 - share) + after * share


def standard_form(
    energy_ev: Floats, spectra: Floats, entry: EdgeEntry, shifts_ev: Floats | float = 0.0
) -> Floats:
    """Background-free spectra (..., n) in standard form (..., grid); NaN where no area is left."""
    flat = standard.flattened(on_grid(energy_ev, spectra, entry, shifts_ev), entry)
    return flat / area_of(flat, entry)[..., None]


def area_of(flat: Floats, entry: EdgeEntry) -> Floats:
    """Area (...) over the window of spectra (..., grid); NaN where it is not positive."""
    inside = window(entry)
    area = flat[..., inside] @ trapezoid_weights(entry.grid.energies_ev[inside])
    return np.where(area > 0, area, np.nan)


def steps(most_ev: float, step_ev: float = STEP_EV) -> Floats:
    """Shifts (S,) within ``most_ev`` either way, zero among them."""
    number = round(most_ev / step_ev)
    return step_ev * np.arange(-number, number + 1)


def widths(most_ev: float, number: int = WIDTHS) -> Floats:
    """Extra widths (w,) within ``most_ev`` either way; positive: simulated spectra lack it."""
    return np.linspace(-most_ev, most_ev, 2 * number + 1) if most_ev else np.zeros(1)


def profile(
    energy_ev: Floats,
    spectra: Floats,
    ensemble: Floats,
    entry: EdgeEntry,
    shifts_ev: Floats,
    widths_ev: Floats,
) -> Profile:
    """Misfit of background-free spectra (m, n) on one axis to an ensemble (M, grid), by shift.

    Every shift is tried, with a Gaussian of each extra width put on the simulated spectra, or where
    it is negative on the measured ones.

    Raises
    ------
    SpectrumError
        No shift leaves an edge in the window of any spectrum.
    """
    inside, grid_step = window(entry), entry.grid.step_ev
    on_simulated = {max(w, 0.0) for w in widths_ev}
    known = {w: blurred(ensemble, grid_step, w)[:, inside] for w in on_simulated}
    mean_square = {w: (k**2).mean(axis=1) for w, k in known.items()}
    squared = np.full((len(spectra), len(shifts_ev)), np.inf)
    width, nearest = np.zeros(squared.shape), np.zeros(squared.shape, np.intp)
    rows = np.arange(len(spectra))
    for s, shift in enumerate(shifts_ev):
        placed = standard_form(energy_ev, spectra, entry, shift)
        there = np.isfinite(placed).all(axis=1)
        placed[~there] = 0.0
        sharp: dict[float, Floats] = {}
        for w in widths_ev:
            on_measured = max(-w, 0.0)
            if on_measured not in sharp:
                sharp[on_measured] = blurred(placed, grid_step, on_measured)[:, inside]
            y, k, norm = sharp[on_measured], known[max(w, 0.0)], mean_square[max(w, 0.0)]
            mean = np.einsum("mn,mn->m", y, y)[:, None] / y.shape[1] - 2 * y @ k.T / y.shape[1]
            relative = np.maximum(mean + norm, 0.0) / norm
            best = np.argmin(relative, axis=1)
            better = there & (relative[rows, best] < squared[:, s])
            squared[better, s] = relative[rows, best][better]
            width[better, s], nearest[better, s] = w, best[better]
    if not np.isfinite(squared).any(axis=1).all():
        raise SpectrumError(
            f"no shift from {shifts_ev[0]:+g} to {shifts_ev[-1]:+g} eV leaves an edge in its "
            "window",
            "correct the axis, or raise infer.max_shift_ev",
        )
    return Profile(shifts_ev, squared, width, nearest)


def weights(found: Profile, misfit: Misfit) -> Floats:
    """How plausible every shift is (m, S), rows adding to 1.

    The likelihood exp(-excess / (2 scale)) of the excess of the squared misfit over its smallest.
    The scale is the mean excess at the true shift of simulated spectra whose parents were left out
    (for Gaussian misfits the excess is chi-squared with one degree of freedom times the scale);
    where a spectrum fits worse than those it grows with its own misfit, as with a reduced
    chi-squared. Without a scale every shift counts alike.
    """
    if misfit.scale is None or misfit.typical is None:
        likely = np.isfinite(found.squared).astype(float)
    else:
        smallest = found.squared.min(axis=1, keepdims=True)
        scale = misfit.scale * np.maximum(1.0, smallest / max(misfit.typical, 1e-9) ** 2)
        with np.errstate(invalid="ignore"):
            likely = np.exp(-(found.squared - smallest) / (2 * scale))
        likely[~np.isfinite(found.squared)] = 0.0
    return likely / likely.sum(axis=1, keepdims=True)


def gaussian(shifts_ev: Floats, centre_ev: Floats | float, std_ev: Floats | float) -> Floats:
    """Weights (m, S) of a shift known to ``std_ev``; at least one step wide."""
    centre = np.atleast_1d(np.asarray(centre_ev, float))[:, None]
    std = np.maximum(np.atleast_1d(np.asarray(std_ev, float)), STEP_EV / 2)[:, None]
    away = (shifts_ev - centre) / std
    likely = np.exp(-0.5 * (away**2 - (away**2).min(axis=1, keepdims=True)))
    return likely / likely.sum(axis=1, keepdims=True)


def draws(shifts_ev: Floats, likely: Floats, number: int = DRAWS, stream: int = 0) -> Floats:
    """Evenly spread shifts (m, number) of distributions (m, S), which represent them.

    ``stream`` numbers what is drawn: one draw tells nothing about another.
    """
    middle = np.cumsum(likely, axis=1) - likely / 2
    order = shares(number, stream)
    return np.array([np.interp(order, row, shifts_ev) for row in middle])


def shares(number: int, stream: int) -> Floats:
    """Numbers (number,) evenly spread from 0 to 1, in an order of their own for each stream."""
    order = np.random.default_rng(stream).permutation(number) if stream else np.arange(number)
    return (order + 0.5) / number


def spread(shifts_ev: Floats, likely: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation (m,) of distributions (m, S)."""
    mean = likely @ shifts_ev
    return mean, np.sqrt(np.maximum(likely @ shifts_ev**2 - mean**2, 0.0))


def misfit_of(
    trials: Mapping[str, tuple[Floats, Floats, Floats]],
) -> Misfit:
    """Summarise trials by group: (excess at the true shift, best squared misfit, shift error)."""
    if len(trials) < 2:
        return Misfit(scale=None, typical=None, largest=None, shift_error_ev=None, drift_ev=None)
    excess, best, error = (
        [np.asarray(trial[k], float) for trial in trials.values()] for k in range(3)
    )
    pairs = [np.abs(e[:, None] - e)[np.triu_indices(e.size, 1)] for e in error]
    apart = np.concatenate(pairs)
    return Misfit(
        scale=float(np.mean([e.mean() for e in excess])) or 1e-12,
        typical=float(np.median(np.sqrt(np.concatenate(best)))),
        largest=_quantile(np.sqrt(np.concatenate(best)), FITS_WELL),
        shift_error_ev=_quantile(np.abs(np.concatenate(error)), 0.90),
        drift_ev=_quantile(apart, 0.90) if apart.size else None,
    )


def relative(
    energy_ev: Floats, spectra: Floats, to: Floats, entry: EdgeEntry, shifts_ev: Floats
) -> tuple[Floats, Floats]:
    """Shift (m,) that brings spectra (m, n) nearest to one (grid,), and the misfit (m,) left."""
    found = profile(energy_ev, spectra, to[None], entry, shifts_ev, np.zeros(1))
    best = found.best()
    return found.shifts_ev[best], np.sqrt(found.squared[np.arange(len(best)), best])


def rigidity(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Half the smallest misfit over shift of pairs (shift in eV, misfit); see :class:`Misfit`."""
    moved = [misfit / abs(shift) for shift, misfit in pairs if abs(shift) >= LEAST_MOVE_EV]
    return min(moved) / 2 if moved else None


def _quantile(values: Floats, share: float) -> float:
    return float(np.quantile(values, share, method="higher"))
