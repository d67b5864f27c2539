"""Files with measured spectra: energies and intensities as they are there, nothing corrected.

:data:`FORMATS` lists what is known; each gives tables of columns or finished signals, of which the
one that is meant is taken by what the user says and by which of them covers the edge.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from corefuse.core.spectrum import SpectrumError
from corefuse.read.files import axis, columns, counters, json_lists, scans
from corefuse.read.files.border import guarded
from corefuse.read.files.formats import FORMATS, loaded
from corefuse.read.files.headers import is_energy
from corefuse.read.files.recorded import (
    ANYTHING,
    EV_PER_UNIT,
    Recorded,
    SpatialAxis,
    Table,
    Wanted,
)
from corefuse.read.files.told import told

__all__ = [
    "ANYTHING",
    "EV_PER_UNIT",
    "FORMATS",
    "Recorded",
    "SpatialAxis",
    "Wanted",
    "contents",
    "entries",
    "parts",
    "read",
    "signals",
]


@guarded
def read(path: Path, wanted: Wanted = ANYTHING) -> Recorded:
    """The one spectrum or image of a file that is meant.

    Raises
    ------
    SpectrumError
        The file cannot be read, holds no spectrum or electrochemistry, or several spectra and
        nobody says which.
    """
    content = loaded(path, least=1 if wanted.axis_range else 2)
    if isinstance(content, str):
        return axis.rising(json_lists.read(content, wanted))
    if content and isinstance(content[0], Recorded):
        return axis.rising(_signal(content, wanted))
    parts = [part for table in content for part in _scans(table, wanted)]
    return _recorded(_part(parts, wanted), wanted)


@guarded
def signals(path: Path) -> list[Recorded]:
    """Every signal of a microscope file, or the one spectrum of another."""
    content = loaded(path)
    if not isinstance(content, str) and content and isinstance(content[0], Recorded):
        return [axis.rising(signal) for signal in content]
    return [read(path)]


@guarded
def contents(path: Path) -> list[str]:
    """The scans, groups or signals in a file, one line each, in the order of their numbers."""
    content = loaded(path)
    if isinstance(content, str):
        return [str(name) for name in json_lists.lists_of(content)]
    if content and isinstance(content[0], Recorded):
        return [_told_signal(signal) for signal in content]
    parts = [part for table in content for part in _scans(table, ANYTHING)]
    return [_told_part(part) for part in parts]


@guarded
def parts(path: Path) -> int:
    """How many scans, groups or signals there are in a file; 1 for a ``.json``."""
    content = loaded(path)
    return 1 if isinstance(content, str) else len(contents(path))


@guarded
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
    content = loaded(path)
    if isinstance(content, str):
        return json_lists.entries(content, column, energy_column)
    table = content[0]
    if isinstance(table, Recorded):
        return []
    if energy_column is not None:
        places = {columns.place(table, energy_column)}
    else:
        places = {i for i, name in enumerate(table.names) if is_energy(name)} or {0}
    return [name for i, name in enumerate(table.labels) if i not in places]


def _scans(table: Table, wanted: Wanted) -> list[Table]:
    """The scans of a table, which is divided where its energies start again."""
    if wanted.axis_range is not None:
        return [table]
    try:
        energy = columns.energies(table, wanted)[0]
    except SpectrumError:
        return [table]  # told when the table is read
    return scans.split(table, energy)


def _recorded(table: Table, wanted: Wanted) -> Recorded:
    if wanted.axis_range is not None:
        curve = counters.spectrum(table, np.arange(len(table.values)), None, wanted)
        return axis.spaced(curve.values, wanted.axis_range)
    energy, at, unit, notes = columns.energies(table, wanted)
    unit = wanted.energy_unit or unit
    energy_ev = energy * EV_PER_UNIT[unit or "eV"]
    curve = counters.spectrum(table, energy_ev, at, wanted)
    foil = counters.reference(table, at, wanted)
    found = Recorded(
        energy,
        curve.values,
        unit,
        notes=(*table.notes, *notes, *curve.notes),
        doubts=curve.doubts,
        reference=foil.values if foil else None,
        quantity=curve.quantity,
        title=table.title,
    )
    return axis.rising(found)


def _part(parts: list[Table], wanted: Wanted) -> Table:
    """The scan or group that is meant: as named, the only one, or the only one at the edge.

    Raises
    ------
    SpectrumError
        There are several, or none of that name.
    """
    if wanted.part is not None:
        return parts[_numbered([p.title for p in parts], wanted.part, "scan or group")]
    if len(parts) == 1:
        return parts[0]
    there = [i for i, part in enumerate(parts) if _covers(part, wanted)]
    if len(there) == 1:
        note = f"scan {there[0] + 1} of {len(parts)}, the only one that covers the edge"
        return replace(parts[there[0]], notes=(*parts[there[0]].notes, note))
    raise SpectrumError(
        f"it holds {len(parts)} scans: "
        + told(f"{i + 1} ({_told_part(part)})" for i, part in enumerate(parts)),
        "give scan (or group): the number or name of one",
    )


def _covers(table: Table, wanted: Wanted) -> bool:
    if wanted.covers_ev is None:
        return True
    try:
        energy, _, unit, _ = columns.energies(table, wanted)
    except SpectrumError:
        return True
    per_unit = EV_PER_UNIT[wanted.energy_unit or unit or "eV"]
    return _reaches(energy * per_unit, wanted.covers_ev)


def _reaches(energy_ev: np.ndarray, covers_ev: tuple[float, float]) -> bool:
    """Whether energies cover the middle of an edge's window."""
    there = energy_ev[np.isfinite(energy_ev)]
    middle = sum(covers_ev) / 2
    return bool(there.size and there.min() < middle < there.max())


