"""The rules of precedence, and what else the compiler makes of an intent."""

import dataclasses
from ipaddress import ip_address

import pytest

from gslb.errors import PolicyError
from gslb.model.policy import Policy
from gslb.snapshot import compile_snapshot, next_expiry_s, probe_targets
from gslb.snapshot.checks import HealthCheck
from gslb.snapshot.compile import _filter
from gslb.snapshot.intent import Intent
from gslb.snapshot.routing import Retry, ValueMatch
from gslb.snapshot.targets import EDGE_CHECK
from gslb.snapshot.types import Endpoint, Filter, Share, Source, Version
from tests.unit.steering.world import CHECK, NOW_S, SITES, app, drain, intent, ip, policy, shift, snapshot

BACKENDS = {
    "monolith": {"check": CHECK, "aws": ["10.9.0.7:8080"], "dc": ["10.1.0.11:8080", "app2.dc.internal:8080"]},
    "checkout": {"check": CHECK, "aws": ["[2001:db8::7]:8443"]},
    "batch": {"aws": ["10.9.0.9:80"]},
}


def shop(split=None, **more):
    routes = [
        {"name": "pay", "match": {"path": "/checkout"}, "split": split or {"monolith": 95, "checkout": 5}},
        {"name": "rest", "split": {"monolith": 100}},
    ]
    return app(backends=BACKENDS, **({"routes": routes} | more))


def compiled(split=None, drains=(), shifts=(), wall_s=NOW_S, **more):
    return snapshot(policy(shop=shop(split, **more)), drains, shifts, wall_s)


def shares(world, route="pay"):
    found = next(r for r in world.apps["shop"].routes if r.name == route)
    return {share.backend: share.share_bp for share in found.split}


# shares ---------------------------------------------------------------------------------------------------------------


def test_the_policys_split_in_basis_points_by_name():
    world = compiled({"monolith": 99.95, "checkout": "0.05%"})
    assert world.apps["shop"].routes[0].split == (Share("checkout", 5), Share("monolith", 9995))
    assert world.apps["shop"].routes[0].source == Source("policy")


def test_a_shift_beats_the_policy_and_says_who_and_why():
    world = compiled(shifts=[shift("pay", {"monolith": 75, "checkout": 25}, author="ana", reason="looks good")])
    assert shares(world) == {"monolith": 7500, "checkout": 2500}
    assert world.apps["shop"].routes[0].source == Source("shift", "by ana looks good")
    assert world.apps["shop"].routes[1].source == Source("policy")


def test_a_shift_without_author_says_so():
    world = compiled(shifts=[shift("pay", {"checkout": 100})])
    assert world.apps["shop"].routes[0].source == Source("shift", "by unknown")


def test_a_shift_keeps_the_pools_of_backends_that_it_leaves_out_and_may_bring_new_ones():
    world = compiled(shifts=[shift("pay", {"batch": 100})])
    assert shares(world) == {"monolith": 0, "checkout": 0, "batch": 10_000}


def test_a_shift_of_another_app_does_not_matter():
    both = policy(shop=shop(), blog=shop(hosts=["blog"]))
    assert shares(snapshot(both, shifts=[shift("pay", {"checkout": 100}, app="blog")])) == {
        "monolith": 9500,
        "checkout": 500,
    }


# expiry ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("wall_s", "checkout_bp"), [(NOW_S + 59.9, 10_000), (NOW_S + 60, 500), (NOW_S + 61, 500)])
def test_a_shift_ends_at_its_expiry(wall_s, checkout_bp):
    world = compiled(shifts=[shift("pay", {"checkout": 100}, until_s=NOW_S + 60)], wall_s=wall_s)
    assert shares(world)["checkout"] == checkout_bp


@pytest.mark.parametrize(("wall_s", "drained"), [(NOW_S + 59.9, True), (NOW_S + 60, False)])
def test_a_drain_ends_at_its_expiry(wall_s, drained):
    world = compiled(drains=[drain("dc", until_s=NOW_S + 60)], wall_s=wall_s)
    assert world.sites["dc"].drained is drained
    assert world.apps["shop"].no_entry == (("dc",) if drained else ())


