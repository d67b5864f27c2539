"""Measured spectra of one modality as arrays: the one form in which everything is fitted and read.

A single spectrum, a series and a spectrum image differ in how many there are, no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from corefuse.config import MeasuredSpectrum, Sample
from corefuse.core.edge_table import EdgeEntry, EdgeTable
from corefuse.core.edges import modality_id, split_modality
from corefuse.core.errors import InputError
from corefuse.core.spectrum import Spectrum, SpectrumError
from corefuse.read import measured
from corefuse.read.measured import NEAR_EV, Measured
from corefuse.read.reference import Offset, inflection, offset

Floats = NDArray[np.float64]
Row = tuple[Sample, MeasuredSpectrum, Measured, Offset | None]
REFERENCE = "its reference"


@dataclass(frozen=True, eq=False)
class Treated:
    """m spectra of one modality, background off, on one axis ``energy_ev`` (n,).

    ``intensity`` and ``background_std``, that of what was taken off, are (m, n). ``axis_std_ev``
    (m,) is what is known of the energies (NaN: nothing fixes them), ``fixed_by`` says what does.
    ``reach_ev`` (m, 2) are the first and last energy that was measured.
    """

    modality: str
    samples: tuple[str, ...]
    energy_ev: Floats
    intensity: Floats
    background_std: Floats
    axis_std_ev: Floats
    fixed_by: tuple[str, ...]
    reach_ev: Floats
    notes: tuple[tuple[str, ...], ...]
    doubts: tuple[tuple[str, ...], ...]


@dataclass
class Failed:
    """Spectra that could not be read: sample -> why."""

    faults: dict[str, InputError] = field(default_factory=dict)


def treat(
    samples: Sequence[Sample],
    edge_table: EdgeTable,
    max_shift_ev: float,
    failed: Failed | None = None,
) -> dict[str, Treated]:
    """Read every spectrum of these samples: modality -> its spectra, in the order of the samples.

    Raises
    ------
    InputError
        A spectrum cannot be read (with ``failed`` its sample is left out and reported there).
    """
    found: dict[str, list[Row]] = {}
    for sample in samples:
        try:
            parts = [(m, *_one(sample, m, edge_table, max_shift_ev)) for m in sample.spectra]
        except InputError as fault:
            if failed is None:
                raise
            failed.faults[sample.name] = fault
            continue
        for spectrum, one, reference in parts:
            name = modality_id(spectrum.edge, spectrum.technique)
            found.setdefault(name, []).append((sample, spectrum, one, reference))
    return {m: _together(m, _following(rows), edge_table) for m, rows in found.items()}


def _one(
    sample: Sample, spectrum: MeasuredSpectrum, edge_table: EdgeTable, max_shift_ev: float
) -> tuple[Measured, Offset | None]:
    """A spectrum as :func:`corefuse.read.measured.load` treats it, and what its reference says.

    With a reference it is treated a second time, on the axis that this has corrected.
    """
    key = f"infer.samples.{sample.name}.{modality_id(spectrum.edge, spectrum.technique)}"
    found = measured.load(spectrum, edge_table, key, max(max_shift_ev, NEAR_EV))
    if spectrum.reference is None:
        return found, None
    try:
        known = offset(spectrum, found.reference)
    except SpectrumError as fault:
        raise InputError(spectrum.file, f"{key}.reference", fault.problem, fault.fix) from None
    moved = _moved(spectrum, known.offset_ev)
    return measured.load(moved, edge_table, key, max(max_shift_ev, NEAR_EV)), known


def _following(rows: Sequence[Row]) -> list[Row]:
    """Spectra of a series whose file has a reference channel follow that of their first.

    What the channel is need not be known for that: it moves each axis, and fixes none.
    """
    by_name = {sample.name: row for row in rows for sample in row[:1]}
    out = []
    for sample, spectrum, one, reference in rows:
        other = by_name.get(sample.aligned_with or "")
        if reference is None and other and one.reference and other[2].reference:
            reference = _relative(one, other[2], other[0].name)
            if reference is not None:
                moved = Spectrum(
                    one.spectrum.energy_ev + reference.offset_ev, one.spectrum.intensity
                )
                one = replace(one, spectrum=moved)
        out.append((sample, spectrum, one, reference))
    return out


def _relative(one: Measured, other: Measured, name: str) -> Offset | None:
    """How far the reference channel of a spectrum is from that of another; None if unreadable."""
    near_ev = float(np.median(one.spectrum.energy_ev))
    try:
        own_ev, their_ev = (
            inflection(m.reference.energy_ev, m.reference.intensity, near_ev, first=False)
            for m in (one, other)
        )
    except SpectrumError:
        return None
    moved_ev = their_ev - own_ev
    note = f"axis moved by {moved_ev:+.2f} eV: its reference channel onto that of {name}"
    return Offset(moved_ev, np.nan, note)


def _moved(spectrum: MeasuredSpectrum, offset_ev: float) -> MeasuredSpectrum:
    """The request with its axis corrected further."""
    if spectrum.reference_peaks:
        peaks = [(found, true + offset_ev) for found, true in spectrum.reference_peaks]
        return spectrum.model_copy(update={"reference_peaks": peaks})
    moved_ev = spectrum.energy_offset_ev + offset_ev
    return spectrum.model_copy(update={"energy_offset_ev": moved_ev})


def _axis_known(spectrum: MeasuredSpectrum, reference: Offset | None) -> tuple[float, str]:
    """Standard deviation of a spectrum's energies, and what fixes them; NaN where nothing does."""
    if reference is not None:
        return reference.std_ev, REFERENCE
    if spectrum.axis_uncertainty_ev is not None:
        return spectrum.axis_uncertainty_ev, "its stated axis uncertainty"
    if len(spectrum.reference_peaks) > 2:
        found, true = np.array(spectrum.reference_peaks, float).T
        off = true - np.polyval(np.polyfit(found, true, 1), found)
        return float(np.sqrt((off**2).sum() / (len(off) - 2))), "its reference peaks"
    return np.nan, ""


