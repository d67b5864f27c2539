import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from corefuse.core.errors import InputError
from corefuse.learn.splits import grouped_folds


@given(
    st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=2, max_size=60),
    st.integers(2, 6),
    st.integers(0, 100),
)
def test_folds_partition_the_samples_and_never_split_a_group(samples, n_folds, seed):
    groups = np.array([f"p{g}" for g, _ in samples])
    truth = np.array([y for _, y in samples], float)
    assume(len(set(groups)) >= n_folds)
    folds = grouped_folds(groups, truth, n_folds, seed)
    assert len(folds) == n_folds
    tested = np.concatenate([test for _, test in folds])
    assert sorted(tested) == list(range(len(groups)))
    for train, test in folds:
        assert len(test) > 0
        assert not set(groups[train]) & set(groups[test])
        assert len(train) + len(test) == len(groups)


@given(st.integers(0, 1000))
def test_a_rare_class_is_spread_over_the_folds(seed):
    groups = np.arange(13)
    truth = np.isin(groups, [3, 7, 11]).astype(float)
    folds = grouped_folds(groups, truth, 3, seed)
    assert [truth[test].sum() for _, test in folds] == [1, 1, 1]


def test_numbers_are_spread_over_the_folds():
    groups = np.arange(40)
    truth = np.random.default_rng(0).random(40)
    means = [truth[test].mean() for _, test in grouped_folds(groups, truth, 4, 0)]
    assert np.ptp(means) < 0.1


def test_the_seed_decides():
    groups, truth = np.arange(30), np.zeros(30)
    folds = [[tuple(t) for _, t in grouped_folds(groups, truth, 3, s)] for s in (1, 1, 2)]
    assert folds[0] == folds[1] != folds[2]


def test_too_few_groups_is_an_input_error_that_names_the_key():
    with pytest.raises(InputError, match=r"train\.inner_folds.*only 2 parent"):
        grouped_folds(["a", "a", "b"], [0, 1, 2], 3, 0, "train.inner_folds")
