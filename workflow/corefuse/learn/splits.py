"""Grouped folds: all structures of a parent, and all views of a structure, stay together."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from corefuse.core.errors import InputError

Fold = tuple[NDArray[np.intp], NDArray[np.intp]]


def grouped_folds(
    groups: ArrayLike, truth: ArrayLike, n_folds: int, seed: int, key: str = "train.outer_folds"
) -> list[Fold]:
    """Deal whole groups into folds with similar labels.

    The groups are sorted by their mean label, cut into runs of ``n_folds``, and each run is dealt
    at random, one group a fold. (scikit-learn's StratifiedGroupKFold may leave a fold empty when
    groups are few, its issue 34828, and does not stratify numbers.)

    Parameters
    ----------
    groups, truth
        Group and label of every sample, shape (sample,).
    n_folds
        Number of folds, at most the number of groups.
    seed
        Seed of the deal.
    key
        Config key to name in the error.

    Returns
    -------
    (train, test) sample indices of every fold; every sample is tested exactly once.

    Raises
    ------
    InputError
        If there are fewer groups than folds.
    """
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < n_folds:
        raise InputError(
            "config",
            key,
            f"{n_folds} folds, but only {len(names)} parent structures to deal into them",
            f"set {key} to {len(names)} or less, or add parents (series, decorations)",
        )
    rng = np.random.default_rng(seed)
    mean_label = np.bincount(member, np.asarray(truth, float)) / np.bincount(member)
    by_label = np.lexsort((rng.permutation(len(names)), -mean_label))
    fold_of_group = np.empty(len(names), int)
    for start in range(0, len(names), n_folds):
        run = by_label[start : start + n_folds]
        fold_of_group[run] = rng.permutation(n_folds)[: len(run)]
    fold = fold_of_group[member]
    return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(n_folds)]
