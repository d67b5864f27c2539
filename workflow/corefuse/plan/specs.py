"""Which structures a config asks for: their ids, their contents, the seed of their choices.

Importing this module is cheap (pydantic only), because the Snakefile imports it in every job.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from math import ceil
from pathlib import Path

from corefuse.config import Defect, Metal, Relaxation, Section, Series, Sites, Structures, canonical
from corefuse.core.edges import EDGES
from corefuse.core.errors import InputError

REVISION = 2  # raise it when the same request would give another structure: all are made again


class StructureSpec(Section):
    """The whole request for one structure; its JSON is the only input of the stage.

    Every random choice hashes ``seed`` with ids that spell out the content, so a structure stays
    the same whatever else stands in the config.
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

    def to_json(self) -> str:
        """One canonical line: equal requests give equal text."""
        return canonical(self)

    @classmethod
    def from_json(cls, text: str) -> StructureSpec:
        """Inverse of :meth:`to_json`."""
        return cls.model_validate_json(text)


def plan(structures: Structures) -> list[StructureSpec]:
    """Every decoration x Li content x defect of every series, in the order of the config.

    Raises
    ------
    ValueError
        ``problem|fix``: two entries ask for the same structure, one parent would have two
        compositions, or rounding loses a metal atom.
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
                    relaxation=structures.relaxation,
                )


def by_id(structures: Structures, file: str | Path) -> dict[str, StructureSpec]:
    """The plan, keyed by structure id.

    Raises
    ------
    InputError
        :func:`plan` refuses the section.
    """
    try:
        return {spec.structure_id: spec for spec in plan(structures)}
    except ValueError as fault:
        problem, _, fix = str(fault).partition("|")
        raise InputError(file, "structures.series", problem, fix) from None


def site_batches(spec: StructureSpec, edges: Iterable[str], settings: Sites) -> int:
    """Batches that hold every absorber that ``simulate.sites.select`` may pick; at least one.

    It is known before there is a structure: symmetry only makes batches smaller.
    """
    defect = spec.defect
    places = defect.oxygen_vacancies + 2 * defect.antisite_pairs + defect.excess_ni
    most = 0
    for edge in edges:
        count = spec.count(EDGES[edge].element)
        if settings.select == "near_defects":
            count = min(count, settings.nearest * places + settings.sample)
        most += count
    return max(1, ceil(most / settings.sites_per_job))


def _check_metals(specs: list[StructureSpec]) -> None:
    metals_of: dict[str, dict[Metal, int]] = {}
    for spec in specs:
        if sum(spec.metals.values()) != spec.formula_units:
            raise ValueError(
                f"{spec.grade} puts {sum(spec.metals.values())} metals on {spec.formula_units} "
                "sites|give the stoichiometry more digits"
            )
        if metals_of.setdefault(spec.parent_id, spec.metals) != spec.metals:
            raise ValueError(
                f"two series give {spec.grade} different stoichiometries"
                "|give each stoichiometry a grade name of its own"
            )
