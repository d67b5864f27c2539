"""Oxidation and spin state of every metal site from its magnetic moment.

The one rule of the project: the structures carry these oxidation states, and the multiplet engine
solves these ions. The cuts are in :mod:`corefuse.core.elements`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from corefuse.core.elements import CHARGES, ELEMENTS, MomentSource

_METALS = frozenset(symbol for symbol, e in ELEMENTS.items() if e.cuts)
CLOSE_EV = 0.1  # two spin states nearer than this are within the model's error
# Charges per metal above which valences are doubtful: relaxed layered cells of known composition
# stay below it (tests/test_valence.py), a wrong valence in every fourth metal does not.
MOST_RESIDUAL = 0.25


@dataclass(frozen=True)
class SiteIon:
    """What is on a site: ``Ni3+`` with total spin S, and the moment that says so."""

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
    source: MomentSource,
    oxidised: bool,
    spins: dict[str, Sequence[float]],
) -> SiteIon:
    """The ion of one metal site from its moment (sign ignored).

    ``oxidised`` decides Co with one unpaired electron: 4+ where the cell is short of electrons,
    else low-spin 2+. Of the ion's possible ``spins`` the one whose 2S is nearest to the moment is
    taken: S comes from the ground state of the solid and not from the model's.
    """
    moment = abs(moment_mub)
    valence = of_moment(element, moment, source, oxidised)
    spin = min(spins[f"{element}{valence}+"], key=lambda s: abs(2 * s - moment))
    return SiteIon(element, valence, spin, moment)


def of_sites(
    elements: Sequence[str],
    moments_mub: Sequence[float],
    source: MomentSource,
    spins: dict[str, Sequence[float]],
) -> list[SiteIon | None]:
    """The ion of every site of a cell; None where there is no transition metal."""
    oxidised = is_oxidised(elements)
    return [
        of_site(e, m, source, oxidised, spins) if e in _METALS else None
        for e, m in zip(elements, moments_mub, strict=True)
    ]


def oxidation_states(
    elements: Sequence[str], moments_mub: Sequence[float], source: MomentSource
) -> list[int]:
    """Formal oxidation state of every atom from its moment (Bohr magnetons, sign ignored).

    Raises
    ------
    KeyError
        An element that is not in the table of elements.
    """
    oxidised = is_oxidised(elements)
    return [
        CHARGES[e] if e in CHARGES else of_moment(e, abs(m), source, oxidised)
        for e, m in zip(elements, moments_mub, strict=True)
    ]


def of_moment(element: str, moment_mub: float, source: MomentSource, oxidised: bool) -> int:
    """Valence of a metal with that unsigned moment; see :func:`of_site`."""
    cuts = ELEMENTS[element].cuts[source]
    valence = next(v for largest, v in cuts if moment_mub < largest)
    return valence if isinstance(valence, int) else valence[0 if oxidised else 1]


def is_oxidised(elements: Sequence[str]) -> bool:
    """Whether neutrality asks for a mean charge above 3+ of the metals.

    Ni gives up its electrons before Co does, so only then is Co with one unpaired electron 4+.
    """
    metals = sum(e in _METALS for e in elements)
    return -sum(CHARGES.get(e, 0) for e in elements) > 3 * metals


def charge_residual(elements: Sequence[str], states: Sequence[int]) -> float:
    """Sum of the oxidation states per metal; far from 0, the states are doubtful."""
    return sum(states) / sum(e in _METALS for e in elements)


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
    return f"valences from moments leave {charge / len(metals):+.2f} charges per metal: doubtful"


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
