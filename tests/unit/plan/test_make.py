"""What a plan says of each kind of change."""

from __future__ import annotations

import pytest

from gslb.errors import PolicyError
from gslb.model.policy import Policy
from gslb.plan import Plan, Side, blocked_plan, make
from gslb.plan.make import make_plan
from gslb.snapshot import compile_snapshot
from gslb.snapshot.intent import Drain, Intent, Latency, MirrorStop, Overrides, Provenance, Shift
from gslb.snapshot.types import LiveState
from tests.unit.plan.world import BASE, NOW_S, changed, cut, dead, in_countries, planned, put, rules, side

BY = Provenance(author="ann", reason="try", at_s=NOW_S)
OVER = Provenance(author="ann", at_s=NOW_S - 10, expires_s=NOW_S - 1)
WEIGHTS = "apps.shop.steer.1.weighted"


def app_of(plan, name="shop"):
    return next(app for app in plan.apps if app.app == name)


def everybody(plan, name="shop"):
    (group,) = app_of(plan, name).groups
    assert group.clients == "everybody"
    return group


def test_the_same_policy_is_an_empty_plan():
    plan = planned()
    assert plan == Plan(environment="test", before=plan.before, after=plan.after)
    assert plan.is_empty
    assert not plan.is_refused


def test_weights_move_clients_and_only_their_app_is_listed():
    plan = planned(put(WEIGHTS, {"dc": 60, "aws": 40}))
    assert [app.app for app in plan.apps] == ["shop"]
    group = everybody(plan)
    assert (group.before, group.after, group.moved_percent) == ({"dc": 80, "aws": 20}, {"dc": 60, "aws": 40}, 20)
    assert app_of(plan).routes == ()
    assert [(change.path, change.before, change.after) for change in plan.changes] == [
        ("apps.shop.steer.1.weighted.dc", "80", "60"),
        ("apps.shop.steer.1.weighted.aws", "20", "40"),
    ]
    assert plan.refusals == ()


def test_health_as_it_is_now_decides_who_moves():
    """dc is down: everybody is at aws already, whatever the weights say."""
    plan = planned(put(WEIGHTS, {"dc": 10, "aws": 90}), live=dead("shop", "192.0.2.10", "2001:db8:1::10"))
    assert app_of(plan).groups == ()
    assert plan.refusals == ()
    assert not plan.is_empty


def test_an_answer_of_several_sites_gives_each_its_part():
    plan = planned(put("apps.blog.steer.3", {"first": 2}))
    assert everybody(plan, "blog").after == {"dc": 50, "aws": 50}
    assert everybody(plan, "blog").moved_percent == 50


def test_split_mirror_ttl_and_match_of_a_route():
    plan = planned(
        put("apps.shop.routes.0.split", {"monolith": 75, "checkout": 25}),
        put("apps.shop.routes.0.mirror", [{"to": "monolith", "percent": 1}]),
        put("apps.shop.routes.1.match", {"path": "/x"}),
        put("apps.shop.ttl", {"min": "5s", "max": "60s"}),
    )
    app = app_of(plan)
    pay, rest = app.routes
    assert (pay.route, pay.kind, pay.before, pay.after) == (
        "pay", "changed", {"monolith": 95, "checkout": 5}, {"monolith": 75, "checkout": 25},
    )  # fmt: skip
    assert (pay.moved_percent, pay.source) == (20, "policy")
    assert pay.mirrors == ("mirror to monolith begins: 1 %", "mirror to checkout ends")
    assert (rest.route, rest.moved_percent, rest.is_matched_anew, pay.is_matched_anew) == ("rest", 0, True, False)
    assert (app.ttl.before, app.ttl.after) == ("10 s", "5 s to 60 s")
    assert app.groups == ()
    assert planned(put("apps.shop.routes.0.mirror.0.percent", 20)).apps[0].routes[0].mirrors == (
        "mirror to checkout: 10 % -> 20 %",
    )
    wanted = {"to": "checkout", "percent": 10, "by": {"header": "X-User"}, "credentials": True}
    assert planned(put("apps.shop.routes.0.mirror.0", wanted)).apps[0].routes[0].mirrors == (
        "mirror to checkout: 10 % -> 10 % of users by x-user",
        "mirror to checkout: copies keep authorization and cookie",
    )


