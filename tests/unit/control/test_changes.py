from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gslb.control import changes, forcing
from gslb.errors import PolicyError, RefusedError
from gslb.snapshot import compile_snapshot
from gslb.snapshot.intent import Forced
from gslb.snapshot.types import AppName
from tests.unit.control.world import NOW_S, POLICY, a_drain, by, intent, policy


def split_of(made, app, route):
    compiled = compile_snapshot(made, NOW_S).apps[AppName(app)].routes
    return {share.backend: share.share_bp for r in compiled if r.name == route for share in r.split}


def rules(caught):
    return [problem.rule for problem in caught.value.problems]


def test_before_the_first_policy_nothing_can_be_overridden():
    with pytest.raises(RefusedError, match="no policy is in force"):
        changes.require(None)
    assert changes.require(intent()) == intent()


def test_a_policy_rises_only_where_it_says_something_else():
    first = changes.set_policy(None, policy())
    assert first.revision == 1
    assert changes.set_policy(first, policy()) is first
    drained = changes.drain(first, a_drain("dc"))
    second = changes.set_policy(drained, policy(environment="other"))
    assert (second.revision, second.overrides) == (2, drained.overrides)


def test_apps_that_a_policy_leaves_as_they_are_stay_the_same_objects():
    first = intent()
    second = changes.set_policy(first, policy(environment="other"))
    assert all(second.policy.apps[name] is app for name, app in first.policy.apps.items())
    edited = {**POLICY["apps"], "shop": {**POLICY["apps"]["shop"], "hosts": ["shop", "new"]}}
    third = changes.set_policy(second, policy(environment="other", apps=edited))
    kept = [name for name, app in third.policy.apps.items() if app is first.policy.apps.get(name)]
    assert kept == [name for name in edited if name != "shop"]
    assert third.policy == policy(environment="other", apps=edited)


def test_the_order_of_sites_is_content():
    sites = dict(reversed(POLICY["sites"].items()))
    assert changes.set_policy(intent(), policy(sites=sites)).revision == 2


def test_a_shift_sets_the_named_backend_and_leaves_the_others_their_proportions():
    made = changes.shift(intent(), "shop", "find", {"search": 60}, by())
    assert split_of(made, "shop", "find") == {"monolith": 2500, "checkout": 1500, "search": 6000}
    assert made.overrides.version == 1


def test_a_shift_replaces_the_shift_before_it_and_starts_from_it():
    first = changes.shift(intent(), "shop", "find", {"monolith": 0}, by())
    second = changes.shift(first, "shop", "find", {"monolith": 50}, by())
    assert split_of(second, "shop", "find") == {"monolith": 5000, "checkout": 3000, "search": 2000}
    assert len(second.overrides.shifts) == 1
    assert second.overrides.version == 2


def test_an_expired_shift_is_no_starting_point():
    first = changes.shift(intent(), "shop", "pay", {"checkout": 90}, by(expires_s=NOW_S + 1))
    later = by(at_s=NOW_S + 2)
    made = changes.shift(first, "shop", "pay", {"checkout": 6}, later)
    assert split_of(made, "shop", "pay") == {"monolith": 9400, "checkout": 600}


def test_one_other_backend_takes_the_rest_even_from_nothing():
    gone = changes.shift(intent(), "shop", "pay", {"checkout": 100}, by())
    assert split_of(gone, "shop", "pay") == {"checkout": 10_000, "monolith": 0}
    back = changes.shift(gone, "shop", "pay", {"checkout": 75}, by())
    assert split_of(back, "shop", "pay") == {"checkout": 7500, "monolith": 2500}


def test_several_others_without_a_share_must_be_named():
    gone = changes.shift(intent(), "shop", "find", {"monolith": 100}, by())
    with pytest.raises(PolicyError, match="25 % would go to nobody") as caught:
        changes.shift(gone, "shop", "find", {"monolith": 75}, by())
    assert "checkout, search" in caught.value.problems[0].remedy


def test_a_backend_outside_the_split_can_be_brought_in():
    made = changes.shift(intent(), "shop", "pay", {"search": 10}, by())
    assert split_of(made, "shop", "pay") == {"monolith": 8550, "checkout": 450, "search": 1000}


