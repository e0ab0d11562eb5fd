"""Server-sent events: told at the beginning and at every change, bounded, and ended with control."""

from __future__ import annotations

import asyncio
import itertools
import json

import aiohttp
import pytest

from gslb.control.http import api as api_module
from gslb.control.http import callers, events
from gslb.control.http.api import build_app
from gslb.control.status import UNREACHABLE_S
from gslb.roles.api_listener import serve_tcp
from tests.api.conftest import bearer
from tests.api.test_who_may import problem
from tests.unit.control.world import dns_state, verdict


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(events, "LOOK_S", 0.01)


async def next_state(response):
    """The data of the next event, and how many heartbeats came before."""
    beats = 0
    while True:
        line = (await response.content.readuntil(b"\n\n")).decode()
        beats += line.startswith(":")
        if line.startswith("event: state\n"):
            return json.loads(line.partition("data: ")[2]), beats


async def test_what_changes_is_told_again(api, publisher):
    async with api.get("/v1/events") as response:
        assert response.content_type == "text/event-stream"
        first, _ = await next_state(response)
        assert first["snapshot"]["revision"] == 1
        assert first["roles"]["dns"] == {"state": "ready", "in_sync": True}
        assert first["sites"]["dc"]["apps"]["shop"]["verdict"] == "unknown"
        publisher.hear(dns_state(publisher.snapshot, verdict("shop", "dc", "192.0.2.10", "down", "refused")))
        health, _ = await next_state(response)
        assert health["sites"]["dc"]["apps"]["shop"]["verdict"] == "down"
        assert health["snapshot"] == first["snapshot"]
        await api.post("/v1/drains", json={"site": "dc"}, headers=bearer("operator"))
        drained, _ = await next_state(response)
        assert drained["sites"]["dc"]["drained"]
        assert drained["snapshot"]["overrides"] == first["snapshot"]["overrides"] + 1
        assert not drained["roles"]["dns"]["in_sync"]
        publisher.ages["dns"] = UNREACHABLE_S
        gone, _ = await next_state(response)
        assert gone["roles"]["dns"]["state"] == "unreachable"


async def test_silence_is_told_too(api, publisher, monkeypatch):
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.02)
    async with api.get("/v1/events") as response:
        await next_state(response)
        await response.content.readuntil(b": still here\n\n")
        publisher.ages["dns"] = UNREACHABLE_S
        assert (await next_state(response))[0]["roles"]["dns"]["state"] == "unreachable"


async def test_a_stream_ends_after_a_while(api, monkeypatch):
    monkeypatch.setattr(events, "LASTING_S", 0.05)
    async with api.get("/v1/events") as response:
        assert b"retry: 2000" in await response.read()


async def test_there_are_so_many_listeners_and_a_place_is_free_again(api, monkeypatch):
    monkeypatch.setattr(events, "LIMIT", 2)
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.02)
    held = [await api.get("/v1/events") for _ in range(2)]
    await problem(await api.get("/v1/events"), 503, "host")
    held.pop().close()
    for _ in range(200):
        response = await api.get("/v1/events")
        if response.status == 200:
            break
        await asyncio.sleep(0.01)
    assert response.status == 200
    for one in (*held, response):
        one.close()


async def test_who_is_believed_no_more_hears_no_more(api, publisher, monkeypatch):
    """A token that is taken back while its stream is open: neither the change itself nor what comes after is told."""
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.02)
    async with api.get("/v1/events", headers=bearer("viewer")) as dead, api.get("/v1/events") as free:
        await next_state(dead)
        await next_state(free)
        assert (await api.delete("/v1/tokens/viewer", headers=bearer("admin"))).status == 200
        async with asyncio.timeout(10):
            assert b"data:" not in await dead.content.read()
        assert (await next_state(free))[0]["snapshot"]["overrides"] > 0


async def test_a_token_that_is_over_hears_no_more(api, monkeypatch):
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.02)
    async with api.get("/v1/events", headers=bearer("viewer")) as response:
        await next_state(response)
        monkeypatch.setattr(callers.tokens, "find", lambda *_: None)
        async with asyncio.timeout(10):
            assert b"data:" not in await response.content.read()


async def test_head_does_not_wait(api):
    response = await api.head("/v1/events")
    assert (response.status, response.content_type) == (200, "text/event-stream")


async def test_streams_end_at_once_with_control(publisher):
    listener = await serve_tcp(build_app(publisher, "loopback"), "127.0.7.1", 0)
    url = f"http://127.0.7.1:{listener.address[1]}/v1/events"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        await next_state(response)
        async with asyncio.timeout(0.9):  # below the time that control gives to what is under way
            await listener.cleanup()
            await response.content.read()


async def test_a_listener_that_does_not_read_is_dropped(publisher, address, monkeypatch):
    """Its kernel holds some, then the stream waits, and then it is over."""
    monkeypatch.setattr(api_module, "SLOW_LISTENER_S", 0.1)
    made, numbers = [], itertools.count()

    class Loud(events.Events):
        def __init__(self, publisher):
            super().__init__(publisher)
            made.append(self)

        def _newest(self):
            return b"data: %d" % next(numbers) + b"x" * 1_000_000 + b"\n\n"

    monkeypatch.setattr(api_module, "Events", Loud)
    listener = await serve_tcp(build_app(publisher, "loopback"), "127.0.7.1", 0)
    _reader, writer = await asyncio.open_connection(*listener.address)
    writer.write(b"GET /v1/events HTTP/1.1\r\nHost: 127.0.7.1\r\n\r\n")
    for _ in range(500):
        await asyncio.sleep(0.01)
        if made[0].listeners:
            break
    assert made[0].listeners == 1
    for _ in range(500):
        await asyncio.sleep(0.01)
        if not made[0].listeners:
            break
    assert made[0].listeners == 0
    writer.close()
    await listener.cleanup()
