"""Which structures a config asks for: their ids, their contents, the seed of their choices.

Importing this module is cheap (pydantic only), because the Snakefile imports it in every job.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from math import ceil
from pathlib import Path
from typing import Any, Literal

from corefuse.config import Defect, Metal, Relaxation, Section, Series, Sites, Structures, canonical
from corefuse.core.edges import EDGES
from corefuse.core.errors import InputError

FORMULA_UNIT_ANGSTROM3 = 35.0  # LiCoO2 has 32, LiMnO2 37
REVISION = 2  # raise it when the same request would give another structure: all are made again


class StructureSpec(Section):
    """The whole request for one structure; its JSON is the only input of the stage.

    Every random choice hashes ``seed`` with ids that spell out the content, so a structure stays
    the same whatever else is in the config.
    """

    grade: str
    metals: dict[Metal, int]
    formula_units: int
    decoration: int
    n_li: int
    li_ordering: str
    defect: Defect
    seed: int
    relaxation: Relaxation

    @property
    def composition_id(self) -> str:
        """Grade and cell size, e.g. ``NMC622-10fu``."""
        return f"{self.grade}-{self.formula_units}fu"

    @property
    def parent_id(self) -> str:
        """One arrangement of the metals, e.g. ``NMC622-10fu-d0``: a group that is never split."""
        return f"{self.composition_id}-d{self.decoration}"

    @property
    def host_id(self) -> str:
        """The parent at one Li content, before any defect, e.g. ``NMC622-10fu-d0-li050``."""
        has_choice = 0 < self.n_li < self.formula_units
        ordering = self.li_ordering if has_choice and self.li_ordering != "ewald" else ""
        return f"{self.parent_id}-li{round(100 * self.li_content):03d}{ordering}"

    @property
    def structure_id(self) -> str:
        """The file name, e.g. ``NMC622-10fu-d0-li050-vo1Ni``."""
        return f"{self.host_id}-{self.defect.label}"

    @property
    def li_content(self) -> float:
        """Li per formula unit asked for in the Li layer, before excess Ni replaces any."""
        return self.n_li / self.formula_units

    def count(self, element: str) -> int:
        """Atoms of an element in the cell, once the defects are in."""
        if element == "O":
            return 2 * self.formula_units - self.defect.oxygen_vacancies
        if element == "Li":
            return max(self.n_li - self.defect.excess_ni, 0)
        extra = self.defect.excess_ni if element == "Ni" else 0
        return dict[str, int](self.metals).get(element, 0) + extra  # type: ignore[arg-type]

    @property
    def elements(self) -> set[str]:
        """Elements that the cell can hold."""
        return {"O", "Li", *self.metals}

    @property
    def volume_angstrom3(self) -> float:
        """Volume of the cell, before it is relaxed."""
        return FORMULA_UNIT_ANGSTROM3 * self.formula_units

    @property
    def defect_places(self) -> int:
        """Sites that the defects change."""
        defect = self.defect
        return defect.oxygen_vacancies + 2 * defect.antisite_pairs + defect.excess_ni

    def to_json(self) -> str:
        """One canonical line: equal requests give equal text."""
        return canonical(self)

    @classmethod
    def from_json(cls, text: str) -> StructureSpec:
        """Inverse of :meth:`to_json`."""
        return cls.model_validate_json(text)


class Crystal(Section):
    """A crystal as plain numbers: lattice vectors in rows (3, 3), angstrom."""

    lattice: list[list[float]]
    elements: list[str]
    frac_coords: list[list[float]]
    moments_mub: list[float] | None = None  # None: CHGNet gives them

    @property
    def volume_angstrom3(self) -> float:
        """Volume of the cell."""
        (a, b, c), (d, e, f), (g, h, i) = self.lattice
        return abs(a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g))

    def fingerprint(self) -> str:
        """The same for one cell with one set of positions, to 0.001 of a lattice vector."""
        sites = sorted(
            (element, *(round(x % 1, 3) % 1 for x in place))
            for element, place in zip(self.elements, self.frac_coords, strict=True)
        )
        return repr(([[round(x, 2) for x in row] for row in self.lattice], sites))


class OwnSpec(Section):
    """The whole request for a structure of the user: the crystal itself, and what to do with it.

    Where the file lies decides nothing: moving it computes nothing again.
    """

    name: str
    group: str
    source: str
    crystal: Crystal
    relax: Literal["none", "ions", "cell"]
    formula_units: float
    labels: dict[str, float]
    seed: int
    relaxation: Relaxation
    defects: list[dict[str, Any]] | None = None  # records; None: nobody says what the crystal lacks

    @property
    def structure_id(self) -> str:
        """The file name."""
        return self.name

    @property
    def parent_id(self) -> str:
        """The group that is never split across folds."""
        return self.group

    @property
    def host_id(self) -> str:
        """As for layered cells: the structure itself."""
        return self.name

    @property
    def elements(self) -> set[str]:
        """Elements in the cell."""
        return set(self.crystal.elements)

    @property
    def volume_angstrom3(self) -> float:
        """Volume of the cell."""
        return self.crystal.volume_angstrom3

    @property
    def defect_places(self) -> int:
        """Sites that defects made by this workflow change."""
        return len(self.defects or ())

    def count(self, element: str) -> int:
        """Atoms of an element in the cell."""
        return self.crystal.elements.count(element)

    def to_json(self) -> str:
        """One canonical line: equal requests give equal text."""
        return canonical(self)


Spec = StructureSpec | OwnSpec


def from_json(text: str) -> Spec:
    """The request that :meth:`to_json` wrote."""
    kind = OwnSpec if "crystal" in json.loads(text) else StructureSpec
    return kind.model_validate_json(text)


def plan(structures: Structures) -> list[StructureSpec]:
    """Every decoration x Li content x defect of every series, in the order of the config.

    Raises
    ------
    ValueError
        ``problem|fix``: two entries ask for the same structure, or one parent would have two
        compositions.
    """
    specs = [spec for series in structures.series for spec in of_series(structures, series)]
    _check_metals(specs)
    repeated = [i for i, n in Counter(s.structure_id for s in specs).items() if n > 1]
    if repeated:
        raise ValueError(
            f"series ask for {repeated[0]} more than once"
            "|drop the repeated li_content, defect or series"
        )
    return specs


def of_series(structures: Structures, series: Series) -> Iterator[StructureSpec]:
    """Every decoration x Li content x defect of one series."""
    formula_units = series.formula_units or structures.formula_units
    metals = {metal: round(x * formula_units) for metal, x in series.metals().items()}
    for decoration in series.arrangements():
        for li_content in series.li_content:
            for defect in series.defects:
                yield StructureSpec(
                    grade=series.grade,
                    metals={metal: n for metal, n in metals.items() if n},
                    formula_units=formula_units,
                    decoration=decoration,
                    n_li=round(li_content * formula_units),
                    li_ordering=series.li_ordering,
                    defect=defect,
                    seed=structures.seed,
                    relaxation=series.relaxation or structures.relaxation,
                )


def by_id(structures: Structures, file: str | Path) -> dict[str, Spec]:
    """The plan, keyed by structure id: layered cells, then structures of the user.

    Raises
    ------
    InputError
        :func:`plan` refuses the section, or a file of the user cannot be used.
    """
    try:
        found: dict[str, Spec] = {spec.structure_id: spec for spec in plan(structures)}
    except ValueError as fault:
        problem, _, fix = str(fault).partition("|")
        raise InputError(file, "structures.series", problem, fix) from None
    if structures.files:
        from corefuse.structures import own  # pymatgen, which other plans need not load

        for spec in own.requests(structures, file):
            if spec.structure_id in found:
                problem = f"{spec.structure_id} is also the name of a structure that is built"
                raise InputError(file, "structures.files", problem, "rename the file")
            found[spec.structure_id] = spec
    return found


def site_batches(spec: Spec, edges: Iterable[str], settings: Sites) -> int:
    """Batches that hold every absorber that ``simulate.sites.select`` may pick; at least one.

    It is known before there is a structure: symmetry only makes batches smaller.
    """
    most = 0
    for edge in edges:
        count = spec.count(EDGES[edge].element)
        if settings.select == "near_defects":
            count = min(count, settings.nearest * spec.defect_places + settings.sample)
        most += count
    return max(1, ceil(most / settings.sites_per_job))


def _check_metals(specs: list[StructureSpec]) -> None:
    metals_of: dict[str, dict[Metal, int]] = {}
    for spec in specs:
        if metals_of.setdefault(spec.parent_id, spec.metals) != spec.metals:
            raise ValueError(
                f"two series give {spec.grade} different stoichiometries"
                "|give each stoichiometry a grade name of its own"
            )
