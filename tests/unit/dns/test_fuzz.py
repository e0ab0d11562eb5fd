"""A short run of `make fuzz` over the wire that is installed."""

import random

import pytest

from gslb.dns import native
from tests.fuzz.wire import Comparison

pytestmark = pytest.mark.skipif(not native.available(), reason="the native wire was not built")


def test_a_few_thousand_packets():
    comparison, numbers = Comparison(2), random.Random(7)
    for _ in range(3_000):
        comparison.any_packet(numbers)
    assert comparison.answered[0] > 500
    assert comparison.meters[1].counts["limited"] > 100
