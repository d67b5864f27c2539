"""Energies in rising order: scans downwards, jitter of an encoder, repeated points, holes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from corefuse.core.spectrum import SpectrumError
from corefuse.read.files.recorded import Recorded

TOGETHER = 0.05  # of the local step: nearer points are readings at one energy


def rising(recorded: Recorded) -> Recorded:
    """A spectrum without missing points, its energies strictly rising.

    A scan downwards is turned round. Points out of order are an encoder's jitter: each was taken
    at the energy it names, so they are sorted. Readings at one energy, or nearer than a twentieth
    of the step there, are averaged.
    """
    energy, counts, second = recorded.energy, recorded.counts, recorded.reference
    notes: list[str] = []
    if counts.ndim == 1:
        there = np.isfinite(energy) & np.isfinite(counts)
        if missing := int(energy.size - there.sum()):
            if energy.size == missing:
                raise SpectrumError(
                    "none of its intensities is a number",
                    "name other columns: is one of the counters zero or negative?",
                )
            places = energy[~there & np.isfinite(energy)]
            where = f", near {places[0]:.6g}" if places.size else ""
            notes.append(f"{missing} of {energy.size} points are no numbers{where}: left out")
        energy, counts = energy[there], counts[there]
        second = second[there] if second is not None else None
    if energy.size > 1 and np.median(np.diff(energy)) < 0:
        energy, counts = energy[::-1], counts[..., ::-1]
        second = second[::-1] if second is not None else None
    back = int((np.diff(energy) < 0).sum())
    if back:
        order = np.argsort(energy, kind="stable")
        largest = float(-np.diff(energy).min())
        energy, counts = energy[order], counts[..., order]
        second = second[order] if second is not None else None
        notes.append(f"{back} energies stepped back by up to {largest:.2g}: sorted")
    first = _first_of_each(energy)
    if repeated := energy.size - first.size:
        sizes = np.diff([*first, energy.size])
        counts = np.add.reduceat(counts, first, axis=-1) / sizes
        energy = np.add.reduceat(energy, first) / sizes
        second = np.add.reduceat(second, first) / sizes if second is not None else None
        notes.append(f"{repeated} repeated energies, their intensities averaged")
    return replace(recorded, energy=energy, counts=counts, reference=second).noted(*notes)


def _first_of_each(energy: np.ndarray) -> np.ndarray:
    """Indices of the points that begin a new energy."""
    steps = np.diff(energy)
    moving = steps[steps > 0]
    if not moving.size:
        return np.flatnonzero(np.concatenate([[True], steps != 0]))
    # The median of the steps around a point, so that a fine region has its own measure.
    half = 5
    padded = np.pad(steps, half, mode="edge")
    local = np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1), axis=1)
    least = TOGETHER * np.where(local > 0, local, np.median(moving))
    return np.flatnonzero(np.concatenate([[True], steps > least]))


def spaced(intensity: np.ndarray, axis_range: tuple[float, float]) -> Recorded:
    """Intensities (n,) on an even axis of which only the ends are known."""
    return Recorded(np.linspace(*axis_range, len(intensity)), intensity)
