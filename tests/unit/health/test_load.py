"""Counters to loads: rates that restarts cannot spoil, smoothing, steps, forgetting; and that what follows settles."""

from itertools import pairwise

import pytest

from gslb.health.load import HOLD_S, LoadMeter, smoothing_s
from gslb.snapshot.types import Filter
from gslb.steering import kept_ratio
from tests.unit.steering.world import app, policy, snapshot


def meter(smoothing=10.0, **capacities):
    made = LoadMeter()
    made.expect(capacities or {"dc": 100}, smoothing)
    return made


def feed(of, counts, *, site="dc", since_s=0.0, born_s=1.0):
    """One reading a second; the loads after the last."""
    for second, count in enumerate(counts):
        of.take(site, {"requests": count}, born_s, since_s + second)
    return of.loads(since_s + len(counts) - 1)


def test_a_rate_is_of_two_readings():
    made = meter()
    assert feed(made, [1000]) == {}
    assert feed(made, [1050], since_s=1.0) == {"dc": 0.5}


def test_all_counters_of_a_site_add_up_each_beginning_anew_by_itself():
    made = meter()
    made.take("dc", {"a": 100, "b": 7000, "gone": 5}, 1.0, 0.0)
    made.take("dc", {"a": 120, "b": 10, "new": 5}, 1.0, 1.0)
    assert made.loads(1.0) == {"dc": 0.35}


def test_the_past_counts_less_and_less():
    made = meter()
    steady = feed(made, range(0, 5000, 50))
    assert steady == {"dc": 0.5}
    risen = feed(made, [5000 + 100 * n for n in range(11)], since_s=100.0)
    assert risen["dc"] == pytest.approx(1 - 0.5 * 0.368, abs=0.03), "ten seconds are one time constant"
    assert feed(made, [6000 + 100 * n for n in range(1, 61)], since_s=111.0) == {"dc": 1.0}


def test_how_often_it_is_read_does_not_matter():
    often, seldom = meter(), meter()
    for made, step in ((often, 1), (seldom, 5)):
        for second in range(0, 21, step):
            made.take("dc", {"n": 10 * second}, 1.0, second)
        for second in range(20 + step, 31, step):
            made.take("dc", {"n": 200 + 90 * (second - 20)}, 1.0, second)
    assert often.loads(30.0) == seldom.loads(30.0) != {}


def test_a_new_life_of_an_edge_tells_nothing_at_first_and_its_load_stays():
    made = meter()
    assert feed(made, [0, 50]) == {"dc": 0.5}
    assert feed(made, [1_000_000], since_s=2.0, born_s=2.0) == {"dc": 0.5}
    assert feed(made, [1_000_050], since_s=3.0, born_s=2.0) == {"dc": 0.5}


def test_a_reading_that_is_no_newer_is_no_rate():
    made = meter()
    feed(made, [0, 50])
    made.take("dc", {"requests": 1000}, 1.0, 1.0)
    assert made.loads(1.0) == {"dc": 0.5}


def test_a_silent_edge_is_believed_for_a_while():
    made = meter()
    feed(made, [0, 50])
    assert made.loads(1.0 + HOLD_S - 0.1) == {"dc": 0.5}
    assert made.loads(1.0 + HOLD_S) == {}


def test_sites_without_capacity_and_sites_that_left_are_not_told():
    made = meter(dc=100, aws=200)
    feed(made, [0, 50])
    assert feed(made, [0, 50], site="aws") == {"dc": 0.5, "aws": 0.25}
    feed(made, [0, 50], site="lab")
    made.expect({"aws": 100}, 10.0)
    assert made.loads(1.0) == {"aws": 0.5}


def test_a_load_that_wavers_around_a_step_stays_on_it():
    made = meter(smoothing=0.001, dc=1000)
    counted, shown = 0, []
    for second, rate in enumerate([0, 504, 506, 495, 509, 492, 511, 516, 505, 499]):
        counted += rate
        made.take("dc", {"n": counted}, 1.0, second)
        shown.append(made.loads(second).get("dc"))
    assert shown == [None, 0.5, 0.5, 0.5, 0.5, 0.5, 0.51, 0.51, 0.51, 0.5]


@pytest.mark.parametrize(
    ("ttls", "expected"),
    [({}, 20), ({"a": "1s"}, 20), ({"a": "10s"}, 30), ({"a": "10s", "b": "20s"}, 60), ({"a": "1h"}, 120)],
)
def test_smoothing_follows_the_longest_ttl_of_those_that_shed(ttls, expected):
    sized = {"dc": {"edges": [{"public": ["192.0.2.10"]}], "capacity": 1}}
    apps = {name: app(["shed"], hosts=[name], ttl=ttl) for name, ttl in ttls.items()}
    made = snapshot(policy(sized, **apps, plain=app(["healthy", {"weighted": {"dc": 1}}], hosts=["plain"], ttl="1h")))
    assert smoothing_s(made.apps.values()) == expected


@pytest.mark.parametrize("ttl_s", [5, 10, 30])
@pytest.mark.parametrize("demand", [1.0, 1.2, 1.5])
@pytest.mark.parametrize(("low", "high"), [(0.8, 0.95), (0.7, 0.95)])
def test_an_overloaded_site_settles_between_its_marks(ttl_s, demand, low, high):
    """The loop closed: clients that are shed leave as resolvers forget the last answer, evenly over one TTL."""
    made, item, capacity = LoadMeter(), Filter("shed", low_ratio=low, high_ratio=high), 10_000
    made.expect({"dc": capacity}, max(20.0, 3.0 * ttl_s))
    told, counted, carried = [1.0] * ttl_s, 0, []
    for second in range(900):
        wanted = 0.5 if second < 60 else demand
        carried.append(wanted * sum(told[-ttl_s:]) / ttl_s)
        counted += round(carried[-1] * capacity)
        made.take("dc", {"n": counted}, 1.0, second)
        told.append(kept_ratio(item, made.loads(second).get("dc")))
    settled = carried[-300:]
    assert low - 0.03 < min(settled)
    assert max(settled) < high
    moves = sum(old != new for old, new in pairwise(told[-300:]))
    assert moves <= 50, "tables are not compiled anew all the while"
