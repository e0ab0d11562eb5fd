"""The commands of forced states and approvals, over the API that control serves."""

import json

import pytest

from tests.unit.control.test_forcing import HELD
from tests.unit.control.test_status import AWS
from tests.unit.control.world import MemoryPublisher, dns_state, intent, verdict


@pytest.fixture
def publisher():
    made = MemoryPublisher(intent())
    made.states = {"dns": dns_state(made.snapshot, HELD, verdict("shop", "aws", AWS))}
    return made


def test_force_says_what_it_did_and_how_to_undo_it(gslb, publisher):
    code, out, err = gslb("force", "dc", "up", "--app", "shop", "--for", "1h", "--reason", "ticket 4711")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "environment test: dc is forced up",
        "  shop  as it is seen -> forced up",
        "to undo: gslb unforce dc --app shop",
    ]
    made = publisher.intent.overrides.forced[0]
    assert (made.state, made.app, made.by.author, made.by.expires_s - made.by.at_s) == ("up", "shop", "ann", 3600)
    assert gslb("unforce", "dc", "--app", "shop")[0] == 0
    assert publisher.intent.overrides.forced == ()


def test_force_needs_a_reason(gslb):
    code, _, err = gslb("force", "dc", "down")
    assert code == 2
    assert "--reason" in err


def test_the_status_shows_what_waits_and_what_is_forced(gslb):
    gslb("force", "aws", "up", "--reason", "ticket")
    out = gslb("status")[1]
    assert "gslb failover approve shop dc" in out
    assert "forced up" in out
    rules = [alarm["rule"] for alarm in json.loads(gslb("status", "--json")[1])["alarms"]]
    assert {"approval", "forced"} <= set(rules)


def test_failover_is_listed_and_approved(gslb, publisher):
    assert "gslb failover approve shop dc" in gslb("failover", "list")[1]
    code, out, _ = gslb("failover", "approve", "shop", "dc", "--reason", "all transactions are there")
    assert code == 0
    assert "to undo: gslb resume shop dc" in out
    assert [(item.site, item.what) for item in publisher.intent.overrides.approvals] == [("dc", "failover")]


def test_what_does_not_wait_cannot_be_approved(gslb):
    code, _, err = gslb("failover", "approve", "shop", "aws")
    assert code == 1
    assert "nothing-pending" in err
    code, _, err = gslb("resume", "shop", "aws")
    assert code == 1


def test_undrain_over_a_time(gslb, publisher):
    gslb("drain", "dc")
    assert gslb("undrain", "dc", "--over", "15m")[0] == 0
    slow = publisher.intent.overrides.slow_starts[0]
    assert (slow.site, slow.by.expires_s - slow.by.at_s) == ("dc", 900)


def test_a_drain_that_would_leave_dead_sites_alone_is_refused(gslb, publisher):
    code, _, err = gslb("drain", "aws", "--app", "shop")
    assert code == 1
    assert "[last-site] aws is the last site that is up for shop" in err
    assert gslb("drain", "aws", "--app", "shop", "--allow", "last-site")[0] == 0
    assert [item.site for item in publisher.intent.overrides.drains] == ["aws"]
