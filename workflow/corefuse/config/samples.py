"""The samples file: what was measured, apart from the config, its data where the user has it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from corefuse import config
from corefuse.config import Image, Sample, SpectrumSeries
from corefuse.core import places, yaml_file
from corefuse.core.errors import InputError, named, shortened

KINDS: dict[str, Any] = {"samples": Sample, "series": SpectrumSeries, "images": Image}
MOST_FILES = 50_000  # that one pattern may match
_WILD = re.compile(r"[*?[]")
OF_A_SERIES = (
    "name",
    "file",
    "column",
    "columns",
    "scans",
    "voltages",
    "composition",
    "aligned_with",
)


def put_in(raw: dict[str, Any], config_file: str | Path) -> tuple[dict[str, Any], list[str]]:
    """A parsed config with what its ``infer.samples_file`` lists, and what that had to leave out.

    An entry comes in where all its files are in the data folder; where only public ones that
    `snakemake download` gets are missing, there is a line for the user instead. One that the config
    names itself wins, so a resolved config can be read again.
    Every series, the config's own too, becomes its samples. A section that is not valid is left as
    it is, for :func:`corefuse.config.load` to refuse.

    Raises
    ------
    InputError
        The samples file cannot be read, an entry of it is not valid, a file that it names is not
        there; a series is none.
    """
    infer = raw.get("infer") if isinstance(raw, dict) else None
    if not isinstance(infer, dict) or not (infer.get("samples_file") or infer.get("series")):
        return raw, []
    if not all(isinstance(infer.get(kind) or [], list) for kind in KINDS):
        return raw, []
    if not all(isinstance(infer.get(key) or "", str) for key in ("samples_file", "data_folder")):
        return raw, []
    out, left_out = dict(infer), []
    if listed := infer.get("samples_file"):
        folder = data_folder(infer)
        for kind, entries in read(Path(places.found(listed))).items():
            out[kind], missing = _with_those_there(
                list(infer.get(kind) or []), entries, folder, listed
            )
            left_out += missing
    alone = list(out.get("samples") or [])
    names = _names(alone)
    for number, entry in enumerate(out.get("series") or []):
        key = ("infer", "series", str(number))
        series = config.load_entry(SpectrumSeries, entry, config_file, key)
        spelt_out = spell_out(series, config_file)
        alone += [sample for sample in spelt_out if sample["name"] not in names]
    return raw | {"infer": out | {"samples": alone, "series": []}}, left_out


def _names(entries: list[Any]) -> set[str]:
    """Names of entries that may not be valid yet."""
    names = [entry.get("name") for entry in entries if isinstance(entry, dict)]
    return {name for name in names if isinstance(name, str)}


def spell_out(series: SpectrumSeries, config_file: str | Path) -> list[dict[str, Any]]:
    """The samples that a series represents, as they would be in a config.

    Raises
    ------
    InputError
        There is no file, it cannot be read, or voltages and spectra differ in number.
    """
    spectra = _spectra(series)
    voltages = series.voltages or [None] * len(spectra)
    if len(voltages) != len(spectra):
        found = named(next(reversed(one.values())) or Path(one["file"]).name for one in spectra)
        raise InputError(
            config_file,
            f"infer.series.{series.name}.voltages",
            f"{len(voltages)} voltages for {len(spectra)} spectra",
            f"give one each, null at open circuit, in the order {found}",
        )
    treated = series.model_dump(mode="json", exclude=set(OF_A_SERIES), exclude_unset=True)
    names = [f"{series.name}-{n:02d}" for n in range(1, len(spectra) + 1)]
    out: list[dict[str, Any]] = [
        {
            "name": name,
            "series": series.name,
            "voltage": voltage,
            "aligned_with": series.aligned_with or names[0],
            "spectra": [treated | one],
        }
        for name, voltage, one in zip(names, voltages, spectra, strict=True)
    ]
    known = series.composition if isinstance(series.composition, list) else [series.composition]
    if len(known) > len(out):
        raise InputError(
            config_file,
            f"infer.series.{series.name}.composition",
            f"{len(known)} compositions for {len(out)} spectra",
            "give one each, null where it is not known",
        )
    for sample, composition in zip(out, known, strict=False):
        sample["composition"] = dict(composition or {})
    return out


def units(samples: Iterable[Sample]) -> dict[str, list[Sample]]:
    """What is read together, by name: every series with its samples, every other sample alone."""
    out: dict[str, list[Sample]] = {}
    for sample in samples:
        out.setdefault(sample.series or sample.name, []).append(sample)
    return out


def with_aligned(unit: Iterable[Sample], samples: Mapping[str, Sample]) -> list[Sample]:
    """The samples of a unit and those of others whose energy shifts they take."""
    own = {sample.name: sample for sample in unit}
    for sample in list(own.values()):
        if sample.aligned_with:
            own.setdefault(sample.aligned_with, samples[sample.aligned_with])
    return list(own.values())


def _spectra(series: SpectrumSeries) -> list[dict[str, Any]]:
    """File and column, or file and scan, of every spectrum of a series, in its order."""
    files = _matching(series.file)
    if len(files) > 1:
        return [{"file": file, "column": series.column} for file in files]
    key = f"infer.series.{series.name}"
    scans = series.scans or ([] if series.columns or series.scan else _scans(files[0]))
    if len(scans) > 1:
        return [{"file": files[0], "column": series.column, "scan": scan} for scan in scans]
    found = series.columns or _entries(series, files[0], key)
    if len(found) < 2:
        fix = "give columns, or in file a pattern such as scan_*.xdi"
        raise InputError(series.file, key, f"it holds {len(found)} spectra", fix)
    return [{"file": files[0], "column": column} for column in found]


def _scans(file: str) -> list[int]:
    """Numbers of the scans, groups or signals of one file; none of a ``.json``."""
    from corefuse.core.spectrum import SpectrumError
    from corefuse.read import files  # numpy and scipy, which a job whose config tells need not load

    try:
        return list(range(1, files.parts(Path(file)) + 1))
    except SpectrumError:
        return []  # told with the entries


def _entries(series: SpectrumSeries, file: str, key: str) -> list[str | int]:
    """Everything that the one file of a series holds."""
    from corefuse.core.spectrum import SpectrumError
    from corefuse.read import files

    try:
        return files.entries(Path(file), series.column, series.energy_column)
    except SpectrumError as fault:
        raise InputError(series.file, key, fault.problem, fault.fix) from None


def _matching(pattern: str) -> list[str]:
    """Files of a pattern, in the order of the numbers in their names; else the name itself."""
    path = Path(pattern)
    if path.exists() or "**" in path.name or not _WILD.search(path.name):
        return [pattern]
    found = islice(path.parent.glob(path.name), MOST_FILES)
    return sorted(map(str, found), key=_by_number) or [pattern]


def _by_number(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _with_those_there(
    own: list[Any], entries: list[dict[str, Any]], folder: Path, listed_in: str
) -> tuple[list[Any], list[str]]:
    """Own entries and those of a samples file whose files are there; a line for each other one.

    Only public files that ``snakemake download`` gets may be missing.
    """
    names = _names(own)
    left_out = []
    for entry in (e for e in entries if e["name"] not in names):
        missing = [f for f in _files(entry) if not Path(_matching(str(folder / f))[0]).exists()]
        if missing and not set(missing) <= _downloadable():
            check_there(placed(entry, folder), listed_in)
        if missing:
            where = shortened(folder / missing[0], 120, keep_end=True)
            left_out.append(
                f"{entry['name']} is left out: there is no {where} "
                "(`snakemake download` gets it; COREFUSE_DATA names another folder)"
            )
        else:
            own = [*own, placed(entry, folder)]
    return own, left_out


@cache
def _downloadable() -> frozenset[str]:
    """Places in the data folder that ``resources/data.yaml`` fills."""
    listed = yaml_file.read(Path(places.own("resources/data.yaml")), "data")
    return frozenset(f"{part['folder']}/{name}" for part in listed for name in part["files"])


def data_folder(infer: Mapping[str, Any]) -> Path:
    """Where measured files of a samples file are: the config's, ``$COREFUSE_DATA``, or ``data``."""
    return Path(infer.get("data_folder") or os.environ.get("COREFUSE_DATA") or "data")


