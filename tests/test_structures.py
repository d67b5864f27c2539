import json
import sys
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Structure

from corefuse import engines
from corefuse.config import Structures
from corefuse.core.errors import InputError, NotConvergedError
from corefuse.plan.specs import StructureSpec, plan
from corefuse.structures import build, defects, relax

NMC211 = {"Ni": 0.5, "Mn": 0.25, "Co": 0.25}


def spec(seed=1, relaxation=None, decorations=1, **series) -> StructureSpec:
    series = {"grade": "NMC211", "stoichiometry": NMC211, "decorations": decorations} | series
    section = {"seed": seed, "series": [series], "relaxation": relaxation or {}}
    return plan(Structures.model_validate(section))[-1]


@pytest.fixture(scope="module")
def made():
    """Sixteen atoms with both defects, a few steps from the ideal sites."""
    return build.make(
        spec(
            relaxation={"max_steps": 3},
            li_content=[0.5],
            defects=[{"oxygen_vacancies": 1, "vacancy_next_to": "Mn", "antisite_pairs": 1}],
        )
    )


@settings(max_examples=40, deadline=None)
@given(
    formula_units=st.sampled_from([4, 8]),
    removed=st.integers(0, 3),
    vacancies=st.integers(0, 2),
    pairs=st.integers(0, 1),
    excess=st.integers(0, 1),
    seed=st.integers(0, 5),
)
def test_contents_are_those_of_the_atoms(formula_units, removed, vacancies, pairs, excess, seed):
    n_li = formula_units - removed
    built = build.build(
        spec(
            seed=seed,
            formula_units=formula_units,
            li_content=[n_li / formula_units],
            defects=[{"oxygen_vacancies": vacancies, "antisite_pairs": pairs, "excess_ni": excess}],
        )
    )
    lost = min(excess, n_li - pairs)
    number = Counter(s.specie.symbol for s in built)
    assert number == Counter(
        Li=n_li - lost,
        Ni=formula_units // 2 + excess,
        Mn=formula_units // 4,
        Co=formula_units // 4,
        O=2 * formula_units - vacancies,
    )
    found = build.contents(built)
    assert found["n_atoms"] == sum(number.values())
    assert found["formula_units"] == formula_units
    assert found["x_li"] == pytest.approx(number["Li"] / formula_units)
    assert found["x_ni"] == pytest.approx(0.5 + excess / formula_units)
    assert found["x_mn"] == found["x_co"] == 0.25
    assert found["v_o_count"] == vacancies
    assert found["v_o_fraction"] == vacancies / formula_units
    assert found["antisite_count"] == pairs + excess
    assert found["antisite_fraction"] == (pairs + excess) / formula_units
    assert (
        found["defect_class"]
        == {
            (False, False): "pristine",
            (True, False): "vacancy",
            (False, True): "antisite",
            (True, True): "vacancy+antisite",
        }[vacancies > 0, pairs + excess > 0]
    )


def test_labels_come_from_the_atoms_and_not_from_the_request(made):
    edited = made.copy(properties=made.properties)
    oxygen = next(i for i, s in enumerate(edited) if s.specie.symbol == "O")
    nickel = next(
        i
        for i, s in enumerate(edited)
        if s.specie.symbol == "Ni" and s.properties["sublattice"] == "Li"
    )
    edited.replace(nickel, "Li", properties=edited[nickel].properties)
    edited.remove_sites([oxygen])
    before, after = build.labels(made), build.labels(edited)
    assert (before["v_o_count"], after["v_o_count"]) == (1, 2)
    assert (before["antisite_count"], after["antisite_count"]) == (1, 0)
    assert after["defect_class"] == "vacancy"
    assert after["x_li"] == before["x_li"] + 0.25
    assert after["x_ni"] == before["x_ni"] - 0.25


def test_a_repeated_cell_has_the_same_fractions(made):
    one, two = build.contents(made), build.contents(made * (2, 1, 1))
    for name, value in one.items():
        if name == "o_beside_vacancy":  # the copy has no record of what was taken out
            assert two[name] is None
            continue
        extensive = name in ("n_atoms", "formula_units", "v_o_count", "antisite_count")
        assert two[name] == (2 * value if extensive else value)


