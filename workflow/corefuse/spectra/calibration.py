"""Calibration: a constant and a gain per edge put simulated spectra on the measured energy axis."""

from __future__ import annotations

from collections.abc import Iterable
from math import hypot
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import xarray as xr
from pydantic import TypeAdapter

from corefuse.config import Section, Spectra
from corefuse.core.edge_table import EdgeEntry, EdgeTable, Feature, Reference
from corefuse.core.edges import EDGES
from corefuse.core.files import read_netcdf
from corefuse.core.rawdata import holds_all_levels, of_edge, site_mean
from corefuse.core.vocabulary import METALS, METALS_3D
from corefuse.spectra import chemical_shift
from corefuse.spectra.chemical_shift import AS_SIMULATED, LeftOver, Response


class EdgeCalibration(Section):
    """Absolute energy = energy on the common axis of the edge + ``constant_ev``, and why.

    ``threshold_ev`` is the absolute energy of the reference structure's Fermi level at this edge,
    from which the lifetime of the final state is counted. What is ``between`` (sites or cells)
    stands ``response`` times as far from ``pivot_ev`` as simulated, give or take ``response_std``;
    the pivot is the mean place of the feature in the reference structure. The ``gain`` of measured
    shifts is in the response. An edge may move ``per_valence_ev`` too, with the mean valence of the
    metals in excess of ``above_valence``, from the ``mean_valence`` of the reference structure.
    ``references`` are the measured shifts and what is left over of them. See
    :mod:`corefuse.spectra.chemical_shift`.
    """

    constant_ev: float
    threshold_ev: float
    structure_id: str
    feature: Feature
    reference_energy_ev: float
    feature_on_common_axis_ev: float
    source: str
    pivot_ev: float
    response: float = 1.0
    response_std: float = 0.0
    between: Literal["sites", "cells"] = "cells"
    per_valence_ev: float = 0.0
    per_valence_std_ev: float = 0.0
    above_valence: float = 0.0
    mean_valence: float | None = None
    gain: float | None = None
    gain_std: float | None = None
    references: tuple[LeftOver, ...] = ()

    @property
    def counts(self) -> Response:
        """The responses, as :func:`corefuse.spectra.chemical_shift.placed` takes them."""
        return Response(
            self.response,
            self.response_std,
            self.between,
            self.per_valence_ev,
            self.per_valence_std_ev,
            self.above_valence,
        )


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
    if element == "O":
        return pd.Series(2.0, index.index)
    return index.get(f"x_{element.lower()}", pd.Series(0.0, index.index)).fillna(0.0)


def _rank(row: dict[str, Any], reference: Reference) -> tuple[bool, float, float, str]:
    found = {m: row.get(f"x_{m.lower()}", 0.0) for m in METALS_3D}
    content = {m: x for m, x in found.items() if x == x}  # NaN: of other structures of the run
    wanted, all_metals = reference.compound, sum(content.values()) or 1.0
    distance = hypot(
        *(
            content.get(m, 0.0) / all_metals - wanted.get(m, 0.0) / sum(wanted.values())
            for m in METALS_3D
        )
    )
    defective = row["defect_class"] != "pristine"
    return defective, -round(row["x_li"], 3), round(distance, 3), row["structure_id"]


def calibrate(
    raw: xr.Dataset,
    edge: str,
    settings: Spectra,
    entry: EdgeEntry,
    mean_valence: float | None = None,
) -> EdgeCalibration:
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
    threshold_ev = float(site_mean(channels["core_level_shift_ev"].values, channels))
    counts = chemical_shift.response(channels, entry.chemical_shift)
    reference = entry.reference
    sites_ev = chemical_shift.positions(channels, edge, settings, reference.feature, counts.between)
    pivot_ev = float(site_mean(sites_ev, channels))
    channels, _ = chemical_shift.placed(
        channels, edge, settings, reference.feature, counts, pivot_ev
    )
    found_ev = float(
        chemical_shift.positions(channels, edge, settings, reference.feature, "cells")[0]
    )
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
        pivot_ev=pivot_ev,
        source=_own_source(channels) if absolute else reference.source,
        response=counts.value,
        response_std=counts.std,
        between=counts.between,
        per_valence_ev=counts.per_valence_ev,
        per_valence_std_ev=counts.per_valence_std_ev,
        above_valence=counts.above_valence,
        mean_valence=mean_valence,
        **({} if counts == AS_SIMULATED else _corrected(entry)),
    )


def _corrected(entry: EdgeEntry) -> dict[str, Any]:
    """The gain of an edge and the measured shifts behind it."""
    assert entry.chemical_shift is not None
    found = chemical_shift.correction(entry.chemical_shift)
    return {
        "gain": found.gain,
        "gain_std": found.gain_std,
        "references": tuple(chemical_shift.left_over(entry.chemical_shift)),
    }


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
    valence = mean_valences(index)
    return {
        edge: calibrate(
            _with_edge(raw[structure], edge), edge, settings, edge_table[edge], valence[structure]
        )
        for edge, structure in chosen.items()
    }


def mean_valences(index: pd.DataFrame) -> dict[str, float | None]:
    """Structure id -> mean formal valence of its metals, of which Ni alone counts above 3+.

    What Li+ and O2- leave, less Mn4+ and Co3+, is that of Ni. Nothing for structures of the user,
    whose oxygen vacancies and other ions are not known.
    """
    metals = sum(index[f"x_{m.lower()}"] for m in METALS)
    of_nickel = 2 * (2.0 - index.v_o_fraction) - index.x_li - 4 * index.x_mn - 3 * index.x_co
    excess = (of_nickel - 3 * index.x_ni).clip(lower=0.0, upper=index.x_ni)
    valences = (3.0 + excess / metals).where(metals > 0)
    return {
        name: float(v) if pd.notna(v) else None
        for name, v in zip(index.structure_id, valences, strict=True)
    }


def _with_edge(runs: list[xr.Dataset], edge: str) -> xr.Dataset:
    return max(runs, key=lambda run: of_edge(run, edge).sizes["channel"])
