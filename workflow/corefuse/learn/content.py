"""Hashes of what a model is trained on: the columns it reads, nothing else of the dataset."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from corefuse.learn.matrix import energy_dim

ABOUT_SAMPLES = ("structure_id", "group", "grade", "view")


def content_hash(dataset: xr.Dataset) -> str:
    """SHA-256 over the names, dimensions and values of all variables; attributes do not count."""
    digest = sha256()
    for name in sorted(dataset.variables):
        variable = dataset.variables[name]
        digest.update(f"{name}{variable.dims}{variable.shape}".encode())
        digest.update(_bytes(variable.to_numpy()))
    return digest.hexdigest()


def columns_hash(dataset: xr.Dataset, target: str, modalities: Sequence[str]) -> str:
    """Hash of the spectra of a subset, the target, and who the samples are.

    Li content is in it for the splits by its range.
    """
    names = [target, *modalities, *(energy_dim(m) for m in modalities), *ABOUT_SAMPLES, "x_li"]
    return content_hash(dataset[[n for n in dict.fromkeys(names) if n in dataset.variables]])


def _bytes(values: NDArray[np.generic]) -> bytes:
    if values.dtype.kind in "OUT":  # strings come back from a file with another dtype
        return json.dumps([str(v) for v in values.ravel()]).encode()
    return np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
