from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corefuse.config import Defect
from corefuse.structures import defects, layered
from corefuse.structures.layered import LI_LAYER, OXYGEN, TM_LAYER, VACANT, sites_of

METALS = {"Ni": 3, "Mn": 2, "Co": 1}
[(HOST, ARRANGEMENT)] = layered.decorations(METALS, 1, 1)
PERFECT = [*["Li"] * 6, *ARRANGEMENT, *["O"] * 12]


def insert(occupation=PERFECT, seed=1, **defect):
    return defects.insert(HOST, occupation, Defect(**defect), seed, "test")


def counts(occupation, sublattice=None):
    sites = range(len(occupation)) if sublattice is None else sites_of(HOST, sublattice)
    return Counter(occupation[i] for i in sites)


@settings(deadline=None)
@given(
    n_li=st.integers(0, 6),
    vacancies=st.integers(0, 4),
    pairs=st.integers(0, 2),
    excess=st.integers(0, 2),
    seed=st.integers(0, 99),
)
def test_defects_are_as_many_as_asked_and_all_on_record(n_li, vacancies, pairs, excess, seed):
    pairs = min(pairs, n_li)
    before = layered.keep_lithium(HOST, PERFECT, range(n_li))
    after, edits = insert(
        before, seed, oxygen_vacancies=vacancies, antisite_pairs=pairs, excess_ni=excess
    )
    assert counts(after)["O"] == 12 - vacancies
    assert counts(after)["Ni"] == 3 + excess
    assert counts(after, LI_LAYER)["Ni"] == pairs + excess
    assert counts(after, TM_LAYER)["Li"] == pairs
    assert VACANT not in counts(after, TM_LAYER)
    # an excess Ni costs a Li as long as the Li layer holds one
    assert counts(after)["Li"] == pairs + max(0, n_li - pairs - excess)
    assert {i for i in range(24) if before[i] != after[i]} == {e.ideal_site for e in edits}
    assert Counter(e.kind for e in edits) == Counter(
        oxygen_vacancy=vacancies, antisite_pair=2 * pairs, excess_ni=excess
    )
    for edit in edits:
        assert (edit.before, edit.after) == (before[edit.ideal_site], after[edit.ideal_site])
        assert np.allclose(edit.frac_coords, HOST[edit.ideal_site].frac_coords)


def test_no_defect_changes_nothing():
    assert insert() == (PERFECT, [])


def test_an_antisite_pair_keeps_the_composition():
    after, (first, second) = insert(antisite_pairs=1)
    assert counts(after) == counts(PERFECT)
    assert (first.before, first.after, second.before, second.after) == ("Li", "Ni", "Ni", "Li")


def test_an_antisite_pair_is_the_nearest_there_is():
    [(host, metals)] = layered.decorations({"Ni": 11, "Mn": 1}, 1, 1)
    perfect = [*["Li"] * 12, *metals, *["O"] * 24]
    distance = {
        (i, j): host.get_distance(i, j)
        for i in sites_of(host, LI_LAYER)
        for j in sites_of(host, TM_LAYER)
        if perfect[j] == "Ni"
    }
    nearest = min(distance.values())
    assert max(distance.values()) > nearest + 1
    for seed in range(10):
        _, (first, second) = defects.insert(host, perfect, Defect(antisite_pairs=1), seed)
        pair = first.ideal_site, second.ideal_site
        assert distance[pair] == pytest.approx(nearest, abs=0.01)


def test_excess_ni_replaces_lithium():
    after, (edit,) = insert(excess_ni=1)
    assert counts(after)["Li"] == 5 and counts(after)["Ni"] == 4
    assert counts(after, TM_LAYER) == counts(PERFECT, TM_LAYER)
    assert (edit.before, edit.after) == ("Li", "Ni")
    empty = layered.keep_lithium(HOST, PERFECT, [])
    after, (edit,) = insert(empty, excess_ni=1)
    assert counts(after)["Ni"] == 4 and edit.before == VACANT


@pytest.mark.parametrize("metal", ["Ni", "Mn", "Co"])
def test_a_vacancy_is_next_to_the_metal_asked_for(metal):
    places = set()
    for seed in range(30):
        after, edits = insert(seed=seed, oxygen_vacancies=2, vacancy_next_to=metal)
        for edit in edits:
            gone = HOST[edit.ideal_site]
            shell = [after[n.index] for n in HOST.get_neighbors(gone, 2.65)]
            assert metal in shell
            places.add(edit.ideal_site)
    beside = {
        n.index
        for i in sites_of(HOST, TM_LAYER)
        if PERFECT[i] == metal
        for n in HOST.get_neighbors(HOST[i], 2.65)
    }
    assert places == beside
    assert metal != "Co" or len(beside) == 6


def test_first_shell_is_three_metals_and_three_lithium():
    for site in sites_of(HOST, OXYGEN):
        shell = defects.first_shell(HOST, site)
        assert [HOST.site_properties["sublattice"][i] for i in shell] == ["Li"] * 3 + ["M"] * 3


def test_the_seed_decides_the_place():
    places = [insert(seed=s, oxygen_vacancies=1)[1][0].ideal_site for s in range(40)]
    assert places == [insert(seed=s, oxygen_vacancies=1)[1][0].ideal_site for s in range(40)]
    assert len(set(places)) > 8


def test_roles_of_a_perfect_cell_follow_the_sublattice():
    roles = defects.roles(HOST, PERFECT, [])
    assert roles == ["li_layer"] * 6 + ["tm_layer"] * 6 + ["oxygen"] * 12


def test_roles_name_antisites_and_the_cations_beside_a_vacancy():
    after, edits = insert(oxygen_vacancies=1, antisite_pairs=1, excess_ni=1)
    roles = defects.roles(HOST, after, edits)
    misplaced = {e.ideal_site for e in edits if e.kind != "oxygen_vacancy"}
    gone = next(e.ideal_site for e in edits if e.kind == "oxygen_vacancy")
    beside = {n.index for n in HOST.get_neighbors(HOST[gone], 2.65)}
    assert {i for i, r in enumerate(roles) if r == "antisite"} == misplaced
    assert {i for i, r in enumerate(roles) if r == "neighbour_of_vacancy"} == beside - misplaced
    assert {i for i, r in enumerate(roles) if r == "oxygen"} == set(sites_of(HOST, OXYGEN))


def test_an_antisite_beside_a_vacancy_is_an_antisite():
    after, edits = insert(antisite_pairs=3, oxygen_vacancies=6)
    assert defects.roles(HOST, after, edits).count("antisite") == 6


def test_defects_without_room_are_refused():
    with pytest.raises(ValueError, match=r"no Li/Ni pair is left to exchange\|"):
        insert(antisite_pairs=4)
    with pytest.raises(ValueError, match=r"no oxygen next to Co is left\|"):
        insert(oxygen_vacancies=7, vacancy_next_to="Co")
    with pytest.raises(ValueError, match=r"the Li layer is full of Ni\|"):
        insert(excess_ni=7)
