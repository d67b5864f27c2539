"""A ridge line and gradient boosting on top of it: fit one model on given samples, nothing else.

Everything a fitted model needs (parameters, number of trees, calibration) comes from the samples
it is given, so a fold that is held back is never seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.model_selection import KFold
from sklearn.pipeline import Pipeline

from corefuse.config import Train as TrainSettings
from corefuse.core.spectrum import EnergyGrid
from corefuse.learn.conformal import Platt, fit_platt
from corefuse.learn.linear import (
    STRENGTHS,
    Linear,
    best_strength,
    constant,
    fit_linear,
    squared_error,
)
from corefuse.learn.matrix import jia_features
from corefuse.learn.recipes import RECIPES, Recipe, fit_recipe
from corefuse.learn.splits import Fold, grouped_folds
from corefuse.learn.tuning import FIXED, NO_MARGIN, OBJECTIVES, Samples, Tuned, refit, tune

IDENTITY = Platt(slope=1, intercept=0)
CLASS_CHOICES = {
    "calibration": "Platt's map, fitted on margins of inner folds by the parameters and number of "
    "trees that are best on the other inner folds",
    "threshold": "a label (and f1) is 1 where the calibrated probability is 0.5 or more; not tuned",
}
COLSAMPLE = (0.1, 0.5)  # of many columns, neighbours of which say the same
COLSAMPLE_FEW = (0.6, 0.9)
FEW = ("named", "components")
LINEAR = ("bins", "named", "components")  # recipes that a line is fitted on, too


@dataclass(frozen=True)
class Boosted:
    """A fitted booster; for classes ``platt`` turns its margin into a probability.

    ``choices`` says in words how what is not fitted was chosen.
    """

    booster: xgb.Booster
    platt: Platt | None
    parameters: dict[str, float]
    choices: dict[str, str]
    recipe: Recipe
    linear: Linear
    grids: Mapping[str, EnergyGrid]

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Values or probabilities, shape (n,), of spectra (n, p)."""
        features = self.recipe.features(x, self.grids)
        return delivered(self.booster, self.platt, features, self.linear)


@dataclass(frozen=True)
class Constant:
    """The mean of the training set; for classes the prior."""

    value: float

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the same value for every row of features (n, p)."""
        return np.full(len(x), self.value)


@dataclass(frozen=True)
class Jia:
    """The recipe of Jia et al. (2026): features, then a booster."""

    features: Pipeline
    booster: xgb.Booster
    platt: Platt | None

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Values or probabilities, shape (n,), of spectra (n, p)."""
        return delivered(self.booster, self.platt, self.features.transform(x).astype(np.float32))


def delivered(
    booster: xgb.Booster,
    platt: Platt | None,
    features: NDArray[np.float32],
    linear: Linear | None = None,
) -> NDArray[np.float64]:
    """Values or calibrated probabilities, shape (n,), of features (n, q)."""
    margin = booster.inplace_predict(features, predict_type="margin").astype(float)
    if linear:
        margin = margin + linear.margin(features)
    return platt.probability(margin) if platt else margin


def fit_boosted(
    samples: Samples,
    grids: Mapping[str, EnergyGrid],
    kind: str,
    settings: TrainSettings,
    seed: int,
    n_threads: int,
    recipes: Sequence[str] = RECIPES,
) -> Boosted:
    """Choose features and parameters on inner grouped folds, refit on all samples, calibrate.

    Every recipe of ``LINEAR`` gets the line of the best strength, or none. The recipe is the one
    with the smallest error of the first trial (line, and trees of fixed parameters, their best
    number); its parameters are then searched. Margins to calibrate on are those of what is best on
    the other folds: recipe, line, and as in :class:`Tuned`.
    """
    folds = grouped_folds(
        samples.groups, samples.truth, settings.inner_folds, seed, "train.inner_folds"
    )
    first = settings.model_copy(update={"trials": 1})
    candidates = {name: _candidate(samples, grids, name, kind, folds) for name in recipes}
    tried = {
        name: tune(c.parts, folds, kind, first, seed, n_threads, c.colsample)
        for name, c in candidates.items()
    }
    errors = {name: _fold_errors(t.margin, samples.truth, kind, folds) for name, t in tried.items()}
    best = min(errors, key=lambda name: errors[name].sum())
    chosen = candidates[best]
    tuned = tune(chosen.parts, folds, kind, settings, seed, n_threads, chosen.colsample)
    platt = None
    if kind == "class":
        margin = _unseen_margin(tried | {best: tuned}, errors, folds)
        platt = fit_platt(margin, samples.truth, samples.weights())
    recipe = fit_recipe(best, samples.x, grids)
    features = recipe.features(samples.x, grids)
    linear = _line(features, samples.truth, kind, chosen.strength)
    booster = refit(samples.of(features, linear.margin(features)), tuned, kind, seed, n_threads)
    losses = {name: float(np.sqrt(e.sum() / len(samples.truth))) for name, e in errors.items()}
    choices = _choices(tuned, losses, chosen, settings) | (CLASS_CHOICES if platt else {})
    parameters = tuned.parameters | {"n_trees": tuned.n_trees}
    return Boosted(booster, platt, parameters, choices, recipe, linear, grids)


@dataclass(frozen=True)
class _Candidate:
    """One recipe on inner folds: for each fold all samples, as its training rows decide.

    The strength of a fold's line is the best one on the other folds, ``strength`` that on all.
    """

    parts: list[Samples]
    strength: int | None  # of the line, an index of STRENGTHS; None: the mean
    colsample: tuple[float, float]


