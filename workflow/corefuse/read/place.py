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
FOLLOWED_EV, FOLLOWED_STEP_EV = 5.0, 0.2  # where a drift is looked for, from the first one's shift
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
    work.by_fit()
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
        number = len(treated.samples)
        self.rows = np.arange(number)
        self.leader = self._leaders()
        self.leads = self.leader == self.rows
        self.shifts_ev = align.steps(simulated.max_shift_ev)
        self.likely = np.zeros((number, len(self.shifts_ev)))
        self.own_ev, self.width_ev, self.drift_ev, self.residual = np.zeros((4, number))
        self.beside: dict[int, Floats] = {}  # of those that lead, misfit by shift,
        self.widths: dict[int, Floats] = {}  # and the extra width that gives it
        self.nearest = np.zeros((number, len(self.shifts_ev)), np.intp)
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

    def _profile(
        self,
        chosen: NDArray[np.intp],
        ensemble: Floats,
        shifts_ev: Floats,
        widths_ev: Floats | None = None,
    ) -> Profile:
        if widths_ev is None:
            widths_ev = align.widths(self.simulated.max_extra_fwhm_ev)
        spectra = self.treated.intensity[chosen]
        return align.profile(
            self.treated.energy_ev, spectra, ensemble, self.entry, shifts_ev, widths_ev
        )

    def by_fit(self) -> None:
        """Spectra that take no other's constant, by how every shift fits to all structures."""
        leading = np.flatnonzero(self.leads)
        ensemble = self.simulated.ensemble(self.treated.modality)
        free = self._profile(leading, ensemble, self.shifts_ev)
        best = free.best()
        self.likely[leading] = align.weights(free, self.misfits[FREE])
        self.own_ev[leading] = self.shifts_ev[best]
        self.width_ev[leading] = free.width_ev[np.arange(len(leading)), best]
        self.nearest[leading] = free.nearest
        self.beside = dict(zip(leading.tolist(), free.squared, strict=True))
        self.widths = dict(zip(leading.tolist(), free.width_ev, strict=True))

    def by_axis(self) -> None:
        """Axes that a reference or the user fixes, good to that and to the simulated constant."""
        told = np.isfinite(self.treated.axis_std_ev) & self.leads
        std = np.hypot(self.treated.axis_std_ev[told], self.entry.reference.energy_std_ev)
        if told.any():
            self.likely[told] = align.gaussian(self.shifts_ev, 0.0, std)
        for i in np.flatnonzero(told):
            self.fixed[i] = self.treated.fixed_by[i]
            self.width_ev[i] = self.widths[i][np.argmax(self.likely[i])]  # the best at that shift

    def by_composition(self) -> None:
        """Constants of spectra whose composition is known: the fit to the mixture that has it."""
        for i in np.flatnonzero(self.leads):
            known = dict(self.samples[self.treated.samples[i]].composition)
            if known:
                self._fit_to(i, known)

    def _fit_to(self, i: int, composition: dict[str, float]) -> None:
        mixed, away = self.simulated.of_composition(composition, self.treated.modality)
        found = self._profile(np.array([i]), mixed[None], self.shifts_ev)
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
        for one in np.unique(self.leader[~self.leads]):
            behind = np.flatnonzero((self.leader == one) & ~self.leads)
            own_ev, moved_ev, changed = self._beside_leader(one, behind)
            name, rigid = self.treated.samples[one], self.misfits[FREE].rigid_per_ev
            for k, i in enumerate(behind):
                self.likely[i], self.width_ev[i] = self.likely[one], self.width_ev[one]
                self.own_ev[i] = own_ev[k]
                self.fixed[i] = self.fixed[one] and f"{name} ({self.fixed[one]})"
                self.doubts[i] += [f"{name}: {why}" for why in self.doubts[one]]
                if self.treated.fixed_by[i] != REFERENCE:
                    self.drift_ev[i] = own_ev[k] - self.own_ev[one]
                    self.doubts[i] += self._of_drift(i, name)
                    far = abs(moved_ev[k]) >= align.LEAST_MOVE_EV
                    if rigid and far and changed[k] < rigid * abs(moved_ev[k]):
                        self.doubts[i].append(
                            f"it is {name} moved by {moved_ev[k]:+.1f} eV with hardly a change of "
                            f"shape ({changed[k]:.1%}), which chemistry does not do in the "
                            "simulated cells: the energy axis drifted (give the foil measured with "
                            "it as reference)"
                        )

    def _beside_leader(self, one: int, behind: NDArray[np.intp]) -> tuple[Floats, Floats, Floats]:
        """Of spectra (k,) that follow one: own best shift, shift onto it, and what differs then.

        Both are looked for near the shift that is taken, at the width of the leader.
        """
        taken = int(np.argmax(self.likely[one]))
        at_ev = float(self.shifts_ev[taken])
        ensemble = self.simulated.ensemble(self.treated.modality)
        near = at_ev + (self.own_ev[one] - at_ev) + align.steps(FOLLOWED_EV, FOLLOWED_STEP_EV)
        width = self.width_ev[[one]]
        found = self._profile(behind, ensemble, near, width)
        here = self._profile(behind, ensemble, np.array([at_ev]), width)
        self.residual[behind] = np.sqrt(here.squared[:, 0])
        self.nearest[behind, taken] = here.nearest[:, 0]
        energy_ev, spectra = self.treated.energy_ev, self.treated.intensity
        form = align.standard_form(energy_ev, spectra[[one]], self.entry, at_ev)[0]
        around = at_ev + align.steps(FOLLOWED_EV, FOLLOWED_STEP_EV)
        onto, changed = align.relative(energy_ev, spectra[behind], form, self.entry, around)
        return near[found.best()], at_ev - onto, changed

    def _of_drift(self, i: int, name: str) -> list[str]:
        limit = self.misfits[FREE].drift_ev
        if limit is None or abs(self.drift_ev[i]) <= limit:
            return []
        return [
            f"its own fit wants {self.drift_ev[i]:+.1f} eV more than that of {name}, beyond the "
            f"{limit:.1f} eV that chemistry does in the simulated cells: the energy axis drifted "
            "(measure a foil with each spectrum, give it as reference)"
        ]

    def placed(self) -> Placed:
        """What was found, with the doubts that the fits themselves raise."""
        taken = np.argmax(self.likely, axis=1)
        shift, names = self.shifts_ev[taken], self.simulated.names(self.treated.modality)
        bounds = self.simulated.max_shift_ev, self.simulated.max_extra_fwhm_ev
        bound = _at_bound(shift, self.width_ev, *bounds)
        for i, squared in self.beside.items():
            self.residual[i] = np.sqrt(squared[taken[i]])
        for i in self.rows:
            self.doubts[i] += self._of_fit(i, float(shift[i]), bool(bound[i]))
        return Placed(
            self.shifts_ev,
            self.likely,
            shift,
            self.drift_ev,
            self.width_ev,
            self.own_ev,
            self.residual,
            tuple(names[k] for k in self.nearest[self.rows, taken]),
            tuple(self.treated.samples[one] for one in self.leader),
            tuple(self.fixed),
            bound,
            tuple(tuple(dict.fromkeys(found)) for found in self.doubts),
        )

    def _of_fit(self, i: int, shift_ev: float, at_bound: bool) -> list[str]:
        out, limit = [], self.misfits[FREE].largest
        if limit is not None and self.residual[i] > limit:
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
            low, high = _range(self.shifts_ev, self.likely[i])
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
