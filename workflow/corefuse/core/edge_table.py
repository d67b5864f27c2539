"""Energies of the edges: grids, windows and references from YAML, core-hole data from xraydb."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from corefuse.core.edges import EDGES
from corefuse.core.errors import InputError
from corefuse.core.section import Section
from corefuse.core.spectrum import EnergyGrid
from corefuse.core.vocabulary import EdgeName, MetalOf3d

Feature = Literal["peak", "pre_edge_peak", "half_height"]


class Reference(Section):
    """A measured energy that calibrates one edge: of which compound, which feature, from where."""

    compound: dict[MetalOf3d, float] = Field(
        min_length=1, description="fractions of the 3d metals of the compound, e.g. of LiMO2"
    )
    feature: Feature
    energy_ev: float
    energy_std_ev: float = Field(1.0, gt=0, description="standard deviation of energy_ev")
    source: str = Field(min_length=10)


class MeasuredShift(Section):
    """A measured distance of the reference feature between two compounds, and the simulated one.

    ``simulated_ev`` is that of total energies with a full core hole (of the initial state where the
    ``response`` is one), ``valence_change`` that of the mean formal valence of the metals.
    ``feature`` is that of the edge's reference unless it is named.
    """

    between: tuple[str, str]
    measured_ev: float
    measured_std_ev: float = Field(gt=0)
    simulated_ev: float
    valence_change: float
    feature: Feature | None = None
    source: str = Field(min_length=10)


class ChemicalShift(Section):
    """How the energies of an edge follow from what is simulated: see ``docs/core_holes.md``.

    Of the distance that the reference feature has in the initial state (a ground state without a
    hole) ``response`` is left in total energies with a full one: between single ``sites``, or
    between the means of ``cells`` where the feature of a single site is not well defined. Measured
    shifts then ask for a ``gain`` of all distances, or, where simulated ones may have the wrong
    sign, for a move ``per_valence`` of the metals, counted from ``above_valence`` on.
    """

    between: Literal["sites", "cells"]
    response: float = Field(gt=0)
    response_std: float = Field(ge=0)
    correction: Literal["gain", "per_valence"]
    above_valence: float = 0.0
    references: list[MeasuredShift] = Field(min_length=2)


class Continuum(Section):
    """Where the continuum of an L2,3 edge rises: at the maxima of its lines."""

    l3_ev: float
    l2_ev: float
    fwhm_ev: float = Field(gt=0)


class EdgeEntry(Section):
    """The standard axis of one edge, the window its area is normalised over, its reference.

    An L2,3 edge has a ``continuum`` that its standard form is rid of; an edge whose energies are
    not absolute and whose shifts have been measured has a ``chemical_shift``.
    """

    grid: EnergyGrid
    window_ev: tuple[float, float]
    continuum: Continuum | None = None
    reference: Reference
    chemical_shift: ChemicalShift | None = None

    @model_validator(mode="after")
    def _inside_the_grid(self) -> EdgeEntry:
        points = (self.grid.start_ev, *self.window_ev, self.grid.stop_ev)
        if list(points) != sorted(points) or self.window_ev[0] == self.window_ev[1]:
            raise ValueError("window_ev is not inside the grid|give [low, high] within the grid")
        if self.window_ev[0] - self.grid.start_ev < self.grid.step_ev:
            raise ValueError("no point is below window_ev|start the grid lower: the pre-edge")
        if not self.window_ev[0] <= self.reference.energy_ev <= self.window_ev[1]:
            raise ValueError("the reference is outside window_ev|move the window or the reference")
        return self


EdgeTable = dict[str, EdgeEntry]
_ADAPTER = TypeAdapter(dict[EdgeName, EdgeEntry])


def to_json(table: EdgeTable) -> dict[str, Any]:
    """Entries as plain data, for files."""
    return _ADAPTER.dump_python(table, mode="json")


def from_json(data: dict[str, Any]) -> EdgeTable:
    """Inverse of :func:`to_json`."""
    return _ADAPTER.validate_python(data)


def load(path: str | Path) -> EdgeTable:
    """Read ``edges.yaml``.

    Raises
    ------
    InputError
        The first key that is unknown, missing or out of range.
    """
    try:
        return _ADAPTER.validate_python(yaml.safe_load(Path(path).read_text()))
    except ValidationError as err:
        fault = err.errors()[0]
        key = ".".join(str(part) for part in fault["loc"])
        problem, _, fix = fault["msg"].removeprefix("Value error, ").partition("|")
        raise InputError(path, key, problem, fix or "compare with the other edges") from None


@dataclass(frozen=True)
class Line:
    """One level of an edge: its distance from the lowest, its share, its core-hole width."""

    offset_ev: float
    share: float
    core_hole_fwhm_ev: float


@lru_cache
def lines(edge: str, l2_extra_fwhm_ev: float) -> tuple[Line, ...]:
    """The levels of an edge, lowest first: one for K, L3 and L2 for L2,3.

    Shares are statistical, (2j + 1): two thirds for 2p3/2 and one third for 2p1/2. Widths (FWHM)
    are those of Krause & Oliver, J. Phys. Chem. Ref. Data 8, 329 (1979), and Keski-Rahkonen &
    Krause, At. Data Nucl. Data Tables 14, 139 (1974); offsets are differences of the edge energies
    of Elam, Ravel & Sieber, Radiat. Phys. Chem. 63, 121 (2002); all as tabulated in xraydb. L2
    gets ``l2_extra_fwhm_ev`` for its Coster-Kronig decay.
    """
    import xraydb  # a second to import, which reading measured files does without

    element, levels = EDGES[edge].element, EDGES[edge].levels
    energies = [xraydb.xray_edge(element, level, energy_only=True) for level in levels]
    widths = [xraydb.core_width(element, level) for level in levels]
    if len(levels) == 1:
        return (Line(0.0, 1.0, widths[0]),)
    return (
        Line(0.0, 2 / 3, widths[0]),
        Line(energies[1] - energies[0], 1 / 3, widths[1] + l2_extra_fwhm_ev),
    )


def spin_orbit_splitting_ev(edge: str) -> float:
    """Distance of the highest from the lowest level of an edge in eV; zero for K."""
    return lines(edge, 0.0)[-1].offset_ev
