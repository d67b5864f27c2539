"""Whether counters see the edge, and whether a detector was at its floor or full."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

NEAR_EV = 12.0  # of an edge: its rise and white line, which a jump is measured across
FAR_EV = 60.0  # the stretches on both sides that fix the jump
AROUND_EV = 100.0  # of where an edge should be, for an axis that is off
LEAST_POINTS = 4  # on either side
CLEAR = 5.0  # jump over its uncertainty
SMALL_MOVE = 0.25  # of the largest relative jump: a beam that stays
FULL_POINTS = 5  # highest counts side by side that are equal
CONSTANT = 0.95  # of the points: a beam that somebody made up
FULL_COUNTS = 1000.0  # few counts are equal by chance
FLOOR_SHARE = 0.01  # of the highest counts: less comes near dark level
DARK_SCATTER = 0.1  # relative scatter of counts at the floor


def is_dead(counts: np.ndarray) -> bool:
    """Whether a channel holds nothing: constant, mostly zero, or scattering about zero."""
    there = counts[np.isfinite(counts)]
    if there.size < 2 or np.ptp(there) == 0:
        return True
    if np.median(np.abs(there)) == 0:
        return True
    steady = np.ptp(there) < 1e-2 * abs(np.median(there)) and np.unique(there).size <= 5
    return bool(steady or ((there > 0).mean() < 0.6 and (there < 0).mean() < 0.6))


def jump(energy: np.ndarray, values: np.ndarray, near: float) -> tuple[float, float]:
    """Height of a step at ``near`` and its uncertainty, both sides continued by straight lines.

    NaN where a side has too few points.
    """
    there = np.isfinite(energy) & np.isfinite(values)
    energy, values = energy[there], values[there]
    above = (energy > near + NEAR_EV) & (energy < near + FAR_EV)
    if energy.size and energy[-1] <= near + NEAR_EV:  # the scan ends on its edge
        above = energy > energy[-1] - NEAR_EV / 12
    below = (energy > near - FAR_EV) & (energy < near - NEAR_EV / 3)
    if min(above.sum(), below.sum()) < LEAST_POINTS:
        return np.nan, np.nan
    ends, errors = [], []
    for side in (below, above):
        x = energy[side] - near
        slope, start = (
            np.polyfit(x, values[side], 1) if np.ptp(x) > 2 else (0.0, values[side].mean())
        )
        scatter = np.std(values[side] - (start + slope * x))
        ends.append(start)
        errors.append(scatter / np.sqrt(side.sum()))
    return float(ends[1] - ends[0]), float(np.hypot(*errors) + 1e-12 * np.abs(values).max())


def find_edge(energy: np.ndarray, values: np.ndarray) -> float:
    """Where values (n,) rise most steeply, on a scale of one electronvolt."""
    there = np.isfinite(energy) & np.isfinite(values)
    order = np.argsort(energy[there], kind="stable")
    e, y = energy[there][order], values[there][order]
    grid = np.arange(e[0], e[-1], 0.5)
    if grid.size < 10:
        return float(e[len(e) // 2])
    smooth = gaussian_filter1d(np.interp(grid, e, y), 2.0)
    return float(grid[np.argmax(np.gradient(smooth))])


def shows_edge(energy: np.ndarray, values: np.ndarray, near: float | None) -> bool:
    """Whether values rise at an edge beyond their scatter."""
    if np.isfinite(values).sum() < 2 * LEAST_POINTS:
        return False
    height, error = jump(energy, values, near if near else find_edge(energy, values))
    return bool(np.isfinite(height) and height > CLEAR * error)


def step(energy: np.ndarray, values: np.ndarray, near: float | None) -> float:
    """Height of the step at an edge, NaN where its sides are too short."""
    return jump(energy, values, near if near else find_edge(energy, values))[0]


def common_edge(energy: np.ndarray, channels: np.ndarray, near: float | None = None) -> float:
    """Where channels (channel, n) divided by each other change most, within 100 eV of ``near``."""
    if near is not None:
        around = np.abs(energy - near) < AROUND_EV
        if around.sum() > 4 * LEAST_POINTS:
            energy, channels = energy[around], channels[:, around]
    best, highest = float(np.nanmedian(energy)), 0.0
    for front in channels:
        for behind in channels:
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = np.log(
                    np.where(front > 0, front, np.nan) / np.where(behind > 0, behind, np.nan)
                )
            if front is behind or np.isfinite(ratio).mean() < 0.9:
                continue
            place = find_edge(energy, ratio)
            height, error = jump(energy, ratio, place)
            if np.isfinite(height) and height > max(highest, CLEAR * error):
                best, highest = place, height
    return best


def moves(energy: np.ndarray, channels: np.ndarray, near: float) -> list[str]:
    """What each channel (channel, n) does at an edge: ``rises``, ``falls`` or ``stays``."""
    relative = []
    for counts in channels:
        height, error = jump(energy, counts, near)
        level = np.nanmedian(np.abs(counts[np.abs(energy - near) < FAR_EV]))
        clear = np.isfinite(height) and abs(height) > CLEAR * error
        relative.append(height / level if clear and level else 0.0)
    least = SMALL_MOVE * max(map(abs, relative))
    return ["stays" if abs(r) <= least else "rises" if r > 0 else "falls" for r in relative]


def good_elements(energy: np.ndarray, elements: np.ndarray, near: float | None) -> np.ndarray:
    """Which detector elements (element, n) see the edge: at least a tenth of the typical jump.

    All of them where none does or the edge is not known.
    """
    if len(elements) == 1:
        return np.ones(1, dtype=bool)
    near = near or find_edge(energy, elements.sum(axis=0))
    heights = np.nan_to_num([jump(energy, counts, near)[0] for counts in elements])
    typical = np.median(heights)
    if not typical > 0:
        return np.ones(len(elements), dtype=bool)
    return heights > 0.1 * typical


def without_zeros(values: np.ndarray, called: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """An absorption (n,) whose exact zeros, where others are none, are made NaN; doubts of it.

    Programs write 0 where nothing came through and the logarithm does not exist.
    """
    zero = values == 0
    if not zero.any() or zero.mean() > 0.5:
        return values, ()
    doubt = f"{called} is exactly 0 at {zero.sum()} points: a logarithm that does not exist"
    return np.where(zero, np.nan, values), (doubt,)


def floor(behind: np.ndarray, called: str) -> tuple[str, ...]:
    """Doubts about counts (n,) behind the sample that are down at the dark level."""
    there = behind[np.isfinite(behind)]
    none = int((there <= 0).sum())
    if none:
        return (
            f"{called} is zero or below at {none} points: nothing came through, the logarithm does "
            "not exist there",
        )
    return ()


def ceiling(counts: np.ndarray, called: str) -> tuple[str, ...]:
    """Doubts about counts (n,) that stand at their highest value side by side."""
    there = counts[np.isfinite(counts)]
    top = there.max(initial=0.0)
    if top < FULL_COUNTS or (there == top).mean() > CONSTANT:
        return ()
    edges = np.flatnonzero(np.diff(np.concatenate([[0], there == top, [0]])))
    longest = int(np.max(edges[1::2] - edges[::2], initial=0))
    if longest >= FULL_POINTS:
        return (f"{called} is at {top:g} for {longest} points: the detector was full",)
    return ()
