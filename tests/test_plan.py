import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corefuse.config import Structures
from corefuse.core.errors import InputError
from corefuse.plan.specs import StructureSpec, by_id, plan

NMC622 = {
    "grade": "NMC622",
    "formula_units": 10,
    "decorations": 2,
    "li_content": [1.0, 0.5],
    "defects": [{}, {"oxygen_vacancies": 1, "vacancy_next_to": "Ni"}, {"antisite_pairs": 1}],
}


def section(*series: dict, **keys) -> Structures:
    return Structures.model_validate({"series": list(series), **keys})


def test_ids_say_what_is_in_the_structure():
    specs = plan(section(NMC622))
    assert [s.structure_id for s in specs][:4] == [
        "NMC622-10fu-d0-li100-pristine",
        "NMC622-10fu-d0-li100-vo1Ni",
        "NMC622-10fu-d0-li100-as1",
        "NMC622-10fu-d0-li050-pristine",
    ]
    assert {s.parent_id for s in specs} == {"NMC622-10fu-d0", "NMC622-10fu-d1"}
    assert all(s.structure_id.startswith(s.host_id) for s in specs)
    assert all(s.host_id.startswith(s.parent_id) for s in specs)


@given(
    formula_units=st.sampled_from([2, 4, 6, 8, 10, 12]),
    decorations=st.integers(1, 3),
    removed=st.sets(st.integers(0, 12), min_size=1, max_size=4),
    vacancies=st.sets(st.integers(0, 1), min_size=1),
)
def test_every_combination_is_planned_once(formula_units, decorations, removed, vacancies):
    counts = {min(n, formula_units) for n in removed}
    series = {
        "grade": "mine",
        "stoichiometry": {"Co": 0.5, "Ni": 0.5},
        "decorations": decorations,
        "li_content": [n / formula_units for n in counts],
        "defects": [{"oxygen_vacancies": v} for v in vacancies],
    }
    specs = plan(section(series, formula_units=formula_units))
    assert len({s.structure_id for s in specs}) == decorations * len(counts) * len(vacancies)
    assert {s.n_li for s in specs} == counts
    assert all(sum(s.metals.values()) == s.formula_units == formula_units for s in specs)
    assert all(StructureSpec.from_json(s.to_json()) == s for s in specs)


def test_json_does_not_depend_on_how_the_config_was_typed():
    one = plan(section({"grade": "LiNiO2", "li_content": [1]}))[0]
    other = plan(section({"li_content": [1.0], "decorations": 1, "grade": "LiNiO2"}))[0]
    assert one.to_json() == other.to_json()
    assert "\n" not in one.to_json()


def test_json_changes_with_everything_that_changes_the_structure():
    base = {"grade": "LiNiO2", "li_content": [0.5]}
    texts = [
        plan(section(base))[0].to_json(),
        plan(section(base, seed=2))[0].to_json(),
        plan(section(base | {"li_ordering": "random"}))[0].to_json(),
        plan(section(base | {"defects": [{"excess_ni": 1}]}))[0].to_json(),
        plan(section(base, relaxation={"fmax_ev_per_angstrom": 0.01}))[0].to_json(),
    ]
    assert len(set(texts)) == len(texts)


def test_a_new_series_leaves_the_others_alone():
    before = plan(section(NMC622))
    after = plan(section({"grade": "LiNiO2"}, NMC622, {"grade": "LiCoO2"}))
    assert {s.to_json() for s in before} < {s.to_json() for s in after}


def test_two_series_may_share_a_parent():
    more = {"grade": "NMC622", "formula_units": 10, "li_content": [0.3]}
    assert {s.parent_id for s in plan(section(NMC622, more))} == {
        "NMC622-10fu-d0",
        "NMC622-10fu-d1",
    }


def test_the_same_structure_twice_is_refused():
    again = {"grade": "NMC622", "formula_units": 10, "li_content": [0.5]}
    with pytest.raises(ValueError, match=r"NMC622-10fu-d0-li050-pristine more than once\|drop"):
        plan(section(NMC622, again))
    with pytest.raises(ValueError, match=r"more than once"):
        plan(section({"grade": "LiNiO2", "li_content": [0.5, 0.5]}))


def test_li_ordering_is_in_the_id_where_there_is_a_choice():
    def ids(ordering):
        series = {"grade": "LiNiO2", "li_content": [1, 0.5, 0], "li_ordering": ordering}
        return [s.structure_id for s in plan(section(series))]

    assert ids("ewald")[1] == "LiNiO2-4fu-d0-li050-pristine"
    assert ids("random")[1] == "LiNiO2-4fu-d0-li050random-pristine"
    assert ids("random")[::2] == ids("ewald")[::2]


def test_one_grade_name_has_one_stoichiometry():
    half = {"grade": "mine", "stoichiometry": {"Ni": 0.5, "Co": 0.5}}
    other = {"grade": "mine", "stoichiometry": {"Ni": 0.5, "Mn": 0.5}, "li_content": [0.5]}
    with pytest.raises(ValueError, match=r"different stoichiometries\|give each"):
        plan(section(half, other))


def test_by_id_names_file_key_and_fix():
    assert list(by_id(section(NMC622), "c.yaml")) == [s.structure_id for s in plan(section(NMC622))]
    with pytest.raises(InputError, match=r"^c.yaml: structures.series: .*more than once\. Fix: "):
        by_id(section(NMC622, NMC622), "c.yaml")


def test_importing_the_plan_is_cheap(root):
    heavy = ["numpy", "pymatgen", "torch", "ase", "xarray"]
    code = f"import sys, corefuse.plan.specs; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=root / "workflow",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
