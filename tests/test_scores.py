import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from corefuse.learn.scores import CLASS_METRICS, REGRESSION_METRICS, kind_of, score

SK = {
    "mae": sk.mean_absolute_error,
    "r2": sk.r2_score,
    "rmse": sk.root_mean_squared_error,
    "roc_auc": sk.roc_auc_score,
    "average_precision": sk.average_precision_score,
    "brier": sk.brier_score_loss,
    "f1": lambda y, p, sample_weight: sk.f1_score(y, p >= 0.5, sample_weight=sample_weight),
}


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(6, 40))
def test_scores_agree_with_scikit_learn_under_weights_and_ties(seed, n):
    rng = np.random.default_rng(seed)
    weights = rng.integers(0, 4, (3, n)).astype(float)
    weights[:, :4] = 1
    one_fold = np.zeros(n)
    label = np.r_[0, 1, 0, 1, rng.integers(0, 2, n - 4)].astype(float)
    probability = rng.integers(0, 6, n) / 5
    number, guess = rng.normal(size=(2, n))
    cases = [(REGRESSION_METRICS, number, guess), (CLASS_METRICS, label, probability)]
    for table, truth, prediction in cases:
        for name, metric in table.items():
            ours = metric(truth, prediction, one_fold, weights)
            theirs = [SK[name](truth, prediction, sample_weight=w) for w in weights]
            assert ours == pytest.approx(theirs, abs=1e-9), name


def auc(truth, prediction, folds):
    ones = np.ones((1, len(truth)))
    return CLASS_METRICS["roc_auc"](np.array(truth, float), np.array(prediction), folds, ones)[0]


def test_ranking_compares_only_predictions_of_one_model():
    truth, folds = [0, 1, 0, 1], np.array([0, 0, 1, 1])
    assert auc(truth, [0.1, 0.2, 0.8, 0.9], folds) == 1  # pooled it would be 0.75


def test_a_fold_with_one_class_adds_nothing_and_harms_nothing():
    truth, folds = [0, 1, 1, 1], np.array([0, 0, 1, 1])
    assert auc(truth, [0.1, 0.2, 0.0, 0.0], folds) == 1
    assert np.isnan(auc([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4], folds))


def test_a_prior_from_the_other_folds_ranks_at_one_half():
    rng = np.random.default_rng(0)
    truth, folds = rng.integers(0, 2, 60).astype(float), np.repeat([0, 1, 2], 20)
    prior = np.array([truth[folds != k].mean() for k in folds])
    assert auc(truth, prior, folds) == 0.5


def test_an_undefined_score_is_nan_and_the_others_stand():
    table = score([1, 1, 1, 1], [0.9, 0.8, 0.4, 0.9], list("aabb"), [0, 0, 1, 1], "class",
                  100, 0.9, 0).set_index("metric")  # fmt: skip
    assert np.isnan(table.value["roc_auc"])
    assert np.isnan(table.ci_low["roc_auc"])
    assert table.value["f1"] == pytest.approx(6 / 7)
    constant = score([0.3] * 4, [0.3] * 4, list("aabb"), [0, 0, 1, 1], "regression", 100, 0.9, 0)
    assert np.isnan(constant.set_index("metric").value["r2"])


@pytest.mark.parametrize(
    ("truth", "prediction", "groups", "metric", "why"),
    [
        ([0.1, 0.2, 0.3, 0.5], [0.2] * 4, "aaaa", "rmse", "one parent"),
        ([1, 1, 1, 1], [0.9, 0.8, 0.7, 0.9], "aabb", "roc_auc", "one value or class"),
        ([0, 1, 0, 1], [0.2] * 4, "abcd", "f1", "do not differ"),
        ([0, 1, 0, 1], [0.1, 0.9, 0.2, 0.8], "abcd", "roc_auc", "do not differ"),
    ],
)
def test_an_interval_that_is_not_known_is_not_zero_wide_and_says_why(
    truth, prediction, groups, metric, why
):
    kind = "regression" if metric == "rmse" else "class"
    table = score(truth, prediction, list(groups), [0] * 4, kind, 100, 0.9, 0)
    row = table.set_index("metric").loc[metric]
    assert np.isnan(row.ci_low) and np.isnan(row.ci_high)
    assert why in row.note


def test_resamples_without_both_classes_are_counted():
    table = score([0, 1, 0, 1], [0.1, 0.9, 0.95, 0.8], list("abcd"), [0] * 4, "class", 100, 0.9, 0)
    row = table.set_index("metric").loc["roc_auc"]
    assert row.ci_low < row.ci_high
    assert "of 100 resamples" in row.note


def test_the_interval_is_that_of_groups_not_of_samples():
    """Errors shared by a group: the mean absolute error has the spread of few independent draws."""
    rng = np.random.default_rng(1)
    n_groups, size = 30, 50
    shared = np.repeat(rng.exponential(size=n_groups), size)
    groups = np.repeat(np.arange(n_groups), size)
    table = score(np.zeros(len(shared)), shared, groups, groups % 3, "regression", 2000, 0.95, 0)
    low, high, count = table.set_index("metric").loc["mae", ["ci_low", "ci_high", "n_groups"]]
    expected = 2 * 1.96 * shared[::size].std() / np.sqrt(n_groups)
    assert high - low == pytest.approx(expected, rel=0.15)
    assert count == n_groups


def test_resampling_in_chunks_changes_nothing(monkeypatch):
    rng = np.random.default_rng(2)
    truth, prediction = rng.integers(0, 2, 40).astype(float), rng.random(40)
    arguments = (truth, prediction, np.arange(40) // 4, np.arange(40) % 2, "class", 200, 0.9, 3)
    whole = score(*arguments)
    monkeypatch.setattr("corefuse.learn.scores._CHUNK_ELEMENTS", 333)
    assert score(*arguments).equals(whole)


def test_kinds():
    assert (kind_of("x_li"), kind_of("v_o_present")) == ("regression", "class")
