"""Noisy views of a simulated spectrum: what an instrument adds to it, seeded.

A view is the spectrum moved and stretched along the energy axis, broadened a little more, distorted
by a smooth factor, set on a residual background and continuum, counted, and put in standard form
again. Every view draws from its own random stream, so new structures, views or modalities leave
the old ones as they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline, PchipInterpolator

from corefuse.config import Dataset as DatasetSettings
from corefuse.core.edge_table import EdgeEntry
from corefuse.spectra import standard
from corefuse.spectra.broadening import FWHM_PER_SIGMA
from corefuse.spectra.features import feature_energy

# Exact for polynomials up to degree 13: a Gaussian narrower than the grid step is no problem.
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(7)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()
CONTINUUM_FWHM_EV = 2.0
WHITE_LINE_FWHM_EV = 5.0
# Distance of the independent values of the distortion. Measured over simulated Ni K of LiNiO2 (GPAW
# without a core hole; measured spectrum from "rfxas", 0 to 20 eV above half height, 3 eV broader)
# falls from 1.04 to 0.91 over 4 eV, rises to 1.14 over the next 7 and to 1.20 at 19 eV.
DISTORTION_KNOTS_EV = 5.0


def view_rng(seed: int, structure_id: str, view: int, modality: str) -> np.random.Generator:
    """Return the random stream of one view, from a hash of its name alone."""
    name = "|".join((str(seed), structure_id, str(view), modality))
    return np.random.default_rng(int.from_bytes(sha256(name.encode()).digest()))


def noisy_views(
    intensity: NDArray[np.floating],
    entry: EdgeEntry,
    settings: DatasetSettings,
    rngs: list[np.random.Generator],
    moves_ev: Sequence[float] | None = None,
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
    moves_ev
        By how much each view is displaced because the gain of its chemical shift is not known
        better; not at all where it is left out.

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
    edge_ev = feature_energy(energy_ev, np.asarray(intensity), "half_height")
    moves_ev = [0.0] * len(rngs) if moves_ev is None else moves_ev
    for view, rng, move_ev in zip(views, rngs, moves_ev, strict=True):
        blurred = _distorted(spectrum, entry, settings, move_ev, rng)
        blurred = blurred * _enhancement(energy_ev, blurred, settings, rng)
        blurred = blurred * _distortion(energy_ev, edge_ev, settings, rng)
        residual = _residual(entry, settings, rng) * intensity.mean()
        counted = _counted(blurred + residual, settings.signal_to_noise, rng)
        view[:] = standard.form(counted, entry)
    return views


def _distorted(
    spectrum: PchipInterpolator,
    entry: EdgeEntry,
    settings: DatasetSettings,
    move_ev: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Shift, stretch about the middle of the window and broaden; beyond the grid ends are held.

    The average over a Gaussian is by quadrature.
    """
    grid, middle_ev = spectrum.x, np.mean(entry.window_ev)
    shift_ev = move_ev + rng.normal(0, settings.shift_ev)
    stretch = 1 + rng.normal(0, settings.axis_gain)
    sigma_ev = rng.uniform(0, settings.broadening_jitter_ev) / FWHM_PER_SIGMA
    source_ev = middle_ev + (grid - middle_ev) / stretch - shift_ev
    at = source_ev[None, :] - sigma_ev * _NODES[:, None]
    return _WEIGHTS @ spectrum(np.clip(at, grid[0], grid[-1]))


def _enhancement(
    energy_ev: NDArray[np.floating],
    intensity: NDArray[np.floating],
    settings: DatasetSettings,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Draw how much the attraction of a core hole raises the maximum of an edge.

    A Lorentzian about the maximum, from nothing to the stated share: states of one electron lack
    it, and measured white lines differ in it.
    """
    away = (energy_ev - energy_ev[np.argmax(intensity)]) / (WHITE_LINE_FWHM_EV / 2)
    return 1 + rng.uniform(0, settings.white_line) / (1 + away**2)


def _distortion(
    energy_ev: NDArray[np.floating],
    edge_ev: float,
    settings: DatasetSettings,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Draw a smooth factor, one at the edge, whose logarithm spreads with the distance from it.

    What a simulation leaves out (many-body background, inelastic losses, disorder) changes the
    intensity slowly and the more the higher the final state, so no single energy far above the
    edge may decide an answer.
    """
    knots_ev = np.arange(
        energy_ev[0] - DISTORTION_KNOTS_EV,
        energy_ev[-1] + 2 * DISTORTION_KNOTS_EV,
        DISTORTION_KNOTS_EV,
    )
    slopes = CubicSpline(knots_ev, rng.normal(0, settings.distortion_per_ev, knots_ev.size))
    return np.exp(slopes(energy_ev) * (energy_ev - edge_ev))


def _residual(
    entry: EdgeEntry, settings: DatasetSettings, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw what background and continuum leave behind, in units of the mean intensity.

    A line with its ends within the stated share, and a step of up to its share either way anywhere
    in the window: a measured continuum rises elsewhere than the one that is taken off, and plural
    scattering adds to it.
    """
    energy_ev = entry.grid.energies_ev
    ends = rng.uniform(-1, 1, 2) * settings.background
    height = rng.uniform(-1, 1) * settings.continuum
    step = standard.rise(entry, rng.uniform(*entry.window_ev), CONTINUUM_FWHM_EV)
    return np.interp(energy_ev, energy_ev[[0, -1]], ends) + height * step


def _counted(
    intensity: NDArray[np.float64], signal_to_noise: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Replace intensities by Poisson counts; n counts have a signal-to-noise ratio of sqrt(n).

    Where the background is taken too far, the lowest intensity counts as none.
    """
    lifted = intensity - min(intensity.min(), 0)
    counts_per_intensity = signal_to_noise**2 / lifted.max()
    return rng.poisson(lifted * counts_per_intensity) / counts_per_intensity
