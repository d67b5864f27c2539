"""Files with measured spectra: energies and intensities as they stand there, nothing corrected."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from corefuse.core.spectrum import SpectrumError

# Suffix -> the RosettaSciIO plug-in that reads it.
MICROSCOPE_FORMATS = {
    ".msa": "msa",
    ".dm3": "digitalmicrograph",
    ".dm4": "digitalmicrograph",
    ".hspy": "hspy",
    ".emd": "emd",
}
# Names of intensity columns, best first; those of the XAS Data Interchange 1.0 dictionary included.
INTENSITY_NAMES = (
    *("norm", "flat", "normtrans", "normfluor", "mu", "xmu", "mutrans", "mufluor"),
    *("normalized", "normalised", "absorption", "absorbance"),
    *("intensity", "counts", "signal"),
)
MOST_TOLD = 20  # names in an error
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
    notes: tuple[str, ...] = ()

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
    column: str | int | None = None,
    axis_range: tuple[float, float] | None = None,
    energy_column: str | int | None = None,
) -> Recorded:
    """Read a microscope file of :data:`MICROSCOPE_FORMATS`, a ``.json``, or any table of numbers.

    ``column`` and ``energy_column`` are names in the table's header or numbers that count from 1,
    in a ``.json`` the keys that lead to a list, joined with dots. ``axis_range`` are the first and
    last energy of a file that holds no energies, evenly spaced. Intensities at one energy are
    averaged.

    Raises
    ------
    SpectrumError
        The file cannot be read, holds no spectrum or electrochemistry, or several spectra and
        nobody says which.
    """
    suffix = path.suffix.lower()
    if suffix in MICROSCOPE_FORMATS:
        return _read_microscope(path, MICROSCOPE_FORMATS[suffix])
    text = _text(path)
    if suffix == ".json":
        return _of_json(_json_lists(text), column, axis_range, energy_column)
    table = _table(text, least=2 if axis_range is None else 1)
    if axis_range is not None:
        return _spaced(_intensity(table, column, None), axis_range)
    place = _energy_place(table, energy_column)
    return _rising(Recorded(table.values[:, place], _intensity(table, column, place), table.unit))


def entries(
    path: Path, column: str | None = None, energy_column: str | int | None = None
) -> list[str | int]:
    """Everything in a table or ``.json`` that :func:`read` takes as its ``column``, in its order.

    Energies are left out. In a ``.json``, what lies below the keys ``column``.

    Raises
    ------
    SpectrumError
        As :func:`read`.
    """
    text = _text(path)
    if path.suffix.lower() == ".json":
        lists = _json_lists(text)
        found = [k for k in lists if _is_below(k, column) and not _is_energies(k, energy_column)]
        _check_one_kind(found)
        return found
    table = _table(text)
    place = _energy_place(table, energy_column)
    names = table.names or range(1, table.values.shape[1] + 1)
    return [name for i, name in enumerate(names) if i != place]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as err:
        raise _unreadable(err) from None


def _unreadable(err: OSError) -> SpectrumError:
    return SpectrumError(
        f"it cannot be read ({err.strerror or type(err).__name__})",
        "correct the path, counted from the run's folder",
    )


def _rising(recorded: Recorded) -> Recorded:
    """Turned round where the energies fall; the mean of what stands at one energy."""
    energy, counts = recorded.energy, recorded.counts
    if energy.size > 1 and energy[0] > energy[-1]:
        energy, counts = energy[::-1], counts[..., ::-1]
    first, notes = np.flatnonzero(np.diff(energy, prepend=np.nan) != 0), ()
    if repeated := energy.size - first.size:
        counts = np.add.reduceat(counts, first, axis=-1) / np.diff([*first, energy.size])
        notes = (f"{repeated} repeated energies, their intensities averaged",)
    return replace(recorded, energy=energy[first], counts=counts, notes=notes)


def _spaced(intensity: np.ndarray, axis_range: tuple[float, float] | None) -> Recorded:
    if axis_range is None:
        raise SpectrumError(
            "it holds no energies", "give energy_column, or axis_range: [first, last]"
        )
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
            raise _unreadable(err) from None
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


def _of_json(
    lists: Mapping[str, np.ndarray],
    column: str | int | None,
    axis_range: tuple[float, float] | None,
    energy_column: str | int | None,
) -> Recorded:
    name = str(column) if column is not None else _only_one(lists, energy_column)
    intensity = _named(lists, name)
    if axis_range is not None:
        return _spaced(intensity, axis_range)
    energy = _named(lists, str(energy_column or _energies_beside(lists, name)))
    if energy.shape != intensity.shape:
        raise SpectrumError(
            f"{name} has {intensity.size} numbers, its energies {energy.size}",
            "give energy_column: the keys of its energies",
        )
    return _rising(Recorded(energy, intensity))


def _json_lists(text: str) -> dict[str, np.ndarray]:
    """Every list of numbers in a JSON text, by the keys that lead to it, joined with dots.

    A table as pandas writes it is one of columns too: rows that are mappings, or columns that are
    mappings from the number of a row.
    """
    try:
        data = json.loads(text)
    except ValueError as err:
        raise SpectrumError(f"it is no JSON ({err})", "export it again") from None
    return dict(_walk(data, ()))


def _walk(data: Any, keys: tuple[str, ...]) -> Iterator[tuple[str, np.ndarray]]:
    if isinstance(data, list) and data and all(isinstance(row, dict) for row in data):
        values = [v for row in data for v in row.values()]
        if all(map(_is_number, values)) and all(row.keys() == data[0].keys() for row in data):
            data = {key: [row[key] for row in data] for key in data[0]}
    if not isinstance(data, dict | list):
        return
    inner = list(data.values()) if isinstance(data, dict) else data
    if len(inner) > 1 and all(map(_is_number, inner)):
        yield ".".join(keys), np.array(inner, dtype=float)
        return
    for key, value in data.items() if isinstance(data, dict) else enumerate(data):
        yield from _walk(value, (*keys, str(key)))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _named(lists: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    if name not in lists:
        raise SpectrumError(
            f"there is no list of numbers {name!r} in it", f"use one of {_told(lists)}"
        )
    return lists[name]


def _only_one(lists: Mapping[str, np.ndarray], energy_column: str | int | None) -> str:
    names = [name for name in lists if not _is_energies(name, energy_column)]
    if len(names) != 1:
        raise SpectrumError("which entry of it?", f"give column, one of {_told(names)}")
    return names[0]


def _energies_beside(lists: Mapping[str, np.ndarray], name: str) -> str:
    """The energies of a list: those whose keys differ in one place, else the only ones there."""
    energies = [key for key in lists if _is_energies(key, None)]
    parts = name.split(".")
    beside = [
        key
        for key in energies
        if len(other := key.split(".")) == len(parts)
        and sum(a != b for a, b in zip(parts, other, strict=True)) == 1
    ]
    if len(beside or energies) != 1:
        raise SpectrumError(
            "it holds no energies" if not energies else f"which energies has {name}?",
            "give energy_column, or axis_range: [first, last]",
        )
    return (beside or energies)[0]


def _is_energies(keys: str, energy_column: str | int | None) -> bool:
    if energy_column is not None:
        return keys == str(energy_column)
    return any(_is_energy(key) for key in keys.split("."))


def _check_one_kind(names: list[str]) -> None:
    """Spectra are told apart by one key; lists of several kinds beside them are not meant."""
    above = dict.fromkeys(name.rpartition(".")[0] for name in names)
    below = dict.fromkeys(name.rpartition(".")[2] for name in names)
    if len(above) > 1 and len(below) > 1:
        raise SpectrumError(
            f"which of {_told(above)} holds the spectra?", "give column: the keys above them"
        )


def _is_below(keys: str, above: str | None) -> bool:
    return above is None or keys == above or keys.startswith(f"{above}.")


def _told(names: Iterable[str | int]) -> str:
    """The first names of a list that may be long."""
    listed = [str(name) for name in names]
    return ", ".join(listed[:MOST_TOLD]) + (", ..." if len(listed) > MOST_TOLD else "")


def _table(text: str, least: int = 2) -> Columns:
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
    if not rows or len(rows[0]) < least:
        raise SpectrumError(
            "it has no two columns of numbers",
            "give energy and intensity columns, as .csv, .txt, .dat, .xdi, .json, "
            f"{', '.join(MICROSCOPE_FORMATS)}",
        )
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


def _energy_place(table: Columns, wanted: str | int | None) -> int:
    """The energy column: as named, else the first that is called so, else the first."""
    if wanted is not None:
        return _place(table, wanted)
    named = [i for i, name in enumerate(table.names) if _is_energy(name)]
    if not named and "angle" in table.names:
        raise SpectrumError(
            f"there is no energy among its columns {', '.join(table.names)}",
            "add an energy column",
        )
    return named[0] if named else 0


def _place(table: Columns, wanted: str | int) -> int:
    """Index of a column by its name or its number, which counts from 1."""
    there = range(1, table.values.shape[1] + 1)
    if isinstance(wanted, int) and wanted in there:
        return wanted - 1
    if isinstance(wanted, str) and wanted.lower() in table.names:
        return table.names.index(wanted.lower())
    raise SpectrumError(
        f"there is no column {wanted!r}",
        f"use one of {_told(table.names) or f'the numbers 1 to {len(there)}'}",
    )


def _intensity(table: Columns, wanted: str | int | None, energy: int | None) -> np.ndarray:
    """The intensity column: as named, by its usual name, by its parts, or the only one there."""
    if wanted is not None:
        return table.values[:, _place(table, wanted)]
    others = [i for i in range(table.values.shape[1]) if i != energy]
    columns = {table.names[i]: table.values[:, i] for i in others if table.names}
    for name in INTENSITY_NAMES:
        called = [c for c in columns if re.split(r"[^a-z0-9_]", c)[0] == name]
        if len(called) == 1:
            return columns[called[0]]
    with np.errstate(divide="ignore", invalid="ignore"):  # Spectrum complains of what is not finite
        if {"i0", "itrans"} <= columns.keys():
            return np.log(columns["i0"] / columns["itrans"])
        if {"i0", "ifluor"} <= columns.keys():
            return columns["ifluor"] / columns["i0"]
    if len(others) > 1:
        names = [table.names[i] if table.names else i + 1 for i in others]
        raise SpectrumError(
            f"which of its columns {_told(names)} is the spectrum?",
            "give column: a name or a number",
        )
    return table.values[:, others[0]]