def test_routes_and_hosts_that_come_and_go():
    plan = planned(
        put("apps.shop.routes.1", {"name": "all", "split": {"monolith": 100}}), put("apps.shop.hosts", ["shop", "buy"])
    )
    app = app_of(plan)
    assert [(route.route, route.kind, route.moved_percent) for route in app.routes] == [
        ("all", "added", 0), ("rest", "removed", 0),
    ]  # fmt: skip
    assert (app.hosts_added, app.hosts_removed) == (("buy.gslb.example.com",), ("store.gslb.example.com",))
    assert [item.what for item in plan.unreachable] == ["store.gslb.example.com"]
    assert rules(plan) == ["host-removed"]


def test_apps_that_come_and_go():
    plan = planned(put("apps.news", {**BASE["apps"]["blog"], "hosts": ["news"]}), cut("apps.blog"))
    news, blog = plan.apps
    assert (news.app, news.kind, news.groups[0].before, news.groups[0].after) == ("news", "added", {}, {"dc": 100})
    assert news.groups[0].moved_percent == 0
    assert (blog.app, blog.kind, blog.groups, blog.routes, blog.exposure) == ("blog", "removed", (), (), None)
    assert rules(plan) == ["app-removed"]


def test_a_host_that_another_app_takes_over_is_not_missed():
    plan = planned(put("apps.shop.hosts", ["shop"]), put("apps.blog.hosts", ["blog", "store"]))
    assert (plan.unreachable, plan.refusals) == ((), ())


def test_the_first_policy_adds_everything_and_runs_into_no_guard_rail():
    plan = planned(before=None)
    assert plan.before is None
    assert {app.kind for app in plan.apps} == {"added"}
    assert {site.kind for site in plan.sites} == {zone.kind for zone in plan.zones} == {"added"}
    assert (plan.refusals, plan.changes, plan.is_empty) == ((), (), False)


def test_sites_and_zones():
    plan = planned(
        put("sites.dc.edges.0.public", ["192.0.2.99", "2001:db8:1::10"]),
        put("sites.new", {"edges": [{"public": ["192.0.2.77", "2001:db8:7::1"]}]}),
        cut("sites.lab"),
        put("zone.dnssec", True),
        put("zones", [{"name": "example.org", "nameservers": {"ns1": ["198.51.100.53"]}, "dnssec": True}]),
    )
    assert [(site.name, site.kind) for site in plan.sites] == [("dc", "changed"), ("new", "added"), ("lab", "removed")]
    assert [(zone.name, zone.kind, zone.note.partition(" ")[0]) for zone in plan.zones] == [
        ("gslb.example.com", "changed", "signed"), ("example.org", "added", "signed"),
    ]  # fmt: skip


def test_another_network_of_a_site_moves_the_clients_in_it_and_no_app_says_so():
    before = changed(
        put("apps.shop.steer", ["healthy", "networks", {"weighted": {"dc": 80, "aws": 20}}]),
        put("sites.aws.networks", ["10.0.0.0/8", "2001:db8:a::/48"]),
    )
    plan = planned(put("apps.shop.steer", before["apps"]["shop"]["steer"]), before=before)
    everybody_else, inside = app_of(plan).groups
    assert (everybody_else.clients, everybody_else.moved_percent) == ("everybody else", 0)
    assert inside.clients == "10.0.0.0/8, 2001:db8:a::/48"
    assert (inside.before, inside.after, inside.moved_percent) == ({"aws": 100}, {"dc": 80, "aws": 20}, 80)
    assert "80 % of the clients of shop" in plan.refusals[0].message