def test_next_expiry_is_the_next_change_and_none_where_nothing_ends():
    drains = [drain("dc", until_s=NOW_S + 90), drain("aws")]
    shifts = [shift("pay", {"checkout": 100}, until_s=NOW_S + 60)]
    wanted = intent(policy(shop=shop()), drains, shifts)
    assert next_expiry_s(wanted, NOW_S) == NOW_S + 60
    assert next_expiry_s(wanted, NOW_S + 60) == NOW_S + 90
    assert next_expiry_s(wanted, NOW_S + 90) is None
    assert next_expiry_s(intent(), NOW_S) is None


def test_nothing_changes_between_expiries():
    drains = [drain("dc", until_s=NOW_S + 90)]
    wanted = intent(policy(shop=shop()), drains, [shift("pay", {"checkout": 100}, until_s=NOW_S + 60)])
    before = compile_snapshot(wanted, NOW_S)
    assert compile_snapshot(wanted, NOW_S + 59.9) == before
    assert compile_snapshot(wanted, next_expiry_s(wanted, NOW_S)).digest != before.digest


# drains ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "site_drained", "no_entry", "no_local"),
    [
        ({}, True, ("dc",), ("dc",)),
        ({"entry_only": True}, False, ("dc",), ()),
        ({"app": "shop"}, False, ("dc",), ("dc",)),
        ({"app": "blog"}, False, (), ()),
    ],
    ids=str,
)
def test_what_a_drain_takes_out(how, site_drained, no_entry, no_local):
    world = snapshot(policy(shop=shop(), blog=shop(hosts=["blog"])), [drain("dc", **how)])
    assert world.sites["dc"].drained is site_drained
    assert not world.sites["aws"].drained
    assert (world.apps["shop"].no_entry, world.apps["shop"].no_local) == (no_entry, no_local)


# refusals -------------------------------------------------------------------------------------------------------------


def test_overrides_that_name_what_the_policy_lacks_are_refused_all_at_once_with_the_way_out():
    drains = [drain("mars"), drain("dc", app="venus"), drain("dc")]
    shifts = [
        shift("pay", {"checkout": 100}, app="venus"),
        shift("nothing", {"checkout": 100}),
        shift("pay", {"mars": 100}),
        shift("pay", {"checkout": 100}),
    ]
    with pytest.raises(PolicyError) as caught:
        compiled(drains=drains, shifts=shifts)
    assert {problem.remedy for problem in caught.value.problems} == {
        "undo it first: gslb undrain mars",
        "undo it first: gslb undrain dc --app venus",
        "undo it first: gslb shift venus/pay --undo",
        "undo it first: gslb shift shop/nothing --undo",
        "undo it first: gslb shift shop/pay --undo",
    }
    assert {problem.rule for problem in caught.value.problems} == {"override-dangling"}


def test_a_shift_that_does_not_say_where_every_request_goes_is_refused():
    with pytest.raises(PolicyError, match=r"\[split-sum\] the shift of shop/pay adds up to 25 %"):
        compiled(shifts=[shift("pay", {"checkout": 25})])


def test_what_has_expired_may_name_anything():
    past = {"until_s": NOW_S - 1}
    world = compiled(drains=[drain("mars", **past)], shifts=[shift("pay", {"mars": 7}, **past)])
    assert world.digest == compiled().digest


# needed, probes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("percent", "needed"),
    [(0, ("monolith",)), (49.99, ("monolith",)), (50, ("checkout", "monolith")), (100, ("checkout", "monolith"))],
)
def test_a_backend_with_less_than_half_of_every_route_is_not_needed(percent, needed):
    assert compiled({"monolith": 100 - percent, "checkout": percent}).apps["shop"].needed == needed


def test_a_shift_makes_a_backend_needed():
    assert compiled(shifts=[shift("pay", {"checkout": 100})]).apps["shop"].needed == ("checkout", "monolith")


def test_every_public_address_is_probed_for_every_needed_backend_with_its_check():
    world = compiled({"monolith": 50, "checkout": 50})
    targets = list(probe_targets(world))
    assert len(targets) == len(set(targets)) == 3 * 2 * 2
    assert {(t.site, str(t.address)) for t in targets if t.backend == "checkout"} == {
        (name, address) for name, site in SITES.items() for address in site["edges"][0]["public"]
    }
    first = targets[0]
    assert (first.app, first.port, first.host) == ("shop", 80, "shop.gslb.example.com")
    assert first.check == HealthCheck("/healthz", 2.0, 1.0, 2, 3)


