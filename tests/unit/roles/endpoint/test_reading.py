"""Reading a node's state again and again: what is new comes, what is not costs nothing, and who is gone is missed."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from gslb.control.protocol import RoleState, VerdictState
from gslb.roles.endpoint.node import LOOK_S, serve_unix
from gslb.roles.endpoint.node_client import CONTACT_S, POLL_S, NodeClient
from gslb.roles.publishing.nodes import NodeSet
from tests.unit.roles.node_process import good, process

MANY = 2000


class Heard(NodeClient):
    """Keeps the length of what was answered."""

    def __init__(self, *given):
        super().__init__(*given)
        self.lengths = []

    async def call(self, *given):
        status, body = await super().call(*given)
        self.lengths.append(len(body))
        return status, body


def verdict(number, state="up"):
    return VerdictState(app=f"app{number}", site="dc", address="192.0.2.1", state=state, reason="", since_wall_s=0)


def seeing(role, *verdicts):
    """Makes `role` tell these from now on."""

    async def state():
        return RoleState(name="dns", role="dns", pid=1, started_wall_s=0, ready=True, verdicts=verdicts)

    role.state = state


async def test_of_a_state_that_has_not_changed_nothing_is_read_but_its_ages(tmp_path, clocks):
    await good(tmp_path, clocks, 1)
    async with process(tmp_path) as it:
        client = Heard("m1/dns", it.socket)
        verdicts = tuple(map(verdict, range(MANY)))
        seeing(it.role, *verdicts)
        await client.read()
        clocks(100)
        before = client.state
        await client.read()
        assert client.lengths[1] < 2000 < client.lengths[0]
        assert client.state.snapshot_age_s == before.snapshot_age_s + 100
        assert client.state.control_silence_s == 100
        assert client.state.name == "m1/dns"
        assert client.state.verdicts is before.verdicts
        await client.close()


async def test_a_verdict_that_changed_is_seen_at_the_next_reading_and_comes_alone(tmp_path):
    async with process(tmp_path) as it:
        client = Heard("dns", it.socket)
        seeing(it.role, *map(verdict, range(MANY)))
        await client.read()
        seeing(it.role, *map(verdict, range(MANY - 1)), verdict(MANY - 1, "down"))
        await client.read()
        assert client.state.verdicts[-1].state == "down"
        assert client.lengths[-1] < 2000
        await client.close()


async def timed(reading):
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    await reading
    return loop.time() - began_s


async def test_while_nothing_is_new_the_answer_waits_and_has_no_body_and_ages_count_on(tmp_path):
    async with process(tmp_path) as it:
        await it.publish(1)
        client, made = Heard("dns", it.socket), []
        seeing(it.role, *map(verdict, range(MANY)))
        telling = it.role.state

        async def counted():
            made.append(1)
            return await telling()

        it.role.state = counted
        await client.read()
        before, heard_s = client.state, client.heard_mono_s
        assert POLL_S - 0.1 < await timed(client.read(POLL_S)) < POLL_S + 0.9
        assert client.lengths[-1] == 0
        assert len(made) == 3, "at once, and after a second; never oftener"
        assert client.state.verdicts is before.verdicts
        passed_s = client.heard_mono_s - heard_s
        assert client.state.snapshot_age_s == pytest.approx(before.snapshot_age_s + passed_s)
        assert client.state.control_silence_s == pytest.approx(passed_s)
        await client.close()


async def test_who_waits_hears_of_a_change_within_a_second(tmp_path):
    async with process(tmp_path) as it:
        seeing(it.role, verdict(1))
        await it.client.read()

        async def fall():
            await asyncio.sleep(0.2)
            seeing(it.role, verdict(1, "down"))

        took_s, _ = await asyncio.gather(timed(it.client.read(POLL_S)), fall())
        assert took_s < LOOK_S + 0.5
        assert it.client.state.verdicts == (verdict(1, "down"),)


async def test_what_changed_since_the_last_reading_waits_for_nothing_nor_does_who_asks_as_nobody_would(tmp_path):
    async with process(tmp_path) as it:
        seeing(it.role, verdict(1))
        await it.client.read()
        seeing(it.role, verdict(1, "down"))
        assert await timed(it.client.read(POLL_S)) < 0.9
        for text in ("-1", "x", "1e9", "9" * 20, "²"):
            mark = it.client.state.mark
            asked = it.ask("GET", f"/state?since={mark.life}-{mark.number}&wait_ms={text}")
            assert await timed(asked) < 0.9


async def test_a_node_that_ends_lets_nobody_wait(tmp_path):
    async with process(tmp_path) as it:
        await it.client.read()

        async def end():
            await asyncio.sleep(0.2)
            return await timed(it.server.cleanup())

        _, took_s = await asyncio.gather(it.client.read(POLL_S), end())
        assert took_s < 0.9


async def test_what_came_into_force_is_seen_at_the_next_reading(tmp_path):
    async with process(tmp_path) as it:
        assert (await it.state()).applied is None
        await it.publish(1)
        assert (await it.state()).applied.revision == 1


async def test_a_node_that_restarts_tells_everything_anew(tmp_path):
    client = NodeClient("dns", tmp_path / "dns.sock")
    for revision in (1, 2):
        async with process(tmp_path) as it:
            await it.publish(revision)
            await client.read()
            assert client.state.applied.revision == revision
    await client.close()


async def test_who_asks_as_older_controls_do_gets_what_they_got(tmp_path):
    async with process(tmp_path) as it:
        for _ in range(2):
            status, told = await it.ask("GET", "/state")
            assert (status, told["name"], told["ready"]) == (200, "dns", True)


async def test_an_older_node_tells_everything_each_time(tmp_path):
    counts = iter(range(1, 9))

    async def whole(_request):
        text = RoleState(name="dns", role="dns", pid=next(counts), started_wall_s=0).model_dump_json(exclude={"mark"})
        return web.Response(text=text, content_type="application/json")

    app = web.Application()
    app.router.add_get("/state", whole)
    server, client = await serve_unix(app, tmp_path / "dns.sock"), NodeClient("dns", tmp_path / "dns.sock")
    for pid in (1, 2):
        await client.read()
        assert (client.state.pid, client.state.mark) == (pid, None)
    await client.close()
    await server.cleanup()


@pytest.mark.parametrize("how", ["frozen", "dead"])
async def test_a_node_that_is_gone_is_missed_and_its_last_state_is_kept(tmp_path, how):
    """After three rounds: that is what `reachable` says of its silence, which nothing here shortens."""
    async with process(tmp_path) as it, asyncio.TaskGroup() as tasks:
        nodes = NodeSet([NodeClient("dns", it.socket)])
        watching = tasks.create_task(nodes.watch())
        (node,) = nodes.own
        async with asyncio.timeout(10):
            while node.state is None:
                await asyncio.sleep(0.05)
        await asyncio.sleep(1.5 * CONTACT_S)
        assert node.reachable
        if how == "frozen":
            it.role.state = asyncio.Event().wait
        else:
            await it.server.cleanup()
        async with asyncio.timeout(10):
            while node.reachable:
                await asyncio.sleep(0.05)
        assert node.state.ready
        watching.cancel()
        await nodes.close()
