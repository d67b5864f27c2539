"""2p absorption of a 3d ion by exact diagonalisation, with crystal field and one ligand shell.

The ion has a full 2p shell and n 3d electrons; with charge transfer also ten ligand spin orbitals
of d symmetry, of which at most ``max_holes`` are empty. Configurations with k ligand holes have the
mean energies (Zaanen, Sawatzky & Allen, PRL 55, 418 (1985); Haverkort, Zwierzycki & Andersen, PRB
85, 165113 (2012))

    initial, 2p6 3d^(n+k):    k delta + k (k - 1) udd / 2
    final,   2p5 3d^(n+1+k):  k (delta + udd - upd) + k (k - 1) udd / 2

The mean energies with k = 0 are zero, so the photon energy zero of a spectrum is the mean energy of
2p5 3d^(n+1) minus that of 2p6 3d^n (over all states of the configuration, in a field without its
mean). The level constants of the shells are left out: an absolute axis needs a reference per ion.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import scipy.sparse as sp
from scipy.constants import Boltzmann, eV

from corefuse.engines.multiplet.solver import atom, fock
from corefuse.engines.multiplet.solver.atom import D_ORBITALS, MEAN_DD, MEAN_PD
from corefuse.engines.multiplet.solver.krylov import Hermitian, continued_fractions, lowest

__all__ = [
    "D_ORBITALS",
    "MEAN_DD",
    "MEAN_PD",
    "Ligand",
    "Problem",
    "Slater",
    "Spectrum",
    "final_states",
    "initial_states",
    "solve",
]

N_D = fock.N_D
LEVELS = 12  # at least this many are solved for and returned
MOST_LEVELS = 100  # a spin state that is not among them is not looked for further
WEIGHT = 1e-3  # states with a smaller Boltzmann factor are left out
SUM_RULE = 2 / 15  # intensity of one 3d hole: |<d|r|p>|^2 summed over p and averaged over x, y, z


@dataclass(frozen=True)
class Slater:
    """Slater integrals in eV, already scaled. The initial state uses ``f2dd`` and ``f4dd`` only."""

    f2dd: float
    f4dd: float
    f2pd: float
    g1pd: float
    g3pd: float


@dataclass(frozen=True)
class Ligand:
    """One shell of ten ligand spin orbitals of d symmetry.

    Parameters
    ----------
    hopping
        (5, 5) real, rows 3d orbitals, columns ligand orbitals, eV.
    energies
        (5, 5) real symmetric, one-electron energies of the ligand orbitals, eV; the mean is
        taken off.
    delta_ev, udd_ev, upd_ev
        Charge-transfer energy of the nominal configuration, d-d and p-d repulsion (averages).
    max_holes
        Ligand holes kept; 10 keeps all.
    """

    hopping: np.ndarray
    energies: np.ndarray
    delta_ev: float
    udd_ev: float
    upd_ev: float
    max_holes: int = 1


@dataclass(frozen=True)
class Problem:
    """One ion in its surroundings. All energies in eV.

    Parameters
    ----------
    n_d
        3d electrons of the nominal configuration.
    slater_initial, slater_final
        Slater integrals without and with the core hole.
    zeta_3d_initial_ev, zeta_3d_final_ev, zeta_2p_ev
        Spin-orbit coupling constants.
    field
        (5, 5) real symmetric one-electron matrix in the order of ``D_ORBITALS``; the mean is
        taken off.
    ligand
        The ligand shell, or None for a crystal field alone.
    exchange_field_ev
        Field along x, y, z that multiplies the 3d spin in both states.
    """

    n_d: int
    slater_initial: Slater
    slater_final: Slater
    zeta_3d_initial_ev: float
    zeta_3d_final_ev: float
    zeta_2p_ev: float
    field: np.ndarray
    ligand: Ligand | None = None
    exchange_field_ev: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def holes(self) -> range:
        """Numbers of ligand holes in the basis."""
        most = 0 if self.ligand is None else self.ligand.max_holes
        return range(min(most, N_D - self.n_d) + 1)


@dataclass(frozen=True)
class Spectrum:
    """What ``solve`` returns.

    Parameters
    ----------
    energy_ev
        Axis as asked; zero as in the module's docstring.
    intensity
        Isotropic absorption (trace over polarisations / 3) per eV, (2p|r|3d) radial integral 1.
    levels_ev
        Lowest initial levels relative to the lowest.
    spin
        S of each level from <S^2> = S (S + 1), ligand included.
    n_d
        3d electrons of the thermal average.
    d_holes
        10 - n_d.
    total_intensity
        The sum rule's integral of ``intensity`` over all energies, 2/15 of the 3d holes: with
        k = max_holes the final states keep the same number of ligand holes, so truncation
        does not break it.
    ground_ev
        Energy of the lowest level, on the scale of the mean energies.
    """

    energy_ev: np.ndarray
    intensity: np.ndarray
    levels_ev: np.ndarray
    spin: np.ndarray
    n_d: float
    d_holes: float
    total_intensity: float
    ground_ev: float


def solve(
    problem: Problem,
    energy_ev: np.ndarray,
    lorentzian_hwhm_ev: float,
    temperature_k: float = 300.0,
    lanczos_steps: int = 200,
    spin: float | None = None,
) -> Spectrum:
    """Isotropic 2p absorption of ``problem`` from its thermally occupied states.

    With ``spin`` the average runs over the lowest levels whose S is within 1/2 of it, wherever the
    ground state lies: a moment decides, not a crossover by accident. Raises ValueError where there
    is none among the ``MOST_LEVELS`` lowest. 200 Lanczos steps leave an error below 1 % (relative
    L2) at a half width of 0.2 eV; 100 leave up to 3 %.
    """
    levels, states, spins = _levels(problem, temperature_k, spin)
    chosen = np.arange(len(levels)) if spin is None else np.flatnonzero(abs(spins - spin) <= 0.5)
    factors = np.exp((levels[chosen[0]] - levels[chosen]) * eV / (Boltzmann * temperature_k))
    chosen, factors = chosen[factors > WEIGHT], factors[factors > WEIGHT]
    weights = factors / factors.sum()
    starts = _dipole(problem) @ states[:, chosen]
    n_start = starts.shape[0] // 3
    starts = starts.reshape(3, n_start, -1).transpose(1, 0, 2).reshape(n_start, -1)
    hamiltonian = Hermitian.of(final_states(problem), np.float32)
    norm, alpha, beta = continued_fractions(hamiltonian, starts, lanczos_steps)
    origin, weights3 = np.tile(levels[chosen], 3), np.tile(weights, 3)
    z = np.asarray(energy_ev)[:, None] + origin + 1j * lorentzian_hwhm_ev
    fraction = np.zeros_like(z)
    for a, b in zip(alpha[::-1], beta[::-1], strict=True):
        fraction = 1 / (z - a - b * fraction)
    intensity = -(fraction.imag * norm) @ weights3 / (3 * np.pi)
    occupation = _occupation(problem)
    n_d = float((occupation @ abs(states[:, chosen]) ** 2) @ weights)
    return Spectrum(
        energy_ev=np.asarray(energy_ev),
        intensity=intensity,
        levels_ev=levels - levels[0],
        spin=spins,
        n_d=n_d,
        d_holes=N_D - n_d,
        total_intensity=SUM_RULE * (N_D - n_d),
        ground_ev=float(levels[0]),
    )


def initial_states(problem: Problem) -> sp.csr_array:
    """Hamiltonian without a core hole, basis: ligand holes x 3d determinants x ligand ones."""
    slater, zeta = problem.slater_initial, problem.zeta_3d_initial_ev

    def ion(k: int) -> sp.csr_array:
        return _shell(problem, problem.n_d + k, slater, zeta)

    slope = 0.0 if problem.ligand is None else problem.ligand.delta_ev
    return _hamiltonian(problem, problem.n_d, 1, ion, slope)


def final_states(problem: Problem) -> sp.csr_array:
    """Hamiltonian with a 2p hole, basis: ligand holes x 2p hole x 3d x ligand determinants."""
    slater, zeta = problem.slater_final, problem.zeta_3d_final_ev
    core = -problem.zeta_2p_ev * atom.spin_orbit("p").T  # of the hole

    def ion(k: int) -> sp.csr_array:
        n = problem.n_d + 1 + k
        shell = sp.kron(sp.eye_array(6), _shell(problem, n, slater, zeta))
        hole = sp.kron(sp.csr_array(core), sp.eye_array(fock.dimension(n)))
        return shell + hole + _core_hole(n, slater)

    ligand = problem.ligand
    slope = 0.0 if ligand is None else ligand.delta_ev + ligand.udd_ev - ligand.upd_ev
    return _hamiltonian(problem, problem.n_d + 1, 6, ion, slope)


def _hamiltonian(
    problem: Problem, n_d: int, n_core: int, ion: Callable[[int], sp.sparray], slope: float
) -> sp.csr_array:
    """Blocks of k ligand holes on the diagonal, hopping beside it."""
    ligand = problem.ligand
    holes = [k for k in problem.holes if n_d + k <= N_D]
    blocks: list[list[sp.sparray | None]] = [[None] * len(holes) for _ in holes]
    for k in holes:
        block = ion(k)
        if ligand is not None:
            mean = k * slope + k * (k - 1) * ligand.udd_ev / 2
            shell = fock.one_body(atom.with_spin(_traceless(ligand.energies)), N_D - k)
            block = block + mean * sp.eye_array(block.shape[0])
            block = sp.kron(block, sp.eye_array(shell.shape[0])) + sp.kron(
                sp.eye_array(block.shape[0]), shell
            )
            if k > 0:
                hop = _hop(ligand.hopping, n_d + k, k, n_core)
                blocks[k][k - 1], blocks[k - 1][k] = hop, hop.T
        blocks[k][k] = block
    return sp.block_array(blocks, format="csr")


def _hop(hopping: np.ndarray, n_d: int, k: int, n_core: int) -> sp.csr_array:
    """One electron from the ligand to 3d: k - 1 to k ligand holes, n_d - 1 to n_d electrons.

    The phases of passing the other shells are the same for all states of a block and left out,
    but for the sign of the 3d electron that passes five 2p electrons: hopping interferes.
    """
    creators = fock.annihilators(n_d).T
    removers = fock.annihilators(N_D - k + 1).tocsr()
    n_old, n_ligand = fock.dimension(n_d - 1), fock.dimension(N_D - k)
    total = 0
    sign = 1 if n_core == 1 else -1
    for b, column in enumerate(atom.with_spin(sign * hopping).T):
        create = creators @ sp.kron(sp.csr_array(column[:, None]), sp.eye_array(n_old))
        remove = removers[b * n_ligand : (b + 1) * n_ligand]
        total = total + sp.kron(sp.kron(sp.eye_array(n_core), create), remove, format="csr")
    return total


def _shell(problem: Problem, n: int, slater: Slater, zeta: float) -> sp.csr_array:
    """The 3d shell alone: repulsion, spin-orbit coupling, field, exchange field."""
    one = atom.with_spin(_traceless(problem.field)) + np.einsum(
        "i,iab->ab", problem.exchange_field_ev, atom.spin(5)
    )
    repulsion = slater.f2dd * _dd(2, n) + slater.f4dd * _dd(4, n)
    return repulsion + fock.one_body(one + zeta * atom.spin_orbit("d"), n)


def _core_hole(n: int, slater: Slater) -> sp.csr_array:
    """Repulsion of 2p and 3d."""
    return (
        slater.f2pd * _pd("F", 2, n) + slater.g1pd * _pd("G", 1, n) + slater.g3pd * _pd("G", 3, n)
    )


@cache
def _dd(k: int, n: int) -> sp.csr_array:
    return fock.two_body(atom.dd_repulsion(k), n)


@cache
def _pd(kind: str, k: int, n: int) -> sp.csr_array:
    # p+_i p_j on one hole is delta_ij - h+_j h_i; the full shell's part is spherical and zero.
    electron = atom.pd_repulsion(kind, k).reshape(6, 10, 6, 10)
    return fock.shell_and_hole(-electron.transpose(2, 1, 0, 3).reshape(60, 60), n)


def _dipole(problem: Problem) -> sp.csr_array:
    """x, y and z transition operators, stacked: (3 x final states, initial states)."""
    operators = []
    for matrix in atom.dipole():
        blocks = []
        for k in problem.holes:
            ion = _absorb(matrix, problem.n_d + k)
            blocks.append(sp.kron(ion, sp.eye_array(_ligand_dimension(problem, k))))
        operators.append(sp.block_diag(blocks))
    return sp.vstack(operators, format="csr")


def _absorb(matrix: np.ndarray, n: int) -> sp.csr_array:
    """One electron from 2p, a column of ``matrix``, to the n of 3d."""
    if n == N_D:
        return sp.csr_array((0, 1))
    creators = fock.annihilators(n + 1).T
    rest = sp.eye_array(fock.dimension(n))
    return sp.vstack([creators @ sp.kron(sp.csr_array(c[:, None]), rest) for c in matrix.T])


def _ligand_dimension(problem: Problem, k: int) -> int:
    return 1 if problem.ligand is None else fock.dimension(N_D - k)


def _occupation(problem: Problem) -> np.ndarray:
    """3d electrons of each initial basis state."""
    sizes = [fock.dimension(problem.n_d + k) * _ligand_dimension(problem, k) for k in problem.holes]
    return np.repeat([problem.n_d + k for k in problem.holes], sizes)


def _spin(problem: Problem, states: np.ndarray) -> np.ndarray:
    """S of each column of ``states`` from the length of S."""
    squared = np.zeros(states.shape[1])
    for component in atom.spin(5):
        blocks = []
        for k in problem.holes:
            ion = fock.one_body(component, problem.n_d + k)
            ligand = fock.one_body(component, N_D - k)
            if problem.ligand is not None:
                ion = sp.kron(ion, sp.eye_array(ligand.shape[0])) + sp.kron(
                    sp.eye_array(ion.shape[0]), ligand
                )
            blocks.append(ion)
        squared += (abs(sp.block_diag(blocks, format="csr") @ states) ** 2).sum(axis=0)
    return np.sqrt(squared + 0.25) - 0.5


def _levels(
    problem: Problem, temperature_k: float, spin: float | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lowest levels, states and spins: all that the thermal average needs, ``LEVELS`` or more."""
    hamiltonian = Hermitian.of(initial_states(problem))
    reach = -np.log(WEIGHT) * Boltzmann * temperature_k / eV
    count, most = LEVELS, min(MOST_LEVELS, hamiltonian.real.shape[0])
    while True:
        levels, states = lowest(hamiltonian, count)
        spins = _spin(problem, states)
        found = levels if spin is None else levels[abs(spins - spin) <= 0.5]
        if len(found) and (levels[-1] > found[0] + reach or len(levels) >= most):
            return levels, states, spins
        if len(levels) >= most:
            raise ValueError(
                f"no state with S near {spin:g} among the {most} lowest of a 3d{problem.n_d} ion; "
                f"the lowest has S = {spins[0]:.2f}"
            )
        count *= 2


def _traceless(matrix: np.ndarray) -> np.ndarray:
    return matrix - np.trace(matrix) / len(matrix) * np.eye(len(matrix))
