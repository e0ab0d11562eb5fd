from __future__ import annotations

import pytest

from gslb.control.http.rate import BURST, PER_S, Rate, TooManyError


def test_a_burst_and_then_so_many_a_second():
    rate = Rate()
    for _ in range(BURST):
        rate.take("deploy", 100.0)
    with pytest.raises(TooManyError) as caught:
        rate.take("deploy", 100.0)
    assert caught.value.wait_s == 1
    assert "deploy" in caught.value.message
    rate.take("other", 100.0)
    for _ in range(round(PER_S)):
        rate.take("deploy", 101.0)
    with pytest.raises(TooManyError):
        rate.take("deploy", 101.0)


def test_a_long_rest_does_not_save_up_more_than_a_burst():
    rate = Rate()
    rate.take("deploy", 0)
    for _ in range(BURST):
        rate.take("deploy", 1e6)
    with pytest.raises(TooManyError):
        rate.take("deploy", 1e6)