@pytest.mark.parametrize(
    ("app", "route", "wanted", "rule", "text"),
    [
        ("shp", "pay", {"checkout": 5}, "unknown-app", "did you mean shop?"),
        ("zzz", "pay", {"checkout": 5}, "unknown-app", "known: blog, shop"),
        ("shop", "pays", {"checkout": 5}, "unknown-route", "did you mean pay?"),
        ("shop", "pay", {"chekout": 5}, "unknown-backend", "did you mean checkout?"),
        ("shop", "pay", {"checkout": 101}, "percent", "0 to 100"),
        ("shop", "pay", {"checkout": -1}, "percent", "0 to 100"),
        ("shop", "pay", {"checkout": 0.001}, "percent", "two decimals"),
        ("shop", "pay", {"checkout": float("nan")}, "percent", "0 to 100"),
        ("shop", "pay", {}, "split-empty", "at least one"),
        ("shop", "pay", {"paper": 5}, "no-endpoints", "endpoints in the policy"),
        ("shop", "pay", {"monolith": 50, "checkout": 49}, "split-sum", "add up to 100"),
        ("shop", "pay", {"monolith": 50, "checkout": 51}, "split-sum", "add up to 100"),
    ],
)
def test_a_shift_that_does_not_fit_says_what_would(app, route, wanted, rule, text):
    with pytest.raises(PolicyError) as caught:
        changes.shift(intent(), app, route, wanted, by())
    assert rules(caught) == [rule]
    assert text in caught.value.problems[0].remedy


def test_everything_that_is_wrong_with_a_shift_is_told_at_once():
    with pytest.raises(PolicyError) as caught:
        changes.shift(intent(), "shop", "pay", {"nope": 5, "checkout": 101}, by(expires_s=NOW_S))
    assert sorted(rules(caught)) == ["expiry", "percent", "unknown-backend"]


