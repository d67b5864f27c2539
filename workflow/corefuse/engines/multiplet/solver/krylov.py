"""Lowest states and resolvents of large sparse Hermitian matrices.

Vectors are stored as reals (dimension, 2, n): real parts, then imaginary parts of n columns. Nearly
all matrix elements are purely real or purely imaginary, so two real sparse matrices do half the
work of a complex one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.sparse as sp

DENSE_BELOW = 600
RESIDUAL_EV = 1e-5  # the error of an energy is this squared over the gap to the next level
FILTER_DEGREE = 50
MOST_FILTERS = 60
BOUND_STEPS = 12
BREAKDOWN = 1e-9


@dataclass(frozen=True)
class Hermitian:
    """A sparse Hermitian matrix as two real ones."""

    real: sp.csr_array
    imag: sp.csr_array

    @classmethod
    def of(cls, matrix: sp.sparray, dtype: type = np.float64) -> Hermitian:
        """Split a complex sparse matrix and drop what is zero."""
        parts = []
        for part in (matrix.real, matrix.imag):
            part = sp.csr_array(part, dtype=dtype, copy=True)
            part.data[abs(part.data) < 1e-12] = 0
            part.eliminate_zeros()
            parts.append(part)
        return cls(*parts)

    def __matmul__(self, x: np.ndarray) -> np.ndarray:
        """The product with (dimension, 2, n) reals."""
        flat = x.reshape(len(x), -1)
        y = (self.real @ flat).reshape(x.shape)
        turned = (self.imag @ flat).reshape(x.shape)
        y[:, 0] -= turned[:, 1]
        y[:, 1] += turned[:, 0]
        return y

    def dense(self) -> np.ndarray:
        """As a complex array."""
        return self.real.toarray() + 1j * self.imag.toarray()

    def times(self, x: np.ndarray) -> np.ndarray:
        """The product with complex columns (dimension, n)."""
        return to_complex(self @ to_real(x, x.real.dtype))


def to_real(x: np.ndarray, dtype: type) -> np.ndarray:
    """Complex columns (dimension, n) as reals (dimension, 2, n)."""
    return np.stack([x.real, x.imag], axis=1).astype(dtype)


def to_complex(x: np.ndarray) -> np.ndarray:
    """The inverse of ``to_real``."""
    return x[:, 0] + 1j * x[:, 1]


def lowest(h: Hermitian, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The ``count`` lowest levels (count,) and states (dimension, count), degenerate ones included.

    Above ``DENSE_BELOW`` states by subspace iteration with a Chebyshev filter (Zhou, Saad,
    Tiago & Chelikowsky, J. Comput. Phys. 219, 172 (2006)). Single-vector Lanczos sees one state of
    a degenerate level; a random block wider than what is wanted sees all of them.
    Raises RuntimeError where it does not converge.
    """
    n = h.real.shape[0]
    count = min(count, n)
    if n <= max(DENSE_BELOW, 6 * count):
        return scipy.linalg.eigh(h.dense(), subset_by_index=(0, count - 1), driver="evr")
    width = count + 8
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, width)) + 1j * rng.standard_normal((n, width))
    _, alphas, betas = continued_fractions(h, x[:, :1], BOUND_STEPS)
    ritz = scipy.linalg.eigvalsh_tridiagonal(alphas[:, 0], np.sqrt(betas[:-1, 0]))
    upper = ritz[-1] + np.sqrt(betas[-1, 0])
    lower, cut = ritz[0], ritz[0] + (upper - ritz[0]) / 10
    for _ in range(MOST_FILTERS):
        x = np.linalg.qr(to_complex(_filter(h, to_real(x, np.float64), lower, cut, upper)))[0]
        image = h.times(x)
        projected = x.conj().T @ image
        values, vectors = np.linalg.eigh((projected + projected.conj().T) / 2)
        x = x @ vectors
        residual = np.linalg.norm((image @ vectors - x * values)[:, :count], axis=0).max()
        if residual < RESIDUAL_EV:
            return values[:count], x[:, :count]
        lower, cut = values[0], values[-1]
    raise RuntimeError(f"{count} lowest states of {n} not converged: residual {residual:.1e} eV")


def _filter(h: Hermitian, x: np.ndarray, lower: float, cut: float, upper: float) -> np.ndarray:
    """Chebyshev polynomial of ``h`` that is at most 1 in [cut, upper] and scaled to 1 at lower."""
    half, centre = (upper - cut) / 2, (upper + cut) / 2
    first = sigma = half / (lower - centre)
    y = (h @ x - centre * x) * (sigma / half)
    for _ in range(FILTER_DEGREE - 1):
        following = 1 / (2 / first - sigma)
        z = h @ y
        z -= centre * y
        z *= 2 * following / half
        z -= sigma * following * x
        x, y, sigma = y, z, following
    return y


def continued_fractions(
    h: Hermitian, start: np.ndarray, steps: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lanczos recursions from several start vectors at once.

    Parameters
    ----------
    h
        The Hamiltonian.
    start
        Complex (dimension, n), not normalised.
    steps
        Levels of the fraction.

    Returns
    -------
    Squared norms (n,) of the start vectors, diagonals (steps, n) and squared off-diagonals
    (steps, n): ``<v|(z - H)^-1|v> = norm / (z - a0 - b1 / (z - a1 - ...))``. Haydock, Heine &
    Kelly, J. Phys. C 5, 2845 (1972). The recursion is not orthogonalised again: that makes copies
    of poles but keeps the resolvent. A vector of norm 0 has coefficients 0.
    """
    dtype = h.real.dtype
    norm = (abs(start) ** 2).sum(axis=0)
    v = to_real(start / np.sqrt(np.where(norm > 0, norm, 1)), dtype)
    previous = np.zeros_like(v)
    alphas = np.zeros((steps, len(norm)))
    betas = np.zeros((steps, len(norm)))
    beta = np.zeros(len(norm), dtype)
    for step in range(steps):
        w = h @ v
        alpha = np.einsum("dcn,dcn->n", v, w)
        w -= alpha * v
        w -= beta * previous
        squared = np.einsum("dcn,dcn->n", w, w)
        alphas[step], betas[step] = alpha, squared
        beta = np.sqrt(squared)
        exhausted = beta < BREAKDOWN
        betas[step, exhausted] = 0
        w *= np.where(exhausted, 0, 1 / np.maximum(beta, BREAKDOWN)).astype(dtype)
        previous, v = v, w
    return norm, alphas, betas
