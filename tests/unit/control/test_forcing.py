"""Forced states, approvals and slow returns, as changes and as what is shown of them."""

import pytest

from gslb.control import changes, forcing
from gslb.control.alarms import alarms
from gslb.control.protocol import CertificateSeen
from gslb.errors import PolicyError, RefusedError
from gslb.snapshot import compile_snapshot, next_expiry_s
from gslb.snapshot.intent import Approval, Forced
from tests.unit.control.test_status import AWS, DC, dns, seen
from tests.unit.control.world import NOW_S, a_drain, by, dns_state, edge_state, intent, policy, verdict

LAB = "203.0.113.30"


def a_force(site="dc", state="up", app=None, **given):
    return Forced(site=site, state=state, app=app, by=by(**{"reason": "the check is wrong", **given}))


def rules(caught):
    return [problem.rule for problem in caught.value.problems]


# changes --------------------------------------------------------------------------------------------------------------


def test_a_forced_state_takes_the_place_of_the_one_before():
    made = forcing.force(forcing.force(intent(), a_force()), a_force(state="down"))
    assert [(item.site, item.state) for item in made.overrides.forced] == [("dc", "down")]
    assert made.overrides.version == 2
    assert forcing.force(made, a_force(state="down")) is made
    assert compile_snapshot(made, NOW_S).apps["shop"].forced_state("dc").detail == "by ann: the check is wrong"


@pytest.mark.parametrize(
    ("wanted", "rule"),
    [
        (a_force("moon"), "unknown-site"),
        (a_force(app="moon"), "unknown-app"),
        (a_force(reason=" "), "reason"),
        (a_force(expires_s=NOW_S), "expiry"),
    ],
)
def test_what_cannot_be_forced(wanted, rule):
    with pytest.raises(PolicyError) as caught:
        forcing.force(intent(), wanted)
    assert rules(caught) == [rule]


def test_unforce_takes_back_just_that():
    made = forcing.force(forcing.force(intent(), a_force()), a_force("aws", app="shop"))
    assert [item.site for item in forcing.unforce(made, "dc", None).overrides.forced] == ["aws"]
    assert forcing.unforce(intent(), "dc", None) == intent()
    with pytest.raises(PolicyError) as caught:
        forcing.unforce(made, "aws", None)
    assert rules(caught) == ["forced-otherwise"]
    assert caught.value.problems[0].remedy == "gslb unforce aws --app shop"


def test_a_forced_state_ends_with_its_time():
    made = forcing.force(intent(), a_force(expires_s=NOW_S + 60))
    assert next_expiry_s(made, NOW_S) == NOW_S + 60
    assert compile_snapshot(made, NOW_S + 59).apps["shop"].forced
    assert not compile_snapshot(made, NOW_S + 60).apps["shop"].forced
    assert changes.prune_expired(made, NOW_S + 60).overrides.forced == ()
    assert changes.prune_expired(made, NOW_S + 59) is made


def test_a_policy_without_what_is_forced_is_refused_until_it_is_taken_back():
    made = forcing.force(intent(), a_force("lab"))
    sites = {name: site for name, site in policy().model_dump(mode="json")["sites"].items() if name != "lab"}
    with pytest.raises(PolicyError) as caught:
        compile_snapshot(made.model_copy(update={"policy": policy(sites=sites)}), NOW_S)
    assert caught.value.problems[0].remedy == "undo it first: gslb unforce lab"


def test_undrain_over_a_time_makes_a_share_that_grows():
    drained = changes.drain(intent(), a_drain("dc"))
    back = changes.undrain(drained, "dc", None)
    made = forcing.slow_start(drained, back, forcing.over("dc", None, by(), 900))
    slow = compile_snapshot(made, NOW_S).apps["shop"].slow_starts
    assert [(item.site, item.begins_wall_s, item.over_s) for item in slow] == [("dc", NOW_S, 900)]
    assert not compile_snapshot(made, NOW_S + 900).apps["shop"].slow_starts
    assert changes.prune_expired(made, NOW_S + 900).overrides.slow_starts == ()
    assert forcing.slow_start(drained, drained, forcing.over("dc", None, by(), 900)) is drained


HELD = verdict("shop", "dc", DC, "held", "dead; only a person", seen="down", waits=True)
OUT = verdict("shop", "dc", DC, "down", "well again", seen="up", waits=True)


def an_approval(what="failover", site="dc"):
    return Approval(app="shop", site=site, what=what, by=by())


