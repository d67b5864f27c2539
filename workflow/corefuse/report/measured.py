"""Figures of what was measured beside what was simulated, from ``measured/<name>.nc`` alone."""

from __future__ import annotations

from io import StringIO

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib import colormaps
from matplotlib.figure import Figure

from corefuse.learn.matrix import energy_dim
from corefuse.read.measured import compare, summary
from corefuse.read.simulated import Simulated
from corefuse.report.figures import BLUE, GREY, RED, STYLE, modality_label

SHOWN = 60  # spectra of a series that are drawn: more lie over each other


def matched(dataset: xr.Dataset) -> pd.DataFrame:
    """What was fitted, one row per spectrum and modality."""
    return pd.read_csv(StringIO(dataset.attrs["matched"]), keep_default_na=False)


def table(dataset: xr.Dataset, simulated: Simulated) -> pd.DataFrame:
    """Maxima of every measured spectrum with its fit, and of the mean simulated one beneath."""
    rows: list[dict[str, object]] = []
    fitted = matched(dataset)
    for modality, mine in fitted.groupby("modality", sort=False):
        ensemble, last = _ensemble(dataset, simulated, str(modality)), {}
        for row in mine.to_dict("records"):
            spectrum = dataset[modality].sel(spectrum=row["sample"], drop=True)
            found, last = compare(spectrum, ensemble, str(modality))
            rows.append({"sample": row["sample"], **found, **row})
        rows.append({"sample": "", **last})
    return pd.DataFrame(rows)


def _ensemble(dataset: xr.Dataset, simulated: Simulated, modality: str) -> xr.DataArray:
    axis = energy_dim(modality)
    return xr.DataArray(
        simulated.ensemble(modality), {axis: dataset[axis].values}, ("sample", axis)
    )


def figures(dataset: xr.Dataset, simulated: Simulated) -> dict[str, Figure]:
    """Modality -> figure: one spectrum beside the nearest simulated one, or all of a series."""
    rows = matched(dataset)
    out = {}
    for modality in dict.fromkeys(rows.modality):
        mine = rows[rows.modality == modality].set_index("sample")
        spectra = dataset[modality].sel(spectrum=list(mine.index))
        beside = dataset[f"{modality}_simulated"].sel(spectrum=list(mine.index))
        ensemble = _ensemble(dataset, simulated, modality)
        draw = _one if len(mine) == 1 else _series
        out[modality] = draw(spectra, beside, ensemble, mine, modality)
    return out


def _one(
    spectra: xr.DataArray,
    beside: xr.DataArray,
    ensemble: xr.DataArray,
    rows: pd.DataFrame,
    modality: str,
) -> Figure:
    """One spectrum: over all simulated ones, and beside the nearest, at the shift that is taken."""
    figure = Figure(figsize=(8.4, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    energy_ev, row = spectra[energy_dim(modality)].values, rows.iloc[0]
    spectrum, simulated = spectra[0], beside.values[0]
    _range(left, energy_ev, ensemble)
    left.plot(energy_ev, spectrum, color="k", lw=1, label="measured, as the models read it")
    told = summary(compare(spectrum, ensemble, modality))
    left.set_title(f"{modality_label(modality)}\n{told}", **STYLE)
    right.plot(energy_ev, simulated, color=BLUE, label=f"nearest: {row.nearest}")
    right.plot(energy_ev, spectrum, color="k", lw=1, label="measured")
    right.plot(energy_ev, spectrum - simulated, color=RED, lw=0.8, label="difference")
    right.axhline(0, color=GREY, lw=0.5)
    fixed = f"fixed by {row.fixed_by}" if row.fixed_by else "fixed by nothing"
    bound = ", at its bound" if row.at_bound else ""
    right.set_title(
        f"shift {row.shift_ev:+.1f} +- {row.shift_std_ev:.1f} eV, {fixed}{bound}\n"
        f"residual {row.residual:.0%}, most at {row.differs_most_at.split(',')[0]}",
        **STYLE,
    )
    _finish((left, right))
    return figure


def _series(
    spectra: xr.DataArray,
    beside: xr.DataArray,
    ensemble: xr.DataArray,
    rows: pd.DataFrame,
    modality: str,
) -> Figure:
    """All spectra of a series over the simulated ones; the first and the last beside theirs."""
    figure = Figure(figsize=(8.4, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    energy_ev = spectra[energy_dim(modality)].values
    _range(left, energy_ev, ensemble)
    number = len(spectra)
    chosen = np.unique(np.linspace(0, number - 1, min(number, SHOWN)).round().astype(int))
    colour = colormaps["viridis"]
    for i in chosen:
        left.plot(energy_ev, spectra.values[i], color=colour(0.95 * i / (number - 1)), lw=0.7)
    left.set_title(f"{modality_label(modality)}: {number} spectra, dark first", **STYLE)
    for i, style in ((0, "-"), (number - 1, "--")):
        name, label = str(spectra["spectrum"].values[i]), "first" if i == 0 else "last"
        shade = colour(0.95 * i / (number - 1))
        right.plot(energy_ev, spectra.values[i], color=shade, ls=style, label=f"{label}: {name}")
        near = f"nearest: {rows.nearest.iloc[i]}"
        right.plot(energy_ev, beside.values[i], color=BLUE, ls=style, lw=0.8, label=near)
    right.set_title(
        f"shift {rows.shift_ev.min():+.1f} to {rows.shift_ev.max():+.1f} eV, "
        f"residual {rows.residual.min():.0%} to {rows.residual.max():.0%}",
        **STYLE,
    )
    _finish((left, right))
    return figure


def _range(ax, energy_ev: np.ndarray, ensemble: xr.DataArray) -> None:  # noqa: ANN001
    low, high = ensemble.min("sample"), ensemble.max("sample")
    ax.fill_between(energy_ev, low, high, color=BLUE, alpha=0.2, lw=0, label="simulated: range")
    ax.plot(energy_ev, ensemble.mean("sample"), color=BLUE, label="simulated: mean")


def _finish(panels) -> None:  # noqa: ANN001
    for ax in panels:
        ax.legend(frameon=False, fontsize=7)
        ax.set_xlabel("energy (eV)", **STYLE)
        ax.set_ylabel("intensity (1/eV)", **STYLE)
