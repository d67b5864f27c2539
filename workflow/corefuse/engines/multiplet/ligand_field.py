"""From metal-ligand vectors to the 5 x 5 matrices of a ligand-field Hamiltonian.

Angular overlap model: every ligand raises the one d orbital that points at it by e_sigma and the
two that have one node plane through it by e_pi (C. E. Schaeffer & C. K. Joergensen, Mol. Phys. 9,
401 (1965)). In an octahedron 10Dq = 3 e_sigma - 4 e_pi. d orbitals are taken as symmetric traceless
tensors, in which both projectors are products of the bond's direction and turn with it.
"""

from __future__ import annotations

import numpy as np

_ROOT2, _ROOT6 = np.sqrt(2.0), np.sqrt(6.0)
# xy, yz, z2, xz, x2-y2 (solver.D_ORBITALS) as orthonormal tensors (5, 3, 3)
_TENSORS = np.array(
    [
        [[0, 1 / _ROOT2, 0], [1 / _ROOT2, 0, 0], [0, 0, 0]],
        [[0, 0, 0], [0, 0, 1 / _ROOT2], [0, 1 / _ROOT2, 0]],
        [[-1 / _ROOT6, 0, 0], [0, -1 / _ROOT6, 0], [0, 0, 2 / _ROOT6]],
        [[0, 0, 1 / _ROOT2], [0, 0, 0], [1 / _ROOT2, 0, 0]],
        [[1 / _ROOT2, 0, 0], [0, -1 / _ROOT2, 0], [0, 0, 0]],
    ]
)
COLLINEAR = 1e-3  # sine of the angle below which two ligands span no plane


def octahedron(bond_angstrom: float) -> np.ndarray:
    """The six vectors (6, 3) of a regular octahedron."""
    return bond_angstrom * np.concatenate([np.eye(3), -np.eye(3)])


def canonical(vectors: np.ndarray, digits: int) -> np.ndarray:
    """Ligand vectors (n, 3), turned, mirrored and sorted to what all equal surroundings share.

    Equal are those that a rotation, a reflection and a new order take to each other: the isotropic
    spectrum of a site knows none of them. Of all frames spanned by two ligands the one with the
    smallest coordinates is taken. They are rounded to ``digits`` decimals: surroundings are equal
    within that.
    """
    turned = [(vectors @ frame.T).round(digits) + 0.0 for frame in _frames(vectors)]  # no -0.0
    return min((v[np.lexsort(v.T)] for v in turned), key=lambda v: v.tolist())


def _frames(vectors: np.ndarray) -> list[np.ndarray]:
    """Frames (3, 3), axes in rows, of both senses: one ligand on an axis, another in a plane."""
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    frames = []
    for first in units:
        for other in units:
            across = other - (first @ other) * first
            length = np.linalg.norm(across)
            if length > COLLINEAR:
                third = np.cross(first, across / length)
                frames += [np.array([first, across / length, s * third]) for s in (1, -1)]
    if frames:
        return frames
    axes = np.linalg.svd(vectors)[2]  # one ligand, or all on one line
    return [axes, -axes]


def projectors(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sigma and pi projectors (n, 5, 5) of n ligands at ``vectors`` (n, 3) from the metal."""
    n = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    towards = np.einsum("mij,aj->ami", _TENSORS, n)
    sigma = np.sqrt(1.5) * np.einsum("ami,ai->am", towards, n)
    across = np.eye(3) - np.einsum("ai,aj->aij", n, n)
    pi = 2 * np.einsum("ami,aij,anj->amn", towards, across, towards)
    return np.einsum("am,an->amn", sigma, sigma), pi


def field(
    vectors: np.ndarray,
    ten_dq_ev: float,
    bond_angstrom: float,
    exponent: float,
    pi_over_sigma: float,
) -> np.ndarray:
    """Traceless ligand field (5, 5) in eV; (n, 3) vectors in angstrom.

    ``ten_dq_ev`` is that of an octahedron at ``bond_angstrom``; both overlap energies fall with
    the distance to the power -``exponent``.
    """
    e_sigma = ten_dq_ev / (3 - 4 * pi_over_sigma)
    sigma, pi = projectors(vectors)
    weights = e_sigma * (bond_angstrom / np.linalg.norm(vectors, axis=1)) ** exponent
    matrix = np.einsum("a,amn->mn", weights, sigma + pi_over_sigma * pi)
    return matrix - np.eye(5) * np.trace(matrix) / 5


def hopping(
    vectors: np.ndarray, v_eg_ev: float, v_t2g_ev: float, bond_angstrom: float, exponent: float
) -> np.ndarray:
    """Hopping (5, 5) in eV between the d orbitals and their ligand orbitals.

    The square of the hopping adds up over the ligands, V^2 = sum of V_pds^2 P_sigma + V_pdp^2
    P_pi, and the symmetric root of it keeps every ligand orbital shaped as its d orbital. In an
    octahedron at ``bond_angstrom`` the eigenvalues are ``v_eg_ev`` = sqrt(3) V_pds and
    ``v_t2g_ev`` = 2 V_pdp; both fall with the distance to the power -``exponent``.
    """
    sigma, pi = projectors(vectors)
    weights = (bond_angstrom / np.linalg.norm(vectors, axis=1)) ** (2 * exponent)
    square = np.einsum("a,amn->mn", weights, v_eg_ev**2 / 3 * sigma + v_t2g_ev**2 / 4 * pi)
    values, vectors_of = np.linalg.eigh(square)
    return (vectors_of * np.sqrt(np.clip(values, 0, None))) @ vectors_of.T
