"""Measured spectra: read from the files people have, checked, put on the standard axis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import numpy as np
import xarray as xr

from corefuse.config import Image, MeasuredSpectrum, Sample
from corefuse.core.edge_table import EdgeEntry, EdgeTable
from corefuse.core.edges import EDGES, modality_id, split_modality
from corefuse.core.errors import InputError
from corefuse.core.spectrum import Spectrum, SpectrumError, blurred
from corefuse.read import checks, diagnosis, files, gain, treatment
from corefuse.read.checks import MIN_POINTS, NEAR_EV, absolute_ev
from corefuse.spectra import standard
from corefuse.spectra.features import feature_energy, pre_edge_metrics

FLUORESCENCE = ("TFY", "PFY", "HERFD")
OVER_ABSORPTION = "fluorescence: over-absorption lowers strong lines, which is not corrected"
AT_ZERO_EV = (-1.0, 1.0)  # what a low loss covers
NO_SHIFTS: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Measured:
    """An edge on its own axis, background off; what was found on the way.

    ``background_std`` (n,) is one standard deviation of the background taken off. ``doubts`` are
    what makes it unreliable: predictions that use it are uncertain. ``reference`` is the foil or
    standard that was measured with it, on the same axis, as it is in the file.
    """

    spectrum: Spectrum
    background_std: np.ndarray
    notes: tuple[str, ...]
    doubts: tuple[str, ...] = ()
    reference: Spectrum | None = None


def read(
    measured: MeasuredSpectrum,
    edge_table: EdgeTable,
    key: str | None = None,
    max_shift_ev: float = 0.0,
) -> Spectrum:
    """One measured edge in eV on the corrected axis, background off; see :func:`load`."""
    return load(measured, edge_table, key, max_shift_ev).spectrum


def load(
    measured: MeasuredSpectrum,
    edge_table: EdgeTable,
    key: str | None = None,
    max_shift_ev: float = 0.0,
) -> Measured:
    """Read and treat one measured edge.

    The file as :func:`corefuse.read.files.read` finds it (the mean over the pixels of an image),
    the axis ``energy_scale * energy + energy_offset_ev`` or the straight line through the reference
    peaks, the background taken off, plural scattering taken out where there is a low loss. The axis
    may be moved by up to ``max_shift_ev`` afterwards: a file need not cover its edge before.

    Raises
    ------
    InputError
        The file cannot be read, is no spectrum, does not hold its edge or holds nothing of it, is
        saturated or falls below its background.
    """
    key = key or modality_id(measured.edge, measured.technique)
    try:
        return _load(measured, edge_table, key, max_shift_ev)
    except SpectrumError as fault:
        raise InputError(measured.file, key, fault.problem, fault.fix) from None


def _load(
    measured: MeasuredSpectrum, edge_table: EdgeTable, key: str, max_shift_ev: float
) -> Measured:
    entry = edge_table[measured.edge]
    recorded, unit = _recorded(measured, entry)
    scale, offset_ev, notes = axis(measured)
    checks.covers_edge(recorded.energy, measured, entry, unit, (scale, offset_ev), max_shift_ev)
    energy_ev = absolute_ev(recorded.energy, scale, offset_ev, unit)
    raw = _cropped(Spectrum(energy_ev, recorded.mean()), measured.crop_ev)
    checks.not_clipped(raw, entry)
    notes, doubts = notes + recorded.notes, recorded.doubts + checks.holes(raw.energy_ev, entry)
    if measured.technique == "XAS":
        raw, mended, unmended = treatment.mended(raw, entry)
        notes, doubts = notes + mended, doubts + unmended
    background = treatment.background_method(raw, measured, entry)
    measured = measured.model_copy(update={"background": background})
    is_loss = measured.technique == "EELS"
    if is_loss and background == "power_law":
        doubts += checks.counts_at_zero(raw, entry)
    try:
        spectrum, std = treatment.without_background(raw, measured, entry)
        spectrum, found = _single_scattering(spectrum, measured, key, scale)
        notes += found
        step = 1.0
        is_k = EDGES[measured.edge].core_orbital == "1s"  # L3, L2 are too close for a post-edge
        if not is_loss and background == "line" and is_k:
            spectrum, std, note, step = treatment.to_unit_step(spectrum, std, entry)
            notes += (note,)
        checks.is_something(spectrum)
        checks.is_edge(spectrum, measured.edge, edge_table)
        prepare(spectrum, entry)
        checks.not_negative(spectrum, entry)
    except diagnosis.OtherEdgeError:
        raise
    except SpectrumError as fault:
        raise diagnosis.explained(raw, measured.edge, edge_table, is_loss, fault) from None
    doubts += checks.at_the_limits(raw, step, recorded.quantity, entry)
    if is_loss:
        beam_kv = measured.beam_kv or recorded.beam_kv
        notes += (f"{beam_kv:g} kV",) if beam_kv else ()
    else:
        notes += (f"detected by {measured.mode}",) if measured.mode else ()
        notes += (OVER_ABSORPTION,) if measured.mode in FLUORESCENCE else ()
    return Measured(spectrum, std, notes, doubts, _foil(recorded, scale, offset_ev, unit))


def _single_scattering(
    spectrum: Spectrum, measured: MeasuredSpectrum, key: str, scale: float
) -> tuple[Spectrum, tuple[str, ...]]:
    """An edge without plural scattering, if there is a low loss, whose faults are its own."""
    if not measured.low_loss:
        return spectrum, ()
    try:
        low = low_loss(measured.low_loss, scale, measured.low_loss_signal)
        single = Spectrum(spectrum.energy_ev, _deconvolved(spectrum, low))
    except SpectrumError as fault:
        where = f"{key}.low_loss"
        raise InputError(measured.low_loss, where, fault.problem, fault.fix) from None
    thickness = f"zero loss at {low.zero_loss_ev:.1f} eV, t/lambda {low.t_over_lambda:.2f}"
    return single, (thickness, "plural scattering taken out")


def _foil(recorded: files.Recorded, scale: float, offset_ev: float, unit: str) -> Spectrum | None:
    """The reference channel on the corrected axis, None where there is none."""
    if recorded.reference is None:
        return None
    there = np.isfinite(recorded.reference)
    if there.sum() < MIN_POINTS:
        return None
    energy_ev = absolute_ev(recorded.energy[there], scale, offset_ev, unit)
    return Spectrum(energy_ev, recorded.reference[there])


def _recorded(measured: MeasuredSpectrum, entry: EdgeEntry) -> tuple[files.Recorded, str]:
    """What is in a file, and the unit of its energies."""
    recorded = files.read(Path(measured.file), wanted(measured, entry))
    unit = measured.energy_unit or recorded.unit or "eV"
    return recorded, unit


def wanted(measured: MeasuredSpectrum, entry: EdgeEntry | None = None) -> files.Wanted:
    """What a sample entry says about its file, with the edge on the file's own axis."""
    scale, offset_ev, _ = axis(measured)
    in_file = None
    if entry is not None:
        in_file = tuple((e - offset_ev) / scale for e in entry.window_ev)
    return files.Wanted(
        column=measured.column,
        energy_column=measured.energy_column,
        reference_column=measured.reference_column,
        axis_range=measured.axis_range,
        part=next(
            (p for p in (measured.scan, measured.group, measured.signal) if p is not None), None
        ),
        mode=measured.mode,
        energy_unit=measured.energy_unit,
        element=EDGES[measured.edge].element,
        mono_d_angstrom=measured.mono_d_angstrom,
        mono_steps_per_degree=measured.mono_steps_per_degree,
        covers_ev=in_file,
        edge_ev=(entry.reference.energy_ev - offset_ev) / scale if entry else None,
    )


