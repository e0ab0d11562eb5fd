import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gslb.compare.noise import EVIDENCE, evidence, judge, needed

counts = st.integers(0, 300)


@given(counts, counts)
def test_more_of_the_new_speaks_for_a_difference_and_more_of_the_old_against_it(new, old):
    assert evidence(new + 1, old) > evidence(new, old)
    assert evidence(new, old + 1) < evidence(new, old)


@given(counts, counts)
def test_noise_that_is_as_frequent_on_both_sides_is_noise(both, each):
    assert judge(both + each, both, each, each) == "noise"


@given(st.integers(1, 10_000), st.integers(0, 10_000))
def test_what_the_old_side_does_more_often_is_noise(old, both):
    assert judge(both, both, 0, old) == "noise"


@pytest.mark.parametrize(
    ("seen", "both", "only_new", "only_old", "verdict"),
    [
        (0, 0, 0, 0, "noise"),
        (1, 0, 1, 0, "unsettled"),
        (13, 0, 13, 0, "difference"),
        (100, 60, 40, 1, "difference"),
        (100, 60, 12, 8, "noise"),
        (3, 0, 0, 0, "unmeasured"),
    ],
)
def test_verdicts(seen, both, only_new, only_old, verdict):
    assert judge(seen, both, only_new, only_old) == verdict


@given(st.integers(1, 40))
def test_how_many_more_would_settle_it(seen):
    more = needed(seen)
    assert evidence(seen + more, 0) > EVIDENCE
    assert more == 0 or evidence(seen + more - 1, 0) <= EVIDENCE


def test_pure_noise_is_called_a_difference_in_fewer_than_one_of_a_thousand_fields_however_often_one_looks():
    """2,000 fields, a look after each of 300 requests in which one pair differs: two are allowed, and luck is not."""
    draw, wrong = random.Random(7), 0
    for _ in range(2000):
        new = old = 0
        for _ in range(300):
            if draw.random() < 0.5:
                new += 1
            else:
                old += 1
            if evidence(new, old) > EVIDENCE:
                wrong += 1
                break
    assert wrong <= 2


def test_a_flood_is_no_overflow():
    assert evidence(10**7, 0) > EVIDENCE
    assert evidence(0, 10**7) >= 0.0
