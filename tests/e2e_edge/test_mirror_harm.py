"""A mirror whose target is dead, slow, stalled or resets: nobody's request fails or waits, and every copy that was not
made has its reason."""

from __future__ import annotations

import asyncio

import pytest

from gslb.edge.admin import Admin
from gslb.snapshot.intent import MirrorStop, Overrides, Provenance
from tests.e2e_edge.conftest import CHECK, DC, counted, counts, eventually
from tests.e2e_edge.test_routes import upgrade

SICK = {"dead": {}, "stalled": {"stall": "yes"}, "slow": {"delay": "10"}, "resetting": {"reset": "yes"}}


def sick_target(stage, how):
    target = stage.backend("copy", **SICK[how])
    if how == "dead":
        target.kill()
    return target


async def ask_all(stage, workers, each, *asked):
    async def work():
        connection = stage.connection()
        for _ in range(each):
            assert (await connection.ask("/", *asked)).status == 200

    await asyncio.gather(*(work() for _ in range(workers)))


@pytest.mark.parametrize("how", SICK)
async def test_no_request_fails_and_every_copy_is_accounted_for(stage, how):
    old, copy = stage.backend("old"), sick_target(stage, how)
    backends = {"old": {"check": CHECK, "dc": [old.endpoint]}, "copy": {"dc": [copy.endpoint]}}
    route = {"name": "pay", "split": {"old": 100}, "mirror": [{"to": "copy", "percent": 100}], "timeout": "8s"}
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot(backends, [route]))
        await ask_all(stage, 100, 10)
        await ask_all(stage, 1, 200)

        async def accounted():
            got = await counts(runner, "pay")
            return got if got.mirrored + sum(got.skipped.values()) == 1200 else None

        got = await eventually(accounted)
    assert set(got.skipped) <= {"target_down", "target_busy"}
    if how == "dead":
        assert got.mirrored == 0
    else:
        assert 0 < got.mirrored < 1200


async def test_a_target_that_resets_rests_also_where_its_check_is_well(stage):
    old, copy = stage.backend("old"), stage.backend("copy", reset="requests")
    backends = {name: {"check": CHECK, "dc": [one.endpoint]} for name, one in (("old", old), ("copy", copy))}
    route = {"name": "pay", "split": {"old": 100}, "mirror": [{"to": "copy", "percent": 100}]}
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot(backends, [route]))
        await ask_all(stage, 1, 400)
        got = await counted(runner, "pay", 400)
    assert got.mirrored > 0
    assert got.skipped["target_down"] > 200


@pytest.mark.parametrize("protocol", ["http1", "http2"])
async def test_a_body_never_waits_for_a_target_that_does_not_read(stage, protocol):
    """More at once than a mirror may have connections for: the copies that wait hold their bodies by themselves."""
    old, stalled = stage.backend("old"), sick_target(stage, "stalled")
    backends = {"old": {"dc": [old.endpoint]}, "copy": {"protocol": protocol, "dc": [stalled.endpoint]}}
    mirror = {"to": "copy", "percent": 100, "methods": ["POST"], "max_body": 200_000}
    async with stage.edge() as runner:
        route = {"name": "pay", "split": {"old": 100}, "mirror": [mirror], "timeout": "60s"}
        await runner.publish(stage.snapshot(backends, [route]))
        await ask_all(stage, 100, 1, "POST", b"x" * 100_000)
        given_up = await Admin(str(stage.folder / "dc" / "admin.sock")).stats("max_duration_reached")
    assert not any(number for name, number in given_up.items() if "~mirror" in name)


async def test_what_was_not_drawn_and_what_was_stopped_is_counted(stage):
    old, copy = stage.backend("old"), stage.backend("copy")
    backends = {"old": {"dc": [old.endpoint]}, "copy": {"dc": [copy.endpoint]}}
    route = {"name": "pay", "split": {"old": 100}, "mirror": [{"to": "copy", "percent": 25}]}
    stop = Overrides(version=1, mirror_stops=(MirrorStop(by=Provenance(at_s=0.0, author="ann")),))
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot(backends, [route]))
        await ask_all(stage, 4, 100)
        await counted(runner, "pay", 400)
        await runner.publish(stage.snapshot(backends, [route], stop))
        await ask_all(stage, 4, 50)
        got = await counted(runner, "pay", 600)
    assert got.skipped.pop("stopped") == 200
    assert got.mirrored + got.skipped.pop("not_drawn") == 400
    assert got.skipped == {}


async def test_a_websocket_is_never_copied(stage):
    """Envoy would copy every octet of it, for as long as it lasts."""

    async def swallow(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
        await reader.readexactly(10_000_000)
        writer.write(b"done")
        writer.close()

    server, stalled = await asyncio.start_server(swallow, "127.0.7.9", 0), sick_target(stage, "stalled")
    backends = {
        "old": {"dc": [f"127.0.7.9:{server.sockets[0].getsockname()[1]}"]},
        "copy": {"dc": [stalled.endpoint]},
    }
    route = {"name": "ws", "split": {"old": 100}, "websocket": True, "mirror": [{"to": "copy", "percent": 100}]}
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot(backends, [route]))
        reader, writer = await asyncio.open_connection(DC, stage.port)
        writer.write(upgrade("/ws"))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        writer.write(b"x" * 10_000_000)
        assert await reader.readexactly(4) == b"done"
        writer.close()
        got = await counted(runner, "ws", 1)
    server.close()
    assert (got.mirrored, got.skipped) == (0, {"upgrade": 1})
