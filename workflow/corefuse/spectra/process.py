"""Spectra: from unbroadened sites to calibrated, normalised site averages on standard axes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import xarray as xr

from corefuse.config import Spectra, canonical
from corefuse.core.edge_table import EdgeEntry, EdgeTable, lines
from corefuse.core.edges import EDGES, modality_id, shift_std_name, split_modality
from corefuse.core.errors import InputError
from corefuse.core.files import read_result
from corefuse.core.rawdata import holds_all_levels, of_edge, site_mean, site_std
from corefuse.core.spectrum import EnergyGrid, window_area
from corefuse.spectra import chemical_shift, standard
from corefuse.spectra.broadening import (
    EdgeKernel,
    bound_kernel,
    broadened,
    edge_kernel,
    sharpest_technique,
)
from corefuse.spectra.calibration import Calibration, EdgeCalibration


def process(
    raw: Mapping[str, xr.Dataset],
    settings: Spectra,
    edge_table: EdgeTable,
    calibration: Calibration,
    mean_valence: float | None = None,
) -> xr.Dataset:
    """One structure's spectra from the raw datasets (engine -> dataset) of its engines.

    Per modality M the site average ``M`` in standard form (:mod:`corefuse.spectra.standard`), its
    standard deviation over sites ``M_site_std`` on the same scale, and ``M_shift_std_ev``, by how
    many eV it would stand elsewhere if the gain of its chemical shift were larger by a standard
    deviation; per edge ``dos_<edge id>``, the
    projected unoccupied density of states of the absorber in states/eV, broadened like the sharpest
    technique so that its maxima are under those of the spectrum (L3 for an L2,3 edge). Its
    attribute ``engine`` says whose: where another engine has none (FDMNES, FEFF) or multiplets
    instead, it is GPAW's if GPAW ran. Under a multiplet edge the maximum of its d states is put
    under that of L3: a bound exciton has no axis in common with bands.
    ``mean_valence`` of the metals counts where the shift of an edge is corrected by it.
    An absent element gives zeros. If an engine failed, the result has its status and reason and no
    spectra.

    Raises
    ------
    ValueError
        An edge that has spectra has no calibration.
    SpectrumError
        A spectrum has no area in its window.
    InputError
        The states of a site end before the axis of its edge and their width there.
    """
    first = next(iter(raw.values()))
    attrs = {
        "structure_id": first.attrs["structure_id"],
        "parameters": _parameters(settings, calibration),
    }
    failures = [f"{e}: {d.attrs['reason']}" for e, d in raw.items() if d.attrs["status"] != "ok"]
    if failures:
        return xr.Dataset(attrs=attrs | {"status": "failed", "reason": "; ".join(failures)})
    edges = dict.fromkeys(e for t in settings.techniques.values() for e in t.edges)
    parts = [
        _edge_dataset(raw, edge, settings, edge_table, calibration, mean_valence) for edge in edges
    ]
    return xr.merge(parts).assign_attrs(attrs | {"status": "ok", "reason": ""})


def calibrated_channels(
    raw: Mapping[str, xr.Dataset],
    edge: str,
    settings: Spectra,
    calibration: Calibration,
    mean_valence: float | None,
) -> xr.Dataset | None:
    """Channels of one edge on its calibrated axis; None where the structure lacks the element."""
    _, channels = _channels(raw, edge)
    if not channels.sizes["channel"]:
        return None
    known = _calibrated(edge, channels, calibration)
    return _calibrated_channels(channels, edge, settings, known, mean_valence)[0]


def site_spectra(
    channels: xr.Dataset,
    edge: str,
    technique: str,
    settings: Spectra,
    edge_table: EdgeTable,
    calibration: Calibration,
) -> xr.DataArray:
    """Broadened spectra (site, energy) of one edge on the scale on which their mean has area 1:
    the mean is in standard form.

    ``channels`` are those of the edge in one raw dataset (:func:`corefuse.core.rawdata.of_edge`);
    the coordinate ``site`` is their index into the structure, ``role`` what is there.
    """
    entry, known = edge_table[edge], _calibrated(edge, channels, calibration)
    sites = broadened(
        channels, edge, technique, settings, entry.grid, known.constant_ev, known.threshold_ev
    )
    flat, energy_ev = standard.flattened(sites, entry), entry.grid.energies_ev
    return xr.DataArray(
        flat / window_area(energy_ev, site_mean(flat, channels), entry.window_ev),
        dims=("site", _axis(edge)),
        coords={
            _axis(edge): energy_ev,
            "site": channels["site"].values,
            "role": ("site", channels["role"].values),
        },
    )


def read_usable(paths: Iterable[str | Path]) -> dict[str, xr.Dataset]:
    """Structure id -> its spectra, for the files whose simulation ended well."""
    datasets = {Path(p).stem: read_result(p) for p in paths}
    return {name: d for name, d in datasets.items() if d.attrs["status"] == "ok"}


def mean_dos(datasets: Iterable[xr.Dataset]) -> dict[str, xr.DataArray]:
    """Edge id -> projected unoccupied states (3, energy), mean over structures with the element.

    The attribute ``engine`` says whose they are.
    """
    found: dict[str, list[xr.DataArray]] = {}
    for dataset in datasets:
        for name in (n for n in dataset if str(n).startswith("dos_")):
            found.setdefault(str(name).removeprefix("dos_"), []).append(dataset[name])
    means = {}
    for edge, every in found.items():
        present = [d for d in every if d.any()] or every
        means[edge] = (
            xr.concat(present, "structure").mean("structure").assign_attrs(present[0].attrs)
        )
    return means


def ensemble(datasets: Iterable[xr.Dataset], modality: str) -> xr.DataArray:
    """All simulated spectra (sample, energy) of one modality; absent elements are left out."""
    axis = _axis(split_modality(modality)[0].name)
    present = [d[modality] for d in datasets if d[modality].any()]
    return xr.concat(present, "sample").transpose("sample", axis)


def _edge_dataset(
    raw: Mapping[str, xr.Dataset],
    edge: str,
    settings: Spectra,
    edge_table: EdgeTable,
    calibration: Calibration,
    mean_valence: float | None,
) -> xr.Dataset:
    engine, channels = _channels(raw, edge)
    grid = edge_table[edge].grid
    energy_ev = grid.energies_ev
    absent = not channels.sizes["channel"]
    shift_std_ev = 0.0
    if not absent:
        channels, shift_std_ev = _calibrated_channels(
            channels, edge, settings, _calibrated(edge, channels, calibration), mean_valence
        )
        _check_reach(channels, edge, settings, edge_table[edge], calibration)
    out = xr.Dataset(coords={_axis(edge): (_axis(edge), energy_ev, {"units": "eV"})})
    for technique in (t for t, s in settings.techniques.items() if edge in s.edges):
        name = modality_id(edge, technique)
        mean = std = np.zeros(len(energy_ev))
        if not absent:
            sites = site_spectra(channels, edge, technique, settings, edge_table, calibration)
            mean, std = site_mean(sites.values, channels), site_std(sites.values, channels)
        out[name] = (_axis(edge), mean, {"units": "1/eV"})
        out[f"{name}_site_std"] = (_axis(edge), std, {"units": "1/eV"})
        out[shift_std_name(name)] = ((), shift_std_ev, {"units": "eV"})
    dos = np.zeros((3, len(energy_ev)))
    if not absent:
        known = _calibrated(edge, channels, calibration)
        without = holds_all_levels(channels) or not channels["dos"].any()
        if without and "atom_dos" in raw.get("gpaw", ()):
            spectrum = out[modality_id(edge, sharpest_technique(edge, settings))].values
            top_ev = float(energy_ev[spectrum.argmax()])
            engine = "gpaw"
            dos = _gpaw_dos(raw["gpaw"], channels, edge, settings, grid, known, top_ev)
        else:
            dos = _mean_dos(channels, edge, settings, grid, known)
    about = {"units": "states/eV", "engine": engine}
    out[f"dos_{EDGES[edge].id}"] = (("l", _axis(edge)), dos, about)
    return out.assign_coords(l=[0, 1, 2])


def _calibrated_channels(
    channels: xr.Dataset,
    edge: str,
    settings: Spectra,
    known: EdgeCalibration,
    mean_valence: float | None,
) -> tuple[xr.Dataset, float]:
    """Channels on the calibrated axis of their edge, and by how much a deviation moves them."""
    known_valences = mean_valence is not None and known.mean_valence is not None
    return chemical_shift.placed(
        channels,
        edge,
        settings,
        known.feature,
        known.counts,
        known.pivot_ev,
        (mean_valence, known.mean_valence) if known_valences else None,
    )


def _check_reach(
    channels: xr.Dataset,
    edge: str,
    settings: Spectra,
    entry: EdgeEntry,
    calibration: Calibration,
) -> None:
    """Whether every site's states reach past the axis by their width there.

    An end of the axis is then no truncation: 15 % of a Lorentzian at its last point is farther away
    than its FWHM, and what is there for the missing states (their mean over the last 5 eV) is
    wrong by some 10 %. Of bound states all are there.
    """
    if holds_all_levels(channels):
        return
    known, end_ev = _calibrated(edge, channels, calibration), entry.grid.stop_ev
    raw_ev, shifts_ev = _placed(channels, known)
    lifetime_ev = settings.final_state_lorentzian_fwhm_per_ev * (end_ev - known.threshold_ev)
    core_hole_ev = lines(edge, settings.l2_extra_lorentzian_fwhm_ev)[0].core_hole_fwhm_ev
    missing_ev = end_ev + core_hole_ev + max(lifetime_ev, 0) - (raw_ev[-1] + shifts_ev.min())
    if missing_ev > 0:
        structure, engine = channels.attrs["structure_id"], channels.attrs["engine"]
        reach = channels.attrs.get("reach", f"the reach of {engine}")
        raise InputError(
            f"raw/{engine}/{structure}.nc",
            edge,
            f"{structure} ends at {raw_ev[-1]:g} eV, {missing_ev:.1f} eV short of its axis and the "
            "width of the states at its end",
            f"raise {reach} by that much, or simulate another edge",
        )


def _mean_dos(
    channels: xr.Dataset, edge: str, settings: Spectra, grid: EnergyGrid, known: EdgeCalibration
) -> np.ndarray:
    if holds_all_levels(channels):
        sharpest = sharpest_technique(edge, settings)
        kernel = bound_kernel(channels, edge, sharpest, settings, grid, level=0)
    else:
        kernel = _state_kernel(edge, settings, grid, known.threshold_ev)
    per_l = channels["dos"].transpose("l", "channel", "energy").values
    sites = [kernel.apply(*_placed(channels, known), density) for density in per_l]
    return np.array([site_mean(of_l, channels) for of_l in sites])


def _gpaw_dos(
    gpaw: xr.Dataset,
    channels: xr.Dataset,
    edge: str,
    settings: Spectra,
    grid: EnergyGrid,
    known: EdgeCalibration,
    top_ev: float,
) -> np.ndarray:
    """GPAW's mean DOS (3, grid) of the atoms of another engine's channels.

    The atoms' core-level shifts, which their states follow, put them on one axis. Its zero is that
    of the channels, or, for bound states, such that the maximum of the d states is at ``top_ev``.
    """
    atoms = channels["site"].values
    per_l = gpaw["atom_dos"].transpose("l", "atom", "energy").values[:, atoms]
    shifts_ev = gpaw["atom_core_level_shift_ev"].values[atoms]
    shifts_ev = shifts_ev - site_mean(shifts_ev, channels)

    def placed(fermi_ev: float) -> np.ndarray:
        kernel = _state_kernel(edge, settings, grid, fermi_ev)
        sites = [kernel.apply(gpaw["energy_ev"].values, shifts_ev + fermi_ev, d) for d in per_l]
        return np.array([site_mean(of_l, channels) for of_l in sites])

    if not holds_all_levels(channels):
        return placed(
            site_mean(channels["core_level_shift_ev"].values, channels) + known.constant_ev
        )
    maximum_ev = float(grid.energies_ev[placed(top_ev)[2].argmax()])
    return placed(2 * top_ev - maximum_ev)


def _state_kernel(
    edge: str, settings: Spectra, grid: EnergyGrid, threshold_ev: float
) -> EdgeKernel:
    """The edge's first level alone, as the sharpest technique sees it."""
    return edge_kernel(
        (replace(lines(edge, settings.l2_extra_lorentzian_fwhm_ev)[0], share=1.0),),
        grid,
        threshold_ev,
        settings.techniques[sharpest_technique(edge, settings)].gaussian_fwhm_ev,
        settings.final_state_lorentzian_fwhm_per_ev,
    )


