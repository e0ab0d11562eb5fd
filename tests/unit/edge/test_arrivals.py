from __future__ import annotations

import pytest

from gslb.edge.arrivals import ArrivalMeter, Arrivals
from gslb.snapshot.types import RouteCounts, RouteId

PAY, REST, BLOG = RouteId("shop", "pay"), RouteId("shop", "rest"), RouteId("blog", "all")


def counts(pay=0, new=0, rest=0, blog=0):
    return {
        PAY: RouteCounts({"old": pay, "new": new}),
        REST: RouteCounts({"old": rest}),
        BLOG: RouteCounts({"web": blog}),
    }


def test_before_two_readings_nobody_knows_a_rate():
    meter = ArrivalMeter()
    assert meter.seen() == Arrivals()
    meter.take(counts(pay=100), 3, 0.0)
    assert meter.seen() == Arrivals({}, 3)


def test_rates_are_by_app_and_what_was_before_the_first_reading_does_not_count():
    meter = ArrivalMeter()
    meter.take(counts(pay=1000, rest=50), 3, 100.0)
    meter.take(counts(pay=1010, new=2, rest=58), 3, 102.0)
    assert meter.seen() == Arrivals({"blog": 0.0, "shop": 10.0}, 3)


def test_a_count_that_began_anew_is_taken_from_its_beginning():
    meter = ArrivalMeter()
    meter.take(counts(pay=1000), 0, 0.0)
    meter.take(counts(pay=4), 0, 1.0)
    assert meter.seen().per_s["shop"] == 4.0


def test_what_ended_is_gone_after_the_window_and_a_trickle_shows_within_it():
    meter = ArrivalMeter()
    for second in range(31):
        meter.take(counts(pay=min(second, 10) * 7, blog=second // 8), 0, float(second))
    assert meter.seen().per_s["shop"] == 0.0
    assert meter.seen().per_s["blog"] == pytest.approx(0.1, abs=0.11)


def test_connections_that_come_and_go_do_not_count_and_those_that_stay_do():
    meter = ArrivalMeter()
    for second in range(12):
        meter.take(counts(), 5 + 3 * (second % 2), float(second))
    assert meter.seen().connections == 5


def test_many_askers_do_not_shorten_the_window():
    meter = ArrivalMeter()
    meter.take(counts(pay=0), 0, 0.0)
    for tick in range(1, 101):
        meter.take(counts(pay=tick), 0, tick / 100)
    assert meter.seen().per_s["shop"] == pytest.approx(100, rel=0.03)


def test_an_app_that_is_gone_is_not_told_of():
    meter = ArrivalMeter()
    meter.take(counts(blog=1), 0, 0.0)
    meter.take({PAY: RouteCounts({"old": 5})}, 0, 1.0)
    meter.take({PAY: RouteCounts({"old": 6})}, 0, 2.0)
    assert meter.seen().per_s == {"shop": 3.0}


def test_what_a_few_routes_have_counted_adds_up_as_if_all_had_been_looked_at():
    whole, meter, before = ArrivalMeter(), ArrivalMeter(), counts()
    whole.take(before, 0, 0.0)
    meter.take(before, 0, 0.0)
    for second in range(1, 20):
        now = counts(pay=min(second, 5) * 7, blog=second // 4)
        whole.take(now, second % 3, float(second))
        some = {route: count for route, count in now.items() if count != before[route]}
        meter.take_more(some, second % 3, float(second))
        assert meter.seen() == whole.seen()
        before = now
