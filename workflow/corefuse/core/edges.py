"""The edges corefuse knows, and how an edge taken with a technique is named.

Everything here is naming; energies, grids and references are data in ``resources/edges.yaml``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Edge:
    """A core-level edge: ``element`` absorbs from ``core_orbital`` (one or two ``levels``)."""

    name: str
    element: str
    core_orbital: str  # as in a PAW dataset: 1s or 2p
    levels: tuple[str, ...]  # as in xraydb, lowest energy first
    superposed: str = ""  # edges measured on top of it that are not simulated, and who found that

    @property
    def id(self) -> str:
        """File-name-safe name, e.g. ``Mn_L23``."""
        return self.name.replace(" ", "_").replace(",", "")

    @property
    def final_l(self) -> int:
        """Angular momentum of the dipole-allowed channel that is plotted: p for K, d for L2,3."""
        return 1 if self.core_orbital == "1s" else 2


LI_K_SUPERPOSED = (
    "M2,3 of Mn (49 eV), Co (60 eV) and Ni (68 eV) lie on its exciton at 62 eV (Saitoh et al., "
    "Phys. Chem. Chem. Phys. 20, 25052 (2018), doi 10.1039/c8cp03390k): in measured LiNiO2 the two "
    "could not be distinguished (J. Phys. Chem. B 109, 10749 (2005), doi 10.1021/jp050486b)"
)


def _k(element: str, superposed: str = "") -> Edge:
    return Edge(f"{element} K", element, "1s", ("K",), superposed)


def _l23(element: str) -> Edge:
    return Edge(f"{element} L2,3", element, "2p", ("L3", "L2"))


EDGES: dict[str, Edge] = {
    e.name: e
    for e in (
        _k("O"),
        _k("Li", LI_K_SUPERPOSED),
        *(_l23(m) for m in ("Mn", "Co", "Ni")),
        *(_k(m) for m in ("Mn", "Co", "Ni")),
        *(_l23(m) for m in ("Ti", "V", "Cr", "Fe", "Cu")),
        *(_k(e) for e in ("Ti", "V", "Cr", "Fe", "Cu", "Na", "Mg", "Al", "Si", "P")),
    )
}
TECHNIQUES = ("XAS", "EELS")


def modality_id(edge: str, technique: str) -> str:
    """``('Mn L2,3', 'XAS') -> 'Mn_L23-XAS'``."""
    return f"{EDGES[edge].id}-{technique}"


def shift_std_name(modality: str) -> str:
    """Beside a modality in ``spectra/<id>.nc``: by how many eV a deviation of the gain moves it."""
    return f"{modality}_shift_std_ev"


def split_modality(modality: str) -> tuple[Edge, str]:
    """Inverse of :func:`modality_id`."""
    edge_id, technique = modality.rsplit("-", 1)
    return next(e for e in EDGES.values() if e.id == edge_id), technique
