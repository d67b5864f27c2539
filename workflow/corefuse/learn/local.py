"""Local answers: a dataset of single sites, and models of their surroundings.

A measured spectrum is the mean over all sites of an element. A model of single sites answers for
that mean in two ways, which are scored beside each other: the mean of its predictions for all
sites, and its prediction for the mean spectrum. Only the second can be had from a measurement,
unless the spectrum is site-resolved or selective.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from pymatgen.core import Structure

from corefuse.config import Spectra, Train
from corefuse.core.edge_table import EdgeTable
from corefuse.core.edges import split_modality
from corefuse.core.files import read_netcdf
from corefuse.learn.boosting import fit_boosted, fit_constant
from corefuse.learn.matrix import energy_dim, grids_of
from corefuse.learn.scores import score
from corefuse.learn.splits import grouped_folds
from corefuse.learn.tuning import Samples
from corefuse.spectra import process
from corefuse.spectra.calibration import Calibration
from corefuse.structures import environment

SCORE_COLUMNS = ["modality", "target", "model", "metric", "value", "ci_low", "ci_high", "n_groups"]


@dataclass(frozen=True)
class SiteSpectra:
    """Spectra (site, energy) of one structure at one modality, and the multiplicity of each."""

    structure_id: str
    group: str
    spectra: xr.DataArray
    multiplicity: NDArray[np.float64]
    labels: pd.DataFrame  # one row per site


def of_structures(
    raw_files: Iterable[str | Path],
    structures: Iterable[Structure],
    index: pd.DataFrame,
    modality: str,
    settings: Spectra,
    edge_table: EdgeTable,
    calibration: Calibration,
    mean_valences: Mapping[str, float | None],
) -> Iterator[SiteSpectra]:
    """:func:`of_structure` of every structure whose simulations ended well.

    ``raw_files`` are ``raw/<engine>/<structure_id>.nc``, ``index`` the rows of
    ``structures/index.csv`` by structure id; structures of one ``arrangement`` are one group.
    """
    files_of: dict[str, dict[str, Path]] = {}
    for path in map(Path, raw_files):
        files_of.setdefault(path.stem, {})[path.parent.name] = path
    for structure in structures:
        name = structure.properties["structure_id"]
        raw = {engine: read_netcdf(path) for engine, path in files_of[name].items()}
        if any(run.attrs["status"] != "ok" for run in raw.values()):
            continue
        found = of_structure(
            raw,
            structure,
            str(index.loc[name, "arrangement"]),
            modality,
            settings,
            edge_table,
            calibration,
            mean_valences[name],
        )
        if found:
            yield found


def of_structure(
    raw: Mapping[str, xr.Dataset],
    structure: Structure,
    group: str,
    modality: str,
    settings: Spectra,
    edge_table: EdgeTable,
    calibration: Calibration,
    mean_valence: float | None,
) -> SiteSpectra | None:
    """Calibrated site spectra of a structure with their labels; None where it lacks the element."""
    edge, technique = split_modality(modality)
    channels = process.calibrated_channels(raw, edge.name, settings, calibration, mean_valence)
    if channels is None:
        return None
    spectra = process.site_spectra(
        channels, edge.name, technique, settings, edge_table, calibration
    )
    sites = [int(site) for site in spectra["site"].values]
    return SiteSpectra(
        structure.properties["structure_id"],
        group,
        spectra,
        channels["multiplicity"].values.astype(float),
        environment.table(structure, sites),
    )


def assemble(found: Iterable[SiteSpectra], modality: str) -> xr.Dataset:
    """One row per site: spectrum ``modality`` (sample, energy), structure, group, local targets."""
    parts = list(found)
    dim = energy_dim(modality)
    labels = pd.concat([p.labels for p in parts], ignore_index=True)
    sizes = [len(p.labels) for p in parts]
    arrays = {modality: (("sample", dim), np.concatenate([p.spectra.values for p in parts]))}
    targets = {name: ("sample", labels[name].to_numpy()) for name in environment.LOCAL_TARGETS}
    names = {
        "structure_id": np.repeat([p.structure_id for p in parts], sizes).astype(object),
        "group": np.repeat([p.group for p in parts], sizes).astype(object),
        "site": labels["site"].to_numpy(),
        "multiplicity": np.concatenate([p.multiplicity for p in parts]),
    }
    coords = {name: ("sample", values) for name, values in names.items()}
    energy_ev = parts[0].spectra[dim].to_numpy()
    return xr.Dataset(arrays | targets, coords | {dim: energy_ev}, {"modality": modality})


def scores(dataset: xr.Dataset, target: str, settings: Train, n_threads: int = 1) -> pd.DataFrame:
    """How well a local target is read, on parents never seen.

    Three rows per metric: ``site`` (single sites), ``mean of sites`` (per structure, mean of the
    predictions), ``mean spectrum`` (per structure, prediction of the mean); and ``baseline``, the
    mean of the training sites. Empty where the target does not vary or the parents are too few.
    """
    modality = dataset.attrs["modality"]
    known = dataset.isel(sample=np.isfinite(dataset[target].to_numpy()))
    truth = known[target].to_numpy().astype(float)
    groups = known["group"].to_numpy()
    n_folds = min(settings.outer_folds, len(set(groups)))
    if n_folds <= settings.inner_folds or not len(truth) or np.ptp(truth) == 0:
        return pd.DataFrame(columns=SCORE_COLUMNS)
    folds = grouped_folds(groups, truth, n_folds, settings.seed)
    x, structures = known[modality].to_numpy().astype(np.float32), known["structure_id"].to_numpy()
    predicted = {name: np.empty(len(truth)) for name in ("site", "baseline", "mean spectrum")}
    fold = np.empty(len(truth), int)
    weights = known["multiplicity"].to_numpy()
    for number, (train, test) in enumerate(folds):
        samples = Samples(x, truth, groups, structures).take(train)
        if np.ptp(samples.truth) == 0:
            return pd.DataFrame(columns=SCORE_COLUMNS)
        grids = grids_of(known, [modality])
        model = fit_boosted(samples, grids, "regression", settings, settings.seed, n_threads)
        predicted["site"][test] = model.predict(x[test])
        predicted["baseline"][test] = fit_constant(samples).predict(x[test])
        means = _by_structure(x[test], structures[test], weights[test])
        predicted["mean spectrum"][test] = model.predict(means.astype(np.float32))
        fold[test] = number
    rows = [
        _scored(truth, predicted["site"], groups, fold, settings, "site"),
        _scored(truth, predicted["baseline"], groups, fold, settings, "baseline"),
    ]
    first = np.unique(structures, return_index=True)[1]
    mean_truth = _by_structure(truth[:, None], structures, weights)[:, 0][first]
    of_sites = _by_structure(predicted["site"][:, None], structures, weights)[:, 0][first]
    for name, values in (
        ("mean of sites", of_sites),
        ("mean spectrum", predicted["mean spectrum"][first]),
    ):
        rows.append(_scored(mean_truth, values, groups[first], fold[first], settings, name))
    table = pd.concat(rows, ignore_index=True).assign(modality=modality, target=target)
    return table[SCORE_COLUMNS]


def _scored(
    truth: NDArray[np.float64],
    prediction: NDArray[np.float64],
    groups: NDArray[np.str_],
    fold: NDArray[np.intp],
    settings: Train,
    model: str,
) -> pd.DataFrame:
    args = (truth, prediction, groups, fold, "regression")
    found = score(*args, settings.bootstrap, settings.confidence, settings.seed)
    return found.assign(model=model)


def _by_structure(
    values: NDArray[np.floating], structures: NDArray[np.str_], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Weighted mean over the sites of each structure, in the place of each of its rows."""
    _, member = np.unique(structures, return_inverse=True)
    total = np.zeros((member.max() + 1, values.shape[1]))
    np.add.at(total, member, values * weights[:, None])
    return (total / np.bincount(member, weights)[:, None])[member]
