"""Typical ions for the multiplet solver, and the same problem solved by edrixs.

edrixs (Wang, Fabbris, Dean & Kotliar, Comput. Phys. Commun. 243, 151 (2019)) is an independent
program: the oracle of the tests. It need not be installed to run the workflow.
"""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import numpy as np
from scipy.constants import Boltzmann, eV

from corefuse import ions
from corefuse.multiplet import D_ORBITALS, MEAN_DD, MEAN_PD, Ligand, Problem, Slater, atom

REDUCTION = 0.8  # of the Hartree-Fock Slater integrals
EG = np.diag([float(name in ("z2", "x2-y2")) for name in D_ORBITALS])
T2G = np.eye(5) - EG
# 10Dq of an octahedral field alone; with a ligand shell: 10Dq, delta, Udd, Upd in eV and the
# ligand holes kept. Of the size of Haverkort et al., PRB 85, 165113 (2012); typical, not fitted.
FIELD_EV = {
    "Mn2+": 0.9,
    "Mn3+": 1.5,
    "Mn4+": 2.2,
    "Co2+": 0.9,
    "Co3+": 2.4,
    "Ni2+": 1.1,
    "Ni3+": 2.6,
    "Ni4+": 2.8,
}
CHARGE_TRANSFER = {
    "Mn2+": (0.5, 7.0, 6.0, 7.5, 1),
    "Mn3+": (0.8, 4.0, 6.0, 7.5, 1),
    "Mn4+": (1.0, 2.5, 6.0, 7.5, 1),
    "Co2+": (0.5, 5.5, 6.0, 7.3, 10),
    "Co3+": (1.2, 2.0, 5.5, 7.0, 10),
    "Ni2+": (0.56, 4.7, 7.3, 8.5, 10),
    "Ni3+": (0.9, -0.5, 7.0, 8.0, 10),
    "Ni4+": (1.1, -3.5, 7.0, 8.0, 10),
}
V_EG_EV, V_T2G_EV, LIGAND_10DQ_EV = 2.06, 1.21, 1.0
IONS = tuple(FIELD_EV)
AXIS_EV = np.arange(-25.0, 30.0, 0.05)
HWHM_EV = 0.2
TEMPERATURE_K = 300.0


def typical(ion: str, ligand: bool, distortion_ev: float = 0.0, seed: int = 0) -> Problem:
    """An ion in an octahedron, or in a random low-symmetry field of that size on top."""
    known = ions.load().ions[ion]
    core_hole = [REDUCTION * g for g in (known.f2pd_ev, known.g1pd_ev, known.g3pd_ev)]
    rng = np.random.default_rng(seed)

    def random() -> np.ndarray:
        matrix = rng.normal(scale=distortion_ev, size=(5, 5))
        return (matrix + matrix.T) / 2

    ten_dq = CHARGE_TRANSFER[ion][0] if ligand else FIELD_EV[ion]
    shell = None
    if ligand:
        _, delta, udd, upd, holes = CHARGE_TRANSFER[ion]
        hopping = V_EG_EV * EG + V_T2G_EV * T2G + random()
        energies = LIGAND_10DQ_EV * (0.6 * EG - 0.4 * T2G) + random()
        shell = Ligand(hopping, energies, delta, udd, upd, holes)
    return Problem(
        known.n_d,
        Slater(REDUCTION * known.f2dd_initial_ev, REDUCTION * known.f4dd_initial_ev, 0, 0, 0),
        Slater(REDUCTION * known.f2dd_final_ev, REDUCTION * known.f4dd_final_ev, *core_hole),
        known.zeta_3d_initial_ev,
        known.zeta_3d_final_ev,
        known.zeta_2p_ev,
        ten_dq * (0.6 * EG - 0.4 * T2G) + random(),
        shell,
    )


