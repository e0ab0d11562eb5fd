"""What the tables hold: names, classes of clients, records, and what a new verdict changes of them."""

import dataclasses
from ipaddress import ip_address, ip_network

import dns.message
import dns.name
import dns.rdatatype
import pytest

from gslb.dns.compose import compose, recompile
from gslb.dns.tables import Peer, Qtype
from gslb.dns.wire import answer
from gslb.snapshot.networks import Place, network_map
from gslb.snapshot.types import LiveState, Verdict
from gslb.steering import decide
from tests.unit.dns.policies import APEX, app, down, snapshot, weighted


def ask(tables, name, qtype="A", client="192.0.2.200", tcp=False):
    query = dns.message.make_query(name, qtype)
    reply = dns.message.from_wire(answer(tables, query.to_wire(), Peer(ip_address(client).packed, tcp), 0.0, 0))
    return sorted(rdata.to_text() for rrset in reply.answer for rdata in rrset)


def wire(name):
    return dns.name.from_text(name).to_wire()


def test_names_are_those_of_the_zone_and_what_lies_between():
    apps = {"shop": app("healthy", weighted(dc=1), hosts=["shop", f"a.b.{APEX}", "www.example.org", f"x{APEX}"])}
    tables = compose(snapshot(apps), LiveState())
    expected = {APEX, f"ns1.{APEX}", f"shop.{APEX}", f"shop--dc.{APEX}", f"a.b.{APEX}", f"a--dc.b.{APEX}", f"b.{APEX}"}
    assert set(tables.names) == {wire(name) for name in expected}
    assert tables.names[wire(f"b.{APEX}")] == {}


def test_a_host_at_the_apex_stands_beside_soa_and_ns():
    tables = compose(snapshot({"shop": app("healthy", weighted(dc=1), hosts=[APEX])}), LiveState())
    assert set(tables.names[wire(APEX)]) == {Qtype.A, Qtype.AAAA, Qtype.SOA, Qtype.NS}
    assert ask(tables, APEX) == ["192.0.2.10"]
    assert ask(tables, APEX, "NS") == [f"ns1.{APEX}."]


def test_an_app_cannot_take_the_name_of_a_nameserver():
    tables = compose(snapshot({"shop": app("healthy", weighted(dc=1), hosts=["ns1"])}), LiveState())
    assert ask(tables, f"ns1.{APEX}", "A") == ["198.51.100.53"]
    assert ask(tables, f"ns1.{APEX}", "AAAA") == []


def test_a_nameserver_elsewhere_has_no_address_here():
    zone = {"nameservers": {"ns.example.net": ["203.0.113.1"], "ns1": ["198.51.100.53"]}}
    tables = compose(snapshot({}, zone=zone), LiveState())
    assert wire("ns1.gslb.example.com") in tables.names
    assert wire("ns.example.net") not in tables.names


def test_classes_of_clients_are_what_steering_says_at_every_edge():
    policy = snapshot({"shop": app("networks", "healthy", {"priority": ["gcp", "aws", "dc"]}, {"first": 1})})
    tables = compose(policy, LiveState())
    clients = ["0.0.0.0", "9.255.255.255", "10.0.0.0", "10.8.255.255", "10.9.0.0", "10.9.255.255", "10.10.0.0",
               "10.255.255.255", "11.0.0.0", "172.16.0.0", "172.31.255.255", "172.32.0.0", "255.255.255.255", "::",
               "2001:db8:a::", "2001:db8:a:9::1", "2001:db8:a:a::", "2001:db8:b::", "ffff::"]  # fmt: skip
    for client in clients:
        for qtype, family in (("A", 4), ("AAAA", 6)):
            (outcome,) = decide(policy, LiveState(), policy.apps["shop"], ip_address(client), family).outcomes
            assert ask(tables, f"shop.{APEX}", qtype, client) == [str(ip) for ip in outcome.addresses], client
    assert ask(tables, f"shop.{APEX}", client="10.1.1.1") == ["192.0.2.10"]
    assert ask(tables, f"shop.{APEX}", client="10.9.1.1") == ["198.51.100.20"]
    assert ask(tables, f"shop.{APEX}", client="192.0.2.1") == ["203.0.113.30"]


