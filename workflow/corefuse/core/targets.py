"""What can be learned about a structure: one entry per target.

A new target is one entry here: its column in ``structures/index.csv``, its mixing, limits, label
and place among the choices of the config follow from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from corefuse.core.elements import CHARGES

# Largest distance of oxygen to a missing one whose octahedra it shares: 2.6 to 2.9 angstrom in
# layered oxides, 3.1 across the Li layer.
BESIDE_VACANCY_ANGSTROM = 3.0
NICKEL_STATES = (2.0, 4.0)  # formal oxidation states of Ni in layered oxides


@dataclass(frozen=True)
class Cell:
    """What targets are computed from: one entry per atom in ``elements`` and what follows it.

    ``sublattices`` (``Li``, ``M``, ``O``) and ``beside_vacancy`` are None where the host is not
    known, as in a structure of the user; ``oxidation_states`` where there are no moments.
    """

    elements: Sequence[str]
    formula_units: float
    sublattices: Sequence[str] | None = None
    beside_vacancy: Sequence[bool] | None = None
    oxidation_states: Sequence[int] | None = None

    def per_formula_unit(self, element: str) -> float:
        """Atoms of an element per formula unit."""
        return list(self.elements).count(element) / self.formula_units


Row = Mapping[str, Any]  # of structures/index.csv
Mix = Callable[[float, Row, Row], float]  # share of the first in formula units, the two parts


@dataclass(frozen=True)
class TargetEntry:
    """One target.

    Attributes
    ----------
    kind
        ``regression``, or ``class`` of a label 0 or 1.
    possible
        Lowest and highest value that physics allows.
    label
        What figures print.
    of
        Value of a structure, None where it is not known or not defined.
    mix
        Value of a mixture of two structures of one parent.
    about
        What the target is, in one sentence.
    defect
        The defect it measures, if any.
    derived
        Whether other targets decide it: the oxidation state of Ni follows from contents and
        vacancies.
    """

    kind: Literal["regression", "class"]
    possible: tuple[float, float]
    label: str
    of: Callable[[Cell], float | None]
    mix: Mix
    about: str
    defect: Literal["vacancy", "antisite"] | None = None
    derived: bool = False


def _content(element: str, most: float) -> TargetEntry:
    name = f"x_{element.lower()}"
    return TargetEntry(
        kind="regression",
        possible=(0.0, most),
        label=f"{element} per f.u.",
        of=lambda cell: cell.per_formula_unit(element),
        mix=_by_formula_units(name),
        about=f"{element} atoms per formula unit, on whichever sites",
    )


def _by_formula_units(name: str) -> Mix:
    return lambda share, a, b: share * a[name] + (1 - share) * b[name]


def _by_atoms(name: str, atoms: Callable[[Row], float]) -> Mix:
    """A mean over atoms: each part counts by the atoms it brings."""

    def mixed(share: float, a: Row, b: Row) -> float:
        first, second = share * atoms(a), (1 - share) * atoms(b)
        parts = [(w, row[name]) for w, row in ((first, a), (second, b)) if w > 0]
        total = sum(weight for weight, _ in parts)
        return sum(weight * value for weight, value in parts) / total if total else float("nan")

    return mixed


def _either(name: str) -> Mix:
    return lambda share, a, b: max(a[name], b[name])


def _vacancies(cell: Cell) -> int | None:
    if cell.sublattices is None:
        return None
    return round(2 * cell.formula_units) - list(cell.sublattices).count("O")


def _antisites(cell: Cell) -> int | None:
    if cell.sublattices is None:
        return None
    return list(zip(cell.sublattices, cell.elements, strict=True)).count(("Li", "Ni"))


def _share(count: int | None, whole: float) -> float | None:
    return None if count is None or not whole else count / whole


def _present(count: int | None) -> float | None:
    return None if count is None else float(count > 0)


def _beside_vacancy(cell: Cell) -> float | None:
    if cell.beside_vacancy is None:
        return None
    oxygen = [b for e, b in zip(cell.elements, cell.beside_vacancy, strict=True) if e == "O"]
    return _share(sum(oxygen), len(oxygen))


def _nickel_state(cell: Cell) -> float | None:
    """Charge that the others leave to nickel, cut to what it can take; None without nickel.

    Mn and Co have the oxidation states of their moments, Li and O their only ones.
    """
    nickel = list(cell.elements).count("Ni")
    if not nickel or cell.oxidation_states is None:
        return None
    others = sum(
        CHARGES.get(e) or state
        for e, state in zip(cell.elements, cell.oxidation_states, strict=True)
        if e != "Ni"
    )
    low, high = NICKEL_STATES
    return min(max(-others / nickel, low), high)


# Places in one LiMO2 unit: one Li-layer site, one M site, two O. Li and Ni fit on both cation
# sites, Mn and Co on M only.
TARGET_TABLE: dict[str, TargetEntry] = {
    "x_li": _content("Li", 2.0),
    "x_ni": _content("Ni", 2.0),
    "x_mn": _content("Mn", 1.0),
    "x_co": _content("Co", 1.0),
    "v_o_fraction": TargetEntry(
        kind="regression",
        possible=(0.0, 2.0),
        label="O vacancies per f.u.",
        of=lambda cell: _share(_vacancies(cell), cell.formula_units),
        mix=_by_formula_units("v_o_fraction"),
        about="oxygen vacancies per formula unit",
        defect="vacancy",
    ),
    "antisite_fraction": TargetEntry(
        kind="regression",
        possible=(0.0, 1.0),
        label="antisites per f.u.",
        of=lambda cell: _share(_antisites(cell), cell.formula_units),
        mix=_by_formula_units("antisite_fraction"),
        about="Ni on Li-layer sites per formula unit",
        defect="antisite",
    ),
    "ni_oxidation_state": TargetEntry(
        kind="regression",
        possible=NICKEL_STATES,
        label="mean Ni oxidation state",
        of=_nickel_state,
        mix=_by_atoms("ni_oxidation_state", lambda row: row["x_ni"]),
        about="mean formal oxidation state of Ni, from the charge balance of the cell with the "
        "oxidation states of Mn and Co by their moments",
        derived=True,
    ),
    "o_beside_vacancy": TargetEntry(
        kind="regression",
        possible=(0.0, 1.0),
        label="share of O beside a vacancy",
        of=_beside_vacancy,
        mix=_by_atoms("o_beside_vacancy", lambda row: 2 - row["v_o_fraction"]),
        about="share of the oxygen atoms within 3 angstrom of a missing one",
        defect="vacancy",
    ),
    "ni_in_li_layer": TargetEntry(
        kind="regression",
        possible=(0.0, 1.0),
        label="share of Ni in the Li layer",
        of=lambda cell: _share(_antisites(cell), list(cell.elements).count("Ni")),
        mix=_by_atoms("ni_in_li_layer", lambda row: row["x_ni"]),
        about="share of the Ni atoms that stand on Li-layer sites",
        defect="antisite",
    ),
    "v_o_present": TargetEntry(
        kind="class",
        possible=(0.0, 1.0),
        label="O vacancy present",
        of=lambda cell: _present(_vacancies(cell)),
        mix=_either("v_o_present"),
        about="whether any oxygen is missing",
        defect="vacancy",
    ),
    "antisite_present": TargetEntry(
        kind="class",
        possible=(0.0, 1.0),
        label="antisite present",
        of=lambda cell: _present(_antisites(cell)),
        mix=_either("antisite_present"),
        about="whether any Ni stands on a Li-layer site",
        defect="antisite",
    ),
}


def values(cell: Cell) -> dict[str, float | None]:
    """Every target of a structure; None where it is not known or not defined."""
    return {name: entry.of(cell) for name, entry in TARGET_TABLE.items()}


def truth(row: Row) -> dict[str, float]:
    """Targets that a row of ``structures/index.csv`` knows."""
    known = {name: float(row[name]) for name in TARGET_TABLE if row.get(name) is not None}
    return {name: value for name, value in known.items() if value == value}  # NaN is not known
