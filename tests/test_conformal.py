import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corefuse.config import TARGETS
from corefuse.core.targets import TARGET_TABLE
from corefuse.learn.conformal import (
    Platt,
    class_interval,
    fit_platt,
    residual_quantile,
    value_interval,
)


def grouped_residuals(rng, n_groups, size=10):
    """A share common to the group and one of each sample."""
    shared = rng.normal(size=n_groups)
    return {
        f"g{i}": abs(shared[i] + 0.3 * rng.normal(size=rng.integers(1, size))).tolist()
        for i in range(n_groups)
    }


@pytest.mark.parametrize("confidence", [0.8, 0.9])
@pytest.mark.parametrize("n_groups", [15, 60])
def test_a_sample_of_a_new_group_is_covered_at_the_stated_level(confidence, n_groups):
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(2000):
        residuals = grouped_residuals(rng, n_groups + 1)
        new = residuals.pop("g0")[0]
        covered.append(new <= residual_quantile(residuals, confidence))
    error = 3 * np.sqrt(confidence * (1 - confidence) / len(covered))
    assert confidence - error <= np.mean(covered) <= confidence + 1 / (n_groups + 1) + error


def test_counting_samples_as_independent_would_not_cover():
    """What the grouped quantile is for: it beats the pooled one where groups differ in size."""
    rng = np.random.default_rng(1)
    covered = {"grouped": [], "pooled": []}
    for _ in range(500):
        large = rng.random(13) < 0.5
        residuals = {
            f"g{i}": (abs(rng.normal(size=30 if big else 1)) * (0.1 if big else 1)).tolist()
            for i, big in enumerate(large)
        }
        new = residuals.pop("g0")[0]
        pooled = np.quantile(np.concatenate(list(residuals.values())), 0.9)
        covered["grouped"].append(new <= residual_quantile(residuals, 0.9))
        covered["pooled"].append(new <= pooled)
    assert np.mean(covered["pooled"]) < 0.85 < 0.89 < np.mean(covered["grouped"])


@pytest.mark.parametrize(("confidence", "needed"), [(0.9, 9), (0.8, 4), (0.95, 19)])
def test_too_few_groups_give_no_bound(confidence, needed):
    residuals = {f"g{i}": [0.1, 0.2] for i in range(needed)}
    assert residual_quantile(residuals, confidence) == 0.2
    residuals.popitem()
    assert residual_quantile(residuals, confidence) == np.inf


@given(st.floats(-1, 3), st.floats(0, 5), st.sampled_from(TARGETS))
def test_an_interval_stays_possible_and_ordered(prediction, quantile, target):
    possible = TARGET_TABLE[target].possible
    low, high = value_interval(np.array([prediction]), quantile, possible)
    assert possible[0] <= low[0] <= high[0] <= possible[1]


def test_an_unbounded_interval_is_what_physics_allows():
    low, high = value_interval(np.array([0.7]), np.inf, (0.0, 2.0))
    assert (low[0], high[0]) == (0, 2)


def test_what_the_input_leaves_open_widens_an_interval_on_its_side():
    value, spread = np.array([1.0, 1.0]), np.array([[0.6, 1.0], [1.0, 1.0]])
    low, high = value_interval(value, 0.3, (0.0, 2.0), spread)
    assert low == pytest.approx([0.5, 0.7])
    assert high == pytest.approx([1.3, 1.3])
    low, high = class_interval(np.array([0.95]), 0.2, np.array([[0.1], [0.95]]))
    assert (low[0], high[0]) == (0, 1)


@pytest.mark.parametrize(
    ("probability", "quantile", "labels"),
    [
        (0.9, 0.2, (1, 1)),
        (0.1, 0.2, (0, 0)),
        (0.6, 0.7, (0, 1)),
        (0.5, 0.2, (0, 1)),  # neither label conforms: no sample was like this
        (0.99, np.inf, (0, 1)),
    ],
)
def test_labels_that_cannot_be_excluded(probability, quantile, labels):
    low, high = class_interval(np.array([probability]), quantile)
    assert (low[0], high[0]) == labels


def overconfident(rng, n):
    logit = rng.normal(size=n)
    truth = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(float)
    return 4 * logit + 1, truth


def test_calibration_undoes_overconfidence():
    rng = np.random.default_rng(0)
    margin, truth = overconfident(rng, 4000)
    platt = fit_platt(margin, truth, np.ones(4000))
    assert platt.slope == pytest.approx(0.25, rel=0.1)
    assert platt.intercept == pytest.approx(-0.25, abs=0.1)
    margin, truth = overconfident(rng, 4000)
    raw = Platt(slope=1, intercept=0).probability(margin)
    brier = [np.mean((p - truth) ** 2) for p in (raw, platt.probability(margin))]
    assert brier[1] < 0.9 * brier[0]


def test_margins_that_know_nothing_give_the_prior_and_a_wrong_one_is_not_turned_round():
    rng = np.random.default_rng(0)
    truth = (np.arange(400) % 4 == 0).astype(float)
    for margin in (rng.normal(size=400), 3 - 6 * truth):
        platt = fit_platt(margin, truth, np.ones(400))
        probability = platt.probability(margin)
        assert probability == pytest.approx(0.25, abs=0.05)
        assert (np.argsort(probability) == np.argsort(margin)).all()


def test_few_samples_never_give_certainty():
    margin, truth = np.array([-30.0, -20, 20, 30]), np.array([0.0, 0, 1, 1])
    probability = fit_platt(margin, truth, np.ones(4)).probability(margin)
    assert 0.2 < probability[0] < 0.3  # 1 / (n0 + 2)
    views = fit_platt(np.repeat(margin, 8), np.repeat(truth, 8), np.full(32, 1 / 8))
    assert views.probability(margin) == pytest.approx(probability, abs=1e-3)