def read(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Entries of a samples file by their kind, each valid but for where its files are.

    Raises
    ------
    InputError
        It cannot be read, is no mapping of kinds to lists, or an entry is not valid.
    """
    listed = yaml_file.read(path, "infer.samples_file")
    right = isinstance(listed, dict) and set(listed) <= set(KINDS)
    if not right or not all(isinstance(entries or [], list) for entries in listed.values()):
        raise InputError(
            path, "samples", "no list of samples", "give samples: [..], series: [..], images: [..]"
        )
    out = {kind: listed[kind] or [] for kind in KINDS if kind in listed}
    for kind, entries in out.items():
        for number, entry in enumerate(entries):
            found = config.load_entry(KINDS[kind], entry, path, (kind, str(number)))
            if found.name in _names(entries[:number]):
                problem, fix = f"{found.name!r} is there twice", "give each a name of its own"
                raise InputError(path, f"{kind}.{number}.name", problem, fix)
    return out


def _files(entry: Mapping[str, Any]) -> list[str]:
    """Every file that a sample or image names."""
    parts = [entry, *(entry.get("spectra") or [])]
    parts += [part["reference"] for part in parts if part.get("reference")]
    return [part[key] for part in parts for key in ("file", "low_loss") if part.get(key)]


def placed(entry: dict[str, Any], folder: Path) -> dict[str, Any]:
    """An entry whose files are counted from a folder."""
    out = entry | {k: str(folder / entry[k]) for k in ("file", "low_loss") if entry.get(k)}
    if entry.get("reference"):
        out["reference"] = placed(entry["reference"], folder)
    if "spectra" in entry:
        out["spectra"] = [placed(s, folder) for s in entry["spectra"]]
    return out


def check_there(entry: Mapping[str, Any], listed_in: str | Path) -> None:
    """Raise InputError where a file that an entry names is not there."""
    for file in _files(entry):
        if not Path(_matching(file)[0]).exists():
            raise InputError(
                listed_in,
                f"{entry.get('name')}.file",
                f"there is no {shortened(file, 120, keep_end=True)}",
                "correct the name: files are counted from the folder of the samples file, in a "
                "run from data_folder or COREFUSE_DATA",
            )
