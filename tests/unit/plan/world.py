"""Two policies and the plan from one to the other, through the real compiler."""

from __future__ import annotations

import copy
from ipaddress import ip_address, ip_network

from gslb.model.policy import Policy
from gslb.plan import Side, make_plan
from gslb.snapshot import compile_snapshot
from gslb.snapshot.intent import Intent, Overrides
from gslb.snapshot.networks import Place, network_map
from gslb.snapshot.types import LiveState, Verdict

NOW_S = 1_000_000.0

BASE = {
    "environment": "test",
    "zone": {"name": "gslb.example.com", "nameservers": {"ns1": ["198.51.100.53"]}},
    "sites": {
        "dc": {"edges": [{"public": ["192.0.2.10", "2001:db8:1::10"]}]},
        "aws": {"edges": [{"public": ["198.51.100.20", "2001:db8:2::20"]}]},
        "lab": {"edges": [{"public": ["203.0.113.30", "2001:db8:3::30"]}]},
    },
    "apps": {
        "shop": {
            "hosts": ["shop", "store"],
            "steer": ["healthy", {"weighted": {"dc": 80, "aws": 20}}],
            "backends": {
                "monolith": {"check": {"path": "/healthz"}, "dc": ["192.0.2.11:8080"], "aws": ["198.51.100.21:8080"]},
                "checkout": {"check": {"path": "/ready"}, "aws": ["198.51.100.22:8080"]},
            },
            "routes": [
                {
                    "name": "pay",
                    "match": {"path": "/checkout"},
                    "split": {"monolith": 95, "checkout": 5},
                    "mirror": [{"to": "checkout", "percent": 10}],
                },
                {"name": "rest", "split": {"monolith": 100}},
            ],
        },
        "blog": {
            "hosts": ["blog"],
            "steer": ["healthy", {"only": ["dc", "aws"]}, {"priority": ["dc", "aws"]}, {"first": 1}],
            "backends": {"pages": {"dc": ["192.0.2.12:8080"]}},
            "routes": [{"name": "all", "split": {"pages": 100}}],
        },
    },
}


def changed(*steps):
    """BASE after each of `steps` has edited it."""
    policy = copy.deepcopy(BASE)
    for step in steps:
        step(policy)
    return policy


def put(path, value):
    """A step that sets what stands at a dotted path; numbers are places in lists."""

    def step(policy):
        *above, last = [int(key) if key.isdigit() else key for key in path.split(".")]
        for key in above:
            policy = policy[key]
        policy[last] = value

    return step


def cut(path):
    """A step that takes away what stands at a dotted path."""

    def step(policy):
        *above, last = [int(key) if key.isdigit() else key for key in path.split(".")]
        for key in above:
            policy = policy[key]
        del policy[last]

    return step


def side(policy, overrides=None, revision=1):
    intent = Intent(revision=revision, policy=Policy.model_validate(policy), overrides=overrides or Overrides())
    return Side(intent, compile_snapshot(intent, NOW_S))


def planned(*steps, before=BASE, overrides=None, live=None, waived=None):
    """The plan from `before` (None: nothing) to BASE after `steps`."""
    old = side(before, overrides) if before is not None else None
    return make_plan(old, side(changed(*steps), overrides, 2), live or LiveState(), NOW_S, waived)


def rules(plan):
    return [refusal.rule for refusal in plan.refusals]


def dead(app, *addresses):
    """A LiveState in which these addresses are down."""
    return LiveState(1, {(app, ip_address(address)): Verdict("down", "seen", NOW_S) for address in addresses})


def in_countries(**networks):
    """A LiveState with a database of places: country to network."""
    places = ((ip_network(text), Place(country=country)) for country, text in networks.items())
    return LiveState(geo=network_map(places))