def test_a_seed_fixes_the_structure():
    request = {"formula_units": 8, "li_content": [0.5], "defects": [{"oxygen_vacancies": 1}]}
    first, again, other = (build.build(spec(seed=s, **request)) for s in (1, 1, 2))
    assert first.as_dict() == again.as_dict()
    assert first.composition == other.composition
    assert first != other


def test_defects_of_a_parent_sit_on_one_host():
    """Same metals and same Li order: what differs is the defect."""
    request = {"formula_units": 8, "li_content": [0.5], "li_ordering": "random"}
    perfect = build.build(spec(**request))
    defective = build.build(spec(**request, defects=[{"oxygen_vacancies": 1}]))
    ideal = perfect.site_properties["ideal_site"]
    kept = [ideal.index(i) for i in defective.site_properties["ideal_site"]]
    assert len(kept) == len(perfect) - 1
    assert [perfect[i].species for i in kept] == [s.species for s in defective]
    assert np.allclose(perfect.frac_coords[kept], defective.frac_coords)


def test_decorations_are_different_crystals_and_say_so():
    first, second = (build.build(spec(decorations=n)) for n in (1, 2))
    assert first != second
    assert first.properties["arrangement"] != second.properties["arrangement"]


def test_one_crystal_in_two_cells_is_one_arrangement():
    small, large = (
        build.build(spec(grade="LiNiO2", stoichiometry=None, formula_units=n)) for n in (1, 4)
    )
    assert small.properties["arrangement"] == large.properties["arrangement"]


def test_the_record_keeps_the_place_of_the_vacancy(made):
    built = build.build(StructureSpec.model_validate(made.properties["spec"]))
    assert built.properties["defects"] == made.properties["defects"]
    record = next(d for d in built.properties["defects"] if d["kind"] == "oxygen_vacancy")
    assert record["ideal_site"] not in built.site_properties["ideal_site"]
    distance = built.lattice.get_all_distances([record["frac_coords"]], built.frac_coords)[0]
    assert distance.min() > 1.9
    near = [site for site, d in zip(built, distance, strict=True) if d < 2.65]
    assert "Mn" in {site.specie.symbol for site in near}
    assert len(near) >= 3
    beside = [s for s in built if s.properties["role"] == "neighbour_of_vacancy"]
    assert beside == [s for s in near if s.properties["role"] != "antisite"]
    assert beside


def test_roles_and_sublattices_survive_relaxation(made):
    unrelaxed = build.build(StructureSpec.model_validate(made.properties["spec"]))
    for name in ("sublattice", "role", "ideal_site"):
        assert made.site_properties[name] == unrelaxed.site_properties[name]
    assert made.species == unrelaxed.species
    assert [s.specie.symbol for s in made if s.properties["role"] == "antisite"] == ["Ni", "Li"]


def test_made_structures_carry_their_row_and_where_they_come_from(made):
    row = made.properties["labels"]
    assert tuple(row) == build.COLUMNS
    assert row == build.labels(made)
    assert row["structure_id"] == "NMC211-4fu-d0-li050-vo1Mn-as1"
    assert row["parent_id"] == "NMC211-4fu-d0"
    assert row["host_id"] == "NMC211-4fu-d0-li050"
    assert (row["relaxed"], row["relax_steps"], row["seed"]) == (False, 3, 1)
    assert row["volume_a3_per_fu"] == pytest.approx(made.volume / 4)
    assert made.properties["relaxation"]["versions"]["torch"]
    assert set(made.site_properties) == {
        "sublattice", "ideal_site", "role", "magmom", "oxidation_state",
    }  # fmt: skip


def test_making_it_again_gives_the_same(made):
    again = build.make(StructureSpec.model_validate(made.properties["spec"]))
    assert np.allclose(again.cart_coords, made.cart_coords, atol=1e-4)
    assert (
        again.properties["relaxation"]["rattle_seed"]
        == (made.properties["relaxation"]["rattle_seed"])
    )


