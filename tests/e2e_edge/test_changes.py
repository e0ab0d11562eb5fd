"""Changes under load: nothing is lost, and a change that Envoy refuses changes nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from contextlib import suppress

import pytest

from gslb import clock
from gslb.errors import HostError, RefusedError
from gslb.snapshot.intent import Drain, Overrides, Provenance
from tests.e2e_edge.conftest import CHECK, DC, HOST, counted, eventually, seen
from tests.support.http1 import load


def both_sides(stage):
    old, new, far = stage.backend("old"), stage.backend("new"), stage.backend("far")
    return {"old": {"check": CHECK, "dc": [old.endpoint], "aws": [far.endpoint]}, "new": {"dc": [new.endpoint]}}


async def test_twenty_share_changes_under_load_lose_no_request(stage):
    backends = both_sides(stage)
    async with stage.edge() as runner:
        for sticky in ({}, {"sticky": "cookie"}):
            routes = [{"name": "pay", "split": {"old": 100, "new": 0}, **sticky}]
            await runner.publish(stage.snapshot(backends, routes))
            async with load(DC, stage.port, HOST, "/") as result:
                for percent in range(5, 101, 5):
                    routes = [{"name": "pay", "split": {"old": 100 - percent, "new": percent}, **sticky}]
                    await runner.publish(stage.snapshot(backends, routes))
                    before = result.total
                    await eventually(lambda before=before: _grown(result, before + 20))
            assert not result.failures
            assert result.answered["old"]
            assert result.answered["new"]


async def _grown(result, total):
    return result.total >= total


async def test_routes_and_backends_come_and_go_under_load(stage):
    backends = both_sides(stage)
    more = {**backends, "extra": {"check": CHECK, "dc": [stage.backend("extra").endpoint]}}
    rest = {"name": "rest", "split": {"old": 100}}
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot(backends, [rest]))
        async with load(DC, stage.port, HOST, "/cart") as result:
            for _ in range(5):
                await runner.publish(
                    stage.snapshot(more, [{"name": "cart", "match": {"path": "/cart"}, "split": {"extra": 100}}, rest])
                )
                with_extra = result.answered["extra"]
                await eventually(lambda n=with_extra: _grown_by("extra", result, n))
                await runner.publish(stage.snapshot(backends, [rest]))
                with_old = result.answered["old"]
                await eventually(lambda n=with_old: _grown_by("old", result, n))
        assert not result.failures


async def _grown_by(name, result, before):
    return result.answered[name] > before + 5


async def test_a_drain_sends_requests_on_tells_connections_to_go_and_survives_a_restart(stage):
    backends = both_sides(stage)
    routes = [{"name": "pay", "split": {"old": 100}}]
    drained = Overrides(version=1, drains=(Drain(site="dc", by=Provenance(at_s=0)),))
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot(backends, routes))
        async with load(DC, stage.port, HOST, "/") as result:
            for _ in range(3):
                await runner.publish(stage.snapshot(backends, routes, drained))
                await eventually(lambda n=result.answered["far"]: _grown_by("far", result, n))
                await runner.publish(stage.snapshot(backends, routes))
                await eventually(lambda n=result.answered["old"]: _grown_by("old", result, n))
        assert not result.failures
        assert result.closes > 0

        await runner.publish(stage.snapshot(backends, routes, drained))
        envoy, _ = await runner.state()
        os.kill(envoy.pid, signal.SIGKILL)

        async def live_again():
            now, _ = await runner.state()
            return now.state == "live" and now.pid != envoy.pid

        await eventually(live_again)
        reply = await stage.connection().ask("/")
        assert (reply.json()["name"], reply.get("connection")) == ("far", "close")


async def test_an_envoy_that_was_told_to_go_is_adopted(stage):
    backends, routes = both_sides(stage), [{"name": "pay", "split": {"old": 100}}]
    drained = Overrides(version=1, drains=(Drain(site="dc", by=Provenance(at_s=0)),))
    async with stage.edge(end_envoy=False) as runner:
        await runner.publish(stage.snapshot(backends, routes, drained))
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot(backends, routes))
        envoy, _ = await runner.state()
        assert (envoy.adopted, envoy.state) == (True, "live")
        reply = await stage.connection().ask("/")
        assert (reply.json()["name"], reply.get("connection")) == ("old", None)


async def test_a_refused_address_changes_nothing(stage):
    backends, routes = both_sides(stage), [{"name": "pay", "split": {"old": 100}}]
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot(backends, routes))
        elsewhere = stage.snapshot(backends, [{"name": "pay", "split": {"new": 100}}], dc="192.0.2.77")
        with pytest.raises(HostError, match=r"192\.0\.2\.77:\d+ cannot be bound"):
            await runner.publish(elsewhere)
        assert (await stage.connection().ask("/")).json()["name"] == "old"


async def test_a_policy_that_envoy_cannot_take_is_refused_in_prepare_and_in_publish(stage):
    backends, good = both_sides(stage), [{"name": "pay", "split": {"old": 100}}]
    bad = [{"name": "pay", "match": {"regex": "/(?=x)"}, "split": {"new": 100}}]
    async with stage.edge() as runner:
        await runner.prepare(stage.snapshot(backends, good))
        await runner.publish(stage.snapshot(backends, good))
        with pytest.raises(RefusedError, match=r"\(\?=") as refusal:
            await runner.prepare(stage.snapshot(backends, bad))
        assert refusal.value.rule == "envoy-validate"
        async with load(DC, stage.port, HOST, "/") as result:
            with pytest.raises(RefusedError, match=r"\(\?=") as refusal:
                await runner.publish(stage.snapshot(backends, bad))
            assert refusal.value.rule == "envoy-refused"
            await runner.publish(stage.snapshot(backends, [{"name": "pay", "split": {"new": 100}}]))
            await eventually(lambda: _grown_by("new", result, 0))
        assert not result.failures


async def test_the_first_policy_may_be_refused_too(stage):
    backends = both_sides(stage)
    async with stage.edge() as runner:
        with pytest.raises(RefusedError):
            await runner.publish(
                stage.snapshot(backends, [{"name": "pay", "match": {"regex": "/(?=x)"}, "split": {"old": 100}}])
            )
        await runner.publish(stage.snapshot(backends, [{"name": "pay", "split": {"old": 100}}]))
        assert (await stage.connection().ask("/")).status == 200


async def test_an_address_in_use_is_named_before_anything_starts(stage):
    with socket.create_server((DC, stage.port), reuse_port=True):
        async with stage.edge() as runner:
            with pytest.raises(HostError, match=rf"{DC}:{stage.port} cannot be bound") as refusal:
                await runner.publish(stage.snapshot(both_sides(stage), [{"name": "pay", "split": {"old": 100}}]))
            assert "another Envoy" in refusal.value.remedy
            assert not list((stage.folder / "dc" / "lds").iterdir())


async def test_counts_of_a_split_begin_again_when_it_changes_and_only_then(stage):
    backends = both_sides(stage)

    def routes(percent):
        return [
            {"name": "pay", "match": {"path": "/pay"}, "split": {"old": 100 - percent, "new": percent}},
            {"name": "rest", "split": {"old": 100}},
        ]

    async with stage.edge() as runner:
        await runner.publish(stage.snapshot(backends, routes(10)))
        connection = stage.connection()
        for _ in range(10):
            await connection.ask("/pay/x")
            await connection.ask("/payment")
        assert (await counted(runner, "rest", 10)).requests == {"old": 10}
        await counted(runner, "pay", 10)
        await runner.publish(stage.snapshot(backends, routes(0)))
        await counted(runner, "pay", 0)
        for _ in range(5):
            await connection.ask("/pay")
        assert (await counted(runner, "pay", 5)).requests == {"old": 5, "new": 0}
        assert (await counted(runner, "rest", 10)).requests == {"old": 10}


async def test_unknown_hosts_and_smuggled_paths_are_turned_away(stage):
    backends = both_sides(stage)
    async with stage.edge() as runner:
        await runner.publish(
            stage.snapshot(backends, [{"name": "pay", "match": {"path": "/pay/"}, "split": {"old": 100}}])
        )
        connection = stage.connection()
        assert [(await connection.ask(path)).status for path in ("/pay", "/pay/", "/pay/a", "//pay", "/x/../pay")] == [
            200
        ] * 5
        assert [(await connection.ask(path)).status for path in ("/payx", "/", "/pay%2fx")] == [404, 404, 400]
        assert (await connection.ask("/pay", x_under="1")).get("server") == "test-backend"
        for host, status in ((f"{HOST}:8080", 200), (f"{HOST}.", 200), (HOST.upper(), 200), ("other.test", 404)):
            connection.host = host
            assert (await connection.ask("/pay")).status == status


async def test_the_front_door_answers_for_the_local_backend_and_counts_nothing(stage):
    near, far = stage.backend("near"), stage.backend("far")
    backends = {
        "old": {"check": CHECK, "dc": [near.endpoint], "aws": [far.endpoint]},
        "new": {"check": CHECK, "aws": [far.endpoint]},
    }
    routes = [
        {"name": "pay", "match": {"path": "/pay"}, "split": {"new": 100}},
        {"name": "rest", "split": {"old": 100}},
    ]
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot(backends, routes))
        connection = stage.connection()
        for backend in ("old", "new"):
            assert (await connection.ask("/healthz", x_gslb_probe=backend)).status == 200
        near.kill()

        async def down():
            return (await connection.ask("/healthz", x_gslb_probe="old")).status == 503

        await eventually(down)
        assert (await connection.ask("/healthz", x_gslb_probe="new")).status == 200
        assert (await connection.ask("/x")).json()["name"] == "far"
        assert (await counted(runner, "rest", 1)).requests == {"old": 1}
        assert (await counted(runner, "pay", 0)).requests == {"new": 0}


async def test_an_app_without_checks_is_probed_at_the_edge(stage):
    old = stage.backend("old")
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot({"old": {"dc": [old.endpoint]}}, [{"name": "all", "split": {"old": 100}}]))
        assert (await stage.connection().ask("/", x_gslb_probe="edge")).body == b""
        assert await seen(old) == []


async def test_an_identical_snapshot_writes_nothing(stage):
    backends, routes = both_sides(stage), [{"name": "pay", "split": {"old": 100}}]
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot(backends, routes))
        before = {path: path.stat().st_ino for path in (stage.folder / "dc").glob("?ds/*.json")}
        await runner.publish(stage.snapshot(backends, routes))
        assert len(before) == 3
        assert {path: path.stat().st_ino for path in before} == before
        await asyncio.sleep(0)


async def test_after_the_deadline_of_a_drain_what_is_still_open_is_closed_and_who_comes_is_served(stage):
    backends = both_sides(stage)
    routes = [{"name": "pay", "split": {"old": 100}, "timeout": "1h", "retries": 0}]
    soon = Drain(site="dc", deadline_s=3.0, by=Provenance(at_s=clock.wall_s()))
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot(backends, routes))
        endless, _ = await _begin(stage, "/~stream")
        idle, _ = await _begin(stage, "/")
        await idle.readuntil(b"}")
        await runner.publish(stage.snapshot(backends, routes, Overrides(version=1, drains=(soon,))))
        assert b"more" in await endless.readuntil(b"more\n"), "told to go, and not cut before the deadline"
        async with load(DC, stage.port, HOST, "/") as result, asyncio.timeout(30):
            with suppress(asyncio.IncompleteReadError, ConnectionResetError):
                while await endless.read(65536):
                    pass
            assert clock.wall_s() >= soon.by.at_s + 3.0
            await idle.read()  # to its end
            await eventually(lambda n=result.answered["far"]: _grown_by("far", result, n))
        assert not result.failures

        async def nobody_stays():
            await runner.state()
            return runner.arrivals().connections == 0

        await eventually(nobody_stays)


async def _begin(stage, path):
    reader, writer = await asyncio.open_connection(DC, stage.port)
    stage.stack.callback(writer.close)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: {HOST}\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer
