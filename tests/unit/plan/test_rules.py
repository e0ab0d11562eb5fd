"""Every guard rail: what it holds up, and what is just short of it."""

from __future__ import annotations

from typing import get_args

import pytest

from gslb.control.bodies.plan_messages import Rule
from gslb.plan import ROLLBACK_WAIVES, RULES
from gslb.plan.rules import few
from gslb.snapshot.intent import Drain, Overrides, Provenance
from tests.unit.plan.world import BASE, changed, cut, dead, planned, put, rules

BY = Provenance(author="ann", at_s=1.0)
WEIGHTS = "apps.shop.steer.1.weighted"
DC = ("192.0.2.10", "2001:db8:1::10")
SIGNED = changed(put("zone.dnssec", True))
TWO_ZONES = changed(put("zones", [{"name": "example.org", "nameservers": {"ns1": ["198.51.100.53"]}}]))


def drained(*sites):
    return Overrides(drains=tuple(Drain(site=site, by=BY) for site in sites))


HELD = {
    "a drained site is all that is left": ("last-site", {
        "steps": [put(WEIGHTS, {"dc": 100})], "overrides": drained("dc"),
    }),
    "only a dead site is left": ("last-site", {
        "steps": [put(WEIGHTS, {"dc": 100})], "live": dead("shop", *DC),
    }),
    "residency without a site": ("last-site", {
        "steps": [put("apps.blog.families", "mixed"), put("sites.dc.edges.0.public", ["192.0.2.10"]),
                  put("apps.blog.steer.1", {"only": ["dc"]})],
    }),
    "an app goes": ("app-removed", {"steps": [cut("apps.blog")]}),
    "a host goes": ("host-removed", {"steps": [put("apps.shop.hosts", ["shop"])]}),
    "most clients move": ("large-move", {"steps": [put(WEIGHTS, {"dc": 29.99, "aws": 70.01})]}),
    "most requests move": ("large-move", {
        "steps": [put("apps.shop.routes.0.split", {"monolith": 44.99, "checkout": 55.01})],
    }),
    "a zone goes": ("zone-removed", {"steps": [], "before": TWO_ZONES}),
    "a zone has another name": ("zone-removed", {
        "steps": [put("zone.name", "gslb.example.net")],
    }),
    "signing ends": ("dnssec-off", {"steps": [], "before": SIGNED}),
}  # fmt: skip

FREE = {
    "half of the clients move": {"steps": [put(WEIGHTS, {"dc": 30, "aws": 70})]},
    "half of the requests move": {"steps": [put("apps.shop.routes.0.split", {"monolith": 45, "checkout": 55})]},
    "another site is left beside a drained one": {
        "steps": [put(WEIGHTS, {"dc": 70, "aws": 30})], "overrides": drained("dc"),
    },
    "what is drained whole already is not made worse": {
        "steps": [put(WEIGHTS, {"dc": 70, "aws": 30})], "overrides": drained("dc", "aws"),
    },
    "what is down whole already is not made worse": {
        "steps": [put("apps.shop.ttl", "20s")], "live": dead("shop", *DC, "198.51.100.20", "2001:db8:2::20"),
    },
    "an app, a host, a route and a signature come": {
        "steps": [put("apps.news", {**BASE["apps"]["blog"], "hosts": ["news"]}), put("zone.dnssec", True),
                  put("apps.shop.hosts", ["shop", "store", "buy"]),
                  put("apps.shop.routes.1", {"name": "new", "split": {"checkout": 100}})],
    },
    "a signed zone goes on, another comes": {
        "steps": [put("zone.dnssec", {"zsk_lifetime": "30d"}), put("zones", TWO_ZONES["zones"])], "before": SIGNED,
    },
}  # fmt: skip


@pytest.mark.parametrize(("rule", "given"), HELD.values(), ids=HELD)
def test_it_is_held_up(rule, given):
    plan = planned(*given.pop("steps"), **given)
    assert rule in rules(plan)
    assert plan.is_refused
    held = next(refusal for refusal in plan.refusals if refusal.rule == rule)
    assert f"--allow {rule} --reason TEXT" in held.remedy


@pytest.mark.parametrize("given", FREE.values(), ids=FREE)
def test_it_is_not_held_up(given):
    assert rules(planned(*given.pop("steps"), **given)) == []


def test_every_rule_is_tried_here_and_known_to_the_api():
    assert {rule for rule, _ in HELD.values()} == set(RULES) == set(get_args(Rule))
    assert set(RULES) - ROLLBACK_WAIVES == {"last-site", "dnssec-off"}


def test_what_is_waived_is_told_and_does_not_hold():
    steps = cut("apps.blog"), put(WEIGHTS, {"dc": 1, "aws": 99})
    plan = planned(*steps, waived={"large-move": "--allow"})
    assert [(refusal.rule, refusal.allowed) for refusal in plan.refusals] == [
        ("app-removed", ""), ("large-move", "--allow"),
    ]  # fmt: skip
    assert [refusal.rule for refusal in plan.holding] == ["app-removed"]
    assert not planned(*steps, waived=dict.fromkeys(RULES, "--allow")).is_refused


def test_many_of_a_kind_are_counted():
    routes = [{"name": f"r{n}", "match": {"path": f"/{n}"}, "split": {"monolith": 100}} for n in range(25)]
    moved = [{**route, "split": {"checkout": 100}} for route in routes]
    plan = planned(put("apps.shop.routes", moved), before=changed(put("apps.shop.routes", routes)))
    assert rules(plan) == ["large-move"] * 21
    assert plan.refusals[-1].message == "and 5 more of the kind"


def test_a_few_names():
    assert few(["a", "b"]) == "a, b"
    assert few([str(n) for n in range(1005)]) == "0, 1, 2, 3, 4 and 1,000 more"
