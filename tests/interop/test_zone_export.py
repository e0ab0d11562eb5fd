"""An exported zone, loaded by somebody else's server: it gives the answers that gslb gives."""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path

import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.zone
import pytest

from gslb.dns.compose import compose
from gslb.dns.tables import Peer
from gslb.dns.wire import answer
from gslb.dns.zone_export import TTL_BOUNDS_S, export_zone, zone_names
from gslb.model.folder import load_folder
from gslb.model.reader import parse_policy
from gslb.snapshot import compile_snapshot
from gslb.snapshot.intent import Intent
from gslb.snapshot.types import AppName, LiveState, Verdict
from tests.conformance import static_zone
from tests.support.knot import Knot, needs_knot
from tests.support.ports import free_port

ADDRESS = "127.0.7.60"
POLICIES = sorted(path.name for path in Path("policies").iterdir() if path.is_dir())
TYPES = ("A", "AAAA", "HTTPS", "TXT", "MX", "CNAME", "NS", "SRV", "CAA", "DS", "DNAME", "SOA", "TYPE65280")
ENDLESS = re.compile(r"(^|\.)(chain\d+|loop\d|self|round2?|grow|back|wide|wide-cut)\.")
"""Where aliases never end, or too late, every server stops where it likes."""
NOBODY = Peer(ip_address("0.0.0.0").packed, tcp=True)


def snapshot_of(policy):
    return compile_snapshot(Intent(revision=7, policy=policy), 0.0)


def static_policy():
    return parse_policy(static_zone.FILES).policy


def texts(snapshot, live):
    return {name: export_zone(snapshot, live, name, 1, unsigned=True) for name in zone_names(snapshot)}


def questions(made):
    """Every name of the files, names below and beside them, and every type."""
    names = set()
    for name, exported in made.items():
        zone = dns.zone.from_text(exported.text, origin=f"{name}.", relativize=False)
        names |= {str(owner) for owner in zone.nodes}
        names |= {f"nothing.{owner}" for owner in list(zone.nodes)[:20]}
    return [(name, qtype) for name in sorted(names) if len(name) < 250 and not ENDLESS.search(name) for qtype in TYPES]


def ours(tables, name, qtype):
    packet = dns.message.make_query(name, qtype).to_wire()
    return dns.message.from_wire(answer(tables, packet, NOBODY, 0.0, 0))


def theirs(name, qtype, port):
    return dns.query.tcp(dns.message.make_query(name, qtype), ADDRESS, 5, port)


def content(rrsets, *, serial=True):
    """Records without their TTL, and SOA without its serial."""
    found = set()
    for rrset in rrsets:
        for rdata in rrset:
            text = rdata.to_text().lower()
            if rrset.rdtype == dns.rdatatype.SOA:
                text = " ".join(part for index, part in enumerate(text.split()) if index != 2)
            found.add((rrset.name.to_text().lower(), rrset.rdtype, text))
    return found


@needs_knot
@pytest.mark.parametrize("policy", [*POLICIES, "static"])
def test_the_same_answers_as_ours(policy, tmp_path):
    snapshot = snapshot_of(static_policy() if policy == "static" else load_folder(Path("policies") / policy).policy)
    live = LiveState()
    made = texts(snapshot, live)
    tables = compose(snapshot, live)
    flattened = {item.name for exported in made.values() for item in exported.flattened}
    flattened |= {str(host) for app in snapshot.apps.values() if _has_a_choice(tables, app) for host in app.hosts}
    port = free_port(ADDRESS)
    knot = Knot(tmp_path / "knot", {name: exported.text for name, exported in made.items()}, [ADDRESS], port)
    checked = 0
    try:
        for name, qtype in questions(made):
            own, other = ours(tables, name, qtype), theirs(name, qtype, port)
            assert own.rcode() == other.rcode(), (name, qtype, own, other)
            got, want = content(other.answer), content(own.answer)
            drawn = {record for record in got ^ want if record[1] in (1, 28, 65)}
            if any(_stands_for(host, item[0].removesuffix(".")) for item in drawn for host in flattened):
                assert got - drawn == want - drawn, (name, qtype)
                assert {record[:2] for record in got} == {record[:2] for record in want}, (name, qtype)
                continue
            assert got == want, (name, qtype, own, other)
            if not own.answer:
                assert content(own.authority) == content(other.authority), (name, qtype, own, other)
            checked += 1
    finally:
        knot.close()
    assert checked > 40


def _stands_for(host, name):
    """Whether `name` is `host`, or one that the wildcard `host` answers for (RFC 4592)."""
    return name == host or (host.startswith("*.") and name.endswith(host[1:]))


def _has_a_choice(tables, app):
    pools = (tables.pools[place] for place in tables.places[app.name].values())
    return any(len(choice.variants) > 1 for pool in pools for ranges in (pool.v4, pool.v6) for choice in ranges.choices)


@needs_knot
def test_the_health_of_the_moment_is_in_the_file(tmp_path):
    snapshot = snapshot_of(static_policy())
    down = Verdict("down", "refused", 0.0)
    live = LiveState(verdicts={(AppName("shop"), ip_address(ip)): down for ip in ("192.0.2.10", "2001:db8:1::10")})
    made = texts(snapshot, live)
    port = free_port(ADDRESS)
    knot = Knot(tmp_path / "knot", {name: exported.text for name, exported in made.items()}, [ADDRESS], port)
    try:
        for name in ("shop.gslb.example.com", "gslb.example.com", "shop.example.org"):
            (rrset,) = theirs(name, "A", port).answer
            assert [item.address for item in rrset] == ["198.51.100.20"]
            assert TTL_BOUNDS_S[0] <= rrset.ttl <= TTL_BOUNDS_S[1]
            assert content([rrset]) == content(ours(compose(snapshot, live), name, "A").answer)
    finally:
        knot.close()
