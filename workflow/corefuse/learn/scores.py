"""Scores of out-of-fold predictions with intervals from a bootstrap over groups.

Every view counts as one measurement; the uncertainty is that of drawing other parent structures,
so whole groups are resampled (a cluster bootstrap: Field and Welsh, J. R. Stat. Soc. B 69, 369
(2007)). All models of a target are scored on the same resamples.

A score is a function of truth, prediction, fold, each of shape (sample,), and weights of shape
(resample, sample); it returns one value a resample, NaN where it is not defined.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from corefuse.config import Target
from corefuse.core.targets import TARGET_TABLE

Array = NDArray[np.float64]
_CHUNK_ELEMENTS = 4_000_000  # resamples x samples held at once, 32 MB


def kind_of(target: Target) -> str:
    """``'class'`` or ``'regression'``."""
    return TARGET_TABLE[target].kind


def score(
    truth: ArrayLike,
    prediction: ArrayLike,
    groups: ArrayLike,
    folds: ArrayLike,
    kind: str,
    resamples: int,
    confidence: float,
    seed: int,
) -> pd.DataFrame:
    """Score predictions, each made by a model that never saw the sample's group.

    Parameters
    ----------
    truth, prediction, groups, folds
        One entry per sample; for classes truth is 0 or 1 and prediction the probability of 1.
    kind
        ``'regression'`` (rmse, mae, r2) or ``'class'`` (roc_auc, average_precision, f1, brier).
    resamples, confidence, seed
        Bootstrap: how many, level of the percentile intervals, seed.

    Returns
    -------
    Columns metric, value, ci_low, ci_high, n_groups, note; NaN where a metric or its interval is
    not known, and ``note`` says why: an interval that no resample widens is none.
    """
    truth, prediction = np.asarray(truth, float), np.asarray(prediction, float)
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    metrics = CLASS_METRICS if kind == "class" else REGRESSION_METRICS
    fold = np.asarray(folds)
    drawn = {name: [] for name in metrics}
    for weights in _resampled_weights(member, len(names), resamples, seed):
        for name, metric in metrics.items():
            drawn[name].append(metric(truth, prediction, fold, weights))
    rows = []
    for name, metric in metrics.items():
        value = metric(truth, prediction, fold, np.ones((1, truth.size)))[0]
        low, high, note = _interval(np.concatenate(drawn[name]), confidence, len(names))
        rows.append((name, value, low, high, len(names), note))
    columns = ["metric", "value", "ci_low", "ci_high", "n_groups", "note"]
    return pd.DataFrame(rows, columns=columns)


def paired_gain(
    truth: Array,
    before: Array,
    after: Array,
    groups: NDArray[np.str_],
    kind: str,
    resamples: int,
    confidence: float,
    seed: int,
) -> dict[str, float | int | str]:
    """By how much the error (rmse or brier) falls from one prediction to another.

    Both are scored on the same resamples of groups, so ``ci_low`` and ``ci_high`` are those of the
    difference. Also ``metric``, ``value`` (after), ``before``, ``gain`` and ``n_groups``.
    """
    name = SELECTION_METRIC[kind]
    metric = (CLASS_METRICS if kind == "class" else REGRESSION_METRICS)[name]
    names, member = np.unique(groups, return_inverse=True)
    fold, once = np.zeros(len(truth), int), np.ones((1, len(truth)))
    drawn = [
        metric(truth, before, fold, weights) - metric(truth, after, fold, weights)
        for weights in _resampled_weights(member, len(names), resamples, seed)
    ]
    low, high, _ = _interval(np.concatenate(drawn), confidence, len(names))
    first, second = (float(metric(truth, p, fold, once)[0]) for p in (before, after))
    return {
        "metric": name,
        "value": second,
        "before": first,
        "gain": first - second,
        "ci_low": low,
        "ci_high": high,
        "n_groups": len(names),
    }


def _resampled_weights(
    member: NDArray[np.intp], n_groups: int, resamples: int, seed: int
) -> Iterator[Array]:
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), resamples)
    chunks = -(-resamples * member.size // _CHUNK_ELEMENTS)
    for part in np.array_split(counts, chunks):
        yield part[:, member].astype(float)


def _interval(values: Array, confidence: float, n_groups: int) -> tuple[float, float, str]:
    """Percentile interval of the resamples, and why there is none or what it lacks."""
    defined = values[np.isfinite(values)]
    if n_groups < 2:
        return np.nan, np.nan, "no interval: one parent"
    if not defined.size:
        return np.nan, np.nan, "not defined: one value or class only"
    tail = (1 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    if high - low <= 1e-12 * abs(high):
        return np.nan, np.nan, "no interval: the resamples do not differ"
    undefined = values.size - defined.size
    lack = f"not defined in {undefined} of {values.size} resamples" if undefined else ""
    return float(low), float(high), lack


def _ratio(numerator: Array, denominator: Array) -> Array:
    out = np.full(np.broadcast(numerator, denominator).shape, np.nan)
    return np.divide(numerator, denominator, out=out, where=denominator > 0)


def _mean(values: Array, weights: Array) -> Array:
    return _ratio(weights @ values, weights.sum(axis=1))


def _brier(truth: Array, prediction: Array, fold: Array, weights: Array) -> Array:
    return _mean((truth - prediction) ** 2, weights)


def _rmse(truth: Array, prediction: Array, fold: Array, weights: Array) -> Array:
    return np.sqrt(_mean((truth - prediction) ** 2, weights))


def _mae(truth: Array, prediction: Array, fold: Array, weights: Array) -> Array:
    return _mean(abs(truth - prediction), weights)


def _r2(truth: Array, prediction: Array, fold: Array, weights: Array) -> Array:
    mean = _mean(truth, weights)
    variance = _mean(truth**2, weights) - mean**2
    variance[variance < 1e-12 * (1 + mean**2)] = 0  # one value only: undefined, not rounding noise
    return 1 - _ratio(_mean((truth - prediction) ** 2, weights), variance)


def _f1(truth: Array, prediction: Array, fold: Array, weights: Array) -> Array:
    """Both classes distinguished at probability one half."""
    said = prediction >= 0.5
    return _ratio(2 * weights @ (said * truth), weights @ (said + truth))


def _roc_auc(truth: Array, prediction: Array, fold: Array, weights: Array) -> Array:
    """Share of (1, 0) pairs ranked rightly, among pairs judged by the same fold's model.

    Scores of different models are not comparable: pooling them puts a model that knows nothing
    well below one half (Forman and Scholz, SIGKDD Explor. 12, 49 (2010)).
    """
    right = pairs = np.zeros(len(weights))
    for ones, zeros in _ranked(truth, prediction, fold, weights):
        below = zeros.sum(axis=1, keepdims=True) - np.cumsum(zeros, axis=1)
        right = right + (ones * (below + zeros / 2)).sum(axis=1)
        pairs = pairs + ones.sum(axis=1) * zeros.sum(axis=1)
    return _ratio(right, pairs)


def _average_precision(truth: Array, prediction: Array, fold: Array, weights: Array) -> Array:
    """Mean precision at the ones, ranked inside each fold (see :func:`_roc_auc`)."""
    precision = found = np.zeros(len(weights))
    for ones, zeros in _ranked(truth, prediction, fold, weights):
        true = np.cumsum(ones, axis=1)
        at_rank = _ratio(true, true + np.cumsum(zeros, axis=1))
        precision = precision + (ones * np.nan_to_num(at_rank)).sum(axis=1)
        found = found + ones.sum(axis=1)
    return _ratio(precision, found)


def _ranked(
    truth: Array, prediction: Array, fold: Array, weights: Array
) -> Iterator[tuple[Array, Array]]:
    """For each fold the weight of ones and of zeros at each distinct score, highest first."""
    for k in np.unique(fold):
        inside = np.flatnonzero(fold == k)
        inside = inside[np.argsort(-prediction[inside], kind="stable")]
        starts = np.flatnonzero(np.diff(prediction[inside], prepend=np.inf))
        ones = np.add.reduceat(weights[:, inside] * truth[inside], starts, axis=1)
        both = np.add.reduceat(weights[:, inside], starts, axis=1)
        yield ones, both - ones


Metric = Callable[[Array, Array, Array, Array], Array]
REGRESSION_METRICS: dict[str, Metric] = {"rmse": _rmse, "mae": _mae, "r2": _r2}
CLASS_METRICS: dict[str, Metric] = {
    "roc_auc": _roc_auc,
    "average_precision": _average_precision,
    "f1": _f1,
    "brier": _brier,
}
SELECTION_METRIC = {"regression": "rmse", "class": "brier"}  # the smaller the better
