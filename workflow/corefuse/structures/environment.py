"""The surroundings of single sites: what a spectrum of one site can tell.

A new local target is one entry of :data:`LOCAL_TARGETS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pymatgen.core import Structure

BOND_ANGSTROM = 2.65  # between the first metal-oxygen shell (up to 2.4) and the next (3.5)
SHELL_ANGSTROM = 3.4  # nearest cations in layered oxides: 2.8 to 3.0; the next ones from 4.0


@dataclass(frozen=True)
class Surroundings:
    """One site: its oxidation state, bonds to oxygen (angstrom), nearest cations, vacancies.

    ``oxidation_state`` is None where the structure has no moments; ``vacancies`` counts the removed
    oxygen atoms within a bond of the site, None where nobody says what the crystal lacks.
    """

    element: str
    oxidation_state: float | None
    bonds_angstrom: tuple[float, ...]
    shell: tuple[str, ...]
    vacancies: int | None


@dataclass(frozen=True)
class LocalTarget:
    """One local quantity: its range, its label in figures, and how it follows from a site."""

    possible: tuple[float, float]
    label: str
    of: Callable[[Surroundings], float | None]


def _neighbours(element: str) -> LocalTarget:
    return LocalTarget(
        possible=(0.0, 12.0),
        label=f"{element} neighbours",
        of=lambda site: float(site.shell.count(element)),
    )


LOCAL_TARGETS: dict[str, LocalTarget] = {
    "oxidation_state": LocalTarget((0.0, 6.0), "oxidation state", lambda s: s.oxidation_state),
    "coordination_number": LocalTarget(
        (0.0, 12.0), "oxygen neighbours", lambda s: float(len(s.bonds_angstrom))
    ),
    "mean_bond_angstrom": LocalTarget(
        (1.5, 2.65),
        "mean metal-oxygen distance (angstrom)",
        lambda s: float(np.mean(s.bonds_angstrom)) if s.bonds_angstrom else None,
    ),
    **{f"n_{e.lower()}_shell": _neighbours(e) for e in ("Li", "Ni", "Mn", "Co")},
    "n_vacancies_shell": LocalTarget(
        (0.0, 6.0),
        "oxygen vacancies beside the site",
        lambda s: None if s.vacancies is None else float(s.vacancies),
    ),
}


def surroundings(structure: Structure, site: int) -> Surroundings:
    """What stands around one site of a structure of this workflow."""
    bonds, shell = [], []
    for neighbour in structure.get_neighbors(structure[site], SHELL_ANGSTROM):
        if neighbour.specie.symbol != "O":
            shell.append(neighbour.specie.symbol)
        elif neighbour.nn_distance < BOND_ANGSTROM:
            bonds.append(float(neighbour.nn_distance))
    states = structure.site_properties.get("oxidation_state")
    return Surroundings(
        structure[site].specie.symbol,
        None if states is None else float(states[site]),
        tuple(sorted(bonds)),
        tuple(shell),
        _vacancies(structure, site),
    )


def _vacancies(structure: Structure, site: int) -> int | None:
    if "defects" not in structure.properties:
        return None
    removed = [
        d["frac_coords"]
        for d in structure.properties["defects"]
        if d["kind"] == "oxygen_vacancy" and not d["after"]
    ]
    if not removed:
        return 0
    distance = structure.lattice.get_all_distances([structure[site].frac_coords], removed)[0]
    return int((distance < BOND_ANGSTROM).sum())


def table(structure: Structure, sites: list[int]) -> pd.DataFrame:
    """Local targets of some sites, one row per site; NaN where a target is not known."""
    found = [surroundings(structure, site) for site in sites]
    columns = {name: [target.of(s) for s in found] for name, target in LOCAL_TARGETS.items()}
    return pd.DataFrame({"site": sites} | columns).astype(dict.fromkeys(columns, float))
