"""Fields in the order in which somebody should look at them."""

from __future__ import annotations

from gslb.compare.ranking import ranked
from gslb.compare.tally import Field


def test_the_worst_come_first():
    sure, noisy = Field(seen=20, only_new=20), Field(seen=90, both=90)
    fields = {
        ("body.at", "value"): noisy,
        ("body.b", "value"): Field(seen=2, only_new=2),
        ("body.c", "value"): Field(seen=3),
        ("body.d", "value"): sure,
        ("status", "200 to 500"): Field(seen=14, only_new=14),
        ("body.a", "value"): sure,
        ("body.e", "value"): Field(seen=30, only_new=30),
    }
    found = [(one.path, one.verdict) for one in ranked(fields)]
    assert found == [
        ("status", "difference"),
        ("body.e", "difference"),
        ("body.a", "difference"),
        ("body.d", "difference"),
        ("body.c", "unmeasured"),
        ("body.b", "unsettled"),
        ("body.at", "noise"),
    ]
