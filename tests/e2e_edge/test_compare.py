"""Mirrored answers meet in a comparer that is a process of its own, by a real Envoy: what was planted is found, what is
noise is not, and nothing that the comparer does or fails to do reaches a client."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

from gslb.compare.noise import judge
from gslb.control.compared import Compared
from gslb.roles.comparing import ComparerDesk
from gslb.roles.settings import Settings
from gslb.snapshot.types import SiteName
from tests.e2e_edge.conftest import eventually
from tests.support import shop_backend
from tests.support.backend import Backend

PROGRAM = Path(shop_backend.__file__)


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
        mirror = {"to": "new", "percent": 100, "compare": {"sample": 100, **compare}}
        mirror |= {"methods": ["GET", "HEAD", "POST"]}
        route = {"name": "pay", "split": split or {"old": 100}, "mirror": [mirror], "timeout": "5s"}
        backends = {name: {"dc": [service.endpoint]} for name, service in self.services.items()}
        snapshot = self.stage.snapshot(backends, [route])
        self.desk.publish(snapshot)
        await runner.publish(snapshot)

    async def told(self) -> Compared | None:
        answer = await self.desk.comparison("shop/pay")
        return Compared.model_validate_json(answer) if answer is not None else None

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
async def comparing(stage, **options):
    shop = Shop(stage)
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
