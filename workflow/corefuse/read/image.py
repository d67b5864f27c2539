"""EELS spectrum images: every pixel read at once, into maps with their uncertainty."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
from corefuse.learn.domain import Domain
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
MOST_DRIFT_EV = 3.0  # of a region against the mean, and of its extra width
BLOCK_VALUES = 4_000_000  # counts that are treated at a time, 32 MB of each array
BLOCK_PIXELS = 8192  # that are predicted at a time
REPETITIONS = 4  # of a pixel with other noise
PIXEL = "pixel"
SILENT: Callable[[str], object] = lambda line: None  # noqa: E731
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
    progress: Callable[[str], object] = SILENT,
) -> xr.Dataset:
    """The edges of an image on their standard axes: modality (y, x, energy), ``counts`` (y, x).

    Each edge: power law below it off, plural scattering out where there is a low loss, moved by
    ``shifts_ev`` (modality -> eV), then its standard form and a Gaussian of ``blurs_fwhm_ev``,
    pixel by pixel, in blocks of rows that ``progress`` hears of. A pixel is NaN where the detector
    was full or the edge does not stand out of its background. ``<modality>_noise`` (y, x) is the
    scatter below the edge on the scale of its standard form, ``<modality>_signal_to_noise`` the
    edge's maximum over it. With ``region_pixels``, ``<modality>_region_shift`` and
    ``_region_width`` (y, x) are what brings each square nearest to the mean, and of two edges or
    more all pixels of a square are moved back by the median of their shifts, the ``drift``. The
    coordinates are those of the file (their unit in ``attrs``).

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
        full = np.concatenate([_saturated(counts[rows]) for rows in _blocks(counts)])
        notes += (f"{full.sum()} saturated pixels left out",) if full.any() else ()
        if image.components:
            from corefuse.read import eels

            counts = eels.denoised(energy_ev, counts, image.components)
        dims = tuple(a.name for a in recorded.axes)
        out = xr.Dataset({"counts": (dims, counts.sum(axis=-1))})
        asked = _Asked(image, energy_ev, counts, scale, edge_table, shifts_ev, blurs_fwhm_ev)
        drift_ev, told = asked.regions() if image.region_pixels else (np.zeros(full.shape), {})
        out = out.assign({name: (dims, values) for name, values in told.items()})
        for edge in image.edges:
            modality = modality_id(edge, "EELS")
            form, noise, ratio = asked.edge(edge, drift_ev, progress)
            form[full] = np.nan
            if not np.isfinite(form).any():
                raise SpectrumError(
                    f"no pixel holds {edge}", "drop the edge or move the background"
                )
            axis, at_ev = energy_dim(modality), edge_table[edge].grid.energies_ev
            out[modality] = xr.DataArray(form, {axis: at_ev}, (*dims, axis))
            out[f"{modality}_noise"] = (dims, noise)
            out[f"{modality}_signal_to_noise"] = (dims, ratio)
    except SpectrumError as fault:
        key = f"infer.images.{image.name}"
        raise InputError(image.file, key, fault.problem, fault.fix) from None
    places = {
        a.name: (a.name, a.offset + a.scale * np.arange(a.size), {"units": a.unit})
        for a in recorded.axes
    }
    return out.assign_coords(places).assign_attrs(notes="; ".join(notes), image=image.name)


