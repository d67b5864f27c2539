"""What reading a spectrum image costs: spectra a second, on one core."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import xarray as xr

from corefuse.feature_matrix import energy_dim
from corefuse.image import maps
from corefuse.infer import Library

SIDE = 64  # pixels


def image_rows(library: Library, modalities: list[str], confidence: float) -> list[dict[str, Any]]:
    """Read a prepared image of 64 x 64 pixels with trained models: one row for ``make bench``.

    ``modalities`` are those of the image; the spectra are random, which costs what real ones do.
    """
    grids = {
        m: grid
        for by_subset in library.models.values()
        for model in by_subset.values()
        for m, grid in model.card.grids.items()
        if m in modalities
    }
    rng = np.random.default_rng(0)
    cube = xr.Dataset({"counts": (("y", "x"), np.ones((SIDE, SIDE)))})
    for modality, grid in grids.items():
        axis, energy_ev = energy_dim(modality), grid.energies_ev
        spectra = rng.random((SIDE, SIDE, energy_ev.size)) / (energy_ev[-1] - energy_ev[0])
        cube[modality] = xr.DataArray(spectra, {axis: energy_ev}, ("y", "x", axis))
    maps(cube.isel(y=slice(2)), library, confidence)  # the first call of a library is slower
    start = time.perf_counter()
    read = maps(cube, library, confidence)
    seconds = time.perf_counter() - start
    targets = [n for n in read.data_vars if f"{n}_in_domain" in read]
    return [
        {
            "stage": "image",
            "what": f"{SIDE * SIDE} spectra of {len(grids)} edges, {len(targets)} targets",
            "seconds": round(seconds, 3),
            "spectra_per_second": round(SIDE * SIDE / seconds),
        }
    ]
