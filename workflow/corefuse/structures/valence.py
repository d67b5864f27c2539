"""Valence and spin state of every metal site from its magnetic moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from corefuse.config import METALS

Source = Literal["gpaw", "chgnet"]

# Largest moment (Bohr magnetons) of each valence, highest valence first. CHGNet r2SCAN: between the
# clusters seen, Ni 0.0-0.2 / 0.75-0.85 / 1.45-1.7, Mn 2.7-2.9 / 3.7 / 4.5
# (../shared/notes/structures.md). GPAW's PBE+U leaves more moment on Ni3+ (0.8 to 1.6) and Ni4+ (up
# to 0.7). Its Mn are clusters too: 3.0 (MnO2, SrMnO3), 3.8 (LaMnO3), 4.5 (MnO). Its Ni has no gap
# between 3+ and 2+: these cuts make 22 of 24 stored cells (tests/test_valence.py) neutral and
# leave two 0.1 and 0.25 charges a metal off; 0.55 and 1.40 made 14 of them neutral.
CUTS: dict[Source, dict[str, tuple[tuple[float, int], ...]]] = {
    "chgnet": {
        "Ni": ((0.45, 4), (1.10, 3), (np.inf, 2)),
        "Mn": ((3.30, 4), (4.10, 3), (np.inf, 2)),
    },
    "gpaw": {
        "Ni": ((0.75, 4), (1.65, 3), (np.inf, 2)),
        "Mn": ((3.35, 4), (4.15, 3), (np.inf, 2)),
    },
}
# Co below the first has no unpaired electron (low-spin 3+), up to the second one (4+ or low-spin
# 2+), up to the third three (high-spin 2+: 2.6-2.8), above four (high-spin 3+: 3.0-3.2).
CO_CUTS = (0.40, 1.50, 2.90)
CLOSE_EV = 0.1  # two spin states nearer than this are within the model's error
CHARGES = {"Li": 1, "O": -2}  # of what is no metal of CUTS
MOST_RESIDUAL = (
    0.25  # charges a metal; above it valences are doubtful (../shared/notes/structures.md)
)


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
    oxidised = (
        2 * oxygen - lithium > 3 * metals
    )  # as corefuse.structures.relax: Ni is oxidised before Co
    return [
        of_site(e, m, source, oxidised, spins) if e in METALS else None
        for e, m in zip(elements, moments_mub, strict=True)
    ]


def charge_doubt(elements: Sequence[str], found: Sequence[SiteIon | None]) -> str:
    """Says where a cell of these ions is far from neutral; empty where not.

    Empty too where there are no metals, or elements beside them, lithium and oxygen.
    """
    metals = [ion for ion in found if ion]
    others = [e for e, ion in zip(elements, found, strict=True) if ion is None]
    if not metals or not set(others) <= set(CHARGES):
        return ""
    charge = sum(ion.valence for ion in metals) + sum(CHARGES[e] for e in others)
    if abs(charge) <= MOST_RESIDUAL * len(metals):
        return ""
    return f"valences from moments leave {charge / len(metals):+.2f} charges a metal: doubtful"


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
