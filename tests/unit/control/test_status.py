from __future__ import annotations

import json

from gslb.control import changes
from gslb.control.bodies import status_messages
from gslb.control.protocol import BrokenGlass, Deed, EdgeState, EnvoyState
from gslb.control.status import status
from gslb.snapshot import compile_snapshot
from tests.unit.control.world import NOW_S, a_drain, applied, by, dns_state, edge_state, intent, pay, verdict

DC, DC6, AWS = "192.0.2.10", "2001:db8:1::10", "198.51.100.20"


def seen(made, *states, ages=None):
    """The status of what `states` tell about `made`; states are functions of the snapshot."""
    snapshot = compile_snapshot(made, NOW_S)
    told = {state.name: state for state in (state(snapshot) for state in states)}
    got = status((made, snapshot), told, dict.fromkeys(told, 0.5) | (ages or {}), NOW_S)
    status_messages.Status.model_validate(got)
    assert json.loads(json.dumps(got, allow_nan=False)) == got
    return got


def dns(*verdicts, **changed):
    return lambda snapshot: dns_state(snapshot, *verdicts, **changed)


def edge(site, *routes, **changed):
    return lambda snapshot: edge_state(snapshot, site, *routes, **changed)


def test_before_the_first_policy_there_are_only_roles():
    got = status(None, {"dns": None}, {}, NOW_S)
    status_messages.Status.model_validate(got)
    assert (got["environment"], got["snapshot"], got["sites"]) == (None, None, {})
    assert got["roles"]["dns"]["state"] == "unreachable"


def test_what_is_in_force_is_named():
    got = seen(changes.drain(intent(), a_drain("lab")))
    assert got["environment"] == "test"
    assert (got["snapshot"]["revision"], got["snapshot"]["overrides"]) == (1, 1)
    assert len(got["snapshot"]["digest"]) == 16


def test_a_role_is_ready_starting_or_unreachable():
    old = {"applied": None, "ready": False}
    got = seen(intent(), dns(), edge("dc", **old), edge("aws"), ages={"edge-aws": 3.0})["roles"]
    assert {name: role["state"] for name, role in got.items()} == {
        "dns": "ready", "edge-dc": "starting", "edge-aws": "unreachable",
    }  # fmt: skip
    assert {name: role["in_sync"] for name, role in got.items()} == {
        "dns": True, "edge-dc": False, "edge-aws": False,
    }  # fmt: skip
    assert (got["dns"]["pid"], got["dns"]["age_s"], got["dns"]["revision"]) == (11, 0.5, 1)
    assert seen(intent(), dns(), ages={"dns": None})["roles"]["dns"]["state"] == "unreachable"


def test_what_a_node_does_by_itself_is_told_and_is_not_in_sync():
    made = intent()
    over = applied(compile_snapshot(made, NOW_S))
    deed = Deed(did="drain dc", by=by(reason="fire", expires_s=NOW_S + 60))
    glass = BrokenGlass(over=over, drains=(a_drain("dc"),), deeds=(deed, Deed(did="undrain aws", by=by(author=""))))
    before = over.model_copy(update={"overrides": 0, "digest": "0" * 16})
    back = {"applied": before, "stepped_back_from": over.model_copy(update={"revision": 7})}
    got = seen(made, dns(broken_glass=glass), edge("dc", **back), edge("aws", left_out=("shop",)))["roles"]
    assert {name: role["in_sync"] for name, role in got.items()} == {"dns": False, "edge-dc": False, "edge-aws": True}
    assert got["dns"]["broken_glass"] == [
        "drain dc by ann at 2023-11-14T22:13:20Z until 2023-11-14T22:14:20Z: fire",
        "undrain aws by somebody at 2023-11-14T22:13:20Z",
    ]
    assert (got["edge-dc"]["stepped_back_from"], got["edge-dc"]["broken_glass"]) == ("7.0", [])
    assert got["edge-aws"]["left_out"] == ["shop"]
    assert {role["state"] for role in got.values()} == {"ready"}


def test_what_was_drained_at_a_node_alone_stands_beside_the_site():
    made = changes.drain(intent(), a_drain("lab"))
    over = applied(compile_snapshot(made, NOW_S))
    here = BrokenGlass(over=over, drains=(a_drain("dc"),), deeds=(Deed(did="drain dc", by=by()),))
    sites = seen(made, dns(broken_glass=here), edge("dc", broken_glass=here), edge("aws"))["sites"]
    assert sites["dc"]["apps"]["shop"]["at_nodes"] == {"dns": "drained by ann", "edge-dc": "drained by ann"}
    assert sites["dc"]["apps"]["shop"]["reason"].startswith("at dns, edge-dc: drained by ann; ")
    assert sites["aws"]["apps"]["shop"]["at_nodes"] == {}
    assert (sites["dc"]["drained"], sites["lab"]["drained"]) == (False, True), "as control has it"


def test_what_was_put_back_at_a_node_alone_stands_beside_the_site():
    made = changes.drain(intent(), a_drain("dc"))
    over = applied(compile_snapshot(made, NOW_S))
    here = BrokenGlass(over=over, drains=(), deeds=(Deed(did="undrain dc", by=by()),))
    shop = seen(made, dns(broken_glass=here), edge("dc"))["sites"]["dc"]["apps"]["shop"]
    assert (shop["drained"], shop["at_nodes"]) == (True, {"dns": "in service"})
    assert shop["reason"].startswith("drained by ann; at dns: in service; ")


