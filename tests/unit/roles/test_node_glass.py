"""Broken glass: drains that are handed to a node itself, with control dead, and what becomes of them."""

from __future__ import annotations

import json

import pytest
import structlog.testing

from gslb.control.bodies.messages import DEADLINE_S
from gslb.control.changes import drain
from gslb.errors import HostError, RefusedError
from gslb.roles.keeping.generations import CRASHES
from tests.unit.control.world import NOW_S, a_drain, intent
from tests.unit.roles.node_process import good, process


def drained(it, site="dc"):
    return {name for name, app in it.role.snapshot.apps.items() if site in app.no_entry}


async def test_a_drain_at_the_node_holds_over_a_restart_and_is_shown(tmp_path, clocks):
    async with process(tmp_path) as it:
        await it.publish(1)
        status, told = await it.ask("POST", "/v1/drains", site="dc", reason="fire", author="ann")
        assert (status, told["environment"], told["after"]) == (200, "test", {"shop": "drained", "blog": "drained"})
        assert drained(it) == {"shop", "blog"}
    async with process(tmp_path) as it:
        assert drained(it) == {"shop", "blog"}
        state = await it.state()
        (deed,) = state.broken_glass.deeds
        assert (deed.did, deed.by.author, deed.by.reason, deed.by.at_s) == ("drain dc", "ann", "fire", NOW_S)
        assert state.applied.revision == 1
        assert state.applied.overrides == 0, "what control published, so that control does not send it again"


async def test_a_start_serves_nothing_without_what_was_done_here(tmp_path, clocks):
    async with process(tmp_path) as it:
        await it.publish(1)
        await it.ask("POST", "/v1/drains", site="dc")
    async with process(tmp_path) as it:
        (taken,) = it.role.taken
        assert "dc" in taken.apps["shop"].no_entry


async def test_control_that_comes_back_without_news_changes_nothing_and_with_news_has_the_last_word(tmp_path, clocks):
    async with process(tmp_path) as it:
        await it.publish(1)
        await it.ask("POST", "/v1/drains", site="dc", reason="fire")
        await it.publish(1)
        assert drained(it)
        with structlog.testing.capture_logs() as lines:
            await it.publish(2)
        assert not drained(it)
        assert [line["deeds"] for line in lines] == [["drain dc"]]
        assert (await it.state()).broken_glass is None
    async with process(tmp_path) as it:
        assert (drained(it), (await it.state()).broken_glass) == (set(), None)


async def test_glass_that_was_left_behind_by_a_crash_does_not_come_back(tmp_path, clocks):
    async with process(tmp_path) as it:
        await it.publish(1)
        await it.ask("POST", "/v1/drains", site="dc")
        glass = (tmp_path / "broken-glass.json").read_bytes()
        await it.publish(2)
    (tmp_path / "broken-glass.json").write_bytes(glass)
    async with process(tmp_path) as it:
        assert not drained(it)
    assert not (tmp_path / "broken-glass.json").exists()


async def test_glass_survives_a_step_back(tmp_path, clocks):
    await good(tmp_path, clocks, 1)
    async with process(tmp_path) as it:
        await it.publish(2)
        await it.ask("POST", "/v1/drains", site="dc")
    for _ in range(CRASHES):
        async with process(tmp_path) as it:
            assert drained(it)
    assert it.role.snapshot.version.revision == 1


@pytest.mark.parametrize("content", [b"{", b'{"over": {"revision": 1, "overrides": 0, "digest": "x"}}'])
async def test_glass_that_does_not_read_is_left_out(tmp_path, clocks, content):
    await good(tmp_path, clocks, 1)
    (tmp_path / "broken-glass.json").write_bytes(content)
    async with process(tmp_path) as it:
        assert (it.version, drained(it)) == ("1.0", set())


async def test_glass_that_the_role_refuses_leaves_controls_offer(tmp_path, clocks):
    async with process(tmp_path) as it:
        await it.publish(1)
        await it.ask("POST", "/v1/drains", site="dc")
        it.node.stop()
    with structlog.testing.capture_logs() as lines:
        async with process(tmp_path, **{"1_1": RefusedError("no", "never", "")}) as it:
            assert it.version == "1.0"
    assert ["drain dc"] in [line.get("deeds") for line in lines]


async def test_the_last_site_is_drained_by_who_insists(tmp_path, clocks):
    async with process(tmp_path) as it:
        await it.publish(1)
        await it.ask("POST", "/v1/drains", site="dc")
        status, told = await it.ask("POST", "/v1/drains", site="aws")
        assert (status, told["rule"], "--allow last-site" in told["remedy"]) == (409, "last-site", True)
        assert drained(it, "aws") == set()
        assert (await it.ask("POST", "/v1/drains", site="aws", allow=["last-site"]))[0] == 200
        assert drained(it, "aws") == {"shop", "blog"}
        assert [deed.did for deed in (await it.state()).broken_glass.deeds] == ["drain dc", "drain aws"]


