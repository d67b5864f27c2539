"""Gradient boosting with a small search: fit one model on given samples, and nothing else.

Everything a fitted model needs (parameters, number of trees, calibration) comes from the samples
it is given, so a fold that is held back is never seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
import xgboost as xgb
from numpy.typing import NDArray
from sklearn.model_selection import KFold
from sklearn.pipeline import Pipeline

from corefuse.config import Train as TrainSettings
from corefuse.core.spectrum import EnergyGrid
from corefuse.learn.conformal import Platt, fit_platt
from corefuse.learn.matrix import jia_features
from corefuse.learn.splits import Fold, grouped_folds

OBJECTIVES = {"regression": "reg:squarederror", "class": "binary:logistic"}
# 32 quantile bins cost half of 64 and a third of 256; noise hides finer steps.
FIXED = {"tree_method": "hist", "max_bin": 32, "eval_metric": "rmse", "verbosity": 0}
IDENTITY = Platt(slope=1, intercept=0)
CLASS_CHOICES = {
    "calibration": "Platt's map, fitted on margins of inner folds by the parameters and number of "
    "trees that are best on the other inner folds",
    "threshold": "a label (and f1) is 1 where the calibrated probability is 0.5 or more; not tuned",
}
FIRST_TRIAL = {
    "max_depth": 3,
    "eta": 0.15,
    "subsample": 0.8,
    "colsample_bytree": 0.3,
    "reg_lambda": 1.0,
    "min_child_weight": 2.0,
}


@dataclass(frozen=True)
class Samples:
    """Training samples: features (n, p), truth, group and structure of each, shape (n,)."""

    x: NDArray[np.float32]
    truth: NDArray[np.float64]
    groups: NDArray[Any]
    structures: NDArray[Any]

    def take(self, rows: NDArray[np.intp]) -> Samples:
        """Return the samples of some rows."""
        return Samples(self.x[rows], self.truth[rows], self.groups[rows], self.structures[rows])

    def weights(self) -> NDArray[np.float64]:
        """Weight of each sample when a structure counts once, however many views it has."""
        _, member, counts = np.unique(self.structures, return_inverse=True, return_counts=True)
        return 1 / counts[member]


@dataclass(frozen=True)
class Boosted:
    """A fitted booster; for classes ``platt`` turns its margin into a probability.

    ``choices`` says in words how what is not fitted was chosen.
    """

    booster: xgb.Booster
    platt: Platt | None
    parameters: dict[str, float]
    choices: dict[str, str]

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Values or probabilities, shape (n,), of features (n, p)."""
        return delivered(self.booster, self.platt, x)


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
    boosted: Boosted

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Values or probabilities, shape (n,), of features (n, p)."""
        return self.boosted.predict(self.features.transform(x).astype(np.float32))


@dataclass(frozen=True)
class Trial:
    """One set of parameters: on each fold a booster, and its error after each tree."""

    number: int
    parameters: dict[str, float]
    boosters: list[xgb.Booster]
    curves: NDArray[np.float64]  # (fold, tree)


@dataclass(frozen=True)
class Tuned:
    """The best trial, and margins to calibrate on.

    ``margin`` of a sample comes from a model that was not fitted on its fold, with the parameters
    and the number of trees that are best on the other folds: nothing about it was chosen with the
    sample's help (but for what optuna proposed to try).
    """

    parameters: dict[str, float]
    n_trees: int
    loss: float
    margin: NDArray[np.float64]
    trial: int


def delivered(
    booster: xgb.Booster, platt: Platt | None, x: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Values or calibrated probabilities, shape (n,), of features (n, p)."""
    margin = booster.inplace_predict(x, predict_type="margin").astype(float)
    return platt.probability(margin) if platt else margin


def fit_boosted(
    samples: Samples, kind: str, settings: TrainSettings, seed: int, n_threads: int
) -> Boosted:
    """Tune on inner grouped folds, refit on all samples, calibrate on margins of :class:`Tuned`."""
    folds = grouped_folds(
        samples.groups, samples.truth, settings.inner_folds, seed, "train.inner_folds"
    )
    tuned = tune(samples, folds, kind, settings, seed, n_threads, colsample=(0.1, 0.5))
    calibrated = kind == "class"
    platt = fit_platt(tuned.margin, samples.truth, samples.weights()) if calibrated else None
    choices = _choices(tuned, settings) | (CLASS_CHOICES if calibrated else {})
    return _refit(samples, tuned, platt, kind, seed, n_threads, choices)


def fit_constant(samples: Samples) -> Constant:
    """Fit the baseline: the mean of the truth."""
    return Constant(float(samples.truth.mean()))


def boosted_constant(samples: Samples, kind: str) -> Boosted:
    """Wrap the mean in a booster that never splits, so that every target has a model.

    For classes it is the softened prior (ones + 1) / (structures + 2), as in ``fit_platt``.
    """
    weights = samples.weights()
    value = float(np.average(samples.truth, weights=weights))
    if kind == "class":
        value = float((weights @ samples.truth + 1) / (weights.sum() + 2))
    fixed = FIXED | {"objective": OBJECTIVES[kind], "base_score": value}
    stump = {"min_split_loss": np.inf, "eta": 0.0}
    booster = xgb.train(fixed | stump, xgb.DMatrix(samples.x, samples.truth), 1)
    choices = {"model": "the mean of the data: nothing was chosen"}
    return Boosted(booster, IDENTITY if kind == "class" else None, {"n_trees": 1}, choices)


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
    samples = Samples(reduced, samples.truth, samples.groups, samples.structures)
    rows = KFold(settings.inner_folds, shuffle=True, random_state=seed)
    folds = list(rows.split(samples.x))
    tuned = tune(samples, folds, kind, settings, seed, n_threads, colsample=(0.6, 0.9))
    platt = IDENTITY if kind == "class" else None
    return Jia(features, _refit(samples, tuned, platt, kind, seed, n_threads, {}))


