"""The design of the reference library: which cells, and in which order they are computed.

``python -m corefuse.plan.design config/reference.yaml`` writes its list of series anew.

A parent is one arrangement of the metals of one composition. Every parent has one pristine cell,
one with a vacancy, one with Li/Ni exchange, one with both and a fifth in turn, each at another Li
content. Parents come in an order that fills the triangle of the metals from the start, and the
cells of all parents in passes: first one of each parent, then a second one. Li content and defect
go round with 5 and 4 steps, so that all pairs of them occur equally often, in every part of the
triangle and in every beginning of the list: no content foretells a defect.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from corefuse.core import files
from corefuse.core.vocabulary import METALS
from corefuse.structures.layered import shuffled, stream_seed

PASSES = 5  # cells of a parent
KINDS = ("pristine", "vacancy", "antisite", "both")
# Eighths of Ni, Mn and Co. All of them, but Ni-free cells can't have Ni in the Li layer, which
# tells what they lack: five of those are enough to reach the Mn-Co side.
EIGHTHS = [(ni, mn, 8 - ni - mn) for ni in range(1, 9) for mn in range(9 - ni)]
NICKEL_FREE = [(0, 8, 0), (0, 6, 2), (0, 4, 4), (0, 2, 6), (0, 0, 8)]
SECOND_ARRANGEMENT = [
    *((4, 2, 2), (2, 4, 2), (2, 2, 4), (6, 1, 1), (5, 2, 1), (5, 1, 2), (4, 3, 1)),
    *((4, 1, 3), (3, 3, 2), (3, 2, 3), (2, 3, 3), (3, 4, 1), (3, 1, 4), (1, 3, 4)),
]
# The grades by their names need 10 formula units, NMC111 a multiple of 3.
NAMED = {"NMC532": (5, 3, 2), "NMC622": (6, 2, 2), "NMC721": (7, 2, 1), "NMC811": (8, 1, 1)}
NAMED_ARRANGEMENTS = 2
NMC111, NMC111_ARRANGEMENTS = (3, 3, 3), 3
SAME_COMPOSITION = 0.12  # distance that a second arrangement of a composition counts as


@dataclass(frozen=True)
class Parent:
    """One arrangement of the metals: grade, atoms of Ni, Mn and Co in the cell, its number."""

    grade: str
    metals: tuple[int, int, int]
    decoration: int

    @property
    def formula_units(self) -> int:
        """LiMO2 units in the cell."""
        return sum(self.metals)

    @property
    def fractions(self) -> tuple[float, ...]:
        """Ni, Mn and Co per formula unit."""
        return tuple(n / self.formula_units for n in self.metals)


def parents() -> list[Parent]:
    """Every parent, in an order of which each beginning covers the triangle.

    The first is NMC of 4/8 Ni; each next one is the farthest from those before it.
    """
    left = [Parent(_name(metals), metals, 0) for metals in (*EIGHTHS, *NICKEL_FREE)]
    left += [Parent(_name(metals), metals, 1) for metals in SECOND_ARRANGEMENT]
    left += [Parent(g, m, d) for g, m in NAMED.items() for d in range(NAMED_ARRANGEMENTS)]
    left += [Parent("NMC111", NMC111, d) for d in range(NMC111_ARRANGEMENTS)]
    order = shuffled(range(len(left)), "parents")  # who comes first of those that are equally far
    left = [left[i] for i in order]
    found = [next(p for p in left if p.metals == (4, 2, 2))]
    left.remove(found[0])
    while left:
        farthest = max(left, key=lambda p: round(min(_distance(p, q) for q in found), 6))
        found.append(farthest)
        left.remove(farthest)
    return found


def series() -> list[dict[str, Any]]:
    """One entry of ``structures.series`` for each cell, in the order to compute them in."""
    return [cell(p, number, k) for k in range(PASSES) for number, p in enumerate(parents())]


def cell(parent: Parent, number: int, turn: int) -> dict[str, Any]:
    """The cell of a parent, the ``number``-th of the list, in the pass ``turn``."""
    units = parent.formula_units
    kind = KINDS[(number + (turn if turn < len(KINDS) else number // len(KINDS))) % len(KINDS)]
    stratum = (2 * number + 2 * turn) % PASSES
    share = (stratum + _van_der_corput(number)) / PASSES
    n_li = min(int(share * (units + 1)), units)
    entry: dict[str, Any] = {
        "grade": parent.grade,
        "stoichiometry": {
            metal: round(x, 6) for metal, x in zip(METALS, parent.fractions, strict=True) if x
        },
        "formula_units": units,
        "decoration": parent.decoration,
        "li_content": [round(n_li / units, 6)],
    }
    if (number + turn) % 3 == 0 and 0 < n_li < units:
        entry["li_ordering"] = "random"
    if defect := _defect(parent, kind, n_li, number + turn):
        entry["defects"] = [defect]
    return entry


def _defect(parent: Parent, kind: str, n_li: int, count: int) -> dict[str, Any]:
    """Defects of that kind; those that the cell has the atoms for."""
    found: dict[str, Any] = {}
    if kind in ("vacancy", "both"):
        present = [metal for metal, n in zip(METALS, parent.metals, strict=True) if n]
        near = stream_seed("next to", parent.grade, parent.decoration, count) % len(present)
        found = {"oxygen_vacancies": 1, "vacancy_next_to": present[near]}
    if kind in ("antisite", "both") and parent.metals[0]:
        pairs = 2 if count // 4 % 4 == 1 and min(parent.metals[0], n_li) > 1 else 1
        excess = n_li == 0 or count // 4 % 6 == 0
        found |= {"excess_ni": 1} if excess else {"antisite_pairs": pairs}
    return found


def _name(metals: tuple[int, int, int]) -> str:
    alone = dict(zip(metals, METALS, strict=True)).get(sum(metals))
    if alone:
        return f"Li{alone}O2"
    return "".join(f"{m[0]}{n}" for m, n in zip(METALS, metals, strict=True) if n)


def _distance(a: Parent, b: Parent) -> float:
    """Between two compositions; another arrangement of the same one is not quite the same."""
    squares = sum((x - y) ** 2 for x, y in zip(a.fractions, b.fractions, strict=True))
    return max(squares**0.5, SAME_COMPOSITION)


def _van_der_corput(number: int) -> float:
    """Numbers in [0, 1) that fill it evenly: 0, 1/2, 1/4, 3/4, 1/8, ..."""
    value, digit = 0.0, 0.5
    while number:
        value += digit * (number % 2)
        number, digit = number // 2, digit / 2
    return value


def yaml_lines(entries: Iterable[dict[str, Any]]) -> Iterator[str]:
    """One line an entry."""
    for entry in entries:
        text = yaml.safe_dump(entry, default_flow_style=True, sort_keys=False, width=10**6)
        yield f"    - {text.strip()}\n"


def main(config_file: str) -> int:
    """Put the list into a config file, in place of the lines that follow ``series:``."""
    lines = Path(config_file).read_text().splitlines(keepends=True)
    start = next(i for i, line in enumerate(lines) if line.strip() == "series:") + 1
    stop = next(i for i in range(start, len(lines)) if not lines[i].startswith("    -"))
    with files.atomic(config_file) as partial:
        partial.write_text("".join([*lines[:start], *yaml_lines(series()), *lines[stop:]]))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
