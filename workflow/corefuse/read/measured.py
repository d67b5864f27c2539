"""Measured spectra: read from the files people have, checked, put on the standard axis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import numpy as np
import xarray as xr
from scipy.ndimage import maximum_filter1d

from corefuse.config import Image, MeasuredSpectrum, Sample
from corefuse.core.edge_table import EdgeEntry, EdgeTable
from corefuse.core.edges import EDGES, modality_id, split_modality
from corefuse.core.errors import InputError
from corefuse.core.spectrum import Spectrum, SpectrumError, blurred
from corefuse.read import background, files, gain
from corefuse.read.files import EV_PER_UNIT
from corefuse.spectra import standard
from corefuse.spectra.features import feature_energy, pre_edge_metrics

MIN_POINTS = 20  # inside the normalisation window
POST_EDGE_FROM = 0.25  # of what there is above the edge: past the white line
PRE_EDGE_EV = 20.0  # how far below the window the background is read
NEAR_EV = 15.0  # a maximum farther from its edge than this belongs to another one
LOOK_BELOW_EV = 100.0  # how far below its edge a file may hold another one
CUT_OFF_EV = 2.0  # a maximum nearer to the end of what is looked at may go on rising
FAINT = 0.1  # of the highest maximum above it: less is no edge
CLIPPED_POINTS = 4  # equal and highest, side by side: a full detector
NEGATIVE_SHARE, NEGATIVE_DEPTH = 0.2, 0.05  # of the window's points, of its maximum
GLITCH = 12.0  # of the typical difference from what the neighbours say
GLITCH_HEIGHT = 0.03  # of the edge
CRYSTALS_FROM_EV = 2000.0  # below, monochromators are gratings
GLITCH_STEP_EV = 0.7  # half the natural width of the K edges of Mn, Co, Ni: a line has points
FLUORESCENCE = ("TFY", "PFY", "HERFD")
OVER_ABSORPTION = "fluorescence: over-absorption lowers strong lines, which is not corrected"
POWER_LAW_EV = (-40.0, -5.0)  # from the start of the window: clear of what the resolution smears


AT_ZERO_EV = (-1.0, 1.0)  # what a low loss covers
NO_SHIFTS: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Measured:
    """An edge on its own axis, background off; what was found on the way.

    ``background_std`` (n,) is one standard deviation of the background taken off. ``doubts`` are
    what makes it unreliable: predictions that use it are uncertain. ``reference`` is the foil or
    standard that was measured with it, on the same axis, as it stands in the file.
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
    notes += recorded.notes
    doubts = recorded.doubts
    raw = Spectrum(_absolute_ev(recorded.energy, scale, offset_ev, unit), recorded.mean())
    _check_covers_edge(recorded.energy, measured, entry, unit, max_shift_ev)
    raw = _cropped(raw, measured.crop_ev)
    _check_not_clipped(raw, entry)
    if measured.technique == "XAS":
        raw, mended = _mended(raw, entry)
        notes += mended
    measured = measured.model_copy(update={"background": _method(raw, measured, entry)})
    spectrum, std = _without_background(raw, measured, entry)
    if measured.low_loss:
        try:
            low = low_loss(measured.low_loss, scale, measured.low_loss_signal)
            spectrum = Spectrum(spectrum.energy_ev, _deconvolved(spectrum, low))
        except SpectrumError as fault:
            where = f"{key}.low_loss"
            raise InputError(measured.low_loss, where, fault.problem, fault.fix) from None
        notes += (f"zero loss at {low.zero_loss_ev:.1f} eV, t/lambda {low.t_over_lambda:.2f}",)
        notes += ("plural scattering taken out",)
    is_k = EDGES[measured.edge].core_orbital == "1s"  # L3 and L2 stand too near for a post-edge
    if measured.technique == "XAS" and measured.background == "line" and is_k:
        spectrum, std, note = _to_unit_step(spectrum, std, entry)
        notes += (note,)
    _check_is_something(spectrum, entry)
    check_is_edge(spectrum, measured.edge, edge_table)
    prepare(spectrum, entry)
    _check_not_negative(spectrum, entry)
    if measured.technique == "XAS":
        notes += (f"detected by {measured.mode}",) if measured.mode else ()
        notes += (OVER_ABSORPTION,) if measured.mode in FLUORESCENCE else ()
    else:
        beam_kv = measured.beam_kv or recorded.beam_kv
        notes += (f"{beam_kv:g} kV",) if beam_kv else ()
    return Measured(spectrum, std, notes, doubts, _foil(recorded, scale, offset_ev, unit))


