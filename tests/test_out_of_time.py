"""A higher time limit tries again what was ended, and nothing else."""

import pytest

from corefuse.plan import out_of_time


@pytest.fixture
def marker(tmp_path):
    path = out_of_time.marker(tmp_path, "cell")
    assert out_of_time.to_try_again(path, {"time_limit_hours": 9.0}) == ""
    out_of_time.add(path, 2.0)
    return path


@pytest.mark.parametrize(("limit", "said"), [(1.0, ""), (2.0, ""), (3.0, "2.0"), (30.0, "2.0")])
def test_only_a_higher_limit_says_something(marker, limit, said):
    assert out_of_time.to_try_again(marker, {"time_limit_hours": limit}) == said


def test_ended_again_at_the_higher_limit_nothing_changes_until_it_is_raised(marker):
    out_of_time.add(marker, 4.0)
    assert out_of_time.to_try_again(marker, {"time_limit_hours": 4.0}) == "2.0"
    assert out_of_time.to_try_again(marker, {"time_limit_hours": 5.0}) == "4.0"


def test_an_engine_without_a_limit_has_nothing_to_try_again(marker):
    assert out_of_time.to_try_again(marker, {}) == ""
