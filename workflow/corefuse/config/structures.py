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
    """Point defects put into one cell; all zero is the pristine cell."""

    oxygen_vacancies: Defects = Field(0, description="oxygen atoms removed")
    vacancy_next_to: Metal | None = Field(
        None, description="element in the first shell of every vacancy; null: any oxygen"
    )
    antisite_pairs: Defects = Field(0, description="Li and Ni atoms that change places")
    excess_ni: Defects = Field(0, description="Li-layer sites filled by Ni, Li lost")

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
    ] = Field(0.05, description="largest force left")
    max_steps: Steps = Field(150, description="LBFGS steps before it is called unrelaxed")
    rattle_angstrom: Annotated[float, Between(0, 0.5, "more breaks bonds")] = Field(
        0.02, description="seeded noise before relaxing"
    )


class Series(Section):
    """One composition: every decoration x every Li content x every defect."""

    grade: Name = Field(description=f"{', '.join(GRADES)}, or any name with a stoichiometry")
    stoichiometry: dict[Metal, Annotated[float, Field(gt=0, le=1)]] | None = Field(
        None, description="metal fractions that add to 1, for a grade of your own"
    )
    formula_units: FormulaUnits | None = Field(
        None, description="LiMO2 units in the cell (4 atoms each); null: the section's"
    )
    decorations: Decorations = Field(1, description="arrangements of the metals, one parent each")
    decoration: Annotated[int, Between(0, 999, "decorations count from 0")] | None = Field(
        None, description="one arrangement alone, counted from 0; null: the first decorations"
    )
    li_content: list[float] = Field(
        [1.0], min_length=1, max_length=200, description="Li per formula unit left in the Li layer"
    )
    li_ordering: Literal["ewald", "chgnet", "random"] = Field(
        "ewald", description="how the Li sites to empty are chosen"
    )
    defects: list[Defect] = Field([Defect()], min_length=1, description="each entry makes one cell")
    relaxation: Relaxation | None = Field(
        None, description="how its cells are relaxed; null: the section's"
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


class OwnStructures(Section):
    """Structures of your own, read from files instead of built."""

    file: str = Field(
        min_length=1,
        description="file (CIF, POSCAR, XYZ with many frames, pymatgen or ASE JSON), pattern or "
        "folder of such files, or a table `id, file, group, <labels>` (.csv)",
    )
    relax: Literal["none", "ions", "cell"] = Field(
        "none", description="what CHGNet relaxes: nothing, the ions, or ions and cell"
    )
    group: Name | None = Field(
        None,
        description="group that is never split across folds; null: per file and composition",
    )
    moments: Literal["auto", "file", "chgnet"] | dict[str, float] = Field(
        "auto",
        description="magnetic moments to start from (Bohr magnetons): those of the file, "
        "CHGNet's, or one per element; auto: the file's where it has them, else CHGNet's",
    )
    anions_per_formula_unit: float = Field(
        2.0, gt=0, le=100, description="anions that contents are counted per, e.g. 2 for LiMO2"
    )
    formula_units: float | None = Field(
        None, gt=0, le=1000, description="formula units in the cell; null: counted by anions"
    )
    labels: dict[Name, float] = Field(
        {}, description="labels that replace or extend those counted from the cell"
    )


class Structures(Section):
    """Which crystals are built or read."""

    seed: Seed = Field(1, description="seed of every random choice in this stage")
    formula_units: FormulaUnits = Field(4, description="LiMO2 units in a cell, 4 atoms each")
    relaxation: Relaxation = Relaxation()
    series: list[Series] = Field([], description="layered compositions to build")
    files: list[OwnStructures] = Field([], description="structures of your own, from files")

    @model_validator(mode="after")
    def _can_be_planned(self) -> Structures:
        number = sum(s.decorations * len(s.li_content) * len(s.defects) for s in self.series)
        if number > MOST_STRUCTURES:
            raise ValueError(
                f"they ask for {number} structures|ask for at most {MOST_STRUCTURES} in one run: "
                "every file of each is planned before the first is made|series"
            )
        return self

    @model_validator(mode="after")
    def _fits_the_cell(self) -> Structures:
        if not self.series and not self.files:
            raise ValueError("no structure is asked for|give series, files or both|series")
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
            f"{series.grade} has no {defect.vacancy_next_to} for a vacancy to be next to"
            f"|use one of {', '.join(series.metals())}"
        )


def smallest_fitting_cell(fractions: dict[str, float]) -> int:
    """Smallest number of formula units with whole metal counts (denominators up to 60)."""
    return lcm(*(Fraction(value).limit_denominator(60).denominator for value in fractions.values()))
