"""EELS spectrum images: every pixel read at once, into maps with their uncertainty."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import xarray as xr
from scipy.stats import norm

from corefuse.config import Image, MeasuredSpectrum, Sample
from corefuse.core.edge_table import EdgeEntry, EdgeTable
from corefuse.core.edges import modality_id, split_modality
from corefuse.core.errors import InputError
from corefuse.core.spectrum import EnergyGrid, Spectrum, SpectrumError, blurred, trapezoid_weights
from corefuse.core.targets import TARGET_TABLE
from corefuse.learn.conformal import residual_quantile
from corefuse.learn.matrix import blocks, energy_dim, grid_of
from corefuse.learn.models import Model
from corefuse.read import (
    align,
    background,
    checks,
    files,
    gain,
    measured,
    place,
    reading,
    treatment,
)
from corefuse.read.files import EV_PER_UNIT
from corefuse.read.infer import Library, choose
from corefuse.read.simulated import Simulated
from corefuse.read.treated import treat
from corefuse.spectra import standard

MIN_EDGE_TO_NOISE = 2.0  # edge area over its background's std; less is an empty pixel
REPETITIONS = 4  # of a pixel with other noise
PIXEL = "pixel"
NO_DRAWS: Mapping[str, np.ndarray] = MappingProxyType({})


def as_sample(image: Image) -> Sample:
    """The mean over all pixels as a sample, treated as they are.

    Its shifts and widths against the simulated spectra are those of all pixels: these share one
    axis, and a single one is too noisy to have its own.
    """
    shared = image.model_dump(
        include={"file", "energy_scale", "energy_offset_ev", "reference_peaks", "low_loss"}
        | {"axis_uncertainty_ev", "signal"}
    )
    spectra = [
        MeasuredSpectrum(edge=edge, technique="EELS", background="power_law", **shared)
        for edge in image.edges
    ]
    return Sample(name=image.name, spectra=spectra)


def check(image: Image, edge_table: EdgeTable) -> None:
    """Whether :func:`read` can go on with an image, by its axes and the mean of its pixels.

    Nothing is done pixel by pixel, so that it can be asked before every run.

    Raises
    ------
    InputError
        As :func:`read`, but for what only single pixels show.
    """
    key = f"infer.images.{image.name}"
    try:
        _two_directions(_recorded(image, edge_table))
    except SpectrumError as fault:
        raise InputError(image.file, key, fault.problem, fault.fix) from None
    measured.check_files([as_sample(image)], edge_table)


def _recorded(image: Image, edge_table: EdgeTable) -> files.Recorded:
    """The signal of an image that is named, or that covers its first edge."""
    first = as_sample(image).spectra[0]
    return files.read(Path(image.file), measured.wanted(first, edge_table[first.edge]))


def read(
    image: Image,
    edge_table: EdgeTable,
    shifts_ev: Mapping[str, float] = measured.NO_SHIFTS,
    blurs_fwhm_ev: Mapping[str, float] = measured.NO_SHIFTS,
) -> xr.Dataset:
    """The edges of an image on their standard axes: modality (y, x, energy), ``counts`` (y, x).

    Each edge: power law below it off, plural scattering out where there is a low loss, moved by
    ``shifts_ev`` (modality -> eV), then its standard form and a Gaussian of ``blurs_fwhm_ev``,
    pixel by pixel. A pixel is NaN where the detector was full or the edge does not stand out of
    its background. ``<modality>_noise`` (y, x) is the scatter below the edge on the scale of its
    standard form, ``<modality>_signal_to_noise`` the edge's maximum over it. The coordinates are
    those of the file (their unit in ``attrs``).

    Raises
    ------
    InputError
        The file cannot be read, is no image, does not reach over an edge, holds another edge there
        or has no pixel with it.
    """
    try:
        recorded = _recorded(image, edge_table)
        scale, offset_ev, notes = measured.axis(image)
        energy_ev = scale * recorded.energy * EV_PER_UNIT[recorded.unit or "eV"] + offset_ev
        mean = Spectrum(energy_ev, recorded.mean())
        gain.check(dict.fromkeys(image.edges, mean), edge_table, image.edges)
        counts = _two_directions(recorded)
        full = _saturated(counts)
        notes += (f"{full.sum()} saturated pixels left out",) if full.any() else ()
        if image.components:
            from corefuse.read import eels

            counts = eels.denoised(energy_ev, counts, image.components)
        dims = tuple(a.name for a in recorded.axes)
        out = xr.Dataset({"counts": (dims, counts.sum(axis=-1))})
        for edge in image.edges:
            modality, entry = modality_id(edge, "EELS"), edge_table[edge]
            at_ev, flat, std = _single_edge(energy_ev, counts, edge, image, entry, scale)
            mean = Spectrum(at_ev, flat.mean(axis=tuple(range(flat.ndim - 1))))
            checks.is_edge(mean, edge, edge_table)
            moved_ev = at_ev + shifts_ev.get(modality, 0.0)
            form, noise, signal_to_noise = _standard(moved_ev, flat, std, entry)
            form[full] = np.nan
            if not np.isfinite(form).any():
                raise SpectrumError(
                    f"no pixel holds {edge}", "drop the edge or move the background"
                )
            form = blurred(form, entry.grid.step_ev, blurs_fwhm_ev.get(modality, 0.0))
            axis = energy_dim(modality)
            out[modality] = xr.DataArray(form, {axis: entry.grid.energies_ev}, (*dims, axis))
            out[f"{modality}_noise"] = (dims, noise)
            out[f"{modality}_signal_to_noise"] = (dims, signal_to_noise)
    except SpectrumError as fault:
        key = f"infer.images.{image.name}"
        raise InputError(image.file, key, fault.problem, fault.fix) from None
    places = {
        a.name: (a.name, a.offset + a.scale * np.arange(a.size), {"units": a.unit})
        for a in recorded.axes
    }
    return out.assign_coords(places).assign_attrs(notes="; ".join(notes), image=image.name)


def whole(image: Image, simulated: Simulated, library: Library, confidence: float) -> xr.Dataset:
    """Read an image: its edges are placed as those of a sample, then every pixel is predicted.

    The mean over all pixels, or with ``region_pixels`` the mean of each square of that side, has
    its own shift and width. Returns the maps and the prepared edges; the doubts about the axis
    stand in the attribute ``doubts``, the fit of the mean in ``fit`` (CSV).
    """
    mean = as_sample(image)
    treated = treat([mean], simulated.table, simulated.max_shift_ev)
    placed = {m: place.place(t, {mean.name: mean}, simulated) for m, t in treated.items()}
    shifts = {m: float(p.shift_ev[0]) for m, p in placed.items()}
    blurs = {m: float(p.blur_fwhm_ev[0]) for m, p in placed.items()}
    draws = {
        m: p.draws(REPETITIONS, stream)[0] - p.shift_ev[0]
        for stream, (m, p) in enumerate(placed.items())
    }
    prepared = read(image, simulated.table, shifts, blurs)
    found = maps(prepared, library, confidence, simulated.table, draws)
    fit = reading.table([mean.name], treated, placed, simulated)
    doubts = dict.fromkeys(why for p in placed.values() for why in p.doubts[0])
    about = {"fit": fit.to_csv(index=False), "doubts": "; ".join(doubts)}
    return found.merge(prepared).assign_attrs(about)


def maps(
    prepared: xr.Dataset,
    library: Library,
    confidence: float,
    edge_table: EdgeTable | None = None,
    draws_ev: Mapping[str, np.ndarray] = NO_DRAWS,
) -> xr.Dataset:
    """Every target in every pixel, from the model of all edges of the image.

    ``draws_ev`` (modality -> (REPETITIONS,)) are further shifts that are as likely as the one
    taken; they widen the intervals as the noise of a pixel does.

    Per target ``<target>``, ``<target>_low``, ``<target>_high`` (conformal bounds of a value, wider
    by what the pixel's own noise does to it; of a class the variable is its probability and has
    none), and ``<target>_in_domain``. A pixel is read where all its edges are; the others are NaN
    and not in domain.

    Raises
    ------
    InputError
        No model was trained on edges of this image.
    """
    cube = stacked(prepared)
    modalities = [str(m) for m in cube.data_vars]
    out: dict[str, tuple[str, np.ndarray]] = {}
    used = {}
    for target in (t for t in TARGET_TABLE if t in library.models):
        model = choose(library.models[target], set(modalities))
        if model is None:
            continue
        used[target] = model.card.subset
        _check_grids(cube, model.card.grids)
        x = np.hstack([cube[m].values for m in model.card.grids]).astype(np.float32)
        there = np.isfinite(x).all(axis=1)
        low, high = TARGET_TABLE[target].possible
        value, known = np.full(len(x), np.nan), np.zeros(len(x), bool)
        value[there] = np.clip(model.predict_rows(x[there]), low, high)
        domain = library.domains[model.card.subset]
        known[there] = domain.parts(x[there]).sum(axis=1) <= domain.threshold
        out[target] = (PIXEL, value)
        out[f"{target}_in_domain"] = (PIXEL, known)
        if model.card.kind != "class":
            away = (
                np.inf
                if model.card.not_learnable
                else residual_quantile(model.card.residuals, confidence)
            )
            std = np.full(len(x), np.nan)
            noise = _noise(prepared, model.card.grids)[there]
            std[there] = _std_of_noise(model, x[there], noise, edge_table, draws_ev)
            half = np.hypot(away, norm.ppf((1 + confidence) / 2) * std)
            out[f"{target}_low"] = (PIXEL, np.clip(value - half, low, high))
            out[f"{target}_high"] = (PIXEL, np.clip(value + half, low, high))
    if not out:
        raise InputError(
            str(prepared.attrs.get("image")),
            "edges",
            f"no model was trained on {', '.join(modalities)}",
            "name other edges, or add a subset with these to train.subsets",
        )
    attrs = {"level": confidence, "subsets": str(used), **prepared.attrs}
    axes = [str(c) for c in cube.coords if str(c).startswith("energy_")]
    flat = xr.Dataset(out, cube.coords).drop_vars(axes)
    return flat.unstack(PIXEL).assign_attrs(attrs)


def stacked(prepared: xr.Dataset) -> xr.Dataset:
    """The edges of a prepared image as (pixel, energy)."""
    names = [n for n, v in prepared.data_vars.items() if v.ndim > prepared["counts"].ndim]
    return prepared[names].stack({PIXEL: prepared["counts"].dims}).transpose(PIXEL, ...)


def _noise(prepared: xr.Dataset, grids: Mapping[str, EnergyGrid]) -> np.ndarray:
    """Standard deviation (pixel, column) of every intensity that a model reads."""
    dims = prepared["counts"].dims
    flat = {m: prepared[f"{m}_noise"].transpose(*dims).values.ravel() for m in grids}
    blocks = [np.repeat(flat[m][:, None], len(g.energies_ev), axis=1) for m, g in grids.items()]
    return np.hstack(blocks).astype(np.float32)


def _std_of_noise(
    model: Model,
    x: np.ndarray,
    noise: np.ndarray,
    edge_table: EdgeTable | None,
    draws_ev: Mapping[str, np.ndarray],
) -> np.ndarray:
    """What noise and an unsure axis add: standard deviation (pixel,) over repetitions."""
    rng = np.random.default_rng(0)
    repeated = []
    for k in range(REPETITIONS):
        moved = x.copy()
        for modality, block in blocks(model.card.grids).items():
            if modality in draws_ev:
                entry = edge_table[split_modality(modality)[0].name]
                at_ev, by_ev = entry.grid.energies_ev, float(draws_ev[modality][k])
                form = align.standard_form(at_ev, x[:, block], entry, by_ev)
                moved[:, block] = np.where(np.isfinite(form), form, x[:, block])
        noisy = moved + noise * rng.standard_normal(x.shape, np.float32)
        repeated.append(model.predict_rows(noisy.astype(np.float32)))
    return np.std(repeated, axis=0, ddof=1)


def _single_edge(
    energy_ev: np.ndarray,
    counts: np.ndarray,
    edge: str,
    image: Image,
    entry: EdgeEntry,
    scale: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Energies (n,) around an edge, its counts (..., n) above background, the background's std."""
    low, high = entry.window_ev
    if energy_ev[0] > low or energy_ev[-1] < high:
        raise SpectrumError(
            f"it reaches from {energy_ev[0]:.1f} to {energy_ev[-1]:.1f} eV, but {edge} needs "
            f"{low:g} to {high:g} eV",
            "drop the edge, or correct the axis",
        )
    stop_ev = low + treatment.POWER_LAW_EV[1]
    window_ev = stop_ev - image.background_ev, stop_ev
    fitted = background.power_law(energy_ev, counts, window_ev)
    above = energy_ev >= window_ev[0]
    flat = (counts - fitted.values)[..., above]
    if image.low_loss:
        from corefuse.read import eels

        scattering = measured.low_loss(image.low_loss, scale)
        flat = eels.single_scattering(energy_ev[above], flat, scattering)
    used = energy_ev[above] <= high + measured.NEAR_EV
    return energy_ev[above][used], flat[..., used], fitted.std[..., above][..., used]


