"""Spectra in a ``.json``: every list of numbers, by the keys that lead to it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from corefuse.core.spectrum import SpectrumError
from corefuse.read.files import axis
from corefuse.read.files.headers import is_energy
from corefuse.read.files.recorded import Recorded, Wanted
from corefuse.read.files.told import told


def read(text: str, wanted: Wanted) -> Recorded:
    """The list that ``column`` names by its keys, joined with dots, or the only one there.

    Raises
    ------
    SpectrumError
        There are several, none, or none of that name; its energies are not known.
    """
    lists = lists_of(text)
    named = wanted.column
    name = str(named) if named is not None else _only_one(lists, wanted.energy_column)
    intensity = _named(lists, name)
    if wanted.axis_range is not None:
        return axis.spaced(intensity, wanted.axis_range)
    energy = _named(lists, str(wanted.energy_column or _energies_beside(lists, name)))
    if energy.shape != intensity.shape:
        raise SpectrumError(
            f"{name} has {intensity.size} numbers, its energies {energy.size}",
            "give energy_column: the keys of its energies",
        )
    return Recorded(energy, intensity)


def entries(text: str, column: str | None, energy_column: str | int | None) -> list[str | int]:
    """Every list that may be a spectrum; those below the keys ``column``.

    Raises
    ------
    SpectrumError
        There are lists of several kinds.
    """
    lists = lists_of(text)
    found = [k for k in lists if _is_below(k, column) and not _is_energies(k, energy_column)]
    _check_one_kind(found)
    return list(found)


def lists_of(text: str) -> dict[str, np.ndarray]:
    """Every list of numbers in a JSON text, by the keys that lead to it, joined with dots.

    A table as pandas writes it is one of columns too: rows that are mappings, or columns that are
    mappings from the number of a row. Numbers may be written as strings.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as err:
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
    if (numbers := _numbers(inner)) is not None:
        yield ".".join(keys), numbers
        return
    for key, value in data.items() if isinstance(data, dict) else enumerate(data):
        yield from _walk(value, (*keys, str(key)))


def _numbers(values: list[Any]) -> np.ndarray | None:
    """A list of at least two numbers, or of strings that are some."""
    if len(values) < 2:
        return None
    if all(v is None or _is_number(v) for v in values):
        return np.array([np.nan if v is None else v for v in values], dtype=float)
    if all(isinstance(v, str) for v in values):
        try:
            return np.array(values, dtype=float)
        except ValueError:
            return None
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _named(lists: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    if name not in lists:
        raise SpectrumError(
            f"there is no list of numbers {name!r} in it",
            f"use one of {told(lists)}" if lists else "give a file with lists of numbers",
        )
    return lists[name]


def _only_one(lists: Mapping[str, np.ndarray], energy_column: str | int | None) -> str:
    names = [name for name in lists if not _is_energies(name, energy_column)]
    if not names:
        raise SpectrumError("it holds no list of numbers", "give energies and intensities as lists")
    if len(names) != 1:
        raise SpectrumError("which entry of it?", f"give column, one of {told(names)}")
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
    return any(is_energy(key) for key in keys.split("."))


def _check_one_kind(names: list[str]) -> None:
    """Spectra are distinguished by one key; lists of several kinds beside them are not meant."""
    above = dict.fromkeys(name.rpartition(".")[0] for name in names)
    below = dict.fromkeys(name.rpartition(".")[2] for name in names)
    if len(above) > 1 and len(below) > 1:
        raise SpectrumError(
            f"which of {told(above)} holds the spectra?", "give column: the keys above them"
        )


def _is_below(keys: str, above: str | None) -> bool:
    return above is None or keys == above or keys.startswith(f"{above}.")
