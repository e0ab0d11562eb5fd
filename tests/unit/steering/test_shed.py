"""Shedding: who keeps which share of the clients, and what is said of it."""

import pytest

from gslb.snapshot.types import Filter, LiveState
from gslb.steering import decide, kept_ratio
from tests.unit.steering.world import app, dead, drain, ip, policy, snapshot

NOTHING = LiveState()
ITEM = Filter("shed", low_ratio=0.7, high_ratio=0.9)
SHED = {"shed": {"low": 70, "high": 90}}
BOUNDS = {"min": "5s", "max": "60s"}


def sites(**capacities):
    public = {"dc": "192.0.2.10", "aws": "198.51.100.20", "gcp": "203.0.113.30"}
    return {
        name: {"edges": [{"public": [public[name]]}], **({"capacity": size} if size else {})}
        for name, size in {"dc": 1000, "aws": 1000, "gcp": 1000, **capacities}.items()
    }


def told(loads, steer=("healthy", SHED), live=NOTHING, drains=(), client=None, capacities=(), **more):
    world = snapshot(policy(sites(**dict(capacities)), shop=app(list(steer), **more)), drains)
    return decide(world, LiveState(1, live.verdicts, loads=loads), world.apps["shop"], client, 4)


def shares(decision):
    return {" ".join(outcome.sites): round(outcome.weight, 9) for outcome in decision.outcomes}


def reason(decision):
    return decision.steps[-1].reason


@pytest.mark.parametrize(
    ("load", "kept"),
    [(None, 1), (0, 1), (0.7, 1), (0.75, 0.75), (0.8, 0.5), (0.85, 0.25), (0.9, 0), (3.0, 0)],
)
def test_a_site_keeps_a_share_on_a_line_between_the_marks(load, kept):
    assert kept_ratio(ITEM, load) == pytest.approx(kept)


@pytest.mark.parametrize(
    ("loads", "expected"),
    [
        ({"dc": 0.1, "aws": 0.1, "gcp": 0.1}, {"dc": 1}),
        ({"dc": 0.8, "aws": 0.1, "gcp": 0.1}, {"dc": 0.5, "aws": 0.5}),
        ({"dc": 0.9, "aws": 0.1, "gcp": 0.1}, {"aws": 1}),
        ({"dc": 0.8, "aws": 0.8, "gcp": 0.1}, {"dc": 0.5, "aws": 0.25, "gcp": 0.25}),
        ({"dc": 0.9, "aws": 0.95, "gcp": 0.1}, {"gcp": 1}),
        # whom nobody keeps stays with the first
        ({"dc": 0.8, "aws": 0.8, "gcp": 0.8}, {"dc": 0.625, "aws": 0.25, "gcp": 0.125}),
        ({"dc": 0.9, "aws": 0.9, "gcp": 0.8}, {"dc": 0.5, "gcp": 0.5}),
        ({"dc": 2.0, "aws": 0.9, "gcp": 5.0}, {"dc": 1}),
        # who is unknown keeps all
        ({}, {"dc": 1}),
        ({"dc": 0.8}, {"dc": 0.5, "aws": 0.5}),
        ({"aws": 2.0}, {"dc": 1}),
    ],
)
def test_the_next_of_the_order_gets_whom_a_site_does_not_keep(loads, expected):
    assert shares(told(loads)) == expected


def test_the_order_is_that_of_the_filters_before_and_then_that_of_the_policy():
    loads = dict.fromkeys(("dc", "aws", "gcp"), 0.8)
    decision = told(loads, ["healthy", {"priority": ["gcp"]}, SHED])
    assert shares(decision) == {"gcp": 0.625, "dc": 0.25, "aws": 0.125}
    assert [outcome.sites for outcome in decision.outcomes] == [("gcp",), ("dc",), ("aws",)]


def test_a_site_without_capacity_never_sheds():
    decision = told({"dc": 0.9, "aws": 5.0}, capacities={"aws": None})
    assert shares(decision) == {"aws": 1}
    assert "aws has no capacity and keeps all" in reason(decision)


def test_the_dead_and_the_drained_are_no_part_of_it():
    loads = {"dc": 0.8, "aws": 0.1}
    assert shares(told(loads, live=dead("aws"))) == {"dc": 0.5, "gcp": 0.5}
    assert shares(told(loads, drains=[drain("dc")])) == {"aws": 1}
    assert shares(told({"dc": 0.9}, ["healthy", {"only": ["dc"]}, SHED])) == {"dc": 1}


def test_everybody_down_is_everybody_told_whatever_the_loads():
    assert shares(told({"dc": 0.9}, live=dead("dc", "aws", "gcp"))) == {"dc aws gcp": 1}


def test_residency_that_leaves_nobody_is_nodata():
    decision = told({}, [{"only": ["dc"]}, SHED], families="mixed")
    assert shares(decision) == {"dc": 1}
    world = snapshot(policy(sites(), shop=app([{"only": ["dc"]}, SHED], families="mixed")))
    nobody = decide(world, LiveState(), world.apps["shop"], ip("192.0.2.1"), 6)
    assert nobody.outcomes == ()
    assert reason(nobody) == "shed from 70 % to 90 %: nobody is left"


def test_clients_are_drawn_by_their_prefix_and_stay():
    assert told({"dc": 0.8}).draw == "client"
    assert told({}).client_bits == 0


def test_the_bare_word_has_marks_of_its_own():
    assert shares(told({"dc": 0.8, "aws": 0.5}, ["healthy", "shed"])) == {"dc": 1}
    assert shares(told({"dc": 0.875, "aws": 0.5}, ["healthy", "shed"])) == {"dc": 0.5, "aws": 0.5}
    assert shares(told({"dc": 0.95, "aws": 0.5}, ["healthy", "shed"])) == {"aws": 1}


def test_the_reason_names_every_site():
    said = reason(told({"dc": 0.85, "aws": 0.4}))
    assert said == (
        "shed from 70 % to 90 %: dc at 85 % keeps 25 %, aws at 40 % keeps all, "
        "nobody knows the load of gcp, which keeps all"
    )
    assert reason(told(dict.fromkeys(("dc", "aws", "gcp"), 1.2))) == (
        "shed from 70 % to 90 %: dc at 120 % keeps 0 %, aws at 120 % keeps 0 %, gcp at 120 % keeps 0 %; "
        "whom nobody keeps stays with dc"
    )


def test_while_clients_are_shed_a_ttl_that_may_vary_is_the_least():
    calm, busy = told({"dc": 0.7}, [SHED], ttl=BOUNDS), told({"dc": 0.71}, [SHED], ttl=BOUNDS)
    assert (calm.ttl_s, busy.ttl_s) == (60, 5)
    assert busy.ttl_reason == "clients are shed, and loads change all the while; bounds 5 s to 60 s"
    assert told({"dc": 0.8}, ttl="30s").ttl_s == 30