def _standard(
    energy_ev: np.ndarray, flat: np.ndarray, std: np.ndarray, entry: EdgeEntry
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Standard form (..., m), NaN where there is no edge; noise on its scale (...), ratio (...)."""
    placed, weights = on_grid(energy_ev, flat, entry), _window_weights(entry)
    noise = on_grid(energy_ev, std, entry) @ weights
    form = standard.flattened(placed, entry)
    area = form @ weights
    seen = (placed @ weights > MIN_EDGE_TO_NOISE * noise) & (area > 0)
    scatter = flat[..., energy_ev < entry.window_ev[0] + treatment.POWER_LAW_EV[1]].std(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(seen, placed[..., weights > 0].max(axis=-1) / scatter, np.nan)
        normal = np.where(seen[..., None], form / area[..., None], np.nan)
        return normal, np.where(seen, scatter / area, np.nan), ratio


def _saturated(counts: np.ndarray) -> np.ndarray:
    """Pixels (...) of counts (..., n) where the highest channels side by side are equal."""
    highest = counts == counts.max(axis=-1, keepdims=True)
    runs = np.lib.stride_tricks.sliding_window_view(highest, checks.CLIPPED_POINTS, axis=-1)
    return runs.all(axis=-1).any(axis=-1) & (np.ptp(counts, axis=-1) > 0)


def on_grid(energy_ev: np.ndarray, spectra: np.ndarray, entry: EdgeEntry) -> np.ndarray:
    """Spectra (..., n) at the points of an edge's standard axis, linearly; ends are held."""
    at = np.clip(entry.grid.energies_ev, energy_ev[0], energy_ev[-1])
    right = np.clip(np.searchsorted(energy_ev, at), 1, energy_ev.size - 1)
    share = (at - energy_ev[right - 1]) / (energy_ev[right] - energy_ev[right - 1])
    return spectra[..., right - 1] * (1 - share) + spectra[..., right] * share


def _window_weights(entry: EdgeEntry) -> np.ndarray:
    energy_ev = entry.grid.energies_ev
    inside = (energy_ev >= entry.window_ev[0] - 1e-6) & (energy_ev <= entry.window_ev[1] + 1e-6)
    weights = np.zeros(energy_ev.size)
    weights[inside] = trapezoid_weights(energy_ev[inside])
    return weights


def _two_directions(recorded: files.Recorded) -> np.ndarray:
    if len(recorded.axes) != 2:
        raise SpectrumError(
            f"it has {len(recorded.axes)} directions beside the energy, not two",
            "give a spectrum image, or name a single spectrum under infer.samples",
        )
    return recorded.counts


def _check_grids(cube: xr.Dataset, grids: Mapping[str, EnergyGrid]) -> None:
    for modality, grid in grids.items():
        if grid_of(cube[energy_dim(modality)].values) != grid:
            raise InputError(modality, "grid", "not the model's energies", "train again")
