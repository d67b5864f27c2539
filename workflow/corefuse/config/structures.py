"""Section ``structures``: which crystals are built."""

from __future__ import annotations

from fractions import Fraction
from math import isclose, lcm
from typing import Annotated, Literal

from pydantic import Field, model_validator

from corefuse.core.bounds import Between, Decorations, Defects, FormulaUnits, Seed, Steps
from corefuse.core.section import Section
from corefuse.core.vocabulary import Metal, Name

GRADES: dict[str, dict[str, float]] = {
    "NMC111": {"Ni": 1 / 3, "Mn": 1 / 3, "Co": 1 / 3},
    "NMC532": {"Ni": 0.5, "Mn": 0.3, "Co": 0.2},
    "NMC622": {"Ni": 0.6, "Mn": 0.2, "Co": 0.2},
    "NMC811": {"Ni": 0.8, "Mn": 0.1, "Co": 0.1},
    "LiNiO2": {"Ni": 1.0},
    "LiCoO2": {"Co": 1.0},
}


class Defect(Section):
    """Point defects of one cell; the pristine cell has none."""

    oxygen_vacancies: Defects = Field(0, description="number of oxygen atoms removed")
    vacancy_next_to: Metal | None = Field(
        None,
        description="element that must be in the first shell of every vacancy; null: any "
        "oxygen atom may be removed",
    )
    antisite_pairs: Defects = Field(
        0, description="number of Li and Ni atoms that exchange their sites"
    )
    excess_ni: Defects = Field(
        0, description="number of Li sites occupied by additional Ni; the Li is removed"
    )

    @property
    def label(self) -> str:
        """A short file-name-safe description, e.g. ``vo1Ni-as1``."""
        near = self.vacancy_next_to or ""
        parts = [f"vo{self.oxygen_vacancies}{near}"] if self.oxygen_vacancies else []
        parts += [f"as{self.antisite_pairs}"] if self.antisite_pairs else []
        parts += [f"xni{self.excess_ni}"] if self.excess_ni else []
        return "-".join(parts) or "pristine"


class Relaxation(Section):
    """CHGNet relaxation of cell and ions (r2SCAN weights)."""

    fmax_ev_per_angstrom: Annotated[
        float, Between(1e-4, 10, "CHGNet's forces are good to 0.06 eV/A")
    ] = Field(0.05, description="largest force at which a relaxation ends")
    max_steps: Steps = Field(
        150,
        description="largest number of LBFGS steps; a structure that needs more counts as not "
        "relaxed",
    )
    rattle_angstrom: Annotated[float, Between(0, 0.5, "more breaks bonds")] = Field(
        0.02,
        description="standard deviation of the seeded random displacements before a relaxation",
    )


