"""Files at the edges of the package: written atomically, read with a clear error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it on success, remove it on failure.

    A crash at any time leaves either the old file or the new one, never half of one.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".partial-{path.name}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def dumps(data: Any) -> str:
    """Canonical JSON on one line, for attributes."""
    return json.dumps(data, sort_keys=True)


def write_json(path: str | Path, data: Any) -> None:
    """Write JSON, indented, keys in the order given."""
    with atomic(path) as partial:
        partial.write_text(json.dumps(data, indent=1) + "\n")


def read_json(path: str | Path) -> Any:
    """Read JSON."""
    return json.loads(Path(path).read_text())


def write_csv(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table without its index."""
    with atomic(path) as partial:
        table.to_csv(partial, index=False)


def write_netcdf(path: str | Path, dataset: xr.Dataset) -> None:
    """Write a NetCDF-4 file, compressed."""
    packed = {
        name: {"zlib": True, "complevel": 4} for name, v in dataset.data_vars.items() if v.size > 64
    }
    # A dataset joined of files keeps the first one's lengths of strings: longer ones would be cut.
    with atomic(path) as partial:
        dataset.drop_encoding().to_netcdf(partial, engine="h5netcdf", encoding=packed)


def read_netcdf(path: str | Path) -> xr.Dataset:
    """Read a NetCDF-4 file into memory and close it."""
    return xr.load_dataset(path, engine="h5netcdf")