def _told_part(part: Table) -> str:
    energy = part.values[:, 0]
    with suppress(SpectrumError):
        energy = columns.energies(part, ANYTHING)[0]
    there = energy[np.isfinite(energy)]
    if not there.size:
        return f"{part.title}, no energies" if part.title else "no energies"
    span = f"{there[0]:.6g} to {there[-1]:.6g}, {len(part.values)} points"
    return f"{part.title}, {span}" if part.title else span


def _signal(found: list[Recorded], wanted: Wanted) -> Recorded:
    """The signal that is meant, of a microscope file."""
    if wanted.part is not None:
        return found[_numbered([s.title for s in found], wanted.part, "signal")]
    if len(found) == 1:
        return found[0]
    there = [s for s in found if _signal_covers(s, wanted)]
    if len(there) == 1:
        return there[0].noted(f"signal {there[0].title!r}, the only one that covers the edge")
    raise SpectrumError(
        f"it holds {len(found)} signals"
        + (f", {len(there)} of which cover the edge" if wanted.covers_ev else "")
        + ": "
        + told(f"{i + 1} ({_told_signal(s)})" for i, s in enumerate(found)),
        "give signal: the number or name of one",
    )


def _signal_covers(signal: Recorded, wanted: Wanted) -> bool:
    per_unit = EV_PER_UNIT[wanted.energy_unit or signal.unit or "eV"]
    return wanted.covers_ev is None or _reaches(signal.energy * per_unit, wanted.covers_ev)


def _told_signal(signal: Recorded) -> str:
    unit = signal.unit or "eV"
    shape = "x".join(map(str, signal.counts.shape))
    span = f"{signal.energy.min():.5g} to {signal.energy.max():.5g} {unit}, {shape}"
    return f"{signal.title}, {span}" if signal.title else span


def _numbered(titles: list[str], wanted: str | int, kind: str) -> int:
    """The place of a part by its number from 1 or its name."""
    if isinstance(wanted, str) and wanted.strip().isdigit() and wanted not in titles:
        wanted = int(wanted)
    if isinstance(wanted, int) and 1 <= wanted <= len(titles):
        return wanted - 1
    same = [i for i, title in enumerate(titles) if title == wanted]
    if not same and isinstance(wanted, str):
        same = [i for i, title in enumerate(titles) if wanted.lower() in title.lower()]
    if len(same) == 1:
        return same[0]
    raise SpectrumError(
        f"there is no {kind} {wanted!r}" if not same else f"{len(same)} are called {wanted!r}",
        "use one of "
        + told(f"{i + 1} ({title})" if title else i + 1 for i, title in enumerate(titles)),
    )
