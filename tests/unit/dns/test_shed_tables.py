"""What loads change of the tables: the pools of apps that shed, where a site keeps another share; nothing else."""

import dataclasses
from ipaddress import ip_network

from gslb.dns.compose import compose, recompile
from gslb.snapshot.networks import network_map
from gslb.snapshot.types import LiveState
from tests.unit.dns.policies import SITES, app, snapshot, weighted

SHED = {"shed": {"low": 70, "high": 90}}
POLICY = snapshot(
    {
        "wide": app(SHED, hosts=["wide"]),
        "narrow": app({"shed": {"low": 85, "high": 95}}, hosts=["narrow"]),
        "plain": app("healthy", weighted(dc=1, aws=1), hosts=["plain"]),
    },
    sites={name: site | {"capacity": 100} for name, site in SITES.items()},
)


def live(**loads):
    return LiveState(loads=loads)


def changed(before, after):
    """The apps whose pools are other ones."""
    places = before.places
    return {name for name in places if any(before.pools[p] is not after.pools[p] for p in places[name].values())}


def test_only_apps_that_keep_another_share_are_compiled_anew():
    calm = compose(POLICY, live(dc=0.1))
    busier = recompile(calm, POLICY, live(dc=0.7, aws=0.3))
    assert busier.pools is calm.pools, "below the marks a load changes nothing"
    assert busier.live.loads == {"dc": 0.7, "aws": 0.3}
    busy = recompile(busier, POLICY, live(dc=0.8, aws=0.3))
    assert changed(busier, busy) == {"wide"}
    full = recompile(busy, POLICY, live(dc=0.9, aws=0.3))
    assert changed(busy, full) == {"wide", "narrow"}
    over = recompile(full, POLICY, live(dc=3.0, aws=0.3))
    assert changed(full, over) == {"narrow"}, "above the high mark either"
    unknown = recompile(over, POLICY, live())
    assert changed(over, unknown) == {"wide", "narrow"}
    assert unknown.pools == calm.pools


def test_it_is_what_compose_would_make():
    busy = live(dc=0.8, aws=0.88)
    assert recompile(compose(POLICY, live()), POLICY, busy) == compose(POLICY, busy)


def test_latencies_that_an_override_measured_have_classes_of_their_own():
    policy = snapshot({"shop": app("latency", {"first": 1})})
    near = dataclasses.replace(
        policy, digest="other", latency=network_map([(ip_network("10.0.0.0/8"), (("gcp", 1.0),))])
    )
    tables = recompile(compose(policy, LiveState()), near, LiveState())
    assert tables == compose(near, LiveState())
    assert {choice.variants[0].sites for choice in tables.pools[0].v4.choices} == {("dc",), ("gcp",)}
