from itertools import combinations, islice, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.ewald import EwaldSummation
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from corefuse.structures import layered
from corefuse.structures.layered import LI_LAYER, OXYGEN, TM_LAYER, CoulombOrdering, sites_of


def widest(formula_units: int) -> Structure:
    return next(layered.hosts(formula_units))


def width(structure: Structure) -> float:
    """Shortest lattice vector, by brute force over images."""
    images = np.array([v for v in np.ndindex(7, 7, 7) if v != (3, 3, 3)]) - 3
    return float(np.linalg.norm(images @ structure.lattice.matrix, axis=1).min())


def full(host: Structure, metals: list[str]) -> list[str]:
    return [*["Li"] * len(metals), *metals, *["O"] * 2 * len(metals)]


@pytest.mark.parametrize("formula_units", range(1, 13))
def test_host_is_licoo2_whatever_its_size(formula_units):
    host = widest(formula_units)
    assert np.linalg.det(host.lattice.matrix) > 0
    assert host.composition.as_dict() == {
        "Li": formula_units,
        "Co": formula_units,
        "O": 2 * formula_units,
    }
    assert SpacegroupAnalyzer(host).get_space_group_number() == 166
    assert host.volume / formula_units == pytest.approx(np.sqrt(3) / 2 * 2.87**2 * 14.25 / 3)


@pytest.mark.parametrize("formula_units", [1, 4, 5, 10])
def test_cations_have_six_oxygens_and_oxygen_three_of_each(formula_units):
    host = widest(formula_units)
    for i, site in enumerate(host):
        shell = [n.specie.symbol for n in host.get_neighbors(site, 2.65)]
        expected = ["Co"] * 3 + ["Li"] * 3 if host[i].specie.symbol == "O" else ["O"] * 6
        assert sorted(shell) == expected


def test_metals_hold_oxygen_closer_than_lithium_does():
    host = widest(4)
    bonds = {
        element: {round(n.nn_distance, 2) for n in host.get_neighbors(host[i], 2.65)}
        for element, i in (("Li", 0), ("Co", 4))
    }
    assert bonds == {"Li": {2.11}, "Co": {1.97}}


def test_sites_are_li_layer_then_metals_then_oxygen():
    host = widest(4)
    assert sites_of(host, LI_LAYER) == [0, 1, 2, 3]
    assert sites_of(host, TM_LAYER) == [4, 5, 6, 7]
    assert sites_of(host, OXYGEN) == list(range(8, 16))
    assert [s.specie.symbol for s in host] == full(host, ["Co"] * 4)


@pytest.mark.parametrize("n, sublattices", [(1, 1), (2, 7), (3, 13), (4, 35), (5, 31), (6, 91)])
def test_every_sublattice_is_tried(n, sublattices):
    # OEIS A001001: sublattices of index n of a three-dimensional lattice
    forms = np.array(list(layered._hermite_forms(n)))
    assert len(forms) == sublattices
    assert np.allclose(np.linalg.det(forms), n)


@pytest.mark.parametrize("formula_units", [4, 6, 8])
def test_hosts_come_widest_first(formula_units):
    primitive = widest(1)
    brute = max(width(primitive * form) for form in layered._hermite_forms(formula_units))
    widths = [width(h) for h in islice(layered.hosts(formula_units), 40)]
    assert widths[0] == pytest.approx(brute, abs=1e-4)
    assert all(a >= b - 1e-4 for a, b in pairwise(widths))
    assert widths[-1] >= 0.7 * widths[0] - 1e-4


@given(st.lists(st.integers(0, 99), unique=True), st.integers(), st.text())
def test_shuffled_is_a_permutation_set_by_the_key(items, seed, tag):
    assert sorted(layered.shuffled(items, seed, tag)) == sorted(items)
    assert layered.shuffled(items[::-1], seed, tag) == layered.shuffled(items, seed, tag)


def test_shuffles_are_the_same_on_every_machine():
    assert layered.shuffled(range(8), 1, "x") == [5, 7, 1, 6, 2, 3, 0, 4]
    assert layered.shuffled(range(8), 2, "x") != layered.shuffled(range(8), 1, "x")
    assert layered.stream_seed(1, "x") == 2567965800


