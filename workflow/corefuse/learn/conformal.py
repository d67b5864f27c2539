"""How sure a prediction is: intervals from grouped residuals, and calibrated probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field
from scipy.optimize import minimize
from scipy.special import expit

from corefuse.core.section import Section

_FLATTEST = 1e-3  # slope that leaves nothing but the prior, and still keeps the ranking


@dataclass(frozen=True)
class Interval:
    """An interval of plausible values; unbounded if nothing but physics limits it."""

    low: float
    high: float
    unbounded: bool


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


def value_interval(prediction: float, quantile: float, possible: tuple[float, float]) -> Interval:
    """Interval of a number, cut to what is physically possible."""
    low, high = np.clip([prediction - quantile, prediction + quantile], *possible).tolist()
    return Interval(low, high, unbounded=bool(np.isinf(quantile)))


def class_interval(probability: float, quantile: float) -> Interval:
    """Labels that can't be excluded: 0-0, 1-1, or 0-1 for both.

    A label conforms if its error |label - probability| is at most the quantile. Where neither
    does, the sample is like no other, and both are kept.
    """
    conform = [label for label in (0.0, 1.0) if abs(label - probability) <= quantile]
    labels = conform or [0.0, 1.0]
    return Interval(min(labels), max(labels), unbounded=bool(np.isinf(quantile)))


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