def axis(measured: MeasuredSpectrum | Image) -> tuple[float, float, tuple[str, ...]]:
    """Scale and offset of a file's axis; how well the reference peaks lie on their line."""
    if not measured.reference_peaks:
        return measured.energy_scale, measured.energy_offset_ev, ()
    found, true = np.array(measured.reference_peaks, dtype=float).T
    scale, offset_ev = np.polyfit(found, true, 1)
    residuals = true - (scale * found + offset_ev)
    told = ", ".join(f"{r:+.2f}" for r in residuals)
    note = f"axis {scale:.4f} E {offset_ev:+.2f} eV, reference peaks off by {told} eV"
    return float(scale), float(offset_ev), (note,)


@lru_cache(maxsize=8)
def low_loss(file: str, scale: float, wanted: int | str | None = None):  # noqa: ANN201 - slow import
    """The aligned low loss of a file whose energies are stretched by ``scale``.

    Of several signals the one that is ``wanted``, else the only one that covers 0 eV.
    """
    from corefuse.read import eels

    recorded = files.read(Path(file), files.Wanted(part=wanted, covers_ev=AT_ZERO_EV))
    return eels.low_loss(scale * recorded.energy, recorded.counts)


def _deconvolved(spectrum: Spectrum, low) -> np.ndarray:  # noqa: ANN001
    from corefuse.read import eels

    return eels.single_scattering(spectrum.energy_ev, spectrum.intensity, low)


