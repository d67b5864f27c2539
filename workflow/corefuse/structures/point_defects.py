"""Point defects in any crystal: one structure per symmetry-distinct site.

Which sites are equivalent is spglib's answer on the crystal as it was read; a defect is then a
plain edit of that crystal with a record of what was done where. A generator of charged defects in
large supercells (pymatgen-analysis-defects) does more than this workflow can use, brings image
processing libraries, and leaves the choice of the cell to itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import spglib
from pymatgen.core import Structure

from corefuse.config import PointDefect

SYMMETRY_TOLERANCE_ANGSTROM = 0.01


@dataclass(frozen=True)
class Edited:
    """A crystal with one point defect: its label, what was done, and the atoms that are left.

    ``kept`` are the indices of the atoms before; ``structure`` has them in this order.
    """

    label: str
    structure: Structure
    kept: list[int]
    record: list[dict[str, object]]


def of_kind(structure: Structure, defect: PointDefect) -> Iterator[Edited]:
    """Every symmetry-distinct way to make a defect, in the order of the atoms.

    Raises
    ------
    ValueError
        ``problem|fix``: the crystal lacks an element that the defect needs.
    """
    for element in (defect.element, defect.partner):
        if element and element not in structure.symbol_set:
            raise ValueError(
                f"the crystal has no {element} for a {defect.kind}|drop the defect for this file"
            )
    for number, site in enumerate(distinct_sites(structure, defect.element), start=1):
        yield _edited(structure, defect, site, number)


def distinct_sites(structure: Structure, element: str) -> list[int]:
    """The first atom of every orbit of the space group that holds the element."""
    cell = (structure.lattice.matrix, structure.frac_coords, structure.atomic_numbers)
    found = spglib.get_symmetry_dataset(cell, symprec=SYMMETRY_TOLERANCE_ANGSTROM)
    orbit = range(len(structure)) if found is None else found.equivalent_atoms.tolist()
    of_element = [i for i, site in enumerate(structure) if site.specie.symbol == element]
    return list({orbit[i]: i for i in reversed(of_element)}.values())[::-1]


def nearest(structure: Structure, site: int, element: str) -> int:
    """The nearest atom of an element to a site, periodic images counted."""
    others = [i for i, s in enumerate(structure) if s.specie.symbol == element and i != site]
    distance = structure.lattice.get_all_distances(
        structure.frac_coords[[site]], structure.frac_coords[others]
    )[0]
    return others[int(np.argmin(distance.round(3)))]


def _edited(structure: Structure, defect: PointDefect, site: int, number: int) -> Edited:
    new = structure.copy()
    kept = list(range(len(structure)))
    changes: list[tuple[int, str]]
    if defect.kind == "vacancy":
        changes = [(site, "")]
        kept.remove(site)
        new.remove_sites([site])
        label = f"v{defect.element}{number}"
    elif defect.kind == "substitution":
        changes = [(site, defect.partner)]
        new.replace(site, defect.partner)
        label = f"{defect.partner}on{defect.element}{number}"
    else:
        other = nearest(structure, site, defect.partner)
        changes = [(site, defect.partner), (other, defect.element)]
        for index, element in changes:
            new.replace(index, element)
        label = f"as{defect.element}{defect.partner}{number}"
    return Edited(label, new, kept, [_record(structure, defect, i, after) for i, after in changes])


def _record(structure: Structure, defect: PointDefect, site: int, after: str) -> dict[str, object]:
    """As the records of layered cells: kind, site, what it held before and holds now, its place."""
    before = structure[site].specie.symbol
    kind = "oxygen_vacancy" if defect.kind == "vacancy" and before == "O" else defect.kind
    place: Sequence[float] = [float(x) for x in structure[site].frac_coords]
    return {
        "kind": kind,
        "ideal_site": site,
        "before": before,
        "after": after,
        "frac_coords": list(place),
    }
