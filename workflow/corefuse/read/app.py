"""``corefuse app``: the local page for those who never open a terminal.

Files are dropped in; edge, background, alignment and answer are seen, changed with the mouse, and
saved as the samples file that gives the same answer again. It listens on 127.0.0.1 only, and keeps
the files of a session in a temporary folder that ends with it.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from html import escape
from pathlib import Path
from typing import Any

import panel as pn
import yaml
from matplotlib.figure import Figure

from corefuse.config import Sample
from corefuse.core.edges import split_modality
from corefuse.core.errors import InputError
from corefuse.core.spectrum import SpectrumError
from corefuse.read import command, files, measured, request
from corefuse.read.infer import Library
from corefuse.read.reading import Reading
from corefuse.read.simulated import Simulated
from corefuse.read.simulated import load as load_simulated
from corefuse.report import reading_page
from corefuse.report.figures import BLUE, GREY, STYLE

ADDRESS = "127.0.0.1"
AUTOMATIC = "automatic"
ASK = "found by itself"
MOST_OFFSET_EV = 15.0


class Page:
    """One session: widgets, the files that were dropped in, and what was read in them."""

    def __init__(self, simulated: Simulated, library: Library, confidence: float) -> None:
        self.simulated, self.library, self.confidence = simulated, library, confidence
        self.folder = tempfile.TemporaryDirectory(prefix="corefuse-app-")
        self.samples: list[Sample] = []
        edges = {ASK: ""} | {m: m for m in simulated.spectra}
        self.drop = pn.widgets.FileInput(multiple=True, name="files", css_classes=["drop"])
        self.edge = pn.widgets.Select(name="edge", options=edges)
        self.column = pn.widgets.TextInput(name="column", placeholder="name, number, ln(i0/itrans)")
        self.background = pn.widgets.Select(
            name="background", options=[AUTOMATIC, "mean", "line", "power_law"]
        )
        self.offset = pn.widgets.FloatSlider(
            name="energy offset (eV)", start=-MOST_OFFSET_EV, end=MOST_OFFSET_EV, step=0.1, value=0
        )
        self.reference = pn.widgets.TextInput(name="reference", placeholder="Ni, foil.dat=Ni")
        self.composition = pn.widgets.TextInput(name="composition", placeholder="Li=1,Ni=0.8")
        self.axis = pn.widgets.FloatInput(name="axis known to (eV)", value=None, start=0, step=0.1)
        self.series = pn.widgets.Checkbox(name="one series")
        self.save = pn.widgets.FileDownload(
            callback=self.samples_file,
            filename="samples.yaml",
            label="save the samples file",
            button_type="primary",
            disabled=True,
        )
        self.said = pn.pane.HTML("Drop measured files on the button above.")
        self.answer = pn.pane.HTML("")
        self.figures = pn.Column()
        for widget in self._settings():
            widget.param.watch(self.update, "value_throttled" if widget is self.offset else "value")
        self.drop.param.watch(self.update, "value")

    def _settings(self) -> list[Any]:
        return [
            *(self.edge, self.column, self.background, self.offset, self.reference),
            *(self.composition, self.axis, self.series),
        ]

    def view(self) -> Any:
        """What the browser shows."""
        side = pn.Column("## corefuse", self.drop, *self._settings(), self.save, width=340)
        return pn.Row(
            side, pn.Column(self.said, self.answer, self.figures, sizing_mode="stretch_width")
        )

    def update(self, *events: object) -> None:
        """Read everything again with what is set now."""
        paths = self._kept()
        if not paths:
            return
        try:
            asked = request.of_files(paths, self.options(), self.simulated, self.series.value)
            found, failed = command.read_samples(
                asked.samples, self.simulated, self.library, self.confidence
            )
        except InputError as fault:
            self._show_fault(fault)
            return
        self.samples = [s for s in asked.samples if s.name not in failed.faults]
        self.save.disabled = False
        told = "".join(f"<p class='fault'>{escape(_short(f))}</p>" for f in failed.faults.values())
        self.said.object = told or f"{len(self.samples)} spectra were read."
        self.answer.object = f"<style>{reading_page.STYLE}</style>" + reading_page.body(
            found, self.library
        )
        self.figures.objects = [self._raw(), *self._drawn(found)]

    def options(self) -> dict[str, Any]:
        """What is set, as ``corefuse read`` would get it."""
        out: dict[str, Any] = {}
        if self.edge.value:
            edge, technique = split_modality(self.edge.value)
            out |= {"edge": edge.name, "technique": technique}
        column = self.column.value.strip()
        out |= {"column": int(column) if column.isdigit() else column} if column else {}
        if self.background.value != AUTOMATIC:
            out["background"] = self.background.value
        if self.offset.value:
            out["energy_offset_ev"] = float(self.offset.value)
        if self.axis.value is not None:
            out["axis_uncertainty_ev"] = float(self.axis.value)
        if self.reference.value.strip():
            known = request.reference_of(self.reference.value.strip())
            if "file" in known:
                known["file"] = str(Path(self.folder.name) / Path(known["file"]).name)
            out["reference"] = known
        if self.composition.value.strip():
            out["composition"] = request.composition_of(self.composition.value.strip())
        return out

    def samples_file(self) -> io.StringIO:
        """The samples file that reproduces what is shown, its files beside it."""
        entries = [s.model_dump(mode="json", exclude_defaults=True) for s in self.samples]
        for entry in entries:
            for spectrum in entry["spectra"]:
                spectrum["file"] = Path(spectrum["file"]).name
                if "file" in spectrum.get("reference", {}):
                    spectrum["reference"]["file"] = Path(spectrum["reference"]["file"]).name
        return io.StringIO(yaml.safe_dump({"samples": entries}, sort_keys=False))

    def _kept(self) -> list[Path]:
        """The files of the session, those that were dropped in now put there."""
        names = self.drop.filename or []
        contents = self.drop.value or []
        if isinstance(names, str):
            names, contents = [names], [contents]
        out = []
        for name, content in zip(names, contents, strict=True):
            path = Path(self.folder.name) / Path(name).name
            if not path.exists() or path.read_bytes() != content:
                path.write_bytes(content)
            out.append(path)
        foil = self.reference.value.rpartition("=")[0]
        return [path for path in out if path.name != Path(foil).name]

    def _show_fault(self, fault: InputError) -> None:
        self.said.object = f"<p class='fault'>{escape(_short(fault))}</p>"
        self.answer.object, self.figures.objects = "", []
        self.save.disabled = True

    def _raw(self) -> Any:
        """The first file as it is there, with the window of its edge."""
        spectrum = self.samples[0].spectra[0]
        entry = self.simulated.table[spectrum.edge]
        try:
            recorded = files.read(Path(spectrum.file), measured.wanted(spectrum, entry))
        except SpectrumError:
            return pn.pane.HTML("")
        scale, offset_ev, _ = measured.axis(spectrum)
        unit = files.EV_PER_UNIT[spectrum.energy_unit or recorded.unit or "eV"]
        figure = Figure(figsize=(8.4, 2.4), layout="constrained")
        ax = figure.subplots()
        ax.plot(scale * recorded.energy * unit + offset_ev, recorded.mean(), color="k", lw=0.8)
        ax.axvspan(*entry.window_ev, color=BLUE, alpha=0.15, label="window that the models read")
        ax.axvline(entry.reference.energy_ev, color=GREY, lw=0.8, label=f"{spectrum.edge}")
        ax.set_title(f"{Path(spectrum.file).name} as measured", **STYLE)
        ax.set_xlabel("energy (eV)", **STYLE)
        ax.legend(frameon=False, **STYLE)
        return pn.pane.HTML(reading_page.svg(figure))

    def _drawn(self, found: Reading) -> list[Any]:
        drawn = reading_page.draw(found, self.simulated)
        return [pn.pane.HTML(reading_page.svg(figure)) for figure in drawn.values()]


def _short(fault: InputError) -> str:
    """A fault without the temporary folder that the user never saw."""
    return f"{Path(fault.file).name}: {fault.key}: {fault.problem}. Fix: {fault.fix}"


def run(options: argparse.Namespace) -> int:
    """Serve the page until it is interrupted."""
    folder = command.models_folders(options.models)[0]
    simulated, library = load_simulated(folder / command.BESIDE), Library.of_folder(folder)
    pn.config.notifications = False
    pn.serve(
        lambda: Page(simulated, library, options.confidence).view(),
        address=ADDRESS,
        port=options.port,
        websocket_origin=[f"{ADDRESS}:{options.port}", f"localhost:{options.port}"],
        show=not options.no_browser,
        title="corefuse",
    )
    return 0