def test_many_networks_are_counted_and_countries_are_named():
    near = ["healthy", {"geo": {"countries": {"DE": ["dc"], "FR": ["dc"], "US": ["aws"]}}}, {"first": 1}]
    far = ["healthy", {"geo": {"countries": {"DE": ["aws"], "FR": ["aws"], "US": ["aws"]}}}, {"first": 1}]
    live = in_countries(DE="192.0.2.0/24", FR="198.51.100.0/24", US="0.0.0.0/1")
    plan = planned(put("apps.shop.steer", far), before=changed(put("apps.shop.steer", near)), live=live)
    moving = [group.clients for group in app_of(plan).groups if group.moved_percent]
    assert moving == ["clients in DE, FR"]
    odd = [f"10.{number}.0.0/16" for number in range(1, 20, 2)]
    chain = put("apps.shop.steer", ["healthy", "networks", {"weighted": {"dc": 80, "aws": 20}}])
    plan = planned(chain, put("sites.aws.networks", odd), before=changed(chain))
    assert app_of(plan).groups[1].clients == "10.1.0.0/16, 10.3.0.0/16, 10.5.0.0/16 and 7 more networks"


def test_a_country_that_is_not_alone_in_its_group_is_told_by_networks():
    by_net = put("apps.shop.steer", ["healthy", "networks", "geo", {"first": 1}])
    live = in_countries(DE="0.0.0.0/0")
    plan = planned(by_net, put("sites.lab.networks", ["10.0.0.0/8"]), before=changed(by_net), live=live)
    assert [group.clients for group in app_of(plan).groups] == ["everybody else", "10.0.0.0/8"]


def test_a_family_that_goes_leaves_its_clients_alone():
    only_v4 = [
        put(f"sites.{site}.edges.0.public", [BASE["sites"][site]["edges"][0]["public"][0]]) for site in BASE["sites"]
    ]
    plan = planned(*only_v4)
    shop = app_of(plan).groups
    assert [(group.clients, group.after) for group in shop] == [
        ("everybody else", {"dc": 80, "aws": 20}), ("all of IPv6", {}),
    ]  # fmt: skip
    assert [item.what for item in plan.unreachable] == ["shop for all of IPv6", "blog for all of IPv6"]
    assert rules(plan)[:2] == ["last-site", "last-site"]


DB = {"tcp": {"to": "10.0.0.1:5432"}, "interval": "5s", "timeout": "5s", "fall": 4}


@pytest.mark.parametrize(
    ("steps", "detection_s", "total_s", "words"),
    [
        ((), 7, 17, "check of monolith: 3 x 2 s + 1 s"),
        ((put("apps.shop.backends.monolith.check", {"path": "/", "interval": "10s", "timeout": "2s", "fall": 5}),),
         52, 62, "5 x 10 s + 2 s"),
        ((cut("apps.shop.backends.monolith.check"),), 7, 17, "check of the edge"),
        ((put("apps.shop.ttl", "30s"),), 7, 37, "TTL 30 s"),
        ((put("apps.shop.failover", "manual"),), None, None, "until a person"),
        ((put("checks", {"db": DB}), put("apps.shop.ready", {"dc": ["db"]})), 25, 35, "check db: 4 x 5 s + 5 s"),
        ((put("checks", {"db": DB, "both": {"calculated": {"of": ["db"]}}}), put("apps.shop.ready", {"dc": ["both"]})),
         25, 35, "check db: 4 x 5 s + 5 s"),
        ((put("checks", {"word": {"pushed": {"expires": "1m", "then": "down"}}}),
          put("apps.shop.ready", {"aws": ["word"]})), 61, 71, "check word: it holds 60 s"),
        ((put("checks", {"word": {"pushed": {"expires": "1m"}}}), put("apps.shop.ready", {"aws": ["word"]})),
         7, 17, "check of monolith"),
    ],
)  # fmt: skip
def test_how_long_a_dead_site_is_answered(steps, detection_s, total_s, words):
    exposure = app_of(planned(put(WEIGHTS, {"dc": 79, "aws": 21}), *steps)).exposure
    assert (exposure.detection_s, exposure.total_s) == (detection_s, total_s)
    assert words in exposure.terms


def test_a_backend_without_an_endpoint_is_unreachable():
    plan = planned(put("apps.shop.backends.checkout", {"check": {"path": "/"}}))
    assert plan.unreachable[0].what == "shop/pay: checkout, 5 % of its requests"


