"""Read a specimen: from its spectra to numbers, with intervals and an honest "don't know"."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from corefuse.core.errors import InputError
from corefuse.core.spectrum import EnergyGrid
from corefuse.core.targets import TARGET_TABLE, truth
from corefuse.learn.conformal import (
    class_interval,
    groups_needed,
    residual_quantile,
    value_interval,
)
from corefuse.learn.domain import Domain, load_domains
from corefuse.learn.matrix import row
from corefuse.learn.models import Card, Model, load_models

ANSWER = ["prediction", "low", "high", "level", "probability", "interval_unbounded"]
FAMILIARITY = ["in_domain", "domain_score", "domain_threshold"]
COLUMNS = ["target", "kind", *ANSWER, *FAMILIARITY, "subset", "modalities", "verdict", "note"]
NUMBERS = tuple(t for t, known in TARGET_TABLE.items() if known.kind != "class")
NUMBERS = tuple(t for t, known in TARGET_TABLE.items() if known.kind != "class")
NOTHING_KNOWN: Mapping[str, float] = MappingProxyType({})
NO_DOUBTS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Library:
    """Everything that was trained."""

    models: dict[str, dict[str, Model]]  # target -> subset -> model
    domains: dict[str, Domain]  # subset -> domain

    @classmethod
    def load(cls, model_files: Iterable[str | Path], domain_files: Iterable[str | Path]) -> Library:
        """Read the named ``models/<target>/<subset>.ubj`` and ``models/domain/<subset>.json``.

        Files are named one by one, so that what an earlier config left in the folder stays out.

        Raises
        ------
        InputError
            If a file is not valid, or a subset has models but no domain.
        """
        models, domains = load_models(model_files), load_domains(domain_files)
        subsets = {subset for by_subset in models.values() for subset in by_subset}
        if missing := sorted(subsets - set(domains)):
            raise InputError("models", "domain", f"no domain for {missing[0]!r}", "train again")
        for by_subset in models.values():
            for subset, model in by_subset.items():
                if model.card.grids != domains[subset].grids:
                    where = f"{model.card.target}/{subset}"
                    problem = "its energies are not those of its domain"
                    raise InputError("models", where, problem, "take both from one training")
        return cls(models, domains)

    @classmethod
    def of_folder(cls, folder: str | Path) -> Library:
        """Everything that is in a ``models`` folder.

        Raises
        ------
        InputError
            There is nothing there, or as :meth:`load`.
        """
        folder = Path(folder)
        found = sorted(folder.glob("*/*.ubj"))
        if not found:
            fix = "give the models folder of a finished run (results/<name>/models)"
            raise InputError(folder, "models", "no trained model (.ubj) is in it", fix)
        return cls.load(found, sorted(folder.glob("domain/*.json")))

    def grids(self) -> dict[str, EnergyGrid]:
        """Modality -> the grid that the models read it on."""
        every = (m.card.grids for by in self.models.values() for m in by.values())
        return {name: grid for grids in every for name, grid in grids.items()}

    def check_knows(self, modalities: Iterable[str]) -> None:
        """Raise InputError where something was measured and no model reads any of it."""
        modalities, known = list(modalities), self.grids()
        if modalities and not set(known) & set(modalities):
            raise InputError(
                "sample",
                "spectra",
                f"no model was trained on {', '.join(modalities)}",
                f"measure one of {', '.join(sorted(known))}",
            )


def infer(
    sample: Mapping[str, xr.DataArray],
    library: Library,
    confidence: float,
    ill_fitted: Mapping[str, str] = NO_DOUBTS,
) -> pd.DataFrame:
    """Predict every target from what was measured.

    Parameters
    ----------
    sample
        Modality -> spectrum on the standard grid with its energy coordinate; any subset of the
        modalities the models know. Nothing at all (a failed simulation) leaves all undecided.
    library
        Trained models and domains.
    confidence
        Level of the intervals.
    ill_fitted
        Modality -> why its place on the energy axis is not known; a prediction that uses it is
        ``uncertain``.

    Returns
    -------
    One row per target, columns ``COLUMNS``. ``low`` and ``high`` bound the value, or, for classes,
    the labels that can't be excluded. ``verdict`` is ``ok``, ``uncertain`` (``note`` says why) or
    ``out_of_domain``.

    Raises
    ------
    InputError
        If no model knows any of the modalities, or a spectrum is on another grid.
    """
    library.check_knows(sample)
    one = rows_of(sample, library.grids())
    doubted = {
        m: replace(r, doubts=((ill_fitted[m],),) if m in ill_fitted else r.doubts)
        for m, r in one.items()
    }
    return infer_many(["sample"], doubted, library, confidence)[COLUMNS]


def of_structure(spectra: xr.Dataset) -> dict[str, xr.DataArray]:
    """A simulated structure as a sample: its modalities, none where its simulation failed."""
    names = [str(n) for n in spectra.data_vars]
    return {
        n.removesuffix("_site_std"): spectra[n.removesuffix("_site_std")]
        for n in names
        if n.endswith("_site_std")
    }


def known_truth(
    index: pd.DataFrame, sample: str, composition: Mapping[str, float] = NOTHING_KNOWN
) -> dict[str, float]:
    """Labels of a simulated sample by its structure id; contents of a measured one as given."""
    rows = index[index.structure_id == sample]
    if rows.empty:
        return {f"x_{element.lower()}": content for element, content in composition.items()}
    return truth(rows.iloc[0].to_dict())


def series(places: Iterable[Mapping[str, object]], answers: pd.DataFrame) -> pd.DataFrame:
    """What was read in the samples of every series, one row each, in the order of their voltage.

    ``places`` has ``series``, ``sample`` and ``voltage`` of each, ``answers`` the table of
    :func:`infer_many`, of which the Li content is taken, else the first number that was predicted.
    Open circuit has no voltage and comes first; a series without voltages keeps its order, which
    ``number`` counts from 1.
    """
    found = pd.DataFrame(list(places)).astype({"voltage": float})
    found["number"] = found.groupby("series").cumcount() + 1
    numbers = [t for t in NUMBERS if (answers.target == t).any()]
    shown = numbers[0] if numbers else answers.target.iloc[0]
    names = ["prediction", "low", "high", "in_domain", "domain_score", "verdict"]
    of_target = answers[answers.target == shown].set_index("sample")[["target", *names]]
    table = found.join(of_target, on="sample", how="inner")
    return table.sort_values(["series", "voltage", "number"], na_position="first").reset_index(
        drop=True
    )


def series_order(table: pd.DataFrame) -> str:
    """Mean prediction at each voltage of every series, and whether Li falls as voltage rises.

    Open circuit counts as the lowest voltage; series without voltages are left out.
    """
    lines = []
    for name, rows in table.groupby("series"):
        if rows.voltage.isna().all():
            continue
        means = rows.groupby(rows.voltage.fillna(-np.inf)).prediction.mean()
        told = ", ".join(
            f"{f'{v:g} V' if np.isfinite(v) else 'pristine'} {x:.2f}" for v, x in means.items()
        )
        order = "follows" if (means.diff().dropna() < 0).all() else "does not follow"
        lines.append(f"{name}: {told}; the order {order} the voltage.")
    return " ".join(lines)


def choose(models: Mapping[str, Model], measured: set[str]) -> Model | None:
    """Choose the model trained on exactly what was measured, else the best on a part of it.

    Best is the smallest cross-validated rmse or brier score; None if every model needs more.
    """
    usable = [m for m in models.values() if set(m.card.grids) <= measured]
    exact = [m for m in usable if set(m.card.grids) == measured]
    return min(exact or usable, key=lambda m: m.card.selection_score.value, default=None)


def rows_of(sample: Mapping[str, xr.DataArray], grids: Mapping[str, EnergyGrid]) -> dict[str, Rows]:
    """One sample without any doubt about its axes, for :func:`infer_many`."""
    return {
        m: Rows(row(sample, {m: grid})[:, None], ((),)) for m, grid in grids.items() if m in sample
    }


@dataclass(frozen=True, eq=False)
class Rows:
    """m spectra of one modality as they are predicted.

    ``values`` (m, 1 + k, grid): each as it is taken, then k times as it may be as well (at other
    shifts, with other noise). ``doubts`` (m) says why it is not to be relied on.
    """

    values: NDArray[np.float32]
    doubts: tuple[tuple[str, ...], ...]


def infer_many(
    names: Sequence[str],
    rows: Mapping[str, Rows],
    library: Library,
    confidence: float,
) -> pd.DataFrame:
    """Predict every target of m samples that were measured at the same edges.

    The interval of a number has the conformal quantile of the model and the spread of the
    predictions over what else the spectra may be, added as independent (in squares).

    Returns
    -------
    One row per sample and target: ``sample``, then as :func:`infer`.
    """
    tables = []
    for target in (t for t in TARGET_TABLE if t in library.models):
        model = choose(library.models[target], set(rows))
        if model is None:
            note = "no model for these edges alone" if rows else "no spectra"
            empty = {"target": target, "verdict": "uncertain", "note": note}
            tables.append(pd.DataFrame([{"sample": n, **empty} for n in names]))
        else:
            domain = library.domains[model.card.subset]
            tables.append(_predict(names, rows, model, domain, confidence))
    order = {name: i for i, name in enumerate(names)}
    found = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["sample"])
    found = found.sort_values("sample", key=lambda s: s.map(order), kind="stable")
    return found.reindex(columns=["sample", *COLUMNS]).reset_index(drop=True)


@dataclass(frozen=True, eq=False)
class Predicted:
    """What one model says of m samples: arrays (m,), and what names the strange energies."""

    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    unbounded: bool
    score: NDArray[np.float64]
    worst: Callable[[int], list[tuple[str, float, float]]]


def predict_arrays(
    x: NDArray[np.float32], model: Model, domain: Domain, confidence: float
) -> Predicted:
    """Values and intervals of features (m, 1 + k, p), see :class:`Rows`."""
    card = model.card
    flat = np.clip(
        model.predict_rows(x.reshape(-1, x.shape[2])), *TARGET_TABLE[card.target].possible
    )
    predicted = flat.reshape(x.shape[:2])
    quantile = np.inf if card.not_learnable else residual_quantile(card.residuals, confidence)
    low, high, unbounded = _intervals(predicted, quantile, confidence, card)
    return Predicted(predicted[:, 0], low, high, unbounded, *domain.judge_rows(x[:, 0]))


def _predict(
    names: Sequence[str],
    rows: Mapping[str, Rows],
    model: Model,
    domain: Domain,
    confidence: float,
) -> pd.DataFrame:
    """One row per sample for one target."""
    card, used = model.card, list(model.card.grids)
    found = predict_arrays(
        np.concatenate([rows[m].values for m in used], axis=2), model, domain, confidence
    )
    is_class = card.kind == "class"
    known = found.score <= domain.threshold
    general, spare = _doubts(model, found.unbounded, confidence), _unused(rows, used)
    open_label = is_class and not found.unbounded
    verdicts, notes = [], []
    for i in range(len(names)):
        doubts = [f"{m}: {why}" for m in used for why in rows[m].doubts[i]] + general
        if open_label and found.low[i] != found.high[i]:
            doubts.append(f"neither label can be excluded at {confidence:.0%}")
        strange = [] if known[i] else _where(found.worst(i))
        verdicts.append("out_of_domain" if not known[i] else "uncertain" if doubts else "ok")
        notes.append("; ".join([*strange, *doubts, *_weak_threshold(domain), *spare]))
    return pd.DataFrame(
        {
            "sample": list(names),
            "target": card.target,
            "kind": card.kind,
            "prediction": (found.value >= 0.5).astype(float) if is_class else found.value,
            "low": found.low,
            "high": found.high,
            "level": confidence,
            "probability": found.value if is_class else np.nan,
            "interval_unbounded": found.unbounded,
            "in_domain": known,
            "domain_score": found.score,
            "domain_threshold": domain.threshold,
            "subset": card.subset,
            "modalities": " ".join(card.modalities),
            "verdict": verdicts,
            "note": notes,
        }
    )


def _intervals(
    predicted: NDArray[np.float64], quantile: float, confidence: float, card: Card
) -> tuple[NDArray[np.float64], NDArray[np.float64], bool]:
    """Bounds (m,) of predictions (m, 1 + k), and whether nothing but physics limits them."""
    taken, tail, spread = predicted[:, 0], (1 - confidence) / 2, None
    if predicted.shape[1] > 1:
        spread = np.quantile(predicted[:, 1:], [tail, 1 - tail], axis=1)
    if card.kind == "class":
        bounds = class_interval(taken, quantile, spread)
    else:
        bounds = value_interval(taken, quantile, TARGET_TABLE[card.target].possible, spread)
    return *bounds, bool(np.isinf(quantile))


def _unused(rows: Mapping[str, Rows], used: Sequence[str]) -> list[str]:
    """Edges that were measured but that the chosen model does not read, and what would."""
    left = [m for m in rows if m not in used]
    if not left:
        return []
    subset = ", ".join(rows)
    return [f"{', '.join(left)} not used: no model reads all edges; add a subset [{subset}]"]


def _doubts(model: Model, unbounded: bool, confidence: float) -> list[str]:
    """Why the predictions of a model should not be relied on, whatever the spectra look like."""
    card, doubts = model.card, []
    if card.not_learnable:
        return [card.not_learnable]
    if unbounded:
        doubts.append(
            f"{len(card.residuals)} parents are too few for a {confidence:.0%} interval "
            f"({groups_needed(confidence)} needed)"
        )
    score = card.selection_score
    if score.ci_high is None or score.ci_high >= score.baseline:
        why = f" ({score.note})" if score.ci_high is None else ""
        doubts.append(f"cross-validation does not show the model to be better than the mean{why}")
    return doubts


def _weak_threshold(domain: Domain) -> list[str]:
    if not domain.threshold_is_largest:
        return []
    needed = groups_needed(domain.accepted)
    return [
        f"the domain's threshold is the largest score of {domain.n_groups} parents left out "
        f"({needed} needed for a {domain.accepted:.0%} quantile)"
    ]


def _where(disagreement: Sequence[tuple[str, float, float]]) -> list[str]:
    places = ", ".join(f"{m} {e:.1f} eV" for m, e, _ in disagreement)
    return [f"unlike the training spectra, most at {places}"]
