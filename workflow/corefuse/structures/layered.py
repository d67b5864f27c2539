"""Layered LiMO2 hosts: the R-3m supercell, the metals on it, and the Li left in it.

A crystal under construction is a host (all ideal sites) and an ``occupation``: one element symbol
per host site, or ``VACANT``. Site indices therefore never shift while atoms come and go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from itertools import islice
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pymatgen.analysis.ewald import EwaldSummation
from pymatgen.core import Lattice, Structure

from corefuse.core.elements import ELEMENTS

VACANT = ""
LI_LAYER, TM_LAYER, OXYGEN = "Li", "M", "O"

# A cell between those of the grades, the metal at the origin: only where relaxation starts.
A_ANGSTROM = 2.87
C_ANGSTROM = 14.25
Z_OXYGEN = 0.2585

VECTORS_AT_ONCE = 20
LEAST_WIDTH = 0.7  # of the widest cell
PAIR_CUTOFF_ANGSTROM = 8.0
CANDIDATE_ARRANGEMENTS = 400
ORDERING_STARTS = 8

Item = TypeVar("Item", int, str)
Order = Literal["ewald", "chgnet", "random"]


def shuffled(items: Sequence[Item], *key: object) -> list[Item]:
    """Items in an order that depends on ``key`` alone, on any machine and version."""
    return sorted(items, key=lambda item: sha256(repr((*key, item)).encode()).digest())


def stream_seed(*key: object) -> int:
    """A 32-bit seed for a library's generator, from ``key`` alone."""
    return int.from_bytes(sha256(repr(key).encode()).digest()[:4], "big")


def hosts(formula_units: int) -> Iterator[Structure]:
    """R-3m supercells of LiCoO2 with this many formula units, the most isotropic first.

    All sublattices (Hermite normal forms; Santoro & Mighell, Acta Cryst. A28, 284 (1972)) in the
    order of their shortest vector, longest first, so that a defect is far from its images; cells
    much narrower than the best are left out. Sites come as Li layer, metal layer, oxygen; the
    site property ``sublattice`` says which.
    """
    for matrix in _supercells(_primitive_cell().lattice, formula_units):
        cell = _primitive_cell()
        cell.make_supercell(matrix, to_unit_cell=True)
        assert np.linalg.det(cell.lattice.matrix) > 0, "CHGNet needs a right-handed cell"
        yield cell


def sites_of(host: Structure, sublattice: str) -> list[int]:
    """Indices of the host sites on one sublattice."""
    return [i for i, s in enumerate(host.site_properties["sublattice"]) if s == sublattice]


def _primitive_cell() -> Structure:
    third, half = A_ANGSTROM / np.sqrt(3), A_ANGSTROM / 2
    rhombohedral = Lattice(
        [
            [half, third / 2, C_ANGSTROM / 3],
            [-half, third / 2, C_ANGSTROM / 3],
            [0, -third, C_ANGSTROM / 3],
        ]
    )
    heights = np.array([0.5, 0.0, Z_OXYGEN, 1 - Z_OXYGEN])
    return Structure(
        rhombohedral,
        ["Li", "Co", "O", "O"],
        np.outer(heights, np.ones(3)),
        site_properties={"sublattice": [LI_LAYER, TM_LAYER, OXYGEN, OXYGEN]},
    )


def _hermite_forms(determinant: int) -> Iterator[list[list[int]]]:
    divisors = [d for d in range(1, determinant + 1) if determinant % d == 0]
    for a in divisors:
        for d in (d for d in divisors if determinant % (a * d) == 0):
            f = determinant // (a * d)
            for b in range(d):
                for c in range(f):
                    for e in range(f):
                        yield [[a, b, c], [0, d, e], [0, 0, f]]


def _supercells(lattice: Lattice, determinant: int) -> Iterator[NDArray[np.int64]]:
    forms = np.array(list(_hermite_forms(determinant)))
    # Hermite: no lattice has a shortest vector longer than (sqrt(2) volume)^(1/3)
    reach = (np.sqrt(2) * lattice.volume * determinant) ** (1 / 3) + 1e-3
    points = lattice.get_points_in_sphere([[0, 0, 0]], [0, 0, 0], reach, zip_results=False)
    vectors, lengths = points[0][points[1] > 1e-3], points[1][points[1] > 1e-3]
    shortest = np.round(_shortest(forms, vectors, lengths), 4)
    for width in sorted({w for w in shortest if w >= LEAST_WIDTH * shortest.max()}, reverse=True):
        reduced = [
            Lattice(form @ lattice.matrix).get_lll_reduced_lattice().matrix
            for form in forms[shortest == width]
        ]
        for edges in sorted(reduced, key=lambda m: round(float(np.sum(m**2)), 4)):
            matrix = np.round(edges @ lattice.inv_matrix).astype(int)
            yield matrix if np.linalg.det(matrix) > 0 else -matrix