def test_an_app_none_of_whose_needed_backends_has_a_check_is_probed_at_the_edge():
    world = compiled(routes=[{"name": "rest", "split": {"batch": 60, "monolith": 40}}])
    targets = list(probe_targets(world))
    assert {(t.backend, t.check) for t in targets} == {(None, EDGE_CHECK)}
    assert len(targets) == 3 * 2


# the other fields -----------------------------------------------------------------------------------------------------


def test_sites_and_edges():
    sites = {
        "dc": {
            "edges": [{"public": "192.0.2.10", "bind": ["10.0.0.4"], "peer": "10.0.0.4:8443"}],
            "listen": {"http": 8080},
            "networks": ["10.0.0.0/8"],
        },
        "aws": {"edges": [{"public": ["198.51.100.20"]}]},
    }
    world = snapshot(policy(sites, shop=app()))
    dc, aws = world.sites["dc"], world.sites["aws"]
    assert dc.edges[0].public == (ip("192.0.2.10"),)
    assert dc.edges[0].bind == (ip("10.0.0.4"),)
    assert dc.edges[0].peer == Endpoint("10.0.0.4", 8443)
    assert (dc.http_port, aws.http_port, dc.home.find(ip_address("10.1.2.3"))) == (8080, 80, (8, 8))
    assert (aws.edges[0].bind, aws.edges[0].peer) == (aws.edges[0].public, None)


def test_backends_stand_in_the_order_of_the_sites():
    backends = compiled().apps["shop"].backends
    assert list(backends["monolith"].endpoints) == ["dc", "aws"]
    assert backends["monolith"].endpoints["dc"] == (Endpoint("10.1.0.11", 8080), Endpoint("app2.dc.internal", 8080))
    assert backends["checkout"].endpoints == {"aws": (Endpoint("2001:db8::7", 8443),)}
    assert backends["batch"].check is None


def test_names_are_made_absolute():
    zone = {
        "name": "gslb.example.com.",
        "nameservers": {"ns1": ["198.51.100.53"], "ns.gslb.example.com": ["198.51.100.54"], "ns.example.net.": ["192.0.2.53"]},
        "contact": "dns.example.com",
        "ttl": "1m30s",
    }  # fmt: skip
    world = snapshot(
        policy(zone=zone, shop=app(hosts=["shop", "www.example.org."]), blog=app(hosts=["blog"], ttl="5s"))
    )
    assert world.zone.name == "gslb.example.com"
    assert world.zone.nameservers == (
        ("ns1.gslb.example.com", (ip("198.51.100.53"),)),
        ("ns.gslb.example.com", (ip("198.51.100.54"),)),
        ("ns.example.net", ()),
    )
    assert (world.zone.contact, world.zone.ttl_s) == ("dns.example.com", 90)
    assert world.apps["shop"].hosts == ("shop.gslb.example.com", "www.example.org")
    assert (world.apps["shop"].ttl_s, world.apps["blog"].ttl_s) == (90, 5)
    assert (world.apps["shop"].ttl_min_s, world.apps["blog"].ttl_min_s) == (90, 5), "fixed"


def test_a_nameserver_is_in_the_zone_by_label_not_by_letters():
    zone = {"nameservers": {"ns.not-gslb.example.com": ["192.0.2.53"], "ns1": ["192.0.2.54"]}}
    assert snapshot(policy(zone=zone)).zone.nameservers[0] == ("ns.not-gslb.example.com", ())


def test_the_default_contact_is_hostmaster_in_the_zone():
    assert snapshot().zone.contact == "hostmaster.gslb.example.com"