async def test_back_to_what_control_wants_is_no_broken_glass(tmp_path, clocks):
    async with process(tmp_path) as it:
        await it.publish(1)
        digest = it.role.snapshot.digest
        await it.ask("POST", "/v1/drains", site="dc", app="shop", entry_only=True)
        assert drained(it) == {"shop"}
        status, told = await it.ask("DELETE", "/v1/drains/dc?app=shop&author=ann")
        assert (status, told["after"]) == (200, {"shop": "in service"})
        assert (it.role.snapshot.digest, (await it.state()).broken_glass) == (digest, None)
    assert not (tmp_path / "broken-glass.json").exists()


async def test_what_to_write_instead_is_said_for_the_node(tmp_path, clocks):
    async with process(tmp_path) as it:
        await it.publish(1)
        await it.ask("POST", "/v1/drains", site="dc")
        _, told = await it.ask("DELETE", "/v1/drains/dc?app=shop")
        assert "gslb node undrain dc --all" in json.dumps(told)
        await it.ask("POST", "/v1/drains", site="lab", app="shop")
        _, told = await it.ask("DELETE", "/v1/drains/lab")
        assert "gslb node undrain lab --app shop --all" in json.dumps(told)


async def test_what_control_drained_can_be_put_back_at_the_node(tmp_path, clocks):
    async with process(tmp_path) as it:
        await it.publish(1, drain(intent(), a_drain("dc")))
        await it.ask("DELETE", "/v1/drains/dc")
        assert (drained(it), (await it.state()).broken_glass.drains) == (set(), ())
    async with process(tmp_path) as it:
        assert drained(it) == set()


async def test_a_drain_of_limited_time_ends_by_itself_at_the_node(tmp_path, clocks):
    async with process(tmp_path) as it:
        await it.publish(1)
        await it.ask("POST", "/v1/drains", site="dc", expires_in_s=3600)
        await it.ask("POST", "/v1/drains", site="lab")
        clocks(3599)
        await it.node._holding.look()
        assert drained(it)
        clocks(2)
        await it.node._holding.look()
        assert (drained(it), drained(it, "lab")) == (set(), {"shop", "blog"})
        assert (await it.state()).broken_glass is not None


async def test_a_drain_that_cannot_be_taken_back_is_tried_again_later(tmp_path, clocks):
    async with process(tmp_path) as it:
        await it.publish(1)
        await it.ask("POST", "/v1/drains", site="dc", expires_in_s=60)
        clocks(61)
        it.role.chokes_on = {"1.0": RefusedError("no", "not now", "")}
        await it.node._holding.look()
        it.role.chokes_on = {}
        await it.node._holding.look()
        assert drained(it), "not at once"
        clocks(31)
        await it.node._holding.look()
        assert (drained(it), (await it.state()).broken_glass) == (set(), None)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"site": "nowhere"}, 422, "there is no site 'nowhere'"),
        ({"site": "dc", "app": "none"}, 422, "there is no app 'none'"),
        ({"site": "dc", "colour": 1}, 422, "colour: nothing of that name is taken"),
        ({"site": "dc", "reason": "\x1b[2J"}, 422, "pattern"),
        ({"site": "dc", "expires_in_s": -1}, 422, "greater than 0"),
    ],
)
async def test_what_does_not_fit_is_told_and_changes_nothing(tmp_path, clocks, body, status, words):
    async with process(tmp_path) as it:
        await it.publish(1)
        published = it.role.published
        got, told = await it.ask("POST", "/v1/drains", **body)
        assert (got, words in json.dumps(told)) == (status, True), told
        assert it.role.published is published


async def test_before_the_first_offer_there_is_nothing_to_drain(tmp_path, clocks):
    async with process(tmp_path) as it:
        status, told = await it.ask("POST", "/v1/drains", site="dc")
        assert (status, told["rule"]) == (409, "no-policy")


async def test_a_drain_that_the_role_cannot_do_changes_nothing(tmp_path, clocks):
    async with process(tmp_path) as it:
        await it.publish(1)
        it.role.chokes_on = {"1.1": HostError("Envoy is gone", "start it")}
        status, told = await it.ask("POST", "/v1/drains", site="dc")
        assert (status, told["detail"]) == (503, "Envoy is gone")
        assert (drained(it), (await it.state()).broken_glass) == (set(), None)


async def test_a_drain_that_was_in_force_already_breaks_no_glass(tmp_path, clocks):
    async with process(tmp_path) as it:
        alike = a_drain("dc", reason="rack").model_copy(update={"deadline_s": DEADLINE_S})
        await it.publish(1, drain(intent(), alike))
        status, told = await it.ask("POST", "/v1/drains", site="dc", reason="rack")
        assert (status, told["undo"], (await it.state()).broken_glass) == (200, None, None)


async def test_only_the_owner_opens_the_socket(tmp_path, clocks):
    async with process(tmp_path) as it:
        assert it.socket.stat().st_mode & 0o777 == 0o600


async def test_a_bug_is_told_without_its_insides_and_changes_nothing(tmp_path, clocks):
    async with process(tmp_path) as it:
        await it.publish(1)
        it.role.chokes_on = {"1.1": ZeroDivisionError("secret")}
        with structlog.testing.capture_logs() as lines:
            status, told = await it.ask("POST", "/v1/drains", site="dc")
        assert (status, "secret" in json.dumps(told), drained(it)) == (500, False, set())
        assert [line["event"] for line in lines] == ["a request failed"]
