"""Stops of mirrors that are handed to a node itself, with control dead: unsigned over its socket, and signed."""

from __future__ import annotations

import json

import pytest

from gslb.control import mirrors
from gslb.control.changes import set_policy
from gslb.roles.keeping.generations import CRASHES
from gslb.snapshot.intent import MirrorStop
from gslb.trust.emergency import MirrorEmergency, signed_override
from gslb.trust.signing import Signer, make_key, public_of
from tests.support.trust import trust_in
from tests.unit.control.world import NOW_S, by, intent, policy
from tests.unit.roles.node_process import good, process

KEY = make_key(b"a" * 32)
STOPS = "/v1/mirror-stops"


@pytest.fixture
def believed(tmp_path):
    signer = Signer.of(public_of(KEY), "ann's key", "emergency")
    trust_in(tmp_path).change(lambda known: known.with_signer(signer))


def signed(number=1, action="mirror-stop", key=KEY, **given):
    common = {"environment": "test", "app": "shop", "author": "ann", "reason": "full"}
    times = {"signed_s": NOW_S, "good_until_s": NOW_S + 3600}
    asked = MirrorEmergency(id=f"{number:032x}", action=action, **{**common, **times, **given})
    return signed_override(key, asked).model_dump(mode="json")


def stopped(it):
    """Who stopped the mirror of shop/pay; None: nobody."""
    source = it.role.snapshot.apps["shop"].routes[0].mirrors[0].stopped
    return source and source.detail


@pytest.mark.parametrize("scope", [{}, {"app": "shop"}, {"app": "shop", "route": "pay"}])
async def test_it_holds_over_a_restart_is_shown_and_can_be_taken_back(tmp_path, clocks, scope):
    query = "&".join(f"{name}={value}" for name, value in scope.items())
    async with process(tmp_path) as it:
        await it.publish(1)
        digest = it.role.snapshot.digest
        status, told = await it.ask("POST", STOPS, **scope, reason="full", author="ann")
        assert (status, told["before"], told["after"]) == (
            200, {"shop/pay": "checkout 10 %"}, {"shop/pay": "checkout stopped"},
        )  # fmt: skip
    async with process(tmp_path) as it:
        assert [bool(item.apps["shop"].routes[0].mirrors[0].stopped) for item in it.role.taken] == [True]
        (deed,) = (await it.state()).broken_glass.deeds
        where = "/".join(scope.values())
        assert (deed.did, deed.by.author, deed.by.reason) == (f"mirror stop {where}".strip(), "ann", "full")
        assert (await it.ask("DELETE", f"{STOPS}?{query}"))[0] == 200
        assert (stopped(it), it.role.snapshot.digest, (await it.state()).broken_glass) == (None, digest, None)


async def test_a_stop_and_a_drain_lie_beside_each_other_and_end_one_by_one(tmp_path, clocks):
    async with process(tmp_path) as it:
        await it.publish(1)
        await it.ask("POST", "/v1/drains", site="dc")
        await it.ask("POST", STOPS, app="shop", expires_in_s=60)
        assert ("dc" in it.role.snapshot.apps["shop"].no_entry, bool(stopped(it))) == (True, True)
        clocks(61)
        await it.node._holding.look()
        assert ("dc" in it.role.snapshot.apps["shop"].no_entry, stopped(it)) == (True, None)
        await it.ask("DELETE", "/v1/drains/dc")
        assert (await it.state()).broken_glass is None


async def test_control_that_comes_back_has_the_last_word(tmp_path, clocks):
    async with process(tmp_path) as it:
        await it.publish(1)
        await it.ask("POST", STOPS, author="ann")
        await it.publish(1)
        assert stopped(it), "without news nothing changes"
        await it.publish(2)
        assert (stopped(it), (await it.state()).broken_glass) == (None, None)


async def test_what_control_stopped_is_started_at_the_node(tmp_path, clocks):
    async with process(tmp_path) as it:
        await it.publish(1, mirrors.stop(intent(), MirrorStop(app="shop", by=by())))
        await it.ask("DELETE", f"{STOPS}?app=shop")
    async with process(tmp_path) as it:
        assert (stopped(it), (await it.state()).broken_glass.mirror_stops) == (None, ())


async def test_glass_of_an_older_gslb_leaves_what_control_stopped(tmp_path, clocks):
    async with process(tmp_path) as it:
        await it.publish(1, mirrors.stop(intent(), MirrorStop(app="shop", by=by())))
        await it.ask("POST", "/v1/drains", site="dc")
        file = tmp_path / "broken-glass.json"
        content = json.loads(file.read_bytes())
        del content["mirror_stops"]
        file.write_text(json.dumps(content))
    async with process(tmp_path) as it:
        assert ("dc" in it.role.snapshot.apps["shop"].no_entry, bool(stopped(it))) == (True, True)