def tune(
    samples: Samples,
    folds: Sequence[Fold],
    kind: str,
    settings: TrainSettings,
    seed: int,
    n_threads: int,
    colsample: tuple[float, float],
) -> Tuned:
    """Search the parameters with optuna's TPE on the folds given.

    The loss is the pooled root mean square error of values or probabilities. The number of trees
    is not sampled: each trial grows ``settings.max_trees`` and its best number is read from the
    curve of the pooled loss.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    fixed = FIXED | {"objective": OBJECTIVES[kind], "seed": seed, "nthread": n_threads}
    data = [(_quantised(samples, train, n_threads), samples.take(test)) for train, test in folds]
    sizes = np.array([len(test.truth) for _, test in data])
    trials: list[Trial] = []

    def objective(trial: optuna.Trial) -> float:
        parameters = _suggest(trial, colsample)
        grown = [_grow(fixed | parameters, d, test, settings.max_trees) for d, test in data]
        boosters, curves = zip(*grown, strict=True)
        trials.append(Trial(trial.number, parameters, list(boosters), np.array(curves)))
        return _best(trials[-1:], sizes)[2]

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial(FIRST_TRIAL | {"colsample_bytree": sum(colsample) / 2})
    study.optimize(objective, settings.trials)
    margin = np.empty(len(samples.truth))
    for k, (_, rows) in enumerate(folds):
        of_others, n_trees, _ = _best(trials, np.where(np.arange(len(sizes)) == k, 0, sizes))
        margin[rows] = of_others.boosters[k].inplace_predict(
            samples.x[rows], iteration_range=(0, n_trees), predict_type="margin"
        )
    best, n_trees, loss = _best(trials, sizes)
    return Tuned(best.parameters, n_trees, loss, margin, best.number)


def _best(trials: Sequence[Trial], weights: NDArray[np.integer]) -> tuple[Trial, int, float]:
    """The trial with the smallest pooled error on folds of these weights, its trees, the error."""
    curves = [np.sqrt(weights @ trial.curves**2 / weights.sum()) for trial in trials]
    first = int(np.argmin([curve.min() for curve in curves]))
    n_trees = int(curves[first].argmin()) + 1
    return trials[first], n_trees, float(curves[first][n_trees - 1])


def _choices(tuned: Tuned, settings: TrainSettings) -> dict[str, str]:
    return {
        "parameters": f"trial {tuned.trial + 1} of {settings.trials} (optuna, TPE) has the "
        f"smallest pooled rmse, {tuned.loss:.4g}, on {settings.inner_folds} grouped inner folds",
        "n_trees": f"{tuned.n_trees} of at most {settings.max_trees}: the lowest point of that "
        "trial's pooled error",
    }


def _suggest(trial: optuna.Trial, colsample: tuple[float, float]) -> dict[str, float]:
    """Small trees on few columns: samples are few, and neighbouring energies say the same."""
    draw: Callable[..., float] = trial.suggest_float
    return {
        "max_depth": trial.suggest_int("max_depth", 2, 6),
        "eta": draw("eta", 0.03, 0.3, log=True),
        "subsample": draw("subsample", 0.5, 1.0),
        "colsample_bytree": draw("colsample_bytree", *colsample),
        "reg_lambda": draw("reg_lambda", 0.1, 10, log=True),
        "min_child_weight": draw("min_child_weight", 0.5, 10, log=True),
    }


def _grow(
    parameters: dict[str, Any], train: xgb.DMatrix, test: Samples, n_trees: int
) -> tuple[xgb.Booster, NDArray[np.float64]]:
    """Grow all trees; return the booster and its error on ``test`` after each tree."""
    curve: dict[str, dict[str, list[float]]] = {}
    watched = xgb.DMatrix(test.x, test.truth, nthread=parameters["nthread"])
    booster = xgb.train(
        parameters,
        train,
        n_trees,
        evals=[(watched, "test")],
        evals_result=curve,
        verbose_eval=False,
    )
    return booster, np.array(curve["test"]["rmse"])


def _quantised(samples: Samples, rows: NDArray[np.intp], n_threads: int) -> xgb.QuantileDMatrix:
    return xgb.QuantileDMatrix(
        samples.x[rows], samples.truth[rows], max_bin=FIXED["max_bin"], nthread=n_threads
    )


def _refit(
    samples: Samples,
    tuned: Tuned,
    platt: Platt | None,
    kind: str,
    seed: int,
    n_threads: int,
    choices: dict[str, str],
) -> Boosted:
    fixed = FIXED | {"objective": OBJECTIVES[kind], "seed": seed, "nthread": n_threads}
    everything = _quantised(samples, np.arange(len(samples.truth)), n_threads)
    booster = xgb.train(fixed | tuned.parameters, everything, tuned.n_trees)
    return Boosted(booster, platt, tuned.parameters | {"n_trees": tuned.n_trees}, choices)
