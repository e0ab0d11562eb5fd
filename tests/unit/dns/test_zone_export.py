"""A zone as a file: which sites of a draw it names, how long its records last, and what it refuses."""

from __future__ import annotations

import dataclasses
from ipaddress import ip_address

import pytest

from gslb.dns.zone_export import export_zone, zone_names
from gslb.errors import RefusedError
from gslb.model.policy import Policy
from gslb.snapshot import compile_snapshot
from gslb.snapshot.intent import Drain, Intent, Overrides, Provenance
from gslb.snapshot.types import AppName, LiveState, Verdict, ZoneKey
from tests.unit.plan.world import BASE, changed, put

APEX = "gslb.example.com"
DC, AWS, LAB = "192.0.2.10", "198.51.100.20", "203.0.113.30"
ALL = (DC, AWS, "2001:db8:1::10", "2001:db8:2::20")


def snapshot(*steps, **overrides):
    intent = Intent(revision=3, policy=Policy.model_validate(changed(*steps)), overrides=Overrides(**overrides))
    return compile_snapshot(intent, 0.0)


def export(made, live=None, name=APEX, **given):
    return export_zone(made, live or LiveState(), name, 1_700_000_000, **given)


def records(exported, name, rtype="A"):
    """(TTL, data) of one record set."""
    lines = [line.split(" ", 4) for line in exported.text.splitlines()]
    return [(int(ttl), data) for owner, ttl, _, kind, data in lines if (owner, kind) == (f"{name}.", rtype)]


def addresses(exported, name=f"shop.{APEX}"):
    return [data for _, data in records(exported, name)]


@pytest.mark.parametrize(
    ("weights", "named"),
    [
        ({"dc": 80, "aws": 20}, [DC]),
        ({"dc": 60, "aws": 40}, [DC, AWS]),
        ({"dc": 50, "aws": 25, "lab": 25}, [DC, AWS, LAB]),
        ({"dc": 50, "aws": 26, "lab": 24}, [DC, AWS]),
        ({"dc": 99, "aws": 1}, [DC]),
        ({"dc": 100, "aws": 0}, [DC]),
    ],
)
def test_a_site_is_named_where_its_share_is_at_least_half_of_the_largest(weights, named):
    exported = export(snapshot(put("apps.shop.steer.1.weighted", weights)))
    assert sorted(addresses(exported)) == sorted(named)
    left = {item.name: item.left_out for item in exported.flattened}
    assert (f"shop.{APEX}" in left) == (len(named) < sum(1 for weight in weights.values() if weight))
    assert addresses(exported, f"shop--lab.{APEX}") == ([LAB] if "lab" in weights else [])


def test_health_and_drains_of_the_moment_count():
    down = Verdict("down", "refused", 0.0)
    live = LiveState(verdicts={(AppName("shop"), ip_address(DC)): down})
    assert addresses(export(snapshot(), live)) == [AWS]
    assert addresses(export(snapshot(drains=(Drain(site="dc", by=Provenance(at_s=0.0)),)))) == [AWS]
    everywhere = LiveState(verdicts={(AppName("shop"), ip_address(ip)): down for ip in ALL})
    assert sorted(addresses(export(snapshot(), everywhere))) == [DC, AWS], "with everybody, never with nobody"


@pytest.mark.parametrize(
    ("ttl", "given", "ttl_s"),
    [("5s", None, 30), ("60s", None, 60), ("2h", None, 300), ("5s", 7, 7), ({"min": "5s", "max": "2m"}, None, 120)],
)
def test_how_long_steered_records_last_is_bounded(ttl, given, ttl_s):
    made = snapshot(put("apps.shop.ttl", ttl), put("apps.shop.steer", [{"only": ["dc"]}, {"first": 1}]))
    assert records(export(made, ttl_s=given), f"shop.{APEX}") == [(ttl_s, DC)]


def test_the_soa_record_is_first_with_the_serial_that_was_asked_for():
    first = export(snapshot()).text.splitlines()[0]
    assert first.startswith(f"{APEX}. 10 IN SOA ns1.{APEX}. hostmaster.{APEX}. 1700000000 ")


def test_residency_that_leaves_nobody_leaves_no_record():
    drained = (Drain(site="dc", by=Provenance(at_s=0.0)),)
    made = snapshot(put("apps.shop.steer", [{"only": ["dc"]}, {"first": 1}]), drains=drained)
    assert addresses(export(made)) == []


def test_https_records_hint_at_the_sites_that_are_named():
    made = snapshot(put("apps.shop.https", {"alpn": ["h2", "http/1.1"]}))
    ((_, data),) = records(export(made), f"shop.{APEX}", "HTTPS")
    assert data == f'1 . alpn="h2" ipv4hint="{DC}" ipv6hint="2001:db8:1::10"'


def test_a_zone_below_is_delegated_and_has_its_own_file():
    inner = {"name": f"in.{APEX}", "nameservers": {"ns1": ["198.51.100.54"]}}
    made = snapshot(put("zones", [inner]), put("apps.shop.hosts", ["shop", f"shop.in.{APEX}"]))
    assert zone_names(made) == (APEX, f"in.{APEX}")
    above, below = export(made), export(made, name=f"in.{APEX}")
    assert records(above, f"in.{APEX}", "NS") == [(10, f"ns1.in.{APEX}.")]
    assert addresses(above, f"ns1.in.{APEX}") == ["198.51.100.54"]
    assert addresses(above, f"shop.in.{APEX}") == []
    assert addresses(below, f"shop.in.{APEX}") == [DC]


def test_a_signed_zone_is_exported_only_where_somebody_insists_and_without_its_keys():
    key = ZoneKey("ksk", 13, bytes(64), "", published=True, signs=True, announced=True)
    made = snapshot()
    signed = dataclasses.replace(made, zone=dataclasses.replace(made.zone, keys=(key,)))
    with pytest.raises(RefusedError) as caught:
        export(signed)
    assert caught.value.rule == "zone-signed"
    assert export(signed, unsigned=True).text == export(made).text


def test_a_zone_that_is_not_here_is_refused():
    with pytest.raises(RefusedError, match=f"known: {APEX}"):
        export(snapshot(), name="example.net")
    assert BASE["zone"]["name"] == APEX
