"""Files with measured spectra: energies and intensities as they stand there, nothing corrected."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from corefuse.grid import SpectrumError

TEXT_SUFFIXES = (".csv", ".txt", ".dat", ".xdi")
# Suffix -> the RosettaSciIO plug-in that reads it.
MICROSCOPE_FORMATS = {
    ".msa": "msa",
    ".dm3": "digitalmicrograph",
    ".dm4": "digitalmicrograph",
    ".hspy": "hspy",
    ".emd": "emd",
}
SUFFIXES = (*TEXT_SUFFIXES, ".json", *MICROSCOPE_FORMATS)
# Names of intensity columns, best first; those of the XAS Data Interchange 1.0 dictionary included.
INTENSITY_NAMES = (
    *("norm", "flat", "normtrans", "normfluor", "mu", "xmu", "mutrans", "mufluor"),
    *("intensity", "counts", "signal"),
)
EV_PER_UNIT = {"eV": 1.0, "keV": 1000.0}
_XDI_COLUMN = re.compile(r"[#%]\s*column\.\d+:\s*(\S+)\s*(\S*)", re.IGNORECASE)
_UNIT = re.compile(r"(?<![a-z])(k?ev)(?![a-z])", re.IGNORECASE)
_ELECTROCHEMISTRY = re.compile(
    r"volt|potential|capacity|current|e_?cell|\bewe\b|mah|cycle|\btime\b", re.IGNORECASE
)


@dataclass(frozen=True)
class SpatialAxis:
    """One direction of a spectrum image: pixel i stands at offset + scale * i."""

    name: str
    size: int
    scale: float
    offset: float
    unit: str


@dataclass(frozen=True, eq=False)
class Recorded:
    """What a file holds: ``energy`` (n,), rising, and ``counts`` (..., n), one axis a direction.

    ``unit`` is the unit of the energies where the file says it, ``beam_kv`` the beam likewise.
    """

    energy: np.ndarray
    counts: np.ndarray
    unit: str | None = None
    axes: tuple[SpatialAxis, ...] = ()
    beam_kv: float | None = None

    def mean(self) -> np.ndarray:
        """Counts (n,), averaged over the pixels."""
        return self.counts.mean(axis=tuple(range(self.counts.ndim - 1)))


@dataclass(frozen=True)
class Columns:
    """A table of numbers: names (lower case, none where the file has none), values, energy unit."""

    values: np.ndarray  # (row, column)
    names: list[str] = field(default_factory=list)
    unit: str | None = None


def read(
    path: Path,
    column: str | None = None,
    axis_range: tuple[float, float] | None = None,
) -> Recorded:
    """Read any file of :data:`SUFFIXES`.

    ``column`` names the intensity column of a text file, or the entry of a ``.json`` file by its
    keys joined with dots. ``axis_range`` are the first and last energy of a file that holds no
    energies, evenly spaced.

    Raises
    ------
    SpectrumError
        The file cannot be read, is of another type, holds no spectrum or electrochemistry.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise SpectrumError(
            f"files of type {suffix or 'none'} are not read",
            f"save it as {', '.join(SUFFIXES)}",
        )
    try:
        if suffix in MICROSCOPE_FORMATS:
            return _read_microscope(path, MICROSCOPE_FORMATS[suffix])
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as err:
        raise SpectrumError(
            f"it cannot be read ({err.strerror or type(err).__name__})",
            "correct the path, counted from the run's folder",
        ) from None
    if suffix == ".json":
        return _spaced(_json_entry(text, column), axis_range)
    table = _table(text)
    if axis_range is not None:
        columns = dict(zip(table.names, table.values.T, strict=False))
        return _spaced(_intensity(columns, column), axis_range)
    energy, intensity = _pick(table, column)
    return _rising(Recorded(energy, intensity, table.unit))


def _rising(recorded: Recorded) -> Recorded:
    if recorded.energy.size > 1 and recorded.energy[0] > recorded.energy[-1]:
        flipped = recorded.energy[::-1], recorded.counts[..., ::-1]
        return Recorded(*flipped, recorded.unit, recorded.axes, recorded.beam_kv)
    return recorded


def _spaced(intensity: np.ndarray, axis_range: tuple[float, float] | None) -> Recorded:
    if axis_range is None:
        raise SpectrumError("it holds no energies", "give axis_range: [first, last]")
    return Recorded(np.linspace(*axis_range, len(intensity)), intensity)


def _read_microscope(path: Path, plugin: str) -> Recorded:
    reader = import_module(f"rsciio.{plugin}").file_reader  # slow, needed for these files only
    try:
        signals = [s for s in reader(str(path)) if _energy_axis(s) is not None]
        signal = max(signals, key=lambda s: np.asarray(s["data"]).size)
        place = _energy_axis(signal)
        counts = np.moveaxis(np.asarray(signal["data"], dtype=float), place, -1)
    except OSError as err:
        if err.errno:
            raise
        raise _no_spectrum(path, err) from None
    except Exception as err:  # a plug-in fails on a broken file in ways of its own
        raise _no_spectrum(path, err) from None
    axis = signal["axes"][place]
    energy = axis["offset"] + axis["scale"] * np.arange(axis["size"])
    spatial = tuple(_spatial(a) for i, a in enumerate(signal["axes"]) if i != place)
    return _rising(Recorded(energy, counts, _unit(str(axis["units"])), spatial, _beam_kv(signal)))


def _no_spectrum(path: Path, err: Exception) -> SpectrumError:
    kind = "EMSA/MAS spectrum" if path.suffix.lower() == ".msa" else f"{path.suffix} spectrum"
    return SpectrumError(
        f"it is no {kind} ({type(err).__name__})", "export it again as .msa or .csv"
    )


