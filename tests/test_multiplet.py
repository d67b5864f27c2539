"""Physics of the multiplet solver: everything here has a closed form or a symmetry behind it."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import eigh
from scipy.signal import find_peaks
from scipy.spatial.transform import Rotation

from corefuse import config
from corefuse.bench.multiplets import truncation_error
from corefuse.bench.oracle import IONS, site
from corefuse.engines.multiplet import ions
from corefuse.engines.multiplet.solver import (
    D_ORBITALS,
    Ligand,
    Problem,
    Slater,
    atom,
    final_states,
    fock,
    initial_states,
    solve,
)
from corefuse.engines.multiplet.solver.krylov import Hermitian, lowest
from corefuse.structures import valence

EG = np.diag([float(name in ("z2", "x2-y2")) for name in D_ORBITALS])
T2G = np.eye(5) - EG
AXIS = np.arange(-25.0, 30.0, 0.05)
HWHM = 0.2
NO_SLATER = Slater(0.0, 0.0, 0.0, 0.0, 0.0)
RACAH_B, RACAH_C = 0.12, 0.5
F4 = RACAH_C * 441 / 35
SLATER = Slater(49 * (RACAH_B + 5 * F4 / 441), F4, 0.0, 0.0, 0.0)


def cubic(n_d: int, ten_dq: float, slater: Slater = SLATER) -> Problem:
    field = ten_dq * (0.6 * EG - 0.4 * T2G)
    return Problem(n_d, slater, slater, 0.0, 0.0, 0.0, field)


def levels(problem: Problem) -> np.ndarray:
    return np.linalg.eigvalsh(initial_states(problem).toarray())


@cache
def spectrum(ion: str, ligand: bool = False):
    return solve(site(ion, ligand), AXIS, HWHM)


def d_rotation(rotation: np.ndarray) -> np.ndarray:
    """5x5 rotation of the real d harmonics, from their values on a cloud of directions."""
    points = np.random.default_rng(0).normal(size=(50, 3))
    points /= np.linalg.norm(points, axis=1)[:, None]
    return np.linalg.lstsq(d_values(points), d_values(points @ rotation), rcond=None)[0]


def d_values(xyz: np.ndarray) -> np.ndarray:
    x, y, z = xyz.T
    values = {
        "xy": np.sqrt(15) * x * y,
        "yz": np.sqrt(15) * y * z,
        "z2": np.sqrt(5) / 2 * (3 * z**2 - 1),
        "xz": np.sqrt(15) * x * z,
        "x2-y2": np.sqrt(15) / 2 * (x**2 - y**2),
    }
    return np.stack([values[name] for name in D_ORBITALS], axis=1) / np.sqrt(4 * np.pi)


# One and two electrons


def test_dipole_matrix_elements_equal_integrals_over_the_sphere():
    cosines, weights = np.polynomial.legendre.leggauss(8)
    angles = np.arange(16) * np.pi / 8
    sines = np.sqrt(1 - cosines**2)[:, None]
    x, y = sines * np.cos(angles), sines * np.sin(angles)
    xyz = np.stack([x, y, np.broadcast_to(cosines[:, None], x.shape)], axis=-1).reshape(-1, 3)
    weight = np.repeat(weights, 16) * np.pi / 8
    p = np.sqrt(3 / (4 * np.pi)) * xyz
    expected = np.einsum("n,nq,nd,np->qdp", weight, xyz, d_values(xyz), p)
    np.testing.assert_allclose(atom.dipole()[:, ::2, ::2], expected, atol=1e-12)


@pytest.mark.parametrize("shell", ["p", "d"])
def test_angular_momentum_algebra(shell):
    lx, ly, lz = atom.angular_momentum(shell)
    ell = {"p": 1, "d": 2}[shell]
    np.testing.assert_allclose(lx @ ly - ly @ lx, 1j * lz, atol=1e-12)
    squared = lx @ lx + ly @ ly + lz @ lz
    np.testing.assert_allclose(squared, ell * (ell + 1) * np.eye(2 * ell + 1), atol=1e-12)


def test_spin_orbit_levels_of_one_electron_and_one_hole():
    np.testing.assert_allclose(
        np.linalg.eigvalsh(atom.spin_orbit("d")), [-1.5] * 4 + [1.0] * 6, atol=1e-12
    )
    hole = Problem(9, NO_SLATER, NO_SLATER, 0.0, 0.0, 10.0, np.zeros((5, 5)))
    np.testing.assert_allclose(
        np.linalg.eigvalsh(final_states(hole).toarray()), [-5.0] * 4 + [10.0] * 2, atol=1e-9
    )


def test_terms_of_a_free_d8_ion():
    # Condon & Shortley: energies and degeneracies of 3F, 1D, 3P, 1G, 1S in Racah's B and C.
    terms = {
        -8 * RACAH_B: 21,
        -3 * RACAH_B + 2 * RACAH_C: 5,
        7 * RACAH_B: 9,
        4 * RACAH_B + 2 * RACAH_C: 9,
        14 * RACAH_B + 7 * RACAH_C: 1,
    }
    expected = np.sort(np.repeat(list(terms), list(terms.values())))
    for n_d in (2, 8):
        found = levels(cubic(n_d, 0.0))
        np.testing.assert_allclose(found - found[0], expected - expected[0], atol=1e-10)


@pytest.mark.parametrize("ion", IONS)
def test_the_photon_energy_zero_is_the_difference_of_configuration_averages(ion):
    problem = site(ion, False, displaced_angstrom=0.1)
    for matrix in (initial_states(problem), final_states(problem)):
        assert abs(matrix.trace() / matrix.shape[0]) < 1e-9


# The cubic limit: Tanabe & Sugano


@pytest.mark.parametrize("ten_dq", [0.5, 1.1, 2.0])
def test_triplets_of_octahedral_d8(ten_dq):
    found = levels(cubic(8, ten_dq))
    found = found - found[0]
    b = RACAH_B
    root = np.sqrt((15 * b - ten_dq) ** 2 + 12 * b * ten_dq)
    for energy in (ten_dq, (15 * b + 3 * ten_dq - root) / 2, (15 * b + 3 * ten_dq + root) / 2):
        assert np.sum(abs(found - energy) < 1e-9) >= 9  # 3T2g, 3T1g(F), 3T1g(P)


@pytest.mark.parametrize(("n_d", "sign", "degeneracies"), [(1, 1, (6, 4)), (9, -1, (4, 6))])
def test_one_electron_and_one_hole_split_by_ten_dq(n_d, sign, degeneracies):
    found = levels(cubic(n_d, 1.3))
    expected = np.repeat([0.0, 1.3], degeneracies)
    np.testing.assert_allclose(found - found[0], expected, atol=1e-10)


def test_quartet_t2g_of_octahedral_d3_lies_at_ten_dq():
    found = levels(cubic(3, 1.7))
    assert np.sum(abs(found - found[0] - 1.7) < 1e-9) == 12


@pytest.mark.parametrize(("ion", "degeneracy"), [("Mn4+", 12), ("Ni2+", 9)])
def test_ten_dq_of_the_table_is_the_first_excitation_of_d3_and_d8(ion, degeneracy):
    problem = replace(site(ion, False), zeta_3d_initial_ev=0.0)
    found = levels(problem)
    at = abs(found - found[0] - ions.load().ions[ion].ten_dq_crystal_field_ev) < 1e-9
    assert np.sum(at) == degeneracy  # 4A2-4T2 and 3A2-3T2


@pytest.mark.parametrize("ten_dq", [0.6, 1.2])
def test_the_quartets_of_d5_that_no_field_moves(ten_dq):
    found = levels(cubic(5, ten_dq))
    sextet = 6
    assert np.ptp(found[:sextet]) < 1e-9
    at = abs(found - found[0] - (10 * RACAH_B + 5 * RACAH_C)) < 1e-9
    assert np.sum(at) >= 12  # 4A1g and 4Eg of 4G


def test_spin_states_cross_where_ten_dq_overtakes_exchange():
    assert solve(cubic(6, 1.0), AXIS, HWHM).spin[0] == pytest.approx(2, abs=1e-6)
    assert solve(cubic(6, 3.0), AXIS, HWHM).spin[0] == pytest.approx(0, abs=1e-6)
    assert solve(cubic(5, 1.0), AXIS, HWHM).spin[0] == pytest.approx(2.5, abs=1e-6)
    assert solve(cubic(5, 4.0), AXIS, HWHM).spin[0] == pytest.approx(0.5, abs=1e-6)


# Charge transfer


def test_one_hole_hops_to_the_ligand_as_in_a_two_level_system():
    hopping, delta = 1.3, 2.0
    ligand = Ligand(hopping * np.eye(5), np.zeros((5, 5)), delta, 6.0, 8.0, 10)
    problem = Problem(9, NO_SLATER, NO_SLATER, 0.0, 0.0, 9.0, np.zeros((5, 5)), ligand)
    result = solve(problem, AXIS, HWHM)
    assert result.ground_ev == pytest.approx((delta - np.hypot(delta, 2 * hopping)) / 2)
    weight_d9 = (1 + delta / np.hypot(delta, 2 * hopping)) / 2
    assert result.n_d == pytest.approx(9 + 1 - weight_d9)


def test_final_configurations_lie_delta_plus_udd_minus_upd_apart():
    ligand = Ligand(np.zeros((5, 5)), np.zeros((5, 5)), 2.0, 6.0, 7.5, 10)
    problem = Problem(8, NO_SLATER, NO_SLATER, 0.0, 0.0, 0.0, np.zeros((5, 5)), ligand)
    np.testing.assert_allclose(np.unique(levels(problem).round(9)), [0, 2, 2 * 2 + 6])
    found = np.linalg.eigvalsh(final_states(problem).toarray())
    np.testing.assert_allclose(np.unique(found.round(9)), [0, 0.5])


def test_without_hopping_the_ligand_is_not_there():
    bare = site("Ni2+", False)
    ligand = Ligand(np.zeros((5, 5)), np.zeros((5, 5)), 9.0, 6.0, 7.0, 10)
    with_ligand = solve(replace(bare, ligand=ligand), AXIS, HWHM)
    np.testing.assert_allclose(
        with_ligand.intensity, solve(bare, AXIS, HWHM).intensity, rtol=1e-3, atol=1e-6
    )


def test_the_spectrum_knows_the_sign_of_hopping_only_as_a_choice_of_phase():
    problem = site("Ni3+", True)
    flipped = replace(problem, ligand=replace(problem.ligand, hopping=-problem.ligand.hopping))
    a, b = (solve(p, AXIS, HWHM).intensity for p in (problem, flipped))
    np.testing.assert_allclose(a, b, atol=1e-4 * a.max())


def test_truncation_of_ligand_holes_converges(capsys):
    problem = site("Ni3+", True)
    found = [
        solve(replace(problem, ligand=replace(problem.ligand, max_holes=k)), AXIS, HWHM).intensity
        for k in (1, 2, 3, 10)
    ]
    errors = [truncation_error(y, found[-1]) for y in found[:3]]
    with capsys.disabled():
        print("\nNi3+ with 1, 2 ligand holes of 3: raw/shifted error", np.round(errors[:2], 3))
    assert errors[0][1] > errors[1][1] > errors[2][1] == pytest.approx(0, abs=1e-9)


# Sum rule


@pytest.mark.parametrize("ligand", [False, True])
@pytest.mark.parametrize("ion", IONS)
def test_isotropic_intensity_is_two_fifteenths_of_the_holes(ion, ligand):
    problem = site(ion, ligand)
    if ligand:  # any truncation obeys the rule
        problem = replace(problem, ligand=replace(problem.ligand, max_holes=1))
    axis = np.arange(-300.0, 300.0, 0.1)
    result = solve(problem, axis, HWHM, lanczos_steps=20)
    tail = 2 * HWHM / (np.pi * 300)  # of a Lorentzian outside the axis
    area = np.trapezoid(result.intensity, axis)
    assert result.total_intensity == pytest.approx(2 / 15 * result.d_holes)
    assert area == pytest.approx(result.total_intensity * (1 - tail), rel=5e-4)
    if not ligand:
        assert result.d_holes == pytest.approx(10 - ions.load().ions[ion].n_d)


# Symmetry


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10_000), ligand=st.booleans())
def test_a_rotated_site_has_the_same_levels_and_spectrum(seed, ligand):
    problem = site("Ni2+", ligand, displaced_angstrom=0.1, seed=seed)
    d = d_rotation(Rotation.random(random_state=seed).as_matrix())
    turned = replace(problem, field=d @ problem.field @ d.T)
    if ligand:
        shell = problem.ligand
        energies, hopping = (d @ m @ d.T for m in (shell.energies, shell.hopping))
        turned = replace(turned, ligand=replace(shell, energies=energies, hopping=hopping))
    a, b = (solve(p, AXIS, HWHM) for p in (problem, turned))
    np.testing.assert_allclose(a.levels_ev, b.levels_ev, atol=1e-9)
    np.testing.assert_allclose(a.intensity, b.intensity, atol=1e-3 * a.intensity.max())


@pytest.mark.parametrize("ion", ["Mn2+", "Mn4+", "Co2+", "Ni3+"])
def test_kramers_pairs_at_any_site(ion):
    found = solve(site(ion, False, displaced_angstrom=0.1), AXIS, HWHM).levels_ev[:12]
    np.testing.assert_allclose(found[::2], found[1::2], atol=1e-9)


def test_an_exchange_field_splits_a_spin_evenly_in_any_direction():
    for direction in ([0, 0, 1], [1, 2, 2]):
        field = 0.02 * np.array(direction) / np.linalg.norm(direction)
        found = solve(replace(cubic(5, 0.9), exchange_field_ev=tuple(field)), AXIS, HWHM)
        np.testing.assert_allclose(found.levels_ev[:6], 0.02 * np.arange(6), atol=1e-9)


# The known shapes


def branching_ratio(ion: str, ligand: bool) -> float:
    """L3/(L3+L2), cut at the lowest point between the two edges."""
    y = spectrum(ion, ligand).intensity
    zeta = ions.load().ions[ion].zeta_2p_ev
    l3 = AXIS[np.argmax(np.where(zeta / 4 > AXIS, y, 0))]
    between = (l3 < AXIS) & (l3 + 1.5 * zeta > AXIS)
    cut = np.flatnonzero(between)[np.argmin(y[between])]
    return float(y[:cut].sum() / y.sum())


MODELS = pytest.mark.parametrize("ligand", [False, True], ids=["field", "ligand"])


@MODELS
@pytest.mark.parametrize(
    ("smaller", "larger"),
    [("Mn4+", "Mn3+"), ("Mn3+", "Mn2+"), ("Co3+", "Co2+"), ("Ni4+", "Ni2+")],
)
def test_branching_ratios_follow_the_valence(smaller, larger, ligand):
    assert branching_ratio(smaller, ligand) < branching_ratio(larger, ligand) - 0.01


def test_branching_ratio_without_interactions_is_two_to_one():
    bare = replace(site("Ni2+", False), slater_final=NO_SLATER, slater_initial=NO_SLATER)
    bare = replace(bare, zeta_3d_initial_ev=0.0, zeta_3d_final_ev=0.0, field=np.zeros((5, 5)))
    result = solve(bare, AXIS, 0.1)
    cut = bare.zeta_2p_ev / 4 > AXIS
    assert result.intensity[cut].sum() / result.intensity.sum() == pytest.approx(2 / 3, abs=2e-3)


def peaks(ion: str, ligand: bool, low: float, high: float, prominence: float) -> np.ndarray:
    """Positions of the peaks within a range, prominence relative to the strongest in it."""
    y = spectrum(ion, ligand).intensity
    inside = (low < AXIS) & (high > AXIS)
    found, _ = find_peaks(y[inside], prominence=prominence * y[inside].max())
    return AXIS[inside][found]


@MODELS
def test_the_l2_edge_of_ni2_is_a_doublet(ligand):
    doublet = peaks("Ni2+", ligand, 5.0, 20.0, 0.2)
    assert len(doublet) == 2
    assert 0.5 < np.diff(doublet)[0] < 2.0  # about 1.1 eV in NiO


@MODELS
def test_low_spin_co3_has_one_strong_l3_peak(ligand):
    zeta = ions.load().ions["Co3+"].zeta_2p_ev
    assert spectrum("Co3+", ligand).spin[0] < 0.2
    assert len(peaks("Co3+", ligand, -25.0, zeta / 4, 0.4)) == 1


# Spin states


@MODELS
@pytest.mark.parametrize("ion", config.IONS)
def test_no_ion_of_the_table_crosses_its_spin_states_by_accident(ion, ligand):
    """The first spin of each is the ground state's, 0.1 eV or more below the next."""
    known = ions.load().ions[ion]
    asked = valence.SiteIon(ion[:2], int(ion[2]), known.spins[0], 2 * known.spins[0])
    found = spectrum(ion, ligand)
    assert valence.doubts(asked, found.levels_ev, found.spin) == []


