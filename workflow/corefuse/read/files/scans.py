"""Several scans in one table: where the energies start again or turn round."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from corefuse.read.files.recorded import Table

BACK = 0.2  # of the whole range: an axis that goes back by so much starts again or turns round
LEAST_POINTS = 10  # of a scan


def starts(energy: np.ndarray) -> list[int]:
    """Row numbers where a scan begins, 0 first.

    Energies (row,) that go back by a fifth of their range begin a new scan, at once (the axis
    starts again) or little by little (it turns round); an encoder's jitter does not.
    """
    there = np.flatnonzero(np.isfinite(energy))
    if there.size < 2 * LEAST_POINTS:
        return [0]
    e = energy[there]
    least = BACK * np.ptp(e)
    if least == 0 or not np.any(np.diff(e) < 0) or not np.any(np.diff(e) > 0):
        return [0]
    turns = [0, *_turns(e, least)]
    begins = [t for t, after in zip(turns, [*turns[1:], e.size], strict=True) if after - t > 1]
    return [int(there[b]) if b else 0 for b in begins] or [0]


def _turns(e: np.ndarray, least: float) -> list[int]:
    """Where the axis changes direction by more than ``least``; one begun anew keeps its own."""
    out: list[int] = []
    direction = 0
    extreme = 0  # index of the highest (direction 1) or lowest (-1) energy of the scan
    first = 0
    for i in range(1, e.size):
        if direction == 0:
            if abs(e[i] - e[first]) > least:
                direction = 1 if e[i] > e[first] else -1
                extreme = i
            continue
        if (e[i] - e[extreme]) * direction >= 0:
            extreme = i
        elif (e[extreme] - e[i]) * direction > least:
            at_once = abs(e[i] - e[i - 1]) > least
            first = i if at_once else extreme + 1
            out.append(first)
            direction, extreme = (0, i) if at_once else (-direction, i)
    return out


def split(table: Table, energy: np.ndarray) -> list[Table]:
    """The scans of a table, each a table of its own; scans too short for one are left out."""
    begins = starts(energy)
    if len(begins) == 1:
        return [table]
    parts = []
    for begin, end in zip(begins, [*begins[1:], len(energy)], strict=True):
        if end - begin >= LEAST_POINTS:
            parts.append(replace(table, values=table.values[begin:end]))
    return parts or [table]