def _energy_axis(signal: dict[str, Any]) -> int | None:
    """Which axis holds energies: by its unit, else by its name, else the only one."""
    axes = signal["axes"]
    for i, axis in enumerate(axes):
        if _unit(str(axis.get("units"))) or re.search(r"energy|loss", str(axis.get("name")), re.I):
            return i
    return 0 if len(axes) == 1 else None


def _spatial(axis: dict[str, Any]) -> SpatialAxis:
    unit = str(axis.get("units") or "px")
    return SpatialAxis(
        str(axis["name"]), axis["size"], float(axis["scale"]), float(axis["offset"]), unit
    )


def _beam_kv(signal: dict[str, Any]) -> float | None:
    """Beam energy, which writers give in keV as told or, against the standard, in eV."""
    microscope = signal["metadata"].get("Acquisition_instrument", {}).get("TEM", {})
    beam = float(microscope.get("beam_energy") or 0)
    return (beam / 1000 if beam > 5000 else beam) or None


def _unit(text: str) -> str | None:
    found = _UNIT.search(text)
    return {"ev": "eV", "kev": "keV"}[found[1].lower()] if found else None


def _json_entry(text: str, column: str | None) -> np.ndarray:
    if column is None:
        raise SpectrumError("which entry of it?", "give column, such as 'intensity.0'")
    entry: Any = None
    try:
        entry = json.loads(text)
        for key in column.split("."):
            entry = entry[int(key)] if isinstance(entry, list) else entry[key]
        intensity = np.array(entry, dtype=float)
    except (ValueError, KeyError, IndexError, TypeError) as err:
        there = f", but {', '.join(list(entry)[:8])}" if isinstance(entry, dict) else ""
        raise SpectrumError(
            f"there is no {column!r} of numbers in it{there} ({type(err).__name__})",
            "give the keys that lead to one spectrum, joined with dots",
        ) from None
    if intensity.ndim != 1 or intensity.size < 2:
        raise SpectrumError(f"{column!r} is no list of numbers", "name one spectrum")
    return intensity


def _table(text: str) -> Columns:
    rows: list[list[float]] = []
    declared: list[str] = []
    header: list[str] = []
    unit = None
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if line[:1] in ("", "#", "%", "!"):
            if match := _XDI_COLUMN.match(line):
                declared.append(match[1])
                unit = unit or _unit(match[2])
            if line and not rows:  # the last comment before the numbers often names the columns
                header = _cells(line.strip("#%! "))
            continue
        cells = _cells(line)
        try:
            rows.append([float(cell) for cell in cells])
        except ValueError:
            if rows:
                raise SpectrumError(
                    f"line {number} is not a row of numbers", "remove it or comment it out with #"
                ) from None
            header = cells
            continue
        if len(rows[-1]) != len(rows[0]):
            raise SpectrumError(
                f"line {number} has {len(rows[-1])} columns, not {len(rows[0])}",
                "give every row the same columns",
            )
    names = next((n for n in (declared, header) if rows and len(n) == len(rows[0])), [])
    _refuse_electrochemistry(names or header)
    if not rows or len(rows[0]) < 2:
        raise SpectrumError("it has no two columns of numbers", "give energy and intensity columns")
    energies = [n for n in names if _is_energy(n)]
    return Columns(np.array(rows), [n.lower() for n in names], unit or _unit(" ".join(energies)))


def _is_energy(name: str) -> bool:
    return "energy" in name.lower() or "loss" in name.lower() or _unit(name) is not None


def _refuse_electrochemistry(names: list[str]) -> None:
    found = [n for n in names if _ELECTROCHEMISTRY.search(n)]
    if found and not any(_is_energy(n) for n in names):
        raise SpectrumError(
            f"its columns {', '.join(names)} are electrochemistry, not a spectrum",
            "give the file with energies and intensities",
        )


def _cells(line: str) -> list[str]:
    separator = next((s for s in ";\t," if s in line), None)
    cells = [cell.strip().strip('"') for cell in line.split(separator)]
    while cells and not cells[-1]:
        cells.pop()
    return cells if separator == "," else [cell.replace(",", ".") for cell in cells]


def _pick(table: Columns, column: str | None) -> tuple[np.ndarray, np.ndarray]:
    """The energy and intensity columns of a table."""
    columns = dict(zip(table.names, table.values.T, strict=False))
    energy_name = next((n for n in table.names if _is_energy(n)), None)
    if energy_name is None:
        if "angle" in table.names:
            raise SpectrumError(
                f"there is no energy among its columns {', '.join(table.names)}",
                "add an energy column",
            )
        if column is not None:
            return table.values[:, 0], _intensity(columns, column)
        return table.values[:, 0], table.values[:, 1]
    return columns.pop(energy_name), _intensity(columns, column)


def _intensity(columns: dict[str, np.ndarray], column: str | None) -> np.ndarray:
    if column is not None:
        if column.lower() not in columns:
            raise SpectrumError(
                f"there is no column {column!r}", f"use one of {', '.join(columns) or 'none'}"
            )
        return columns[column.lower()]
    for name in INTENSITY_NAMES:
        if name in columns:
            return columns[name]
    with np.errstate(divide="ignore", invalid="ignore"):  # Spectrum complains of what is not finite
        if {"i0", "itrans"} <= columns.keys():
            return np.log(columns["i0"] / columns["itrans"])
        if {"i0", "ifluor"} <= columns.keys():
            return columns["ifluor"] / columns["i0"]
    return next(iter(columns.values()))
