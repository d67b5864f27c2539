"""Nested, grouped cross-validation and the final models of one target.

For every subset of modalities three models are scored on the same outer folds: xgboost, the
baseline (mean or prior) and the recipe of Jia et al. (2026). Each is refitted from nothing in
every fold; the final xgboost model repeats its whole fit, search included, on all samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from corefuse.config import Target
from corefuse.config import Train as TrainSettings
from corefuse.core.spectrum import EnergyGrid
from corefuse.core.targets import TARGET_TABLE
from corefuse.learn.boosting import (
    Boosted,
    boosted_constant,
    fit_boosted,
    fit_constant,
    fit_jia,
)
from corefuse.learn.content import columns_hash
from corefuse.learn.curve import CURVE_COLUMNS, learning_curve
from corefuse.learn.harder import SPLITS, folds_of
from corefuse.learn.kept import Kept, SubsetResult
from corefuse.learn.matrix import grids_of, matrix
from corefuse.learn.models import Card, Model, Score, versions
from corefuse.learn.scores import SELECTION_METRIC, kind_of, score
from corefuse.learn.splits import Fold, grouped_folds
from corefuse.learn.tuning import Samples

METRIC_COLUMNS = [
    "target",
    "modalities",
    "model",
    "metric",
    "value",
    "ci_low",
    "ci_high",
    "n_groups",
    "note",
    *(f"{split}{part}" for split in SPLITS for part in ("", "_low", "_high")),
]
SAMPLE_COLUMNS = ["structure_id", "group", "view", "fold", "truth", "prediction"]
LEARNING_COLUMNS = ["target", "modalities", *CURVE_COLUMNS]
OUT_OF_FOLD_COLUMNS = ["target", "modalities", "model", *SAMPLE_COLUMNS]


class Fitted(Protocol):
    """Anything that predicts."""

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Values or probabilities, shape (n,), of features (n, p)."""


Fit = Callable[[Samples, int], Fitted]  # samples, seed


@dataclass(frozen=True)
class TargetResult:
    """What training on one target leaves behind."""

    target: Target
    metrics: pd.DataFrame  # METRIC_COLUMNS
    out_of_fold: pd.DataFrame  # OUT_OF_FOLD_COLUMNS: one row per sample, subset and model
    curve: pd.DataFrame  # LEARNING_COLUMNS, of the largest subset
    models: dict[str, Model]  # subset -> final model
    not_learnable: str | None  # why all models are the mean or prior, if so


@dataclass(frozen=True)
class _Task:
    """One target of one dataset, with the outer folds all its models share."""

    dataset: xr.Dataset
    target: Target
    truth: NDArray[np.float64]
    groups: NDArray[np.str_]
    structures: NDArray[np.str_]
    folds: list[Fold]
    settings: TrainSettings
    n_threads: int
    unknown: str | None = None  # why the truth is not known of enough structures, if so

    @property
    def kind(self) -> str:
        return kind_of(self.target)

    @property
    def fold(self) -> NDArray[np.intp]:
        """Number of the fold each sample is tested in."""
        out = np.empty(len(self.truth), int)
        for k, (_, test) in enumerate(self.folds):
            out[test] = k
        return out

    @property
    def not_learnable(self) -> str | None:
        if self.unknown:
            return self.unknown
        if np.ptp(self.truth) == 0:
            return f"{self.target} is {self.truth[0]:g} in every structure"
        if any(np.ptp(self.truth[train]) == 0 for train, _ in self.folds):
            return f"{self.target} varies in too few parents: some fold trains on one value only"
        return None

    def samples(self, modalities: Sequence[str]) -> Samples:
        x = matrix(self.dataset, modalities)
        return Samples(x, self.truth, self.groups, self.structures)


def train_target(
    dataset: xr.Dataset,
    target: Target,
    subsets: Mapping[str, Sequence[str]],
    settings: TrainSettings,
    n_threads: int = 1,
    kept: Kept | None = None,
) -> TargetResult:
    """Train and score one target on every subset of modalities.

    Parameters
    ----------
    dataset
        Contract of dataset.nc.
    target
        Label to learn.
    subsets
        Subset name -> modality ids.
    settings
        Folds, search, bootstrap.
    n_threads
        Threads of xgboost.
    kept
        Finished subsets of an earlier run: those whose columns are the same are not trained again.

    Returns
    -------
    Metrics, out-of-fold predictions and final models. A target that does not vary, or hardly, has
    the baseline's scores only, and models that repeat it.

    Raises
    ------
    InputError
        If there are fewer groups than outer or inner folds.
    """
    task = _task(dataset, target, settings, n_threads)
    largest = max(subsets, key=lambda name: len(subsets[name]))
    results = {
        subset: _kept_or_trained(task, subset, modalities, subset == largest, kept)
        for subset, modalities in subsets.items()
    }
    return TargetResult(
        target,
        pd.concat([r.metrics for r in results.values()], ignore_index=True),
        pd.concat([r.out_of_fold for r in results.values()], ignore_index=True),
        results[largest].curve,
        {subset: r.model for subset, r in results.items()},
        task.not_learnable,
    )


