"""What measured spectra are laid beside: the simulated ones of a run, and how well such fits go.

One file, ``models/simulated.nc``, belongs to the trained models: with it and them a spectrum can be
read without the run they come from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy.optimize import nnls

from corefuse.config import Dataset, Infer
from corefuse.core.edge_table import EdgeEntry, EdgeTable, from_json, to_json
from corefuse.core.edges import split_modality
from corefuse.core.errors import InputError
from corefuse.core.files import read_netcdf, write_netcdf
from corefuse.learn.augment import noisy_views, view_rng
from corefuse.learn.matrix import energy_dim
from corefuse.read.align import (
    Misfit,
    misfit_of,
    profile,
    relative,
    rigidity,
    steps,
    widths,
)

EVENNESS = 0.03  # weight of even shares against the composition
TRIALS = 48  # structures of parents left out that are fitted for one modality's misfit,
TRIAL_VIEWS = 4  # each in so many views
PAIRED = 6  # structures of a parent that are laid beside each other
TRIAL_STEP_EV, TRIAL_WIDTHS = 0.2, 3
FREE, KNOWN = "free", "composition"  # which spectra an edge is fitted to
SHIFT_KEY, WIDTH_KEY = "max_shift_ev", "max_extra_fwhm_ev"


@dataclass(frozen=True, eq=False)
class Simulated:
    """Spectra and contents of every structure whose simulation ended well.

    ``spectra`` has a modality's (structure, grid) in the order of ``index``, zeros where its
    element is absent; ``misfits`` how parents left out fit the others, by modality and by what
    they are fitted to (``free``: every structure, ``composition``: the mixture of their Li
    content). That chemical shifts are not known better is in the models' own errors: their views
    are moved by it.
    """

    table: EdgeTable
    index: pd.DataFrame
    spectra: dict[str, NDArray[np.float64]]
    misfits: dict[str, dict[str, Misfit]]
    max_shift_ev: float
    max_extra_fwhm_ev: float

    def entry(self, modality: str) -> EdgeEntry:
        """Axis and window of a modality's edge."""
        return self.table[split_modality(modality)[0].name]

    def present(self, modality: str) -> NDArray[np.bool_]:
        """Structures (M,) that hold the element of a modality."""
        return self.spectra[modality].any(axis=1)

    def ensemble(self, modality: str) -> NDArray[np.float64]:
        """Spectra (m, grid) of the structures that hold the element."""
        return self.spectra[modality][self.present(modality)]

    def names(self, modality: str) -> list[str]:
        """Structure ids in the order of :meth:`ensemble`."""
        return self.index.structure_id[self.present(modality)].tolist()

    def of_composition(
        self, composition: Mapping[str, float], modality: str
    ) -> tuple[NDArray[np.float64], float]:
        """Spectrum (grid,) of a composition between the cells, and by how much they miss it.

        See :func:`of_composition`.
        """
        there = self.present(modality)
        element = split_modality(modality)[0].element
        return of_composition(composition, element, self.index[there], self.ensemble(modality))


def assemble(
    spectra: Mapping[str, xr.Dataset],
    index: pd.DataFrame,
    table: EdgeTable,
    dataset: Dataset,
    infer: Infer,
) -> Simulated:
    """Join the spectra of a run (structure id -> ``spectra/<id>.nc``) and measure their misfits.

    The trials are views as the models are trained on (``dataset``), but on the true axis.
    """
    rows = index[index.structure_id.isin(spectra)].reset_index(drop=True)
    usable = [spectra[name] for name in rows.structure_id]
    if not usable:
        raise InputError("spectra", "status", "no simulation ended well", "see failed.csv")
    modalities = [
        str(n).removesuffix("_site_std")
        for n in usable[0].data_vars
        if str(n).endswith("_site_std")
    ]
    made = {m: np.array([d[m].values for d in usable], float) for m in modalities}
    edges = {split_modality(m)[0].name: m for m in modalities}
    out = Simulated(
        {edge: table[edge] for edge in edges},
        rows,
        made,
        {},
        infer.max_shift_ev,
        infer.max_extra_fwhm_ev,
    )
    for modality in modalities:
        out.misfits[modality] = _misfits(out, modality, dataset)
    return out


def save(path: str | Path, simulated: Simulated) -> None:
    """Write ``models/simulated.nc``."""
    arrays = {}
    for modality, spectra in simulated.spectra.items():
        dim = energy_dim(modality)
        at_ev = simulated.entry(modality).grid.energies_ev
        arrays[modality] = xr.DataArray(
            spectra.astype(np.float32), {dim: at_ev}, ("structure", dim)
        )
    for name in simulated.index:
        arrays[f"index_{name}"] = ("structure", simulated.index[name].to_numpy())
    misfits = {
        m: {how: found.model_dump() for how, found in by.items()}
        for m, by in simulated.misfits.items()
    }
    about = {
        "edges": json.dumps(to_json(simulated.table)),
        "misfits": json.dumps(misfits),
        SHIFT_KEY: simulated.max_shift_ev,
        WIDTH_KEY: simulated.max_extra_fwhm_ev,
    }
    write_netcdf(path, xr.Dataset(arrays, attrs=about))


