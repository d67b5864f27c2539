"""Valence and spin state of every metal site from its magnetic moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from corefuse.config import METALS

Source = Literal["gpaw", "chgnet"]

# Largest moment (Bohr magnetons) of each valence, highest first, between the clusters seen.
# CHGNet r2SCAN (../shared/notes/structures.md): Ni 0.0-0.2 / 0.75-0.85 / 1.45-1.7, Mn 2.7-2.9 / 3.7
# / 4.5. GPAW, PBE+U: Ni 1.0-1.2 (3+) and 1.6-1.8 (2+), Mn 3.0 (4+), 3.7 (3+), 4.5 (2+) in
# tests/reference; Ni4+ without a moment.
CUTS: dict[Source, dict[str, tuple[tuple[float, int], ...]]] = {
    "chgnet": {
        "Ni": ((0.45, 4), (1.10, 3), (np.inf, 2)),
        "Mn": ((3.30, 4), (4.10, 3), (np.inf, 2)),
    },
    "gpaw": {
        "Ni": ((0.55, 4), (1.40, 3), (np.inf, 2)),
        "Mn": ((3.35, 4), (4.15, 3), (np.inf, 2)),
    },
}
# Co below the first has no unpaired electron (low-spin 3+), up to the second one (4+ or low-spin
# 2+), up to the third three (high-spin 2+: 2.6-2.8), above four (high-spin 3+: 3.0-3.2).
CO_CUTS = (0.40, 1.50, 2.90)
CLOSE_EV = 0.1  # two spin states nearer than this are within the model's error


@dataclass(frozen=True)
class SiteIon:
    """What stands on a site: ``Ni3+`` with total spin S, and the moment that says so."""

    element: str
    valence: int
    spin: float
    moment_mub: float

    @property
    def name(self) -> str:
        """As in the parameter table, e.g. ``Mn4+``."""
        return f"{self.element}{self.valence}+"


def of_site(
    element: str,
    moment_mub: float,
    source: Source,
    oxidised: bool,
    spins: dict[str, Sequence[float]],
) -> SiteIon:
    """The ion of one metal site from its moment (sign ignored).

    ``oxidised`` decides Co with one unpaired electron: 4+ where the cell is short of electrons,
    else low-spin 2+. Of the ion's possible ``spins`` the one whose 2S is nearest to the moment is
    taken: S comes from the ground state of the solid and not from the model's.
    """
    moment = abs(moment_mub)
    valence = (
        _cobalt(moment, oxidised)
        if element == "Co"
        else next(v for largest, v in CUTS[source][element] if moment < largest)
    )
    spin = min(spins[f"{element}{valence}+"], key=lambda s: abs(2 * s - moment))
    return SiteIon(element, valence, spin, moment)


def of_sites(
    elements: Sequence[str],
    moments_mub: Sequence[float],
    source: Source,
    spins: dict[str, Sequence[float]],
) -> list[SiteIon | None]:
    """The ion of every site of a cell; None where there is no transition metal."""
    oxygen, lithium = elements.count("O"), elements.count("Li")
    metals = sum(e in METALS for e in elements)
    oxidised = 2 * oxygen - lithium > 3 * metals  # as corefuse.relax: Ni is oxidised before Co
    return [
        of_site(e, m, source, oxidised, spins) if e in METALS else None
        for e, m in zip(elements, moments_mub, strict=True)
    ]


def _cobalt(moment_mub: float, oxidised: bool) -> int:
    none, one, three = CO_CUTS
    if moment_mub < none:
        return 3
    if moment_mub < one:
        return 4 if oxidised else 2
    return 2 if moment_mub < three else 3


def doubts(ion: SiteIon, levels_ev: np.ndarray, spins: np.ndarray) -> list[str]:
    """What the model says against the spin state asked for, in words; nothing where it agrees.

    ``levels_ev`` and ``spins`` (n,) are the lowest initial levels. Two doubts: the model's ground
    state has another spin, or a state of another spin lies within 0.1 eV of the one asked for.
    """
    same = np.abs(spins - ion.spin) <= 0.5
    if not same.any():
        return [f"{ion.name}: no level with S = {ion.spin:g} among the lowest {len(spins)}"]
    lowest = levels_ev[same].min()
    others = levels_ev[~same]
    if not len(others) or others.min() - lowest > CLOSE_EV:
        return []
    nearest = int(np.argmin(np.where(same, np.inf, np.abs(levels_ev - lowest))))
    if others.min() < lowest - CLOSE_EV:
        return [
            f"{ion.name}: S = {ion.spin:g} as the moment {ion.moment_mub:.2f} asks, but the "
            f"model's ground state has S = {spins[np.argmin(levels_ev)]:.1f}, "
            f"{lowest - others.min():.2f} eV below"
        ]
    return [
        f"{ion.name}: S = {ion.spin:g} and S = {spins[nearest]:.1f} lie within "
        f"{abs(levels_ev[nearest] - lowest):.2f} eV"
    ]
