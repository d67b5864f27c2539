"""The reference library: what is in it, and that no label of it can be guessed from the others."""

from collections import Counter, defaultdict

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict

from corefuse import config as cfg
from corefuse.config import Structures
from corefuse.plan import design, specs

CONTENTS = ["x_li", "x_ni", "x_mn", "x_co"]
BEGINNINGS = [66, 198, 330]


@pytest.fixture(scope="module")
def raw(root):
    return yaml.safe_load((root / "config" / "reference.yaml").read_text())


@pytest.fixture(scope="module")
def plan(raw):
    return specs.plan(Structures.model_validate(raw["structures"]))


@pytest.fixture(scope="module")
def labels(plan):
    rows = [
        {
            "parent": s.parent_id,
            **{f"x_{e.lower()}": s.count(e) / s.formula_units for e in ("Li", "Ni", "Mn", "Co")},
            "v_o": s.defect.oxygen_vacancies > 0,
            "antisite": s.defect.antisite_pairs + s.defect.excess_ni > 0,
            "excess": s.defect.excess_ni > 0,
        }
        for s in plan
    ]
    return pd.DataFrame(rows)


def test_the_config_is_the_design(raw):
    assert raw["structures"]["series"] == design.series()


def test_it_is_as_large_as_promised(plan):
    assert len(plan) >= 320
    assert len({s.parent_id for s in plan}) >= 64
    assert all(32 <= 4 * s.formula_units <= 48 for s in plan)


def test_the_triangle_of_the_metals_is_covered_without_a_gap(plan):
    for metal in cfg.METALS:
        found = sorted({s.metals.get(metal, 0) / s.formula_units for s in plan})
        assert (found[0], found[-1]) == (0, 1)
        assert max(np.diff(found)) <= 0.15
    assert {1, 2, 3} == {len(s.metals) for s in plan}
    grades = {s.grade: s.metals for s in plan if s.grade.startswith("NMC")}
    assert grades == {
        "NMC111": {"Ni": 3, "Mn": 3, "Co": 3},
        "NMC532": {"Ni": 5, "Mn": 3, "Co": 2},
        "NMC622": {"Ni": 6, "Mn": 2, "Co": 2},
        "NMC721": {"Ni": 7, "Mn": 2, "Co": 1},
        "NMC811": {"Ni": 8, "Mn": 1, "Co": 1},
    }


def test_every_parent_is_there_without_and_with_each_defect_it_can_have(plan):
    kinds, li = defaultdict(Counter), defaultdict(set)
    for s in plan:
        antisites = s.defect.antisite_pairs + s.defect.excess_ni > 0
        kinds[s.parent_id][s.defect.oxygen_vacancies > 0, antisites] += 1
        li[s.parent_id].add(s.n_li)
    for parent, found in kinds.items():
        nickel_free = next(s for s in plan if s.parent_id == parent).metals.get("Ni", 0) == 0
        assert len(found) == (2 if nickel_free else 4)
    assert all(len(contents) == design.PASSES for contents in li.values())
    assert {s.defect.vacancy_next_to for s in plan} == {None, *cfg.METALS}
    assert {s.defect.antisite_pairs for s in plan} == {0, 1, 2}
    assert {s.li_ordering for s in plan} == {"ewald", "random"}


@pytest.mark.parametrize("number", [66, 100, 132, 198, 264, 330])
def test_each_beginning_of_the_list_is_balanced(labels, number):
    part = labels[:number]
    for defect in ("v_o", "antisite"):
        assert 0.4 < part[defect].mean() < 0.6
        able = part if defect == "v_o" else can_have_antisites(part)
        for content in CONTENTS:
            assert abs(able[defect].corr(able[content])) < 2.5 / np.sqrt(number)
    assert abs(part.v_o.corr(part.antisite)) < 2 / np.sqrt(number)
    for metal in CONTENTS[1:]:
        assert abs(part.x_li.corr(part[metal])) < 2.5 / np.sqrt(number)


@pytest.mark.parametrize("number", BEGINNINGS)
@pytest.mark.parametrize("defect", ["v_o", "antisite"])
def test_no_defect_is_guessed_from_the_other_labels(labels, number, defect):
    """Models on all other labels, parents left out: the mean is not beaten."""
    part = labels[:number] if defect == "v_o" else can_have_antisites(labels[:number])
    other = "antisite" if defect == "v_o" else "v_o"
    for model in (forest(), LogisticRegression()):
        assert lower_bound(part, model, [*CONTENTS, other], defect) < 0.5


def test_a_label_that_another_one_tells_is_noticed(labels):
    told = labels.assign(v_o=labels.x_ni + labels.x_li > 1)
    assert lower_bound(told, forest(), CONTENTS, "v_o") > 0.9


def forest():
    return RandomForestClassifier(50, min_samples_leaf=3, random_state=0)


def can_have_antisites(part):
    """Cells whose metals do not say it: without Ni there is none, and excess Ni adds to them."""
    return part[(part.x_ni > 0) & ~part.excess]


def lower_bound(part, model, columns, defect):
    """Lower end of the 95 % interval of the AUC, over parents, of a model that saw others."""
    part = part.reset_index(drop=True)
    guess = cross_val_predict(
        model,
        part[columns].to_numpy(float),
        part[defect],
        groups=part.parent,
        cv=GroupKFold(5),
        method="predict_proba",
    )[:, 1]
    rng, families = np.random.default_rng(0), list(part.groupby("parent").indices.values())
    scores = []
    while len(scores) < 500:
        rows = np.concatenate(
            [families[i] for i in rng.integers(len(families), size=len(families))]
        )
        if 0 < part[defect][rows].sum() < len(rows):
            scores.append(roc_auc_score(part[defect][rows], guess[rows]))
    return np.quantile(scores, 0.025)