class Series(Section):
    """One composition: all combinations of its arrangements, Li contents and defects."""

    grade: Name = Field(description=f"{', '.join(GRADES)}, or any name with a stoichiometry")
    stoichiometry: dict[Metal, Annotated[float, Field(gt=0, le=1)]] | None = Field(
        None, description="metal fractions that add to 1, for a grade that is not listed"
    )
    formula_units: FormulaUnits | None = Field(
        None,
        description="number of LiMO2 units in the cell (4 atoms each); null: the value of the "
        "section",
    )
    decorations: Decorations = Field(
        1, description="number of arrangements of the metals; each one is a parent"
    )
    decoration: Annotated[int, Between(0, 999, "decorations count from 0")] | None = Field(
        None,
        description="number of a single arrangement to build, counted from 0; null: the first "
        "`decorations` ones",
    )
    li_content: list[float] = Field(
        [1.0],
        min_length=1,
        max_length=200,
        description="Li contents per formula unit that remain in the Li layer",
    )
    li_ordering: Literal["ewald", "chgnet", "random"] = Field(
        "ewald",
        description="criterion that selects which Li sites are emptied: lowest Ewald energy, "
        "lowest CHGNet energy, or random",
    )
    defects: list[Defect] = Field(
        [Defect()],
        min_length=1,
        description="defects; each entry makes one cell for every Li content and arrangement",
    )
    relaxation: Relaxation | None = Field(
        None, description="relaxation settings of this series; null: those of the section"
    )

    def metals(self) -> dict[str, float]:
        """Metal fractions per formula unit, summing to one."""
        return dict(self.stoichiometry or GRADES[self.grade])

    def arrangements(self) -> list[int]:
        """Numbers of the metals' arrangements that are built."""
        return list(range(self.decorations)) if self.decoration is None else [self.decoration]

    @model_validator(mode="after")
    def _stoichiometry_known(self) -> Series:
        if self.stoichiometry is None and self.grade not in GRADES:
            raise ValueError(
                f"unknown grade {self.grade!r}|use one of {', '.join(GRADES)} "
                "or give stoichiometry: {Ni: .., Mn: .., Co: ..}|grade"
            )
        total = sum(self.metals().values())
        if not isclose(total, 1.0, abs_tol=0.005):
            raise ValueError(
                f"it adds to {total:g}|make the metal fractions add to 1|stoichiometry"
            )
        for x in self.li_content:
            if not 0 <= x <= 1:
                raise ValueError(f"{x:g} is out of range|use values between 0 and 1|li_content")
        if self.decorations > 1 and self.decoration is not None:
            raise ValueError(
                f"{self.decorations} arrangements and number {self.decoration} alone are asked for"
                "|drop one of decoration and decorations|decoration"
            )
        if self.arrangements() != [0] and len(self.metals()) == 1:
            key = "decorations" if self.decoration is None else "decoration"
            raise ValueError(
                f"{self.grade} has one metal, so one arrangement: every other parent would be the "
                f"same crystal|drop {key}|{key}"
            )
        return self


MOST_STRUCTURES = 20_000


class PointDefect(Section):
    """One kind of point defect in a crystal of your own, at every symmetry-distinct site."""

    kind: Literal["vacancy", "antisite_pair", "substitution"] = Field(
        description="an atom removed, two atoms exchanged, or one element put for another"
    )
    element: Name = Field(description="element of the sites that are changed")
    partner: str = Field(
        "", description="element it changes places with (the nearest), or that replaces it"
    )

    @model_validator(mode="after")
    def _partner_where_needed(self) -> PointDefect:
        if (self.kind == "vacancy") == bool(self.partner):
            problem = "a vacancy has no partner" if self.partner else f"{self.kind} needs a partner"
            raise ValueError(f"{problem}|name both elements, or one for a vacancy|partner")
        return self


class OwnStructures(Section):
    """Structures of your own, read from files instead of built."""

    file: str = Field(
        min_length=1,
        description="file (CIF, POSCAR, XYZ with any number of frames, pymatgen or ASE JSON), "
        "pattern or folder of such files, or a table `id, file, group, <labels>` "
        "(.csv)",
    )
    relax: Literal["none", "ions", "cell"] = Field(
        "none", description="what CHGNet relaxes: nothing, the ions, or the ions and the cell"
    )
    group: Name | None = Field(
        None,
        description="group that is never split between training and test folds; null: one "
        "group per file and composition",
    )
    moments: Literal["auto", "file", "chgnet"] | dict[str, float] = Field(
        "auto",
        description="initial magnetic moments (Bohr magnetons): those of the file, those of "
        "CHGNet, or one value per element; auto: those of the file if it has any, "
        "otherwise CHGNet's",
    )
    anions_per_formula_unit: float = Field(
        2.0,
        gt=0,
        le=100,
        description="number of anions per formula unit, to which contents refer, e.g. 2 for LiMO2",
    )
    formula_units: float | None = Field(
        None,
        gt=0,
        le=1000,
        description="number of formula units in the cell; null: derived from the number of anions",
    )
    labels: dict[Name, float] = Field(
        {}, description="labels that replace or extend those counted from the cell"
    )
    supercell: tuple[int, int, int] = Field(
        (1, 1, 1), description="repetitions of the cell along its axes, before any defect"
    )
    defects: list[PointDefect] = Field(
        [], description="one more structure per symmetry-distinct site for each of these"
    )

    @model_validator(mode="after")
    def _supercell_is_positive(self) -> OwnStructures:
        if min(self.supercell) < 1 or max(self.supercell) > 20:
            raise ValueError(
                f"{self.supercell} is no cell|use three numbers from 1 to 20|supercell"
            )
        return self


