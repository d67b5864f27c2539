import numpy as np
import pandas as pd
import pytest

from corefuse.learn.fusion import gains, label_leaks, next_edges
from corefuse.learn.scores import paired_gain

DRAWN = (300, 0.95, 0)
SUBSETS = {"a": ["a"], "b": ["b"], "c": ["c"], "a-b": ["a", "b"], "all": ["a", "b", "c"]}
NOISE = {"a": 0.30, "b": 0.31, "c": 0.5, "a-b": 0.1, "all": 0.1}  # c adds nothing to a and b


def predictions(target="x_li", parents=30):
    rng = np.random.default_rng(0)
    truth = rng.random(parents * 4)
    shared = rng.normal(size=truth.size)
    tables = []
    for name, noise in NOISE.items():
        for model, error in (("xgboost", noise), ("baseline", 1.0)):
            tables.append(
                pd.DataFrame(
                    {
                        "target": target,
                        "modalities": name,
                        "model": model,
                        "structure_id": [f"s{i}" for i in range(truth.size)],
                        "group": [f"p{i // 4}" for i in range(truth.size)],
                        "view": 0,
                        "truth": truth,
                        "prediction": truth + error * shared,
                    }
                ).sample(frac=1, random_state=1)  # in any order
            )
    return pd.concat(tables)


def test_gain_over_the_best_single_edge():
    table = gains(predictions(), SUBSETS, *DRAWN).set_index("subset")
    assert set(table.index) == {"a-b", "all"}
    assert table.loc["a-b", "best_single"] == "a"
    assert table.loc["a-b", "metric"] == "rmse"
    row = table.loc["a-b"]
    assert row.single / row.value == pytest.approx(3)
    assert row.gain == pytest.approx(row.single - row.value)
    assert 0 < row.ci_low < row.gain < row.ci_high
    assert (table.n_groups == 30).all()


def test_the_edge_to_measure_next_is_the_one_that_adds_most():
    table = next_edges(predictions(), SUBSETS, *DRAWN)
    first = table.drop_duplicates("measured").set_index("measured")
    assert first.loc["a", "next"] == "b"
    assert first.loc["b", "next"] == "a"
    assert first.loc["a-b", "next"] == "c"
    assert first.loc["a-b", "gain"] == pytest.approx(0, abs=1e-12)
    assert first.loc["a", "ci_low"] > 0
    assert "c" not in first.index  # no subset of c and one more was trained


def test_paired_intervals_are_narrower_than_those_of_two_scores():
    """Errors shared by both predictions cancel."""
    rng = np.random.default_rng(0)
    truth, hard = rng.random(200), rng.normal(size=200) * np.repeat(rng.random(50) * 3, 4)
    groups = np.repeat([f"p{i}" for i in range(50)], 4)
    gain = paired_gain(truth, truth + hard, truth + 0.9 * hard, groups, "regression", *DRAWN)
    assert 0 < gain["ci_low"] < gain["gain"] < gain["ci_high"]
    assert gain["gain"] == pytest.approx(0.1 * gain["before"])
    same = paired_gain(truth, truth + hard, truth + hard, groups, "regression", *DRAWN)
    assert same["gain"] == 0


def labels(vacancy):
    """Structures of 30 parents whose vacancies are where ``vacancy`` says."""
    rng = np.random.default_rng(3)
    n = 120
    table = pd.DataFrame({"group": [f"p{i // 4}" for i in range(n)], "x_li": rng.random(n)})
    table["x_ni"] = rng.random(30).repeat(4)
    table["x_mn"] = 1 - table.x_ni
    table["x_co"] = 0.0
    table["v_o_present"] = vacancy(table, rng).astype(float)
    table["antisite_present"] = rng.integers(0, 2, n).astype(float)
    for name, other in (("v_o_fraction", "v_o_present"), ("o_beside_vacancy", "v_o_present")):
        table[name] = table[other] / 8
    for name in ("antisite_fraction", "ni_in_li_layer"):
        table[name] = table.antisite_present / 8
    return table.assign(ni_oxidation_state=np.nan)


def test_a_balanced_design_leaks_no_defect():
    table = label_leaks(labels(lambda t, rng: rng.integers(0, 2, len(t))), 5, *DRAWN)
    assert set(table.target) >= {"v_o_present", "antisite_present", "v_o_fraction"}
    assert not table.leaks.any()
    assert "x_li" not in set(table.target)


def test_vacancies_at_full_lithium_only_are_a_leak():
    table = label_leaks(labels(lambda t, rng: t.x_li > 0.6), 5, *DRAWN).set_index("target")
    assert table.leaks["v_o_present"]
    assert not table.leaks["antisite_present"]
    assert table.loc["v_o_present", "value"] < 0.5 * table.loc["v_o_present", "baseline"]


def test_the_count_of_a_defect_does_not_stand_for_its_presence():
    """Labels of the same defect, and what follows from it, are no guess of it."""
    table = labels(lambda t, rng: rng.integers(0, 2, len(t)))
    table["ni_oxidation_state"] = 2 + table.v_o_present
    assert not label_leaks(table, 5, *DRAWN).leaks.any()
