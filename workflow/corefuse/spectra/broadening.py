"""Broadening: one matrix an edge and technique, applied to all sites of all structures.

A transition of area 1 at energy E becomes a Voigt profile of area 1. Its Lorentzian width is the
core hole's plus a part that grows linearly with the energy above the edge, the lifetime of the
photoelectron; its Gaussian width is the instrument's.

The profile is not sampled but projected: each point of the output axis gets the integral of the
profile times the hat function of that point (1 there, 0 at its neighbours). The hats of any axis,
uniform or not, add to 1 and have E as their first moment, so area and first moment are kept to
rounding wherever the profile lies inside the axis; what lies outside is lost, as in a measurement.
The price is a triangular response as wide as the step, which a detector channel has too.

A Lorentzian has no first moment and its tails never end, so it is cut ``REACH_FWHM`` widths from
its centre and scaled back to area 1; the cut removes 1.6 % of the area.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import xarray as xr
from scipy.special import expit, ndtr

from corefuse.config import Spectra
from corefuse.core.edge_table import Line, lines
from corefuse.core.rawdata import STEP_EV, holds_all_levels, resolves_levels, sticks_to_density
from corefuse.core.spectrum import EnergyGrid, trapezoid_weights

REACH_FWHM = 20.0
LAST_EV = 5.0  # of a simulation: what is beyond goes on like that
ROOM_EV = 20.0  # transitions this far outside the output axis still send their tails into it
L2_STEP_EV = 2.0  # where L3 and L2 are distinguished
FWHM_PER_SIGMA = 2 * np.sqrt(2 * np.log(2))


def kernel_matrix(
    centres_ev: np.ndarray,
    energy_ev: np.ndarray,
    lorentzian_fwhm_ev: np.ndarray,
    gaussian_fwhm_ev: float,
) -> np.ndarray:
    """Densities (n, m) per eV on the axis ``energy_ev`` (m,) of n transitions of area 1.

    The Voigt profile is the pseudo-Voigt of Thompson, Cox & Hastings, J. Appl. Cryst. 20, 79
    (1987), within 1 % of the peak, because its integrals are closed forms. Parameters are the
    positions (n,) and Lorentzian FWHMs (n,) of the transitions and one Gaussian FWHM, which may
    not be zero together.
    """
    fwhm, eta = _pseudo_voigt(lorentzian_fwhm_ev, gaussian_fwhm_ev)
    x = energy_ev - centres_ev[:, None]
    fwhm, eta = fwhm[:, None], eta[:, None]
    parts = zip(_lorentzian(x, fwhm), _gaussian(x, fwhm), strict=True)
    cumulative, ramp = (eta * lorentz + (1 - eta) * gauss for lorentz, gauss in parts)
    # By parts twice: the integral of profile x hat is a difference of slopes of the ramp.
    slopes = np.diff(ramp) / np.diff(energy_ev)
    slopes = np.concatenate([cumulative[:, :1], slopes, cumulative[:, -1:]], axis=1)
    return np.diff(slopes) / trapezoid_weights(energy_ev)


def _pseudo_voigt(lorentz: np.ndarray, gauss: float) -> tuple[np.ndarray, np.ndarray]:
    """Common FWHM and Lorentzian share."""
    fwhm = (
        gauss**5
        + 2.69269 * gauss**4 * lorentz
        + 2.42843 * gauss**3 * lorentz**2
        + 4.47163 * gauss**2 * lorentz**3
        + 0.07842 * gauss * lorentz**4
        + lorentz**5
    ) ** 0.2
    ratio = lorentz / fwhm
    return fwhm, 1.36603 * ratio - 0.47719 * ratio**2 + 0.11116 * ratio**3


def _lorentzian(x: np.ndarray, fwhm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cumulative distribution of the cut Lorentzian and the integral of that."""
    reach = 2 * REACH_FWHM
    r = np.clip(2 * x / fwhm, -reach, reach)
    angle, whole = np.arctan(r), 2 * np.arctan(reach)
    cumulative = 0.5 + angle / whole
    ramp = fwhm / 2 * (r / 2 + (r * angle + 0.5 * np.log((1 + reach**2) / (1 + r**2))) / whole)
    return cumulative, ramp + np.maximum(x - fwhm / 2 * reach, 0)


