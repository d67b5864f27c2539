"""Figures of the report: one function a figure, data in, matplotlib Figure out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from corefuse.core.edges import Edge, split_modality
from corefuse.core.files import atomic
from corefuse.core.targets import TARGET_TABLE

# Okabe & Ito's colours, distinguished with any colour vision
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#666666"
DEFECT_COLOURS = {
    "pristine": GREY,
    "vacancy": RED,
    "antisite": BLUE,
    "vacancy+antisite": GREEN,
}
MODEL_COLOURS = {"xgboost": BLUE, "jia2026": ORANGE, "baseline": GREY}
SCORE = {"regression": "rmse", "class": "brier"}
MOST_LINES = 60  # spectra drawn over each other in a panel
MOST_LABELS = 12
MOST_POINTS = 400  # as vectors; more are drawn as pixels
L_NAMES = "spd"
STYLE = {"fontsize": 8}


def save(figure: Figure, paths: Iterable[str | Path], dpi: int) -> None:
    """Write the figure once per path; the suffix says how. Equal figures give equal bytes."""
    for path in map(Path, paths):
        kind = path.suffix[1:]
        dated = {"metadata": {"Date": None}} if kind == "svg" else {}
        with atomic(path) as partial, rc_context({"svg.hashsalt": "corefuse"}):
            figure.savefig(partial, format=kind, dpi=dpi, bbox_inches="tight", **dated)


def modality_label(modality: str) -> str:
    """``Mn_L23-XAS`` -> ``Mn L2,3 XAS``."""
    edge, technique = split_modality(modality)
    return f"{edge.name} {technique}"


def energy_of(dataset: xr.Dataset, modality: str) -> np.ndarray:
    """Absolute energies (eV) of a modality in a spectra file or a dataset."""
    return dataset[f"energy_{split_modality(modality)[0].id}"].values


def spectra_by_lithium(
    spectra: Mapping[str, xr.Dataset], index: pd.DataFrame, modalities: Sequence[str]
) -> Figure:
    """Site-averaged spectra of the pristine structures, coloured by Li content."""
    rows = index[(index.defect_class == "pristine") & index.structure_id.isin(spectra)]
    shown = sorted(rows.x_li.round(3).unique())
    rows = _some(rows.sort_values("x_li"))
    figure, axes = _panels(modalities)
    colour = colormaps["viridis"]
    for row in rows.itertuples():
        for ax, modality in zip(axes, modalities, strict=True):
            _draw(ax, spectra[row.structure_id], modality, colour(0.95 * row.x_li))
    shown = shown if len(shown) <= MOST_LABELS else [shown[0], shown[len(shown) // 2], shown[-1]]
    handles = [Line2D([], [], color=colour(0.95 * x), label=f"x(Li) = {x:g}") for x in shown]
    _finish(figure, axes, handles)
    return figure


def spectra_by_defect(
    spectra: Mapping[str, xr.Dataset], index: pd.DataFrame, modalities: Sequence[str]
) -> Figure:
    """Change of the spectra by a defect: each defective structure less its own pristine host.

    Structures whose host is not among the spectra are not drawn.
    """
    rows = index[index.structure_id.isin(spectra)]
    figure, axes = _panels(modalities)
    found = set()
    pristine = rows[rows.defect_class == "pristine"].drop_duplicates("host_id")
    host_of = dict(zip(pristine.host_id, pristine.structure_id, strict=True))
    defective = rows[(rows.defect_class != "pristine") & rows.host_id.isin(host_of)]
    for _, of_class in defective.groupby("defect_class"):
        for row in _some(of_class).itertuples():
            reference = spectra[host_of[row.host_id]]
            found.add(row.defect_class)
            for ax, modality in zip(axes, modalities, strict=True):
                change = spectra[row.structure_id][modality] - reference[modality]
                ax.plot(
                    energy_of(reference, modality),
                    change,
                    color=DEFECT_COLOURS[row.defect_class],
                    lw=0.9,
                    alpha=0.8,
                )
    for ax in axes:
        ax.axhline(0, color="k", lw=0.5)
        ax.set_ylabel("change (1/eV)", **STYLE)
    handles = [
        Line2D([], [], color=DEFECT_COLOURS[d], label=d) for d in DEFECT_COLOURS if d in found
    ]
    _finish(figure, axes, handles)
    return figure


def _some(rows: pd.DataFrame) -> pd.DataFrame:
    """At most ``MOST_LINES`` rows, evenly: more lines lie over each other and fill the report."""
    if len(rows) <= MOST_LINES:
        return rows
    return rows.iloc[np.linspace(0, len(rows) - 1, MOST_LINES).round().astype(int)]


def parity(predictions: pd.DataFrame, subset: str) -> Figure:
    """Out-of-fold prediction against truth, one panel per target, one point per structure.

    A target that could not be learned shows its baseline and says so.
    """
    chosen = predictions[predictions.modalities == subset]
    targets = list(dict.fromkeys(chosen.target))
    figure, axes = _grid(len(targets), columns=4, size=2.3)
    for ax, target in zip(axes, targets, strict=True):
        rows = chosen[chosen.target == target]
        learned = (rows.model == "xgboost").any()
        rows = rows[rows.model == ("xgboost" if learned else "baseline")]
        mean = rows.groupby("structure_id")[["truth", "prediction"]].mean()
        spread = rows.groupby("structure_id").prediction.std().fillna(0)
        colour = MODEL_COLOURS["xgboost" if learned else "baseline"]
        drawn = ax.errorbar(
            mean.truth, mean.prediction, spread, fmt="o", ms=3.5, color=colour, lw=0.8
        )
        for artist in drawn.get_children():
            artist.set_rasterized(len(mean) > MOST_POINTS)
        if TARGET_TABLE[target].kind == "class":
            ax.set(xlim=(-0.3, 1.3), ylim=(-0.05, 1.05), xticks=[0, 1], xticklabels=["no", "yes"])
            ax.axhline(0.5, color=GREY, lw=0.8, ls=":")
        else:
            low = min(mean.truth.min(), mean.prediction.min())
            high = max(mean.truth.max(), mean.prediction.max())
            ax.plot([low, high], [low, high], color=GREY, lw=0.8)
        ax.set_title(TARGET_TABLE[target].label + ("" if learned else " (not learnable)"), **STYLE)
        ax.set_xlabel("truth", **STYLE)
        ax.set_ylabel("out-of-fold prediction", **STYLE)
    return figure


def scores(metrics: pd.DataFrame, kinds: Mapping[str, str], subsets: Sequence[str]) -> Figure:
    """Error of every modality subset, in the order given, with its interval and both baselines."""
    targets = list(dict.fromkeys(metrics.target))
    figure, axes = _grid(len(targets), columns=4, size=2.6, height=0.26 * len(subsets) + 0.8)
    place = np.arange(len(subsets))[::-1]
    for ax, target in zip(axes, targets, strict=True):
        rows = metrics[(metrics.target == target) & (metrics.metric == SCORE[kinds[target]])]
        for k, (model, colour) in enumerate(MODEL_COLOURS.items()):
            chosen = rows[rows.model == model].set_index("modalities").reindex(subsets)
            bars = {"height": 0.26, "color": colour, "label": model}
            ax.barh(place + 0.27 * (1 - k), chosen.value, **bars)
            ax.hlines(place + 0.27 * (1 - k), chosen.ci_low, chosen.ci_high, color="k", lw=0.7)
        ax.set_title(TARGET_TABLE[target].label, **STYLE)
        ax.set_xlabel(
            SCORE[kinds[target]].replace("rmse", "RMSE").replace("brier", "Brier"), **STYLE
        )
        ax.set_yticks(place, [_subset_label(s) for s in subsets])
        ax.set_xlim(left=0)
    for ax in axes[1:]:
        if ax.get_subplotspec().colspan.start:
            ax.set_yticklabels([])
    handles = [Line2D([], [], color=c, lw=4, label=m) for m, c in MODEL_COLOURS.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=3, frameon=False, **STYLE)
    return figure


def learning_curves(curves: pd.DataFrame, kinds: Mapping[str, str]) -> Figure:
    """Error against the number of parents trained on, one panel a target that can be learned."""
    targets = list(dict.fromkeys(curves.target))
    figure, axes = _grid(max(len(targets), 1), columns=4, size=2.3)
    for ax, target in zip(axes, targets, strict=False):
        metric = SCORE[kinds[target]]
        rows = curves[(curves.target == target) & (curves.metric == metric)]
        ax.plot(rows.n_parents, rows.value, "o-", color=BLUE, ms=3.5, lw=0.9)
        ax.vlines(rows.n_parents, rows.ci_low, rows.ci_high, color=BLUE, lw=0.7)
        ax.set_title(TARGET_TABLE[target].label, **STYLE)
        ax.set_xlabel("parents trained on", **STYLE)
        ax.set_ylabel(metric, **STYLE)
        ax.set_ylim(bottom=0)
    if not targets:
        axes[0].set_title("no target can be learned", **STYLE)
    return figure


def attribution(
    table: pd.DataFrame, dataset: xr.Dataset, dos: Mapping[str, xr.DataArray], target: str
) -> Figure:
    """SHAP along the energy axis over the mean spectrum, the absorber's empty states beneath.

    ``dos`` maps an edge id to the mean projected density of states (3, energy), whose attribute
    ``engine`` is printed beside it.
    """
    modalities = list(dict.fromkeys(table.modality))
    columns = min(len(modalities), 5)
    rows = -(-len(modalities) // columns)
    figure = Figure(figsize=(2.5 * columns, 3.1 * rows), layout="constrained")
    outer = figure.add_gridspec(rows, columns)
    highest = table.mean_abs_shap.max() or 1.0
    for i, modality in enumerate(modalities):
        top, bottom = (
            outer[divmod(i, columns)].subgridspec(2, 1, height_ratios=[2, 1]).subplots(sharex=True)
        )
        energy, edge = energy_of(dataset, modality), split_modality(modality)[0]
        chosen = table[table.modality == modality]
        top.plot(energy, dataset[modality].mean("sample"), color="k", lw=0.9)
        twin = top.twinx()
        twin.fill_between(chosen.energy_ev, chosen.mean_abs_shap, color=ORANGE, alpha=0.6, lw=0)
        twin.plot(chosen.energy_ev, chosen.mean_shap, color=RED, lw=0.6)
        twin.set_ylim(-0.3 * highest, 1.6 * highest)
        for ax in (top, twin):
            ax.set_yticks([])
        top.set_title(modality_label(modality), **STYLE)
        _draw_dos(bottom, energy, dos[edge.id], edge)
        bottom.set_xlabel("energy (eV)", **STYLE)
    handles = [
        Line2D([], [], color="k", label="mean spectrum"),
        Line2D([], [], color=ORANGE, lw=5, alpha=0.6, label="mean |SHAP|"),
        Line2D([], [], color=RED, label="mean SHAP"),
        *(
            Line2D([], [], color=c, label=f"empty {l} states")
            for l, c in zip(L_NAMES, (GREY, GREEN, BLUE), strict=True)
        ),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=6, frameon=False, **STYLE)
    figure.suptitle(TARGET_TABLE[target].label, fontsize=10)
    return figure


def inference_card(result: pd.DataFrame, sample: str, truth: Mapping[str, float]) -> Figure:
    """One sample: prediction and interval of every target, with the verdict in words."""
    figure = Figure(figsize=(6.6, 0.5 + 0.42 * len(result)), layout="constrained")
    ax = figure.subplots()
    colours = {"ok": GREEN, "uncertain": ORANGE, "out_of_domain": RED}
    places = range(len(result))[::-1]
    for place, row in zip(places, result.itertuples(), strict=True):
        colour, is_class = colours[row.verdict], TARGET_TABLE[row.target].kind == "class"
        value = row.probability if is_class else row.prediction
        if not is_class:
            ax.plot([row.low, row.high], [place, place], color=colour, lw=3, alpha=0.4)
        ax.plot(value, place, "o", color=colour, ms=5)
        if row.target in truth:
            ax.plot(truth[row.target], place, "|", color="k", ms=13)
        ax.text(1.25, place, _answer(value, row, is_class), va="center", **STYLE)
    ax.set_yticks(places, [TARGET_TABLE[t].label for t in result.target], **STYLE)
    ax.set_xlim(-0.12, 1.22)
    ax.set_xlabel("per formula unit, or probability;  | truth where known", **STYLE)
    used = ", ".join(dict.fromkeys(result.subset.dropna())) or "nothing"
    ax.set_title("\n".join([f"{sample}   (used: {used})", *_strange(result)]), **STYLE)
    return figure


def _strange(result: pd.DataFrame) -> list[str]:
    """Where a sample is unlike the training spectra, once for all targets."""
    notes = result.note[result.verdict == "out_of_domain"].str.split("; ").str[0]
    return [notes.mode()[0]] if len(notes) else []


def _answer(value: float, row: Any, is_class: bool) -> str:
    verdict = row.verdict.replace("_", " ")
    if np.isnan(value):
        return f"no answer  {verdict}"
    interval = "" if is_class else f"  [{row.low:.2f}, {row.high:.2f}]"
    return f"{value:.2f}{interval}  {verdict}"


def series(predictions: pd.DataFrame) -> Figure:
    """What was read against voltage, one panel per series; open circuit is at the left.

    ``predictions`` has series, sample, target, number, voltage (NaN at open circuit), prediction,
    low, high and in_domain; a filled point is in domain. A series without voltages is drawn by
    ``number``.
    """
    names = list(dict.fromkeys(predictions.series))
    figure, axes = _grid(len(names), columns=3, size=3.2, height=2.8)
    start = predictions.voltage.min() - 0.4
    for ax, name in zip(axes, names, strict=True):
        rows = predictions[predictions.series == name]
        voltages = sorted(rows.voltage.dropna().unique())
        places = rows.voltage.fillna(start) if voltages else rows.number
        ax.vlines(places, rows.low, rows.high, color=GREY, lw=3, alpha=0.15)
        known = rows.in_domain.astype(bool)
        for inside, face in ((known, BLUE), (~known, "none")):
            ax.plot(places[inside], rows.prediction[inside], "o", color=BLUE, mfc=face, ms=5)
        if voltages and rows.voltage.isna().any():
            ax.set_xticks([start, *voltages], ["pristine", *(f"{v:g}" for v in voltages)])
        ax.set_title(name, **STYLE)
        ax.set_xlabel("voltage against Li (V)" if voltages else "spectrum", **STYLE)
        ax.set_ylabel(f"predicted {TARGET_TABLE[rows.target.iloc[0]].label}", **STYLE)
    handles = [
        Line2D([], [], marker="o", ls="", color=BLUE, label="in domain"),
        Line2D([], [], marker="o", ls="", color=BLUE, mfc="none", label="out of domain"),
        Line2D([], [], color=GREY, lw=3, alpha=0.3, label="conformal interval"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3, frameon=False, **STYLE)
    return figure


def image_maps(maps: xr.Dataset) -> Figure:
    """Every target of a spectrum image: its value, its interval, where it is out of domain.

    White pixels hold no edge; hatched ones are unlike the training spectra.
    """
    targets = [str(n) for n in maps.data_vars if f"{n}_in_domain" in maps]
    figure = Figure(figsize=(7.2, 0.9 * len(targets) + 0.4), layout="constrained")
    axes = figure.subplots(len(targets), 2, squeeze=False)
    for (left, right), target in zip(axes, targets, strict=True):
        value, known = maps[target].values, maps[f"{target}_in_domain"].values
        shown = left.imshow(value, cmap="viridis", aspect="auto", interpolation="nearest")
        figure.colorbar(shown, ax=left).ax.tick_params(labelsize=6)
        unlike = np.ma.masked_equal(~known & np.isfinite(value), False)
        down, right_of = (np.arange(n + 1) - 0.5 for n in value.shape)
        clear = ListedColormap(["none"])
        left.pcolor(right_of, down, unlike, cmap=clear, hatch="////", edgecolor="k", lw=0)
        left.set_title(TARGET_TABLE[target].label, **STYLE)
        if f"{target}_low" in maps:
            width = (maps[f"{target}_high"] - maps[f"{target}_low"]).values
            right.set_title("width of its interval", **STYLE)
        else:  # the spread of a yes or no of that probability
            width = np.sqrt(value * (1 - value))
            right.set_title("standard deviation of the label", **STYLE)
        shown = right.imshow(width, cmap="magma", aspect="auto", interpolation="nearest")
        figure.colorbar(shown, ax=right).ax.tick_params(labelsize=6)
        for ax in (left, right):
            ax.set_xticks([])
            ax.set_yticks([])
    return figure


def _grid(
    panels: int, columns: int, size: float, height: float | None = None
) -> tuple[Figure, list[Axes]]:
    columns = min(columns, panels)
    rows = -(-panels // columns)
    figure = Figure(figsize=(size * columns, (height or size) * rows), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for ax in axes[panels:]:
        ax.remove()
    for ax in axes[:panels]:
        ax.tick_params(labelsize=7)
    return figure, axes[:panels]


def _panels(modalities: Sequence[str]) -> tuple[Figure, list[Axes]]:
    figure, axes = _grid(len(modalities), columns=3, size=2.9, height=2.3)
    for ax, modality in zip(axes, modalities, strict=True):
        ax.set_title(modality_label(modality), **STYLE)
        ax.set_xlabel("energy (eV)", **STYLE)
        ax.set_ylabel("intensity (1/eV)", **STYLE)
    return figure, axes


def _finish(figure: Figure, axes: list[Axes], handles: list[Line2D]) -> None:
    for ax in axes:
        ax.margins(x=0)
    if handles:
        figure.legend(
            handles=handles, loc="outside upper center", ncols=len(handles), frameon=False, **STYLE
        )


def _draw(ax: Axes, dataset: xr.Dataset, modality: str, colour: object) -> None:
    if dataset[modality].any():  # an absent element has no line to show
        ax.plot(energy_of(dataset, modality), dataset[modality], color=colour, lw=0.9)


def _draw_dos(ax: Axes, energy: np.ndarray, dos: xr.DataArray, edge: Edge) -> None:
    for l, colour in enumerate((GREY, GREEN, BLUE)):
        width = 1.4 if l == edge.final_l else 0.6
        ax.plot(energy, dos.values[l], color=colour, lw=width)
    ax.text(0.98, 0.95, dos.attrs["engine"], transform=ax.transAxes, ha="right", va="top", **STYLE)
    ax.set_yticks([])
    ax.margins(x=0)
    ax.tick_params(labelsize=7)


def _subset_label(subset: str) -> str:
    try:
        return modality_label(subset)
    except (ValueError, StopIteration):
        return subset