def test_a_co3_ion_at_its_crossing_is_doubted():
    """Half way in 10Dq between a low-spin and a high-spin ground state, closed in on."""
    problem = site("Co3+", False)
    low, high = 0.4, 1.0
    for _ in range(12):
        scale = (low + high) / 2
        levels, spins = _levels_of(replace(problem, field=scale * problem.field))
        low, high = (low, scale) if spins[0] < 1 else (scale, high)
    (doubt,) = valence.doubts(valence.SiteIon("Co", 3, 0.0, 0.1), levels, spins)
    assert "lie within 0.0" in doubt


def _levels_of(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    found = solve(problem, np.zeros(1), HWHM, lanczos_steps=20)
    return found.levels_ev, found.spin


def test_a_spin_state_can_be_asked_for():
    problem = site("Co3+", False)
    low, high = (solve(problem, AXIS, HWHM, spin=s) for s in (0, 2))
    np.testing.assert_array_equal(low.intensity, solve(problem, AXIS, HWHM).intensity)
    assert truncation_error(high.intensity, low.intensity)[1] > 0.2
    forced = solve(replace(problem, field=problem.field * 0.4), AXIS, HWHM)
    assert forced.spin[0] > 1.8


def test_a_spin_state_that_is_not_there_is_an_error():
    with pytest.raises(ValueError, match="no state with S near 3"):
        solve(site("Ni2+", False), AXIS, HWHM, spin=3)


# Numerics


def test_the_continued_fraction_equals_the_sum_over_all_final_states():
    problem = site("Ni2+", False, displaced_angstrom=0.1)
    found = solve(problem, AXIS, HWHM)
    energies, states = eigh(initial_states(problem).toarray())
    boltzmann = np.exp(-(energies - energies[0]) / (8.617333e-5 * 300))
    finals, vectors = eigh(final_states(problem).toarray())
    rest = np.eye(fock.dimension(8))
    up = fock.annihilators(9).toarray().T
    expected = np.zeros_like(AXIS)
    for matrix in atom.dipole():
        t = np.vstack([up @ np.kron(column[:, None], rest) for column in matrix.T])
        strengths = abs(vectors.conj().T @ t @ states) ** 2 * boltzmann / boltzmann.sum()
        for i in np.flatnonzero(boltzmann > 1e-9):
            x = AXIS[:, None] - (finals - energies[i])
            expected += (HWHM / np.pi / (x**2 + HWHM**2)) @ strengths[:, i] / 3
    assert np.linalg.norm(found.intensity - expected) < 2e-3 * np.linalg.norm(expected)


@pytest.mark.parametrize("ion", ["Mn4+", "Co3+", "Ni4+"])
def test_two_hundred_lanczos_steps_are_enough(ion):
    problem = site(ion, False, displaced_angstrom=0.1)
    a, b = (solve(problem, AXIS, HWHM, lanczos_steps=n).intensity for n in (200, 800))
    assert np.linalg.norm(a - b) < 2e-3 * np.linalg.norm(b)


@pytest.mark.parametrize("displaced", [0.0, 0.1])
@pytest.mark.parametrize("count", [12, 24])
def test_the_filter_misses_no_degenerate_level(displaced, count):
    h = Hermitian.of(initial_states(site("Co2+", True, displaced)))
    assert h.real.shape[0] == 1140  # above the size that is solved densely
    expected = eigh(h.dense(), subset_by_index=(0, count - 1), eigvals_only=True)
    found, states = lowest(h, count)
    np.testing.assert_allclose(found, expected, atol=1e-8)
    np.testing.assert_allclose(states.conj().T @ states, np.eye(count), atol=1e-9)
