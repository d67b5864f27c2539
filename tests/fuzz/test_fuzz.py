"""The part of ``make fuzz`` that every test run does: a few spoilt files of every kind."""

import random

import pytest

from fuzz.__main__ import OUTCOMES, run, table
from fuzz.kinds import KINDS
from fuzz.mutations import spoilt_bytes, spoilt_text, spoilt_tree

COUNTS = dict.fromkeys(KINDS, 6) | {"config": 12, "samples": 20, "booster": 2}


@pytest.mark.parametrize("name", KINDS)
def test_a_spoilt_file_is_taken_or_refused_in_one_line(name):
    outcomes = run(name, first=1000, count=COUNTS[name])
    assert len(outcomes) == COUNTS[name]
    assert not [o for o in outcomes if o[1] not in OUTCOMES[:2]]


def test_the_same_seed_spoils_a_file_in_the_same_way():
    for spoil, whole in (
        (spoilt_bytes, b"abc" * 100),
        (spoilt_text, b"1,2\n3,4\n" * 20),
        (spoilt_tree, {"a": [1, {"b": 2}]}),
    ):
        one, other, third = (repr(spoil(whole, random.Random(s))) for s in (1, 1, 2))
        assert one == other
        assert one != third


def test_what_fails_is_counted_as_that():
    found = {"x": [(0, "taken", ""), (1, "traceback", ""), (2, "ended", "")]}
    assert "| x | 3 | 0 | 1 | 1 | 0 | 1 |" in table(found)
