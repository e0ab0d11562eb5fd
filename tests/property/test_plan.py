"""What holds of every plan."""

from __future__ import annotations

import copy

from hypothesis import given
from hypothesis import strategies as st

from gslb.control.changes import kept_in
from gslb.control.planning import Today, plan_policy
from gslb.model.policy import Policy
from gslb.plan import Plan, markdown, policy_changes, summary, text_lines
from gslb.snapshot import Compiler
from gslb.snapshot.intent import Intent
from tests.unit.plan.world import BASE, NOW_S, changed, dead, planned, put, side

SITES = tuple(BASE["sites"])
PERCENT = st.integers(0, 10_000).map(lambda share: share / 100)
WEIGHTS = st.dictionaries(st.sampled_from(SITES), st.integers(0, 1000), min_size=1).filter(lambda w: any(w.values()))
PICKS = st.one_of(
    WEIGHTS.map(lambda weights: {"weighted": weights}),
    st.integers(1, 3).map(lambda count: {"first": count}),
)
ORDERS = st.lists(
    st.one_of(
        st.just("networks"),
        st.lists(st.sampled_from(SITES), min_size=1, unique=True).map(lambda sites: {"priority": sites}),
        st.lists(st.sampled_from(SITES), min_size=1, unique=True).map(lambda sites: {"only": sites}),
    ),
    max_size=3,
)
CHAINS = st.builds(lambda order, pick: ["healthy", *order, pick], ORDERS, PICKS)
NETWORKS = st.lists(st.sampled_from(["10.0.0.0/8", "10.1.0.0/16", "0.0.0.0/0", "2001:db8::/32", "::/0"]), unique=True)
SPLITS = PERCENT.map(lambda share: {"monolith": round(100 - share, 2), "checkout": share})
LIVE = st.sets(st.sampled_from([a for site in BASE["sites"].values() for a in site["edges"][0]["public"]])).map(
    lambda addresses: dead("shop", *addresses)
)


@st.composite
def policies(draw):
    steps = [
        put("apps.shop.steer", draw(CHAINS)),
        put("apps.shop.families", draw(st.sampled_from(["same", "mixed"]))),
        put("apps.shop.failover", draw(st.sampled_from(["auto", "manual"]))),
        put("apps.shop.routes.0.split", draw(SPLITS)),
        put("sites.dc.networks", draw(NETWORKS)),
        put("sites.aws.networks", draw(NETWORKS)),
    ]
    policy = changed(*draw(st.lists(st.sampled_from(steps), unique_by=id)))
    if draw(st.booleans()):
        policy["apps"] = dict(reversed(policy["apps"].items()))
    if draw(st.booleans()):
        del policy["apps"]["blog"]
    return policy


def plan_of(before, after, live):
    return planned(lambda policy: policy.update(copy.deepcopy(after)), before=before, live=live)


@given(policies(), LIVE)
def test_the_plan_of_what_is_in_force_is_empty(policy, live):
    assert plan_of(policy, policy, live).is_empty


@given(policies(), policies(), LIVE)
def test_every_plan_is_sane_and_can_be_told(before, after, live):
    plan = plan_of(before, after, live)
    for app in plan.apps:
        for group in app.groups:
            assert 0 <= group.moved_percent <= 100
            assert all(sum(shares.values()) < 100.05 for shares in (group.before, group.after))
        assert all(0 <= route.moved_percent <= 100 for route in app.routes)
        assert len({group.clients for group in app.groups}) == len(app.groups)
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
    assert markdown(plan)
    assert summary(plan).count("\n") == 0
    assert all("\n" not in line.text for line in text_lines(plan))


@given(policies(), policies(), LIVE)
def test_who_moves_there_moves_back(before, after, live):
    there, back = plan_of(before, after, live), plan_of(after, before, live)

    def moves(plan):
        return {
            (app.app, group.clients): group.moved_percent
            for app in plan.apps for group in app.groups if group.before and group.after
        }  # fmt: skip

    assert moves(there) == moves(back)


@given(policies(), policies())
def test_differences_are_empty_just_where_the_policies_are_the_same(before, after):
    one, other = Policy.model_validate(before), Policy.model_validate(after)
    assert (not list(policy_changes(one, other))) == (one.model_dump_json() == other.model_dump_json())


@given(policies(), policies(), LIVE)
def test_what_a_policy_has_in_common_with_the_one_in_force_makes_no_difference(before, after, live):
    compiler, intent = Compiler(), Intent(revision=1, policy=Policy.model_validate(before))
    current, wanted = (intent, compiler.compile(intent, NOW_S)), Policy.model_validate(after)
    kept = kept_in(intent.policy, wanted)
    assert kept.model_dump_json() == wanted.model_dump_json()
    assert list(policy_changes(intent.policy, kept)) == list(policy_changes(intent.policy, wanted))
    quick = plan_policy(Today(current, live, NOW_S, compiled=compiler.preview), kept, {})
    assert quick == plan_policy(Today(current, live, NOW_S), wanted, {})
    assert compiler.preview(intent, NOW_S).apps == current[1].apps


@given(PERCENT, PERCENT)
def test_a_weight_that_goes_from_a_to_b_moves_just_the_difference(a, b):
    def weights(share):
        return put("apps.shop.steer.1.weighted", {"dc": share, "aws": round(100 - share, 2)})

    plan = planned(weights(b), before=changed(weights(a)))
    moved = [group.moved_percent for app in plan.apps for group in app.groups]
    assert moved == ([round(abs(a - b), 2)] if a != b else [])


@given(PERCENT, PERCENT)
def test_a_share_that_goes_from_a_to_b_moves_just_the_difference(a, b):
    def split(share):
        return put("apps.shop.routes.0.split", {"monolith": round(100 - share, 2), "checkout": share})

    plan = planned(split(b), before=changed(split(a)))
    moved = [route.moved_percent for app in plan.apps for route in app.routes]
    assert moved == ([round(abs(a - b), 2)] if a != b else [])


@given(policies())
def test_a_first_policy_moves_nobody(policy):
    plan = planned(lambda base: base.update(policy), before=None)
    assert all(group.moved_percent == 0 for app in plan.apps for group in app.groups)
    assert side(policy).snapshot.digest == plan.after.digest
