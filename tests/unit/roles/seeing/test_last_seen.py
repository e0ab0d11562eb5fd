"""What was believed last: kept, aged, and used by a dns role that starts while a dead edge keeps it waiting."""

import asyncio
import json
import socket
from ipaddress import ip_address

import pytest

from gslb import clock
from gslb.roles.dns import DnsRole
from gslb.roles.seeing.last_seen import OLDEST_S, LastSeen
from gslb.snapshot.types import AppName, LiveState, Verdict
from tests.support.ports import free_port
from tests.unit.dns.policies import app, snapshot
from tests.unit.roles.seeing.test_loads import settings, told

DEAD, ALIVE = ("shop", ip_address("127.0.7.81")), ("shop", ip_address("127.0.7.82"))
LIVE = LiveState(1, {DEAD: Verdict("down", "it is dead", 5.0, 3.0), ALIVE: Verdict("up", "", 6.0)})


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    monkeypatch.setattr("gslb.roles.seeing.last_seen.KEEP_S", 0.02)


async def keep(folder, live=LIVE):
    async with asyncio.TaskGroup() as group:
        task = group.create_task(LastSeen(folder).keep(lambda: live))
        async with asyncio.timeout(10):
            while not (folder / "last-seen.json").exists():
                await asyncio.sleep(0.01)
        task.cancel()


async def test_what_was_believed_stands_under_what_is_known_now(tmp_path):
    await keep(tmp_path)
    it = LastSeen(tmp_path)
    assert it.covers({DEAD, ALIVE})
    assert not it.covers({DEAD, (AppName("blog"), DEAD[1])}), "what is new must be looked at first"
    unknown = LiveState(1, {DEAD: Verdict("unknown", "", 9.0), ALIVE: Verdict("down", "now", 9.0)})
    seen = it.under(unknown).verdicts
    assert (seen[DEAD].state, seen[DEAD].reason, seen[ALIVE].reason) == ("down", "it is dead", "now")
    assert it.under(LiveState()).verdicts == {}, "only what is watched"
    it.forget()
    assert it.under(unknown) is unknown


@pytest.mark.parametrize(("age_s", "believed"), [(0, True), (OLDEST_S - 5, True), (OLDEST_S + 5, False), (-60, False)])
async def test_what_is_too_old_or_of_tomorrow_is_not_believed(tmp_path, age_s, believed):
    await keep(tmp_path)
    path = tmp_path / "last-seen.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"kept_wall_s": clock.wall_s() - age_s}))
    assert LastSeen(tmp_path).covers({DEAD}) == believed


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"kept_wall_s": "x"}', '{"verdicts": [{"app": 1}], "kept_wall_s": 1}']
)
def test_what_does_not_read_is_as_good_as_nothing(tmp_path, text):
    (tmp_path / "last-seen.json").write_text(text)
    assert not LastSeen(tmp_path).covers({DEAD})


async def test_nothing_is_kept_while_nothing_is_known(tmp_path):
    unknown = LiveState(1, {DEAD: Verdict("unknown", "", 9.0)})
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await LastSeen(tmp_path).keep(lambda: unknown)
    assert not (tmp_path / "last-seen.json").exists()


def silent_sites(port):
    """Two sites: one whose edge takes connections and never answers, and one that answers 200 to everything."""
    return {
        name: {"edges": [{"public": str(address)}], "listen": {"http": port}}
        for name, (_, address) in (("dc", DEAD), ("aws", ALIVE))
    }


@pytest.mark.parametrize("remembers", [True, False])
async def test_a_role_that_starts_answers_at_once_with_what_it_believed_and_probes_meanwhile(tmp_path, remembers):
    port = free_port("127.0.7.81")
    frozen = socket.create_server(("127.0.7.81", port))

    async def good(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(good, "127.0.7.82", port)
    if remembers:
        await keep(tmp_path)
    role = DnsRole(settings(tmp_path), tmp_path)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(role.prober.run()), group.create_task(role.keep_last_seen())]
        started_s = clock.mono_s()
        await role.publish(snapshot({"shop": app("healthy", {"first": 1}, ttl="1s")}, sites=silent_sites(port)))
        took_s = clock.mono_s() - started_s
        assert await told(role) == ["127.0.7.82"]
        assert (took_s < 0.8) == remembers, took_s
        await role.prober.first_round()
        role.judge.look()
        assert await told(role) == ["127.0.7.82"]
        for task in tasks:
            task.cancel()
    await role.responder.close()
    server.close()
    frozen.close()