def _gaussian(x: np.ndarray, fwhm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cumulative distribution of a Gaussian and the integral of that."""
    sigma = fwhm / FWHM_PER_SIGMA
    t = x / sigma
    cumulative = ndtr(t)
    return cumulative, x * cumulative + sigma * np.exp(-(t**2) / 2) / np.sqrt(2 * np.pi)


@dataclass(frozen=True, eq=False)
class EdgeKernel:
    """Takes transitions of one edge to its output axis: ``matrix`` is (fine, out)."""

    fine_ev: np.ndarray
    matrix: np.ndarray

    def apply(
        self, energy_ev: np.ndarray, shifts_ev: np.ndarray, density: np.ndarray
    ) -> np.ndarray:
        """Broadened densities (site, out) of densities (site, n) on axes shifted site by site."""
        areas = density * trapezoid_weights(energy_ev)
        sites = zip(shifts_ev, areas, strict=True)
        fine = [sticks_to_density(energy_ev + shift, area, self.fine_ev) for shift, area in sites]
        return np.reshape(fine, (-1, len(self.fine_ev))) @ self.matrix * STEP_EV


@lru_cache(maxsize=64)
def edge_kernel(
    levels: tuple[Line, ...],
    grid: EnergyGrid,
    threshold_ev: float,
    gaussian_fwhm_ev: float,
    final_state_lorentzian_fwhm_per_ev: float,
) -> EdgeKernel:
    """The kernel of an edge on an axis, which holds for every site of every structure.

    Above ``threshold_ev`` the Lorentzian FWHM grows linearly, after Weijs et al., Phys. Rev. B 41,
    11899 (1990), who use 0.1 eV per eV. Every level of the edge takes its share of each
    transition, moved by its offset and with its own core-hole width.
    """
    start, stop = grid.start_ev - ROOM_EV, grid.stop_ev + ROOM_EV
    fine_ev = start + STEP_EV * np.arange(round((stop - start) / STEP_EV) + 1)
    lifetime_ev = final_state_lorentzian_fwhm_per_ev * np.maximum(fine_ev - threshold_ev, 0)
    matrix = sum(
        line.share
        * kernel_matrix(
            fine_ev + line.offset_ev,
            grid.energies_ev,
            line.core_hole_fwhm_ev + lifetime_ev,
            gaussian_fwhm_ev,
        )
        for line in levels
    )
    return EdgeKernel(fine_ev, matrix)


def technique_kernel(
    edge: str, technique: str, settings: Spectra, grid: EnergyGrid, threshold_ev: float
) -> EdgeKernel:
    """The kernel of an edge as a technique sees it; ``threshold_ev`` is on the axis of ``grid``."""
    return edge_kernel(
        lines(edge, settings.l2_extra_lorentzian_fwhm_ev),
        grid,
        threshold_ev,
        settings.techniques[technique].gaussian_fwhm_ev,
        settings.final_state_lorentzian_fwhm_per_ev,
    )


def broadened(
    channels: xr.Dataset,
    edge: str,
    technique: str,
    settings: Spectra,
    grid: EnergyGrid,
    constant_ev: float,
    threshold_ev: float,
) -> np.ndarray:
    """Densities (site, grid) of an edge's raw channels as a technique sees them.

    One level in the intensity: every transition makes its L3 and its L2 line, or its K line. L3 and
    L2 both in it: what lies above the middle between them gets the width of L2, in a step 2 eV
    wide, and no lifetime of the final states, which are bound. L2 beside L3: each gets what its
    width lacks. ``constant_ev`` takes the common axis to that of ``grid``.
    """
    energy_ev, density = channels["energy_ev"].values, channels["intensity"].values
    shifts_ev = channels["core_level_shift_ev"].values + constant_ev
    if resolves_levels(channels):
        levels = lines(edge, settings.l2_extra_lorentzian_fwhm_ev)
        return sum(
            _resolved_kernel(channels, line, level, technique, settings, grid, threshold_ev).apply(
                *_placed(channels, line, level, shifts_ev)
            )
            for level, line in enumerate(levels)
        )
    if not holds_all_levels(channels):
        kernel = technique_kernel(edge, technique, settings, grid, threshold_ev)
        energy_ev, density = _continued(energy_ev, density)
        return kernel.apply(energy_ev, shifts_ev, density)
    l2_share = expit((energy_ev - channels["l2_start_ev"].values[:, None]) / (L2_STEP_EV / 4))
    low, high = (bound_kernel(channels, edge, technique, settings, grid, level) for level in (0, 1))
    return low.apply(energy_ev, shifts_ev, density * (1 - l2_share)) + high.apply(
        energy_ev, shifts_ev, density * l2_share
    )


def _continued(energy_ev: np.ndarray, density: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Axis and densities (site, n) of unbound states beyond where a simulation ends.

    They go on at the mean of its last 5 eV: nothing there would pull down what is broadened below.
    """
    step_ev = float(energy_ev[1] - energy_ev[0])
    beyond_ev = energy_ev[-1] + step_ev * np.arange(1, round(ROOM_EV / step_ev) + 1)
    last = density[:, energy_ev > energy_ev[-1] - LAST_EV].mean(axis=1, keepdims=True)
    longer = np.concatenate([density, np.repeat(last, beyond_ev.size, axis=1)], axis=1)
    return np.concatenate([energy_ev, beyond_ev]), longer


def _placed(
    channels: xr.Dataset, line: Line, level: int, shifts_ev: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Axis, shifts and densities of one level, such that the kernel's offset brings it home."""
    name = "l2_intensity" if level else "intensity"
    energy_ev, density = _continued(channels["energy_ev"].values, channels[name].values)
    if level:
        shifts_ev = shifts_ev + channels["l2_offset_ev"].values - line.offset_ev
    return energy_ev, shifts_ev, density


def _resolved_kernel(
    channels: xr.Dataset,
    line: Line,
    level: int,
    technique: str,
    settings: Spectra,
    grid: EnergyGrid,
    threshold_ev: float,
) -> EdgeKernel:
    """Width that a level lacks; its lifetime of final states unless the code has put it in.

    A code's core-hole width that exceeds the tabulated one stays as it is.
    """
    there_ev = float(channels["l2_core_hole_fwhm_ev" if level else "core_hole_fwhm_ev"].max())
    lifetime_is_in = bool(channels["final_state_width"].all())
    return edge_kernel(
        (Line(line.offset_ev, 1.0, max(line.core_hole_fwhm_ev - there_ev, 0.0)),),
        grid,
        threshold_ev,
        settings.techniques[technique].gaussian_fwhm_ev,
        0.0 if lifetime_is_in else settings.final_state_lorentzian_fwhm_per_ev,
    )


def bound_kernel(
    channels: xr.Dataset,
    edge: str,
    technique: str,
    settings: Spectra,
    grid: EnergyGrid,
    level: int,
) -> EdgeKernel:
    """Widths of one level of an edge, less what is in the channels already; bound final states."""
    there_ev = float(channels["lorentzian_fwhm_ev"].max())
    width_ev = lines(edge, settings.l2_extra_lorentzian_fwhm_ev)[level].core_hole_fwhm_ev
    return edge_kernel(
        (Line(0.0, 1.0, width_ev - there_ev),),
        grid,
        grid.start_ev,
        settings.techniques[technique].gaussian_fwhm_ev,
        0.0,
    )


def sharpest_technique(edge: str, settings: Spectra) -> str:
    """The technique that resolves this edge best: XAS wherever there is XAS."""
    seen = {t: s.gaussian_fwhm_ev for t, s in settings.techniques.items() if edge in s.edges}
    return min(seen, key=lambda technique: seen[technique])
