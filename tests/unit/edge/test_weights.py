from __future__ import annotations

import itertools
from math import gcd

from hypothesis import given
from hypothesis import strategies as st

from gslb.edge.render.weights import TOTAL_WEIGHT, to_weights


def test_the_total_shares_no_factor_with_the_mirror_denominator():
    assert gcd(TOTAL_WEIGHT, 1_000_000) == 1


def cuts(points):
    line = [0, *sorted(points), 10_000]
    return [high - low for low, high in itertools.pairwise(line)]


@given(st.lists(st.integers(0, 10_000), max_size=8).map(cuts))
def test_weights_add_up_stay_in_place_and_are_off_by_less_than_one(shares):
    weights = to_weights(shares)
    assert sum(weights) == TOTAL_WEIGHT
    for share, weight in zip(shares, weights, strict=True):
        assert abs(weight - share * TOTAL_WEIGHT / 10_000) < 1
        assert (weight == 0) == (share == 0)


@given(st.integers(0, 9_999))
def test_a_rising_share_keeps_the_points_that_it_had(share):
    assert to_weights([share, 10_000 - share])[0] < to_weights([share + 1, 9_999 - share])[0]