def test_an_approval_needs_something_that_waits():
    assert forcing.approve(intent(), an_approval(), [HELD]).overrides.approvals == (an_approval(),)
    assert forcing.approve(intent(), an_approval("resume"), [OUT]).overrides.approvals == (an_approval("resume"),)
    for what, verdicts in (("failover", [verdict("shop", "dc", DC)]), ("failover", []), ("resume", [HELD])):
        with pytest.raises(RefusedError) as caught:
            forcing.approve(intent(), an_approval(what), verdicts)
        assert caught.value.rule == "nothing-pending"


def test_the_last_word_about_a_site_counts():
    made = forcing.approve(intent(), an_approval(), [HELD])
    made = forcing.approve(made, an_approval("resume"), [OUT])
    assert made.overrides.approvals == (an_approval("resume"),)


def test_what_waits_for_a_person():
    states = [dns_state(compile_snapshot(intent(), NOW_S), HELD, verdict("shop", "aws", AWS, "held", seen="disputed"))]
    assert [item.command for item in forcing.pending(states)] == ["gslb failover approve shop dc"]
    states = [dns_state(compile_snapshot(intent(), NOW_S), OUT)]
    assert [item.command for item in forcing.pending(states)] == ["gslb resume shop dc"]


# what is shown --------------------------------------------------------------------------------------------------------


def test_the_status_shows_forced_beside_what_is_seen_and_from_where():
    made = forcing.force(intent(), a_force("dc", "up"))
    dead = verdict("shop", "dc", DC, "down", "edge: connect refused", views={"dc": "down", "aws": "down"})
    app = seen(made, dns(dead, places={"dc": True, "aws": True}))["sites"]["dc"]["apps"]["shop"]
    assert (app["verdict"], app["seen"]) == ("down", "down")
    assert app["forced"] == {"state": "up", "detail": "by ann: the check is wrong"}
    assert app["views"] == {DC: {"dc": "down", "aws": "down"}}
    assert app["reason"] == "forced up by ann: the check is wrong; edge: connect refused"


def test_the_status_shows_who_is_held_and_who_comes_back_slowly():
    got = seen(intent(), dns(HELD, verdict("shop", "aws", AWS), ramps={"shop": {"aws": 0.25}}))
    dc, aws = (got["sites"][site]["apps"]["shop"] for site in ("dc", "aws"))
    assert (dc["verdict"], dc["seen"], dc["share_percent"]) == ("held", "down", 100)
    assert (aws["verdict"], aws["share_percent"]) == ("up", 25)


# alarms ---------------------------------------------------------------------------------------------------------------


def alarmed(*verdicts, made=None, **changed):
    """Rule and subject of each alarm."""
    snapshot = compile_snapshot(made or intent(), NOW_S)
    edges = [edge_state(snapshot, site) for site in snapshot.sites]
    told = {state.name: state for state in (dns_state(snapshot, *verdicts, **changed), *edges)}
    return [(it.rule, it.severity, it.subject) for it in alarms(snapshot, told, dict.fromkeys(told, 0.1), NOW_S)]


ALIVE = [verdict("shop", site, address) for site, address in (("dc", DC), ("aws", AWS))]


def test_where_all_is_well_nothing_is_told():
    assert alarmed(*ALIVE) == []


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([HELD, ALIVE[1]], ("approval", "critical", "shop at dc")),
        ([OUT, ALIVE[1]], ("resume", "warning", "shop at dc")),
        ([verdict("shop", "dc", DC, "held", seen="disputed"), ALIVE[1]], ("disputed", "warning", "shop at dc")),
        ([verdict("shop", "dc", DC, "held", seen="down"), ALIVE[1]], ("guard", "critical", "shop at dc")),
    ],
)
def test_what_is_held_or_waits_is_an_alarm(verdicts, expected):
    assert alarmed(*verdicts) == [expected]


def test_all_down_is_an_alarm_of_the_app():
    down = [verdict("shop", site, address, "down") for site, address in (("dc", DC), ("aws", AWS))]
    assert alarmed(*down) == [("all-down", "critical", "shop")]
    one, both = (forcing.force(intent(), a_force("aws", "up", app=app)) for app in ("shop", None))
    assert alarmed(*down, made=one) == [("forced", "warning", "shop at aws")]
    assert alarmed(*down, made=both) == [("forced", "warning", "aws")]


def test_a_standby_in_use_is_an_alarm():
    of = policy().model_dump(mode="json")
    of["apps"]["shop"]["steer"] = ["healthy", {"weighted": {"dc": 100, "aws": 0}}]
    made = intent().model_copy(update={"policy": type(policy()).model_validate(of)})
    assert alarmed(verdict("shop", "dc", DC, "down"), ALIVE[1], made=made) == [("standby", "critical", "shop")]
    assert alarmed(*ALIVE, made=made) == []


