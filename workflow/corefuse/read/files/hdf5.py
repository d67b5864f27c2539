"""HDF5 files of beamlines: NeXus, NXxas, BLISS, or groups with an energy and other columns."""

from __future__ import annotations

import io
from collections.abc import Iterator

import h5py
import numpy as np

from corefuse.core.spectrum import SpectrumError
from corefuse.read.files.headers import is_energy
from corefuse.read.files.recorded import Facts, Table

MOST_VALUES = 20_000_000  # of one data set
MOST_GROUPS = 2000  # looked through
DEEPEST = 12
SUFFIXES = (".h5", ".hdf5", ".hdf", ".nxs", ".nx", ".nexus")


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
    found = _columns(group)
    axes = _axes(group, found)
    if not axes:
        return None
    size = found[axes[0]].size
    beside = [n for n in found if n not in axes and found[n].size == size]
    if not beside:
        return None
    signal = group.attrs.get("signal")
    signal = signal.decode() if isinstance(signal, bytes) else signal
    if signal in beside and str(group.attrs.get("NX_class", "")).strip("b'") == "NXdata":
        beside = [signal, *[n for n in beside if n != signal and _text_is_counter(n)]]
    names = [*axes[:1], *beside]
    values = np.column_stack([np.asarray(found[n][()], dtype=float) for n in names])
    units = tuple(_text(found[n].attrs.get("units", "")) for n in names)
    facts = Facts(d_angstrom=_scalar(group, "d_spacing"))
    labels = ("energy", *beside) if is_energy(names[0]) else tuple(names)
    return Table(values, labels, units, group.name or "/", facts)


def _text_is_counter(name: str) -> bool:
    from corefuse.read.files.columns import role

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
    """NeXus links one measurement into several groups: the first of equal tables is kept."""
    out: list[Table] = []
    for table in found:
        for other in out:
            same = table.values.shape[0] == other.values.shape[0] and np.array_equal(
                table.values[:, 0], other.values[:, 0]
            )
            if same and all(
                any(np.array_equal(column, c, equal_nan=True) for c in other.values.T)
                for column in table.values.T
            ):
                break
        else:
            out.append(table)
    return out
