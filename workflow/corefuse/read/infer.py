"""Read a specimen: from its spectra to numbers, with intervals and an honest "don't know"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
import xarray as xr

from corefuse.config import Sample
from corefuse.core.errors import InputError
from corefuse.core.targets import TARGET_TABLE, truth
from corefuse.learn.conformal import (
    Interval,
    class_interval,
    groups_needed,
    residual_quantile,
    value_interval,
)
from corefuse.learn.domain import Domain, Judgement, load_domains
from corefuse.learn.models import Model, load_models

ANSWER = ["prediction", "low", "high", "level", "probability", "interval_unbounded"]
FAMILIARITY = ["in_domain", "domain_score", "domain_threshold"]
COLUMNS = ["target", "kind", *ANSWER, *FAMILIARITY, "subset", "modalities", "verdict", "note"]
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
    One row a target, columns ``COLUMNS``. ``low`` and ``high`` bound the value, or, for classes,
    the labels that can't be excluded. ``verdict`` is ``ok``, ``uncertain`` (``note`` says why) or
    ``out_of_domain``.

    Raises
    ------
    InputError
        If no model knows any of the modalities, or a spectrum is on another grid.
    """
    known = {m for by in library.models.values() for model in by.values() for m in model.card.grids}
    if sample and not known & set(sample):
        raise InputError(
            "sample",
            "spectra",
            f"no model was trained on {', '.join(sample)}",
            f"measure one of {', '.join(sorted(known))}",
        )
    rows = [
        _row(target, library, sample, confidence, ill_fitted)
        for target in TARGET_TABLE
        if target in library.models
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


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
    """Labels of a simulated sample by its structure id; contents of a measured one as told."""
    rows = index[index.structure_id == sample]
    if rows.empty:
        return {f"x_{element.lower()}": content for element, content in composition.items()}
    return truth(rows.iloc[0].to_dict())


def series(samples: Iterable[Sample], read: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """What was read in the samples of every series, one row each, in the order of their voltage.

    ``read`` has the table of :func:`infer` by sample. Open circuit has no voltage and comes first;
    a series without voltages keeps its order, which ``number`` counts from 1.
    """
    rows: list[dict[str, object]] = []
    for sample in samples:
        if sample.series:
            li = read[sample.name].set_index("target").loc["x_li"]
            number = sum(row["series"] == sample.series for row in rows) + 1
            known = {"series": sample.series, "sample": sample.name, "number": number}
            known["voltage"] = sample.voltage
            names = ["prediction", "low", "high", "in_domain", "domain_score", "verdict"]
            rows.append(known | li[names].to_dict())
    table = pd.DataFrame(rows).astype({"voltage": float})
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


def _row(
    target: str,
    library: Library,
    sample: Mapping[str, xr.DataArray],
    confidence: float,
    ill_fitted: Mapping[str, str],
) -> dict[str, object]:
    model = choose(library.models[target], set(sample))
    if model is None:
        note = "no model for these edges alone" if sample else "no spectra"
        return {"target": target, "verdict": "uncertain", "note": note}
    return _predict(model, library.domains[model.card.subset], sample, confidence, ill_fitted)


def _predict(
    model: Model,
    domain: Domain,
    sample: Mapping[str, xr.DataArray],
    confidence: float,
    ill_fitted: Mapping[str, str],
) -> dict[str, object]:
    card = model.card
    quantile = np.inf if card.not_learnable else residual_quantile(card.residuals, confidence)
    possible = TARGET_TABLE[card.target].possible
    value = float(np.clip(model.predict(sample), *possible))
    is_class = card.kind == "class"
    interval = (
        class_interval(value, quantile) if is_class else value_interval(value, quantile, possible)
    )
    judgement = domain.judge(sample)
    doubts = [f"{m}: {why}" for m, why in ill_fitted.items() if m in card.grids]
    doubts += _doubts(model, interval, confidence)
    return {
        "target": card.target,
        "kind": card.kind,
        "prediction": float(value >= 0.5) if is_class else value,
        "low": interval.low,
        "high": interval.high,
        "level": confidence,
        "probability": value if is_class else np.nan,
        "interval_unbounded": interval.unbounded,
        "in_domain": judgement.in_domain,
        "domain_score": judgement.score,
        "domain_threshold": judgement.threshold,
        "subset": card.subset,
        "modalities": " ".join(card.modalities),
        "verdict": _verdict(judgement, doubts),
        "note": "; ".join([*_where(judgement), *doubts, *_weak_threshold(domain)]),
    }


def _verdict(judgement: Judgement, doubts: list[str]) -> str:
    if not judgement.in_domain:
        return "out_of_domain"
    return "uncertain" if doubts else "ok"


def _doubts(model: Model, interval: Interval, confidence: float) -> list[str]:
    """Why a prediction should not be relied on, however familiar the spectra look."""
    card, doubts = model.card, []
    if card.not_learnable:
        return [card.not_learnable]
    if interval.unbounded:
        doubts.append(
            f"{len(card.residuals)} parents are too few for a {confidence:.0%} interval "
            f"({groups_needed(confidence)} needed)"
        )
    elif card.kind == "class" and interval.low != interval.high:
        doubts.append(f"neither label can be excluded at {confidence:.0%}")
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


def _where(judgement: Judgement) -> list[str]:
    if judgement.in_domain:
        return []
    places = ", ".join(f"{m} {e:.1f} eV" for m, e, _ in judgement.disagreement)
    return [f"unlike the training spectra, most at {places}"]
