"""HDF5 files of others: whether all that they hold is inside the file itself.

HDF5 can take data from other files of the reader's machine: by external links, by virtual datasets
(``H5Pset_virtual``) and by external storage (``H5Pset_external``). Nothing that corefuse reads
needs them, and a stranger's file with one of them would show the reader's own files as counts.
"""

from __future__ import annotations

from pathlib import Path

import h5py

from corefuse.core.errors import InputError

SIGNATURE = b"\x89HDF\r\n\x1a\n"
EMPTY_BYTES = 500_000_000  # a dataset larger than this ..
MOST_COMPRESSED = 300  # .. and this many times its file was never written, whatever its shape says
MOST_OBJECTS = 1_000_000


def check(path: str | Path, key: str) -> None:
    """Raise InputError where an HDF5 file is broken, or takes data from outside.

    The groups and datasets are looked at, no data is read. ``key`` is what was to be read.
    """
    try:
        with h5py.File(path, "r") as file:
            fault = _fault(file, Path(path).stat().st_size)
    except MemoryError:
        raise
    except Exception as broken:  # h5py raises what HDF5 says: OSError, RuntimeError, KeyError, ..
        problem = f"it is no HDF5 file, or a part of one ({type(broken).__name__})"
        raise InputError(path, key, problem, "make or download the file again") from None
    if fault:
        raise InputError(path, key, fault, "copy the data into one plain file and give that")


def is_hdf5(path: str | Path) -> bool:
    """Whether a file begins as HDF5 does."""
    with Path(path).open("rb") as file:
        return file.read(len(SIGNATURE)) == SIGNATURE


def _fault(file: h5py.File, file_bytes: int) -> str | None:
    """The first thing in a file that is not in the file, or that cannot be there."""
    groups, seen = [file], {h5py.h5o.get_info(file.id).addr}
    while groups:
        group = groups.pop()
        for name in group:
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                return f"{name[:40]!r} is a link to another file"
            if isinstance(link, h5py.SoftLink):
                continue  # to a place in this file, which is checked at that place
            found = group[name]
            address = h5py.h5o.get_info(found.id).addr
            if address in seen:
                continue
            seen.add(address)
            if len(seen) > MOST_OBJECTS:
                return f"it holds more than {MOST_OBJECTS} groups and datasets"
            if isinstance(found, h5py.Group):
                groups.append(found)
            elif isinstance(found, h5py.Dataset) and (fault := _of_dataset(found, file_bytes)):
                return f"{name[:40]!r} {fault}"
    return None


def _of_dataset(dataset: h5py.Dataset, file_bytes: int) -> str | None:
    if dataset.is_virtual:
        return "is a virtual dataset, made of other files"
    if dataset.external:
        return "is stored outside of the file"
    if dataset.nbytes > max(EMPTY_BYTES, MOST_COMPRESSED * file_bytes):
        return f"has {dataset.nbytes / 1e9:.3g} GB by its shape, which the file cannot hold"
    return None