def test_networks_at_the_ends_of_the_address_space():
    sites = {
        "low": {"edges": [{"public": ["192.0.2.10"]}], "networks": ["0.0.0.0/1"]},
        "high": {"edges": [{"public": ["192.0.2.20"]}], "networks": ["128.0.0.0/1"]},
    }
    tables = compose(snapshot({"shop": app("networks", {"first": 1})}, sites=sites), LiveState())
    clients = ("0.0.0.0", "127.255.255.255", "128.0.0.0", "255.255.255.255")
    assert [ask(tables, f"shop.{APEX}", client=client) for client in clients] == [["192.0.2.10"]] * 2 + [
        ["192.0.2.20"]
    ] * 2
    assert len(tables.pools[0].v4.starts) == 2
    assert len(tables.pools[0].v6.starts) == 1


def test_neighbours_that_are_told_the_same_are_one_class():
    policy = snapshot({"shop": app("networks", "healthy", {"only": ["gcp"]}, {"first": 1})})
    assert compose(policy, LiveState()).pools[0].v4.starts == (b"",)


def test_an_address_that_is_named_twice_is_one_record():
    sites = {name: {"edges": [{"public": ["192.0.2.10"]}]} for name in ("dc", "aws")}
    tables = compose(snapshot({"shop": app({"first": 2})}, sites=sites), LiveState())
    assert ask(tables, f"shop.{APEX}") == ["192.0.2.10"]


def test_residency_without_a_site_is_nodata():
    policy = snapshot({"shop": app("healthy", {"only": ["dc"]}, {"first": 1})}, drains=["dc"])
    assert ask(compose(policy, LiveState()), f"shop.{APEX}") == []


def test_everyone_down_is_everyone_answered():
    policy = snapshot({"shop": app("healthy", weighted(dc=1, aws=1))})
    live = down("192.0.2.10", "2001:db8:1::10", "198.51.100.20", "2001:db8:2::20")
    assert ask(compose(policy, live), f"shop.{APEX}") == ["192.0.2.10", "198.51.100.20"]


def test_new_verdicts_recompile_pools_and_nothing_else():
    policy = snapshot({"shop": app("healthy", {"priority": ["dc", "aws"]}, {"first": 1})})
    before = compose(policy, LiveState(), wall_offset_s=12.5)
    live = down("192.0.2.10", "2001:db8:1::10")
    after = recompile(before, policy, live)
    assert after == compose(policy, live, 12.5)
    assert after.names is before.names
    assert all(new is old for new, old in zip(after.pools[2:], before.pools[2:], strict=True))
    assert ask(after, f"shop.{APEX}") == ["198.51.100.20"]


def test_apps_without_news_keep_their_pools():
    steer = ("healthy", {"priority": ["dc", "aws"]}, {"first": 1})
    policy = snapshot({name: app(*steer, hosts=[name]) for name in ("a", "b")})
    before = compose(policy, LiveState())
    live = down("192.0.2.10", "2001:db8:1::10", app="b")
    after = recompile(before, policy, live)
    assert after.pools[:2] == before.pools[:2]
    assert after.pools[0] is before.pools[0]
    assert [ask(after, f"{name}.{APEX}") for name in "ab"] == [["192.0.2.10"], ["198.51.100.20"]]
    back = recompile(after, policy, LiveState(counter=2))
    assert back == dataclasses.replace(before, live=LiveState(counter=2))