def test_overrides_that_have_their_way_are_told_with_their_undoing():
    overrides = Overrides(
        shifts=(
            Shift(app="shop", route="pay", split={"monolith": 50, "checkout": 50}, by=BY),
            Shift(app="shop", route="rest", split={"monolith": 100}, by=BY),
            Shift(app="blog", route="all", split={"pages": 100}, by=OVER),
        ),
        drains=(
            Drain(site="dc", by=BY),
            Drain(site="aws", app="blog", by=BY),
            Drain(site="lab", by=BY),
            Drain(site="aws", app="shop", by=OVER),
        ),
        mirror_stops=(
            MirrorStop(by=BY),
            MirrorStop(app="shop", route="pay", by=BY),
            MirrorStop(app="blog", by=BY),
            MirrorStop(app="shop", by=OVER),
        ),
        latency=Latency(measured={"10.0.0.0/8": {"dc": "1ms"}}, by=BY),
    )
    plan = planned(put("latency", {"10.0.0.0/8": {"aws": "1ms"}}), overrides=overrides)
    assert [(conflict.remedy.partition(": ")[2], conflict.blocks) for conflict in plan.conflicts] == [
        ("gslb shift shop/pay --undo", False),
        ("gslb undrain dc", False),
        ("gslb undrain aws --app blog", False),
        ("gslb mirror start", False),
        ("gslb mirror start shop/pay", False),
        ("gslb latency clear", False),
    ]
    assert plan.conflicts[0].message == (
        "shop/pay stays at checkout 50 %, monolith 50 % by a shift by ann (try);"
        " the policy says checkout 5 %, monolith 95 %"
    )
    assert plan.conflicts[3].message == "mirrors of shop/pay stay stopped by ann (try)"
    assert not plan.is_refused
    assert planned(overrides=overrides).is_empty


def test_a_shift_keeps_its_requests_where_they_are():
    overrides = Overrides(shifts=(Shift(app="shop", route="pay", split={"monolith": 50, "checkout": 50}, by=BY),))
    plan = planned(put("apps.shop.routes.0.split", {"monolith": 10, "checkout": 90}), overrides=overrides)
    assert (plan.apps, plan.refusals) == ((), ())
    assert len(plan.changes) == 2


def test_an_override_that_names_what_goes_blocks_and_is_told_before():
    overrides = Overrides(drains=(Drain(site="lab", by=BY),))
    intent = Intent(revision=2, policy=Policy.model_validate(changed(cut("sites.lab"))), overrides=overrides)
    with pytest.raises(PolicyError) as caught:
        compile_snapshot(intent, NOW_S)
    plan = blocked_plan(side(BASE, overrides), intent, caught.value.problems)
    assert plan.is_refused
    assert [(conflict.remedy, conflict.blocks) for conflict in plan.conflicts] == [
        ("undo it first: gslb undrain lab", True)
    ]
    assert plan.changes[0].path == "sites.lab"
    first = blocked_plan(None, intent, caught.value.problems)
    assert (first.before, first.changes) == (None, ())


def test_what_is_too_much_is_left_out_and_counted(monkeypatch):
    monkeypatch.setattr(make, "ENTRIES", 3)
    shop = BASE["apps"]["shop"]
    apps = {f"shop{n}": {**shop, "hosts": [f"shop{n}"]} for n in range(3)}
    plan = planned(put("apps", apps))
    assert [(app.app, len(app.groups), len(app.routes)) for app in plan.apps] == [("shop0", 1, 2)]
    assert plan.left_out == 2 * 4 + 2 + 2, "apps with what is in them, the apps that go, differences"
    assert len(plan.changes) == 3


def test_plans_survive_json():
    plan = planned(cut("apps.blog"), put(WEIGHTS, {"dc": 1, "aws": 99}), put("apps.shop.ttl", "5s"))
    assert Plan.model_validate_json(plan.model_dump_json()) == plan


def test_without_a_policy_before_nobody_is_lost_whatever_health_says():
    after = side(BASE)
    live = dead("shop", "192.0.2.10", "2001:db8:1::10", "198.51.100.20", "2001:db8:2::20")
    assert make_plan(None, after, live, NOW_S).refusals == ()
    assert isinstance(after, Side)
    assert make_plan(after, after, LiveState(), NOW_S).is_empty
