"""How sure a prediction is: intervals from grouped residuals, and calibrated probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field
from scipy.optimize import minimize
from scipy.special import expit

from corefuse.core.section import Section

_FLATTEST = 1e-3  # slope that leaves nothing but the prior, and still keeps the ranking


class Platt(Section):
    """A logistic map from a model's margin (log-odds) to a probability."""

    slope: float = Field(gt=0)
    intercept: float

    def probability(self, margin: NDArray[np.floating]) -> NDArray[np.float64]:
        """Probability of class 1, same shape as ``margin``."""
        return expit(self.slope * np.asarray(margin, float) + self.intercept)


def residual_quantile(residuals: Mapping[str, Sequence[float]], confidence: float) -> float:
    """Return the absolute error that a sample of a new group stays below.

    Hierarchical conformal prediction (Lee, Barber and Willett, arXiv:2306.06342; Dunn, Wasserman
    and Ramdas, J. Am. Stat. Assoc. 118, 2491 (2023)): groups, not samples, are exchangeable. Each
    of K groups has weight 1/(K+1), shared equally by its samples, and the new group has the rest,
    at infinity. The guarantee is exact for residuals of a model fitted on other data; here they
    are out-of-fold residuals around the refitted model, whose coverage is near the level where
    refitting changes little (Barber, Candes, Ramdas and Tibshirani, Ann. Stat. 49, 486 (2021)).

    Parameters
    ----------
    residuals
        Group -> absolute out-of-fold errors of its samples.
    confidence
        Coverage asked for.

    Returns
    -------
    The quantile; infinite if there are fewer than confidence / (1 - confidence) groups.
    """
    share = 1 / (len(residuals) + 1)
    values = np.concatenate([np.asarray(r, float) for r in residuals.values()])
    weights = np.concatenate([np.full(len(r), share / len(r)) for r in residuals.values()])
    order = np.argsort(values)
    covered = np.cumsum(weights[order])
    enough = np.flatnonzero(covered >= confidence - 1e-12)
    return float(values[order][enough[0]]) if enough.size else float("inf")


def groups_needed(confidence: float) -> int:
    """Groups below which :func:`residual_quantile` is infinite."""
    return int(np.ceil(confidence / (1 - confidence) - 1e-9))


def value_interval(
    value: NDArray[np.floating],
    quantile: float,
    possible: tuple[float, float],
    spread: NDArray[np.floating] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bounds (m,) of numbers (m,), cut to what is physically possible.

    ``spread`` (2, m) are the lowest and highest values at the same level that the inputs allow
    by themselves, as by an energy axis that is not sure: they are added in squares.
    """
    low, high = (value, value) if spread is None else spread
    below, above = np.maximum(value - low, 0.0), np.maximum(high - value, 0.0)
    bounds = value - np.hypot(quantile, below), value + np.hypot(quantile, above)
    return np.clip(bounds[0], *possible), np.clip(bounds[1], *possible)


def class_interval(
    probability: NDArray[np.floating],
    quantile: float,
    spread: NDArray[np.floating] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Labels (m,) that can't be excluded: 0-0, 1-1, or 0-1 for both.

    A label conforms if its error |label - probability| is at most the quantile, at the probability
    or at one of those that the inputs allow by themselves (``spread``, (2, m)). Where neither does,
    the sample is like no other, and both are kept.
    """
    found = np.atleast_2d(probability if spread is None else np.vstack([probability, spread]))
    no, yes = ((np.abs(label - found) <= quantile).any(axis=0) for label in (0.0, 1.0))
    return np.where(no | ~yes, 0.0, 1.0), np.where(yes | ~no, 1.0, 0.0)


def fit_platt(margin: ArrayLike, truth: ArrayLike, weights: ArrayLike) -> Platt:
    """Fit the logistic map on margins from models that did not see the samples.

    J. Platt, "Probabilistic outputs for support vector machines" (1999): cross-entropy against
    softened labels (n1 + 1)/(n1 + 2) and 1/(n0 + 2), so that few samples never give certainty.

    Parameters
    ----------
    margin, truth, weights
        One entry per sample; weights add to the number of independent samples (views of one
        structure share a weight of one).
    """
    margin, truth = np.asarray(margin, float), np.asarray(truth, float)
    weights = np.asarray(weights, float)
    n_ones, n_zeros = weights @ truth, weights @ (1 - truth)
    soft = np.where(truth > 0.5, (n_ones + 1) / (n_ones + 2), 1 / (n_zeros + 2))

    def loss(coefficients: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = coefficients[0] * margin + coefficients[1]
        slope = weights * (expit(z) - soft)
        return float(weights @ (np.logaddexp(0, z) - soft * z)), np.array(
            [slope @ margin, slope.sum()]
        )

    best = minimize(loss, [1.0, 0.0], jac=True, bounds=[(_FLATTEST, None), (None, None)]).x
    return Platt(slope=float(best[0]), intercept=float(best[1]))
