"""HDF5 files of beamlines: NeXus, NXxas, BLISS, or groups with an energy and other columns."""

from __future__ import annotations

import io
from collections.abc import Iterator

import h5py
import numpy as np

from corefuse.core.spectrum import SpectrumError
from corefuse.read.files.columns import role
from corefuse.read.files.headers import is_energy
from corefuse.read.files.recorded import Facts, Table

MOST_VALUES = 20_000_000  # of one data set
MOST_GROUPS = 2000  # looked through
DEEPEST = 12
ABSORBED = "absorbed_beam"  # counts behind the sample or of its fluorescence, or absorption
BEAMS = ("incoming_beam", "monitor", "i0", "I0")


def tables(data: bytes) -> list[Table]:
    """Every group that holds an energy axis and columns of its length, each as a table.

    Files with external links, external storage or virtual data sets are refused before, as
    :mod:`corefuse.core.hdf5_guard` finds them.

    Raises
    ------
    SpectrumError
        It is no HDF5 file, is broken, or holds no such group.
    """
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            out = [t for t in map(_table, _groups(file)) if t is not None]
    except SpectrumError:
        raise
    except (OSError, KeyError, ValueError, RuntimeError) as err:
        raise SpectrumError(
            f"its HDF5 is broken ({type(err).__name__})", "export it again as .csv or .xdi"
        ) from None
    if not out:
        raise SpectrumError(
            "none of its groups has an energy and columns of the same length",
            "export energy and absorption as .csv or .xdi",
        )
    return _without_copies(out)


def _groups(file: h5py.File) -> Iterator[h5py.Group]:
    """Every group of a file, breadth first, by hard links and links within the file alone."""
    waiting: list[tuple[h5py.Group, int]] = [(file, 0)]
    seen = 0
    visited: set[object] = set()
    while waiting and seen < MOST_GROUPS:
        group, depth = waiting.pop(0)
        address = h5py.h5o.get_info(group.id).addr
        if address in visited:
            continue
        visited.add(address)
        seen += 1
        yield group
        for name in group:
            hard = isinstance(group.get(name, getlink=True), h5py.HardLink)
            if depth < DEEPEST and hard and group.get(name, getclass=True) is h5py.Group:
                waiting.append((group[name], depth + 1))


def _columns(group: h5py.Group) -> dict[str, h5py.Dataset]:
    """The one-dimensional data sets of numbers that are stored in the file itself."""
    out = {}
    for name in group:
        try:
            item = group[name]
        except (KeyError, OSError):  # a link that leads nowhere
            continue
        if isinstance(item, h5py.Group):  # NXdata-like detectors: counter/data
            item = _inner(item)
        if isinstance(item, h5py.Dataset) and _is_column(item):
            out[str(name)] = item
    return out


def _inner(group: h5py.Group) -> h5py.Dataset | None:
    """``data`` or ``value`` of a group that is one counter, such as an NXdetector."""
    for name in ("data", "value", "raw_value", "energy"):
        if isinstance(group.get(name, getlink=True), h5py.HardLink):
            item = group[name]
            if isinstance(item, h5py.Dataset):
                return item
    return None


def _is_column(item: h5py.Dataset) -> bool:
    return item.ndim == 1 and 2 <= item.size <= MOST_VALUES and item.dtype.kind in "iuf"


def _table(group: h5py.Group) -> Table | None:
    """A group with an energy axis as a table; None for one without."""
    found = _columns(group)
    axes = _axes(group, found)
    if not axes:
        return None
    size = found[axes[0]].size
    beside = [n for n in found if n not in axes and found[n].size == size]
    if not beside:
        return None
    signal = _text(group.attrs.get("signal", ""))
    if signal in beside:
        beside = [signal, *[n for n in beside if n != signal and _is_counter(n)]]
    chosen = {name: found[name] for name in [axes[0], *beside]}
    names = ["energy" if is_energy(axes[0]) else axes[0], *beside]
    if ABSORBED in names and "i0" not in [n.lower() for n in names]:
        names, chosen = _with_beam(group, names, chosen, size)
    values = np.column_stack([np.asarray(item[()], dtype=float) for item in chosen.values()])
    units = tuple(_text(item.attrs.get("units", "")) for item in chosen.values())
    facts = Facts(d_angstrom=_scalar(group, "d_spacing"))
    return Table(values, tuple(names), units, group.name or "/", facts)


def _with_beam(
    group: h5py.Group, names: list[str], chosen: dict[str, h5py.Dataset], size: int
) -> tuple[list[str], dict[str, h5py.Dataset]]:
    """NXxas keeps the beam in front of the sample in the entry's instrument, and says the mode."""
    entry = group
    while entry.name != "/" and _text(entry.attrs.get("NX_class", "")) != "NXentry":
        entry = entry.parent
    beam: h5py.Dataset | None = None
    for inner in _groups(entry):
        if (inner.name or "").rpartition("/")[2] in BEAMS:
            item = _inner(inner)
            if item is not None and _is_column(item) and item.size == size:
                beam = item
    if beam is None:
        return names, chosen
    mode = next((_string(g["mode"]) for g in _groups(entry) if _is_text(g.get("mode"))), "")
    # Without a mode, which of both it is shows at the edge.
    counts = "itrans" if "trans" in mode.lower() else "ifluor" if mode else "detector1"
    renamed = [counts if name == ABSORBED else name for name in names]
    beam_name = "detector0" if counts == "detector1" else "i0"
    axis_name, *others = chosen
    inner = {axis_name: chosen[axis_name], beam_name: beam} | {n: chosen[n] for n in others}
    return [renamed[0], beam_name, *renamed[1:]], inner


def _is_text(item: object) -> bool:
    return isinstance(item, h5py.Dataset) and item.size == 1 and item.dtype.kind in "OSU"


def _string(item: h5py.Dataset) -> str:
    value = item[()]
    return _text(np.ravel(value)[0] if np.ndim(value) else value)


def _is_counter(name: str) -> bool:
    return role(name) not in (None, "energy")


def _axes(group: h5py.Group, found: dict[str, h5py.Dataset]) -> list[str]:
    """The energy columns of a group: as its NeXus attribute says, else by name or unit."""
    told = group.attrs.get("axes", ())
    told = [told] if isinstance(told, bytes | str) else list(told)
    names = [_text(name) for name in told]
    by_name = [
        n for n in found if is_energy(n) or is_energy(_text(found[n].attrs.get("units", "")))
    ]
    return [n for n in names if n in found and n in by_name] or by_name


def _scalar(group: h5py.Group, name: str) -> float | None:
    for place in (group, group.parent):
        item = place.get(name)
        if isinstance(item, h5py.Dataset) and item.size == 1 and item.dtype.kind in "iuf":
            return float(np.ravel(item[()])[0])
    return None


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _without_copies(found: list[Table]) -> list[Table]:
    """NeXus links one measurement into several groups: of those the largest table is kept."""
    out: list[Table] = []
    for table in found:
        if any(_holds(other, table) for other in out):
            continue
        out = [*(other for other in out if not _holds(table, other)), table]
    return out


def _holds(one: Table, other: Table) -> bool:
    """Whether every column of the other table is in this one."""
    if len(one.values) != len(other.values):
        return False
    return all(
        any(np.array_equal(column, own, equal_nan=True) for own in one.values.T)
        for column in other.values.T
    )
