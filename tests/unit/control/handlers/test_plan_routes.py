"""Planning, applying, going back and comparing through the API."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from gslb.control.bodies import plan_messages
from gslb.control.handlers import plan_routes
from gslb.control.http.client import Client
from gslb.errors import PolicyError, RefusedError
from gslb.model.policy import Policy
from gslb.plan import Plan
from gslb.snapshot.intent import Intent
from gslb.snapshot.networks import Place, network_map
from tests.unit.control.serving import served
from tests.unit.control.world import NOW_S, MemoryPublisher, dns_state, edge_state, verdict
from tests.unit.plan.world import BASE, changed, cut, put

WEIGHTS = put("apps.shop.steer.1.weighted", {"dc": 60, "aws": 40})
LARGE = put("apps.shop.steer.1.weighted", {"dc": 1, "aws": 99})


@pytest.fixture
def publisher():
    made = MemoryPublisher(Intent(revision=1, policy=Policy.model_validate(BASE)))
    made.states.clear()
    return made


@pytest.fixture
def client(publisher, tmp_path):
    with served(publisher, tmp_path) as (socket, _):
        yield Client(str(socket))


def wanted(*steps):
    return Policy.model_validate(changed(*steps)).model_dump(mode="json")


def plan(client, **body):
    seen = client.post("/v1/plan", body)
    plan_messages.PlanSeen.model_validate(seen)
    return Plan.model_validate(seen["plan"])


def apply(client, made, **body):
    base = made.before.model_dump() if made.before else None
    answer = client.post("/v1/apply", {"base": base, "digest": made.after.digest, "message": "as agreed", **body})
    plan_messages.ApplyChange.model_validate(answer)
    return answer


def refused(rule, call, *args, **given):
    with pytest.raises(RefusedError) as caught:
        call(*args, **given)
    assert caught.value.rule == rule
    return caught.value


def test_planning_changes_nothing_and_applying_brings_just_that(client, publisher):
    before = publisher.intent
    made = plan(client, policy=wanted(WEIGHTS))
    assert publisher.intent is before
    assert [app.app for app in made.apps] == ["shop"]
    answer = apply(client, made, policy=wanted(WEIGHTS), author="ann")
    assert (answer["environment"], answer["revision_before"], answer["snapshot"]["revision"]) == ("test", 1, 2)
    assert answer["snapshot"]["digest"] == made.after.digest == publisher.snapshot.digest
    assert answer["undo"] == "gslb rollback 1"
    (record,) = publisher.records
    entry = record.entry
    assert (entry.author, entry.action, entry.detail, entry.reason) == ("ann", "apply", "2 differences", "as agreed")


def test_applying_what_is_in_force_changes_nothing(client, publisher):
    answer = apply(client, plan(client, policy=wanted()), policy=wanted())
    assert (answer["undo"], answer["snapshot"]["revision"], publisher.records) == (None, 1, [])


def test_the_first_policy(tmp_path):
    publisher = MemoryPublisher()
    with served(publisher, tmp_path) as (socket, _):
        client = Client(str(socket))
        refused("no-policy", client.get, "/v1/diff", {"before": "1"})
        made = plan(client, policy=wanted())
        assert (made.before, made.is_refused) == (None, False)
        answer = apply(client, made, policy=wanted())
        assert (answer["revision_before"], answer["undo"]) == (None, None)
        assert publisher.records[0].entry.detail == "the first policy"
        assert "planned on" not in refused("stale-plan", apply, client, made, policy=wanted(WEIGHTS)).message


def test_a_plan_of_yesterday_is_refused_with_what_has_happened_since(client, publisher):
    made = plan(client, policy=wanted(WEIGHTS))
    client.post("/v1/drains", {"site": "lab", "author": "bob"})
    client.post("/v1/shifts", {"app": "shop", "route": "pay", "split": {"checkout": 9}, "author": "cleo"})
    before = publisher.intent
    error = refused("stale-plan", apply, client, made, policy=wanted(WEIGHTS))
    assert "made on version 1.0, and 1.2 is in force (bob: drain lab; cleo: shift shop/pay checkout=9)" in error.message
    assert publisher.intent is before


def test_a_plan_that_means_something_else_by_now_is_refused(client, publisher):
    made = plan(client, policy=wanted(WEIGHTS))
    error = refused("stale-plan", apply, client, made, policy=wanted(LARGE), allow=["large-move"], reason="test")
    assert "would mean something else" in error.message
    assert publisher.records == []


async def test_who_is_faster_by_a_hair_wins(publisher):
    """Between the look and the change, which one lock holds together."""
    seen = await plan_routes.plan(publisher, plan_messages.PlanRequest(policy=changed(WEIGHTS)))
    made = Plan.model_validate(seen["plan"])
    real = publisher.change

    async def change(make, audit, bake_s):
        publisher.intent = publisher.intent.model_copy(update={"revision": 7})
        return await real(make, audit, bake_s)

    publisher.change = change
    body = {"policy": changed(WEIGHTS), "base": made.before, "digest": made.after.digest, "message": "m"}
    with pytest.raises(RefusedError, match="same moment"):
        await plan_routes.apply(publisher, plan_messages.ApplyRequest(**body))
    assert publisher.records == []


def test_a_guard_rail_holds_it_up_until_it_is_named_with_a_reason(client, publisher):
    steps = wanted(LARGE, cut("apps.blog"))
    made = plan(client, policy=steps)
    assert made.is_refused
    error = refused("app-removed", apply, client, made, policy=steps)
    assert "blog goes" in error.message
    assert "79 % of the clients of shop" in error.message
    assert "--allow app-removed" in error.remedy
    assert "--allow large-move" in error.remedy
    refused("large-move", apply, client, made, policy=steps, allow=["app-removed"], reason="gone")
    both = {"policy": steps, "allow": ["app-removed", "large-move"]}
    with pytest.raises(PolicyError, match="without a reason"):
        apply(client, made, **both)
    assert not plan(client, **both).is_refused
    apply(client, made, **both, reason="blog is closed")
    assert publisher.records[0].entry.detail == "3 differences --allow app-removed --allow large-move (blog is closed)"


def test_going_back_is_a_new_revision_that_keeps_overrides_and_may_move_everybody(client, publisher):
    apply(client, plan(client, policy=wanted(LARGE)), policy=wanted(LARGE), allow=["large-move"], reason="test")
    client.post("/v1/drains", {"site": "lab"})
    made = plan(client, revision=1)
    assert [(refusal.rule, refusal.allowed) for refusal in made.refusals] == [
        ("large-move", "rolling back is always allowed"),
    ]  # fmt: skip
    answer = apply(client, made, revision=1)
    assert (answer["snapshot"]["revision"], answer["undo"]) == (3, "gslb rollback 2")
    assert publisher.intent.policy == Policy.model_validate(BASE)
    assert [drain.site for drain in publisher.intent.overrides.drains] == ["lab"]
    assert publisher.records[-1].entry.detail == "to revision 1: 2 differences"
    assert publisher.records[-1].entry.action == "rollback"
    refused("unknown-revision", plan, client, revision=99)


def test_going_back_to_where_nobody_answers_is_held_up(client):
    apply(client, plan(client, policy=wanted(WEIGHTS)), policy=wanted(WEIGHTS))
    only_lab = wanted(put("apps.shop.steer.1.weighted", {"lab": 1}))
    apply(client, plan(client, policy=only_lab), policy=only_lab, allow=["large-move"], reason="test")
    client.post("/v1/drains", {"site": "dc"})
    client.post("/v1/drains", {"site": "aws", "app": "shop"})
    made = plan(client, revision=2)
    assert [refusal.rule for refusal in made.holding] == ["last-site"]
    refused("last-site", apply, client, made, revision=2)


def test_an_override_in_the_way_is_told_and_refused(client):
    client.post("/v1/drains", {"site": "lab"})
    made = plan(client, policy=wanted(cut("sites.lab")))
    assert made.is_refused
    error = refused("override-dangling", apply, client, made, policy=wanted(cut("sites.lab")))
    assert error.remedy == "undo it first: gslb undrain lab"


@pytest.mark.parametrize(
    ("edges", "steps", "expected"),
    [
        (["dc", "aws", "lab"], [cut("sites.lab")], ["sites-changed"]),
        (["dc", "aws", "lab"], [put("sites.new", {"edges": [{"public": ["192.0.2.77", "2001:db8:7::1"]}]})],
         ["sites-changed"]),
        (["dc"], [put("sites.new", {"edges": [{"public": ["192.0.2.77", "2001:db8:7::1"]}]})], []),
        (["dc"], [cut("sites.lab")], []),
        (["lab"], [cut("sites.lab")], ["sites-changed"]),
        ([], [cut("sites.lab")], []),
    ],
)  # fmt: skip
def test_sites_come_and_go_with_a_restart_where_their_edges_run(client, publisher, edges, steps, expected):
    publisher.hear(*(edge_state(publisher.snapshot, site) for site in edges))
    assert [refusal.rule for refusal in plan(client, policy=wanted(*steps)).refusals] == expected


def test_what_making_keys_would_refuse_is_told_before(client, publisher):
    signed = wanted(put("zone.dnssec", {"algorithm": "ed25519"}))
    apply(client, plan(client, policy=signed), policy=signed)
    assert len(publisher.intent.overrides.keys["gslb.example.com"]) == 2
    other = wanted(put("zone.dnssec", {"algorithm": "ecdsa-p256"}))
    made = plan(client, policy=other)
    assert [refusal.rule for refusal in made.refusals] == ["dnssec-algorithm"]
    refused("dnssec-algorithm", apply, client, made, policy=other)


def test_health_and_places_count_as_they_are_now(client, publisher):
    down = [verdict("shop", "dc", address, "down") for address in ("192.0.2.10", "2001:db8:1::10")]
    publisher.hear(dns_state(publisher.snapshot, *down))
    assert [app.groups for app in plan(client, policy=wanted(WEIGHTS)).apps] == [()]
    publisher.ages["dns"] = 60
    assert len(plan(client, policy=wanted(WEIGHTS)).apps[0].groups) == 1
    publisher.geo = network_map([(ip_network("10.0.0.0/8"), Place("DE"))])
    for geo in ("geo", {"geo": {"countries": {"DE": ["lab"]}}}):
        made = plan(client, policy=wanted(put("apps.shop.steer", ["healthy", geo, {"first": 1}])))
        expected = ["everybody else", "clients in DE"] if geo != "geo" else ["everybody"]
        assert [group.clients for group in made.apps[0].groups] == expected


def test_two_revisions_beside_each_other_without_overrides_and_judgement(client, publisher):
    apply(client, plan(client, policy=wanted(LARGE)), policy=wanted(LARGE), allow=["large-move"], reason="test")
    client.post("/v1/shifts", {"app": "shop", "route": "pay", "split": {"checkout": 9}})
    client.post("/v1/drains", {"site": "dc"})
    seen = client.get("/v1/diff", {"before": "1"})
    plan_messages.DiffSeen.model_validate(seen)
    assert (seen["before"], seen["after"]) == (1, 2)
    made = Plan.model_validate(seen["plan"])
    assert [change.path for change in made.changes] == [
        "apps.shop.steer.1.weighted.dc", "apps.shop.steer.1.weighted.aws",
    ]  # fmt: skip
    assert made.apps[0].groups[0].moved_percent == 79
    assert (made.refusals, made.conflicts) == ((), ())
    back = Plan.model_validate(client.get("/v1/diff", {"before": "2", "after": "1"})["plan"])
    assert back.apps[0].groups[0].before == {"dc": 1, "aws": 99}
    refused("unknown-revision", client.get, "/v1/diff", {"before": "3"})


async def test_a_folder_that_is_followed_is_foretold_in_one_line(publisher):
    told = await plan_routes.foretold(publisher, Policy.model_validate(changed(LARGE)))
    assert told == (
        "environment test: revision 1 -> 2: 79 % of clients move at most; apps changed: shop;"
        " guard rails: large-move; 2 differences"
    )
    assert await plan_routes.foretold(publisher, Policy.model_validate(BASE)) == ""


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({}, "either a policy or a revision"),
        ({"policy": {}, "revision": 1}, "either a policy or a revision"),
        ({"policy": {}}, "zone: Field required"),
        ({"policy": {**BASE, "surprise": 1}}, "surprise"),
        ({"policy": changed(put("apps.shop.routes.0.split", {"monolith": 10}))}, "apps.shop.routes.0.split: the split"),
        ({"policy": changed(put("zone.records", "x A 1"))}, "zone line 1"),
        ({"revision": 0}, "revision"),
        ({"revision": 1, "allow": ["everything"]}, "allow"),
    ],
)
def test_a_policy_that_is_wrong_is_told_like_any_other_mistake(client, publisher, body, word):
    before = publisher.intent
    for path, more in (("/v1/plan", {}), ("/v1/apply", {"base": None, "digest": "", "message": "m", "reason": "r"})):
        with pytest.raises(PolicyError) as caught:
            client.post(path, {**body, **more})
        assert word in str(caught.value)
    assert publisher.intent is before


def test_a_large_policy_passes(client):
    routes = [
        {"name": f"r{n}", "match": {"path": f"/{'x' * 200}/{n}"}, "split": {"monolith": 100}} for n in range(5000)
    ]
    assert plan(client, policy=wanted(put("apps.shop.routes", routes))).apps[0].routes[0].kind == "added"


def test_an_override_that_ends_between_plan_and_apply_makes_it_stale(client, publisher, monkeypatch):
    monkeypatch.setattr("gslb.clock.wall_s", lambda: NOW_S)
    client.post("/v1/shifts", {"app": "shop", "route": "pay", "split": {"checkout": 9}, "expires_in_s": 60})
    made = plan(client, policy=wanted(WEIGHTS))
    monkeypatch.setattr("gslb.clock.wall_s", lambda: NOW_S + 61)
    refused("stale-plan", apply, client, made, policy=wanted(WEIGHTS))
