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
from corefuse.read.align import Profile
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
    work = _Work(treated, samples, simulated)
    work.by_axis()
    work.by_composition()
    work.follow()
    return work.placed()


class _Work:
    """The constants of one modality's spectra while they are found, step by step."""

    def __init__(
        self, treated: Treated, samples: Mapping[str, Sample], simulated: Simulated
    ) -> None:
        self.treated, self.samples, self.simulated = treated, samples, simulated
        self.entry = simulated.entry(treated.modality)
        self.misfits = simulated.misfits[treated.modality]
        self.bounds = simulated.max_shift_ev, simulated.max_extra_fwhm_ev
        number = len(treated.samples)
        self.rows = np.arange(number)
        self.leader = self._leaders()
        self.leads = self.leader == self.rows
        self.free = self._profiles()
        self.own_ev = self.free.shifts_ev[self.free.best()]
        self.beside = self.free.squared.copy()  # misfit to what the spectrum is laid beside
        self.likely = align.weights(self.free, self.misfits[FREE])
        self.width_ev = self.free.width_ev[self.rows, self.free.best()]
        self.drift_ev = np.zeros(number)
        self.fixed = [""] * number
        self.doubts = [list(found) for found in treated.doubts]

    def _leaders(self) -> NDArray[np.intp]:
        """Number (m,) of the spectrum whose constant each one takes, of most their own."""
        place_of = {name: i for i, name in enumerate(self.treated.samples)}
        return np.array(
            [
                place_of.get(self.samples[name].aligned_with or name, i)
                for i, name in enumerate(self.treated.samples)
            ],
            dtype=np.intp,
        )

    def _profiles(self) -> Profile:
        """How every spectrum fits at every shift; those of a series at the width of their first."""
        ensemble = self.simulated.ensemble(self.treated.modality)

        def fitted(chosen: NDArray[np.intp], width_ev: float | None = None) -> Profile:
            spectra = self.treated.intensity[chosen]
            return align.profile(
                self.treated.energy_ev,
                spectra,
                ensemble,
                self.entry,
                *self.bounds,
                width_ev=width_ev,
            )

        leading = np.flatnonzero(self.leads)
        first = fitted(leading)
        out = Profile.empty(len(self.rows), first)
        out.put(leading, first)
        width = out.width_ev[self.rows, out.best()]
        for one in np.unique(self.leader[~self.leads]):
            behind = np.flatnonzero((self.leader == one) & ~self.leads)
            out.put(behind, fitted(behind, float(width[one])))
        return out

    def by_axis(self) -> None:
        """Axes that a reference or the user fixes, good to that and to the simulated constant."""
        told = np.isfinite(self.treated.axis_std_ev)
        std = np.hypot(self.treated.axis_std_ev[told], self.entry.reference.energy_std_ev)
        if told.any():
            self.likely[told] = align.gaussian(self.free.shifts_ev, 0.0, std)
        for i in np.flatnonzero(told):
            self.fixed[i] = self.treated.fixed_by[i]

    def by_composition(self) -> None:
        """Constants of spectra whose composition is known: the fit to the mixture that has it."""
        for i in np.flatnonzero(self.leads):
            known = dict(self.samples[self.treated.samples[i]].composition)
            if known:
                self._fit_to(i, known)

    def _fit_to(self, i: int, composition: dict[str, float]) -> None:
        mixed, away = self.simulated.of_composition(composition, self.treated.modality)
        found = align.profile(
            self.treated.energy_ev,
            self.treated.intensity[[i]],
            mixed[None],
            self.entry,
            *self.bounds,
        )
        by_content, best = align.weights(found, self.misfits[KNOWN])[0], found.best()[0]
        both = by_content * self.likely[i] if self.fixed[i] else by_content
        if self.fixed[i]:
            std = np.hypot(self.treated.axis_std_ev[i], self.entry.reference.energy_std_ev)
            if abs(found.shifts_ev[best]) > CONFLICT * std:
                self.doubts[i].append(
                    f"composition and {self.fixed[i]} disagree: by its composition the axis is off "
                    f"by {found.shifts_ev[best]:+.1f} eV more"
                )
        self.likely[i] = both / both.sum() if both.sum() > 1e-12 else by_content
        self.fixed[i] = " and ".join(filter(None, [self.fixed[i], "its composition"]))
        self.width_ev[i], self.beside[i] = found.width_ev[0, best], found.squared[0]
        if away > COMPOSITION_MISS:
            self.doubts[i].append(
                f"its composition is not among the simulated ones (they miss it by {away:.2f} "
                "atoms per formula unit), so its energy constant is not sure"
            )

    def follow(self) -> None:
        """Spectra that take the constant of another; what speaks for a drift between the two."""
        moved = self._moved()
        for i in np.flatnonzero(~self.leads):
            one = self.leader[i]
            name = self.treated.samples[one]
            self.likely[i], self.width_ev[i] = self.likely[one], self.width_ev[one]
            self.fixed[i] = self.fixed[one] and f"{name} ({self.fixed[one]})"
            self.doubts[i] += [f"{name}: {why}" for why in self.doubts[one]]
            if self.treated.fixed_by[i] == REFERENCE:
                continue
            self.drift_ev[i] = self.own_ev[i] - self.own_ev[one]
            limit = self.misfits[FREE].drift_ev
            if limit is not None and abs(self.drift_ev[i]) > limit:
                self.doubts[i].append(
                    f"its own fit wants {self.drift_ev[i]:+.1f} eV more than that of {name}, "
                    f"beyond the {limit:.1f} eV that chemistry does in the simulated cells: the "
                    "energy axis drifted (measure a foil with each spectrum, give it as reference)"
                )
            if i in moved:
                self.doubts[i].append(
                    f"it is {name} moved by {moved[i][0]:+.1f} eV with hardly a change of shape "
                    f"({moved[i][1]:.1%}), which chemistry does not do in the simulated cells: the "
                    "energy axis drifted (give the foil measured with it as reference)"
                )

    def _moved(self) -> dict[int, tuple[float, float]]:
        """Spectra that are another one moved: number -> (by how much, what differs else)."""
        rigid = self.misfits[FREE].rigid_per_ev
        adrift = ~self.leads & np.array([by != REFERENCE for by in self.treated.fixed_by])
        out: dict[int, tuple[float, float]] = {}
        for one in np.unique(self.leader[adrift]) if rigid else ():
            behind = np.flatnonzero(adrift & (self.leader == one))
            at_ev = float(self.free.shifts_ev[np.argmax(self.likely[one])])
            energy_ev, spectra = self.treated.energy_ev, self.treated.intensity
            form = align.standard_form(energy_ev, spectra[[one]], self.entry, at_ev)[0]
            found, misfit = align.relative(
                energy_ev, spectra[behind], form, self.entry, self.bounds[0]
            )
            for i, by_ev, left in zip(behind, found - at_ev, misfit, strict=True):
                if abs(by_ev) >= align.LEAST_MOVE_EV and left < rigid * abs(by_ev):
                    out[int(i)] = -float(by_ev), float(left)
        return out

    def placed(self) -> Placed:
        """What was found, with the doubts that the fits themselves raise."""
        taken = np.argmax(self.likely, axis=1)
        shift, names = self.free.shifts_ev[taken], self.simulated.names(self.treated.modality)
        bound = _at_bound(shift, self.width_ev, *self.bounds)
        residual = np.sqrt(self.beside[self.rows, taken])
        for i in self.rows:
            self.doubts[i] += self._of_fit(i, float(shift[i]), float(residual[i]), bool(bound[i]))
        return Placed(
            self.free.shifts_ev,
            self.likely,
            shift,
            self.drift_ev,
            self.width_ev,
            self.own_ev,
            residual,
            tuple(names[k] for k in self.free.nearest[self.rows, taken]),
            tuple(self.treated.samples[one] for one in self.leader),
            tuple(self.fixed),
            bound,
            tuple(tuple(dict.fromkeys(found)) for found in self.doubts),
        )

    def _of_fit(self, i: int, shift_ev: float, residual: float, at_bound: bool) -> list[str]:
        out, limit = [], self.misfits[FREE].largest
        if limit is not None and residual > limit:
            out.append(
                "it differs from the simulated spectrum it is laid beside by more than parents "
                f"left out of the fit do ({limit:.0%}): see its residual"
            )
        if at_bound:
            out.append(
                f"its fit ended at a bound (shift {shift_ev:+.1f} eV): correct the axis or the "
                "instrument width, or widen infer.max_*"
            )
        if not self.fixed[i]:
            low, high = _range(self.free.shifts_ev, self.likely[i])
            out.append(
                f"nothing fixes its energy axis: shifts from {low:+.1f} to {high:+.1f} eV fit "
                "about equally well (give a reference, its composition, aligned_with or "
                "axis_uncertainty_ev)"
            )
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


def _at_bound(shift: Floats, width: Floats, max_shift_ev: float, max_width: float) -> Floats:
    at_shift = bool(max_shift_ev) & (np.abs(shift) > max_shift_ev - align.STEP_EV / 2)
    at_width = bool(max_width) & (np.abs(width) > max_width - 1e-6)
    return at_shift | at_width


def _range(shifts_ev: Floats, likely: Floats) -> tuple[float, float]:
    """The middle 90 % of a distribution (S,)."""
    low, high = np.interp([0.05, 0.95], np.cumsum(likely) - likely / 2, shifts_ev)
    return float(low), float(high)