def check_files(
    samples: Iterable[Sample], edge_table: EdgeTable, max_shift_ev: float = 0.0
) -> None:
    """Read every measured file once, so that a bad one stops the run before any simulation.

    ``max_shift_ev`` is what the fit to the simulated spectra may still move the axis.

    Raises
    ------
    InputError
        As :func:`load`; its key is ``infer.samples.<sample>.<modality>``. Also where the edges of a
        sample's EELS together say that its axis is off by its gain.
    """
    for sample in samples:
        _check_gain(sample, edge_table)
        for measured in sample.spectra:
            load(measured, edge_table, _key(sample, measured), max_shift_ev)


def _check_gain(requested: Sample, edge_table: EdgeTable) -> None:
    """The edges of one spectrometer, before each is looked at alone."""
    eels = [m for m in requested.spectra if m.technique == "EELS"]
    if len(eels) < gain.LEAST_EDGES:
        return
    try:
        spectra = {m.edge: _as_recorded(m, edge_table[m.edge]) for m in eels}
    except SpectrumError:
        return  # told by edge and file when it is loaded
    raw = {m.edge for m in eels if m.background == "power_law"}
    try:
        gain.check(spectra, edge_table, raw)
    except SpectrumError as fault:
        key = f"infer.samples.{requested.name}"
        raise InputError(eels[0].file, key, fault.problem, fault.fix) from None


def _as_recorded(measured: MeasuredSpectrum, entry: EdgeEntry) -> Spectrum:
    """A file's spectrum on the corrected axis, cut to its edge, its background in it."""
    recorded, unit = _recorded(measured, entry)
    scale, offset_ev, _ = axis(measured)
    energy_ev = absolute_ev(recorded.energy, scale, offset_ev, unit)
    return _cropped(Spectrum(energy_ev, recorded.mean()), measured.crop_ev)


