"""The last shift and width between a measured edge and the simulated ones: fitted, bounded, shown.

One constant an edge and a nominal width are left of calibration and broadening; another
instrument has its own. Both are found where the measured edge comes nearest to a simulated one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from scipy.optimize import nnls

from corefuse.config import Infer, Sample
from corefuse.core.edge_table import EdgeEntry, EdgeTable
from corefuse.core.edges import EDGES, modality_id, split_modality
from corefuse.core.spectrum import Spectrum, SpectrumError, blurred
from corefuse.read import gain, measured

STEP_EV = 0.1
WIDTHS = 9  # widths tried each way
WORST = 3  # energies named where they disagree
EVENNESS = 0.03  # weight of even shares against the composition


@dataclass(frozen=True, eq=False)
class Match:
    """Of one measured edge: ``intensity`` and ``simulated`` (n,) are the two at their nearest.

    ``extra_fwhm_ev`` is the Gaussian FWHM that simulated spectra lack; negative where the measured
    one is the sharper. ``residual`` is the rms difference over the rms of the simulated one.
    """

    shift_ev: float
    extra_fwhm_ev: float
    residual: float
    at_bound: bool
    energy_ev: np.ndarray
    intensity: np.ndarray
    simulated: np.ndarray

    def disagreement(self) -> list[tuple[float, float]]:
        """Energies (eV) where the two differ most, and the difference there over the maximum."""
        difference = self.intensity - self.simulated
        apart = max(1, round(1.0 / float(np.diff(self.energy_ev).mean())))
        left, out = np.abs(difference), []
        for _ in range(WORST):
            worst = int(np.argmax(left))
            out.append((float(self.energy_ev[worst]), float(difference[worst])))
            left[max(worst - apart, 0) : worst + apart + 1] = 0
        return [(energy, d / float(self.simulated.max())) for energy, d in out]


def fit(
    spectrum: Spectrum,
    ensemble: np.ndarray,
    entry: EdgeEntry,
    max_shift_ev: float,
    max_extra_fwhm_ev: float,
) -> Match:
    """Shift and width at which a spectrum is nearest to one of the simulated ``ensemble`` (m, n).

    Every shift is tried in steps of 0.1 eV, with widths put on either side; the nearest is that
    of the smallest rms difference over the window, both spectra having area 1 there.

    Raises
    ------
    SpectrumError
        No shift leaves an edge in the window.
    """
    energy_ev = entry.grid.energies_ev
    inside = (energy_ev >= entry.window_ev[0]) & (energy_ev <= entry.window_ev[1])
    steps = round(max_shift_ev / STEP_EV)
    placed = {s * STEP_EV: _placed(spectrum, entry, s * STEP_EV) for s in range(-steps, steps + 1)}
    placed = {shift: y for shift, y in placed.items() if y is not None}
    if not placed:
        raise SpectrumError(
            f"no shift within {max_shift_ev:g} eV leaves an edge in its window",
            "correct the axis, or raise infer.max_shift_ev",
        )
    widths_ev = np.linspace(-max_extra_fwhm_ev, max_extra_fwhm_ev, 2 * WIDTHS + 1)
    widths_ev = widths_ev if max_extra_fwhm_ev else np.zeros(1)
    best: tuple[float, float, float, np.ndarray, np.ndarray] | None = None
    for width_ev in widths_ev:
        known = blurred(ensemble, entry.grid.step_ev, max(width_ev, 0.0))
        norm = np.sqrt((known[:, inside] ** 2).mean(axis=1))
        for shift_ev, unblurred in placed.items():
            y = blurred(unblurred, entry.grid.step_ev, max(-width_ev, 0.0))
            rms = np.sqrt(((known - y)[:, inside] ** 2).mean(axis=1)) / norm
            nearest = int(np.argmin(rms))
            if best is None or rms[nearest] < best[0]:
                best = float(rms[nearest]), shift_ev, float(width_ev), y, known[nearest]
    residual, shift_ev, width_ev, y, simulated = best
    at_bound = bool(
        (max_shift_ev and abs(shift_ev) > max_shift_ev - STEP_EV / 2)
        or (max_extra_fwhm_ev and abs(width_ev) > max_extra_fwhm_ev - 1e-6)
    )
    return Match(
        shift_ev, width_ev, residual, at_bound, energy_ev[inside], y[inside], simulated[inside]
    )


def fit_sample(
    sample: Sample,
    edge_table: EdgeTable,
    simulated: Mapping[str, xr.Dataset],
    index: pd.DataFrame,
    settings: Infer,
) -> dict[str, Match]:
    """Modality -> how the sample fits the simulated spectra.

    Where its composition is known, that is the one spectrum of :func:`of_composition`, so that the
    shift is not taken for a change of charge; else the nearest of all.
    """
    out = {}
    for spectrum in sample.spectra:
        edge = spectrum.edge
        modality = modality_id(edge, spectrum.technique)
        known = {n: d[modality].values for n, d in simulated.items() if d[modality].any()}
        if sample.composition and known:
            ensemble = of_composition(sample.composition, EDGES[edge].element, index, known)[None]
        else:
            ensemble = np.array(list(known.values()))
        if len(ensemble):
            out[modality] = fit(
                measured.read(spectrum, edge_table, max_shift_ev=measured.NEAR_EV),
                ensemble,
                edge_table[edge],
                settings.max_shift_ev,
                settings.max_extra_fwhm_ev,
            )
    return out


def of_composition(
    composition: Mapping[str, float],
    element: str,
    index: pd.DataFrame,
    spectra: Mapping[str, np.ndarray],
) -> np.ndarray:
    """Spectrum (n,) of ``element`` at a composition (atoms per formula unit), between the cells.

    Elements that are not named may have any content.

    The mixture of pristine structures that has the composition, of many the most even one (least
    squares with weights of no sign but plus, and a small penalty on their squares); each counts
    with its share of absorbing atoms.
    """
    rows = index[index.structure_id.isin(spectra) & (index.defect_class == "pristine")]
    contents = np.array([np.ones(len(rows)), *(rows[f"x_{e.lower()}"] for e in composition)])
    evenness = EVENNESS * np.eye(len(rows))
    wanted = np.concatenate([[1.0], list(composition.values()), np.zeros(len(rows))])
    shares, _ = nnls(np.vstack([contents, evenness]), wanted)
    absorbers = 2.0 if element == "O" else rows[f"x_{element.lower()}"].to_numpy()
    weights = shares * absorbers
    return weights @ np.array([spectra[n] for n in rows.structure_id]) / weights.sum()


def _placed(spectrum: Spectrum, entry: EdgeEntry, shift_ev: float) -> np.ndarray | None:
    """The spectrum moved, on the standard axis, its ends held; None if nothing is left there."""
    try:
        y = measured.prepare(Spectrum(spectrum.energy_ev + shift_ev, spectrum.intensity), entry)
    except SpectrumError:
        return None
    known = np.isfinite(y)
    return np.interp(entry.grid.energies_ev, entry.grid.energies_ev[known], y[known])


def _axis_hint(matches: Mapping[str, Match], edge_table: EdgeTable) -> dict[str, str]:
    """EELS modality -> the axis that the shifts of all edges together ask for, if they do."""
    eels = [m for m in matches if split_modality(m)[1] == "EELS"]
    true_ev = np.array([edge_table[split_modality(m)[0].name].reference.energy_ev for m in eels])
    found = gain.line(true_ev - [matches[m].shift_ev for m in eels], true_ev)
    if found is None or not found.is_gain(gain.HINT_EV):
        return {}
    return dict.fromkeys(
        eels, f"shifts grow with the energy as of an axis off by its gain ({found})"
    )


def ill_fitted(matched: pd.DataFrame) -> dict[str, str]:
    """Modalities of a sample's :func:`table` whose fit ended at its bound, and what that means."""
    return {
        row.modality: f"its fit ended at a bound (shift {row.shift_ev:+.1f} eV): "
        "correct the axis or the instrument width, or widen infer.max_*"
        for row in matched[matched.at_bound].itertuples()
    }


