"""Energy axes and spectra that cannot be malformed, and the one normalisation of corefuse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import Field, model_validator
from scipy.ndimage import gaussian_filter1d

from corefuse.core.bounds import Energy
from corefuse.core.section import Section

MOST_POINTS = 50_000  # of an axis; those of the edges have some hundreds
EDGE_TOLERANCE_EV = 1e-6  # a border that is an axis point up to rounding counts as inside


class SpectrumError(ValueError):
    """Numbers that are no spectrum: what is wrong and what to change, for an ``InputError``."""

    def __init__(self, problem: str, fix: str) -> None:
        self.problem = problem
        self.fix = fix
        super().__init__(f"{problem}. Fix: {fix}")


class EnergyGrid(Section):
    """A uniform axis, absolute eV, both ends included. Hashable, so kernels can be cached."""

    start_ev: Energy
    stop_ev: Energy
    step_ev: float = Field(gt=0, le=1000)

    @model_validator(mode="after")
    def _whole_steps(self) -> EnergyGrid:
        steps = (self.stop_ev - self.start_ev) / self.step_ev
        if steps > MOST_POINTS:
            raise ValueError(f"more than {MOST_POINTS} points|use a larger step|")
        if steps < 1 or abs(steps - round(steps)) > 1e-6:
            raise ValueError(
                f"{self.start_ev:g} to {self.stop_ev:g} eV is not a whole number of steps of "
                f"{self.step_ev:g} eV|change stop_ev or step_ev"
            )
        return self

    @property
    def energies_ev(self) -> np.ndarray:
        """The axis (n,) in eV."""
        steps = round((self.stop_ev - self.start_ev) / self.step_ev)
        return np.linspace(self.start_ev, self.stop_ev, steps + 1)


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Intensity (n,) on a finite, strictly increasing axis ``energy_ev`` (n,), uniform or not.

    Raises
    ------
    SpectrumError
        Fewer than two points, lengths that differ, numbers that are not finite, an axis that does
        not increase.
    """

    energy_ev: np.ndarray
    intensity: np.ndarray

    def __post_init__(self) -> None:
        if self.energy_ev.ndim != 1 or self.energy_ev.shape != self.intensity.shape:
            raise SpectrumError(
                f"{self.energy_ev.size} energies but {self.intensity.size} intensities",
                "give one intensity for every energy",
            )
        if self.energy_ev.size < 2:
            raise SpectrumError(f"it holds {self.energy_ev.size} points", "give a whole spectrum")
        for name, values in (("energy", self.energy_ev), ("intensity", self.intensity)):
            bad = np.flatnonzero(~np.isfinite(values))
            if bad.size:
                raise SpectrumError(
                    f"{name} is {values[bad[0]]} at point {bad[0] + 1} of {values.size}",
                    "remove the points that are not finite numbers",
                )
        falls = np.flatnonzero(np.diff(self.energy_ev) <= 0)
        if falls.size:
            here, after = self.energy_ev[falls[0] : falls[0] + 2]
            raise SpectrumError(
                f"energy goes from {here:g} to {after:g} at point {falls[0] + 2}: not monotonic",
                "sort the points by energy and keep each energy once",
            )


def trapezoid_weights(energy_ev: np.ndarray) -> np.ndarray:
    """Weights (n,) in eV whose dot product with a density is its integral by trapezoids."""
    half = np.diff(energy_ev) / 2
    return np.concatenate([half, [0.0]]) + np.concatenate([[0.0], half])


def window_area(
    energy_ev: np.ndarray, intensity: np.ndarray, window_ev: tuple[float, float]
) -> float:
    """Area of a spectrum (n,) over its axis points inside a window, borders included.

    Raises
    ------
    SpectrumError
        The area is zero or negative.
    """
    low, high = window_ev
    inside = (energy_ev >= low - EDGE_TOLERANCE_EV) & (energy_ev <= high + EDGE_TOLERANCE_EV)
    area = float(np.trapezoid(intensity[inside], energy_ev[inside]))
    if not area > 0:
        raise SpectrumError(
            f"the area over {low:g} to {high:g} eV is {area:.3g}, not positive",
            "give absorption or energy loss that rises at the edge, background removed",
        )
    return area


def normalise(
    energy_ev: np.ndarray, intensity: np.ndarray, window_ev: tuple[float, float]
) -> np.ndarray:
    """A spectrum (n,) scaled to area 1 over a window; SpectrumError where it has no area there."""
    return intensity / window_area(energy_ev, intensity, window_ev)


def blurred(spectra: np.ndarray, step_ev: float, fwhm_ev: float) -> np.ndarray:
    """Spectra (..., n) on a uniform axis after a Gaussian of that FWHM; their ends are held."""
    if not fwhm_ev:
        return spectra
    sigma_points = fwhm_ev / (2 * np.sqrt(2 * np.log(2))) / step_ev
    return gaussian_filter1d(spectra, sigma_points, mode="nearest")
