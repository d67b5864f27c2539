import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from corefuse.learn.linear import (
    STRENGTHS,
    Linear,
    best_strength,
    constant,
    fit_linear,
    squared_error,
)

RNG = np.random.default_rng(0)
WIDE, TALL = RNG.normal(size=(20, 50)), RNG.normal(size=(80, 6)) * [1, 2, 3, 4, 5, 6] + 7


@pytest.mark.parametrize("x", [WIDE, TALL])
def test_lines_are_those_of_scikit_learn_on_standardised_features(x):
    truth = x[:, 0] - 0.5 * x[:, 1] + RNG.normal(size=len(x))
    scaled = StandardScaler().fit_transform(x)
    for strength, line in zip(STRENGTHS, fit_linear(x, truth, "regression"), strict=True):
        oracle = Ridge(strength * len(x)).fit(scaled, truth).predict(scaled)
        assert line.margin(x) == pytest.approx(oracle, abs=1e-6)


def test_contributions_and_the_intercept_add_to_the_margin():
    line = fit_linear(TALL, TALL[:, 0], "regression")[0]
    assert line.contributions(TALL).sum(axis=1) + line.intercept == pytest.approx(line.margin(TALL))
    assert line.contributions(TALL).mean(axis=0) == pytest.approx(0, abs=1e-9)


def test_a_missing_or_constant_feature_adds_nothing():
    x = TALL.copy()
    x[::2, 0], x[:, 1] = np.nan, 3.0
    line = fit_linear(x, TALL[:, 2], "regression")[0]
    added = line.contributions(x)
    assert np.isfinite(added).all()
    assert not added[::2, 0].any()
    assert not added[:, 1].any()


def test_the_line_of_a_class_is_on_the_scale_of_log_odds():
    label = (TALL[:, 0] > TALL[:, 0].mean()).astype(float)
    line = fit_linear(TALL, label, "class")[0]
    assert ((line.margin(TALL) > 0) == label).mean() > 0.9
    assert constant(label, "class").margin(TALL) == pytest.approx(4 * (label.mean() - 0.5))
    assert squared_error(line, TALL, label, "class") < 0.25 * len(label)


def test_no_line_is_taken_where_the_mean_alone_is_best():
    assert best_strength(np.array([[1.0, 0.5, 2.0], [2.0, 1.0, 2.0]])) == 1
    assert best_strength(np.array([[3.0, 0.5, 2.0], [2.0, 4.0, 2.0]])) is None
    assert Linear(intercept=2.0).margin(TALL) == pytest.approx(2.0)
