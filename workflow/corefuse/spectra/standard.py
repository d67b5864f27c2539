"""The standard form of an edge, which simulated and measured spectra take alike.

Some spectra hold bound states only (multiplets), some the continuum above them too (one-electron
states, measurements); a measured one may be on what is left of its background. In the standard
form none of that is left: the mean below the window is off, of L2,3 also the continuum, and the
area over the window is 1.
"""

from __future__ import annotations

import numpy as np

from corefuse.core.edge_table import EdgeEntry
from corefuse.core.spectrum import EDGE_TOLERANCE_EV, normalise

CONTINUUM_READ_EV = 2.0  # at the end of the window, past the L2 line


def form(intensity: np.ndarray, entry: EdgeEntry) -> np.ndarray:
    """Standard form of a spectrum (n,) on the edge's axis, in 1/eV.

    Raises
    ------
    SpectrumError
        No positive area is left in the window.
    """
    return normalise(entry.grid.energies_ev, flattened(intensity, entry), entry.window_ev)


def flattened(intensity: np.ndarray, entry: EdgeEntry) -> np.ndarray:
    """Spectra (..., n) on the edge's axis without their pre-edge and their continuum.

    Linear in the spectra. The continuum is :func:`continuum`, as high as the mean of the last 2 eV
    of the window: the usual one under white lines (D. H. Pearson, C. C. Ahn, B. Fultz, Phys. Rev. B
    47, 8471 (1993)).
    """
    energy_ev = entry.grid.energies_ev
    low, high = entry.window_ev
    below = energy_ev < low - EDGE_TOLERANCE_EV
    flat = intensity - intensity[..., below].mean(axis=-1, keepdims=True)
    if entry.continuum is None:
        return flat
    last = (energy_ev >= high - CONTINUUM_READ_EV) & (energy_ev <= high + EDGE_TOLERANCE_EV)
    step = continuum(entry)
    step = step - step[below].mean()
    return flat - flat[..., last].mean(axis=-1, keepdims=True) * step / step[last].mean()


def continuum(entry: EdgeEntry) -> np.ndarray:
    """Rise from 0 to 1 (n,) of an L2,3 continuum: two thirds under L3 and one third under L2."""
    known = entry.continuum
    return (
        2 * rise(entry, known.l3_ev, known.fwhm_ev) + rise(entry, known.l2_ev, known.fwhm_ev)
    ) / 3


def rise(entry: EdgeEntry, at_ev: float, fwhm_ev: float) -> np.ndarray:
    """A step from 0 to 1 (n,) on the edge's axis, as wide as a Lorentzian of that FWHM."""
    return np.arctan((entry.grid.energies_ev - at_ev) / (fwhm_ev / 2)) / np.pi + 0.5
