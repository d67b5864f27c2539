"""Point defects as plain edits of an occupation, each with a record of what was done where.

Nothing is ever inferred from a relaxed structure: the record is the only source of a vacancy's
place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pymatgen.core import Structure

from corefuse.config import METALS, Defect
from corefuse.structures.layered import LI_LAYER, OXYGEN, TM_LAYER, VACANT, shuffled, sites_of

# Between the first cation-oxygen shell of the host (1.97 and 2.11 Angstrom) and the next (3.5).
FIRST_SHELL_ANGSTROM = 2.65


@dataclass(frozen=True)
class Edit:
    """One site that was changed.

    ``kind`` is oxygen_vacancy, antisite_pair (two edits a pair) or excess_ni; ``before`` and
    ``after`` are elements or ``""`` for an empty site; ``frac_coords`` are those of the ideal host
    at creation.
    """

    kind: str
    ideal_site: int
    before: str
    after: str
    frac_coords: tuple[float, float, float]


def insert(
    host: Structure, occupation: Sequence[str], defect: Defect, *key: object
) -> tuple[list[str], list[Edit]]:
    """Put the defects into an occupation: antisite pairs, then excess Ni, then vacancies.

    A pair is a Li and a Ni at the shortest distance there is, the cheapest exchange. Excess Ni
    takes the place of a Li, or of a hole where no Li is left; the metal layer stays full, as in
    Li(1-z)Ni(1+z)O2 (Rougier et al., Solid State Ionics 90, 83 (1996)).

    Raises
    ------
    ValueError
        The cell has no room for one of the defects.
    """
    occupation = list(occupation)
    edits: list[Edit] = []

    def put(kind: str, site: int, element: str) -> None:
        x, y, z = map(float, host[site].frac_coords)
        edits.append(Edit(kind, site, occupation[site], element, (x, y, z)))
        occupation[site] = element

    for k in range(defect.antisite_pairs):
        lithium, nickel = _nearest_pair(host, occupation, *key, "antisite", k)
        put("antisite_pair", lithium, "Ni")
        put("antisite_pair", nickel, "Li")
    for k in range(defect.excess_ni):
        put("excess_ni", _site_for_nickel(host, occupation, *key, "excess_ni", k), "Ni")
    for k in range(defect.oxygen_vacancies):
        near = defect.vacancy_next_to
        put("oxygen_vacancy", _oxygen_to_remove(host, occupation, near, *key, "vacancy", k), VACANT)
    return occupation, edits


def surely_fit(host: Structure, occupation: Sequence[str], defect: Defect) -> bool:
    """Whether the vacancies of a defect find room, wherever Li and the other defects go.

    An exchanged Ni leaves at most six oxygens behind. False: only :func:`insert` can tell.
    """
    places = len(_oxygens(host, occupation, defect.vacancy_next_to))
    return defect.oxygen_vacancies + 6 * defect.antisite_pairs <= places


def roles(host: Structure, occupation: Sequence[str], edits: Sequence[Edit]) -> list[str]:
    """Role of every host site: li_layer, tm_layer, oxygen, antisite or neighbour_of_vacancy.

    Neighbours are the cations (Li too) in the first shell of a removed oxygen, at creation. A
    misplaced atom is an antisite even there.
    """
    names = {LI_LAYER: "li_layer", TM_LAYER: "tm_layer", OXYGEN: "oxygen"}
    vacancies = [e.ideal_site for e in edits if e.kind == "oxygen_vacancy"]
    beside = {i for site in vacancies for i in first_shell(host, site)}
    out = []
    for i, sublattice in enumerate(host.site_properties["sublattice"]):
        misplaced = (sublattice == LI_LAYER and occupation[i] in METALS) or (
            sublattice == TM_LAYER and occupation[i] == "Li"
        )
        role = "neighbour_of_vacancy" if i in beside else names[sublattice]
        out.append("antisite" if misplaced else role)
    return out


def first_shell(host: Structure, site: int) -> list[int]:
    """Host sites within 2.65 Angstrom of a site, periodic images counted, itself left out."""
    coordinates = host.frac_coords
    distance = host.lattice.get_all_distances(coordinates[[site]], coordinates)[0]
    return [i for i, d in enumerate(distance) if d < FIRST_SHELL_ANGSTROM and i != site]


def _nearest_pair(host: Structure, occupation: Sequence[str], *key: object) -> tuple[int, int]:
    lithium = [i for i in sites_of(host, LI_LAYER) if occupation[i] == "Li"]
    nickel = [i for i in sites_of(host, TM_LAYER) if occupation[i] == "Ni"]
    if not lithium or not nickel:
        raise ValueError("no Li/Ni pair is left to exchange|use fewer antisite_pairs")
    coordinates = host.frac_coords
    distance = host.lattice.get_all_distances(coordinates[lithium], coordinates[nickel])
    nearest = np.argwhere(distance < distance.min() + 0.01)
    pick = shuffled([f"{lithium[a]} {nickel[b]}" for a, b in nearest], *key)[0]
    first, second = map(int, pick.split())
    return first, second


def _site_for_nickel(host: Structure, occupation: Sequence[str], *key: object) -> int:
    layer = shuffled(sites_of(host, LI_LAYER), *key)
    open_sites = [i for i in layer if occupation[i] == "Li"] or [
        i for i in layer if occupation[i] == VACANT
    ]
    if not open_sites:
        raise ValueError("the Li layer is full of Ni|use less excess_ni")
    return open_sites[0]


def _oxygen_to_remove(
    host: Structure, occupation: Sequence[str], next_to: str | None, *key: object
) -> int:
    oxygens = _oxygens(host, occupation, next_to)
    if not oxygens:
        raise ValueError(
            f"no oxygen next to {next_to or 'anything'} is left|use fewer oxygen_vacancies"
        )
    return shuffled(oxygens, *key)[0]


def _oxygens(host: Structure, occupation: Sequence[str], next_to: str | None) -> list[int]:
    oxygens = [i for i in sites_of(host, OXYGEN) if occupation[i] == "O"]
    if next_to is None:
        return oxygens
    return [i for i in oxygens if next_to in {occupation[j] for j in first_shell(host, i)}]
