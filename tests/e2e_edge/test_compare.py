"""Mirrored answers meet in a comparer that is a process of its own, by a real Envoy: what was planted is found, what is
noise is not, and nothing that the comparer does or fails to do reaches a client."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2_grpc

from gslb.compare.noise import judge
from gslb.control.compared import Compared
from gslb.roles.comparisons.comparing import ComparerDesk
from gslb.roles.settings import Settings
from gslb.snapshot.intent import MirrorStop, Overrides, Provenance
from gslb.snapshot.types import SiteName
from tests.e2e_edge.conftest import DC, HOST
from tests.e2e_edge.conftest import eventually as within
from tests.e2e_edge.conftest import seen as requests_of
from tests.support import shop_backend
from tests.support.backend import Backend
from tests.support.http1 import load
from tests.support.http2 import http2

PROGRAM = Path(shop_backend.__file__)


async def eventually(question):
    """A comparer has the lowest priority: beside other work it takes long."""
    return await within(question, 90.0)


class Shop:
    """An old and a new service behind an edge that compares them, and a comparer."""

    def __init__(self, stage) -> None:
        self.stage = stage
        self.settings = Settings(runtime=stage.folder, data=stage.folder, sites=("dc",))
        self.settings.save()
        self.desk = ComparerDesk(self.settings, SiteName("dc"))
        self.services = {name: Backend(name, "127.0.7.9", program=PROGRAM) for name in ("old", "new")}
        for service in self.services.values():
            stage.stack.callback(service.kill)
        self.process = None

    def start(self) -> None:
        command = [
            sys.executable,
            "-m",
            "gslb.roles",
            "comparer",
            "--settings",
            str(self.stage.folder / "settings.json"),
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self.stage.stack.callback(self.end)

    def end(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    async def publish(self, runner, split=None, **compare):
        snapshot = self.stage.snapshot(self.backends(), [self.route(split, **compare)])
        self.desk.publish(snapshot)
        await runner.publish(snapshot)

    def backends(self):
        return {name: {"dc": [service.endpoint]} for name, service in self.services.items()}

    def route(self, split=None, **compare):
        mirror = {"to": "new", "percent": 100, "compare": {"sample": 100, **compare}}
        mirror |= {"methods": ["GET", "HEAD", "POST"]}
        return {"name": "pay", "split": split or {"old": 100}, "mirror": [mirror], "timeout": "5s"}

    async def told(self) -> Compared | None:
        answer = await self.desk.comparison("shop/pay")
        return Compared.model_validate_json(answer) if answer is not None else None

    async def state(self):
        state = await self.desk._read_state()
        return state if state is not None and state.waiting == 0 else None

    async def pairs(self, number: int) -> Compared:
        async def enough():
            found = await self.told()
            return found if found is not None and found.pairs >= number else None

        return await eventually(enough)

    async def ask(self, times: int, path: str = "/shop", method: str = "GET"):
        """One after the other: the comparer may be slow, and must not lose any of few."""
        connection = self.stage.connection()
        replies = []
        for _ in range(times):
            replies.append(await connection.ask(path, method, b"" if method == "POST" else None))
            await asyncio.sleep(0.01)
        return replies


@asynccontextmanager
async def comparing(stage, shop=None, **options):
    shop = shop or Shop(stage)
    async with stage.edge() as runner:
        await shop.publish(runner, **options)
        shop.start()
        await eventually(shop.told)
        yield shop, runner


def verdicts(told: Compared) -> dict:
    return {(item.path, item.kind): judge(item.seen, item.both, item.only_new, item.only_old) for item in told.fields}


async def test_what_was_planted_is_found_and_what_is_noise_is_not(stage):
    async with comparing(stage) as (shop, _):
        replies = await shop.ask(30)
        told = await shop.pairs(30)
    assert {reply.status for reply in replies} == {200}
    assert (told.pairs, told.measured, told.different, told.by_target) == (30, 30, 30, 0)
    found = verdicts(told)
    assert {key for key, verdict in found.items() if verdict == "difference"} == shop_backend.PLANTED
    noise = {("body.at", "value"), ("body.request_id", "value"), ("header.x-trace", "value")}
    assert {key for key, verdict in found.items() if verdict == "noise"} == noise
    assert found.keys() == shop_backend.PLANTED | noise


async def test_each_kind_of_body_and_a_status(stage):
    async with comparing(stage) as (shop, _):
        for path, times in (("/broken", 20), ("/text", 20), ("/big", 20)):
            await shop.ask(times, path)
        told = await shop.pairs(60)
    found = {key for key, verdict in verdicts(told).items() if verdict == "difference"}
    assert found == {("status", "200 to 500"), ("body", "text"), ("body", "hash")}
    (big,) = [item for item in told.fields if (item.path, item.kind) == ("body", "hash")]
    assert big.old.startswith("160000 octets, ")
    assert big.old != big.new


class Cart(health_pb2_grpc.HealthServicer):
    """Answers with headers, and then with an error of its own in the trailers."""

    def __init__(self, code) -> None:
        self.code = code

    async def Check(self, request, context):
        await context.send_initial_metadata(())
        await context.abort(self.code, "no such cart")


class GrpcShop(Shop):
    def backends(self):
        return {name: {"protocol": "http2", "dc": [endpoint]} for name, endpoint in self.carts.items()}

    async def serve(self, **codes) -> None:
        self.carts = {}
        for name, code in codes.items():
            server = grpc.aio.server()
            health_pb2_grpc.add_HealthServicer_to_server(Cart(code), server)
            self.carts[name] = f"127.0.7.9:{server.add_insecure_port('127.0.7.9:0')}"
            await server.start()
            self.stage.stack.push_async_callback(server.stop, 0)

    async def call(self) -> None:
        """By a client that states its content-length: without, a call is not copied."""
        fields = {
            ":method": "POST", ":scheme": "http", ":authority": HOST, ":path": "/grpc.health.v1.Health/Check",
            "content-type": "application/grpc", "te": "trailers", "content-length": "5",
        }  # fmt: skip
        async with http2(DC, self.stage.port) as connection:
            connection.request(1, fields.items(), bytes(5))
            assert (await connection.outcome(1)).status == 200
            async for frame in connection.frames():
                if "END_STREAM" in frame.flags:
                    return


async def test_what_a_grpc_service_says_in_trailers_is_compared(stage):
    shop = GrpcShop(stage)
    await shop.serve(old=grpc.StatusCode.NOT_FOUND, new=grpc.StatusCode.INTERNAL)
    async with comparing(stage, shop):
        for _ in range(15):
            await shop.call()
        told = await shop.pairs(15)
    found = {item.path: (item.old, item.new) for item in told.fields}
    assert found == {"header.grpc-status": ("5", "13")}


async def test_nothing_that_a_service_keeps_secret_is_told(stage):
    async with comparing(stage, redact=["body.items"]) as (shop, _):
        await shop.ask(15, f"/shop?token={shop_backend.SECRET}&q=1")
        told = await shop.pairs(15)
    text = told.model_dump_json()
    assert told.samples
    assert shop_backend.SECRET not in text
    assert "ann@example.com" not in text
    assert {(item.old, item.new) for item in told.fields if "items" in item.path} == {("[redacted]", "[redacted]")}


async def test_what_the_target_answers_itself_is_no_difference_and_the_old_side_is_compared_all_the_same(stage):
    async with comparing(stage, split={"old": 0, "new": 100}) as (shop, _):
        await shop.ask(30)
        told = await shop.pairs(30)
    assert (told.by_target, told.measured) == (30, 30)
    assert {key for key, verdict in verdicts(told).items() if verdict == "difference"} == shop_backend.PLANTED


async def test_an_unsafe_request_never_reaches_the_old_side_twice(stage):
    async with comparing(stage) as (shop, runner):
        seen = Backend("seen", "127.0.7.9")
        stage.stack.callback(seen.kill)
        shop.services["old"] = seen
        await shop.publish(runner)
        await shop.ask(5, method="POST")
        await shop.ask(5)
        told = await shop.pairs(10)
        requests = await requests_of(seen)
    assert [item["method"] for item in requests].count("POST") == 5
    marked = [item["headers"].get("x-gslb-shadow") for item in requests if item["method"] == "GET"]
    assert sorted(marked, key=str) == ["1"] * 5 + [None] * 5
    assert (told.pairs, told.measured) == (10, 5)


async def test_copies_without_credentials_are_told_as_refusals_and_with_them_they_are_compared(stage):
    async with comparing(stage) as (shop, _):
        connection = stage.connection()
        for _number in range(15):
            assert (await connection.ask("/private", authorization="Bearer x")).status == 200
        told = await shop.pairs(15)
    assert told.refused == 15
    assert "difference" not in verdicts(told).values()


async def test_a_stopped_mirror_captures_nothing(stage):
    async with comparing(stage) as (shop, runner):
        await shop.ask(3)
        await shop.pairs(3)
        stop = MirrorStop(app="shop", by=Provenance(author="ann", at_s=0.0))
        await runner.publish(
            stage.snapshot(shop.backends(), [shop.route()], Overrides(version=1, mirror_stops=(stop,)))
        )
        await shop.ask(5)
        state = await eventually(shop.state)
    assert state.captures["taken"] == 9


@pytest.mark.parametrize("trouble", ["killed", "stopped", "never there"])
async def test_no_request_waits_for_a_comparer(stage, trouble):
    """Every request is sampled, and answered at once whatever the comparer does; afterwards it compares again."""
    shop = Shop(stage)
    async with stage.edge() as runner:
        await shop.publish(runner)
        if trouble != "never there":
            shop.start()
            await eventually(shop.told)
            async with load(DC, stage.port, HOST, "/shop", workers=4) as before:
                await asyncio.sleep(0.5)
            assert before.failures == {}
            os.kill(shop.process.pid, signal.SIGKILL if trouble == "killed" else signal.SIGSTOP)
        async with load(DC, stage.port, HOST, "/shop", workers=4) as meanwhile:
            await asyncio.sleep(3.0)
        assert meanwhile.failures == {}
        assert meanwhile.total > 100

        async def dropped():
            await runner.state()
            return runner.captures_dropped() if trouble == "stopped" else 1

        assert await eventually(dropped)
        shop.end()
        shop.start()
        await eventually(shop.told)
        await shop.ask(10)
        assert (await shop.pairs(5)).pairs >= 5


async def test_status_time_and_size_of_everything_that_is_mirrored_sampled_or_not(stage):
    async with comparing(stage, sample=1) as (shop, _):
        await shop.ask(30, "/broken")
        await shop.ask(30, "/big")

        async def counted():
            found = await shop.told()
            return found.traffic if found and found.traffic.pairs == 60 else None

        traffic = await eventually(counted)
    assert (traffic.old.statuses, traffic.new.statuses) == ({200: 60}, {200: 30, 500: 30})
    assert traffic.changes == {"200 500": 30}
    assert traffic.old.size_bytes > traffic.new.size_bytes > 30 * 160_000
    assert sum(traffic.old.times.values()) == sum(traffic.new.times.values()) == 60
