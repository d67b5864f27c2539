"""One self-contained HTML page of what was read, what was done to it and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from io import StringIO
from pathlib import Path

import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from corefuse.core.files import atomic, write_netcdf
from corefuse.core.targets import TARGET_TABLE
from corefuse.read import infer
from corefuse.read.infer import Library
from corefuse.read.reading import Reading, dataset
from corefuse.read.simulated import Simulated
from corefuse.report import figures, measured, tables
from corefuse.report.figures import modality_label

FIGURES = 12  # edges of single samples that are drawn
STYLE = (
    tables.STYLE
    + """
main{max-width:70em}section{margin:2em 0}svg{max-width:100%;height:auto}
.ok{color:#006b4f}.uncertain{color:#8a5a00}.out_of_domain{color:#a33a00}
li{margin:.2em 0}td,th{white-space:normal}"""
)


def write(out: Path, found: Reading, simulated: Simulated, library: Library, models: Path) -> None:
    """Write the figures as SVG and ``index.html`` with all of them inside."""
    drawn = draw(found, simulated)
    for name, figure in drawn.items():
        figures.save(figure, [out / f"{name}.svg"], 100)
    shown = "".join(_section(name.replace("_", " "), svg(f)) for name, f in drawn.items())
    about = f"<p>Models of {escape(str(models))}</p>"
    with atomic(out / "index.html") as partial:
        partial.write_text(_page("corefuse read", body(found, library, shown) + about))


def body(found: Reading, library: Library, shown: str = "") -> str:
    """The sections of the page; ``shown`` (HTML) stands after the answers."""
    faults = [str(fault) for fault in found.failed.values()]
    parts = [_section("Could not be read", _list(faults))] if faults else []
    parts += [
        _section("Answers", _answers(found.answers)),
        shown,
        _section("What was done to the data", _done(found.matched)),
        _section("Models and edges that answered", _models(found.answers, library)),
        _section("What to measure next", _list(advice(found, library))),
    ]
    return "".join(parts)


def write_image(out: Path, name: str, maps: xr.Dataset) -> None:
    """Write ``<name>.nc`` and its maps as ``<name>.svg``."""
    write_netcdf(out / f"{name}.nc", maps)
    figures.save(figures.image_maps(maps), [out / f"{name}.svg"], 100)


def draw(found: Reading, simulated: Simulated) -> dict[str, Figure]:
    """Name -> figure: answers of every series, then each edge beside the nearest simulated one."""
    out: dict[str, Figure] = {}
    by_name = {s.name: s for s in found.samples}
    read = [n for n in dict.fromkeys(found.answers["sample"]) if n in by_name]
    series = [by_name[n] for n in read if by_name[n].series]
    if series:
        places = [{"series": s.series, "sample": s.name, "voltage": s.voltage} for s in series]
        out["series"] = figures.series(infer.series(places, found.answers))
    whole = dataset(found, simulated)
    rows = measured.matched(whole)
    groups = {
        name: [s.name for s in series if s.series == name]
        for name in dict.fromkeys(s.series for s in series)
    }
    groups |= {n: [n] for n in [n for n in read if not by_name[n].series][:FIGURES]}
    for name, members in groups.items():
        mine = rows[rows["sample"].isin(members)].to_csv(index=False)
        part = measured.figures(whole.assign_attrs(matched=mine), simulated)
        out |= {f"{name}_{modality}": figure for modality, figure in part.items()}
    return out


def svg(figure: Figure) -> str:
    """A figure as SVG, for a page."""
    text = StringIO()
    figure.savefig(text, format="svg", bbox_inches="tight", metadata={"Date": None})
    return text.getvalue()[text.getvalue().index("<svg") :]


def advice(found: Reading, library: Library) -> list[str]:
    """What would make the answers surer, most useful first."""
    rows, matched = found.answers, found.matched
    out = []
    if (matched.fixed_by == "").any():
        out.append(
            "Fix the energy axis: measure a metal foil or a standard with the sample and name it "
            "as reference, or a sample of known composition in the same session (aligned_with)."
        )
    if matched.doubts.str.contains("drifted").any():
        out.append("The axis drifted in the series: record the foil with every spectrum.")
    if (rows.verdict == "out_of_domain").any():
        out.append(
            "Some spectra are unlike all simulated ones: check thickness, background and edge; if "
            "they are right, the material is not in the models: add its cells to structures.series."
        )
    for target, used in rows.dropna(subset=["subset"]).groupby("target"):
        better = _better(library, str(target), str(used.subset.iloc[0]))
        out += [better] if better else []
    return out or ["Nothing is in doubt: more spectra of the same kind."]


def _better(library: Library, target: str, subset: str) -> str | None:
    """Edges whose model of a target has a clearly smaller cross-validated error."""
    models = library.models[target]
    if subset not in models:
        return None
    now = models[subset].card
    best = min(models.values(), key=lambda m: m.card.selection_score.value).card
    if best.selection_score.value > 0.8 * now.selection_score.value:
        return None
    more = [modality_label(m) for m in best.modalities if m not in now.modalities]
    if not more:
        return None
    return (
        f"{TARGET_TABLE[target].label}: with {', '.join(more)} measured too, the error on "
        f"simulated parents left out falls from {now.selection_score.value:.2f} to "
        f"{best.selection_score.value:.2f}."
    )


def _answers(rows: pd.DataFrame) -> str:
    parts = []
    for row in rows.itertuples():
        is_class = TARGET_TABLE[row.target].kind == "class"
        value = row.probability if is_class else row.prediction
        shown = "" if pd.isna(value) else f"{value:.2f}"
        interval = "" if pd.isna(row.low) else f"{row.low:.2f} to {row.high:.2f}"
        cells = (row.sample, TARGET_TABLE[row.target].label, shown, interval)
        parts.append(
            "<tr>"
            + "".join(f"<td>{escape(str(c))}</td>" for c in cells)
            + f'<td class="{escape(row.verdict)}">{escape(row.verdict.replace("_", " "))}</td>'
            + f"<td>{escape(str(row.note))}</td></tr>"
        )
    head = "".join(f"<th>{h}</th>" for h in ("sample", "", "value", "interval", "verdict", "why"))
    level = f"{rows.level.dropna().iloc[0]:.0%}" if rows.level.notna().any() else ""
    about = f"<p>Intervals hold the truth at {level}, the unsure energy axis included.</p>"
    return f"{about}<table><tr>{head}</tr>{''.join(parts)}</table>"


def _done(matched: pd.DataFrame) -> str:
    columns = [
        *("sample", "modality", "shift_ev", "shift_std_ev", "fixed_by", "blur_fwhm_ev"),
        *("residual", "nearest", "differs_most_at", "notes"),
    ]
    about = (
        "<p>Background off, standard form (area 1 over the window), moved by shift_ev and blurred "
        "by blur_fwhm_ev before the models read it.</p>"
    )
    return about + matched[columns].to_html(index=False, border=0, na_rep="")


def _models(rows: pd.DataFrame, library: Library) -> str:
    used = rows.dropna(subset=["subset"]).groupby(["target", "subset"], sort=False)
    lines = []
    for (target, subset), part in used:
        card = library.models[str(target)][str(subset)].card
        score = card.selection_score
        lines.append(
            f"{TARGET_TABLE[str(target)].label}: {', '.join(card.modalities)} "
            f"({part['sample'].nunique()} samples); error on simulated parents left out "
            f"{score.value:.3g}, of the mean alone {score.baseline:.3g}; {card.n_structures} "
            f"structures of {card.n_groups} parents"
        )
    return _list(lines)


def _list(lines: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def _page(title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style><main><h1>{escape(title)}</h1>{body}</main></html>\n"
    )
