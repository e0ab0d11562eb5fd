"""How long an emergency stop takes: from typing `gslb mirror stop` to the last copy that reaches a target.

    python -m bench.mirror_stop [ROUTES] [STOPS]

An installation of control and two edges, with a policy of ROUTES routes (1,000) that all have a mirror of 100 %. Each
edge is asked every 10 ms; all mirrors are stopped and started again STOPS times (20), by turns with the command and
with a call of the API. Times are from the start of the command's process, or from the call: to the return (every edge
has acknowledged), and to the last copy, by the clock of the target. The two differ by the start of a Python process.
"""

import asyncio
import contextlib
import json
import os
import signal
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
from aiohttp import web

from gslb import clock
from gslb.control.http.client import Client, control_socket

GSLB = str(Path(sys.executable).parent / "gslb")
EDGES, PORT, TARGET = {"dc": "127.0.8.51", "aws": "127.0.8.52"}, 8080, "127.0.8.53"
API = "127.0.0.1:8453"
EVERY_S, START_S, QUIET_S = 0.01, 120.0, 1.0


class Target:
    """Answers everything, and remembers when the last copy came."""

    def __init__(self) -> None:
        self.copies, self.last_s = 0, 0.0

    async def answer(self, request: web.Request) -> web.Response:
        if "x-gslb-shadow" in request.headers:
            self.copies, self.last_s = self.copies + 1, clock.mono_s()
        return web.Response(text="ok")


class Load:
    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session, self.asked, self.failed = session, 0, 0

    async def drive(self, edge: str) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                self.asked += 1
                group.create_task(self.one(f"http://{edge}:{PORT}/r{self.asked % 7}"))
                await asyncio.sleep(EVERY_S)

    async def one(self, url: str) -> None:
        try:
            async with self.session.get(url, headers={"host": "shop.gslb.test"}) as response:
                self.failed += response.status != 200
        except (aiohttp.ClientError, TimeoutError):
            self.failed += 1


async def measure(routes: int, stops: int) -> None:
    target = Target()
    app = web.Application()
    app.router.add_get("/{tail:.*}", target.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, TARGET, 0)
    await site.start()
    with tempfile.TemporaryDirectory(prefix="gslb-bench-") as folder:
        env = {**os.environ, "GSLB_RUNTIME": f"{folder}/run"}
        async with (
            running(Path(folder), env, policy(routes, runner.addresses[0][1])),
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64)) as session,
        ):
            await _stop_and_start(target, Load(session), env, stops)
    await runner.cleanup()


def policy(routes: int, port: int) -> dict:
    everywhere = {site: [f"{TARGET}:{port}"] for site in EDGES}
    return {
        "zone": {"name": "gslb.test", "nameservers": {"ns1": ["192.0.2.53"]}},
        "sites": {site: {"edges": [{"public": [ip]}], "listen": {"http": PORT}} for site, ip in EDGES.items()},
        "apps": {
            "shop": {
                "hosts": ["shop"],
                "backends": {"old": everywhere, "new": everywhere},
                "routes": [
                    {
                        "name": f"r{number}",
                        "match": {"path": f"/r{number}"},
                        "split": {"old": 100},
                        "mirror": [{"to": "new", "percent": 100}],
                    }
                    for number in range(routes)
                ],
            }
        },
    }


@contextlib.asynccontextmanager
async def running(folder: Path, env: dict, made: dict) -> AsyncIterator[None]:
    """The installation, once both edges serve; the Envoys end with it."""
    (folder / "policy").mkdir()
    (folder / "policy" / "policy.yaml").write_text(json.dumps(made))
    words = ["run", str(folder / "policy"), "--roles", "control,edge", "--api", API, "--data", str(folder / "data")]
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(GSLB, *words, env=env, stdout=log, stderr=log)
    try:
        async with asyncio.timeout(START_S), aiohttp.ClientSession() as session:
            while not await _serve(session):
                if process.returncode is not None:
                    raise SystemExit((folder / "log").read_text()[-2000:])
                await asyncio.sleep(0.2)
        yield
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        await process.wait()


async def _serve(session: aiohttp.ClientSession) -> bool:
    for edge in EDGES.values():
        try:
            async with session.get(f"http://{edge}:{PORT}/r0", headers={"host": "shop.gslb.test"}) as response:
                if response.status != 200:
                    return False
        except aiohttp.ClientError:
            return False
    return True


async def _stop_and_start(target: Target, load: Load, env: dict, stops: int) -> None:
    found = {how: ([], []) for how in ("command", "API")}
    client = Client(str(control_socket(Path(env["GSLB_RUNTIME"]))))
    driving = [asyncio.get_running_loop().create_task(load.drive(edge)) for edge in EDGES.values()]
    for number in range(stops):
        returned, last = found["API" if number % 2 else "command"]
        await asyncio.sleep(QUIET_S)
        start = clock.mono_s()
        await (asyncio.to_thread(client.post, "/v1/mirror-stops", {}) if number % 2 else _mirror("stop", env))
        returned.append(clock.mono_s() - start)
        before = target.copies
        await asyncio.sleep(QUIET_S)
        if target.copies != before:
            raise SystemExit(f"{target.copies - before} copies came after the command had returned")
        last.append(target.last_s - start)
        await _mirror("start", env)
    for task in driving:
        task.cancel()
    await asyncio.gather(*driving, return_exceptions=True)
    for how, (returned, last) in found.items():
        for name, values in (("returned", returned), ("last copy", last)):
            values.sort()
            middle = statistics.median(values)
            print(f"{how:8} {name:10} median {middle * 1000:5.0f} ms   worst {values[-1] * 1000:5.0f} ms")
    print(f"{stops} stops, {load.asked} requests, failed: {load.failed}")


async def _mirror(word: str, env: dict) -> None:
    command = await asyncio.create_subprocess_exec(GSLB, "mirror", word, env=env, stdout=asyncio.subprocess.DEVNULL)
    if await command.wait():
        raise SystemExit(f"gslb mirror {word} failed")


def main(routes: int = 1000, stops: int = 20) -> None:
    print(f"{routes} mirrored routes, two edges; load of the machine {os.getloadavg()[0]:.1f}", flush=True)
    asyncio.run(measure(routes, stops))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