@pytest.mark.parametrize("fault", ["energy", "exception"])
def test_a_structure_that_chgnet_fails_on_is_kept_with_the_reason(fault, monkeypatch, tmp_path):
    """Hundreds of others go on; no engine touches this one."""

    def fail(atoms, *args, **kwargs):
        if fault == "exception":
            raise RuntimeError("isolated atoms")
        raise NotConvergedError("CHGNet gives no finite energy")

    monkeypatch.setattr(relax.FrozenCHGNet, "calculate", fail)
    kept = build.make(spec(defects=[{"oxygen_vacancies": 1}]))
    build.write(tmp_path / "s.json", kept)
    again = build.read(tmp_path / "s.json")
    row = build.labels(again)
    assert ("isolated atoms" if fault == "exception" else "no finite energy") in row["failed"]
    assert (row["v_o_count"], row["relaxed"], row["energy_ev_per_atom"]) == (1, False, None)
    for engine in ("gpaw", "multiplet"):
        job = engines.Job("s", again, ("Ni L2,3",), {}, tmp_path)
        raw = engines.simulate(engines.get(engine), job, tmp_path / engine)
        assert (raw.attrs["status"], raw.attrs["reason"]) == ("failed", row["failed"])
        assert raw.attrs["structure_id"] == "s"


def test_sites_of_a_structure_that_failed_do_not_begin(tmp_path):
    built = build.build(spec())
    built.properties["failed"] = "CHGNet relaxation: no"
    job = engines.Job("s", built, ("O K",), {}, tmp_path)
    engines.begin(engines.get("feff"), job, tmp_path / "scratch", tmp_path / "start")
    assert "CHGNet relaxation: no" in str(engines.why_not_begun(tmp_path / "start"))


def test_chgnet_may_choose_the_lithium():
    built = build.build(
        spec(grade="LiCoO2", stoichiometry=None, li_content=[0.5], li_ordering="chgnet")
    )
    assert build.contents(built)["x_li"] == 0.5


def test_json_round_trip(made, tmp_path):
    file = tmp_path / "structures" / "x.json"
    build.write(file, made)
    again = build.read(file)
    assert again == made
    assert again.site_properties == made.site_properties
    assert again.properties == made.properties
    assert build.labels(again) == build.labels(made)
    assert type(again.site_properties["oxidation_state"][0]) is int


def test_reading_a_structure_runs_no_code(made, tmp_path, monkeypatch):
    (tmp_path / "trap.py").write_text("class Trap:\n    from_dict = print\n")
    monkeypatch.syspath_prepend(tmp_path)
    data = made.as_dict()
    data["sites"][0]["properties"]["role"] = {"@module": "trap", "@class": "Trap"}
    file = tmp_path / "trap.json"
    file.write_text(json.dumps(data))
    assert build.read(file).site_properties["role"][0]["@class"] == "Trap"
    assert "trap" not in sys.modules
    Structure.from_dict(data)
    assert sys.modules.pop("trap")  # the reader of pymatgen falls for it


@pytest.mark.parametrize("text", ["{}", "[]", '{"sites": []}', "not json", '{"sites": [{}]}'])
def test_a_file_that_is_no_structure_is_refused(tmp_path, text):
    file = tmp_path / "bad.json"
    file.write_text(text)
    with pytest.raises(InputError, match=r"bad.json: .*(not a corefuse structure|no JSON).*Fix: "):
        build.read(file)


def test_index_has_the_columns_of_the_contract(made, tmp_path):
    file = tmp_path / "structures" / "index.csv"
    row = build.labels(made)
    build.write_index(file, [row, row | {"structure_id": "other", "relaxed": True}])
    table = pd.read_csv(file)
    assert tuple(table.columns) == build.COLUMNS
    assert table["structure_id"].tolist() == [row["structure_id"], "other"]
    assert table["relaxed"].tolist() == [False, True]
    assert table["x_li"][0] == row["x_li"]
    assert table["energy_ev_per_atom"][0] == pytest.approx(row["energy_ev_per_atom"], rel=1e-15)
    with pytest.raises(KeyError, match="x_li"):
        build.write_index(file, [{k: v for k, v in row.items() if k != "x_li"}])
    assert len(pd.read_csv(file)) == 2


def test_a_defect_without_room_stops_the_build():
    with pytest.raises(ValueError, match=r"no oxygen next to Co is left\|"):
        build.build(spec(defects=[{"oxygen_vacancies": 7, "vacancy_next_to": "Co"}]))


def test_ideal_sites_match_the_edits():
    built = build.build(spec(defects=[{"antisite_pairs": 1}]))
    place = dict(zip(built.site_properties["ideal_site"], built, strict=True))
    edits = [defects.Edit(**e) for e in built.properties["defects"]]
    assert len(edits) == 2
    for edit in edits:
        assert place[edit.ideal_site].specie.symbol == edit.after
        assert np.allclose(place[edit.ideal_site].frac_coords, edit.frac_coords)