def test_an_app_is_down_at_a_site_only_where_every_address_is():
    reports = [verdict("shop", "dc", DC, "down", "connection refused", NOW_S + 5), verdict("shop", "dc", DC6)]
    half = seen(intent(), dns(*reports))["sites"]["dc"]["apps"]["shop"]
    assert (half["verdict"], half["reason"]) == ("up", f"{DC} is down: connection refused")
    reports[1] = verdict("shop", "dc", DC6, "down", "timeout", NOW_S + 9)
    whole = seen(intent(), dns(*reports))["sites"]["dc"]["apps"]["shop"]
    assert whole["verdict"] == "down"
    assert whole["reason"] == f"{DC} is down: connection refused; {DC6} is down: timeout"
    assert whole["since"] == "2023-11-14T22:13:29Z", "when the last address went"
    reports[1] = verdict("shop", "dc", DC6, "unknown", "not probed yet")
    assert seen(intent(), dns(*reports))["sites"]["dc"]["apps"]["shop"]["verdict"] == "unknown"


def test_nameservers_that_say_the_same_say_it_once():
    dead = verdict("shop", "aws", AWS, "down", "connection refused")
    got = seen(intent(), dns(dead), dns(dead, name="m2/dns"))
    assert got["sites"]["aws"]["apps"]["shop"]["reason"] == "connection refused"
    got = seen(intent(), dns(dead), dns(verdict("shop", "aws", AWS), name="m2/dns"))
    assert got["sites"]["aws"]["apps"]["shop"]["reason"] == f"{AWS} is down: connection refused"


def test_a_site_is_as_bad_as_its_worst_app():
    got = seen(intent(), dns(verdict("shop", "dc", DC), verdict("blog", "dc", DC, "down", "503 from /")))["sites"]["dc"]
    assert (got["verdict"], got["reason"]) == ("down", "blog: 503 from /")
    assert got["since"] == got["apps"]["blog"]["since"] == "2023-11-14T22:13:20Z"
    good = seen(intent(), dns(verdict("shop", "dc", DC), verdict("blog", "dc", DC)))["sites"]["dc"]
    assert (good["verdict"], good["reason"]) == ("up", "every app can be served")


def test_a_site_is_judged_only_by_apps_that_use_it():
    got = seen(intent(), dns(verdict("shop", "lab", "203.0.113.30", "down", "refused")))["sites"]
    assert got["lab"]["apps"] == {}
    assert (got["lab"]["verdict"], got["lab"]["reason"]) == ("unknown", "no app uses this site")
    assert list(got["dc"]["apps"]) == ["shop", "blog"]


def test_verdicts_of_a_silent_role_are_not_believed():
    got = seen(intent(), dns(verdict("shop", "dc", DC)), ages={"dns": 60.0})["sites"]["dc"]["apps"]["shop"]
    assert (got["verdict"], got["reason"], got["since"]) == ("unknown", "nobody has reported yet", None)


def test_a_drain_shows_beside_the_verdict_with_who_why_and_until():
    made = changes.drain(intent(), a_drain("dc", reason="power work", expires_s=NOW_S + 60))
    made = changes.drain(made, a_drain("aws", "shop", entry_only=True, author=""), ["last-site"])
    got = seen(made, dns(verdict("shop", "dc", DC), verdict("blog", "dc", DC)))["sites"]
    assert (got["dc"]["verdict"], got["dc"]["drained"]) == ("up", True)
    assert got["dc"]["reason"] == "drained by ann until 2023-11-14T22:14:20Z: power work; every app can be served"
    assert (got["aws"]["drained"], got["aws"]["apps"]["shop"]["drained"]) == (False, True)
    assert got["aws"]["apps"]["shop"]["reason"] == "entry drained; nobody has reported yet"
    assert got["aws"]["apps"]["blog"]["drained"] is False


def test_an_expired_drain_does_not_show():
    made = changes.drain(intent(), a_drain("dc", at_s=NOW_S - 20, expires_s=NOW_S - 10))
    assert seen(made)["sites"]["dc"]["drained"] is False


def test_splits_add_up_what_all_edges_counted():
    made = changes.shift(intent(), "shop", "pay", {"checkout": 33.33}, by(reason="try"))
    routes = pay({"monolith": 1, "checkout": 0}), pay({"monolith": 1, "checkout": 1})
    got = seen(made, edge("dc", routes[0]), edge("aws", routes[1]))["splits"]
    assert got["shop/pay"] == {
        "intended": {"checkout": 33.33, "monolith": 66.67},
        "observed": {"checkout": 33.33, "monolith": 66.67},
        "requests": 3,
        "source": "shift",
        "detail": "by ann try",
    }
    assert (got["blog/all"]["observed"], got["blog/all"]["requests"], got["blog/all"]["source"]) == ({}, 0, "policy")
    quiet = seen(made, edge("dc", pay({"monolith": 0})))["splits"]["shop/pay"]
    assert (quiet["observed"], quiet["requests"]) == ({}, 0)


def test_mirrors_stand_only_where_the_policy_mirrors():
    edges = edge("dc", pay({}, 7, body=2, method=1)), edge("aws", pay({}, 3, body=1))
    skipped = {"body": 3, "method": 1}
    expected = {"intended": {"checkout": 10}, "stopped": None, "at_nodes": {}, "sent": 10}
    expected |= {"skipped": skipped, "compared": None}
    assert seen(intent(), *edges)["mirrors"] == {"shop/pay": expected}


def test_an_edge_shows_its_envoy():
    died = EdgeState(envoy=EnvoyState(state="backing_off", restarts=3, last_end="signal 9"))
    got = seen(intent(), edge("dc"), edge("aws", edge=died))["edges"]
    assert (got["dc"]["state"], got["dc"]["pid"], got["dc"]["since"]) == ("live", 99, "2023-11-14T22:13:20Z")
    assert (got["aws"]["state"], got["aws"]["last_end"], got["aws"]["since"]) == ("backing_off", "signal 9", None)
    assert got["lab"]["state"] == "unreachable"