def _kept_or_trained(
    task: _Task, subset: str, modalities: Sequence[str], with_curve: bool, kept: Kept | None
) -> SubsetResult:
    digest = columns_hash(task.dataset, task.target, modalities)
    digest += "-curve" if with_curve else ""
    if kept and (found := kept.get(subset, digest)):
        return found
    result = _train_subset(task, subset, modalities, with_curve)
    if kept:
        kept.put(subset, digest, result)
    return result


def _task(dataset: xr.Dataset, target: Target, settings: TrainSettings, n_threads: int) -> _Task:
    """Structures that do not say what the target is (NaN) are left out.

    Where too few are left, all stay with the middle of what is possible: nothing can be learned.
    """
    truth = dataset[target].to_numpy().astype(float)
    known, unknown = np.isfinite(truth), None
    if not known.all():
        parents = len(np.unique(dataset["group"].to_numpy()[known].astype(str)))
        if parents * (settings.outer_folds - 1) < settings.inner_folds * settings.outer_folds or (
            parents < settings.outer_folds
        ):
            unknown = f"{target} is known of {parents} parents only"
            truth = np.full(truth.shape, np.mean(TARGET_TABLE[target].possible))
        else:
            dataset, truth = dataset.isel(sample=known), truth[known]
    groups = dataset["group"].to_numpy().astype(str)
    return _Task(
        dataset,
        target,
        truth,
        groups,
        dataset["structure_id"].to_numpy().astype(str),
        grouped_folds(groups, truth, settings.outer_folds, settings.seed),
        settings,
        n_threads,
        unknown,
    )


def cross_predict(
    samples: Samples, fit: Fit, folds: Sequence[Fold], seed: int
) -> NDArray[np.float64]:
    """Predict every sample by a model fitted on the other folds, shape (sample,)."""
    out = np.empty(len(samples.truth))
    for k, (train, test) in enumerate(folds):
        out[test] = fit(samples.take(train), seed + 1 + k).predict(samples.x[test])
    return out


def _train_subset(
    task: _Task, subset: str, modalities: Sequence[str], with_curve: bool
) -> SubsetResult:
    samples = task.samples(modalities)
    grids = grids_of(task.dataset, modalities)
    ours: Fit = partial(_fit_boosted, task, grids)
    fits: dict[str, Fit] = {"baseline": lambda some, _: fit_constant(some)}
    if not task.not_learnable:
        fits = {"xgboost": ours, **fits, "jia2026": partial(_fit_jia, task, grids)}
    seed = task.settings.seed
    predictions = {
        name: cross_predict(samples, fit, task.folds, seed) for name, fit in fits.items()
    }
    metrics = _score_all(task, subset, predictions)
    for split in SPLITS:
        metrics = _with_split(task, split, metrics, samples, fits)
    final = _fit_boosted(task, grids, samples, seed)
    delivered = predictions.get("xgboost", predictions["baseline"])
    card = _card(task, modalities, subset, grids, delivered, metrics, final)
    curve = pd.DataFrame(columns=LEARNING_COLUMNS)
    if with_curve and not task.not_learnable:
        curve = _curve(task, samples, ours, delivered)
        curve = curve.assign(target=task.target, modalities=subset)[LEARNING_COLUMNS]
    return SubsetResult(
        metrics[METRIC_COLUMNS],
        _out_of_fold(task, subset, predictions),
        curve,
        Model(final.booster, card),
    )


def _with_split(
    task: _Task, split: str, metrics: pd.DataFrame, samples: Samples, fits: Mapping[str, Fit]
) -> pd.DataFrame:
    """Columns of a harder split beside the scores; NaN where its folds cannot be trained on."""
    folds = folds_of(split, task.dataset, task.truth, task.settings.outer_folds, task.settings.seed)
    trainable = all(
        np.ptp(task.truth[train]) > 0
        and len(np.unique(task.groups[train])) >= task.settings.inner_folds
        for train, _ in folds
    )
    names = [split, f"{split}_low", f"{split}_high"]
    if not folds or not trainable or task.not_learnable:
        return metrics.assign(**dict.fromkeys(names, np.nan))
    fold = np.empty(len(task.truth), int)
    for k, (_, test) in enumerate(folds):
        fold[test] = k
    scored = [
        _scored(task, cross_predict(samples, fit, folds, task.settings.seed), fold).assign(
            model=name
        )
        for name, fit in fits.items()
    ]
    table = pd.concat(scored)[["model", "metric", "value", "ci_low", "ci_high"]]
    renamed = table.rename(columns=dict(zip(["value", "ci_low", "ci_high"], names, strict=True)))
    return metrics.merge(renamed, on=["model", "metric"], how="left", validate="one_to_one")