def _foil(recorded: files.Recorded, scale: float, offset_ev: float, unit: str) -> Spectrum | None:
    """The reference channel on the corrected axis, None where there is none."""
    if recorded.reference is None:
        return None
    there = np.isfinite(recorded.reference)
    if there.sum() < MIN_POINTS:
        return None
    energy_ev = _absolute_ev(recorded.energy[there], scale, offset_ev, unit)
    return Spectrum(energy_ev, recorded.reference[there])


def _recorded(measured: MeasuredSpectrum, entry: EdgeEntry) -> tuple[files.Recorded, str]:
    """What stands in a file, and the unit of its energies."""
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
    energy_ev = _absolute_ev(recorded.energy, scale, offset_ev, unit)
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
    """The comparison in one line a spectrum, for a figure."""
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
    return np.where(reached | _in_window(energy_ev, entry), standard.form(placed, entry), np.nan)


def _in_window(energy_ev: np.ndarray, entry: EdgeEntry) -> np.ndarray:
    return (energy_ev >= entry.window_ev[0]) & (energy_ev <= entry.window_ev[1])


def below_window(entry: EdgeEntry, length_ev: float = PRE_EDGE_EV) -> tuple[float, float]:
    """The part of a spectrum where the background of an edge is read."""
    return entry.window_ev[0] - length_ev, entry.window_ev[0]


def default_window(method: str, entry: EdgeEntry) -> tuple[float, float]:
    """Where a background is fitted if nobody says where."""
    if method == "mean":
        return below_window(entry)
    return entry.window_ev[0] + POWER_LAW_EV[0], entry.window_ev[0] + POWER_LAW_EV[1]


def check_is_edge(spectrum: Spectrum, edge: str, edge_table: EdgeTable) -> None:
    """Whether the first edge in a background-free file is the one it is said to be.

    The highest maximum up to the end of the edge's window, or where that is faint or still rises,
    of 100 eV more, has to stand within 15 eV of the edge's reference, or else the half height
    below it: an edge without a white line has its maximum anywhere.

    Raises
    ------
    SpectrumError
        It does not; the edge that stands there is named.
    """
    entry = edge_table[edge]
    energy_ev = spectrum.energy_ev
    expected_ev = entry.reference.energy_ev
    low, high = expected_ev - LOOK_BELOW_EV, max(entry.window_ev[1], expected_ev + NEAR_EV)
    near = (energy_ev >= low) & (energy_ev <= high)
    around = (energy_ev >= low) & (energy_ev <= high + LOOK_BELOW_EV)
    first_ev = max(low, float(energy_ev[0]))
    below = first_ev, min(first_ev + PRE_EDGE_EV, entry.window_ev[0])
    flat = spectrum.intensity - background.mean(energy_ev, spectrum.intensity, below).values
    top_ev, top = _highest(energy_ev[near], flat[near])
    cut_off = energy_ev[near][-1] - top_ev < CUT_OFF_EV
    if cut_off or top < FAINT * flat[around].max():
        near = around
        top_ev, top = _highest(energy_ev[near], flat[near])
    rise_ev = float(energy_ev[near][np.argmax(flat[near] >= top / 2)])
    if min(abs(top_ev - expected_ev), abs(rise_ev - expected_ev)) <= NEAR_EV:
        return
    if top_ev - energy_ev[near][0] < CUT_OFF_EV:
        raise SpectrumError(
            f"it falls from {top_ev:.1f} eV on: its background is still in it",
            "set background: power_law (EELS) or line (XAS)",
        )
    found_ev = top_ev
    nearest = min(edge_table, key=lambda e: abs(edge_table[e].reference.energy_ev - found_ev))
    away_ev = found_ev - edge_table[nearest].reference.energy_ev
    if nearest == edge:
        raise SpectrumError(
            f"its maximum is at {found_ev:.1f} eV, {away_ev:+.0f} eV from {edge}",
            "the axis is off: give reference_peaks, or energy_scale and energy_offset_ev",
        )
    raise SpectrumError(
        f"its maximum is at {found_ev:.1f} eV, {found_ev - expected_ev:+.0f} eV from {edge}: "
        f"this looks like {nearest}",
        f"name it {nearest}; if it holds both edges, cut {edge} out with crop_ev",
    )


