"""Many electrons in one shell: sparse operators in a basis of bit strings.

An operator with n creators and n annihilators is A+ (v x 1) A, where A stacks the annihilators of
all n-fold choices of spin orbitals and v holds the matrix elements. One sparse triple product
replaces loops over determinants.
"""

from __future__ import annotations

from functools import cache
from itertools import combinations

import numpy as np
import scipy.sparse as sp

N_D = 10  # spin orbitals of a d shell


@cache
def states(n_electrons: int) -> np.ndarray:
    """Sorted bit strings of ``n_electrons`` in ten spin orbitals."""
    bits = [sum(1 << i for i in chosen) for chosen in combinations(range(N_D), n_electrons)]
    return np.array(sorted(bits))


def dimension(n_electrons: int) -> int:
    """Number of determinants of the shell."""
    return len(states(n_electrons))


@cache
def annihilators(n_electrons: int) -> sp.csr_array:
    """All ten annihilators stacked: row a * dim(n - 1) + state, column a state of n electrons."""
    old, new = states(n_electrons), states(n_electrons - 1)
    rows, columns, signs = [], [], []
    for a in range(N_D):
        (occupied,) = np.nonzero(old >> a & 1)
        rows.append(a * len(new) + np.searchsorted(new, old[occupied] ^ (1 << a)))
        columns.append(occupied)
        signs.append(1.0 - 2.0 * (np.bitwise_count(old[occupied] & ((1 << a) - 1)) & 1))
    data = np.concatenate(signs), (np.concatenate(rows), np.concatenate(columns))
    return sp.csr_array(data, shape=(N_D * len(new), len(old)))


@cache
def pair_annihilators(n_electrons: int) -> sp.csr_array:
    """Row (c, d, state): d_d d_c, c first."""
    return (
        sp.kron(sp.eye_array(N_D), annihilators(n_electrons - 1)) @ annihilators(n_electrons)
    ).tocsr()


def one_body(matrix: np.ndarray, n_electrons: int) -> sp.csr_array:
    """Sum of matrix[a, b] d+_a d_b in the space of ``n_electrons``."""
    if n_electrons == 0:
        return sp.csr_array((1, 1))
    a = annihilators(n_electrons)
    return _sandwich(a, matrix)


def two_body(matrix: np.ndarray, n_electrons: int) -> sp.csr_array:
    """Half the sum of matrix[ab, cd] d+_a d+_b d_d d_c."""
    if n_electrons < 2:
        return sp.csr_array((dimension(n_electrons),) * 2)
    return _sandwich(pair_annihilators(n_electrons), matrix / 2)


def shell_and_hole(matrix: np.ndarray, n_electrons: int) -> sp.csr_array:
    """Sum of matrix[ia, jb] (i <- j) d+_a d_b, i and j the states of one more particle."""
    n = matrix.shape[0] // N_D
    if n_electrons == 0:
        return sp.csr_array((n, n))
    return _sandwich(sp.kron(sp.eye_array(n), annihilators(n_electrons)).tocsr(), matrix)


def _sandwich(a: sp.csr_array, matrix: np.ndarray) -> sp.csr_array:
    rest = sp.eye_array(a.shape[0] // matrix.shape[0])
    return (a.T @ (sp.kron(sp.csr_array(matrix), rest).tocsr() @ a)).tocsr()
