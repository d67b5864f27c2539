"""Learning curves: the score against the number of parent structures trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from corefuse.learn.splits import Fold
from corefuse.learn.tuning import Samples

SHARES = (0.25, 0.5, 0.75)  # of the parents of a training fold; the whole is the score itself
CURVE_COLUMNS = ["share", "n_parents", "metric", "value", "ci_low", "ci_high"]

Predict = Callable[[Samples, Sequence[Fold]], NDArray[np.float64]]
Score = Callable[[NDArray[np.float64]], pd.DataFrame]


def learning_curve(
    samples: Samples,
    folds: Sequence[Fold],
    whole: NDArray[np.float64],
    predict: Predict,
    score: Score,
    smallest: int,
    seed: int,
) -> pd.DataFrame:
    """Scores with a share of the parents of each training fold, tested on the same folds.

    Parameters
    ----------
    samples, folds
        All samples and the outer folds.
    whole
        Out-of-fold predictions of the models of all training parents, shape (sample,).
    predict
        Out-of-fold predictions for other folds.
    score
        Columns metric, value, ci_low, ci_high of predictions.
    smallest
        Parents below which nothing can be tuned: such a share is left out.
    seed
        Decides which parents a share keeps; a larger share holds the smaller ones.

    Returns
    -------
    Columns ``CURVE_COLUMNS``; ``n_parents`` is the mean over the folds.
    """
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(np.unique(samples.groups[train])) for train, _ in folds]
    tables = []
    for share in SHARES:
        kept = [order[: round(share * len(order))] for order in orders]
        fewer = [
            (train[np.isin(samples.groups[train], some)], test)
            for (train, test), some in zip(folds, kept, strict=True)
        ]
        if min(map(len, kept)) < smallest or any(
            np.ptp(samples.truth[train]) == 0 for train, _ in fewer
        ):
            continue
        table = score(predict(samples, fewer))
        tables.append(table.assign(share=share, n_parents=np.mean([len(some) for some in kept])))
    parents = float(np.mean([len(order) for order in orders]))
    tables.append(score(whole).assign(share=1.0, n_parents=parents))
    return pd.concat(tables, ignore_index=True)[CURVE_COLUMNS]
