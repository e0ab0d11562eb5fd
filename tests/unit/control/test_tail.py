"""What is left of a drained site: each thing that speaks against switching it off, alone."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from gslb.cli.tables import status_page
from gslb.control import changes
from gslb.control.bodies import status_messages
from gslb.control.protocol import EdgeState, EnvoyState
from gslb.control.scrape.metrics import exposition
from gslb.control.status import status
from gslb.control.tail import tail_of
from gslb.snapshot import compile_snapshot
from gslb.snapshot.intent import Drain, Intent
from tests.unit.control.world import NOW_S, POLICY, MemoryPublisher, by, dns_state, edge_state, policy

SHOP = POLICY["apps"]["shop"]
TTL_S = 10


def world(app="shop", entry_only=False, deadline_s=None, ago_s=60.0, shop=SHOP, **apps):
    wanted = Drain(site="dc", app=app, entry_only=entry_only, deadline_s=deadline_s, by=by(at_s=NOW_S - ago_s))
    start = Intent(revision=1, policy=policy(apps={"shop": shop, **apps}))
    return changes.drain(start, wanted, ["last-site"])


def edge(snapshot, per_s=0.0, connections=0, **rates):
    seen = EdgeState(envoy=EnvoyState(state="live"), arriving_per_s=rates or {"shop": per_s}, connections=connections)
    return edge_state(snapshot, "dc", edge=seen)


def tail(made, *, dns=True, **edges):
    snapshot = compile_snapshot(made, NOW_S)
    roles = {"dns": dns_state(snapshot) if dns else None, "edge-dc": edge(snapshot, **edges)}
    return tail_of(made, snapshot, "dc", roles, NOW_S)


def test_a_quiet_site_can_be_switched_off():
    got = tail(world())
    status_messages.TailSeen.model_validate(got)
    assert got["can_be_switched_off"] is True
    assert got == {
        "arriving_per_s": {"shop": 0.0},
        "connections": 0,
        "left_dns_s": 60.0,
        "longest_ttl_s": TTL_S,
        "closes_at": None,
        "can_be_switched_off": True,
        "why": "nothing arrives, nothing is open, and no resolver may keep its addresses any more",
    }


@pytest.mark.parametrize(
    ("made", "seen", "why"),
    [
        (world(ago_s=4), {}, "resolvers may keep its addresses for another 6 s"),
        (world(), {"per_s": 0.25}, "requests a second still arrive: shop 0.25"),
        (world(app=None), {"connections": 1}, "1 connection is open"),
        (world(app=None), {"connections": 2}, "2 connections are open"),
        (world(), {"blog": 1.0}, "its edge was not watched for long enough"),
        (world(), {"dns": False}, "dns may still answer with it: it has not told that it has this version"),
        (world(entry_only=True), {}, "its services still answer for shop: only the entry is drained"),
        (
            world(shop={**SHOP, "backends": {**SHOP["backends"], "search": {"dc": ["192.0.2.9:80"]}}}),
            {},
            "search of shop has endpoints nowhere else",
        ),
        (
            world(shop={**SHOP, "steer": ["healthy", {"weighted": {"dc": 1}}]}),
            {},
            "every site of shop is drained, so that DNS names this one, too",
        ),
    ],
)
def test_what_speaks_against_it_is_told(made, seen, why):
    got = tail(made, **seen)
    assert (got["can_be_switched_off"], got["why"]) == (False, why)


def test_connections_of_other_apps_do_not_count_against_one():
    assert tail(world(), connections=9)["can_be_switched_off"] is True


def test_a_silent_edge_leaves_it_unknown():
    made = world()
    snapshot = compile_snapshot(made, NOW_S)
    got = tail_of(made, snapshot, "dc", {"dns": dns_state(snapshot), "edge-dc": None}, NOW_S)
    assert got["connections"] is None
    assert got["why"] == "its edge does not answer, so that nobody knows what still arrives"


def test_a_site_in_service_has_no_tail_and_neither_has_an_expired_drain():
    made = world()
    snapshot = compile_snapshot(made, NOW_S)
    assert tail_of(made, snapshot, "aws", {}, NOW_S) is None
    gone = changes.undrain(made, "dc", "shop")
    assert tail_of(gone, compile_snapshot(gone, NOW_S), "dc", {}, NOW_S) is None


def test_it_stands_in_status_on_the_page_and_in_the_metrics():
    publisher = MemoryPublisher(world(app=None, deadline_s=300.0))
    publisher.hear(edge(publisher.snapshot, per_s=2.5, connections=3))
    got = status(publisher.current(), publisher.roles(), publisher.ages_s(), NOW_S)
    status_messages.Status.model_validate(got)
    assert got["sites"]["aws"]["tail"] is None
    assert got["sites"]["dc"]["tail"]["closes_at"] == "2023-11-14T22:17:20Z"
    page = io.StringIO()
    Console(file=page, width=200).print(status_page(got))
    line = next(line for line in page.getvalue().splitlines() if "2.5" in line)
    assert line.split()[:5] == ["dc", "2.5", "3", "60", "s"]
    assert "2023-11-14T22:17:20Z" in page.getvalue()
    metrics = exposition(publisher).decode()
    assert 'gslb_site_can_be_switched_off{site="dc"} 0.0' in metrics
    assert 'gslb_edge_connections{site="dc"} 3.0' in metrics
    assert 'switched_off{site="aws"}' not in metrics