def table(
    samples: Iterable[Sample],
    matches: Mapping[str, Mapping[str, Match]],
    notes: Mapping[str, str],
    edge_table: EdgeTable,
) -> pd.DataFrame:
    """One row a measured edge: the shift and blur it gets, its own fit, where it disagrees.

    ``shift_ev``, ``blur_fwhm_ev`` and ``at_bound`` are those of the sample named by
    ``aligned_with``, if there is one. ``notes`` has what reading found, by ``<sample>/<modality>``.
    """
    rows = []
    for sample in samples:
        stretched = _axis_hint(matches[sample.name], edge_table)
        for modality, own in matches[sample.name].items():
            taken = matches[sample.aligned_with or sample.name].get(modality, own)
            told = notes.get(f"{sample.name}/{modality}", "")
            places = ", ".join(f"{e:.1f} eV {d:+.2f}" for e, d in own.disagreement())
            rows.append(
                {
                    "sample": sample.name,
                    "modality": modality,
                    "shift_ev": round(taken.shift_ev, 3),
                    "blur_fwhm_ev": round(max(-taken.extra_fwhm_ev, 0.0), 3),
                    "aligned_with": sample.aligned_with or sample.name,
                    "fitted_shift_ev": round(own.shift_ev, 3),
                    "fitted_extra_fwhm_ev": round(own.extra_fwhm_ev, 3),
                    "residual": round(own.residual, 4),
                    "at_bound": taken.at_bound,
                    "differs_most_at": places,
                    "notes": "; ".join(filter(None, [told, stretched.get(modality)])),
                }
            )
    return pd.DataFrame(rows)
