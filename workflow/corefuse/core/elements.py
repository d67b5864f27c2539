"""The elements that corefuse knows: one entry per element, with the source of each number.

Adding an element is one entry here, the grid of its edges in ``resources/edges.yaml`` and, if its
L2,3 edge is to be solved as multiplets, its ions in ``resources/multiplet.yaml``.

Magnetic moments tell oxidation states. The cuts are placed between the clusters of moments that
each source gives for compounds of known oxidation state:

- CHGNet with r2SCAN weights (Deng et al., Nature Machine Intelligence 5, 1031 (2023)) on relaxed
  layered oxides, this project: Ni4+ 0.0 to 0.2, Ni3+ 0.75 to 0.85, Ni2+ 1.45 to 1.7; Mn4+ 2.7 to
  2.9, Mn3+ 3.7, Mn2+ 4.5; Co3+ 0.0 to 0.1, Co4+ 0.7 Bohr magnetons.
- GPAW with PBE+U keeps more moment on oxidised nickel: Ni4+ up to 0.7, Ni3+ 0.8 to 1.6; its Mn
  is at 3.0 (MnO2, SrMnO3), 3.8 (LaMnO3) and 4.5 (MnO). Between Ni3+ and Ni2+ it shows no gap.
- Cr, Fe, V, Ti and Cu have no cluster of ours yet: their cuts lie half way between the high-spin
  moments of the free ions, 2S, of which covalency takes some 10 % (e.g. 3.7 of 4 for Fe2+ and 4.2
  of 5 for Fe3+ in PBE+U; Zhou et al., Phys. Rev. B 70, 235121 (2004), olivine LiFePO4 and FePO4).

Hubbard U (eV, on the 3d shell): the values of the Materials Project, fitted to oxide formation
energies (Jain et al., Phys. Rev. B 84, 045115 (2011)); none there for Ti and Cu.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import Literal

MomentSource = Literal["gpaw", "chgnet"]
# One unpaired electron on Co: low-spin 4+ in a cell short of electrons, else low-spin 2+.
Valence = int | tuple[int, int]  # (in an oxidised cell, in any other)
Cuts = tuple[tuple[float, Valence], ...]  # largest moment (Bohr magnetons) of each valence


@dataclass(frozen=True)
class Element:
    """What is known of an element.

    Attributes
    ----------
    charge
        The one oxidation state it has in oxides; None where moments decide.
    cuts
        Source of moments -> (largest moment, valence) in the order of the moments.
    hubbard_u_ev
        U on the 3d shell; None for none.
    layered_charges
        Of a metal of layered LiMO2: its charge at full lithium and the highest that delithiation
        gives it; None for an element that is no such metal.
    oxidation_order
        Which metal of a layered cell gives up electrons first (the smallest number).
    ions
        Valences with an entry in ``resources/multiplet.yaml``.
    """

    symbol: str
    charge: int | None = None
    cuts: dict[MomentSource, Cuts] = field(default_factory=dict)
    hubbard_u_ev: float | None = None
    layered_charges: tuple[float, float] | None = None
    oxidation_order: int = 0
    ions: tuple[int, ...] = ()


def _both(cuts: Cuts) -> dict[MomentSource, Cuts]:
    return {"chgnet": cuts, "gpaw": cuts}


_LISTED = (
    Element("O", charge=-2),
    Element("Li", charge=1),
    Element(
        "Ni",
        # these GPAW cuts make 22 of 24 stored layered cells neutral (tests/test_valence.py) and
        # leave two 0.1 and 0.25 charges per metal off; 0.55 and 1.40 made 14 of them neutral
        cuts={
            "chgnet": ((0.45, 4), (1.10, 3), (inf, 2)),
            "gpaw": ((0.75, 4), (1.65, 3), (inf, 2)),
        },
        hubbard_u_ev=6.2,
        layered_charges=(2.0, 4.0),
        oxidation_order=2,
        ions=(2, 3, 4),
    ),
    Element(
        "Mn",
        cuts={
            "chgnet": ((3.30, 4), (4.10, 3), (inf, 2)),
            "gpaw": ((3.35, 4), (4.15, 3), (inf, 2)),
        },
        hubbard_u_ev=3.9,
        layered_charges=(3.0, 4.0),
        oxidation_order=1,
        ions=(2, 3, 4),
    ),
    Element(
        "Co",
        # no unpaired electron (low-spin 3+), one (4+ or low-spin 2+), three (high-spin 2+: 2.6 to
        # 2.8), four (high-spin 3+: 3.0 to 3.2)
        cuts=_both(((0.40, 3), (1.50, (4, 2)), (2.90, 2), (inf, 3))),
        hubbard_u_ev=3.32,
        layered_charges=(3.0, 4.0),
        oxidation_order=3,
        ions=(2, 3, 4),
    ),
    *(
        Element(symbol, charge=charge)
        for symbol, charge in (("Na", 1), ("Mg", 2), ("Al", 3), ("Si", 4), ("P", 5))
    ),
    Element("Ti", cuts=_both(((0.50, 4), (1.40, 3), (inf, 2)))),
    Element("V", cuts=_both(((0.50, 5), (1.45, 4), (2.40, 3), (inf, 2))), hubbard_u_ev=3.25),
    Element("Cr", cuts=_both(((1.00, 6), (2.55, 4), (3.30, 3), (inf, 2))), hubbard_u_ev=3.7),
    Element("Fe", cuts=_both(((3.30, 4), (3.95, 2), (inf, 3))), hubbard_u_ev=5.3, ions=(2, 3)),
    Element("Cu", cuts=_both(((0.30, 1), (inf, 2)))),
)
ELEMENTS: dict[str, Element] = {element.symbol: element for element in _LISTED}
CHARGES: dict[str, int] = {s: e.charge for s, e in ELEMENTS.items() if e.charge is not None}
