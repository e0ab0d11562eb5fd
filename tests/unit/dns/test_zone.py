"""Static records to bodies, and how they stand beside steered names in the tables."""

import dataclasses
import tracemalloc
from ipaddress import ip_address

import dns.message
import dns.name
import dns.rcode
import pytest

from gslb.dns.compose import compose, recompile
from gslb.dns.lookup import owned_by
from gslb.dns.tables import Peer, Qtype
from gslb.dns.wire import answer
from gslb.dns.zone import add_empty_non_terminals, compile_names, read_lines
from gslb.model.policy import Policy
from gslb.model.wire_name import from_text
from gslb.model.zone_file import read_zone_file, written
from gslb.snapshot import compile_snapshot
from gslb.snapshot.intent import Intent
from gslb.snapshot.types import LiveState
from tests.unit.dns import policies
from tests.unit.dns.policies import APEX, SITES, app, down, weighted

WIRE = from_text(APEX)
UDP = Peer(ip_address("192.0.2.1").packed)


def lines(text, apex=APEX):
    file = read_zone_file("z", f"$TTL 60\n{text}".encode(), from_text(apex))
    assert not file.problems
    return written(file.records)


def snapshot(text, *, hosts=("shop",), zones=(), revision=7):
    zone = {"name": APEX, "nameservers": {"ns1": ["198.51.100.53"]}, "records": lines(text)}
    apps = {"shop": app("healthy", weighted("answer", dc=50, aws=50), hosts=hosts)}
    policy = Policy.model_validate({"zone": zone, "zones": list(zones), "sites": SITES, "apps": apps})
    return compile_snapshot(Intent(revision=revision, policy=policy), 0.0)


def ask(tables, name, qtype="A", number=0, client=UDP):
    return dns.message.from_wire(answer(tables, dns.message.make_query(name, qtype).to_wire(), client, 0.0, number))


def test_lines_are_read_back_octet_for_octet():
    records = read_lines(lines("a TXT x\na TXT y\n\\001.b\\.c 5 A 192.0.2.1\n@ TYPE65280 \\# 0"))
    assert records[b"\1a" + WIRE][16] == (60, [b"\1x", b"\1y"])
    assert records[b"\1\1\3b.c" + WIRE][1] == (5, [bytes([192, 0, 2, 1])])
    assert records[WIRE][65280] == (60, [b""])
    assert read_lines("") == {}


def test_bodies_hold_no_owner_and_may_have_any():
    (body,) = compile_names(WIRE, read_lines(lines("a TXT x\na TXT longer"))).names[b"\1a" + WIRE].values()
    moved = owned_by(0xC123, body.answers, body.records)
    assert len(moved) == len(body.records)
    assert moved.count(b"\xc1\x23") == 2
    assert moved.replace(b"\xc1\x23", b"\xc0\x0c") == body.records
    assert owned_by(0xC00C, body.answers, body.records) is body.records


def test_what_is_delegated_or_renamed_is_left_out():
    text = "a NS ns.a\nns.a A 192.0.2.1\na TXT x\ny.x.a TXT x\nd DNAME e\nx.d TXT x\nd TXT x\nad A 192.0.2.1"
    names, cuts = compile_names(WIRE, read_lines(lines(text)))
    assert {name for name in names if names[name]} == {b"\1d" + WIRE, b"\2ad" + WIRE}
    assert set(cuts) == {b"\1a" + WIRE}
    assert names[b"\1a" + WIRE] == {}
    assert set(names[b"\1d" + WIRE]) == {Qtype.DNAME, 16}


def test_empty_non_terminals_end_at_the_topmost_apex():
    names = {
        from_text(name): {} for name in ("example.com", "a.b.sub.example.com", "sub.example.com", "c.d.example.com")
    }
    apexes = [from_text("example.com"), from_text("sub.example.com")]
    add_empty_non_terminals(names, apexes)
    assert set(names) == {
        from_text(name)
        for name in ("example.com", "sub.example.com", "b.sub.example.com", "a.b.sub.example.com", "d.example.com", "c.d.example.com")
    }  # fmt: skip


def test_an_alias_of_a_steered_name_draws_for_itself():
    tables = compose(snapshot("www CNAME shop"), LiveState())
    drawn = {number: ask(tables, f"www.{APEX}", number=number).answer[1][0].address for number in (0, 2**32 - 1)}
    assert drawn == {0: "192.0.2.10", 2**32 - 1: "198.51.100.20"}


