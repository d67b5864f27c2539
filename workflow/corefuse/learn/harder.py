"""Splits that ask for more than a new parent: a whole grade, or a whole Li range, left out.

The nested grouped folds say how well a new arrangement of the metals is read. These say how well a
composition, or a state of charge, is read that the training set has no neighbour of.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from corefuse.learn.splits import Fold, grouped_folds

SPLITS = ("grade", "li_range")
LI_BOUNDS = (1 / 3, 2 / 3)  # per formula unit: charged, half charged, discharged


def folds_of(
    split: str, dataset: xr.Dataset, truth: NDArray[np.float64], n_folds: int, seed: int
) -> list[Fold]:
    """(train, test) indices in which no sample of a test grade or Li range is trained on.

    Grades are dealt into as many folds as there are of parents, all of a parent together; each of
    the three Li ranges is one fold, and other Li contents of its parents stay in training. Empty
    where there is one grade or range only.
    """
    if split == "grade":
        if "grade" not in dataset.coords:
            return []
        grades = _joined(
            dataset["grade"].to_numpy().astype(str), dataset["group"].to_numpy().astype(str)
        )
        n = min(n_folds, len(np.unique(grades)))
        return grouped_folds(grades, truth, n, seed) if n > 1 else []
    ranges = np.digitize(dataset["x_li"].to_numpy(), LI_BOUNDS)
    found = np.unique(ranges)
    if len(found) < 2:
        return []
    return [(np.flatnonzero(ranges != k), np.flatnonzero(ranges == k)) for k in found]


def _joined(grades: NDArray[np.str_], groups: NDArray[np.str_]) -> NDArray[np.str_]:
    """One name for grades that share a group (the same crystal under two names)."""
    names = {grade: grade for grade in np.unique(grades)}
    for group in np.unique(groups):
        together = np.unique(grades[groups == group])
        kept = min(names[g] for g in together)
        old = {names[g] for g in together}
        names = {grade: kept if name in old else name for grade, name in names.items()}
    return np.array([names[g] for g in grades])
