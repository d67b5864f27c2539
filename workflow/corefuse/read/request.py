"""What ``corefuse read`` is asked for: files on the command line, or a samples file, as samples."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from corefuse.config import Image, Infer, Sample, SpectrumSeries, load_entry
from corefuse.config import samples as samples_file
from corefuse.core.edges import EDGES, split_modality
from corefuse.core.errors import InputError
from corefuse.core.spectrum import SpectrumError
from corefuse.read import files, measured
from corefuse.read.files.columns import role
from corefuse.read.simulated import Simulated

KEY = "corefuse read"
SUFFIXES = (".yaml", ".yml")
LEAST_SIDE_BY_SIDE = 4  # unnamed columns of a table that are taken for a series unasked
MICROSCOPE = (".msa", ".dm3", ".dm4", ".hspy", ".emd")


@dataclass(frozen=True)
class Asked:
    """Samples and images, and what a samples file says of them."""

    samples: list[Sample]
    images: list[Image] = field(default_factory=list)


def of_samples_file(path: Path) -> Asked:
    """All samples, series and images of a ``.yaml``, their files counted from its folder.

    Raises
    ------
    InputError
        The file cannot be read, an entry is not valid, or a file that it names is not there.
    """
    listed = samples_file.read(path)
    raw: dict[str, Any] = {"samples": [], "series": [], "images": []}
    for kind, entries in listed.items():
        for entry in entries:
            placed = samples_file.placed(entry, path.parent)
            samples_file.check_there(placed, path)
            raw[kind].append(placed)
    alone = list(raw["samples"])
    for number, entry in enumerate(raw["series"]):
        series = load_entry(SpectrumSeries, entry, path, ("series", str(number)))
        alone += samples_file.spell_out(series, path)
    infer = validated(Infer, {"samples": alone, "images": raw["images"]}, path)
    return Asked(list(infer.samples), list(infer.images))


def of_files(
    paths: Sequence[Path], options: Mapping[str, Any], simulated: Simulated, series: bool = False
) -> Asked:
    """Samples of files that a user names, with what the options say of each spectrum.

    A table of many spectra side by side is a series, one of two or three with ``series``; several
    files are samples, or with ``series`` one series in the order that they are named.

    Raises
    ------
    InputError
        A file is not there, no edge or several are in it, or an option is not valid.
    """
    alone: list[dict[str, Any]] = []
    names = _names(paths)
    composition = options.get("composition") or {}
    spectrum = {k: v for k, v in options.items() if v is not None and k != "composition"}
    for path, name in zip(paths, names, strict=True):
        if not path.exists():
            raise InputError(path, KEY, "there is no such file", "correct the path")
        told = spectrum | edge_of(path, spectrum, simulated)
        several = spectra_in(path, told) if "column" not in told and len(paths) == 1 else []
        scans = series and len(paths) == 1 and "scan" not in told and _has_scans(path)
        if scans or (len(several) > 1 and (series or len(several) >= LEAST_SIDE_BY_SIDE)):
            entry = {"name": name, "file": str(path), **told}
            entry |= {} if scans else {"columns": several}
            entry["composition"] = composition
            loaded = load_entry(SpectrumSeries, entry, path, ("series",))
            alone += samples_file.spell_out(loaded, path)
        else:
            first = names[0]
            one: dict[str, Any] = {"name": name, "spectra": [{"file": str(path), **told}]}
            if not series or name == first:
                one["composition"] = composition
            if series:
                one |= {"series": "series"} | ({"aligned_with": first} if name != first else {})
            alone.append(one)
    return Asked(list(validated(Infer, {"samples": alone}, paths[0]).samples))


def edge_of(path: Path, told: Mapping[str, Any], simulated: Simulated) -> dict[str, str]:
    """Edge and technique of a file: as given, else the only one of the models that is in it.

    Raises
    ------
    InputError
        None of the models' edges is in the file, or several are.
    """
    microscope = path.suffix.lower() in MICROSCOPE
    technique = told.get("technique") or ("EELS" if microscope else None)
    possible = [
        m
        for m in simulated.spectra
        if (told.get("edge") in (None, split_modality(m)[0].name))
        and (technique in (None, split_modality(m)[1]))
    ]
    if told.get("edge") and told["edge"] not in EDGES:
        raise InputError(
            path, "--edge", f"no edge is called {told['edge']!r}", f"use {_list(EDGES)}"
        )
    if len(possible) == 1:
        return _named(possible[0])
    fits, why = [], None
    for modality in possible:
        try:
            wanted = validated(Infer, {"samples": [_sample(path, told, modality)]}, path)
            measured.load(wanted.samples[0].spectra[0], simulated.table, modality, 3.0)
            fits.append(modality)
        except InputError as fault:
            why = why or fault
    if len(fits) == 1:
        return _named(fits[0])
    if not fits:
        known = _list(simulated.spectra)
        problem = f"no edge that the models know is in it ({why.problem})" if why else "no edge"
        raise InputError(path, "--edge", problem, f"the models know {known}; name it with --edge")
    fix = "name it: " + " or ".join(
        f'--edge "{split_modality(m)[0].name}" --technique {split_modality(m)[1]}' for m in fits
    )
    raise InputError(path, "--edge", f"it may be {_list(fits)}", fix)


def _has_scans(path: Path) -> bool:
    try:
        return files.parts(path) > 1
    except SpectrumError:
        return False  # told when the file is read


def spectra_in(path: Path, told: Mapping[str, Any]) -> list[str | int]:
    """Columns of a table that are spectra side by side: all, where none has a counter's name."""
    if path.suffix.lower() in MICROSCOPE:
        return []
    try:
        found = files.entries(path, None, told.get("energy_column"))
        if files.parts(path) > 1 or any(role(str(name)) == "i0" for name in found):
            return []  # scans, or counters of one spectrum
    except SpectrumError:
        return []  # told when the file is read
    try:
        files.read(path)
    except SpectrumError:  # it asks which one is meant: all are
        return found
    return []