@dataclass(frozen=True, eq=False)
class _Asked:
    """An image's counts (y, x, n) on their axis (n,), and what is wanted of them."""

    image: Image
    energy_ev: np.ndarray
    counts: np.ndarray
    scale: float
    edge_table: EdgeTable
    shifts_ev: Mapping[str, float]
    blurs_fwhm_ev: Mapping[str, float]

    def edge(
        self, edge: str, drift_ev: np.ndarray, progress: Callable[[str], object]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Standard form (y, x, grid), noise (y, x) and signal to noise (y, x) of one edge."""
        modality, entry = modality_id(edge, "EELS"), self.edge_table[edge]
        parts, total, number = [], 0.0, self.counts.shape[0]
        for rows in _blocks(self.counts):
            at_ev, flat, std = _single_edge(
                self.energy_ev, self.counts[rows], edge, self.image, entry, self.scale
            )
            total = total + flat.sum(axis=(0, 1))
            by_ev = self.shifts_ev.get(modality, 0.0) + drift_ev[rows]
            form, noise, ratio = _standard(at_ev, flat, std, entry, by_ev)
            form = blurred(form, entry.grid.step_ev, self.blurs_fwhm_ev.get(modality, 0.0))
            parts.append((form.astype(np.float32), noise, ratio))
            progress(f"{self.image.name}: {edge}, {min(rows.stop, number)} of {number} rows")
        pixels = self.counts.shape[0] * self.counts.shape[1]
        checks.is_edge(Spectrum(at_ev, total / pixels), edge, self.edge_table)
        return tuple(np.concatenate(part) for part in zip(*parts, strict=True))

    def regions(self) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Drift (y, x) of squares against the mean, and shift and width of each edge there.

        A drift of the axis moves all edges alike, chemistry does not: it is the median over two
        edges or more. One edge alone cannot tell the two, and nothing is moved.
        """
        side, (height, width) = self.image.region_pixels, self.counts.shape[:2]
        squares = [
            (slice(y, y + side), slice(x, x + side))
            for y in range(0, height, side)
            for x in range(0, width, side)
        ]
        means = np.array([self.counts[square].mean(axis=(0, 1)) for square in squares])
        told, moved = {}, []
        for edge in self.image.edges:
            entry, modality = self.edge_table[edge], modality_id(edge, "EELS")
            at_ev, flat, _ = _single_edge(
                self.energy_ev, means[None], edge, self.image, entry, self.scale
            )
            whole = align.standard_form(at_ev, flat[0].mean(axis=0), entry)
            found = align.profile(
                at_ev,
                flat[0],
                whole[None],
                entry,
                align.steps(MOST_DRIFT_EV),
                align.widths(MOST_DRIFT_EV),
            )
            best = found.best()
            shift, extra = found.shifts_ev[best], found.width_ev[np.arange(len(best)), best]
            moved.append(shift)
            for name, values in (("shift", shift), ("width", extra)):
                filled = np.empty((height, width))
                for square, value in zip(squares, values, strict=True):
                    filled[square] = value
                told[f"{modality}_region_{name}"] = filled
        drift = np.zeros((height, width))
        if len(moved) > 1:
            for square, value in zip(squares, np.median(moved, axis=0), strict=True):
                drift[square] = value
        return drift, told | {"drift": drift}


def _blocks(counts: np.ndarray) -> list[slice]:
    """Rows of an image (y, x, n), so many at a time that their arrays stay small."""
    height, width, channels = counts.shape
    rows = max(1, BLOCK_VALUES // (width * channels))
    return [slice(start, start + rows) for start in range(0, height, rows)]


def whole(
    image: Image,
    simulated: Simulated,
    library: Library,
    confidence: float,
    progress: Callable[[str], object] = SILENT,
) -> xr.Dataset:
    """Read an image: its edges are placed as those of a sample, then every pixel is predicted.

    The mean over all pixels has a shift and width per edge, its squares of ``region_pixels`` a
    drift against it. Returns the maps and the prepared edges; the doubts about the axis
    are in the attribute ``doubts``, the fit of the mean in ``fit`` (CSV).
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
    prepared = read(image, simulated.table, shifts, blurs, progress)
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
        domain = library.domains[model.card.subset]
        for name, values in _predicted(
            model, domain, prepared, cube, confidence, edge_table, draws_ev
        ).items():
            out[f"{target}{name}"] = (PIXEL, values)
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


def _predicted(
    model: Model,
    domain: Domain,
    prepared: xr.Dataset,
    cube: xr.Dataset,
    confidence: float,
    edge_table: EdgeTable | None,
    draws_ev: Mapping[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Maps (pixel,) of one target by the end of their names, in blocks of pixels."""
    card, grids = model.card, model.card.grids
    low, high = TARGET_TABLE[card.target].possible
    pixels = cube.sizes[PIXEL]
    value, known, std = np.full(pixels, np.nan), np.zeros(pixels, bool), np.full(pixels, np.nan)
    for start in range(0, pixels, BLOCK_PIXELS):
        block = slice(start, start + BLOCK_PIXELS)
        x = np.hstack([cube[m].values[block] for m in grids]).astype(np.float32)
        there = np.isfinite(x).all(axis=1)
        if not there.any():
            continue
        at = np.flatnonzero(there) + start
        value[at] = np.clip(model.predict_rows(x[there]), low, high)
        known[at] = domain.parts(x[there]).sum(axis=1) <= domain.threshold
        if card.kind != "class":
            noise = _noise(prepared, grids, block)[there]
            std[at] = _std_of_noise(model, x[there], noise, edge_table, draws_ev)
    out = {"": value, "_in_domain": known}
    if card.kind != "class":
        learned = not card.not_learnable
        away = residual_quantile(card.residuals, confidence) if learned else np.inf
        half = np.hypot(away, norm.ppf((1 + confidence) / 2) * std)
        out["_low"] = np.clip(value - half, low, high)
        out["_high"] = np.clip(value + half, low, high)
    return out


def stacked(prepared: xr.Dataset) -> xr.Dataset:
    """The edges of a prepared image as (pixel, energy)."""
    names = [n for n, v in prepared.data_vars.items() if v.ndim > prepared["counts"].ndim]
    return prepared[names].stack({PIXEL: prepared["counts"].dims}).transpose(PIXEL, ...)


def _noise(prepared: xr.Dataset, grids: Mapping[str, EnergyGrid], block: slice) -> np.ndarray:
    """Standard deviation (pixel, column) of every intensity that a model reads, of some pixels."""
    dims = prepared["counts"].dims
    flat = {m: prepared[f"{m}_noise"].transpose(*dims).values.ravel()[block] for m in grids}
    parts = [np.repeat(flat[m][:, None], len(g.energies_ev), axis=1) for m, g in grids.items()]
    return np.hstack(parts).astype(np.float32)


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
    near = energy_ev <= high + measured.NEAR_EV
    kept = (energy_ev >= window_ev[0]) & (near | bool(image.low_loss))  # plasmons need what follows
    at_ev, near = energy_ev[kept], near[kept]
    raw = counts[..., kept].astype(float)
    fitted = background.power_law(at_ev, raw, window_ev)
    flat = raw - fitted.values
    if image.low_loss:
        from corefuse.read import eels

        flat = eels.single_scattering(at_ev, flat, measured.low_loss(image.low_loss, scale))
    return at_ev[near], flat[..., near], fitted.std[..., near]


def _standard(
    energy_ev: np.ndarray,
    flat: np.ndarray,
    std: np.ndarray,
    entry: EdgeEntry,
    shift_ev: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Standard form (..., m) at shifts (...), NaN where there is no edge; noise on its scale (...),
    signal to noise (...).
    """
    weights = np.zeros(entry.grid.energies_ev.size)
    inside = align.window(entry)
    weights[inside] = trapezoid_weights(entry.grid.energies_ev[inside])
    placed = align.on_grid(energy_ev, flat, entry, shift_ev)
    noise = align.on_grid(energy_ev, std, entry, shift_ev) @ weights
    form = standard.flattened(placed, entry)
    area = form @ weights
    seen = (placed @ weights > MIN_EDGE_TO_NOISE * noise) & (area > 0)
    below_ev = entry.window_ev[0] + treatment.POWER_LAW_EV[1] - float(np.mean(shift_ev))
    scatter = flat[..., energy_ev < below_ev].std(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(seen, placed[..., weights > 0].max(axis=-1) / scatter, np.nan)
        normal = np.where(seen[..., None], form / area[..., None], np.nan)
        return normal, np.where(seen, scatter / area, np.nan), ratio


def _saturated(counts: np.ndarray) -> np.ndarray:
    """Pixels (...) of counts (..., n) where the highest channels side by side are equal."""
    highest = counts == counts.max(axis=-1, keepdims=True)
    runs = np.lib.stride_tricks.sliding_window_view(highest, checks.CLIPPED_POINTS, axis=-1)
    return runs.all(axis=-1).any(axis=-1) & (np.ptp(counts, axis=-1) > 0)


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
