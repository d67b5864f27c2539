"""Chemical shifts: what is left of simulated ones in total energies, and of those in measurements.

The energy of a simulated edge is first that of its engine. The distance between two cells is then
replaced by that of total energies with a core hole
(:class:`corefuse.core.edge_table.ChemicalShift`)
and corrected by the measured shifts of known compounds. The shape of a site's spectrum does not
change, only its position.
"""

from __future__ import annotations

from math import ceil, copysign, hypot, sqrt
from typing import Literal, NamedTuple

import numpy as np
import xarray as xr

from corefuse.config import Section, Spectra
from corefuse.core.edge_table import ChemicalShift, Feature
from corefuse.core.rawdata import site_mean
from corefuse.core.spectrum import EnergyGrid
from corefuse.spectra.broadening import broadened, sharpest_technique
from corefuse.spectra.features import feature_energy

ROOM_EV = 4.0  # the axis is lengthened in such steps, so that cells share their kernels
STEP_EV = 0.05


class LeftOver(Section):
    """A measured shift, the simulated one, and what the correction leaves of the difference."""

    between: tuple[str, str]
    measured_ev: float
    simulated_ev: float
    left_over_ev: float
    source: str


class Correction(NamedTuple):
    """What measured shifts ask for, with standard deviations: factor, and eV per metal valence."""

    gain: float = 1.0
    gain_std: float = 0.0
    per_valence_ev: float = 0.0
    per_valence_std_ev: float = 0.0


class Response(NamedTuple):
    """Distance of an edge per simulated distance, what that is counted between, and the move per
    metal valence (eV); with standard deviations."""

    value: float
    std: float
    between: Literal["sites", "cells"]
    per_valence_ev: float = 0.0
    per_valence_std_ev: float = 0.0
    above_valence: float = 0.0


AS_SIMULATED = Response(1.0, 0.0, "cells")


def correction(shift: ChemicalShift) -> Correction:
    """The one number that takes the simulated shifts to the measured ones, by least squares.

    Weights are 1/std^2. Where the references disagree by more than their own deviations, that of
    the number is raised with them (Birge ratio; R. T. Birge, Phys. Rev. 40, 207 (1932)).
    """
    simulated = np.array([r.simulated_ev for r in shift.references])
    measured = np.array([r.measured_ev for r in shift.references])
    std = np.array([r.measured_std_ev for r in shift.references])
    if shift.correction == "gain":
        return Correction(*_slope(simulated, measured, std))
    valence = np.array([r.valence_change for r in shift.references])
    value, value_std = _slope(valence, measured - simulated, std)
    return Correction(per_valence_ev=value, per_valence_std_ev=value_std)


def _slope(x: np.ndarray, y: np.ndarray, std: np.ndarray) -> tuple[float, float]:
    """Slope through the origin and its standard deviation."""
    weight = (x / std) @ (x / std)
    value = (x / std) @ (y / std) / weight
    chi2 = (((y - value * x) / std) ** 2).sum() / (len(x) - 1)
    return float(value), float(sqrt(max(chi2, 1.0) / weight))


def left_over(shift: ChemicalShift) -> list[LeftOver]:
    """What the correction does not explain of each measured shift."""
    found = correction(shift)
    return [
        LeftOver(
            between=r.between,
            measured_ev=r.measured_ev,
            simulated_ev=r.simulated_ev,
            left_over_ev=round(
                r.measured_ev
                - found.gain * r.simulated_ev
                - found.per_valence_ev * r.valence_change,
                3,
            ),
            source=r.source,
        )
        for r in shift.references
    ]


def response(channels: xr.Dataset, shift: ChemicalShift | None) -> Response:
    """How the energies of these channels count, by the method that they come from.

    A ground state without a core hole has its response and the correction, a full core hole the
    correction. Other engines and half a hole stay as they are, for their responses are not known.
    """
    engine, hole = channels.attrs.get("engine"), channels.attrs.get("core_hole", "none")
    if shift is None or not (engine == "gpaw" or hole == "full"):
        return AS_SIMULATED
    found = correction(shift)
    own, own_std = (1.0, 0.0) if hole == "full" else (shift.response, shift.response_std)
    return Response(
        found.gain * own,
        hypot(found.gain_std * own, found.gain * own_std),
        shift.between,
        found.per_valence_ev,
        found.per_valence_std_ev,
        shift.above_valence,
    )


def positions(
    channels: xr.Dataset, edge: str, settings: Spectra, feature: Feature, between: str
) -> np.ndarray:
    """Energies (channel,) of a feature on the common axis of an edge, broadened as by XAS.

    Between ``sites`` it is that of each channel's own spectrum; between ``cells`` all have that of
    their mean.
    """
    shifts_ev = channels["core_level_shift_ev"].values
    zeros_ev = shifts_ev if between == "sites" else np.full_like(shifts_ev, shifts_ev.mean())
    apart_ev = shifts_ev - zeros_ev
    room_ev = ROOM_EV * ceil((abs(apart_ev).max() + STEP_EV) / ROOM_EV)
    energy_ev = channels["energy_ev"].values
    grid = EnergyGrid(
        start_ev=round(float(energy_ev[0]) - room_ev, 6),
        stop_ev=round(float(energy_ev[-1]) + room_ev, 6),
        step_ev=STEP_EV,
    )
    own = channels.assign(core_level_shift_ev=("channel", apart_ev))
    technique = sharpest_technique(edge, settings)
    spectra = broadened(own, edge, technique, settings, grid, 0.0, 0.0)
    if between == "cells":
        spectra = np.broadcast_to(site_mean(spectra, channels), spectra.shape)
    return zeros_ev + np.array([feature_energy(grid.energies_ev, y, feature) for y in spectra])


def placed(
    channels: xr.Dataset,
    edge: str,
    settings: Spectra,
    feature: Feature,
    counts: Response,
    pivot_ev: float,
    valences: tuple[float, float] | None = None,
) -> tuple[xr.Dataset, float]:
    """Channels whose shifts are those of the calibrated axis, and how sure they are.

    Parameters
    ----------
    pivot_ev
        Mean of :func:`positions` of the reference structure.
    valences
        Mean formal valence of the metals, here and in the reference structure, if they are known.

    Returns
    -------
    The channels, and by how many eV one standard deviation of the response would move their mean,
    with the sign of the shift. What counts as simulated comes back as it is, and sure.
    """
    if counts == AS_SIMULATED:
        return channels, 0.0
    shifts_ev = positions(channels, edge, settings, feature, counts.between) - pivot_ev
    here, there = (max(v - counts.above_valence, 0.0) for v in valences or (0.0, 0.0))
    by_valence_ev = counts.per_valence_ev * (here - there)
    moved = channels["core_level_shift_ev"].values + (counts.value - 1) * shifts_ev + by_valence_ev
    mean_ev = float(site_mean(shifts_ev, channels))
    std_ev = hypot(counts.std * mean_ev, counts.per_valence_std_ev * (here - there))
    return (
        channels.assign(core_level_shift_ev=("channel", moved)),
        copysign(std_ev, counts.value * mean_ev + by_valence_ev),
    )