def _curve(task: _Task, samples: Samples, fit: Fit, whole: NDArray[np.float64]) -> pd.DataFrame:
    seed = task.settings.seed
    return learning_curve(
        samples,
        task.folds,
        whole,
        lambda some, folds: cross_predict(some, fit, folds, seed),
        lambda prediction: _scored(task, prediction, task.fold),
        task.settings.inner_folds,
        seed,
    )


def _fit_boosted(task: _Task, grids: dict[str, EnergyGrid], samples: Samples, seed: int) -> Boosted:
    if task.not_learnable:
        return boosted_constant(samples, grids, task.kind)
    return fit_boosted(samples, grids, task.kind, task.settings, seed, task.n_threads)


def _fit_jia(task: _Task, grids: dict[str, EnergyGrid], samples: Samples, seed: int) -> Fitted:
    return fit_jia(samples, grids, task.kind, task.settings, seed, task.n_threads)


def _score_all(
    task: _Task, subset: str, predictions: Mapping[str, NDArray[np.float64]]
) -> pd.DataFrame:
    scored = [
        _scored(task, prediction, task.fold).assign(model=name)
        for name, prediction in predictions.items()
    ]
    table = pd.concat(scored, ignore_index=True)
    if task.unknown:  # of a truth that nobody knows there is no error
        table = table.assign(value=np.nan, ci_low=np.nan, ci_high=np.nan, note=task.unknown)
    return table.assign(target=task.target, modalities=subset)


def _scored(task: _Task, prediction: NDArray[np.float64], fold: NDArray[np.intp]) -> pd.DataFrame:
    s = task.settings
    return score(
        task.truth, prediction, task.groups, fold, task.kind, s.bootstrap, s.confidence, s.seed
    )


def _out_of_fold(
    task: _Task, subset: str, predictions: Mapping[str, NDArray[np.float64]]
) -> pd.DataFrame:
    tables = [
        pd.DataFrame(
            {
                "target": task.target,
                "modalities": subset,
                "model": name,
                "structure_id": task.structures,
                "group": task.groups,
                "view": task.dataset["view"].to_numpy(),
                "fold": task.fold,
                "truth": task.truth,
                "prediction": prediction,
            }
        )
        for name, prediction in predictions.items()
    ]
    return pd.concat(tables, ignore_index=True)[OUT_OF_FOLD_COLUMNS]


def _card(
    task: _Task,
    modalities: Sequence[str],
    subset: str,
    grids: dict[str, EnergyGrid],
    prediction: NDArray[np.float64],
    metrics: pd.DataFrame,
    final: Boosted,
) -> Card:
    residuals = abs(task.truth - prediction).round(6)
    return Card(
        target=task.target,
        kind=task.kind,
        subset=subset,
        grids=grids,
        recipe=final.recipe,
        linear=final.linear,
        n_features=final.booster.num_features(),
        parameters=final.parameters,
        choices=final.choices,
        calibration=final.platt,
        residuals={g: residuals[task.groups == g].tolist() for g in np.unique(task.groups)},
        scores=_worst_score(task) if task.unknown else _card_scores(metrics),
        confidence=task.settings.confidence,
        not_learnable=task.not_learnable,
        n_samples=len(task.truth),
        n_structures=len(np.unique(task.structures)),
        n_groups=len(np.unique(task.groups)),
        columns_sha256=columns_hash(task.dataset, task.target, modalities),
        versions=versions(),
    )


def _worst_score(task: _Task) -> dict[str, Score]:
    """The largest error that the middle of what is possible can have, where no truth is known."""
    low, high = TARGET_TABLE[task.target].possible
    half = (high - low) / 2
    worst = half**2 if task.kind == "class" else half
    score_of = {"ci_low": None, "ci_high": None, "note": task.unknown, "baseline": worst}
    return {SELECTION_METRIC[task.kind]: Score(value=worst, **score_of)}


def _card_scores(metrics: pd.DataFrame) -> dict[str, Score]:
    columns = ["value", "ci_low", "ci_high", "note"]
    by_model = {name: table.set_index("metric") for name, table in metrics.groupby("model")}
    baseline = by_model["baseline"]
    ours = by_model.get("xgboost", baseline)[columns].assign(baseline=baseline["value"])
    return {
        metric: Score(**{k: None if pd.isna(v) else v for k, v in values.items()})
        for metric, values in ours.to_dict("index").items()
    }
