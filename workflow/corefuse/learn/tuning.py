"""The search for parameters of boosted trees, on samples and folds that are given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
import xgboost as xgb
from numpy.typing import NDArray

from corefuse.config import Train as TrainSettings
from corefuse.learn.splits import Fold

OBJECTIVES = {"regression": "reg:squarederror", "class": "binary:logistic"}
NO_MARGIN = {"regression": 0.0, "class": 0.5}  # base_score of a margin of zero
# 32 quantile bins cost half of 64 and a third of 256; noise hides finer steps.
FIXED = {"tree_method": "hist", "max_bin": 32, "eval_metric": "rmse", "verbosity": 0}
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
    base: NDArray[np.float64] | None = None  # margin (n,) that trees are added to

    def take(self, rows: NDArray[np.intp]) -> Samples:
        """Return the samples of some rows."""
        base = None if self.base is None else self.base[rows]
        every = (self.x, self.truth, self.groups, self.structures)
        return Samples(*(part[rows] for part in every), base)

    def of(self, features: NDArray[np.float32], base: NDArray[np.float64] | None = None) -> Samples:
        """Return the same samples with other features (n, q)."""
        return Samples(features, self.truth, self.groups, self.structures, base)

    def weights(self) -> NDArray[np.float64]:
        """Weight of each sample when a structure counts once, however many views it has."""
        _, member, counts = np.unique(self.structures, return_inverse=True, return_counts=True)
        return 1 / counts[member]


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


def tune(
    parts: Sequence[Samples],
    folds: Sequence[Fold],
    kind: str,
    settings: TrainSettings,
    seed: int,
    n_threads: int,
    colsample: tuple[float, float],
) -> Tuned:
    """Search the parameters with optuna's TPE on the folds given.

    ``parts`` are all samples once per fold, with the features that fold's training rows decide. The
    loss is the pooled root mean square error of values or probabilities. The number of trees
    is not sampled: each trial grows ``settings.max_trees`` and its best number is read from the
    curve of the pooled loss.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    fixed = _fixed(parts[0], kind, seed, n_threads)
    data = [
        (_quantised(samples, train, n_threads), samples.take(test))
        for samples, (train, test) in zip(parts, folds, strict=True)
    ]
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
    margin = np.empty(len(parts[0].truth))
    for k, (_, rows) in enumerate(folds):
        of_others, n_trees, _ = _best(trials, np.where(np.arange(len(sizes)) == k, 0, sizes))
        margin[rows] = of_others.boosters[k].inplace_predict(
            parts[k].x[rows], iteration_range=(0, n_trees), predict_type="margin"
        )
        margin[rows] += 0.0 if parts[k].base is None else parts[k].base[rows]
    best, n_trees, loss = _best(trials, sizes)
    return Tuned(best.parameters, n_trees, loss, margin, best.number)


def _best(trials: Sequence[Trial], weights: NDArray[np.integer]) -> tuple[Trial, int, float]:
    """The trial with the smallest pooled error on folds of these weights, its trees, the error."""
    curves = [np.sqrt(weights @ trial.curves**2 / weights.sum()) for trial in trials]
    first = int(np.argmin([curve.min() for curve in curves]))
    n_trees = int(curves[first].argmin()) + 1
    return trials[first], n_trees, float(curves[first][n_trees - 1])


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
    watched = xgb.DMatrix(test.x, test.truth, base_margin=test.base, nthread=parameters["nthread"])
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
    some = samples.take(rows)
    return xgb.QuantileDMatrix(
        some.x, some.truth, base_margin=some.base, max_bin=FIXED["max_bin"], nthread=n_threads
    )


def _fixed(samples: Samples, kind: str, seed: int, n_threads: int) -> dict[str, Any]:
    """Parameters that are not searched; on a base, trees begin from nothing."""
    fixed = FIXED | {"objective": OBJECTIVES[kind], "seed": seed, "nthread": n_threads}
    return fixed if samples.base is None else fixed | {"base_score": NO_MARGIN[kind]}


def refit(samples: Samples, tuned: Tuned, kind: str, seed: int, n_threads: int) -> xgb.Booster:
    """Grow the trees of the best trial on all samples."""
    everything = _quantised(samples, np.arange(len(samples.truth)), n_threads)
    fixed = _fixed(samples, kind, seed, n_threads)
    return xgb.train(fixed | tuned.parameters, everything, tuned.n_trees)