def _shortest(
    forms: NDArray[np.int64], vectors: NDArray[np.float64], lengths: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Length of the shortest of ``vectors`` (v, 3) that is in each sublattice (h, 3, 3): (h,).

    Short vectors are tried first, and each only in the sublattices that have none yet: most of
    the thousands of a large cell have a short one.
    """
    out, left, inverse = np.full(len(forms), np.inf), np.arange(len(forms)), np.linalg.inv(forms)
    for nearest in np.split(
        np.argsort(lengths, kind="stable"), range(VECTORS_AT_ONCE, len(lengths), VECTORS_AT_ONCE)
    ):
        in_basis = np.einsum("vi,hij->hvj", vectors[nearest], inverse[left])
        belongs = np.all(np.abs(in_basis - np.round(in_basis)) < 1e-6, axis=2)
        out[left] = np.where(belongs, lengths[nearest], np.inf).min(axis=1)
        left = left[~belongs.any(axis=1)]
    return out


def decorations(
    metals: dict[str, int], number: int, *key: object
) -> list[tuple[Structure, list[str]]]:
    """Hosts with the metal of each of their metal-layer sites, no two the same crystal.

    The distinct arrangements of the most isotropic cell come first, then those of the next cells.

    Raises
    ------
    ValueError
        ``problem|fix``: all cells together have fewer than ``number`` (one metal has one).
    """
    found = list(islice(_distinct_arrangements(metals, *key), number))
    if len(found) < number:
        cell = "".join(f"{metal}{n}" for metal, n in metals.items())
        raise ValueError(
            f"{number} decorations, but {cell} has {len(found)} distinct ones; a repeated crystal "
            f"would be trained and tested on|use {len(found)} or a larger cell"
        )
    return found


def arrangement_id(host: Structure, arrangement: Sequence[str]) -> str:
    """A name of the metals' arrangement, the same in every cell and orientation it is built in.

    It hashes the metal-metal pair counts up to 8 Angstrom per atom, so symmetry-equivalent
    arrangements share it, whatever the size of their cells.
    """
    counts = _pair_counts(arrangement, _pair_shells(host)[0])
    per_atom = counts // np.gcd.reduce(counts, axis=None)
    text = repr((sorted(set(arrangement)), per_atom.tolist()))
    return sha256(text.encode()).hexdigest()[:12]


def _distinct_arrangements(
    metals: dict[str, int], *key: object
) -> Iterator[tuple[Structure, list[str]]]:
    cells = hosts(sum(metals.values()))
    known: set[bytes] = set()
    for host in cells if len(metals) > 1 else islice(cells, 1):
        for fingerprint, arrangement in arrangements(host, metals, *key):
            if fingerprint not in known:
                known.add(fingerprint)
                yield host, arrangement


def arrangements(
    host: Structure, metals: dict[str, int], *key: object
) -> list[tuple[bytes, list[str]]]:
    """Arrangements of the metals on one host, the most random-alloy-like first.

    Seeded shuffles are distinguished by a fingerprint, their metal-metal pair counts up to
    8 Angstrom, so that no two are symmetry-equivalent. They are ranked as special quasirandom
    structures are (Zunger et al., Phys. Rev. Lett. 65, 353 (1990)): pair probabilities near the
    product of the concentrations, near shells weighing more (1/distance^2).
    """
    atoms = [metal for metal in sorted(metals) for _ in range(metals[metal])]
    pairs, distances = _pair_shells(host)
    concentration = np.array([metals[m] for m in sorted(metals)]) / len(atoms)
    random_alloy = np.outer(concentration, concentration)
    found: dict[bytes, tuple[float, list[str]]] = {}
    for k in range(CANDIDATE_ARRANGEMENTS):
        arrangement = [atoms[i] for i in shuffled(range(len(atoms)), *key, "metals", k)]
        counts = _pair_counts(arrangement, pairs)
        if counts.tobytes() not in found:
            probability = counts / counts.sum(axis=(1, 2), keepdims=True)
            misfit = np.abs(probability - random_alloy).sum(axis=(1, 2))
            score = round(float(np.sum(misfit / distances**2)), 9)
            found[counts.tobytes()] = (score, arrangement)
    ranked = sorted(found.items(), key=lambda item: item[1][0])
    return [(fingerprint, arrangement) for fingerprint, (_, arrangement) in ranked]


def _pair_shells(host: Structure) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    layer = Structure.from_sites([host[i] for i in sites_of(host, TM_LAYER)])
    first, second, _, distance = layer.get_neighbor_list(PAIR_CUTOFF_ANGSTROM)
    shells, shell = np.unique(np.round(distance, 2), return_inverse=True)
    pairs = np.zeros((len(shells), len(layer), len(layer)), dtype=np.int64)
    np.add.at(pairs, (shell, first, second), 1)
    return pairs, shells


def _pair_counts(arrangement: Sequence[str], pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pairs of each two metals, in alphabetical order, in each shell: (shell, metal, metal)."""
    elements = sorted(set(arrangement))
    one_hot = np.array([[m == a for m in elements] for a in arrangement], dtype=int)
    return np.einsum("ia,sij,jb->sab", one_hot, pairs, one_hot)


def lithium_sites(
    host: Structure,
    occupation: Sequence[str],
    n_li: int,
    ordering: Order,
    energy_ev: Callable[[list[str]], float],
    *key: object,
) -> list[int]:
    """Which sites of the Li layer keep their Li.

    Parameters
    ----------
    occupation
        Elements on the host with the Li layer full.
    ordering
        ``ewald``: lowest Coulomb energy of formal charges after greedy swaps from seeded starts;
        ``chgnet``: lowest ``energy_ev`` among those starts and minima; ``random``: the first start.
    energy_ev
        Energy of an occupation; called for ``chgnet`` only.
    """
    layer = sites_of(host, LI_LAYER)
    starts = [sorted(shuffled(layer, *key, "lithium", k)[:n_li]) for k in range(ORDERING_STARTS)]
    if ordering == "random" or n_li in (0, len(layer)):
        return starts[0]
    coulomb = CoulombOrdering(host, occupation, n_li)
    minima = [coulomb.descend(start) for start in starts]
    if ordering == "ewald":
        return min(minima, key=lambda kept: round(coulomb.energy_ev(kept), 6))
    unique = [list(kept) for kept in dict.fromkeys(map(tuple, starts + minima))]
    return min(unique, key=lambda kept: energy_ev(keep_lithium(host, occupation, kept)))


def keep_lithium(host: Structure, occupation: Sequence[str], kept: Sequence[int]) -> list[str]:
    """The occupation with every other site of the Li layer emptied."""
    emptied = set(sites_of(host, LI_LAYER)) - set(kept)
    return [VACANT if i in emptied else element for i, element in enumerate(occupation)]


def formal_charges(metals: dict[str, int], n_li: int) -> dict[str, float]:
    """Mean charge of each metal that makes Li_n M O2 neutral.

    Mn is oxidised first (2+ Ni beside 4+ Mn, as in NMC), then Ni to 4+, then Co to 4+.
    """
    spans = {m: ELEMENTS[m].layered_charges or (0.0, 0.0) for m in metals}
    charges = {m: lowest for m, (lowest, _) in spans.items()}
    missing = 4.0 * sum(metals.values()) - n_li - sum(charges[m] * n for m, n in metals.items())
    for metal in sorted(metals, key=lambda m: ELEMENTS[m].oxidation_order):
        taken = min(missing, (spans[metal][1] - charges[metal]) * metals[metal])
        charges[metal] += taken / metals[metal]
        missing -= taken
    return charges


class CoulombOrdering:
    """Coulomb energy of Li arrangements on one host, from a single Ewald matrix."""

    def __init__(self, host: Structure, occupation: Sequence[str], n_li: int) -> None:
        self.layer = sites_of(host, LI_LAYER)
        metals = [occupation[i] for i in sites_of(host, TM_LAYER)]
        charge = formal_charges({m: metals.count(m) for m in metals}, n_li) | {"O": -2.0, "Li": 0.0}
        self.framework = np.array([charge[element] for element in occupation])
        unit = host.copy()
        unit.add_oxidation_state_by_site([1] * len(unit))
        self.matrix = EwaldSummation(unit).total_energy_matrix

    def energy_ev(self, kept: Sequence[int]) -> float:
        """Coulomb energy of the cell with Li+ on the sites ``kept``."""
        charges = self._charges(kept)
        return float(charges @ self.matrix @ charges)

    def descend(self, kept: Sequence[int]) -> list[int]:
        """Swap the best Li with the best hole until no swap lowers the energy."""
        kept = list(kept)
        while True:
            holes = [i for i in self.layer if i not in kept]
            potential = 2 * self.matrix @ self._charges(kept)
            itself = np.diag(self.matrix)
            gain = (potential + itself)[holes][None] + (itself - potential)[kept][:, None]
            gain -= 2 * self.matrix[np.ix_(kept, holes)]
            out, into = np.unravel_index(np.argmin(np.round(gain, 9)), gain.shape)
            if gain[out, into] > -1e-9:
                return sorted(kept)
            kept[out] = holes[into]

    def _charges(self, kept: Sequence[int]) -> NDArray[np.float64]:
        charges = self.framework.copy()
        charges[list(kept)] = 1.0
        return charges
