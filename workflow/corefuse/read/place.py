"""The energy constant of measured spectra: what fixes it, how far it is known, what speaks against.

Nothing but a reference fixes an energy axis: a foil or standard measured with the spectrum, a known
composition, another sample on the same axis, or an uncertainty that the user states. Without one
every shift that fits about equally well counts, and the answer is ``uncertain``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from corefuse.config import Sample
from corefuse.read import align
from corefuse.read.simulated import FREE, KNOWN, Simulated
from corefuse.read.treated import REFERENCE, Treated

COMPOSITION_MISS = 0.05  # atoms per formula unit that a mixture of the cells may be off
CONFLICT = 3.0  # standard deviations between two things that fix one axis

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Placed:
    """Where the m spectra of one modality are on the simulated axis.

    ``likely`` (m, S) is the distribution of the shift over ``shifts_ev`` (S,), ``shift_ev`` (m,)
    the one that is taken, ``drift_ev`` (m,) by how much the spectrum's own fit wants more than the
    sample it is aligned with, ``extra_fwhm_ev`` (m,) the width simulated spectra lack (negative:
    it is sharper, and is blurred). ``own_shift_ev`` (m,) is the spectrum's own best
    shift, ``residual`` (m,) its misfit at the shift that is taken, ``nearest`` (m,) the structure
    nearest there.
    """

    shifts_ev: Floats
    likely: Floats
    shift_ev: Floats
    drift_ev: Floats
    extra_fwhm_ev: Floats
    own_shift_ev: Floats
    residual: Floats
    nearest: tuple[str, ...]
    aligned_with: tuple[str, ...]
    fixed_by: tuple[str, ...]
    at_bound: NDArray[np.bool_]
    doubts: tuple[tuple[str, ...], ...]

    @property
    def blur_fwhm_ev(self) -> Floats:
        """Gaussian FWHM (m,) that takes a sharper spectrum to the simulated resolution."""
        return np.maximum(-self.extra_fwhm_ev, 0.0)

    def std_ev(self) -> Floats:
        """Standard deviation (m,) of the shift."""
        return align.spread(self.shifts_ev, self.likely)[1]

    def draws(self, number: int, stream: int) -> Floats:
        """Shifts (m, number) that represent the distribution; the one taken is not among them."""
        constant = align.draws(self.shifts_ev, self.likely, number, 2 * stream)
        share = align.shares(number, 2 * stream + 1)
        return constant + share * self.drift_ev[:, None]


def place(treated: Treated, samples: Mapping[str, Sample], simulated: Simulated) -> Placed:
    """Find the energy constant of every spectrum, and what there is to doubt about it."""
    modality, entry = treated.modality, simulated.entry(treated.modality)
    ensemble, names = simulated.ensemble(modality), simulated.names(modality)
    bounds = simulated.max_shift_ev, simulated.max_extra_fwhm_ev
    free = align.profile(treated.energy_ev, treated.intensity, ensemble, entry, *bounds)
    misfits = simulated.misfits[modality]
    m = len(treated.samples)
    likely = align.weights(free, misfits[FREE])
    fixed: list[str] = [""] * m
    doubts: list[list[str]] = [list(found) for found in treated.doubts]
    width = free.width_ev[np.arange(m), free.best()]
    limits = np.full(m, misfits[FREE].largest or np.inf)
    residual_of = free.squared.copy()
    told = np.isfinite(treated.axis_std_ev)
    axis_std = np.hypot(treated.axis_std_ev, entry.reference.energy_std_ev)
    if told.any():
        likely[told] = align.gaussian(free.shifts_ev, 0.0, axis_std[told])
        for i in np.flatnonzero(told):
            fixed[i] = treated.fixed_by[i]
    for i, known in _known(treated, samples):
        mixed, away = simulated.of_composition(known, modality)
        profile = align.profile(
            treated.energy_ev, treated.intensity[[i]], mixed[None], entry, *bounds
        )
        of_content = align.weights(profile, misfits[KNOWN])[0]
        own_ev = float(profile.shifts_ev[profile.best()[0]])
        if told[i] and abs(own_ev) > CONFLICT * axis_std[i]:
            doubts[i].append(
                f"composition and {treated.fixed_by[i]} disagree: by its composition the axis is "
                f"off by {own_ev:+.1f} eV more"
            )
        likely[i] = of_content * likely[i] if told[i] else of_content
        likely[i] = likely[i] / likely[i].sum() if likely[i].sum() > 1e-12 else of_content
        fixed[i] = " and ".join(filter(None, [fixed[i], "its composition"]))
        width[i] = profile.width_ev[0, profile.best()[0]]
        residual_of[i] = profile.squared[0]
        if away > COMPOSITION_MISS:
            doubts[i].append(
                f"its composition is not among the simulated ones (they miss it by {away:.2f} "
                "atoms per formula unit), so its energy constant is not sure"
            )
    shift = free.shifts_ev[np.argmax(likely, axis=1)]
    own = free.shifts_ev[free.best()]
    bound = _at_bound(shift, width, *bounds)
    drift, aligned = np.zeros(m), list(treated.samples)
    moved = _moved(treated, samples, shift, simulated)
    place_of = {name: i for i, name in enumerate(treated.samples)}
    for i, name in enumerate(treated.samples):
        with_sample = samples[name].aligned_with
        other = place_of.get(with_sample or "")
        if other is None or other == i:
            continue
        aligned[i] = treated.samples[other]
        own_reference = treated.fixed_by[i] == REFERENCE
        likely[i], shift[i], width[i] = likely[other], shift[other], width[other]
        bound[i], fixed[i] = bound[other], fixed[other] and f"{aligned[i]} ({fixed[other]})"
        doubts[i] += [f"{aligned[i]}: {why}" for why in doubts[other]]
        if not own_reference:
            drift[i] = own[i] - own[other]
            limit = misfits[FREE].drift_ev
            if limit is not None and abs(drift[i]) > limit:
                doubts[i].append(
                    f"its own fit wants {drift[i]:+.1f} eV more than that of {aligned[i]}, beyond "
                    f"the {limit:.1f} eV that chemistry does in the simulated cells: the energy "
                    "axis drifted (measure a foil with each spectrum and give it as reference)"
                )
            if i in moved:
                doubts[i].append(
                    f"it is {aligned[i]} moved by {moved[i][0]:+.1f} eV with hardly a change of "
                    f"shape ({moved[i][1]:.1%}), which chemistry does not do in the simulated "
                    "cells: the energy axis drifted (give the foil measured with it as reference)"
                )
    taken = np.abs(free.shifts_ev - shift[:, None]).argmin(axis=1)
    rows = np.arange(m)
    residual = np.sqrt(residual_of[rows, taken])
    for i in rows:
        if residual[i] > limits[i]:
            doubts[i].append(
                "it differs from the simulated spectrum it is laid beside by more than parents "
                f"left out of the fit do ({limits[i]:.0%}): see its residual"
            )
        if bound[i]:
            doubts[i].append(
                f"its fit ended at a bound (shift {shift[i]:+.1f} eV): correct the axis or the "
                "instrument width, or widen infer.max_*"
            )
        if not fixed[i]:
            low, high = _range(free.shifts_ev, likely[i])
            doubts[i].append(
                f"nothing fixes its energy axis: shifts from {low:+.1f} to {high:+.1f} eV fit "
                "about equally well (give a reference, its composition, aligned_with or "
                "axis_uncertainty_ev)"
            )
    return Placed(
        free.shifts_ev,
        likely,
        shift,
        drift,
        width,
        own,
        residual,
        tuple(names[k] for k in free.nearest[rows, taken]),
        tuple(aligned),
        tuple(fixed),
        bound,
        tuple(tuple(dict.fromkeys(found)) for found in doubts),
    )


def _moved(
    treated: Treated, samples: Mapping[str, Sample], shift_ev: Floats, simulated: Simulated
) -> dict[int, tuple[float, float]]:
    """Spectra that are another one moved without change: number -> (by how much, what differs).

    Of those aligned with another spectrum that no foil of their own moves.
    """
    entry = simulated.entry(treated.modality)
    rigid = simulated.misfits[treated.modality][FREE].rigid_per_ev
    place_of = {name: i for i, name in enumerate(treated.samples)}
    families: dict[int, list[int]] = {}
    for i, name in enumerate(treated.samples):
        other = place_of.get(samples[name].aligned_with or "", i)
        if other != i and treated.fixed_by[i] != REFERENCE:
            families.setdefault(other, []).append(i)
    out: dict[int, tuple[float, float]] = {}
    for first, members in families.items() if rigid else ():
        form = align.standard_form(
            treated.energy_ev, treated.intensity[[first]], entry, shift_ev[first]
        )[0]
        found, misfit = align.relative(
            treated.energy_ev, treated.intensity[members], form, entry, simulated.max_shift_ev
        )
        for i, at, left in zip(members, found - shift_ev[first], misfit, strict=True):
            if abs(at) >= align.LEAST_MOVE_EV and left < rigid * abs(at):
                out[i] = -float(at), float(left)
    return out


def standard_form(treated: Treated, placed: Placed, simulated: Simulated) -> Floats:
    """Spectra (m, grid) as the models read them, at the shift and resolution that is taken."""
    entry = simulated.entry(treated.modality)
    form = align.standard_form(treated.energy_ev, treated.intensity, entry, placed.shift_ev)
    return blurred_rows(form, entry.grid.step_ev, placed.blur_fwhm_ev)


def drawn(
    treated: Treated, placed: Placed, simulated: Simulated, number: int, stream: int
) -> Floats:
    """Spectra (m, number, grid) at shifts that represent what is known of them."""
    entry = simulated.entry(treated.modality)
    shifts = placed.draws(number, stream)
    out = np.empty((*shifts.shape, entry.grid.energies_ev.size), np.float32)
    for k in range(number):
        form = align.standard_form(treated.energy_ev, treated.intensity, entry, shifts[:, k])
        out[:, k] = blurred_rows(form, entry.grid.step_ev, placed.blur_fwhm_ev)
    return out


def blurred_rows(spectra: Floats, step_ev: float, fwhm_ev: Floats) -> Floats:
    """Spectra (m, n), each after a Gaussian of its own FWHM (m,)."""
    out = spectra.copy()
    for width in np.unique(fwhm_ev[fwhm_ev > 0]):
        rows = fwhm_ev == width
        out[rows] = align.blurred(spectra[rows], step_ev, float(width))
    return out


def _known(treated: Treated, samples: Mapping[str, Sample]) -> list[tuple[int, dict[str, float]]]:
    """Spectra that a known composition aligns: not those that take the constant of another."""
    present = set(treated.samples)
    return [
        (i, dict(samples[name].composition))
        for i, name in enumerate(treated.samples)
        if samples[name].composition
        and (
            samples[name].aligned_with in (None, name) or samples[name].aligned_with not in present
        )
    ]


def _at_bound(shift: Floats, width: Floats, max_shift_ev: float, max_width: float) -> Floats:
    at_shift = bool(max_shift_ev) & (np.abs(shift) > max_shift_ev - align.STEP_EV / 2)
    at_width = bool(max_width) & (np.abs(width) > max_width - 1e-6)
    return at_shift | at_width


def _range(shifts_ev: Floats, likely: Floats) -> tuple[float, float]:
    """The middle 90 % of a distribution (S,)."""
    low, high = np.interp([0.05, 0.95], np.cumsum(likely) - likely / 2, shifts_ev)
    return float(low), float(high)
