"""The running demo, driven as its user drives it: the command line, DNS packets, HTTP requests, signals."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import dns.asyncquery
import dns.message

from gslb import clock

ROOT = Path(__file__).parents[2]
GSLB = [str(Path(sys.executable).parent / "gslb")]
HOST = "shop.gslb.test"
EDGES = {"dc": "127.0.1.1:8080", "aws": "127.0.2.1:8080"}
ADDRESS = {"dc": "127.0.1.1", "aws": "127.0.2.1"}
DNS_PORT = 5300


class Result:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self):
        return json.loads(self.out)


class RunningDemo:
    def __init__(self, process, facts, policy: Path, env, log: Path) -> None:
        self.process, self.facts, self.policy, self.env, self.log = process, facts, policy, env, log
        self.session = aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(), connector=aiohttp.TCPConnector(limit=64)
        )

    # what a user types

    async def gslb(self, *args: str) -> Result:
        return await run_gslb(*args, env=self.env)

    async def status(self):
        result = await self.gslb("status", "--json")
        assert result.code == 0, result.err
        return result.json

    def edit(self, old: str, new: str) -> None:
        file = self.policy / "demo.yaml"
        text = file.read_text()
        assert old in text
        aside = file.with_suffix(".tmp")
        aside.write_text(text.replace(old, new))
        aside.rename(file)

    # what clients send

    async def ask(self, name: str = HOST, rdtype: str = "A"):
        return await dns.asyncquery.udp(dns.message.make_query(name, rdtype), "127.0.0.1", port=DNS_PORT, timeout=3)

    async def addresses(self, rdtype: str = "A") -> list[str]:
        reply = await self.ask(rdtype=rdtype)
        return [item.to_text() for rrset in reply.answer for item in rrset]

    async def answered_sites(self, times: int = 60) -> Counter:
        """Which addresses many answers hold."""
        seen: Counter = Counter()
        for _ in range(times):
            seen.update(await self.addresses())
        return seen

    async def fetch(self, path: str, site: str = "dc", method: str = "GET", headers=None, data=None):
        """(status, JSON body or None, response headers)"""
        async with self.session.request(
            method, f"http://{EDGES[site]}{path}", headers={"host": HOST, **(headers or {})}, data=data,
            timeout=aiohttp.ClientTimeout(total=20),
        ) as response:  # fmt: skip
            raw = await response.read()
            return response.status, (json.loads(raw) if raw.startswith(b"{") else None), response.headers

    async def services(self, path: str, times: int, site: str = "dc", width: int = 16) -> Counter:
        """How often each (service, site) answered; anything but 200 counts by its status."""
        seen: Counter = Counter()

        async def some(count: int) -> None:
            for _ in range(count):
                status, body, _headers = await self.fetch(path, site)
                seen[(body["service"], body["site"]) if status == 200 else status] += 1

        async with asyncio.TaskGroup() as group:
            for index in range(width):
                group.create_task(some(times // width + (index < times % width)))
        return seen

    async def hits(self, service: str, site: str) -> dict:
        address = next(b["address"] for b in self.facts["backends"] if (b["service"], b["site"]) == (service, site))
        async with self.session.get(f"http://{address}/__hits") as response:
            return await response.json()

    # what breaks

    def backend_pid(self, service: str, site: str) -> int:
        return next(b["pid"] for b in self.facts["backends"] if (b["service"], b["site"]) == (service, site))

    async def envoy_pid(self, site: str) -> int | None:
        return (await self.status())["edges"][site]["pid"]

    @asynccontextmanager
    async def load(self, path: str, rate: int = 300, site: str = "dc"):
        """Steady GETs meanwhile; yields the counter of outcomes, complete when the block has ended."""
        outcomes: Counter = Counter()
        stop = asyncio.Event()

        async def one() -> None:
            try:
                status, _body, _headers = await self.fetch(path, site)
                outcomes[status] += 1
            except Exception as error:
                outcomes[repr(error)] += 1

        async def drive(group) -> None:
            while not stop.is_set():
                group.create_task(one())
                await asyncio.sleep(1 / rate)

        async with asyncio.TaskGroup() as group:
            group.create_task(drive(group))
            yield outcomes
            stop.set()


async def run_gslb(*args: str, env=None) -> Result:
    process = await asyncio.create_subprocess_exec(
        *GSLB, *args, env=env, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return Result(process.returncode, out.decode(), err.decode())


async def eventually(check, within_s: float = 15.0, what: str = ""):
    """Wait until `check()` is true; the limit is for a broken system, not a measurement."""
    until = clock.mono_s() + within_s
    while True:
        value = await check()
        if value:
            return value
        assert clock.mono_s() < until, f"never happened: {what or check}"
        await asyncio.sleep(0.05)


@asynccontextmanager
async def running_demo(tmp_path: Path, *args: str, edit=None):
    policy = tmp_path / "policy"
    shutil.copytree(ROOT / "policies" / "demo", policy)
    if edit is not None:
        file = policy / "demo.yaml"
        file.write_text(edit(file.read_text()))
    env = {**os.environ, "GSLB_RUNTIME": str(tmp_path / "run")}
    log = tmp_path / "demo.log"
    with log.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            *GSLB, "demo", str(policy), "--json", *args, env=env, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=stderr,
        )  # fmt: skip
        demo = None
        try:
            line = await asyncio.wait_for(process.stdout.readline(), 40)
            assert line, log.read_text()
            demo = RunningDemo(process, json.loads(line), policy, env, log)
            yield demo
        finally:
            if demo is not None:
                await demo.session.close()
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            try:
                rest = await asyncio.wait_for(process.stdout.read(), 20)
                await asyncio.wait_for(process.wait(), 20)
            except TimeoutError:
                process.kill()
                raise
    assert rest == b"", "exactly one line on stdout"
