"""One app out of a policy: everything else stays as it is in force."""

from __future__ import annotations

import pytest

from gslb.control.http.client import Client
from gslb.control.one_app import only_app
from gslb.errors import PolicyError, RefusedError
from gslb.model.policy import Policy
from gslb.plan import Plan, markdown, text_lines
from gslb.snapshot.intent import Intent
from tests.unit.control.serving import served
from tests.unit.control.world import MemoryPublisher
from tests.unit.plan.world import BASE, changed, cut, put

WEIGHTS = put("apps.shop.steer.1.weighted", {"dc": 60, "aws": 40})
NEW_APP = put("apps.news", {**BASE["apps"]["blog"], "hosts": ["news"]})
STOLEN = put("apps.shop.hosts", ["shop", "blog"])


@pytest.fixture
def publisher():
    made = MemoryPublisher(Intent(revision=1, policy=Policy.model_validate(BASE)))
    made.states.clear()
    return made


@pytest.fixture
def client(publisher, tmp_path):
    with served(publisher, tmp_path) as (socket, _):
        yield Client(str(socket))


def policy(*steps):
    return Policy.model_validate(changed(*steps))


def given(*steps):
    return policy(*steps).model_dump(mode="json")


def plan(client, **body):
    return Plan.model_validate(client.post("/v1/plan", body)["plan"])


def apply(client, made, **body):
    return client.post(
        "/v1/apply", {"base": made.before.model_dump(), "digest": made.after.digest, "message": "x", **body}
    )


@pytest.mark.parametrize(
    ("app", "steps", "outcome"),
    [
        ("shop", (WEIGHTS, put("environment", "lab"), cut("apps.blog")), (WEIGHTS,)),
        ("news", (NEW_APP, WEIGHTS), (NEW_APP,)),
        ("blog", (cut("apps.blog"), WEIGHTS), (cut("apps.blog"),)),
        ("blog", (WEIGHTS,), ()),
    ],
)
def test_only_that_app_is_taken_and_keeps_its_place(app, steps, outcome):
    assert only_app(policy(), policy(*steps), app).model_dump_json() == policy(*outcome).model_dump_json()


def test_an_app_that_neither_has_is_unknown():
    with pytest.raises(PolicyError, match=r"unknown-app(.|\n)*did you mean shop\? known: blog, shop$"):
        only_app(policy(), policy(), "shopp")


def test_a_plan_of_one_app_says_what_else_differs_and_applies_exactly_that(client, publisher):
    folder = given(WEIGHTS, put("apps.blog.hosts", ["log"]), put("zone.ttl", "33s"))
    made = plan(client, policy=folder, app="shop")
    assert [app.app for app in made.apps] == ["shop"]
    assert [change.path for change in made.aside] == ["zone.ttl", "apps.blog.hosts"]
    text = "\n".join(line.text for line in text_lines(made))
    assert "revision 1 -> 2, app shop alone" in text
    assert "the policy differs at zone.ttl, apps.blog.hosts, too" in text
    assert "differs at zone.ttl, apps.blog.hosts" in markdown(made)
    answer = apply(client, made, policy=folder, app="shop")
    assert answer["snapshot"]["digest"] == made.after.digest == publisher.snapshot.digest
    assert answer["undo"] == "gslb rollback 1 --app shop"
    assert publisher.intent.policy == policy(WEIGHTS)
    assert publisher.records[-1].entry.detail == "--app shop: 2 differences"
    assert "nothing would change: the app shop is the same" in "\n".join(
        line.text for line in text_lines(plan(client, policy=folder, app="shop"))
    )


def test_a_plan_of_one_app_is_stale_like_any_other(client, publisher):
    made = plan(client, policy=given(WEIGHTS), app="shop")
    client.post("/v1/drains", {"site": "lab"})
    with pytest.raises(RefusedError) as caught:
        apply(client, made, policy=given(WEIGHTS), app="shop")
    assert caught.value.rule == "stale-plan"
    made = plan(client, policy=given(WEIGHTS, cut("apps.blog")), app="shop")
    with pytest.raises(RefusedError) as caught:  # the same folder as a whole is another change
        apply(client, made, policy=given(WEIGHTS, put("apps.blog.hosts", ["log"])))
    assert caught.value.rule == "stale-plan"
    assert publisher.intent.revision == 1


def test_going_back_with_one_app_keeps_the_others(client, publisher):
    for steps in ((WEIGHTS,), (WEIGHTS, put("apps.blog.hosts", ["log"]))):
        apply(client, plan(client, policy=given(*steps)), policy=given(*steps), allow=["host-removed"], reason="test")
    made = plan(client, revision=1, app="shop")
    assert made.aside == (), "of course an old revision differs elsewhere"
    apply(client, made, revision=1, app="shop")
    assert publisher.intent.policy == policy(put("apps.blog.hosts", ["log"]))
    assert publisher.intent.revision == 4


def test_the_outcome_is_checked_as_a_whole(client, publisher):
    with pytest.raises(PolicyError, match="blog"):
        plan(client, policy=given(STOLEN, put("apps.blog.hosts", ["log"])), app="shop")
    with pytest.raises(RefusedError) as caught:
        apply(
            client, plan(client, policy=given(cut("apps.blog")), app="blog"), policy=given(cut("apps.blog")), app="blog"
        )
    assert caught.value.rule == "app-removed"
    assert publisher.records == []


def test_a_first_policy_is_a_whole_one(tmp_path):
    with served(MemoryPublisher(), tmp_path) as (socket, _), pytest.raises(RefusedError) as caught:
        plan(Client(str(socket)), policy=given(), app="shop")
    assert caught.value.rule == "no-policy"
