"""TTLs that end no later than health may change (gdnsd's rule), within the bounds of the policy."""

import pytest

from gslb.snapshot.types import LiveState, Verdict
from gslb.steering import decide
from tests.unit.steering.world import SITES, app, ip, policy, seeing, snapshot

BOUNDS = {"min": "5s", "max": "60s"}
EQUAL = {"weighted": {"dc": 1, "aws": 1, "gcp": 1}}
ALL = [address for site in SITES.values() for edge in site["edges"] for address in edge["public"]]


def lasting(flips_s, down=(), held=()):
    """Every address lasts 120 s, except for these."""
    states = {**dict.fromkeys(ALL, "up"), **dict.fromkeys(down, "down"), **dict.fromkeys(held, "held")}
    return LiveState(
        1, {("shop", ip(a)): Verdict(state, "", 0.0, flips_s.get(a, 120.0)) for a, state in states.items()}
    )


def ttl(live, steer=("healthy", EQUAL), zone=None, **more):
    snap = snapshot(policy(zone={"ttl": BOUNDS, **(zone or {})}, shop=app(list(steer), **more)))
    decision = decide(snap, live, snap.apps["shop"], None, 4)
    return decision.ttl_s, decision.ttl_reason


@pytest.mark.parametrize(
    ("flip_s", "ttl_s"), [(120.0, 60), (60.0, 60), (30.0, 30), (29.9, 29), (5.0, 5), (4.9, 5), (0.1, 5)]
)
def test_the_ttl_is_the_next_possible_change_within_its_bounds(flip_s, ttl_s):
    assert ttl(lasting({"192.0.2.10": flip_s})) == (
        ttl_s,
        f"health may change in {flip_s:g} s; bounds 5 s to 60 s",
    )


def test_a_primary_that_needs_three_more_failures_at_ten_seconds_has_at_most_thirty():
    chain = ["healthy", {"priority": ["dc", "aws"]}, {"first": 1}]
    assert ttl(lasting({"192.0.2.10": 30.0}), chain)[0] == 30


def test_the_least_over_everything_that_was_consulted():
    live = lasting({"198.51.100.20": 20.0, "203.0.113.30": 10.0, "2001:db8:1::10": 15.0})
    assert ttl(live)[0] == 10
    assert ttl(live, ["healthy", {"weighted": {"dc": 1, "aws": 1}}])[0] == 15, "A and AAAA choose alike"
    assert ttl(live, [{"only": ["aws"]}, "healthy", {"first": 1}])[0] == 20, "the others were not asked"


def test_everything_down_is_answered_at_the_least():
    assert ttl(lasting({}, down=ALL))[0] == 5


def test_one_that_is_down_counts_for_when_it_may_be_back():
    assert ttl(lasting({"192.0.2.10": 8.0, "2001:db8:1::10": 8.0}, down=ALL[:2]))[0] == 8


def test_where_nobody_has_looked_anything_may_change():
    assert ttl(LiveState())[0] == 5
    assert ttl(seeing(unknown=ALL))[0] == 5


def test_where_health_is_not_consulted_it_cannot_shorten():
    assert ttl(LiveState(), [EQUAL]) == (60, "no health was consulted; bounds 5 s to 60 s")


def test_a_dead_site_that_is_held_still_bounds_because_a_person_may_let_it_go():
    live = lasting({"192.0.2.10": 7.0}, held=["192.0.2.10", "2001:db8:1::10"])
    assert ttl(live)[0] == 7


def test_an_app_may_have_bounds_of_its_own_and_a_fixed_ttl_stays_fixed():
    live = lasting({"192.0.2.10": 12.0})
    assert ttl(live, ttl={"min": "20s", "max": "2m"})[0] == 20
    assert ttl(live, ttl="40s") == (40, "fixed by the policy")
    assert ttl(live, ttl={"min": "40s", "max": "40s"})[0] == 40
    assert ttl(live, zone={"ttl": "10s"}) == (10, "fixed by the policy")


def test_negative_answers_are_kept_for_the_least():
    assert snapshot(policy(zone={"ttl": BOUNDS})).zone.ttl_s == 5