def test_routes_carry_their_match_and_mirrors():
    route = {
        "name": "pay",
        "match": {"path": "/pay", "method": "GET", "headers": {"X-B": "2", "x-a": "1"}, "query": {"b": "2", "a": "1"}},
        "split": {"monolith": 100},
        "sticky": "cookie",
        "mirror": [{"to": "checkout", "percent": 12.5, "methods": ["GET"], "max_body": 10}],
        "timeout": "3s",
        "retries": 1,
    }
    made = compiled(routes=[route]).apps["shop"].routes[0]
    (match,) = made.matches
    assert (match.prefix, match.methods) == ("/pay", ("GET",))
    assert match.headers == (ValueMatch("x-a", "1"), ValueMatch("x-b", "2"))
    assert match.query == (ValueMatch("a", "1"), ValueMatch("b", "2"))
    assert (made.sticky, made.timeout_s, made.retry) == (True, 3.0, Retry(1))
    mirror = made.mirrors[0]
    assert (mirror.to, mirror.share_bp, mirror.methods, mirror.max_body_bytes) == ("checkout", 1250, ("GET",), 10)


def test_every_filter_is_translated():
    steer = [
        "healthy", "networks", {"only": ["dc", "aws"]}, {"priority": ["dc"]}, {"weighted": {"dc": 1.5}, "by": "client"},
    ]  # fmt: skip
    assert snapshot(policy(shop=app(steer))).apps["shop"].chain == (
        Filter("healthy"),
        Filter("networks"),
        Filter("only", sites=("dc", "aws")),
        Filter("priority", sites=("dc",)),
        Filter("weighted", weights=(("dc", 1.5),), by="client"),
    )
    assert snapshot(policy(shop=app([{"first": 2}]))).apps["shop"].chain == (Filter("first", count=2),)


def test_the_default_chain_is_healthy_then_all_alike():
    chain = snapshot().apps["shop"].chain
    assert chain == (Filter("healthy"), Filter("weighted", weights=(("dc", 1.0), ("aws", 1.0), ("gcp", 1.0))))


def test_an_unknown_filter_is_a_broken_invariant():
    with pytest.raises(AssertionError):
        _filter("nearby")


def test_failover_and_families():
    made = compiled(failover="manual", families="mixed").apps["shop"]
    assert (made.failover, made.mixed_families) == ("manual", True)
    assert (compiled().apps["shop"].failover, compiled().apps["shop"].mixed_families) == ("auto", False)


# version, digest ------------------------------------------------------------------------------------------------------


def test_the_digest_is_of_the_content_and_not_of_the_version():
    one, other = snapshot(revision=1, version=3), snapshot(revision=9, version=9)
    assert one.digest == other.digest
    assert (one.version, other.version) == (Version(1, 3), Version(9, 9))
    assert dataclasses.replace(one, version=other.version) == other
    assert (str(one.version), one.version < other.version) == ("1.3", True)


def test_the_digest_survives_the_way_through_the_store():
    wanted = intent(policy(shop=shop()), [drain("dc")], [shift("pay", {"checkout": 40, "monolith": 60})])
    again = Intent.model_validate_json(wanted.model_dump_json())
    assert compile_snapshot(again, NOW_S) == compile_snapshot(wanted, NOW_S)


def test_an_override_that_changes_nothing_in_force_has_the_same_digest():
    assert compiled(drains=[drain("dc", until_s=NOW_S)]).digest == compiled().digest


@pytest.mark.parametrize(
    "other",
    [
        lambda: compiled({"monolith": 94.99, "checkout": 5.01}),
        lambda: compiled(shifts=[shift("pay", {"monolith": 94, "checkout": 6})]),
        lambda: compiled(drains=[drain("dc")]),
        lambda: compiled(drains=[drain("dc", entry_only=True)]),
        lambda: compiled(drains=[drain("dc", app="shop")]),
        lambda: compiled(ttl="3s"),
        lambda: compiled(steer=["healthy", {"weighted": {"dc": 1, "aws": 1, "gcp": 1.01}}]),
        lambda: snapshot(policy(dict(reversed(SITES.items())), shop=shop())),
    ],
)
def test_the_digest_differs_when_anything_in_force_does(other):
    assert other().digest != compiled().digest


def test_the_order_of_routes_counts():
    routes = [{"name": name, "split": {"monolith": 100}} for name in ("a", "b")]
    assert compiled(routes=routes).digest != compiled(routes=routes[::-1]).digest


def test_a_policy_is_not_changed_by_compiling():
    of = policy(shop=shop())
    before = of.model_dump_json()
    snapshot(of, [drain("dc")], [shift("pay", {"checkout": 100})])
    assert of.model_dump_json() == before
    assert Policy.model_validate_json(before) == of
