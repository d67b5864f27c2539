"""One and two electrons of a 2p and a 3d shell: matrix elements in real harmonics.

Orbitals are the real harmonics of ``P_ORBITALS`` and ``D_ORBITALS``; spin orbitals are numbered
2 * orbital + spin with spin 0 up, 1 down. Everything follows from the renormalised harmonics
C^k_q and Wigner's 3j symbol (Cowan, The Theory of Atomic Structure and Spectra, 1981, ch. 6 and
10-12).
"""

from __future__ import annotations

from functools import cache
from math import factorial, sqrt

import numpy as np

P_ORBITALS = ("x", "y", "z")
D_ORBITALS = ("xy", "yz", "z2", "xz", "x2-y2")
# Averages of exchange over a configuration, as multiples of F^k(dd) and G^k(pd) (Cowan eq. 6.38).
MEAN_DD = 2 / 63
MEAN_PD = {1: 1 / 15, 3: 3 / 70}
_M_OF = {"p": (-1, 0, 1), "d": (-2, -1, 0, 1, 2)}  # each real harmonic is made of +m and -m
_REAL_P = {"x": 1, "y": -1, "z": 0}  # m > 0: cosine, m < 0: sine
_REAL_D = {"xy": -2, "yz": -1, "z2": 0, "xz": 1, "x2-y2": 2}
_SIGMA = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]]) / 2


def three_j(j1: int, j2: int, j3: int, m1: int, m2: int, m3: int) -> float:
    """Wigner's 3j symbol of integers, by Racah's formula (Cowan eq. 5.1)."""
    if m1 + m2 + m3 or not abs(j1 - j2) <= j3 <= j1 + j2:
        return 0.0
    if abs(m1) > j1 or abs(m2) > j2 or abs(m3) > j3:
        return 0.0
    triangle = factorial(j1 + j2 - j3) * factorial(j1 - j2 + j3) * factorial(-j1 + j2 + j3)
    norm = triangle / factorial(j1 + j2 + j3 + 1)
    for j, m in ((j1, m1), (j2, m2), (j3, m3)):
        norm *= factorial(j + m) * factorial(j - m)
    total = 0.0
    for k in range(max(0, j2 - j3 - m1, j1 - j3 + m2), min(j1 + j2 - j3, j1 - m1, j2 + m2) + 1):
        total += (-1) ** k / (
            factorial(k)
            * factorial(j1 + j2 - j3 - k)
            * factorial(j1 - m1 - k)
            * factorial(j2 + m2 - k)
            * factorial(j3 - j2 + m1 + k)
            * factorial(j3 - j1 - m2 + k)
        )
    return (-1) ** (j1 - j2 - m3) * sqrt(norm) * total


@cache
def _to_real(shell: str) -> np.ndarray:
    """Columns: real harmonics in terms of Y_lm, m = -l..l (Condon-Shortley phases)."""
    signed = _REAL_P if shell == "p" else _REAL_D
    matrix = np.zeros((len(signed), len(signed)), complex)
    ell = len(signed) // 2
    for column, m in enumerate(signed.values()):
        sign = (-1) ** abs(m)
        if m == 0:
            matrix[ell, column] = 1
        elif m > 0:
            matrix[ell - m, column], matrix[ell + m, column] = 1 / sqrt(2), sign / sqrt(2)
        else:
            matrix[ell + m, column], matrix[ell - m, column] = 1j / sqrt(2), -1j * sign / sqrt(2)
    return matrix


@cache
def harmonic(k: int, q: int, bra: str, ket: str) -> np.ndarray:
    """<bra orbital|C^k_q|ket orbital> between real harmonics (Cowan eq. 11.23)."""
    l1, l2 = len(_M_OF[bra]) // 2, len(_M_OF[ket]) // 2
    radial = sqrt((2 * l1 + 1) * (2 * l2 + 1)) * three_j(l1, k, l2, 0, 0, 0)
    matrix = [
        [(-1) ** m1 * radial * three_j(l1, k, l2, -m1, q, m2) for m2 in _M_OF[ket]]
        for m1 in _M_OF[bra]
    ]
    return _to_real(bra).conj().T @ np.array(matrix) @ _to_real(ket)


@cache
def repulsion(k: int, bra1: str, bra2: str, ket1: str, ket2: str) -> np.ndarray:
    """<a b|C^k(1).C^k(2)|c d>, indices (a, b, c, d), the angular part of a Slater integral."""
    total = sum(
        (-1) ** q
        * np.einsum("ac,bd->abcd", harmonic(k, q, bra1, ket1), harmonic(k, -q, bra2, ket2))
        for q in range(-k, k + 1)
    )
    return np.asarray(total).real.copy()


@cache
def dipole() -> np.ndarray:
    """<d|r_i / r|p> of spin orbitals, shape (3, 10, 6); i = x, y, z."""
    plus, minus, zero = (harmonic(1, q, "d", "p") for q in (1, -1, 0))
    cartesian = [(minus - plus) / sqrt(2), 1j * (minus + plus) / sqrt(2), zero]
    return np.array([np.kron(c.real, np.eye(2)) for c in cartesian])


@cache
def angular_momentum(shell: str) -> np.ndarray:
    """L_x, L_y, L_z (3, n, n) in real harmonics."""
    ms = np.array(_M_OF[shell])
    ell = ms.max()
    raising = np.diag(np.sqrt(ell * (ell + 1) - ms[:-1] * (ms[:-1] + 1)), -1)
    lx, ly = (raising + raising.T) / 2, (raising - raising.T) / 2j
    u = _to_real(shell)
    return np.array([u.conj().T @ m @ u for m in (lx, ly, np.diag(ms))])


@cache
def spin(n_orbitals: int) -> np.ndarray:
    """S_x, S_y, S_z (3, 2n, 2n) of spin orbitals."""
    return np.array([np.kron(np.eye(n_orbitals), s) for s in _SIGMA])


@cache
def spin_orbit(shell: str) -> np.ndarray:
    """L.S of spin orbitals."""
    pairs = zip(angular_momentum(shell), _SIGMA, strict=True)
    return np.asarray(sum(np.kron(l, s) for l, s in pairs))


def with_spin(matrix: np.ndarray) -> np.ndarray:
    """The spin-orbital matrix of an orbital operator."""
    return np.kron(matrix, np.eye(2))


@cache
def dd_repulsion(k: int) -> np.ndarray:
    """Coefficient of F^k(dd) in <a b|1/r|c d> of spin orbitals, shape (100, 100).

    A monopole is added that cancels the average over the pairs of a configuration.
    """
    orbital = repulsion(k, "d", "d", "d", "d") + MEAN_DD * repulsion(0, "d", "d", "d", "d")
    eye = np.eye(2)
    return np.einsum("abcd,st,uv->asbuctdv", orbital, eye, eye).reshape(100, 100)


@cache
def pd_repulsion(kind: str, k: int) -> np.ndarray:
    """Coefficient of F^k or G^k(pd) in p+_i d+_a d_b p_j, indices (i, a, j, b), shape (60, 60).

    A monopole is added that cancels the average over the pairs of a configuration.
    """
    eye = np.eye(2)
    if kind == "F":
        orbital = repulsion(k, "p", "d", "p", "d")
        return np.einsum("iajb,st,uv->isaujtbv", orbital, eye, eye).reshape(60, 60)
    orbital = repulsion(k, "p", "d", "d", "p")  # (i, a, b, j): the electrons change places
    exchange = np.einsum("iabj,su,tv->isavjtbu", orbital, eye, eye).reshape(60, 60)
    return MEAN_PD[k] * np.eye(60) - exchange
