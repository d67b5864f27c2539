"""Angular overlap model: limits, symmetry, additivity."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from corefuse.engines.multiplet import ligand_field
from corefuse.engines.multiplet.solver import D_ORBITALS

FIELD = {"ten_dq_ev": 1.1, "bond_angstrom": 2.09, "exponent": 5.0, "pi_over_sigma": 0.25}
OCTAHEDRON = ligand_field.octahedron(2.09)
T2G = [D_ORBITALS.index(name) for name in ("xy", "yz", "xz")]
EG = [D_ORBITALS.index(name) for name in ("z2", "x2-y2")]


def field(vectors, **changes):
    return ligand_field.field(vectors, **FIELD | changes)


def hopping(vectors):
    return ligand_field.hopping(vectors, 2.06, 1.21, 2.09, 3.5)


def random_site(seed, n=6):
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(n, 3))
    lengths = rng.uniform(1.8, 2.4, size=(n, 1))
    return lengths * directions / np.linalg.norm(directions, axis=1, keepdims=True)


def test_an_octahedron_splits_into_t2g_and_eg_by_ten_dq():
    matrix = field(OCTAHEDRON)
    assert matrix == pytest.approx(np.diag(np.diag(matrix)), abs=1e-12)
    assert np.diag(matrix)[T2G] == pytest.approx(-0.4 * 1.1)
    assert np.diag(matrix)[EG] == pytest.approx(0.6 * 1.1)


def test_ten_dq_is_three_sigma_less_four_pi():
    sigma, pi = (p.sum(axis=0) for p in ligand_field.projectors(OCTAHEDRON))
    assert np.diag(sigma)[EG] == pytest.approx(3)
    assert np.diag(sigma)[T2G] == pytest.approx(0, abs=1e-12)
    assert np.diag(pi)[T2G] == pytest.approx(4)
    assert np.diag(pi)[EG] == pytest.approx(0, abs=1e-12)


def test_a_tetrahedron_has_minus_four_ninths_of_an_octahedron():
    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    matrix = field(2.09 * corners / np.sqrt(3))
    split = np.diag(matrix)[EG].mean() - np.diag(matrix)[T2G].mean()
    assert split == pytest.approx(-4 / 9 * 1.1)


def test_projectors_are_projectors_of_one_and_two_orbitals():
    for vector in random_site(0):
        sigma, pi = (p[0] for p in ligand_field.projectors(vector[None]))
        assert sigma @ sigma == pytest.approx(sigma, abs=1e-12)
        assert pi @ pi == pytest.approx(pi, abs=1e-12)
        assert sigma @ pi == pytest.approx(np.zeros((5, 5)), abs=1e-12)
        assert (np.trace(sigma), np.trace(pi)) == pytest.approx((1, 2))


@given(seed=st.integers(0, 200), angles=st.tuples(*[st.floats(-3, 3)] * 3))
def test_turning_the_ligands_turns_the_matrices(seed, angles):
    turn = Rotation.from_euler("xyz", angles).as_matrix()
    tensors = ligand_field._TENSORS
    of_d = np.einsum("mij,ik,jl,nkl->mn", tensors, turn, turn, tensors)
    vectors = random_site(seed)
    for make in (field, hopping):
        before, after = make(vectors), make(vectors @ turn.T)
        assert after == pytest.approx(of_d @ before @ of_d.T, abs=1e-9)
        assert np.linalg.eigvalsh(after) == pytest.approx(np.linalg.eigvalsh(before), abs=1e-9)


@given(seed=st.integers(0, 200), n=st.integers(1, 6), mirrored=st.booleans())
def test_the_canonical_surroundings_forget_direction_handedness_and_order(seed, n, mirrored):
    vectors = random_site(seed, n).round(3)
    turn = Rotation.random(random_state=seed).as_matrix() * (-1 if mirrored else 1)
    order = np.random.default_rng(seed).permutation(n)
    found = ligand_field.canonical(vectors, 3)
    again = ligand_field.canonical((vectors @ turn.T)[order], 3)
    assert again == pytest.approx(found, abs=1.1e-3)  # a last digit may round either way
    lengths = np.linalg.norm(vectors, axis=1)
    assert np.sort(np.linalg.norm(found, axis=1)) == pytest.approx(np.sort(lengths), abs=1e-3)
    assert np.linalg.eigvalsh(field(found)) == pytest.approx(
        np.linalg.eigvalsh(field(vectors)), abs=5e-3
    )


def test_ligands_on_one_line_are_surroundings_too():
    line = 2.0 * np.array([[1, 2, 2], [-1, -2, -2]]) / 3
    assert ligand_field.canonical(line, 3) == pytest.approx(np.array([[-2, 0, 0], [2, 0, 0]]))


def test_other_surroundings_stay_others():
    moved = OCTAHEDRON.copy()
    moved[0] *= 1.002
    assert not np.array_equal(
        ligand_field.canonical(moved, 3), ligand_field.canonical(OCTAHEDRON, 3)
    )


def test_the_tensors_are_the_orbitals_their_names_say():
    x, y, z = 0.36, 0.48, 0.8
    sigma = ligand_field.projectors(np.array([[x, y, z]]))[0][0]
    root3 = np.sqrt(3)
    orbitals = [
        root3 * x * y,
        root3 * y * z,
        (3 * z * z - 1) / 2,
        root3 * x * z,
        root3 / 2 * (x * x - y * y),
    ]
    assert sigma == pytest.approx(np.outer(orbitals, orbitals), abs=1e-12)


def test_a_missing_apical_ligand_lowers_z2_and_leaves_x2_y2():
    five = OCTAHEDRON[:5]  # without -z
    sigma = 1.1 / 2
    lost = field(OCTAHEDRON) - field(five)
    raw = np.zeros(5)
    raw[D_ORBITALS.index("z2")] = sigma
    raw[[D_ORBITALS.index(name) for name in ("xz", "yz")]] = 0.25 * sigma
    assert lost == pytest.approx(np.diag(raw - raw.mean()), abs=1e-12)
    order = np.diag(field(five))
    assert order[D_ORBITALS.index("z2")] < order[D_ORBITALS.index("x2-y2")]


def test_a_trigonal_squeeze_splits_t2g_into_one_and_two_and_keeps_eg_together():
    axis = np.ones(3) / np.sqrt(3)
    along = np.outer(OCTAHEDRON @ axis, axis)
    squeezed = OCTAHEDRON - 0.08 * along
    levels = np.linalg.eigvalsh(field(squeezed))
    gaps = np.diff(levels) > 1e-6
    assert gaps.tolist() in ([True, False, True, False], [False, True, True, False])


@given(scale=st.floats(0.9, 1.1))
def test_fields_and_hoppings_fall_with_the_powers_asked_for(scale):
    assert field(scale * OCTAHEDRON) == pytest.approx(scale**-5 * field(OCTAHEDRON), abs=1e-9)
    far, near = hopping(scale * OCTAHEDRON), hopping(OCTAHEDRON)
    assert far == pytest.approx(scale**-3.5 * near, abs=1e-9)


def test_hopping_of_an_octahedron_is_v_eg_and_v_t2g():
    matrix = hopping(OCTAHEDRON)
    assert matrix == pytest.approx(np.diag(np.diag(matrix)), abs=1e-12)
    assert np.diag(matrix)[EG] == pytest.approx(2.06)
    assert np.diag(matrix)[T2G] == pytest.approx(1.21)


@given(seed=st.integers(0, 100))
def test_squares_of_hoppings_add_up_over_the_ligands(seed):
    vectors = random_site(seed)
    whole = hopping(vectors) @ hopping(vectors)
    parts = sum(hopping(v[None]) @ hopping(v[None]) for v in vectors)
    assert whole == pytest.approx(parts, abs=1e-9)