@settings(deadline=None)
@given(
    start=st.lists(st.integers(0, 10_000), min_size=3, max_size=3).filter(sum),
    named=st.integers(0, 10_000),
)
def test_shifts_add_up_and_keep_proportions(start, named):
    total = sum(start)
    shares = [part * 10_000 // total for part in start]
    shares[0] += 10_000 - sum(shares)
    first = dict(zip(("monolith", "checkout", "search"), (share / 100 for share in shares), strict=True))
    based = changes.shift(intent(), "shop", "find", first, by())
    before = split_of(based, "shop", "find")
    others = before["checkout"] + before["search"]
    if others == 0 and named < 10_000:
        with pytest.raises(PolicyError):
            changes.shift(based, "shop", "find", {"monolith": named / 100}, by())
        return
    after = split_of(changes.shift(based, "shop", "find", {"monolith": named / 100}, by()), "shop", "find")
    assert sum(after.values()) == 10_000
    assert after["monolith"] == named
    for name in ("checkout", "search"):
        exact = (10_000 - named) * before[name] / others if others else 0
        assert abs(after[name] - exact) < 1
        assert before[name] > 0 or after[name] == 0


def test_undoing_a_shift_goes_back_to_the_policy():
    other = changes.shift(intent(), "shop", "find", {"search": 60}, by())
    made = changes.shift(other, "shop", "pay", {"checkout": 50}, by())
    undone = changes.undo_shift(made, "shop", "pay")
    assert split_of(undone, "shop", "pay") == {"monolith": 9500, "checkout": 500}
    assert undone.overrides.shifts == other.overrides.shifts
    assert undone.overrides.version == 3
    assert changes.undo_shift(undone, "shop", "pay") is undone


def test_undoing_what_is_not_there_names_what_is():
    with pytest.raises(PolicyError, match="unknown-route"):
        changes.undo_shift(intent(), "shop", "pax")


def test_a_shift_that_the_policy_no_longer_has_can_be_undone():
    made = changes.shift(intent(), "blog", "all", {"pages": 100}, by())
    orphaned = changes.set_policy(made, policy(apps={"shop": POLICY["apps"]["shop"]}))
    assert changes.undo_shift(orphaned, "blog", "all").overrides.shifts == ()


def test_a_drain_takes_the_site_out_once():
    made = changes.drain(intent(), a_drain("dc"))
    snapshot = compile_snapshot(made, NOW_S)
    assert snapshot.apps[AppName("shop")].no_local == ("dc",)
    assert changes.drain(made, a_drain("dc", author="bob", at_s=NOW_S + 5)) is made
    entry = changes.drain(made, a_drain("dc", entry_only=True))
    assert [item.entry_only for item in entry.overrides.drains] == [True]
    assert entry.overrides.version == 2


@pytest.mark.parametrize(("app", "left"), [(None, "shop, blog"), ("shop", "shop"), ("blog", "blog")])
def test_the_last_site_of_an_app_stays(app, left):
    first = changes.drain(intent(), a_drain("dc"))
    with pytest.raises(RefusedError) as caught:
        changes.drain(first, a_drain("aws", app))
    assert caught.value.rule == "last-site"
    assert caught.value.message == f"aws is the last site in service for {left}"
    insisted = changes.drain(first, a_drain("aws", app), ["last-site"])
    assert len(insisted.overrides.drains) == 2
    assert changes.drain(insisted, a_drain("lab")).overrides.version == 3, "nobody is worse off than before"


def test_the_last_site_that_is_up_stays():
    dead = {("shop", "dc"), ("shop", "lab")}
    for wanted in (a_drain("aws"), a_drain("aws", "shop")):
        with pytest.raises(RefusedError) as caught:
            changes.drain(intent(), wanted, dead=dead)
        assert caught.value.rule == "last-site"
        assert caught.value.message == "aws is the last site that is up for shop"
    assert changes.drain(intent(), a_drain("aws"), ["last-site"], dead).overrides.version == 1
    assert changes.drain(intent(), a_drain("dc"), dead=dead).overrides.version == 1, "a dead site may go"
    all_dead = {*dead, ("shop", "aws")}
    assert changes.drain(intent(), a_drain("aws"), dead=all_dead).overrides.version == 1, "nobody is worse off"


def test_what_is_forced_counts_before_what_is_seen_when_the_last_site_would_go():
    down = forcing.force(intent(), Forced(site="dc", state="down", by=by(reason="fire")))
    with pytest.raises(RefusedError, match="aws is the last site that is up for shop"):
        changes.drain(down, a_drain("aws"))
    up = forcing.force(intent(), Forced(site="dc", state="up", by=by(reason="fire")))
    assert changes.drain(up, a_drain("aws"), dead={("shop", "dc"), ("blog", "dc")}).overrides.drains


def test_a_site_that_serves_nobody_is_nobodys_last():
    first = changes.drain(intent(), a_drain("lab"))
    assert changes.drain(first, a_drain("dc")).overrides.version == 2


@pytest.mark.parametrize(
    ("wanted", "rule"),
    [
        (a_drain("dx"), "unknown-site"),
        (a_drain("dc", "shoq"), "unknown-app"),
        (a_drain("dc", expires_s=NOW_S), "expiry"),
    ],
)
def test_a_drain_that_does_not_fit(wanted, rule):
    with pytest.raises(PolicyError) as caught:
        changes.drain(intent(), wanted)
    assert rules(caught) == [rule]


def test_undrain_takes_back_what_drain_did():
    made = changes.drain(changes.drain(intent(), a_drain("dc")), a_drain("dc", "shop"))
    whole = changes.undrain(made, "dc", None)
    assert [item.app for item in whole.overrides.drains] == ["shop"]
    back = changes.undrain(whole, "dc", "shop")
    assert back.overrides.drains == ()
    assert back.overrides.version == 4
    assert changes.undrain(back, "dc", None) is back
    assert changes.undrain(back, "dc", "shop") is back


def test_undrain_of_another_scope_says_which():
    with pytest.raises(PolicyError, match="gslb undrain dc --app shop"):
        changes.undrain(changes.drain(intent(), a_drain("dc", "shop")), "dc", None)
    with pytest.raises(PolicyError, match=r"gslb undrain dc$"):
        changes.undrain(changes.drain(intent(), a_drain("dc")), "dc", "shop")
    with pytest.raises(PolicyError, match="unknown-site"):
        changes.undrain(intent(), "dcc", None)
    with pytest.raises(PolicyError, match="unknown-app"):
        changes.undrain(intent(), "dc", "shopp")


def test_only_what_is_over_is_pruned():
    made = changes.drain(intent(), a_drain("dc", expires_s=NOW_S + 10))
    made = changes.shift(made, "shop", "pay", {"checkout": 50}, by(expires_s=NOW_S + 20))
    assert changes.prune_expired(made, NOW_S + 9) is made
    pruned = changes.prune_expired(made, NOW_S + 10)
    assert (pruned.overrides.drains, len(pruned.overrides.shifts), pruned.overrides.version) == ((), 1, 3)
    assert changes.prune_expired(pruned, NOW_S + 20).overrides.shifts == ()