def test_a_site_below_its_threshold_is_an_alarm():
    of = policy().model_dump(mode="json")
    of["apps"]["shop"]["steer"] = [{"healthy": {"threshold": 60}}, {"weighted": {"dc": 1, "aws": 1}}]
    made = intent().model_copy(update={"policy": type(policy()).model_validate(of)})
    half = [ALIVE[0], verdict("shop", "dc", "2001:db8:1::10", "down"), ALIVE[1]]
    assert alarmed(*half, made=made) == [("threshold", "critical", "shop at dc")]


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ({"dc": True, "aws": True, "office": True}, []),
        ({"dc": True, "aws": True, "office": False}, [("place-silent", "warning", "dns")]),
        ({"dc": True, "aws": False, "office": False}, [("no-quorum", "critical", "dns")]),
        ({"dc": True, "aws": False}, [("place-silent", "warning", "dns")]),
    ],
)
def test_places_that_are_not_heard_are_an_alarm(places, expected):
    assert alarmed(*ALIVE, places=places) == expected


def test_a_role_that_is_silent_and_signatures_that_grow_old_are_alarms():
    snapshot = compile_snapshot(intent(), NOW_S)
    told = {"dns": dns_state(snapshot, *ALIVE), "edge-dc": None}
    found = alarms(snapshot, told, {"dns": 0.1}, NOW_S)
    assert [(it.rule, it.subject) for it in found] == [("role-unreachable", "edge-dc")]
    expiring = alarmed(*ALIVE, signature_expires_wall_s={"gslb.example.com": NOW_S + 86400})
    assert expiring == [("signatures", "critical", "gslb.example.com at dns")]
    assert alarmed(*ALIVE, identity_ends_wall_s=NOW_S + 1) == []
    assert alarmed(*ALIVE, identity_ends_wall_s=NOW_S - 1) == [("identity-ended", "critical", "dns")]


@pytest.mark.parametrize(
    ("name", "left_days", "expected"),
    [
        ("root", 366, []),
        ("root", 364, [("root-ends", "warning")]),
        ("root", 6, [("root-ends", "critical")]),
        ("root", 0, [("root-ended", "critical")]),
        ("issuer", 31, []),
        ("issuer", 29, [("issuer-ends", "warning")]),
        ("issuer", 6, [("issuer-ends", "critical")]),
        ("issuer", -1, [("issuer-ended", "critical")]),
    ],
)
def test_authorities_near_their_end_are_alarms(name, left_days, expected):
    found = alarms(None, {}, {}, NOW_S, {name: NOW_S + left_days * 86400})
    assert [(it.rule, it.severity) for it in found] == expected
    assert all(it.subject == name and it.remedy for it in found)


NAMELESS = "the certificate does not name "


@pytest.mark.parametrize(
    ("life_days", "left_days", "problem", "unnamed", "expected"),
    [
        (90, 15, None, [], []),
        (90, 13, None, [], [("certificate-ends", "warning")]),
        (90, 6, None, [], [("certificate-ends", "critical")]),
        (365, 15, None, [], []),
        (6, 2, None, [], []),
        (6, 1, None, [], [("certificate-ends", "critical")]),
        (None, 15, None, [], []),
        (None, 13, None, [], [("certificate-ends", "warning")]),
        (90, 60, f"{NAMELESS}shop--dc.gslb.example.com", ["shop--dc.gslb.example.com"], []),
        (90, 60, f"{NAMELESS}shop.gslb.example.com", ["shop.gslb.example.com"], [("certificate", "critical")]),
        (90, -1, "the certificate is over", [], [("certificate", "critical")]),
        (None, None, "shop.crt cannot be read: no such file or directory", [], [("certificate", "critical")]),
    ],
)
def test_certificates_for_clients_that_nobody_renewed(life_days, left_days, problem, unnamed, expected):
    ends_s = None if left_days is None else NOW_S + left_days * 86400
    begins_s = None if life_days is None or ends_s is None else ends_s - life_days * 86400
    seen = CertificateSeen(
        name="shop.crt+shop.key", begins_wall_s=begins_s, ends_wall_s=ends_s, problem=problem, unnamed=unnamed
    )
    snapshot = compile_snapshot(intent(), NOW_S)
    state = edge_state(snapshot, "dc")
    state = state.model_copy(update={"edge": state.edge.model_copy(update={"certificates": (seen,)})})
    found = alarms(snapshot, {"edge-dc": state}, {"edge-dc": 0.1}, NOW_S)
    assert [(it.rule, it.severity) for it in found] == expected
    assert all(it.subject == "shop.crt+shop.key at edge-dc" and it.remedy for it in found)
