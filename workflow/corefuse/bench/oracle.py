"""Ions of the table for the multiplet solver, and the same problem solved by edrixs.

edrixs (Wang, Fabbris, Dean & Kotliar, Comput. Phys. Commun. 243, 151 (2019)) is an independent
program: the oracle of the tests. It need not be installed to run the workflow.
"""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import numpy as np
from scipy.constants import Boltzmann, eV

from corefuse import config
from corefuse.engines.multiplet import ions, ligand_field
from corefuse.engines.multiplet.engine import problem_of
from corefuse.engines.multiplet.solver import D_ORBITALS, MEAN_DD, MEAN_PD, Problem, atom

IONS = tuple(ion for ion in config.IONS if ion != "Co4+")  # a minute in edrixs
AXIS_EV = np.arange(-25.0, 30.0, 0.05)
HWHM_EV = 0.2
TEMPERATURE_K = 300.0


def site(ion: str, ligand: bool, displaced_angstrom: float = 0.0, seed: int = 0) -> Problem:
    """An ion of the table as the engine sees it, in a regular octahedron.

    Each ligand is displaced at random by about ``displaced_angstrom`` an axis: no symmetry is left.
    """
    table = ions.load()
    known = table.ions[ion]
    rng = np.random.default_rng(seed)
    vectors = ligand_field.octahedron(known.bond_angstrom)
    vectors = vectors + rng.normal(scale=displaced_angstrom, size=vectors.shape)
    settings = config.Multiplet(charge_transfer=ligand).model_dump()
    return problem_of(ion, known, table.geometry, vectors, settings)


def edrixs_spectrum(
    problem: Problem, lanczos_steps: int = 200, levels: int = 16
) -> tuple[np.ndarray, np.ndarray]:
    """Initial levels (levels,) and spectrum on ``AXIS_EV`` of the same problem by edrixs.

    At 200 Lanczos steps, as many as ours, its spectra are off by up to 0.8 %, as ours are. Its
    LOBPCG, with warnings off, misses degenerate levels if asked for few: never fewer than 12.
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
        backend_kws={"nkryl": lanczos_steps},
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