def test_an_alias_of_a_steered_name_follows_its_verdicts():
    policy = snapshot("www CNAME shop\nstatic A 192.0.2.99")
    before = compose(policy, LiveState())
    after = recompile(before, policy, down("192.0.2.10", "2001:db8:1::10"))
    assert ask(after, f"www.{APEX}", number=0).answer[1][0].address == "198.51.100.20"
    assert after.names is before.names
    assert after.cuts is before.cuts


def test_residency_without_a_site_is_nodata_behind_an_alias_too():
    steer = app("healthy", {"only": ["dc"]}, {"first": 1})
    zone = {"records": lines("www CNAME shop")}
    tables = compose(policies.snapshot({"shop": steer}, zone=zone, drains=["dc"]), LiveState())
    reply = ask(tables, f"www.{APEX}")
    assert [rrset.rdtype for rrset in reply.answer] == [Qtype.CNAME]
    assert [rrset.rdtype for rrset in reply.authority] == [Qtype.SOA]


def test_a_host_of_an_app_wins_nothing_from_a_nameserver_of_any_zone():
    more = {"name": "example.org", "nameservers": {"ns1": ["203.0.113.1"]}}
    tables = compose(snapshot("", hosts=["ns1.example.org", "@"], zones=[more]), LiveState())
    assert ask(tables, "ns1.example.org").answer[0][0].address == "203.0.113.1"
    assert ask(tables, APEX).answer[0].ttl == 10


def test_zones_have_their_own_soa_and_the_same_serial():
    more = {"name": "example.org", "nameservers": {"ns1": ["203.0.113.1"]}, "ttl": "1h", "contact": "dns@example.org"}
    tables = compose(snapshot("", zones=[more], revision=9), LiveState())
    soa = ask(tables, "example.org", "SOA").answer[0]
    assert (soa.ttl, soa[0].minimum, soa[0].serial, str(soa[0].rname)) == (3600, 3600, 9, "dns.example.org.")
    assert ask(tables, "x.example.org").authority[0] == soa
    assert ask(tables, APEX, "SOA").answer[0][0].serial == 9


@pytest.mark.parametrize("order", [1, -1])
def test_a_zone_inside_another_wins_below_its_apex_in_any_order(order):
    zones = [
        {"name": "example.org", "nameservers": {"ns1": ["203.0.113.1"]},
         "records": lines("a.in A 192.0.2.1\nin A 192.0.2.2\nb.c.mid A 192.0.2.3", "example.org")},
        {"name": "in.example.org", "nameservers": {"ns1": ["203.0.113.1"]},
         "records": lines("b A 192.0.2.4", "in.example.org")},
        {"name": "x.mid.example.org", "nameservers": {"ns1": ["203.0.113.1"]}},
    ][::order]  # fmt: skip
    tables = compose(snapshot("", zones=zones), LiveState())
    assert ask(tables, "a.in.example.org").rcode() == dns.rcode.NXDOMAIN
    assert ask(tables, "in.example.org").answer == []
    assert ask(tables, "b.in.example.org").answer[0][0].address == "192.0.2.4"
    assert ask(tables, "in.example.org", "DS").authority[0].name == dns.name.from_text("example.org")
    assert ask(tables, "mid.example.org").rcode() == dns.rcode.NOERROR
    assert tables.cuts == {}


def test_the_root_can_be_a_zone():
    """Nobody will; but a lookup must end."""
    zone = {"name": "org", "nameservers": {"ns1": ["203.0.113.1"]}}
    tables = compose(snapshot("", zones=[zone]), LiveState())
    root = dataclasses.replace(tables, zones={**tables.zones, b"\0": b""}, names={**tables.names, b"\0": {}})
    for name in (".", "com.", "x.com."):
        for qtype in ("A", "DS"):
            assert answer(root, dns.message.make_query(name, qtype).to_wire(), UDP, 0.0, 0)[3] in (0, 3)
    assert ask(tables, ".", "DS").rcode() == dns.rcode.REFUSED


def test_a_name_takes_less_than_a_kilobyte():
    count = 5_000
    records = lines("\n".join(f"host-{number:06d} A 192.0.2.1\n          AAAA 2001:db8::1" for number in range(count)))
    policy = snapshot("")
    policy = dataclasses.replace(policy, zone=dataclasses.replace(policy.zone, records=records))
    tracemalloc.start()
    tables = compose(policy, LiveState())
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(tables.names) > count
    assert taken / count < 1000
