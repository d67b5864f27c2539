"""Feature matrices: the spectra of a subset of modalities, side by side.

A column is one energy of one modality, so a model can be read back along the energy axis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from corefuse.core.edges import split_modality
from corefuse.core.errors import InputError
from corefuse.core.spectrum import EnergyGrid

JIA_COMPONENTS = 10  # `reduce_pca` of github.com/HailiJia/MultimodalEELS-XAS


def grid_of(energy_ev: NDArray[np.floating]) -> EnergyGrid:
    """Describe the energies of a uniform axis, shape (energy,)."""
    start, stop = float(energy_ev[0]), float(energy_ev[-1])
    step = (stop - start) / (len(energy_ev) - 1)
    return EnergyGrid(start_ev=round(start, 6), stop_ev=round(stop, 6), step_ev=round(step, 9))


def energy_dim(modality: str) -> str:
    """``'Mn_L23-XAS' -> 'energy_Mn_L23'``: the dimension all techniques of an edge share."""
    return f"energy_{split_modality(modality)[0].id}"


def grids_of(dataset: xr.Dataset, modalities: Sequence[str]) -> dict[str, EnergyGrid]:
    """Return the grid of every modality, in the order of the columns."""
    return {m: grid_of(dataset[energy_dim(m)].to_numpy()) for m in modalities}


def columns(grids: Mapping[str, EnergyGrid]) -> list[tuple[str, float]]:
    """Name the columns: (modality, energy in eV)."""
    return [(m, float(e)) for m, grid in grids.items() for e in grid.energies_ev]


def blocks(grids: Mapping[str, EnergyGrid]) -> dict[str, slice]:
    """Return the columns of every modality."""
    ends = np.cumsum([0] + [len(grid.energies_ev) for grid in grids.values()]).tolist()
    return dict(zip(grids, map(slice, ends[:-1], ends[1:]), strict=True))


def matrix(dataset: xr.Dataset, modalities: Sequence[str]) -> NDArray[np.float32]:
    """Stack the modalities of a dataset, shape (sample, column)."""
    return np.hstack([dataset[m].to_numpy() for m in modalities]).astype(np.float32)


def on_axis(
    modality: str, energy_ev: NDArray[np.floating], intensity: NDArray[np.floating]
) -> xr.DataArray:
    """Put intensities, shape (energy,), and their energies together: one part of a sample."""
    dim = energy_dim(modality)
    return xr.DataArray(intensity, {dim: energy_ev}, dim)


def row(sample: Mapping[str, xr.DataArray], grids: Mapping[str, EnergyGrid]) -> NDArray[np.float32]:
    """Stack one sample, shape (1, column).

    Parameters
    ----------
    sample
        Modality -> spectrum with its energies, see :func:`on_axis`. Where a measurement ends
        before the grid (NaN), its last value is held, as it is in the augmented training set.
    grids
        The grids a model was trained on.

    Raises
    ------
    InputError
        If a spectrum is on another grid, is infinite or all NaN.
    """
    return np.hstack([_on_grid(m, sample[m], grid) for m, grid in grids.items()])[None, :]


def _on_grid(modality: str, spectrum: xr.DataArray, grid: EnergyGrid) -> NDArray[np.float32]:
    energy_ev, intensity = spectrum[energy_dim(modality)].to_numpy(), spectrum.to_numpy()
    expected_ev = grid.energies_ev
    if len(energy_ev) != len(expected_ev) or abs(energy_ev - expected_ev).max() > 1e-3:
        raise InputError(
            "sample",
            modality,
            f"{len(energy_ev)} points from {energy_ev[0]:g} to {energy_ev[-1]:g} eV, but the model "
            f"has {len(expected_ev)} from {grid.start_ev:g} to {grid.stop_ev:g} eV",
            "interpolate to the model's grid, or train again on this one",
        )
    measured = ~np.isnan(intensity)
    if not measured.any() or np.isinf(intensity).any():
        raise InputError("sample", modality, "infinite or no intensities", "mend the spectrum")
    held = np.interp(energy_ev, energy_ev[measured], intensity[measured])
    return held.astype(np.float32)


def cumulative(x: NDArray[np.floating], grids: Mapping[str, EnergyGrid]) -> NDArray[np.float64]:
    """Running sum of every modality divided by its total, as Jia et al. (2026) feed spectra.

    An absent element stays zero. Shape as ``x``: (sample, column).
    """
    out = np.zeros(x.shape)
    for block in blocks(grids).values():
        sums = np.cumsum(x[:, block], axis=1, dtype=np.float64)
        total = sums[:, -1:]
        np.divide(sums, total, out=out[:, block], where=total != 0)
    return out


def jia_features(grids: Mapping[str, EnergyGrid], n_samples: int) -> Pipeline:
    """Build the unfitted features of Jia et al.: cumulative sums, standardised, ten components.

    H. Jia et al., "Revealing Local Structures through Machine-Learning-Fused Multimodal
    Spectroscopy", ACS Nano (2026), doi 10.1021/acsnano.5c16942, and its public repository.
    """
    n_columns = len(columns(grids))
    return make_pipeline(
        FunctionTransformer(cumulative, kw_args={"grids": grids}),
        StandardScaler(),
        PCA(min(JIA_COMPONENTS, n_samples, n_columns), random_state=0),
    )