METALS = st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(0, 3)).filter(any)


@settings(max_examples=15, deadline=None)
@given(METALS, st.integers(0, 2))
def test_decoration_keeps_the_composition(counts, seed):
    metals = {m: n for m, n in zip(("Ni", "Mn", "Co"), counts, strict=True) if n}
    [(host, arrangement)] = layered.decorations(metals, 1, seed)
    assert len(arrangement) == len(sites_of(host, TM_LAYER)) == sum(metals.values())
    assert {m: arrangement.count(m) for m in arrangement} == metals


@pytest.mark.parametrize("metals", [{"Ni": 2, "Mn": 1, "Co": 1}, {"Ni": 6, "Mn": 2, "Co": 2}])
def test_decorations_are_different_crystals(metals):
    found = [
        Structure(host.lattice, full(host, arrangement), host.frac_coords)
        for host, arrangement in layered.decorations(metals, 4, 1)
    ]
    matcher = StructureMatcher(scale=False)
    assert not any(matcher.fit(a, b) for a, b in combinations(found, 2))


@pytest.mark.parametrize(("metals", "there"), [({"Co": 4}, 1), ({"Ni": 1, "Mn": 1}, 3)])
def test_a_crystal_is_never_delivered_twice(metals, there):
    assert len(layered.decorations(metals, there, 1)) == there
    with pytest.raises(ValueError, match=rf"has {there} distinct .*\|use {there} or a larger cell"):
        layered.decorations(metals, there + 1, 1)


@pytest.mark.parametrize("metals", [{"Co": 1}, {"Ni": 2, "Mn": 1, "Co": 1}])
def test_an_arrangement_has_one_name_in_every_cell(metals):
    [(host, arrangement)] = layered.decorations(metals, 1, 1)
    repeated = Structure(host.lattice, full(host, arrangement), host.frac_coords)
    repeated.add_site_property("sublattice", host.site_properties["sublattice"])
    repeated = repeated * [[1, 1, 0], [0, 2, 0], [0, 0, 1]]
    layer = sites_of(repeated, TM_LAYER)
    names = [repeated[i].specie.symbol for i in layer]
    assert len(names) == 2 * len(arrangement)
    assert layered.arrangement_id(repeated, names) == layered.arrangement_id(host, arrangement)


def test_different_arrangements_have_different_names():
    cells = layered.decorations({"Ni": 2, "Mn": 1, "Co": 1}, 5, 1)
    others = [*layered.decorations({"Ni": 4}, 1, 1), *layered.decorations({"Co": 4}, 1, 1)]
    assert len({layered.arrangement_id(*cell) for cell in [*cells, *others]}) == 7


def test_the_first_arrangement_is_nearest_a_random_alloy():
    host = widest(12)
    ranked = layered.arrangements(host, {"Ni": 6, "Mn": 6}, 1)

    def unlike_share(arrangement):
        crystal = Structure(host.lattice, full(host, arrangement), host.frac_coords)
        pairs = [
            n.specie.symbol != crystal[i].specie.symbol
            for i in sites_of(host, TM_LAYER)
            for n in crystal.get_neighbors(crystal[i], 3.0)
            if n.specie.symbol in ("Ni", "Mn")
        ]
        assert len(pairs) == 72
        return np.mean(pairs)

    best, worst = unlike_share(ranked[0][1]), unlike_share(ranked[-1][1])
    assert abs(best - 0.5) <= 0.06 < abs(worst - 0.5)


def test_a_seed_fixes_the_arrangement():
    metals = {"Ni": 6, "Mn": 2, "Co": 2}
    [first] = layered.decorations(metals, 1, 1, "a")
    assert layered.decorations(metals, 1, 1, "a") == [first]
    assert layered.decorations(metals, 1, 2, "a")[0][1] != first[1]


@given(METALS, st.data())
def test_formal_charges_make_the_cell_neutral(counts, data):
    metals = {m: n for m, n in zip(("Ni", "Mn", "Co"), counts, strict=True) if n}
    size = sum(metals.values())
    n_li = data.draw(st.integers(0, size))
    charges = layered.formal_charges(metals, n_li)
    assert sum(charges[m] * n for m, n in metals.items()) + n_li == pytest.approx(4 * size)
    assert all(2 - 1e-9 <= q <= 4 + 1e-9 for q in charges.values())