def _placed(channels: xr.Dataset, known: EdgeCalibration) -> tuple[np.ndarray, np.ndarray]:
    """The raw axis (energy,) and how far each site's stands from it on the absolute scale."""
    shifts_ev = channels["core_level_shift_ev"].values + known.constant_ev
    return channels["energy_ev"].values, shifts_ev


def _channels(raw: Mapping[str, xr.Dataset], edge: str) -> tuple[str, xr.Dataset]:
    """The engine that computed an edge, and its channels."""
    found = [(engine, of_edge(dataset, edge)) for engine, dataset in raw.items()]
    return max(found, key=lambda one: one[1].sizes["channel"])


def _calibrated(edge: str, channels: xr.Dataset, calibration: Calibration) -> EdgeCalibration:
    if edge not in calibration:
        sites = channels.sizes["channel"]
        raise ValueError(
            f"{edge} has spectra of {sites} sites but no calibration: calibrate it on a structure "
            f"with {EDGES[edge].element}"
        )
    return calibration[edge]


def _parameters(settings: Spectra, calibration: Calibration) -> str:
    placed = {edge: [known.constant_ev, *known.counts] for edge, known in calibration.items()}
    return canonical({"spectra": settings.model_dump(mode="json"), "placed": placed})


def _axis(edge: str) -> str:
    return f"energy_{EDGES[edge].id}"