def _candidate(
    samples: Samples, grids: Mapping[str, EnergyGrid], name: str, kind: str, folds: Sequence[Fold]
) -> _Candidate:
    features = [
        fit_recipe(name, samples.x[train], grids).features(samples.x, grids) for train, _ in folds
    ]
    truth = samples.truth
    lines = [
        [
            *(fit_linear(x[train], truth[train], kind) if name in LINEAR else []),
            constant(truth[train], kind),
        ]
        for x, (train, _) in zip(features, folds, strict=True)
    ]
    errors = np.array(
        [
            [squared_error(line, x[test], truth[test], kind) for line in of_fold]
            for x, (_, test), of_fold in zip(features, folds, lines, strict=True)
        ]
    )
    parts = []
    for k, (x, of_fold) in enumerate(zip(features, lines, strict=True)):
        best = best_strength(np.delete(errors, k, axis=0))
        parts.append(samples.of(x, of_fold[-1 if best is None else best].margin(x)))
    strength = best_strength(errors)
    return _Candidate(parts, strength, COLSAMPLE_FEW if name in FEW else COLSAMPLE)


def _fold_errors(
    margin: NDArray[np.float64], truth: NDArray[np.float64], kind: str, folds: Sequence[Fold]
) -> NDArray[np.float64]:
    """Sum of squared errors of values or probabilities on each fold, shape (fold,)."""
    said = expit(margin) if kind == "class" else margin
    return np.array([((said - truth)[test] ** 2).sum() for _, test in folds])


def _unseen_margin(
    tried: Mapping[str, Tuned], errors: Mapping[str, NDArray[np.float64]], folds: Sequence[Fold]
) -> NDArray[np.float64]:
    """Margins (n,), in each fold those of the recipe that is best on the other folds."""
    out = np.empty(sum(len(test) for _, test in folds))
    for k, (_, test) in enumerate(folds):
        others = {name: np.delete(e, k).sum() for name, e in errors.items()}
        out[test] = tried[min(others, key=others.__getitem__)].margin[test]
    return out


def _line(
    features: NDArray[np.float32], truth: NDArray[np.float64], kind: str, strength: int | None
) -> Linear:
    if strength is None:
        return constant(truth, kind)
    return fit_linear(features, truth, kind)[strength]


def fit_constant(samples: Samples) -> Constant:
    """Fit the baseline: the mean of the truth."""
    return Constant(float(samples.truth.mean()))


def boosted_constant(samples: Samples, grids: Mapping[str, EnergyGrid], kind: str) -> Boosted:
    """Wrap the mean in a booster that never splits, so that every target has a model.

    For classes it is the softened prior (ones + 1) / (structures + 2), as in ``fit_platt``.
    """
    weights = samples.weights()
    value = float(np.average(samples.truth, weights=weights))
    if kind == "class":
        value = float(logit((weights @ samples.truth + 1) / (weights.sum() + 2)))
    fixed = FIXED | {"objective": OBJECTIVES[kind], "base_score": NO_MARGIN[kind]}
    stump = {"min_split_loss": np.inf, "eta": 0.0}
    booster = xgb.train(fixed | stump, xgb.DMatrix(samples.x, samples.truth), 1)
    choices = {"model": "the mean of the data: nothing was chosen"}
    platt = IDENTITY if kind == "class" else None
    linear = Linear(intercept=value)
    return Boosted(booster, platt, {"n_trees": 1}, choices, Recipe(name="raw"), linear, grids)


def fit_jia(
    samples: Samples,
    grids: dict[str, EnergyGrid],
    kind: str,
    settings: TrainSettings,
    seed: int,
    n_threads: int,
) -> Jia:
    """Fit the recipe of Jia et al. (2026): their features, then plain k-fold tuning over rows.

    As published, features are fitted once on all samples given, and rows of one structure fall
    into several tuning folds. Unlike it, the search is ours (optuna, :func:`tune`, with the folds
    and trials of the config), nothing stops early, and the model is refitted on all samples rather
    than being the last fold's.
    """
    features = jia_features(grids, len(samples.x))
    reduced = features.fit_transform(samples.x).astype(np.float32)
    samples = samples.of(reduced)
    rows = KFold(settings.inner_folds, shuffle=True, random_state=seed)
    folds = list(rows.split(samples.x))
    parts = [samples] * len(folds)
    tuned = tune(parts, folds, kind, settings, seed, n_threads, COLSAMPLE_FEW)
    platt = IDENTITY if kind == "class" else None
    return Jia(features, refit(samples, tuned, kind, seed, n_threads), platt)


def _choices(
    tuned: Tuned, losses: Mapping[str, float], chosen: _Candidate, settings: TrainSettings
) -> dict[str, str]:
    best, *others = sorted(losses, key=losses.__getitem__)
    rest = ", ".join(f"{name} {losses[name]:.4g}" for name in others)
    return {
        "features": f"{best}: rmse of the first trial on the inner folds {losses[best]:.4g}"
        + (f" ({rest})" if rest else ""),
        "line": "the mean: no ridge line on these features is better on the inner folds"
        if chosen.strength is None
        else f"ridge of strength {STRENGTHS[chosen.strength]:g} per sample, the best of "
        f"{len(STRENGTHS)} on the inner folds",
        "parameters": f"trial {tuned.trial + 1} of {settings.trials} (optuna, TPE) has the "
        f"smallest pooled rmse, {tuned.loss:.4g}, on {settings.inner_folds} grouped inner folds",
        "n_trees": f"{tuned.n_trees} of at most {settings.max_trees}: the lowest point of that "
        "trial's pooled error",
    }
