"""What measuring more edges together is worth: gains with paired intervals over parents.

All subsets of a target are scored on the same outer folds, so two of them differ by the same
parents: the interval is that of the difference, from resamples of whole parents that both share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from corefuse.core.targets import TARGET_TABLE
from corefuse.learn.scores import paired_gain
from corefuse.learn.splits import grouped_folds
from corefuse.learn.tuning import FIRST_TRIAL, FIXED, OBJECTIVES

GAIN_COLUMNS = ["target", "subset", "best_single", "metric", "value", "single", "gain"]
NEXT_COLUMNS = ["target", "measured", "next", "metric", "value", "gain"]
INTERVAL = ["ci_low", "ci_high", "n_groups"]
LEAK_COLUMNS = ["target", "metric", "value", "baseline", "gain", *INTERVAL, "leaks"]

TITLES = {
    "gains": ("Edges together", "Fall of the error against the best single edge."),
    "next_edge": ("Which edge to measure next", "Fall of the error by one more edge."),
    "leaks": ("Label leaks", "A defect guessed from the other labels, without any spectrum."),
}
Subsets = Mapping[str, Sequence[str]]


def gains(
    predictions: pd.DataFrame, subsets: Subsets, resamples: int, confidence: float, seed: int
) -> pd.DataFrame:
    """Gain of every subset of several modalities over the best of them alone.

    Parameters
    ----------
    predictions
        Out-of-fold predictions of all targets and subsets (``predictions.csv``).
    subsets
        Subset name -> modality ids.
    resamples, confidence, seed
        Of the bootstrap over parents.

    Returns
    -------
    Columns ``GAIN_COLUMNS`` and ``INTERVAL``. ``gain`` is the fall of the error (rmse or brier);
    an interval above zero says that the edges together beat the best single one. The best single
    edge is chosen by the same scores, which makes the gain a cautious one.
    """
    rows = []
    for target, table in _of_models(predictions):
        alone = {next(iter(ms)): name for name, ms in subsets.items() if len(ms) == 1}
        for name, modalities in subsets.items():
            single = [alone[m] for m in modalities if m in alone]
            if len(modalities) < 2 or not single or name not in table:
                continue
            known = _truth(table[name])
            errors = {s: _error(table[s].prediction.to_numpy(), known) for s in single}
            best = min(errors, key=errors.__getitem__)
            found = _gain(table[best], table[name], target, resamples, confidence, seed)
            rows.append({"target": target, "subset": name, "best_single": best} | found)
    table = pd.DataFrame(rows, columns=[*GAIN_COLUMNS[:4], "value", "before", "gain", *INTERVAL])
    return table.rename(columns={"before": "single"})[[*GAIN_COLUMNS, *INTERVAL]]


def next_edges(
    predictions: pd.DataFrame, subsets: Subsets, resamples: int, confidence: float, seed: int
) -> pd.DataFrame:
    """For what is measured already, what each further modality is expected to add.

    Returns
    -------
    Columns ``NEXT_COLUMNS`` and ``INTERVAL``, the largest gain of each target and measured subset
    first. Pairs are those of which both subsets were trained.
    """
    by_content = {frozenset(ms): name for name, ms in reversed(subsets.items())}
    rows = []
    for target, table in _of_models(predictions):
        for content, name in by_content.items():
            for more, larger in by_content.items():
                added = more - content
                if not (content < more and len(added) == 1) or not {name, larger} <= set(table):
                    continue
                found = _gain(table[name], table[larger], target, resamples, confidence, seed)
                rows.append({"target": target, "measured": name, "next": min(added)} | found)
    out = pd.DataFrame(rows, columns=[*NEXT_COLUMNS, *INTERVAL])
    return out.sort_values(
        ["target", "measured", "gain"], ascending=[True, True, False], ignore_index=True
    )


def label_leaks(
    labels: pd.DataFrame, folds: int, resamples: int, confidence: float, seed: int
) -> pd.DataFrame:
    """Can a defect be guessed from the composition and from the other defect alone?

    Then a model of the spectra may read the design of the library in place of the defect.

    Parameters
    ----------
    labels
        One row per structure: group and the targets.
    folds, resamples, confidence, seed
        Grouped folds, and the bootstrap over parents.

    Returns
    -------
    Columns ``LEAK_COLUMNS``, one row per target of a defect: the error of boosted trees or of a
    ridge line, whichever is smaller, that of the mean, and whether the interval of the gain lies
    above zero.
    """
    rows = []
    for target, entry in TARGET_TABLE.items():
        others = [t for t, e in TARGET_TABLE.items() if e.defect != entry.defect and not e.derived]
        if entry.defect is None or target not in labels:
            continue
        known = labels[np.isfinite(labels[target].astype(float))]
        if known.group.nunique() < folds or known[target].nunique() < 2:
            continue
        x = known[others].to_numpy(np.float32)
        y, groups = known[target].to_numpy(float), known.group.to_numpy().astype(str)
        mean, guesses = np.empty(len(y)), {"trees": np.empty(len(y)), "line": np.empty(len(y))}
        for train, test in grouped_folds(groups, y, folds, seed):
            mean[test] = y[train].mean()
            guesses["trees"][test] = _trees(x[train], y[train], x[test], entry.kind, seed)
            line = Ridge().fit(np.nan_to_num(x[train]), y[train])
            guesses["line"][test] = np.clip(line.predict(np.nan_to_num(x[test])), *entry.possible)
        best = min(guesses.values(), key=lambda guess: _error(guess, y))
        gain = paired_gain(y, mean, best, groups, entry.kind, resamples, confidence, seed)
        leaks = bool(gain["ci_low"] > 0)
        found = gain | {"baseline": gain.pop("before"), "target": target, "leaks": leaks}
        rows.append(found)
    return pd.DataFrame(rows, columns=LEAK_COLUMNS)


def _trees(
    x: NDArray[np.float32], y: NDArray[np.float64], at: NDArray[np.float32], kind: str, seed: int
) -> NDArray[np.float64]:
    import xgboost as xgb

    parameters = FIXED | FIRST_TRIAL | {"objective": OBJECTIVES[kind], "seed": seed, "nthread": 1}
    booster = xgb.train(parameters | {"colsample_bytree": 1.0}, xgb.DMatrix(x, y), 50)
    return booster.predict(xgb.DMatrix(at)).astype(float)


def _of_models(predictions: pd.DataFrame) -> list[tuple[str, dict[str, pd.DataFrame]]]:
    """Target -> subset -> predictions of our model, rows in one order for all subsets."""
    ours = predictions[predictions.model == "xgboost"]
    order = ["structure_id", "view"]
    return [
        (
            str(target),
            {
                str(name): rows.sort_values(order, ignore_index=True)
                for name, rows in table.groupby("modalities")
            },
        )
        for target, table in ours.groupby("target", sort=False)
    ]


def _gain(
    before: pd.DataFrame,
    after: pd.DataFrame,
    target: str,
    resamples: int,
    confidence: float,
    seed: int,
) -> dict[str, object]:
    return paired_gain(
        _truth(after),
        before.prediction.to_numpy(),
        after.prediction.to_numpy(),
        after.group.to_numpy().astype(str),
        TARGET_TABLE[target].kind,
        resamples,
        confidence,
        seed,
    )


def _truth(table: pd.DataFrame) -> NDArray[np.float64]:
    return table.truth.to_numpy(float)


def _error(prediction: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    return float(((prediction - truth) ** 2).mean())
