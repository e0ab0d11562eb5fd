"""Stops of mirrors, as changes and as what they mean."""

import pytest

from gslb.control import changes, mirrors
from gslb.control.protocol import BrokenGlass
from gslb.errors import PolicyError
from gslb.snapshot import compile_snapshot, next_expiry_s
from gslb.snapshot.intent import MirrorStop
from tests.unit.control.test_status import seen
from tests.unit.control.world import NOW_S, applied, by, edge_state, intent, policy


def a_stop(app=None, route=None, **given):
    return MirrorStop(app=app, route=route, by=by(**{"reason": "the target is full", **given}))


def mirror_of(made, at_s=NOW_S):
    return compile_snapshot(made, at_s).apps["shop"].routes[0].mirrors[0]


def rules(caught):
    return [problem.rule for problem in caught.value.problems]


@pytest.mark.parametrize("scope", [(), ("shop",), ("shop", "pay")])
def test_a_stop_lets_nothing_be_copied_and_says_who(scope):
    before = intent()
    assert (mirror_of(before).effective_bp, mirror_of(before).stopped) == (1000, None)
    made = mirrors.stop(before, a_stop(*scope))
    mirror = mirror_of(made)
    assert (mirror.effective_bp, mirror.share_bp) == (0, 1000)
    assert (mirror.stopped.kind, mirror.stopped.detail) == ("stop", "by ann the target is full")
    assert mirrors.stop(made, a_stop(*scope)) is made
    back = mirrors.start(made, *scope, *(None,) * (2 - len(scope)))
    assert (mirror_of(back).effective_bp, back.overrides.version) == (1000, 2)


def test_a_stop_of_another_app_is_none_of_ours():
    assert mirror_of(mirrors.stop(intent(), a_stop("blog"))).stopped is None


def test_the_narrowest_stop_is_told():
    made = mirrors.stop(mirrors.stop(intent(), a_stop("shop", "pay", reason="here")), a_stop(reason="everywhere"))
    assert mirror_of(made).stopped.detail == "by ann here"
    assert mirror_of(mirrors.start(made, "shop", "pay")).stopped.detail == "by ann everywhere"


def test_a_stop_takes_the_place_of_the_one_before():
    made = mirrors.stop(mirrors.stop(intent(), a_stop()), a_stop(reason="worse"))
    assert [item.by.reason for item in made.overrides.mirror_stops] == ["worse"]


@pytest.mark.parametrize(
    ("wanted", "rule"),
    [
        (a_stop("moon"), "unknown-app"),
        (a_stop("shop", "moon"), "unknown-route"),
        (a_stop("shop", "find"), "no-mirror"),
        (a_stop(None, "pay"), "scope"),
        (a_stop(expires_s=NOW_S), "expiry"),
    ],
)
def test_what_cannot_be_stopped(wanted, rule):
    with pytest.raises(PolicyError) as caught:
        mirrors.stop(intent(), wanted)
    assert rules(caught) == [rule]


def test_start_takes_back_just_that():
    made = mirrors.stop(intent(), a_stop())
    assert mirrors.start(intent(), None, None) == intent()
    assert mirrors.start(intent(), "shop", "pay") == intent()
    with pytest.raises(PolicyError) as caught:
        mirrors.start(made, "shop", "pay")
    assert rules(caught) == ["stopped-otherwise"]
    assert caught.value.problems[0].remedy == "gslb mirror start"
    with pytest.raises(PolicyError) as caught:
        mirrors.start(mirrors.stop(intent(), a_stop("shop", "pay")), None, None)
    assert caught.value.problems[0].remedy == "gslb mirror start shop/pay"
    with pytest.raises(PolicyError) as caught:
        mirrors.start(intent(), "shop", "moon")
    assert rules(caught) == ["unknown-route"]


def test_a_stop_ends_with_its_time():
    made = mirrors.stop(intent(), a_stop(expires_s=NOW_S + 60))
    assert next_expiry_s(made, NOW_S) == NOW_S + 60
    assert mirror_of(made, NOW_S + 60).stopped is None
    assert changes.prune_expired(made, NOW_S + 60).overrides.mirror_stops == ()


def test_a_policy_without_what_is_stopped_is_refused():
    made = mirrors.stop(intent(), a_stop("shop", "pay"))
    shop = policy().apps["shop"]
    gone = policy().model_copy(update={"apps": {"shop": shop.model_copy(update={"routes": shop.routes[1:]})}})
    with pytest.raises(PolicyError) as caught:
        compile_snapshot(changes.set_policy(made, gone), NOW_S)
    assert rules(caught) == ["override-dangling"]
    assert caught.value.problems[0].remedy == "undo it first: gslb mirror start shop/pay"


def test_the_status_shows_what_was_said_at_nodes_beside_it():
    def edge(site, *stops, drains=()):
        def state(snapshot):
            glass = BrokenGlass(over=applied(snapshot), drains=drains, mirror_stops=stops, deeds=())
            return edge_state(snapshot, site, broken_glass=glass)

        return state

    here = a_stop("shop", expires_s=NOW_S + 60)
    over, other = a_stop("shop", expires_s=NOW_S), a_stop("blog")
    told = seen(intent(), edge("dc", here), edge("aws", over, other))["mirrors"]["shop/pay"]
    assert (told["stopped"], told["at_nodes"]) == (
        None, {"edge-dc": "stopped by ann until 2023-11-14T22:14:20Z: the target is full"},
    )  # fmt: skip
    made = mirrors.stop(intent(), a_stop())
    told = seen(made, edge("dc"), edge("aws", a_stop()))["mirrors"]["shop/pay"]
    assert (told["stopped"], told["at_nodes"]) == ("by ann the target is full", {"edge-dc": "copies"})


def test_the_status_shows_what_is_stopped():
    made = mirrors.stop(intent(), a_stop("shop"))
    told = seen(made)["mirrors"]["shop/pay"]
    assert (told["intended"], told["stopped"]) == ({"checkout": 10}, "by ann the target is full")