def test_a_ttl_follows_health_where_it_is_not_fixed_and_the_others_keep_their_pools():
    steer = ("healthy", weighted(dc=1))
    policy = snapshot(
        {"a": app(*steer, hosts=["a"], ttl={"min": "5s", "max": "60s"}), "b": app(*steer, hosts=["b"], ttl="60s")}
    )

    def lasting(flip_s):
        places = [(name, ip_address(a)) for name in "ab" for a in ("192.0.2.10", "2001:db8:1::10")]
        return LiveState(1, {place: Verdict("up", "", 0.0, flip_s) for place in places})

    def ttls(tables):
        packets = [dns.message.make_query(f"{name}.{APEX}", "A").to_wire() for name in "ab"]
        replies = [dns.message.from_wire(answer(tables, packet, Peer(bytes(4)), 0.0, 0)) for packet in packets]
        return [reply.answer[0].ttl for reply in replies]

    before = compose(policy, lasting(30.0))
    after = recompile(before, policy, lasting(10.0))
    assert (ttls(before), ttls(after)) == ([30, 60], [10, 60])
    assert after == compose(policy, lasting(10.0))
    assert after.pools[2] is before.pools[2]
    assert {pool.ttl_s for pool in after.pools} == {60}, "windows of draws do not move with health"
    same = dataclasses.replace(lasting(10.0), counter=9)
    assert recompile(after, policy, same).pools is after.pools


def test_another_database_of_places_recompiles_and_classes_outlive_verdicts():
    sites = {
        name: {"edges": [{"public": [a]}], "location": {"lat": lat, "lon": 0}}
        for name, a, lat in (("dc", "192.0.2.10", 50), ("aws", "198.51.100.20", -50))
    }
    policy = snapshot({"shop": app("healthy", "geo", {"first": 1})}, sites=sites)
    north, south = (
        LiveState(geo=network_map([(ip_network("10.0.0.0/8"), Place(lat=lat, lon=0.0))])) for lat in (40.0, -40.0)
    )
    host = f"shop.{APEX}"
    before = compose(policy, north)
    assert (ask(before, host, client="10.1.1.1"), ask(before, host)) == (["192.0.2.10"], ["192.0.2.10"])
    after = recompile(before, policy, south)
    assert (ask(after, host, client="10.1.1.1"), ask(after, host)) == (["198.51.100.20"], ["192.0.2.10"])
    assert after == compose(policy, south)
    assert len(after.pools[0].v4.starts) == 3
    dead = recompile(after, policy, dataclasses.replace(down("198.51.100.20"), geo=south.geo))
    assert dead.classes is after.classes
    assert ask(dead, host, client="10.1.1.1") == ["192.0.2.10"]
    assert dead.pools[0].v4.starts == (b"",), "neighbours that are told the same are one"


def test_overrides_recompile_and_another_revision_must_not():
    steer = app("healthy", weighted(dc=1, aws=1))
    before = compose(snapshot({"shop": steer}), LiveState())
    drained = snapshot({"shop": steer}, drains=["dc"], overrides=3)
    after = recompile(before, drained, LiveState())
    assert after == compose(drained, LiveState())
    assert ask(after, f"shop.{APEX}") == ["198.51.100.20"]
    with pytest.raises(AssertionError):
        recompile(before, snapshot({"shop": steer}, revision=8), LiveState())


def test_health_never_changes_the_serial():
    policy = snapshot({"shop": app("healthy", weighted(dc=1))}, revision=4_294_967_295)
    tables = compose(policy, LiveState())
    assert "4294967295" in ask(tables, APEX, "SOA")[0]
    assert ask(recompile(tables, policy, down("192.0.2.10")), APEX, "SOA") == ask(tables, APEX, "SOA")


def test_tables_are_values():
    policy = snapshot({"shop": app("healthy", weighted(dc=1))})
    tables = compose(policy, LiveState())
    assert tables == compose(policy, LiveState())
    with pytest.raises(dataclasses.FrozenInstanceError):
        tables.wall_offset_s = 1.0


def test_mixed_families_choose_among_those_that_can_serve():
    sites = {
        "dc": {"edges": [{"public": ["192.0.2.10"]}]},
        "aws": {"edges": [{"public": ["198.51.100.20", "2001:db8:2::20"]}]},
    }
    steer = app("healthy", weighted(dc=99, aws=1), families="mixed")
    tables = compose(snapshot({"shop": steer}, sites=sites), LiveState())
    for client in ("192.0.2.1", "203.0.113.1", "2001:db8::1"):
        assert ask(tables, f"shop.{APEX}", "AAAA", client) == ["2001:db8:2::20"]