def sample(
    requested: Sample,
    edge_table: EdgeTable,
    shifts_ev: Mapping[str, float] = NO_SHIFTS,
    blurs_fwhm_ev: Mapping[str, float] = NO_SHIFTS,
) -> dict[str, xr.DataArray]:
    """Everything measured on one specimen: modality -> spectrum on its standard axis.

    ``shifts_ev`` (modality -> eV) are added to the measured energies before; a Gaussian of
    ``blurs_fwhm_ev`` takes a spectrum to the resolution of the simulated ones after.
    """
    out = {}
    for measured in requested.spectra:
        modality = modality_id(measured.edge, measured.technique)
        entry = edge_table[measured.edge]
        spectrum = read(measured, edge_table, _key(requested, measured), NEAR_EV)
        moved_ev = spectrum.energy_ev + shifts_ev.get(modality, 0.0)
        intensity = prepare(Spectrum(moved_ev, spectrum.intensity), entry)
        there = np.isfinite(intensity)
        fwhm_ev = blurs_fwhm_ev.get(modality, 0.0)
        intensity[there] = blurred(intensity[there], entry.grid.step_ev, fwhm_ev)
        axis_name = f"energy_{EDGES[measured.edge].id}"
        out[modality] = xr.DataArray(intensity, {axis_name: entry.grid.energies_ev}, (axis_name,))
    return out


def notes(samples: Iterable[Sample], edge_table: EdgeTable) -> dict[str, str]:
    """What was found on the way to each spectrum: ``<sample>/<modality>`` -> text."""
    return {
        f"{s.name}/{modality_id(m.edge, m.technique)}": "; ".join(
            load(m, edge_table, _key(s, m), NEAR_EV).notes
        )
        for s in samples
        for m in s.spectra
    }


def _key(requested: Sample, measured: MeasuredSpectrum) -> str:
    return f"infer.samples.{requested.name}.{modality_id(measured.edge, measured.technique)}"


def compare(
    spectrum: xr.DataArray, ensemble: xr.DataArray, modality: str
) -> list[dict[str, object]]:
    """Where the maxima of a measured edge and of the mean simulated one stand.

    One row each; for O K the pre-edge, the main band, their distance (eV) and the ratio of their
    heights, for other edges the energy of the highest maximum.
    """
    rows = []
    for name, curve in (("measured", spectrum), ("simulated", ensemble.mean("sample"))):
        energy_ev, intensity = curve[curve.dims[0]].values, curve.values
        covered = np.isfinite(intensity)
        energy_ev, intensity = energy_ev[covered], intensity[covered]
        found = (
            asdict(pre_edge_metrics(energy_ev, intensity))
            if split_modality(modality)[0].name == "O K"
            else {"main_ev": feature_energy(energy_ev, intensity, "peak")}
        )
        rows.append({"modality": modality, "spectrum": name, **found})
    return rows


def summary(comparison: list[dict[str, object]]) -> str:
    """The comparison in one line per spectrum, for a figure."""
    lines = []
    for row in comparison:
        line = f"{row['spectrum']}: maximum {row['main_ev']:.1f} eV"
        if "distance_ev" in row:
            line += (
                f", pre-edge {row['distance_ev']:.1f} eV below, ratio {row['intensity_ratio']:.2f}"
            )
        lines.append(line)
    return "\n".join(lines)


def prepare(spectrum: Spectrum, entry: EdgeEntry) -> np.ndarray:
    """A measured edge on its standard axis (n,) in the standard form of the simulated ones.

    Axis points outside the window that the file does not reach are NaN, for which the models hold
    the last value that is there; inside, where only a shift can leave some out, it is held here.

    Raises
    ------
    SpectrumError
        No positive area is left in the window.
    """
    energy_ev = entry.grid.energies_ev
    placed = np.interp(energy_ev, spectrum.energy_ev, spectrum.intensity)
    reached = (energy_ev >= spectrum.energy_ev[0]) & (energy_ev <= spectrum.energy_ev[-1])
    return np.where(
        reached | treatment.in_window(energy_ev, entry), standard.form(placed, entry), np.nan
    )


def _cropped(spectrum: Spectrum, crop_ev: tuple[float, float] | None) -> Spectrum:
    if crop_ev is None:
        return spectrum
    inside = (spectrum.energy_ev >= crop_ev[0]) & (spectrum.energy_ev <= crop_ev[1])
    return Spectrum(spectrum.energy_ev[inside], spectrum.intensity[inside])