class Structures(Section):
    """Which crystals are built or read."""

    seed: Seed = Field(1, description="seed of all random choices in this stage")
    formula_units: FormulaUnits = Field(
        4, description="number of LiMO2 units in a cell (4 atoms each)"
    )
    relaxation: Relaxation = Relaxation()
    series: list[Series] = Field([], description="layered compositions to build")
    files: list[OwnStructures] = Field([], description="structures read from files")

    @model_validator(mode="after")
    def _can_be_planned(self) -> Structures:
        number = sum(s.decorations * len(s.li_content) * len(s.defects) for s in self.series)
        if number > MOST_STRUCTURES:
            raise ValueError(
                f"{number} structures are asked for|ask for at most {MOST_STRUCTURES} in one run: "
                "all of their files are planned before the first is made|series"
            )
        return self

    @model_validator(mode="after")
    def _fits_the_cell(self) -> Structures:
        if not self.series and not self.files:
            raise ValueError("no structures are asked for|give series, files or both|series")
        for i, series in enumerate(self.series):
            try:
                check_series_fits(series, series.formula_units or self.formula_units)
            except ValueError as fault:
                problem, fix, key = str(fault).rsplit("|", 2)
                raise ValueError(f"{problem}|{fix}|series.{i}.{key}") from None
        return self


def check_series_fits(series: Series, formula_units: int) -> None:
    """Raise ValueError ``problem|fix|key`` where a series does not fit the cell."""
    counts = {m: f * formula_units for m, f in series.metals().items()}
    if any(abs(n - round(n)) > 0.02 for n in counts.values()):
        asked = ", ".join(f"{m} {n:g}" for m, n in counts.items())
        fits = smallest_fitting_cell(series.metals())
        key = "stoichiometry" if series.stoichiometry else "grade"
        raise ValueError(
            f"{series.grade} does not fit {formula_units} formula units ({asked})"
            f"|use a multiple of {fits} formula_units|{key}"
        )
    for x in series.li_content:
        n_li = x * formula_units
        if abs(n_li - round(n_li)) > 0.02:
            raise ValueError(
                f"{x:g} does not fit {formula_units} formula units"
                f"|use multiples of {1 / formula_units:.4g}|li_content"
            )
        for i, defect in enumerate(series.defects):
            try:
                _check_defect_fits(series, defect, formula_units, round(n_li))
            except ValueError as fault:
                raise ValueError(f"{fault}|defects.{i}") from None


def _check_defect_fits(series: Series, defect: Defect, formula_units: int, n_li: int) -> None:
    n_ni = round(series.metals().get("Ni", 0) * formula_units)
    moved = defect.antisite_pairs + defect.excess_ni
    if moved and not n_ni:
        raise ValueError(f"{series.grade} has no Ni for an antisite|drop the Li/Ni defects here")
    if defect.antisite_pairs > min(n_ni, n_li) or moved > formula_units:
        raise ValueError(
            f"{defect.label} needs more Li or Ni than the cell holds (Li {n_li}, Ni {n_ni})"
            "|use fewer pairs, more Li or a larger cell"
        )
    if defect.oxygen_vacancies >= 2 * formula_units:
        raise ValueError(f"{defect.label} removes all oxygen|use fewer oxygen_vacancies")
    if defect.vacancy_next_to and defect.vacancy_next_to not in series.metals():
        raise ValueError(
            f"{series.grade} contains no {defect.vacancy_next_to}, so no vacancy can be next to it"
            f"|use one of {', '.join(series.metals())}"
        )


def smallest_fitting_cell(fractions: dict[str, float]) -> int:
    """Smallest number of formula units with whole metal counts (denominators up to 60)."""
    return lcm(*(Fraction(value).limit_denominator(60).denominator for value in fractions.values()))
