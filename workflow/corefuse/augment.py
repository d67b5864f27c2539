"""Noisy views of a simulated spectrum: what an instrument adds to it, seeded.

A view is the spectrum moved along the energy axis, broadened a little more, set on a residual
linear background, counted, and put in standard form again. Every view draws from its own random
stream, so new structures, views or modalities leave the old ones as they were.
"""

from __future__ import annotations

from hashlib import sha256

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from corefuse import standard
from corefuse.broadening import FWHM_PER_SIGMA
from corefuse.config import Dataset as DatasetSettings
from corefuse.edge_table import EdgeEntry

# Exact for polynomials up to degree 13: a Gaussian narrower than the grid step is no problem.
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(7)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


def view_rng(seed: int, structure_id: str, view: int, modality: str) -> np.random.Generator:
    """Return the random stream of one view, from a hash of its name alone."""
    name = "|".join((str(seed), structure_id, str(view), modality))
    return np.random.default_rng(int.from_bytes(sha256(name.encode()).digest()))


def noisy_views(
    intensity: NDArray[np.floating],
    entry: EdgeEntry,
    settings: DatasetSettings,
    rngs: list[np.random.Generator],
) -> NDArray[np.float32]:
    """Make one noisy view for each random stream.

    Parameters
    ----------
    intensity
        The spectrum, shape (energy,), on the edge's standard axis.
    entry
        Axis, window and continuum of the edge.
    settings
        Amounts of noise, shift, broadening and background.
    rngs
        One generator a view, see :func:`view_rng`.

    Returns
    -------
    Shape (view, energy). An absent element (all zeros) stays zero: its absence is information.

    Raises
    ------
    SpectrumError
        If a view has no area in the window.
    """
    energy_ev = entry.grid.energies_ev
    views = np.zeros((len(rngs), energy_ev.size), np.float32)
    if not intensity.any():
        return views
    spectrum = PchipInterpolator(energy_ev, intensity)
    for view, rng in zip(views, rngs, strict=True):
        blurred = _shifted_and_broadened(spectrum, settings, rng)
        background = _background(energy_ev, intensity, settings, rng)
        counted = _counted(np.clip(blurred + background, 0, None), settings.signal_to_noise, rng)
        view[:] = standard.form(counted, entry)
    return views


def _shifted_and_broadened(
    spectrum: PchipInterpolator, settings: DatasetSettings, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Average the spectrum over a Gaussian by quadrature; beyond the grid its ends are held."""
    grid = spectrum.x
    shift_ev = rng.normal(0, settings.shift_ev)
    sigma_ev = rng.uniform(0, settings.broadening_jitter_ev) / FWHM_PER_SIGMA
    at = grid[None, :] - shift_ev - sigma_ev * _NODES[:, None]
    return _WEIGHTS @ spectrum(np.clip(at, grid[0], grid[-1]))


def _background(
    energy_ev: NDArray[np.floating],
    intensity: NDArray[np.floating],
    settings: DatasetSettings,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Draw a line whose ends lie within the stated share of the mean intensity."""
    ends = rng.uniform(-1, 1, 2) * settings.background * intensity.mean()
    return np.interp(energy_ev, energy_ev[[0, -1]], ends)


def _counted(
    intensity: NDArray[np.float64], signal_to_noise: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Replace intensities by Poisson counts; n counts have a signal-to-noise ratio of sqrt(n)."""
    counts_per_intensity = signal_to_noise**2 / intensity.max()
    return rng.poisson(intensity * counts_per_intensity) / counts_per_intensity
