"""``corefuse read``: measured files to answers, in one process, without a workflow."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from corefuse.config import Image, Sample
from corefuse.core import files, places
from corefuse.core.edges import modality_id
from corefuse.core.errors import InputError
from corefuse.read import image, reading, request
from corefuse.read.infer import Library
from corefuse.read.reading import Reading
from corefuse.read.simulated import Simulated
from corefuse.read.simulated import load as load_simulated
from corefuse.read.treated import Failed
from corefuse.report import reading_page as page
from corefuse.report import terminal

BESIDE = "simulated.nc"  # simulated spectra, beside the models that were trained on them
SHIPPED = tuple(map(places.own, ("resources/models", "resources/ni_k/models")))
OPTIONS = (
    *("edge", "technique", "column", "energy_column", "reference_column", "scan", "group"),
    *("signal", "background", "energy_offset_ev", "axis_uncertainty_ev", "mode"),
)


def run(options: argparse.Namespace) -> int:
    """Read what was asked for; 1 where a sample could not be read.

    Raises
    ------
    InputError
        Nothing can be read at all, or an option is not valid.
    """
    if not 0.5 < options.confidence < 1:
        fix = "give a level such as 0.8"
        raise InputError("corefuse read", "--confidence", f"{options.confidence:g}", fix)
    paths = [Path(name) for name in options.files]
    folder, simulated, asked = _suitable(paths, options)
    library = Library.of_folder(folder)
    found, failed = read_samples(asked.samples, simulated, library, options.confidence)
    maps = {i.name: _image(i, simulated, library, options.confidence) for i in asked.images}
    out = Path(options.out)
    if found is not None:
        write(out, found, simulated, library, folder)
        print(terminal.answers(found))
    for name, one in maps.items():
        page.write_image(out, name, one)
        print(f"{name}: maps in {out / f'{name}.nc'} and {out / f'{name}.svg'}")
    print(f"Everything is in {out}: open {out / 'index.html'}" if found else f"Maps are in {out}")
    for fault in failed.faults.values():
        print(f"corefuse: {fault}", file=sys.stderr)
    return int(bool(failed.faults))


def read_samples(
    samples: Sequence[Sample], simulated: Simulated, library: Library, confidence: float
) -> tuple[Reading | None, Failed]:
    """Answers for all samples that can be read, and why the others cannot.

    Raises
    ------
    InputError
        None can be read.
    """
    failed = Failed()
    if not samples:
        return None, failed
    found = reading.read(samples, simulated, library, confidence, failed=failed)
    return found, failed


def models_folders(named: str | None) -> list[Path]:
    """Folders with models: the one that is named, else those that come with corefuse.

    Raises
    ------
    InputError
        There are no models there.
    """
    places_of = [Path(named), Path(named) / "models"] if named else map(Path, SHIPPED)
    found = [folder for folder in places_of if (folder / BESIDE).exists()]
    if not found:
        fix = "give the models of a finished run: --models results/<name>/models"
        problem = f"no models with {BESIDE} are there"
        raise InputError(named or "resources", "--models", problem, fix)
    return found


def _suitable(
    paths: Sequence[Path], options: argparse.Namespace
) -> tuple[Path, Simulated, request.Asked]:
    """The first models that read what is asked for.

    Raises
    ------
    InputError
        None do: why not the first ones.
    """
    faults = []
    for folder in models_folders(options.models):
        simulated = load_simulated(folder / BESIDE)
        try:
            asked = _asked(paths, options, simulated)
        except InputError as fault:
            faults.append(fault)
            continue
        spectra = [m for s in asked.samples for m in s.spectra]
        named = {modality_id(m.edge, m.technique) for m in spectra}
        named |= {modality_id(edge, "EELS") for one in asked.images for edge in one.edges}
        if named & set(simulated.spectra):
            return folder, simulated, asked
        fix = f"these read {', '.join(simulated.spectra)}; give other --models"
        faults.append(InputError(folder, "--models", f"no model of {', '.join(named)}", fix))
    raise faults[0]


def write(out: Path, found: Reading, simulated: Simulated, library: Library, models: Path) -> None:
    """Write ``answer.csv``, ``matched.csv``, ``treated.nc``, figures and ``index.html``."""
    files.write_csv(out / "answer.csv", found.answers)
    files.write_csv(out / "matched.csv", found.matched)
    files.write_netcdf(out / "treated.nc", reading.dataset(found, simulated))
    page.write(out, found, simulated, library, models)


def _asked(
    paths: Sequence[Path], options: argparse.Namespace, simulated: Simulated
) -> request.Asked:
    lists = [p for p in paths if p.suffix.lower() in request.SUFFIXES]
    if lists:
        if len(paths) > 1:
            fix = "give it alone; name the other files in it"
            raise InputError(lists[0], "corefuse read", "a samples file and other files", fix)
        given = [name for name in (*OPTIONS, "reference", "composition") if getattr(options, name)]
        if given:
            fix = "write it into the samples file"
            raise InputError(lists[0], f"--{given[0]}", "does not go with a samples file", fix)
        return request.of_samples_file(lists[0])
    told = {name: getattr(options, name) for name in OPTIONS}
    for name in ("column", "energy_column", "reference_column", "scan", "group", "signal"):
        told[name] = int(told[name]) if told[name] and told[name].isdigit() else told[name]
    if options.reference:
        told["reference"] = request.reference_of(options.reference)
    if options.composition:
        told["composition"] = request.composition_of(options.composition)
    return request.of_files(paths, told, simulated, options.series)


def _image(one: Image, simulated: Simulated, library: Library, confidence: float) -> object:
    return image.whole(one, simulated, library, confidence, _told)


def _told(line: str) -> None:
    print(f"[corefuse] {line}", file=sys.stderr, flush=True)