def test_formal_charges_of_nmc():
    nmc111 = {"Ni": 4, "Mn": 4, "Co": 4}
    assert layered.formal_charges(nmc111, 12) == {"Ni": 2, "Mn": 4, "Co": 3}
    assert layered.formal_charges(nmc111, 6) == {"Ni": 3.5, "Mn": 4, "Co": 3}
    assert layered.formal_charges({"Co": 4}, 2) == {"Co": 3.5}


def test_coulomb_energy_is_that_of_the_real_cell():
    metals = {"Ni": 3, "Mn": 1, "Co": 1}
    [(host, arrangement)] = layered.decorations(metals, 1, 1)
    occupation = full(host, arrangement)
    kept = [0, 3]
    charges = layered.formal_charges(metals, 2) | {"Li": 1.0, "O": -2.0}
    sites = [i for i in range(len(host)) if i >= 5 or i in kept]
    species = [occupation[i] for i in sites]
    crystal = Structure(host.lattice, species, host.frac_coords[sites])
    crystal.add_oxidation_state_by_site([charges[s] for s in species])
    direct = EwaldSummation(crystal).total_energy
    energy = CoulombOrdering(host, occupation, 2).energy_ev(kept)
    # the kernels converge separately, hence not to machine precision
    assert energy == pytest.approx(direct, rel=1e-5)


def test_swaps_find_the_lowest_order_of_all():
    [(host, arrangement)] = layered.decorations({"Ni": 6, "Mn": 1, "Co": 1}, 1, 1)
    occupation = full(host, arrangement)
    kept = layered.lithium_sites(host, occupation, 4, "ewald", None, 1, "p")
    coulomb = CoulombOrdering(host, occupation, 4)
    energies = [coulomb.energy_ev(c) for c in combinations(range(8), 4)]
    assert coulomb.energy_ev(kept) == pytest.approx(min(energies), abs=1e-6)
    assert max(energies) > min(energies) + 0.1


def test_half_lithiated_licoo2_orders_in_rows():
    # measured: P2/m rows of Li (Reimers & Dahn, J. Electrochem. Soc. 139, 2091 (1992))
    host = widest(4)
    kept = layered.lithium_sites(host, full(host, ["Co"] * 4), 2, "ewald", None, 1)
    half = host.copy()
    half.remove_sites([i for i in range(4) if i not in kept])
    for lithium in half[:2]:
        near = [n.specie.symbol for n in half.get_neighbors(lithium, 3.0)]
        assert near.count("Li") == 2
    assert SpacegroupAnalyzer(half).get_space_group_symbol() == "P2/m"


def test_chgnet_order_has_the_lowest_energy_it_saw():
    host = widest(8)
    occupation = full(host, ["Co"] * 8)
    seen = {}

    def energy_ev(trial):
        kept = tuple(i for i in range(8) if trial[i] == "Li")
        assert len(kept) == 4 and trial[8:] == occupation[8:]
        seen[kept] = -sum(kept)  # unlike Coulomb: wants the last sites filled
        return seen[kept]

    kept = layered.lithium_sites(host, occupation, 4, "chgnet", energy_ev, 1)
    assert len(seen) > 3
    assert seen[tuple(kept)] == min(seen.values())


def test_random_order_depends_on_the_key_only():
    host = widest(12)
    occupation = full(host, ["Co"] * 12)
    orders = [layered.lithium_sites(host, occupation, 6, "random", None, s) for s in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]
    assert all(len(set(o)) == 6 and max(o) < 12 for o in orders)


@pytest.mark.parametrize("n_li", [0, 4])
@pytest.mark.parametrize("ordering", ["ewald", "chgnet", "random"])
def test_full_and_empty_layers_need_no_choice(n_li, ordering):
    host = widest(4)
    occupation = full(host, ["Co"] * 4)
    kept = layered.lithium_sites(host, occupation, n_li, ordering, None, 1)
    left = layered.keep_lithium(host, occupation, kept)
    assert left == ["Li"] * n_li + [layered.VACANT] * (4 - n_li) + occupation[4:]