def _highest(energy_ev: np.ndarray, intensity: np.ndarray) -> tuple[float, float]:
    top = int(np.argmax(intensity))
    return float(energy_ev[top]), float(intensity[top])


def _cropped(spectrum: Spectrum, crop_ev: tuple[float, float] | None) -> Spectrum:
    if crop_ev is None:
        return spectrum
    inside = (spectrum.energy_ev >= crop_ev[0]) & (spectrum.energy_ev <= crop_ev[1])
    return Spectrum(spectrum.energy_ev[inside], spectrum.intensity[inside])


def _method(raw: Spectrum, measured: MeasuredSpectrum, entry: EdgeEntry) -> str:
    """The background that is asked for, else a pre-edge line of XAS if it has the length for one.

    XAS without a pre-edge has been normalised before, as extracted EELS edges have.
    """
    if measured.background:
        return measured.background
    window_ev = measured.background_window_ev or default_window("line", entry)
    lined = measured.technique == "XAS" and background.is_long_enough(raw.energy_ev, window_ev)
    return "line" if lined else "mean"


def _without_background(
    raw: Spectrum, measured: MeasuredSpectrum, entry: EdgeEntry
) -> tuple[Spectrum, np.ndarray]:
    """The edge above its background, from the start of the fit on, and the background's std.

    The default is left to :func:`prepare`.
    """
    if measured.background == "mean" and measured.background_window_ev is None:
        return raw, np.zeros(raw.intensity.size)
    window_ev = measured.background_window_ev or default_window(measured.background, entry)
    fitted = background.METHODS[measured.background](raw.energy_ev, raw.intensity, window_ev)
    kept = raw.energy_ev >= (window_ev[0] if measured.background != "mean" else -np.inf)
    flat = raw.intensity - fitted.values
    return Spectrum(raw.energy_ev[kept], flat[kept]), fitted.std[kept]


def _to_unit_step(
    spectrum: Spectrum, std: np.ndarray, entry: EdgeEntry
) -> tuple[Spectrum, np.ndarray, str]:
    """An edge above its pre-edge line on the scale of its own step, and what that was."""
    energy_ev, flat = spectrum.energy_ev, spectrum.intensity
    near = (energy_ev >= entry.window_ev[0]) & (energy_ev <= entry.window_ev[1])
    e0_ev = float(energy_ev[near][np.argmax(np.gradient(flat[near], energy_ev[near]))])
    length_ev = float(energy_ev[-1]) - e0_ev
    post_ev = POST_EDGE_FROM * length_ev, length_ev
    if not background.is_long_enough(energy_ev - e0_ev, post_ev):
        return spectrum, std, f"edge at {e0_ev:.1f} eV, its post-edge is too short to tell its step"
    step = background.edge_step(energy_ev, flat, e0_ev, post_ev)
    if step <= 0:
        return spectrum, std, f"edge at {e0_ev:.1f} eV, its post-edge lies below its pre-edge"
    below = energy_ev < e0_ev - PRE_EDGE_EV
    noise = float(flat[below].std()) / step if below.sum() > 2 else np.nan
    told = f"edge at {e0_ev:.1f} eV, step {step:.3g}, pre-edge scatter {noise:.2%} of it"
    return Spectrum(energy_ev, flat / step), std / step, told


def _absolute_ev(energy: np.ndarray, scale: float, offset_ev: float, unit: str) -> np.ndarray:
    return scale * energy * EV_PER_UNIT[unit] + offset_ev


