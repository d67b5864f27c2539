"""The linear part of a model: ridge regression on standardised features.

Spectra of mixtures add, so contents are nearly linear in them, and few parents fix a line better
than trees do. Trees are boosted on what the line leaves over.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from corefuse.core.section import Section

# Ridge strengths per sample on standardised features; the largest leaves the mean.
STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 10.0)
LOGISTIC_SLOPE = 4.0  # of the log-odds against the probability at one half

Array = NDArray[np.float64]


Number = Annotated[float, Field(ge=-1e12, le=1e12)]


class Linear(Section):
    """``intercept`` plus ``weights`` times the features less their ``centre``, all (q,)."""

    intercept: Number
    weights: list[Number] = Field([], description="one per feature; none: the intercept alone")
    centre: list[Number] = Field([], description="mean of each feature")

    @model_validator(mode="after")
    def _same_length(self) -> Linear:
        if len(self.weights) != len(self.centre):
            raise ValueError(f"{len(self.weights)} weights, but {len(self.centre)} centres")
        return self

    def contributions(self, features: NDArray[np.floating]) -> Array:
        """What each feature (n, q) adds to the margin (n, q); a missing one adds nothing."""
        if not self.weights:
            return np.zeros(features.shape)
        return np.nan_to_num(features - np.asarray(self.centre)) * np.asarray(self.weights)

    def margin(self, features: NDArray[np.floating]) -> Array:
        """Value or log-odds (n,) of features (n, q)."""
        return self.intercept + self.contributions(features).sum(axis=1)


def constant(truth: NDArray[np.floating], kind: str) -> Linear:
    """Return the mean; of classes on the scale of log-odds, see :func:`fit_linear`."""
    return Linear(intercept=_on_margin(float(np.mean(truth)), kind))


def fit_linear(
    features: NDArray[np.floating], truth: NDArray[np.floating], kind: str
) -> list[Linear]:
    """Fit one line per entry of ``STRENGTHS`` to features (n, q) and truth (n,).

    A. E. Hoerl and R. W. Kennard, Technometrics 12, 55 (1970). The line of a class is that of its
    label, turned into log-odds by the slope of the logistic function at one half; Platt's map is
    fitted afterwards.
    """
    centre = np.nan_to_num(np.nanmean(np.where(np.isfinite(features), features, np.nan), axis=0))
    moved = np.nan_to_num(features - centre)
    scale = moved.std(axis=0)
    scale[scale < 1e-12] = np.inf  # a feature that does not vary has no weight
    standardised, mean = moved / scale, float(np.mean(truth))
    few = standardised.shape[1] <= len(standardised)
    gram = standardised.T @ standardised if few else standardised @ standardised.T
    values, vectors = np.linalg.eigh(gram)
    left = truth - mean
    projected = vectors.T @ (standardised.T @ left if few else left)
    slope = LOGISTIC_SLOPE if kind == "class" else 1.0
    out = []
    for strength in STRENGTHS:
        solved = vectors @ (projected / (np.clip(values, 0, None) + strength * len(truth)))
        weights = slope * (solved if few else standardised.T @ solved) / scale
        out.append(
            Linear(
                intercept=_on_margin(mean, kind), weights=weights.tolist(), centre=centre.tolist()
            )
        )
    return out


def best_strength(errors: Array) -> int | None:
    """Index of the strength with the smallest error summed over folds, ``errors`` (fold, strength).

    The last column is the mean alone; None where no line is better than it.
    """
    pooled = np.sum(errors, axis=0)
    best = int(np.argmin(pooled))
    return best if best < len(pooled) - 1 else None


def squared_error(line: Linear, features: NDArray[np.floating], truth: Array, kind: str) -> float:
    """Sum of squared errors of values or, for classes, of probabilities cut to 0 and 1."""
    margin = line.margin(features)
    if kind == "class":
        margin = np.clip(margin / LOGISTIC_SLOPE + 0.5, 0, 1)
    return float(((margin - truth) ** 2).sum())


def _on_margin(mean: float, kind: str) -> float:
    return LOGISTIC_SLOPE * (mean - 0.5) if kind == "class" else mean