def _together(
    modality: str,
    rows: Sequence[Row],
    edge_table: EdgeTable,
) -> Treated:
    every = [one for _, _, one, _ in rows]
    entry = edge_table[split_modality(modality)[0].name]
    energy_ev = common_axis([one.spectrum.energy_ev for one in every], entry)
    known = [_axis_known(spectrum, reference) for _, spectrum, _, reference in rows]
    ends = [(one.spectrum.energy_ev[0], one.spectrum.energy_ev[-1]) for one in every]
    return Treated(
        modality,
        tuple(sample.name for sample, *_ in rows),
        energy_ev,
        *(
            np.array([_on(energy_ev, one.spectrum.energy_ev, of(one)) for one in every])
            for of in (
                lambda one: one.spectrum.intensity,
                lambda one: one.background_std,
            )
        ),
        np.array([std for std, _ in known]),
        tuple(how for _, how in known),
        np.array(ends),
        tuple((*one.notes, *([r.note] if r else [])) for _, _, one, r in rows),
        tuple(one.doubts for one in every),
    )


def common_axis(axes: Iterable[Floats], entry: EdgeEntry) -> Floats:
    """The axis that spectra share; where theirs differ, an even one of half their step.

    Linear interpolation to half a step and on to the standard axis widens nothing that counts.
    """
    axes = list(axes)
    if all(a.shape == axes[0].shape and np.array_equal(a, axes[0]) for a in axes[1:]):
        return axes[0]
    low, high = entry.grid.start_ev - 3 * NEAR_EV, entry.grid.stop_ev + 3 * NEAR_EV
    start = max(low, min(a[0] for a in axes))
    stop = min(high, max(a[-1] for a in axes))
    inside = [np.diff(a[(a >= entry.window_ev[0]) & (a <= entry.window_ev[1])]) for a in axes]
    step = min(float(np.median(d)) for d in inside if d.size) / 2
    return np.arange(start, stop + step / 2, step)


def _on(energy_ev: Floats, own_ev: Floats, values: Floats) -> Floats:
    return values if own_ev is energy_ev else np.interp(energy_ev, own_ev, values)