def edrixs_spectrum(problem: Problem, levels: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Initial levels (levels,) and spectrum on ``AXIS_EV`` of the same problem by edrixs.

    Its LOBPCG, with warnings off, misses degenerate levels if asked for few: never fewer than 12.
    """
    edrixs = importlib.import_module("edrixs")
    *operators, offset = _edrixs_problem(edrixs, problem)
    hmat_i, hmat_n, transitions = edrixs.get_ops(*operators, basis_method="explicit")
    levels = min(levels, hmat_i.shape[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LOBPCG talks
        energies, vectors = edrixs.ed(hmat_i, levels, backend_kws={"seed": 0})
    near = energies < energies[0] - Boltzmann * TEMPERATURE_K / eV * np.log(1e-4)
    spectrum = edrixs.xas(
        energies[near],
        vectors[:, near],
        hmat_n,
        transitions,
        AXIS_EV - offset,
        gamma_c=HWHM_EV,
        temperature=TEMPERATURE_K,
        pol_type=[("isotropic", 0.0)],
    )
    return energies, spectrum[:, 0]


def _edrixs_problem(edrixs: Any, problem: Problem) -> tuple[Any, ...]:
    """``model_siam`` arguments for get_ops and the energy of its final states' zero."""
    n, ligand = problem.n_d, problem.ligand
    udd, upd = (0.0, 0.0) if ligand is None else (ligand.udd_ev, ligand.upd_ev)
    e_d = e_dc = e_l = e_lc = e_p = 0.0
    if ligand is not None:
        e_d, e_l = edrixs.CT_imp_bath(udd, ligand.delta_ev, n)
        e_dc, e_lc, e_p = edrixs.CT_imp_bath_core_hole(udd, upd, ligand.delta_ev, n)
    first, second = problem.slater_initial, problem.slater_final
    f0_i = udd + MEAN_DD * (first.f2dd + first.f4dd)
    f0_f = udd + MEAN_DD * (second.f2dd + second.f4dd)
    f0_pd = upd + MEAN_PD[1] * second.g1pd + MEAN_PD[3] * second.g3pd
    slater = (
        [f0_i, first.f2dd, first.f4dd],
        [f0_f, second.f2dd, second.f4dd, f0_pd, second.f2pd, second.g1pd, second.g3pd],
    )
    order = [D_ORBITALS.index(name) for name in ("z2", "xz", "yz", "x2-y2", "xy")]

    def one_electron(d: float, bath: float) -> np.ndarray:
        blocks = [[problem.field + (d - np.trace(problem.field) / 5) * np.eye(5)]]
        if ligand is not None:
            blocks[0].append(ligand.hopping)
            level = bath - np.trace(ligand.energies) / 5
            blocks.append([ligand.hopping.T, ligand.energies + level * np.eye(5)])
        return np.block([[atom.with_spin(b[np.ix_(order, order)]) for b in row] for row in blocks])

    emat_i, umat_i, basis_i, emat_n, umat_n, basis_n, transition, _ = edrixs.model_siam(
        ("d", "p"),
        0 if ligand is None else 1,
        siam_type=1,
        v_noccu=n if ligand is None else n + 10,
        c_soc=problem.zeta_2p_ev,
        trans_c2n=edrixs.tmat_c2r("d", True),
        hopping=one_electron(e_d, e_l),
        hopping_n=one_electron(e_dc, e_lc),
        slater=slater,
    )
    emat_i[:10, :10] += edrixs.atom_hsoc("d", problem.zeta_3d_initial_ev)
    emat_n[:10, :10] += edrixs.atom_hsoc("d", problem.zeta_3d_final_ev)
    if ligand is not None:
        bases = [_kept(edrixs, basis, ligand.max_holes) for basis in (basis_i, basis_n)]
        basis_i, basis_n = bases
    return emat_i, umat_i, basis_i, emat_n, umat_n, basis_n, transition, 5 * e_p


def _kept(edrixs: Any, spec: Any, holes: int) -> Any:
    """The states of a basis with at most ``holes`` ligand holes, spin orbitals 10 to 19."""
    full = edrixs.build_fock_basis(spec, method="explicit")
    states = np.array(full.basis_int)
    kept = np.bitwise_count(states >> 10 & 1023) >= 10 - holes
    return type(full)(states[kept].tolist(), full.norbs)
