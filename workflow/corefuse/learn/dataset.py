"""The training set: spectra of all structures, augmented, with labels and groups."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from corefuse.config import Dataset as DatasetSettings
from corefuse.core.edge_table import EdgeTable
from corefuse.core.edges import shift_std_name, split_modality
from corefuse.core.errors import InputError
from corefuse.core.targets import TARGET_TABLE
from corefuse.learn.augment import noisy_views, view_rng
from corefuse.learn.matrix import energy_dim


@dataclass(frozen=True)
class Assembled:
    """What the dataset stage leaves behind."""

    dataset: xr.Dataset  # dimension sample; see the contract of dataset.nc
    failed: pd.DataFrame  # structure_id, reason


def assemble(
    spectra: Mapping[str, xr.Dataset],
    index: pd.DataFrame,
    settings: DatasetSettings,
    modalities: Sequence[str],
    edge_table: EdgeTable,
) -> Assembled:
    """Join spectra and labels, one sample a noisy view.

    Parameters
    ----------
    spectra
        structure_id -> its spectra (``spectra/<structure_id>.nc``).
    index
        ``structures/index.csv``.
    settings
        Seed, views, augmentation and the parents held out.
    modalities
        Modality ids to put in.
    edge_table
        Axis, window and continuum of every edge.

    Returns
    -------
    The dataset, samples ordered by structure and view, and the structures that failed
    (held-out ones too).

    Raises
    ------
    InputError
        If a held-out parent is unknown, no structure is left, or a structure's spectra are on
        another axis than their edge's.
    """
    _check_holdout(index, settings)
    index = index.reindex(columns=list(dict.fromkeys([*index.columns, "grade", *TARGET_TABLE])))
    index = index.assign(grade=index.grade.fillna(index.parent_id))
    failed = _failures(spectra, index)
    # The same crystal under two names, as in cells of two sizes, is one group.
    index = index.assign(group=index.groupby("arrangement").parent_id.transform("first"))
    held_out = set(index.group[index.parent_id.isin(settings.holdout_parents)])
    usable = index[~index.group.isin(held_out) & ~index.structure_id.isin(failed.structure_id)]
    if usable.empty:
        raise InputError(
            "config",
            "dataset.holdout_parents",
            f"no structure is left to train on ({len(failed)} of {len(index)} failed)",
            "hold out fewer parents, or see failed.csv",
        )
    usable, spectra = _with_mixtures(usable, spectra, settings, modalities)
    samples = usable.loc[usable.index.repeat(settings.views)]
    arrays = {
        m: (("sample", energy_dim(m)), _augmented(spectra, usable, settings, m, edge_table))
        for m in modalities
    }
    first = spectra[usable.structure_id.iloc[0]]
    coords = {energy_dim(m): first[energy_dim(m)].to_numpy() for m in modalities}
    names = {
        "structure_id": samples.structure_id.to_numpy(object),
        "group": samples.group.to_numpy(object),
        "grade": samples.grade.to_numpy(object),
        "view": np.tile(np.arange(settings.views), len(usable)),
    }
    labels = {name: ("sample", values) for name, values in _labels(samples).items()}
    dataset = xr.Dataset(
        arrays | labels,
        coords | {name: ("sample", values) for name, values in names.items()},
        {"modalities": json.dumps(list(modalities)), "settings": settings.model_dump_json()},
    )
    return Assembled(dataset, failed)


def table(dataset: xr.Dataset) -> pd.DataFrame:
    """The dataset without its spectra, one row per sample: ``dataset.csv``."""
    wanted = ["structure_id", "group", "view", *TARGET_TABLE]
    return pd.DataFrame({name: dataset[name].to_numpy() for name in wanted})


def _check_holdout(index: pd.DataFrame, settings: DatasetSettings) -> None:
    parents = sorted(set(index.parent_id))
    for name in settings.holdout_parents:
        if name not in parents:
            close = get_close_matches(name, parents, n=1)
            raise InputError(
                "config",
                "dataset.holdout_parents",
                f"no parent structure is called {name!r}",
                f"did you mean {close[0]!r}?" if close else f"known: {', '.join(parents)}",
            )


def _failures(spectra: Mapping[str, xr.Dataset], index: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for structure_id in index.structure_id:
        if structure_id not in spectra:
            rows.append((structure_id, "no spectra"))
        elif spectra[structure_id].attrs["status"] != "ok":
            rows.append((structure_id, spectra[structure_id].attrs["reason"]))
    return pd.DataFrame(rows, columns=["structure_id", "reason"])


def _with_mixtures(
    usable: pd.DataFrame,
    spectra: Mapping[str, xr.Dataset],
    settings: DatasetSettings,
    modalities: Sequence[str],
) -> tuple[pd.DataFrame, Mapping[str, xr.Dataset]]:
    """Add mixtures of two structures of one parent to index rows and spectra.

    A beam sees many particles, and those of an electrode differ in charge: spectra of one grade add
    up with the shares of its formula units, and so do its contents. A mixture has a defect where
    one of its parts has it.
    """
    rows, mixed = [], {}
    for _, family in usable.groupby("parent_id"):
        for number in range(settings.mixtures * len(family) if len(family) > 1 else 0):
            rng = view_rng(settings.seed, str(family.parent_id.iloc[0]), number, "mixture")
            first, second = (family.iloc[i] for i in rng.choice(len(family), 2, replace=False))
            share = rng.random()
            row = first.copy()
            row["structure_id"] = f"{first.parent_id}-mixture{number}"
            for name, entry in TARGET_TABLE.items():
                row[name] = entry.mix(share, first, second)
            names = [*modalities, *(shift_std_name(m) for m in modalities)]
            a, b = (spectra[r.structure_id] for r in (first, second))
            a, b = (part[[n for n in names if n in part]] for part in (a, b))
            mixed[row["structure_id"]] = share * a + (1 - share) * b
            rows.append(row)
    if not rows:
        return usable, spectra
    together = pd.concat([usable, pd.DataFrame(rows)], ignore_index=True)
    return together.sort_values("structure_id", ignore_index=True), {**spectra, **mixed}


def _augmented(
    spectra: Mapping[str, xr.Dataset],
    usable: pd.DataFrame,
    settings: DatasetSettings,
    modality: str,
    edge_table: EdgeTable,
) -> NDArray[np.float32]:
    """Return all views of one modality, shape (sample, energy)."""
    dim = energy_dim(modality)
    entry = edge_table[split_modality(modality)[0].name]
    energy_ev = entry.grid.energies_ev
    views = []
    for structure_id in usable.structure_id:
        spectrum = spectra[structure_id][modality]
        if spectrum.shape != energy_ev.shape or not np.allclose(spectrum[dim], energy_ev):
            raise InputError(
                f"spectra/{structure_id}.nc",
                dim,
                "another energy grid than resources/edges.yaml",
                "delete the file and run the spectra stage again",
            )
        rngs = [
            view_rng(settings.seed, structure_id, view, modality) for view in range(settings.views)
        ]
        moves_ev = gain_moves_ev(spectra[structure_id], structure_id, modality, settings)
        views.append(noisy_views(spectrum.to_numpy(), entry, settings, rngs, moves_ev))
    return np.concatenate(views)


def gain_moves_ev(
    spectra: xr.Dataset, structure_id: str, modality: str, settings: DatasetSettings
) -> list[float]:
    """By how much each view is displaced for a gain drawn from its uncertainty.

    Techniques share the gain of an edge. It is drawn anew for every view, so that a model cannot
    learn it, and what it does not know of it is in the errors that its intervals are made of.
    """
    std_ev = float(spectra.get(shift_std_name(modality), 0.0))
    edge = split_modality(modality)[0].id
    return [
        std_ev * view_rng(settings.seed, structure_id, view, f"{edge}|gain").normal()
        for view in range(settings.views)
    ]


def _labels(samples: pd.DataFrame) -> dict[str, NDArray[np.generic]]:
    """Every target (sample,); NaN where a structure does not say."""
    return {name: samples[name].to_numpy(float) for name in TARGET_TABLE}