def validated(section: type[Infer], raw: dict[str, Any], file: str | Path) -> Infer:
    """A section from plain data, or one line that says what is wrong."""
    return load_entry(section, raw, file, ())


def reference_of(text: str) -> dict[str, Any]:
    """``Ni``, ``8333``, ``foil.dat=Ni`` or ``NiO.dat=8344`` as a reference.

    Raises
    ------
    InputError
        It names no element and no energy.
    """
    file, _, known = text.rpartition("=")
    out: dict[str, Any] = {"file": file} if file else {}
    if re.fullmatch(r"[A-Z][a-z]?", known):
        return out | {"foil": known}
    try:
        return out | {"energy_ev": float(known)}
    except ValueError:
        fix = "give the element of a foil or E0 in eV: Ni, foil.dat=Ni, NiO.dat=8344"
        raise InputError("--reference", text, "no foil and no energy", fix) from None


def composition_of(text: str) -> dict[str, float]:
    """``Li=1,Ni=0.8,Mn=0.1,Co=0.1`` as contents.

    Raises
    ------
    InputError
        It is no such list.
    """
    try:
        pairs = [part.split("=") for part in text.replace(" ", "").split(",") if part]
        return {element: float(content) for element, content in pairs}
    except ValueError:
        fix = "give atoms per formula unit: Li=1,Ni=0.8,Mn=0.1,Co=0.1"
        raise InputError("--composition", text, "no contents", fix) from None


def _sample(path: Path, told: Mapping[str, Any], modality: str) -> dict[str, Any]:
    spectrum = {"file": str(path), **told, **_named(modality)}
    return {"name": "asked", "spectra": [spectrum]}


def _named(modality: str) -> dict[str, str]:
    edge, technique = split_modality(modality)
    return {"edge": edge.name, "technique": technique}


def _names(paths: Sequence[Path]) -> list[str]:
    """A name for each file that a sample may have, none twice."""
    out: list[str] = []
    for path in paths:
        clean = re.sub(r"[^A-Za-z0-9_.-]+", "_", path.stem).lstrip("_.-") or "sample"
        same = sum(re.fullmatch(rf"{re.escape(clean)}(-\d+)?", name) is not None for name in out)
        out.append(f"{clean}-{same + 1}" if same else clean)
    return out


def _list(names: Any) -> str:
    return ", ".join(map(str, names))
