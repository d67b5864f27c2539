import numpy as np
import pandas as pd
import pytest
import synthetic
from synthetic import MODALITIES, O_K

from corefuse.config import Train
from corefuse.learn.harder import folds_of
from corefuse.learn.kept import Kept
from corefuse.learn.train import train_target

TINY = Train(outer_folds=3, inner_folds=2, trials=1, max_trees=15, bootstrap=100)


def data(parents=8):
    """Two parents a grade."""
    made = synthetic.build(parents=parents)
    parent = [int(g[1:]) for g in made["group"].values]
    return made.assign_coords(grade=("sample", np.array([f"g{p // 2}" for p in parent], object)))


def test_a_left_out_grade_has_no_sample_in_training():
    made = data()
    folds = folds_of("grade", made, made["x_li"].values, 3, 0)
    assert len(folds) == 3
    tested = np.concatenate([test for _, test in folds])
    assert sorted(tested) == list(range(made.sizes["sample"]))
    for train, test in folds:
        assert not set(made["grade"].values[train]) & set(made["grade"].values[test])
        assert not set(made["group"].values[train]) & set(made["group"].values[test])


def test_grades_that_share_a_crystal_are_left_out_together():
    made = data()
    grade = made["grade"].values.copy()
    grade[made["group"].values == "p0"] = np.where(
        np.arange((made["group"].values == "p0").sum()) % 2, "other", "g0"
    )
    folds = folds_of(
        "grade", made.assign_coords(grade=("sample", grade)), made["x_li"].values, 4, 0
    )
    for train, test in folds:
        assert not set(made["group"].values[train]) & set(made["group"].values[test])


def test_a_left_out_li_range_has_no_lithium_content_in_training():
    made = data()
    folds = folds_of("li_range", made, made["x_li"].values, 3, 0)
    assert len(folds) == 3
    for train, test in folds:
        low, high = made["x_li"].values[test].min(), made["x_li"].values[test].max()
        inside = (made["x_li"].values[train] >= low) & (made["x_li"].values[train] <= high)
        assert not inside.any()


def test_one_grade_or_one_lithium_content_makes_no_split():
    made = data().assign(x_li=("sample", np.ones(data().sizes["sample"])))
    assert folds_of("li_range", made, made["x_ni"].values, 3, 0) == []
    assert folds_of("grade", made.drop_vars("grade"), made["x_ni"].values, 3, 0) == []


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    kept = Kept(tmp_path_factory.mktemp("kept"), "settings")
    subsets = {O_K: [O_K], "all": MODALITIES}
    return kept, subsets, train_target(data(), "x_li", subsets, TINY, kept=kept)


def test_harder_splits_stand_beside_the_scores_with_intervals_and_baseline(trained):
    metrics = trained[2].metrics.set_index(["modalities", "model", "metric"])
    ours, mean = (metrics.loc[(O_K, model, "rmse")] for model in ("xgboost", "baseline"))
    for split in ("grade", "li_range"):
        assert ours[f"{split}_low"] <= ours[split] <= ours[f"{split}_high"]
        assert ours[split] < mean[split]
    assert ours.li_range > ours.value  # it has to go beyond what it was trained on
    assert mean.li_range > mean.value


def test_a_learning_curve_of_the_largest_subset_ends_at_the_score(trained):
    result = trained[2]
    curve = result.curve[result.curve.metric == "rmse"]
    assert set(curve.modalities) == {"all"}
    assert list(curve.share) == [0.5, 0.75, 1.0]  # a quarter of six parents cannot be tuned on
    assert curve.n_parents.is_monotonic_increasing
    score = result.metrics.query("modalities == 'all' and model == 'xgboost' and metric == 'rmse'")
    assert curve.value.iloc[-1] == score.value.iloc[0]


def test_a_subset_whose_columns_are_the_same_is_not_trained_again(trained, monkeypatch):
    """An EELS width changes no XAS-only model."""
    from corefuse.learn import train

    kept, subsets, before = trained
    asked = []
    real = train._train_subset

    def spy(task, subset, *rest):
        asked.append(subset)
        return real(task, subset, *rest)

    monkeypatch.setattr(train, "_train_subset", spy)
    again = train_target(data(), "x_li", subsets, TINY, kept=kept)
    assert asked == []
    pd.testing.assert_frame_equal(again.metrics, before.metrics, check_dtype=False)
    pd.testing.assert_frame_equal(again.out_of_fold, before.out_of_fold, check_dtype=False)
    pd.testing.assert_frame_equal(again.curve, before.curve, check_dtype=False)
    for subset in subsets:
        digest = {"booster_sha256": ""}
        assert again.models[subset].card.model_copy(update=digest) == before.models[
            subset
        ].card.model_copy(update=digest)
    wider = data()
    wider[synthetic.MN_L] = wider[synthetic.MN_L] * 1.01
    train_target(wider, "x_li", subsets, TINY, kept=kept)
    assert asked == ["all"]
    asked.clear()
    train_target(data(), "x_li", {O_K: [O_K]}, TINY, kept=Kept(kept.folder, "other settings"))
    assert asked == [O_K]


def test_half_a_kept_result_is_trained_again(trained):
    kept, _, _ = trained
    made = next((kept.folder / O_K).glob("metrics.csv"))
    digest = "no such columns"
    assert kept.get(O_K, digest) is None
    made.unlink()
    assert kept.get(O_K, digest) is None
    assert kept.get("never trained", digest) is None
