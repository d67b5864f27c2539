"""What reading a spectrum image costs: a prepared one, by the demo's models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import xarray as xr

from corefuse.bench import Row, stages, timed
from corefuse.learn.matrix import energy_dim
from corefuse.read.image import maps
from corefuse.read.infer import Library

SIDE = 64  # pixels
LIMIT_PIXELS_PER_S = 2000
# all that the demo's EELS has, so that its widest models read
MODALITIES = ("O_K-EELS", "Li_K-EELS", "Mn_L23-EELS", "Co_L23-EELS", "Ni_L23-EELS")


def rows() -> Iterator[Row]:
    """One row: all targets of the demo, all edges of a pixel."""
    library = Library.load(
        sorted(stages.DEMO.glob("models/*/*.ubj")), sorted(stages.DEMO.glob("models/domain/*"))
    )
    yield row(library, MODALITIES, stages.demo_config().infer.confidence)


def row(library: Library, modalities: Sequence[str], confidence: float) -> Row:
    """Read 64 x 64 pixels of random spectra, which cost what real ones do."""
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
        cube[f"{modality}_noise"] = 0.01 * cube["counts"]
    maps(cube.isel(y=slice(2)), library, confidence)  # the first call of a library is slower
    seconds, read = timed(lambda: maps(cube, library, confidence))
    pixels = SIDE * SIDE
    targets = sum(f"{n}_in_domain" in read for n in read.data_vars)
    return Row(
        "spectrum image",
        f"{pixels} pixels, {len(grids)} edges, {targets} targets",
        seconds,
        pixels * len(grids),
        limit_s=pixels / LIMIT_PIXELS_PER_S,
        note=f"{pixels / seconds:.0f} pixels a second",
    )
