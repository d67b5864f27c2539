"""Calibration: one constant an edge puts every simulated spectrum on the measured energy axis."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, floor, hypot
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr
from pydantic import TypeAdapter

from corefuse.config import METALS, Section, Spectra
from corefuse.core.edge_table import EdgeEntry, EdgeTable, Feature, Reference
from corefuse.core.edges import EDGES
from corefuse.core.files import read_netcdf
from corefuse.core.rawdata import STEP_EV, holds_all_levels, of_edge, site_mean
from corefuse.core.spectrum import EnergyGrid
from corefuse.spectra.broadening import broadened, sharpest_technique
from corefuse.spectra.features import feature_energy


class EdgeCalibration(Section):
    """Absolute energy = energy on the common axis of the edge + ``constant_ev``, and why.

    ``threshold_ev`` is the absolute energy of the reference structure's Fermi level at this edge,
    from which the lifetime of the final state is counted.
    """

    constant_ev: float
    threshold_ev: float
    structure_id: str
    feature: Feature
    reference_energy_ev: float
    feature_on_common_axis_ev: float
    source: str


Calibration = dict[str, EdgeCalibration]
_ADAPTER = TypeAdapter(Calibration)


def to_json(calibration: Calibration) -> dict[str, Any]:
    """What ``calibration.json`` holds."""
    return _ADAPTER.dump_python(calibration, mode="json")


def from_json(data: dict[str, Any]) -> Calibration:
    """Inverse of :func:`to_json`."""
    return _ADAPTER.validate_python(data)


def reference_structures(
    index: pd.DataFrame, edges: Iterable[str], edge_table: EdgeTable
) -> dict[str, str]:
    """Edge -> the structure that calibrates it, from index rows whose simulation ended well.

    Pristine before defective, then most Li, then metal fractions nearest to those of the reference
    compound, then the smallest id. An edge whose element is in no structure gets no entry.
    """
    chosen = {}
    for edge in edges:
        rows = index[_content(index, EDGES[edge].element) > 0]
        if len(rows):
            reference = edge_table[edge].reference
            chosen[edge] = min(rows.to_dict("records"), key=lambda r: _rank(r, reference))[
                "structure_id"
            ]
    return chosen


def _content(index: pd.DataFrame, element: str) -> pd.Series:
    """Atoms of an element per formula unit; oxygen is in every structure."""
    return pd.Series(2.0, index.index) if element == "O" else index[f"x_{element.lower()}"]


def _rank(row: dict[str, Any], reference: Reference) -> tuple[bool, float, float, str]:
    content = [row[f"x_{m.lower()}"] for m in METALS]
    wanted = [reference.compound.get(m, 0.0) for m in METALS]
    distance = hypot(
        *(c / sum(content) - w / sum(wanted) for c, w in zip(content, wanted, strict=True))
    )
    defective = row["defect_class"] != "pristine"
    return defective, -round(row["x_li"], 3), round(distance, 3), row["structure_id"]


def calibrate(raw: xr.Dataset, edge: str, settings: Spectra, entry: EdgeEntry) -> EdgeCalibration:
    """Find the reference feature in one raw dataset, broadened as by XAS, and match its energy.

    Channels on an absolute axis need no constant: theirs is zero and the sources are their own.

    Raises
    ------
    ValueError
        The dataset has no channel of this edge.
    """
    channels = of_edge(raw, edge)
    if not channels.sizes["channel"]:
        raise ValueError(f"{raw.attrs['structure_id']} has no {edge} spectrum to calibrate with")
    shifts_ev = channels["core_level_shift_ev"].values
    threshold_ev = float(site_mean(shifts_ev, channels))
    energy_ev = channels["energy_ev"].values
    grid = EnergyGrid(
        start_ev=floor(energy_ev[0] + shifts_ev.min()),
        stop_ev=ceil(energy_ev[-1] + shifts_ev.max()),
        step_ev=STEP_EV,
    )
    technique = sharpest_technique(edge, settings)
    sites = broadened(channels, edge, technique, settings, grid, 0.0, threshold_ev)
    reference = entry.reference
    found_ev = feature_energy(grid.energies_ev, site_mean(sites, channels), reference.feature)
    absolute = holds_all_levels(channels)
    reference_ev = found_ev if absolute else reference.energy_ev
    constant_ev = reference_ev - found_ev
    return EdgeCalibration(
        constant_ev=constant_ev,
        threshold_ev=threshold_ev + constant_ev,
        structure_id=raw.attrs["structure_id"],
        feature=reference.feature,
        reference_energy_ev=reference_ev,
        feature_on_common_axis_ev=found_ev,
        source=_own_source(channels) if absolute else reference.source,
    )


def _own_source(channels: xr.Dataset) -> str:
    return "; ".join(dict.fromkeys(str(s) for s in channels["energy_source"].values))


def calibrate_all(
    raw_files: Iterable[str | Path], index: pd.DataFrame, settings: Spectra, edge_table: EdgeTable
) -> Calibration:
    """Calibrate every edge of the raw files on the reference structure that ended well.

    Engines share the structure's file name, so an edge is looked up in each.
    """
    raw: dict[str, list[xr.Dataset]] = {}
    for dataset in map(read_netcdf, raw_files):
        raw.setdefault(dataset.attrs["structure_id"], []).append(dataset)
    ended_well = [s for s, runs in raw.items() if all(r.attrs["status"] == "ok" for r in runs)]
    edges = list(dict.fromkeys(e for t in settings.techniques.values() for e in t.edges))
    chosen = reference_structures(index[index.structure_id.isin(ended_well)], edges, edge_table)
    return {
        edge: calibrate(_with_edge(raw[structure], edge), edge, settings, edge_table[edge])
        for edge, structure in chosen.items()
    }


def _with_edge(runs: list[xr.Dataset], edge: str) -> xr.Dataset:
    return max(runs, key=lambda run: of_edge(run, edge).sizes["channel"])
