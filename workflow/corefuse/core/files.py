"""Files at the edges of the package: written atomically, read with a clear error."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO
from uuid import uuid4

import xarray as xr

from corefuse.core.errors import InputError
from corefuse.core.inputs import check_regular, regular_bytes

if TYPE_CHECKING:
    import pandas as pd


LARGEST_JSON_BYTES = 500_000_000
LARGEST_NETCDF_BYTES = 20_000_000_000
# File systems that know no locks (Lustre without `flock`): there, nothing is waited for.
WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it on success, remove it on failure.

    A crash at any time leaves either the old file or the new one, never half of one. Processes
    that write the same file do not meet: each has a temporary path of its own.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".partial-{uuid4().hex[:12]}-{path.name}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def alone(path: str | Path, request: str) -> Iterator[bool]:
    """Hold the only right to make ``path``; wait for whoever holds it.

    What a killed Snakemake leaves running goes on with its file, so a restart must neither compute
    it a second time nor beside it. The right ends with its holder, however that ends.

    Parameters
    ----------
    path
        The file to make.
    request
        What decides its content, e.g. a hash of settings and inputs.

    Yields
    ------
    Whether the file is there because the one that was waited for had the same request.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".lock-{path.name}")
    file, request_before = _locked(lock)
    with file:
        made = path.exists() and request_before == request
        for left in path.parent.glob(f".partial-*-{escape(path.name)}"):
            left.unlink()  # its writer is dead
        file.truncate(0)
        file.write(request)
        file.flush()
        try:
            yield made
        finally:
            lock.unlink(missing_ok=True)  # who waits for it has it open


def _locked(lock: Path) -> tuple[TextIO, str]:
    """The lock file, locked, and the request of who held it until now."""
    request_before = ""
    while True:
        file = lock.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as fault:
            if fault.errno not in WITHOUT_LOCKS:
                raise
        file.seek(0)
        request_before = file.read() or request_before
        if lock.exists() and os.path.samestat(os.fstat(file.fileno()), lock.stat()):
            return file, request_before
        file.close()  # its holder has ended and removed it


def dumps(data: Any) -> str:
    """Canonical JSON on one line, for attributes."""
    return json.dumps(data, sort_keys=True)


def digest(texts: Iterable[str]) -> str:
    """A short hash of texts, for what they decide."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def write_json(path: str | Path, data: Any) -> None:
    """Write JSON, indented, keys in the order given."""
    with atomic(path) as partial:
        partial.write_text(json.dumps(data, indent=1) + "\n")


def read_json(path: str | Path) -> Any:
    """Read JSON.

    Raises
    ------
    InputError
        The file is missing, no regular file, or no JSON.
    """
    try:
        return json.loads(regular_bytes(path, LARGEST_JSON_BYTES, "json").decode())
    except (ValueError, RecursionError) as fault:
        problem = f"it is no JSON ({type(fault).__name__})"
        raise InputError(path, "json", problem, "make or download the file again") from None


def write_csv(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table without its index."""
    with atomic(path) as partial:
        table.to_csv(partial, index=False)


def write_netcdf(path: str | Path, dataset: xr.Dataset, level: int = 4) -> None:
    """Write a NetCDF-4 file, compressed (``level`` 1 to 9: 9 is smallest and slowest)."""
    packed = {
        name: {"zlib": True, "complevel": level, "shuffle": True}
        for name, v in dataset.variables.items()
        if v.size > 64 and v.dtype.kind in "fiub"
    }
    # A dataset joined of files keeps the first one's lengths of strings: longer ones would be cut.
    with atomic(path) as partial:
        dataset.drop_encoding().to_netcdf(partial, engine="h5netcdf", encoding=packed)


def read_result(path: str | Path) -> xr.Dataset:
    """Read a raw or treated simulation, which says by its attribute ``status`` how it ended.

    Raises
    ------
    InputError
        As :func:`read_netcdf`, or the file says no such thing.
    """
    found = read_netcdf(path)
    if found.attrs.get("status") not in ("ok", "failed"):
        problem = "it does not say how its simulation ended"
        raise InputError(path, "status", problem, "make or download the file again")
    return found


def read_netcdf(path: str | Path) -> xr.Dataset:
    """Read a NetCDF-4 file into memory and close it.

    Raises
    ------
    InputError
        The file is missing, no NetCDF-4, cut off, or takes data from other files.
    """
    from corefuse.core import hdf5_guard  # h5py, which xarray imports only now, too

    check_regular(path, LARGEST_NETCDF_BYTES, "netcdf")
    hdf5_guard.check(path, "netcdf")
    try:
        return xr.load_dataset(path, engine="h5netcdf")
    except MemoryError:
        raise
    except Exception as fault:  # h5py and xarray fail on a broken file in ways of their own
        problem = f"it is no NetCDF file of corefuse ({type(fault).__name__})"
        raise InputError(path, "netcdf", problem, "make or download the file again") from None