async def test_a_step_back_to_a_policy_without_the_route_keeps_the_rest(tmp_path, clocks):
    shop = policy().apps["shop"]
    before = set_policy(None, policy().model_copy(update={"apps": {"shop": shop.model_copy(
        update={"routes": shop.routes[1:]})}}))  # fmt: skip
    async with process(tmp_path) as it:
        await it.publish(1, before)
        clocks(3600)
        await it.node._holding.look()
        await it.publish(2)
        await it.ask("POST", STOPS, app="shop", route="pay")
        await it.ask("POST", "/v1/drains", site="dc")
    for _ in range(CRASHES):
        async with process(tmp_path) as it:
            pass
    assert it.role.snapshot.version.revision == 1
    assert "dc" in it.role.snapshot.apps["shop"].no_entry


async def test_a_node_that_is_no_edge_says_so(tmp_path, clocks, believed):
    async with process(tmp_path) as it:
        await it.publish(1)
        it.node.overrides.copies = False
        for status, told in (
            await it.ask("POST", STOPS, author="ann"), await it.ask("DELETE", STOPS), await it.ask("POST", "/v1/override", **signed())
        ):  # fmt: skip
            assert (status, told["rule"], "gslb nodes" in told["remedy"]) == (409, "no-edge", True)
        assert (stopped(it), (await it.state()).broken_glass) == (None, None)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"app": "shop", "route": "pya"}, 422, "did you mean pay?"),
        ({"app": "shop", "route": "find"}, 422, "routes of shop that have one: pay"),
        ({"app": "moon"}, 422, "there is no app 'moon'"),
        ({"route": "pay"}, 422, "APP/ROUTE"),
        ({"app": "shop", "colour": 1}, 422, "colour"),
        ({"app": "shop", "expires_in_s": -1}, 422, "greater than 0"),
    ],
)
async def test_what_does_not_fit_is_told_and_changes_nothing(tmp_path, clocks, believed, body, status, words):
    async with process(tmp_path) as it:
        assert (await it.ask("POST", STOPS, author="ann"))[1]["rule"] == "no-policy"
        await it.publish(1)
        got, told = await it.ask("POST", STOPS, **body)
        assert (got, words in json.dumps(told)) == (status, True), told
        assert (stopped(it), (await it.state()).broken_glass) == (None, None)


async def test_another_scope_is_named_with_the_command_for_nodes(tmp_path, clocks):
    async with process(tmp_path) as it:
        await it.publish(1)
        await it.ask("POST", STOPS, author="ann")
        status, told = await it.ask("DELETE", f"{STOPS}?app=shop")
        assert (status, "gslb node mirror start --all" in json.dumps(told)) == (422, True), told


async def test_a_signature_is_enough_once_and_over_restarts(tmp_path, clocks, believed):
    async with process(tmp_path) as it:
        await it.publish(1)
        status, told = await it.ask("POST", "/v1/override", **signed(expires_s=NOW_S + 7200))
        assert (status, told["after"]) == (200, {"shop/pay": "checkout stopped"})
    async with process(tmp_path) as it:
        (deed,) = (await it.state()).broken_glass.deeds
        assert (deed.did, deed.by.author, deed.by.expires_s) == (
            "mirror stop shop", "ann (signed: ann's key)", NOW_S + 7200,
        )  # fmt: skip
        assert (await it.ask("POST", "/v1/override", **signed(2, "mirror-start")))[0] == 200
        assert stopped(it) is None
        status, told = await it.ask("POST", "/v1/override", **signed())
        assert (status, told["rule"], stopped(it)) == (409, "replayed", None)


async def test_no_other_signature_is_taken(tmp_path, clocks, believed):
    await good(tmp_path, clocks, 1)
    async with process(tmp_path) as it:
        other = {**signed(), "override": signed()["override"].replace('"shop"', '"blog"')}
        for body, status, rule in (
            ({**signed(), "signature": ""}, 409, "unsigned"),
            (signed(key=make_key(b"s" * 32)), 409, "unknown-signer"),
            (other, 409, "bad-signature"),
            (signed(environment="production"), 409, "other-environment"),
            (signed(good_until_s=NOW_S), 409, "over"),
        ):
            got, told = await it.ask("POST", "/v1/override", **body)
            assert (got, told["rule"]) == (status, rule)
        lasting = {"signed_s": NOW_S, "good_until_s": NOW_S + 86400}
        got, told = await it.ask("POST", "/v1/override", **signed(9, route="pya", **lasting))
        assert (got, "did you mean pay?" in json.dumps(told)) == (422, True)
        assert stopped(it) is None
