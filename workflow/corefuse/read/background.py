"""What lies under an edge: fitted below it, continued over it, with its uncertainty."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from corefuse.core.spectrum import SpectrumError

MIN_POINTS = 10  # of a fit
SMOOTH_POINTS = 3.0  # standard deviation, of 0.1 eV each
MIN_LENGTH_EV = 5.0  # of its window: a shorter one fixes no slope


@dataclass(frozen=True, eq=False)
class Background:
    """Background and one standard deviation of it, both (..., n)."""

    values: np.ndarray
    std: np.ndarray


def power_law(
    energy_ev: np.ndarray, counts: np.ndarray, window_ev: tuple[float, float]
) -> Background:
    """A E^-r fitted to counts (..., n), all pixels at once.

    A straight line through log counts against log energy, weighted by the counts because
    var(log n) = 1/n (R. F. Egerton, Electron Energy-Loss Spectroscopy in the Electron Microscope,
    3rd ed. (2011), sec. 4.4.2). The standard deviation is that of the fitted line, from the
    residuals' own scatter, so it grows with the distance from the window.

    Raises
    ------
    SpectrumError
        The window is too short.
    """
    inside = _inside(energy_ev, window_ev)
    x = np.log(energy_ev / np.mean(window_ev))
    there = counts[..., inside]
    weights = np.clip(there, 0, None)
    y = np.log(np.clip(there, 1e-12, None))
    fitted = _weighted_line(x[inside], y, weights, x)
    seen = weights.sum(axis=-1, keepdims=True) > 0
    values = np.where(seen, np.exp(fitted.values), 0.0)
    return Background(values, values * fitted.std)


def line(energy_ev: np.ndarray, counts: np.ndarray, window_ev: tuple[float, float]) -> Background:
    """A straight line fitted to counts (..., n): the pre-edge line of XAS.

    As `pre_edge` of larch (M. Newville, J. Phys.: Conf. Ser. 430, 012007 (2013)) with nvict = 0.

    Raises
    ------
    SpectrumError
        The window is too short.
    """
    inside = _inside(energy_ev, window_ev)
    x = energy_ev - np.mean(window_ev)
    return _weighted_line(x[inside], counts[..., inside], np.ones(int(inside.sum())), x)


def edge_step(
    energy_ev: np.ndarray, flat: np.ndarray, e0_ev: float, post_ev: tuple[float, float]
) -> float:
    """Height of an absorption edge: a parabola through the post-edge, read at ``e0_ev``.

    The normalisation of larch's `pre_edge` with nnorm = 2; ``post_ev`` counts from ``e0_ev``.

    Raises
    ------
    SpectrumError
        The post-edge is too short.
    """
    inside = _inside(energy_ev, (e0_ev + post_ev[0], e0_ev + post_ev[1]))
    return float(np.polyval(np.polyfit(energy_ev[inside] - e0_ev, flat[inside], 2), 0.0))


def steepest_ev(
    energy_ev: np.ndarray, intensity: np.ndarray, window_ev: tuple[float, float]
) -> float:
    """Energy in a window where intensity (n,) rises most steeply: E0 of Athena and larch.

    On an even axis of 0.1 eV after a Gaussian of 0.7 eV FWHM, so that pairs of points almost at
    one energy and single noisy steps do not count.
    """
    grid = np.arange(window_ev[0] - 3, window_ev[1] + 3, 0.1)
    smooth = gaussian_filter1d(np.interp(grid, energy_ev, intensity), SMOOTH_POINTS)
    inside = (grid >= window_ev[0]) & (grid <= window_ev[1])
    return float(grid[inside][np.argmax(np.gradient(smooth)[inside])])


def mean(energy_ev: np.ndarray, counts: np.ndarray, window_ev: tuple[float, float]) -> Background:
    """The mean of counts (..., n) over the window, zero where no point is in it."""
    inside = (energy_ev >= window_ev[0]) & (energy_ev < window_ev[1])
    n = int(inside.sum())
    if not n:
        return Background(np.zeros(counts.shape), np.zeros(counts.shape))
    there = counts[..., inside]
    std = there.std(axis=-1, keepdims=True) / np.sqrt(n)
    shape = np.ones(energy_ev.size)
    return Background(there.mean(axis=-1, keepdims=True) * shape, std * shape)


METHODS = {"mean": mean, "line": line, "power_law": power_law}


def is_long_enough(energy_ev: np.ndarray, window_ev: tuple[float, float]) -> bool:
    """Whether an axis (n,) has the points and the length in a window that a fit needs."""
    covered = energy_ev[(energy_ev >= window_ev[0]) & (energy_ev <= window_ev[1])]
    return covered.size >= MIN_POINTS and bool(np.ptp(covered) >= MIN_LENGTH_EV)


def _inside(energy_ev: np.ndarray, window_ev: tuple[float, float]) -> np.ndarray:
    inside = (energy_ev >= window_ev[0]) & (energy_ev <= window_ev[1])
    covered = energy_ev[inside]
    if not is_long_enough(energy_ev, window_ev):
        there = f"{covered[-1] - covered[0]:.1f} eV" if covered.size else "nothing"
        raise SpectrumError(
            f"the fit from {window_ev[0]:g} to {window_ev[1]:g} eV has {covered.size} points "
            f"over {there}",
            f"give at least {MIN_POINTS} points and {MIN_LENGTH_EV:g} eV there, or another window",
        )
    return inside


def _weighted_line(x: np.ndarray, y: np.ndarray, weights: np.ndarray, at: np.ndarray) -> Background:
    """Weighted least squares of y (..., m) on x (m,), read at ``at`` (n,), with its std."""
    weights = np.broadcast_to(weights, y.shape)
    total = weights.sum(axis=-1, keepdims=True)
    total = np.where(total > 0, total, 1.0)
    x_mean = (weights * x).sum(axis=-1, keepdims=True) / total
    y_mean = (weights * y).sum(axis=-1, keepdims=True) / total
    spread = (weights * (x - x_mean) ** 2).sum(axis=-1, keepdims=True)
    spread = np.where(spread > 0, spread, 1.0)
    slope = (weights * (x - x_mean) * y).sum(axis=-1, keepdims=True) / spread
    residual = y - y_mean - slope * (x - x_mean)
    scatter = (weights * residual**2).sum(axis=-1, keepdims=True) / max(x.size - 2, 1)
    away = at - x_mean
    return Background(y_mean + slope * away, np.sqrt(scatter * (1 / total + away**2 / spread)))
