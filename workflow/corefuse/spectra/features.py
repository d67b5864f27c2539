"""Features of a spectrum that have a name: its peak, its pre-edge, its half height."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import argrelmax

from corefuse.core.edge_table import Feature

PRE_EDGE_WIDTH_EV = 7.0  # the 3d band ends 6 to 7 eV above its onset; the main O 2p band follows
ONSET_HEIGHT = 0.2  # of the maximum: above the noise and the tails, below any pre-edge


@dataclass(frozen=True)
class PreEdge:
    """Pre-edge against main band: energies and distance in eV, ratio of the two heights."""

    pre_edge_ev: float
    main_ev: float
    distance_ev: float
    intensity_ratio: float


def pre_edge_metrics(energy_ev: np.ndarray, intensity: np.ndarray) -> PreEdge:
    """Maximum of the metal 3d pre-edge and of the main band above it, as at the O K edge.

    The pre-edge is the highest peak within 7 eV of the onset, the first point as high as a fifth of
    the maximum; the rise of the main band is no peak. ``energy_ev`` and ``intensity`` are (n,).

    Raises
    ------
    ValueError
        The axis ends before the main band.
    """
    onset_ev = energy_ev[np.argmax(intensity >= ONSET_HEIGHT * intensity.max())]
    above = energy_ev > onset_ev + PRE_EDGE_WIDTH_EV
    if above.sum() < 3:
        raise ValueError(f"the axis ends at {energy_ev[-1]:g} eV, before the main band")
    peaks = argrelmax(intensity)[0]
    peaks = peaks[(energy_ev[peaks] >= onset_ev) & ~above[peaks]]
    highest = peaks[np.argmax(intensity[peaks])] if len(peaks) else np.argmax(intensity * ~above)
    pre_ev, pre = _maximum_at(int(highest), energy_ev, intensity)
    main_ev, main = _maximum(energy_ev[above], intensity[above])
    return PreEdge(pre_ev, main_ev, main_ev - pre_ev, pre / main)


def feature_energy(energy_ev: np.ndarray, intensity: np.ndarray, feature: Feature) -> float:
    """Energy (eV) of a feature of a spectrum (n,).

    ``peak`` is the highest maximum, ``pre_edge_peak`` that of :func:`pre_edge_metrics`,
    ``half_height`` the lowest energy at which the intensity reaches half its maximum.
    """
    if feature == "peak":
        return _maximum(energy_ev, intensity)[0]
    if feature == "pre_edge_peak":
        return pre_edge_metrics(energy_ev, intensity).pre_edge_ev
    half = intensity.max() / 2
    first = int(np.argmax(intensity >= half))
    pair = slice(max(first - 1, 0), first + 1)
    return float(np.interp(half, intensity[pair], energy_ev[pair]))


def _maximum(energy_ev: np.ndarray, intensity: np.ndarray) -> tuple[float, float]:
    return _maximum_at(int(np.argmax(intensity)), energy_ev, intensity)


def _maximum_at(top: int, energy_ev: np.ndarray, intensity: np.ndarray) -> tuple[float, float]:
    """Place and height of the maximum at index ``top``, by a parabola through its neighbours."""
    if top in (0, len(intensity) - 1):
        return float(energy_ev[top]), float(intensity[top])
    near = slice(top - 1, top + 2)
    x, y = energy_ev[near] - energy_ev[top], intensity[near]
    curvature, slope, height = np.polyfit(x, y, 2)
    if curvature >= 0:  # three equal points
        return float(energy_ev[top]), float(intensity[top])
    shift = -slope / (2 * curvature)
    return float(energy_ev[top] + shift), float(height + slope * shift / 2)
