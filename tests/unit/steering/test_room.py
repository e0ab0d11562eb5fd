"""Failover by capacity: whom a dead site's clients are told instead, and what is said of it."""

import pytest

from gslb.snapshot.types import LiveState
from gslb.steering import decide, loads_matter
from tests.unit.steering.test_shed import shares, sites
from tests.unit.steering.world import app, dead, drain, policy, snapshot

WEIGHTED = ("healthy", {"weighted": {"dc": 60, "aws": 20, "gcp": 20}})
ORDER = ("healthy", {"priority": ["dc", "aws", "gcp"]}, {"first": 1})
SIZES = {"dc": 1000, "aws": 1000, "gcp": 250}


def world(steer=WEIGHTED, drains=(), **capacities):
    return snapshot(policy(sites(**{**SIZES, **capacities}), shop=app(list(steer))), drains)


def told(of, loads=(), down=("dc",)):
    live = dead(*down) if down else LiveState()
    return decide(of, LiveState(1, live.verdicts, loads=dict(loads)), of.apps["shop"], None, 4)


@pytest.mark.parametrize(
    ("loads", "expected"),
    [
        # nobody knows the demand: by size
        ({}, {"aws": 0.68, "gcp": 0.32}),
        # 450 requests/s: aws has room for 910, gcp for 160
        ({"aws": 0.45}, {"aws": 0.2 + 0.6 * 910 / 1070, "gcp": 0.2 + 0.6 * 160 / 1070}),
        # all rooms together (800 + 50 of 1000 requests/s) suffice just so
        ({"aws": 0.9, "gcp": 0.3}, None),
    ],
)
def test_the_share_of_a_dead_site_is_spread_by_room(loads, expected):
    got = shares(told(world(), loads))
    if expected is None:
        assert got["gcp"] * 1012.5 <= 250 * 1.0001
        assert sum(got.values()) == pytest.approx(1)
    else:
        assert got == pytest.approx(expected)


def test_while_every_site_lives_and_where_a_capacity_is_missing_weights_alone_count():
    everybody = told(world(), {"aws": 0.99}, down=())
    assert shares(everybody) == {"dc": 0.6, "aws": 0.2, "gcp": 0.2}
    assert everybody.steps[-1].reason == "by weight: dc 60, aws 20, gcp 20"
    assert shares(told(world(gcp=None), {"aws": 0.99})) == {"aws": 0.5, "gcp": 0.5}


def test_the_reason_says_by_what():
    assert told(world()).steps[-1].reason == ("by weight: aws 20, gcp 20; without dc, by capacity: aws 68 %, gcp 32 %")
    assert "beside 450 requests/s" in told(world(), {"aws": 0.45}).steps[-1].reason


def test_a_drained_site_is_gone_too():
    of = world(drains=[drain("dc")])
    assert shares(told(of, down=())) == {"aws": 0.68, "gcp": 0.32}


def test_standby_sites_take_over_by_size():
    of = world(("healthy", {"weighted": {"dc": 1, "aws": 0, "gcp": 0}}))
    assert shares(told(of)) == {"aws": 0.8, "gcp": 0.2}
    of = world(("healthy", {"weighted": {"dc": 1, "aws": 0, "gcp": 0}}), gcp=None)
    assert shares(told(of)) == {"aws": 0.5, "gcp": 0.5}


@pytest.mark.parametrize(
    ("loads", "expected"),
    [
        ({}, {"aws": 1}),
        ({"aws": 0.5}, {"aws": 1}),
        ({"aws": 0.9, "gcp": 0.1}, {"aws": 0.5, "gcp": 0.5}),
        ({"aws": 1.0, "gcp": 0.1}, {"gcp": 1}),
        ({"aws": 0.95, "gcp": 0.95}, {"aws": 0.571428571, "gcp": 0.428571429}),
        ({"aws": 1.2, "gcp": 1.1}, {"aws": 1}),
    ],
)
def test_after_an_order_the_next_takes_over_while_it_has_room(loads, expected):
    assert shares(told(world(ORDER), loads)) == expected


def test_clients_whose_first_choice_lives_are_told_it_however_full_it_is():
    assert shares(told(world(ORDER), {"dc": 2.0, "aws": 0.1}, down=())) == {"dc": 1}
    assert shares(told(world(ORDER), {"dc": 2.0, "gcp": 0.1}, down=("aws",))) == {"dc": 1}


def test_who_is_moved_stays_with_its_site():
    assert told(world(ORDER), {"aws": 0.9, "gcp": 0.1}).draw == "client"


@pytest.mark.parametrize(
    ("steer", "down", "old", "new", "matters"),
    [
        (WEIGHTED, (), {"aws": 0.1}, {"aws": 0.9}, False),
        (WEIGHTED, ("dc",), {"aws": 0.1}, {"aws": 0.9}, True),
        (WEIGHTED, ("dc",), {"aws": 0.5}, {"aws": 0.51}, False),
        (ORDER, (), {"aws": 0.1}, {"aws": 0.9}, False),
        (ORDER, ("dc",), {"aws": 0.1}, {"aws": 0.9}, True),
        (ORDER, ("dc",), {"aws": 0.1}, {"aws": 0.2}, False),
    ],
)
def test_tables_follow_loads_only_where_a_site_is_gone(steer, down, old, new, matters):
    of = world(steer)
    verdicts = dead(*down).verdicts if down else {}
    before, after = (LiveState(1, verdicts, loads=loads) for loads in (old, new))
    assert loads_matter(of, of.apps["shop"], before, after) is matters
    if not matters:
        one, other = (decide(of, live, of.apps["shop"], None, 4).outcomes for live in (before, after))
        assert one == other


# The trickle ----------------------------------------------------------------------------------------------------------

WARM = ("healthy", {"weighted": {"dc": 3, "aws": 1, "gcp": 0}, "trickle": 2})


def test_a_trickle_keeps_the_standby_warm_and_takes_from_all_alike():
    got = told(world(WARM), down=())
    assert shares(got) == {"dc": 0.735, "aws": 0.245, "gcp": 0.02}
    assert got.steps[-1].reason == "by weight: dc 3, aws 1; 2 % keep gcp warm"


def test_a_dead_standby_gets_nothing_and_one_that_takes_over_everything():
    assert shares(told(world(WARM), down=("gcp",))) == {"dc": 0.75, "aws": 0.25}
    assert shares(told(world(WARM), down=("dc", "aws"))) == {"gcp": 1}


def test_without_a_trickle_the_standby_gets_nothing():
    steer = ("healthy", {"weighted": {"dc": 3, "aws": 1, "gcp": 0}})
    assert shares(told(world(steer), down=())) == {"dc": 0.75, "aws": 0.25}