def load(path: str | Path) -> Simulated:
    """Read what :func:`save` wrote.

    Raises
    ------
    InputError
        The file is missing or no such file.
    """
    try:
        held = read_netcdf(path)
        misfits = json.loads(held.attrs["misfits"])
        columns = {
            str(n).removeprefix("index_"): held[n].values
            for n in held.data_vars
            if str(n).startswith("index_")
        }
        return Simulated(
            from_json(json.loads(held.attrs["edges"])),
            pd.DataFrame(columns),
            {m: held[m].values.astype(float) for m in misfits},
            {m: {h: Misfit(**v) for h, v in by.items()} for m, by in misfits.items()},
            float(held.attrs[SHIFT_KEY]),
            float(held.attrs[WIDTH_KEY]),
        )
    except (OSError, KeyError, ValueError) as err:
        problem = f"no simulated spectra beside the models ({type(err).__name__})"
        fix = "give the models folder of a finished run (results/<name>/models)"
        raise InputError(path, "models", problem, fix) from None


def of_composition(
    composition: Mapping[str, float],
    element: str,
    index: pd.DataFrame,
    spectra: NDArray[np.float64],
) -> tuple[NDArray[np.float64], float]:
    """Spectrum (n,) of ``element`` at a composition (atoms per formula unit), and its misfit.

    ``spectra`` (structure, n) are those of ``index``. Elements that are not named may have any
    content. The mixture of pristine structures that has the composition, of many the most even one
    (least squares with weights of no sign but plus, and a small penalty on their squares); each
    counts with its share of absorbing atoms. The misfit is the largest difference between a content
    that was asked for and that of the mixture.
    """
    pristine = (index.defect_class == "pristine").to_numpy()
    rows, spectra = index[pristine], spectra[pristine]
    contents = np.array([np.ones(len(rows)), *(rows[f"x_{e.lower()}"] for e in composition)])
    wanted = np.array([1.0, *composition.values()])
    evenness = EVENNESS * np.eye(len(rows))
    shares, _ = nnls(np.vstack([contents, evenness]), np.r_[wanted, np.zeros(len(rows))])
    absorbers = 2.0 if element == "O" else rows[f"x_{element.lower()}"].to_numpy()
    weights = shares * absorbers
    got = contents @ shares / max(shares.sum(), 1e-12)
    return weights @ spectra / weights.sum(), float(np.abs(got - wanted).max())


def _misfits(simulated: Simulated, modality: str, dataset: Dataset) -> dict[str, Misfit]:
    """How parents left out fit the others: to every structure, and to their own Li content."""
    index = simulated.index[simulated.present(modality)]
    spectra = simulated.ensemble(modality)
    groups = index.groupby("arrangement").parent_id.transform("first").to_numpy()
    chosen = _spread_out(len(spectra))
    views = _views(modality, index, spectra, simulated.entry(modality), dataset)  # (M, view, n)
    free, known = {}, {}
    for group in dict.fromkeys(groups[chosen]):
        own = [i for i in chosen if groups[i] == group]
        others = groups != group
        if not others.any():
            continue
        flat = views[own].reshape(-1, views.shape[2])
        free[group] = _trial(simulated, modality, flat, spectra[others])
        parts = []
        for i in own if (index.defect_class[others] == "pristine").any() else ():
            told = {"Li": float(index.x_li.iloc[i])}
            element = split_modality(modality)[0].element
            mixed, away = of_composition(told, element, index[others], spectra[others])
            if away < 0.05:
                parts.append(_trial(simulated, modality, views[i], mixed[None]))
        if parts:
            known[group] = tuple(np.concatenate(one) for one in zip(*parts, strict=True))
    rigid = rigidity(_pairs(simulated, modality, spectra[chosen], groups[chosen]))
    free_fit = misfit_of(free).model_copy(update={"rigid_per_ev": rigid})
    return {FREE: free_fit, KNOWN: misfit_of(known)}


def _pairs(
    simulated: Simulated,
    modality: str,
    spectra: NDArray[np.float64],
    groups: NDArray[np.object_],
) -> list[tuple[float, float]]:
    """Relative shift and misfit there of pairs of structures of one parent."""
    entry, out = simulated.entry(modality), []
    for group in dict.fromkeys(groups):
        members = spectra[groups == group][:PAIRED]
        for k, one in enumerate(members[:-1]):
            found = relative(
                entry.grid.energies_ev, members[k + 1 :], one, entry, steps(simulated.max_shift_ev)
            )
            out += zip(*(part.tolist() for part in found), strict=True)
    return out


def _spread_out(number: int) -> list[int]:
    return np.unique(np.linspace(0, number - 1, min(number, TRIALS)).round().astype(int)).tolist()


def _views(
    modality: str,
    index: pd.DataFrame,
    spectra: NDArray[np.float64],
    entry: EdgeEntry,
    dataset: Dataset,
) -> NDArray[np.float64]:
    """Distorted views (structure, view, grid) of each spectrum, their axes as they are."""
    true_axis = dataset.model_copy(update={"shift_ev": 0.0})
    out = []
    for name, spectrum in zip(index.structure_id, spectra, strict=True):
        rngs = [view_rng(dataset.seed, name, k, f"{modality}-fit") for k in range(TRIAL_VIEWS)]
        out.append(noisy_views(spectrum, entry, true_axis, rngs))
    return np.array(out, float)


def _trial(
    simulated: Simulated,
    modality: str,
    views: NDArray[np.float64],
    ensemble: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    entry = simulated.entry(modality)
    found = profile(
        entry.grid.energies_ev,
        views,
        ensemble,
        entry,
        steps(simulated.max_shift_ev, TRIAL_STEP_EV),
        widths(simulated.max_extra_fwhm_ev, TRIAL_WIDTHS),
    )
    smallest, true = found.squared.min(axis=1), np.argmin(np.abs(found.shifts_ev))
    return found.squared[:, true] - smallest, smallest, found.shifts_ev[found.best()]
