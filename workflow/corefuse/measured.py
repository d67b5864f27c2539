"""Measured spectra: read from the files people have, checked, put on the standard axis."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import xarray as xr

from corefuse.config import MeasuredSpectrum, Sample
from corefuse.edge_table import EdgeEntry, EdgeTable
from corefuse.edges import EDGES, modality_id, split_modality
from corefuse.errors import InputError
from corefuse.features import feature_energy, pre_edge_metrics
from corefuse.grid import Spectrum, SpectrumError, normalise

MIN_POINTS = 20  # inside the normalisation window
PRE_EDGE_EV = 20.0  # how far below the window the background is read
EV_PER_UNIT = {"eV": 1.0, "keV": 1000.0}
TEXT_SUFFIXES = (".csv", ".txt", ".dat", ".xdi")
# Names of intensity columns, best first; those of the XAS Data Interchange 1.0 dictionary included.
INTENSITY_NAMES = (
    *("norm", "flat", "normtrans", "normfluor", "mu", "xmu", "mutrans", "mufluor"),
    *("intensity", "counts", "signal"),
)
_XDI_COLUMN = re.compile(r"[#%]\s*column\.\d+:\s*(\S+)", re.IGNORECASE)


def read(measured: MeasuredSpectrum, edge_table: EdgeTable, key: str | None = None) -> Spectrum:
    """Read one measured edge, in eV on the corrected axis.

    Columns are recognised by their names (``energy``, ``mu``, ``intensity``, ..., or ``i0`` with
    ``itrans`` or ``ifluor``), otherwise the first two are taken; separator, header, comments and
    decimal commas are recognised. ``.msa`` is read with RosettaSciIO. The true energy is
    ``energy_scale * energy + energy_offset_ev``.

    Raises
    ------
    InputError
        The file cannot be read, is no spectrum, does not hold its edge or holds nothing of it.
    """
    entry = edge_table[measured.edge]
    try:
        energy, intensity = _columns(Path(measured.file))
        if energy.size > 1 and energy[0] > energy[-1]:
            energy, intensity = energy[::-1], intensity[::-1]
        spectrum = Spectrum(_absolute_ev(energy, measured, measured.energy_unit), intensity)
        _check_holds_edge(energy, measured, entry)
        prepare(spectrum, entry)
    except SpectrumError as fault:
        key = key or modality_id(measured.edge, measured.technique)
        raise InputError(measured.file, key, fault.problem, fault.fix) from None
    return spectrum


def check_files(samples: Iterable[Sample], edge_table: EdgeTable) -> None:
    """Read every measured file once, so that a bad one stops the run before any simulation.

    Raises
    ------
    InputError
        As :func:`read`; its key is ``infer.samples.<sample>.<modality>``.
    """
    for sample in samples:
        for measured in sample.spectra:
            modality = modality_id(measured.edge, measured.technique)
            read(measured, edge_table, key=f"infer.samples.{sample.name}.{modality}")


def sample(requested: Sample, edge_table: EdgeTable) -> dict[str, xr.DataArray]:
    """Everything measured on one specimen: modality -> spectrum on its standard axis."""
    out = {}
    for measured in requested.spectra:
        modality = modality_id(measured.edge, measured.technique)
        entry = edge_table[measured.edge]
        key = f"infer.samples.{requested.name}.{modality}"
        intensity = prepare(read(measured, edge_table, key), entry)
        axis = f"energy_{EDGES[measured.edge].id}"
        out[modality] = xr.DataArray(intensity, {axis: entry.grid.energies_ev}, (axis,))
    return out


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
    """A measured edge on its standard axis (n,), area 1 over the window as the simulated ones.

    The mean of the 20 eV below the window is taken off; a line fitted there and continued over the
    edge does more harm than good on noisy data, so a steep background must be removed before. The
    file must cover the window; axis points it does not reach are NaN, for which the models hold
    the last value that is there.

    Raises
    ------
    SpectrumError
        No positive area is left in the window.
    """
    energy_ev = entry.grid.energies_ev
    flat = spectrum.intensity - _background(spectrum, entry.window_ev[0])
    placed = np.interp(energy_ev, spectrum.energy_ev, flat, left=np.nan, right=np.nan)
    return normalise(energy_ev, placed, entry.window_ev)


def _background(spectrum: Spectrum, window_start_ev: float) -> float:
    below = spectrum.energy_ev < window_start_ev
    near = below & (spectrum.energy_ev >= window_start_ev - PRE_EDGE_EV)
    return float(spectrum.intensity[near].mean()) if near.any() else 0.0


def _absolute_ev(energy: np.ndarray, measured: MeasuredSpectrum, unit: str) -> np.ndarray:
    return measured.energy_scale * energy * EV_PER_UNIT[unit] + measured.energy_offset_ev


def _check_holds_edge(energy: np.ndarray, measured: MeasuredSpectrum, entry: EdgeEntry) -> None:
    low, high = entry.window_ev
    energy_ev = _absolute_ev(energy, measured, measured.energy_unit)
    if energy_ev[0] > low or energy_ev[-1] < high:
        for unit in EV_PER_UNIT:
            other = _absolute_ev(energy, measured, unit)
            if unit != measured.energy_unit and other[0] < high and other[-1] > low:
                raise SpectrumError(
                    f"energies {energy[0]:g} to {energy[-1]:g} look like {unit}, "
                    f"but energy_unit is {measured.energy_unit}",
                    f"set energy_unit: {unit}",
                )
        raise SpectrumError(
            f"it reaches from {energy_ev[0]:.1f} to {energy_ev[-1]:.1f} eV, "
            f"but {measured.edge} needs {low:g} to {high:g} eV",
            "name the edge the file holds, give a file that covers it, "
            "or correct the axis with energy_scale and energy_offset_ev",
        )
    points = int(((energy_ev >= low) & (energy_ev <= high)).sum())
    if points < MIN_POINTS:
        raise SpectrumError(
            f"only {points} points from {low:g} to {high:g} eV",
            f"give a file with at least {MIN_POINTS} points there",
        )


def _columns(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Energy and intensity as they stand in the file."""
    suffix = path.suffix.lower()
    if suffix != ".msa" and suffix not in TEXT_SUFFIXES:
        raise SpectrumError(
            f"files of type {suffix or 'none'} are not read",
            f"save it as {', '.join(TEXT_SUFFIXES)} or .msa",
        )
    try:
        if suffix == ".msa":
            return _read_msa(path)
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as err:
        raise SpectrumError(
            f"it cannot be read ({err.strerror})", "correct the path, counted from the run's folder"
        ) from None
    return _pick(*_table(text))


