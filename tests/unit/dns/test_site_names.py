"""Names for one site of an app, as records of the zone that they lie in."""

import dns.name

from gslb.dns.compose import compose, recompile
from gslb.dns.site_names import site_records
from gslb.dns.tables import Body, Qtype
from gslb.model.wire_name import from_text
from gslb.snapshot.types import LiveState
from tests.unit.dns.policies import APEX, app, down, snapshot, weighted

EVEN = ("healthy", weighted(dc=1, aws=1))


def made(*hosts, **more):
    return snapshot({"shop": app(*EVEN, hosts=hosts, ttl="20s")}, **more)


def entry(tables, name):
    """Type to (count, records in hex)."""
    found = tables.names[dns.name.from_text(name).to_wire()]
    assert all(isinstance(body, Body) for body in found.values())
    return {int(qtype): (body.answers, body.records.hex()) for qtype, body in found.items()}


def test_they_hold_the_public_addresses_with_the_ttl_of_the_app():
    tables = compose(made("shop"), LiveState())
    assert entry(tables, f"shop--dc.{APEX}") == {
        Qtype.A: (1, "c00c00010001000000140004c000020a"),
        Qtype.AAAA: (1, "c00c001c000100000014001020010db8000100000000000000000010"),
    }


def test_no_verdict_and_no_drain_changes_them():
    before = compose(made("shop"), LiveState())
    after = recompile(before, made("shop", drains=["dc"], overrides=1), down("192.0.2.10", "198.51.100.20"))
    assert after.names is before.names


def test_every_edge_is_named_once_and_what_a_site_lacks_is_missing():
    edges = [{"public": ["192.0.2.10", "192.0.2.11"]}, {"public": ["192.0.2.10"]}]
    sites = {"dc": {"edges": edges}, "aws": {"edges": [{"public": ["2001:db8::1"]}]}}
    tables = compose(snapshot({"shop": app(*EVEN, families="mixed", hosts=["shop"])}, sites=sites), LiveState())
    assert entry(tables, f"shop--dc.{APEX}")[Qtype.A][0] == 2
    assert list(entry(tables, f"shop--dc.{APEX}")) == [Qtype.A]
    assert list(entry(tables, f"shop--aws.{APEX}")) == [Qtype.AAAA]


def test_each_stands_in_the_zone_of_its_host():
    apexes = [from_text(apex) for apex in (APEX, "example.org", f"sub.{APEX}")]
    found = site_records(made(f"deep.{APEX}", "www.example.org", f"www.sub.{APEX}"), apexes)
    assert [set(found[apex]) for apex in apexes] == [
        {from_text(f"deep--{site}.{APEX}") for site in ("dc", "aws")},
        set(),
        {from_text(f"www--{site}.sub.{APEX}") for site in ("dc", "aws")},
    ]


def test_static_records_of_other_types_stay_beside_them():
    text = f"shop--dc.{APEX} 60 IN TYPE16 \\# 2 0161"
    tables = compose(made("shop", zone={"records": text}), LiveState())
    assert set(entry(tables, f"shop--dc.{APEX}")) == {Qtype.A, Qtype.AAAA, Qtype.TXT}
    assert entry(tables, f"shop--dc.{APEX}")[Qtype.TXT] == (1, "c00c001000010000003c00020161")