def _check_covers_edge(
    energy: np.ndarray,
    measured: MeasuredSpectrum,
    entry: EdgeEntry,
    unit: str,
    max_shift_ev: float,
) -> None:
    low, high = entry.window_ev
    scale, offset_ev, _ = axis(measured)
    energy_ev = _absolute_ev(energy, scale, offset_ev, unit)
    if measured.crop_ev:
        energy_ev = energy_ev[
            (energy_ev >= measured.crop_ev[0]) & (energy_ev <= measured.crop_ev[1])
        ]
    if (
        not energy_ev.size
        or np.ptp(energy_ev) < high - low
        or energy_ev[0] > low + max_shift_ev
        or energy_ev[-1] < high - max_shift_ev
    ):
        for other_unit in EV_PER_UNIT:
            other = _absolute_ev(energy, scale, offset_ev, other_unit)
            if other_unit != unit and other[0] < high and other[-1] > low:
                raise SpectrumError(
                    f"energies {energy[0]:g} to {energy[-1]:g} look like {other_unit}, "
                    f"but energy_unit is {unit}",
                    f"set energy_unit: {other_unit}",
                )
        reach = f"{energy_ev[0]:.1f} to {energy_ev[-1]:.1f} eV" if energy_ev.size else "nowhere"
        raise SpectrumError(
            f"it reaches from {reach}, but {measured.edge} needs {low:g} to {high:g} eV",
            "name the edge the file holds, give a file that covers it, "
            "or correct the axis with energy_scale and energy_offset_ev",
        )
    points = int(((energy_ev >= low) & (energy_ev <= high)).sum())
    if points < MIN_POINTS:
        raise SpectrumError(
            f"only {points} points from {low:g} to {high:g} eV",
            f"give a file with at least {MIN_POINTS} points there",
        )


def _check_not_clipped(spectrum: Spectrum, entry: EdgeEntry) -> None:
    """Equal highest points side by side that fall off at both ends are a detector that was full."""
    inside = spectrum.intensity[_in_window(spectrum.energy_ev, entry)]
    steps = np.flatnonzero(np.diff(np.concatenate([[0], inside == inside.max(), [0]])))
    runs = [(start, end) for start, end in steps.reshape(-1, 2) if start and end < inside.size]
    longest = max((end - start for start, end in runs), default=0)
    if longest >= CLIPPED_POINTS:
        raise SpectrumError(
            f"{longest} points side by side stand at {inside.max():g}: the detector was full",
            "measure with fewer counts, or give a spectrum that is not clipped",
        )


def _check_is_something(spectrum: Spectrum, entry: EdgeEntry) -> None:
    if not np.ptp(spectrum.intensity) > 0:
        raise SpectrumError(
            "all its intensities are equal, the area is not positive",
            "give absorption or energy loss that rises at the edge",
        )


def _check_not_negative(spectrum: Spectrum, entry: EdgeEntry) -> None:
    low, high = entry.window_ev
    flat = (
        spectrum.intensity
        - background.mean(spectrum.energy_ev, spectrum.intensity, below_window(entry)).values
    )
    inside = flat[(spectrum.energy_ev >= low) & (spectrum.energy_ev <= high)]
    share = float((inside < -NEGATIVE_DEPTH * inside.max()).mean())
    if share > NEGATIVE_SHARE:
        raise SpectrumError(
            f"{share:.0%} of the points from {low:g} to {high:g} eV are below the background",
            "move background_window_ev, or use another background",
        )


def _mended(spectrum: Spectrum, entry: EdgeEntry) -> tuple[Spectrum, tuple[str, ...]]:
    """Without Bragg glitches: single points far off the cubic through their four neighbours.

    They take the cubic's value. Only crystals, so hard X-rays, make them; where points stand far
    apart a white line looks like one.
    """
    if entry.window_ev[0] < CRYSTALS_FROM_EV:
        return spectrum, ()
    y, energy_ev = spectrum.intensity, spectrum.energy_ev[2:-2]
    cubic = (4 * (y[1:-3] + y[3:-1]) - y[:-4] - y[4:]) / 6
    away = np.abs(y[2:-2] - cubic)
    inside = _in_window(energy_ev, entry)
    least = max(GLITCH * np.median(away[inside]), GLITCH_HEIGHT * np.ptp(y[2:-2][inside]))
    alone = away == maximum_filter1d(away, 5)  # its neighbours are off because of it
    close = np.gradient(energy_ev) < GLITCH_STEP_EV
    glitches = inside & alone & close & (away > least)
    if not glitches.any():
        return spectrum, ()
    mended = np.concatenate([y[:2], np.where(glitches, cubic, y[2:-2]), y[-2:]])
    places = ", ".join(f"{e:.1f}" for e in energy_ev[glitches][:5])
    return Spectrum(spectrum.energy_ev, mended), (f"glitches mended at {places} eV",)