def _read_msa(path: Path) -> tuple[np.ndarray, np.ndarray]:
    from rsciio.msa import file_reader  # slow to import, needed for these files only

    try:
        (content,) = file_reader(str(path))
        (axis,) = content["axes"]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as err:
        raise SpectrumError(
            f"it is no EMSA/MAS spectrum ({type(err).__name__})", "export it again as .msa or .csv"
        ) from None
    energy = axis["offset"] + axis["scale"] * np.arange(axis["size"])
    return energy, np.asarray(content["data"], dtype=float)


def _table(text: str) -> tuple[list[str], np.ndarray]:
    """Column names (empty where there are none) and the table (row, column) of a text file."""
    rows: list[list[float]] = []
    declared: list[str] = []
    header: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if line[:1] in ("", "#", "%", "!"):
            if match := _XDI_COLUMN.match(line):
                declared.append(match[1])
            if line and not rows:  # the last comment before the numbers often names the columns
                header = _cells(line.strip("#%! "))
            continue
        cells = _cells(line)
        try:
            rows.append([float(cell) for cell in cells])
        except ValueError:
            if rows:
                raise SpectrumError(
                    f"line {number} is not a row of numbers", "remove it or comment it out with #"
                ) from None
            header = cells
            continue
        if len(rows[-1]) != len(rows[0]):
            raise SpectrumError(
                f"line {number} has {len(rows[-1])} columns, not {len(rows[0])}",
                "give every row the same columns",
            )
    if not rows or len(rows[0]) < 2:
        raise SpectrumError("it has no two columns of numbers", "give energy and intensity columns")
    names = next((n for n in (declared, header) if len(n) == len(rows[0])), [])
    return [name.lower() for name in names], np.array(rows)


def _cells(line: str) -> list[str]:
    separator = next((s for s in ";\t," if s in line), None)
    cells = [cell.strip().strip('"') for cell in line.split(separator)]
    while cells and not cells[-1]:
        cells.pop()
    return cells if separator == "," else [cell.replace(",", ".") for cell in cells]


def _pick(names: list[str], table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The energy and intensity columns of a table."""
    columns = dict(zip(names, table.T, strict=False))
    energy_name = next((n for n in names if "energy" in n or "loss" in n), None)
    if energy_name is None:
        if "angle" in names:
            raise SpectrumError(
                f"there is no energy among its columns {', '.join(names)}",
                "add an energy column",
            )
        return table[:, 0], table[:, 1]
    energy = columns.pop(energy_name)
    for name in INTENSITY_NAMES:
        if name in columns:
            return energy, columns[name]
    with np.errstate(divide="ignore", invalid="ignore"):  # Spectrum complains of what is not finite
        if {"i0", "itrans"} <= columns.keys():
            return energy, np.log(columns["i0"] / columns["itrans"])
        if {"i0", "ifluor"} <= columns.keys():
            return energy, columns["ifluor"] / columns["i0"]
    return energy, next(iter(columns.values()))
