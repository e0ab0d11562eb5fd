"""What became of requests lately: Envoy's text as values, and windows over looks."""

import json
import re

import pytest

from gslb.edge.outcomes import Look, OutcomeMeter, Outcomes, SideOutcome, parse_look, stats_pattern
from gslb.edge.render.config import StatsIndex
from gslb.errors import HostError
from gslb.snapshot.types import RouteId

PAY = RouteId("shop", "pay")
OLD, NEW = (PAY, "old"), (PAY, "new")
INDEX = StatsIndex({"shop/pay/old": OLD, "shop/pay/new": NEW, "wiki/all/old": (RouteId("wiki", "all"), "old")}, {}, {})
BODY = json.dumps(
    {
        "stats": [
            {"name": "server.uptime", "value": 90},
            {"name": "cluster.shop/pay/old.upstream_rq_completed", "value": 5},
            {"name": "cluster.shop/pay/old.upstream_rq_5xx", "value": 1},
            {"name": "cluster.shop/pay/new.upstream_rq_completed", "value": 0},
            {
                "histograms": {
                    "supported_percentiles": [0, 50, 100],
                    "details": [
                        {
                            "name": "cluster.shop/pay/old.upstream_rq_time",
                            "totals": [
                                {"lower_bound": 8, "width": 0.1, "count": 4},
                                {"lower_bound": 38, "width": 1, "count": 1},
                            ],
                        },
                        {"name": "cluster.shop/pay/new.upstream_rq_time"},
                    ],
                }
            },
        ]
    }
).encode()


def test_what_envoy_says_is_read():
    look = parse_look(BODY, INDEX, 7, 100.0)
    old = SideOutcome(5, 1, {(8.0, 0.1): 4, (38.0, 1.0): 1})
    assert look == Look(7, 100.0, 90, {OLD: old, NEW: SideOutcome()})


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"stats": [{"name": "x", "value": "y"}]}', b'{"stats": [1]}'])
def test_what_is_no_statistic_is_an_error(body):
    with pytest.raises(HostError, match="cannot be read"):
        parse_look(body, INDEX, 7, 100.0)


def test_only_the_aliases_of_the_app_are_asked_for():
    pattern = re.compile(stats_pattern("shop"))
    assert pattern.search("cluster.shop/pay/old.upstream_rq_time")
    for other in (
        "cluster.shop/pay/old~mirror0.upstream_rq_time",
        "cluster.shop/pay/old~variant.upstream_rq_time",
        "cluster.shop/old@dc.upstream_rq_time",
        "cluster.shop2/pay/old.upstream_rq_time",
        "cluster.shop/pay/old.external.upstream_rq_time",
    ):
        assert not pattern.search(other), other


def look(mono_s, answered, failed=0, pid=7, uptime_s=50.0, **bins):
    return Look(pid, mono_s, uptime_s, {OLD: SideOutcome(answered, failed, {(1.0, 1.0): answered, **bins})})


def test_the_first_answer_is_about_everything_since_envoy_began():
    assert OutcomeMeter().take("shop", look(100.0, 8, 2)) == Outcomes(50.0, look(0, 8, 2).sides)


def test_who_asks_again_is_told_of_the_last_half_minute():
    meter = OutcomeMeter()
    for second in range(0, 100, 10):
        told = meter.take("shop", look(100.0 + second, second, second // 10))
    assert told == Outcomes(30.0, look(0, 30, 3).sides)


def test_who_asks_again_at_once_is_told_of_everything_again():
    meter = OutcomeMeter()
    meter.take("shop", look(100.0, 5))
    assert meter.take("shop", look(103.0, 9, uptime_s=53.0)) == Outcomes(53.0, look(0, 9).sides)


def test_many_who_ask_make_no_window_shorter():
    meter = OutcomeMeter()
    for tenth in range(1000):
        told = meter.take("shop", look(100.0 + tenth / 10, tenth))
    assert 30.0 <= told.window_s <= 35.0
    assert told.sides[OLD].answered == round(told.window_s * 10)


def test_another_envoy_counts_from_zero():
    meter = OutcomeMeter()
    meter.take("shop", look(100.0, 1000))
    assert meter.take("shop", look(140.0, 6, pid=8, uptime_s=4.0)) == Outcomes(4.0, look(0, 6).sides)


def test_a_side_that_came_back_counts_from_zero():
    meter = OutcomeMeter()
    meter.take("shop", look(100.0, 1000))
    assert meter.take("shop", look(140.0, 6)).sides == look(0, 6).sides


def test_what_nobody_asked_about_for_long_is_forgotten():
    meter = OutcomeMeter()
    meter.take("shop", look(100.0, 5))
    assert meter.take("shop", look(1000.0, 9, uptime_s=950.0)).window_s == 950.0
    for number in range(300):
        meter.take(f"app{number}", look(1001.0, 1))
    assert meter.take("shop", look(1050.0, 9, uptime_s=1000.0)).window_s == 1000.0
