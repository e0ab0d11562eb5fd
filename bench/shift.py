"""How long a shift takes: from typing `gslb shift` to the last request of the old share, and what fails meanwhile.

Starts the demo on its own addresses, sends a request every 2 ms to each edge, and shifts a route back and forth. Two
times a shift, both from the start of the command's process: to its return (every role has acknowledged), and to the
start of the last request that the old side still answered.
"""

import asyncio
import os
import signal
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from gslb import clock

GSLB = str(Path(sys.executable).parent / "gslb")
EDGES = ("127.0.1.1:8080", "127.0.2.1:8080")
EVERY_S = 0.002


class Load:
    """What was asked when, and who answered: (start, service), in the order of the starts."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session
        self.seen: list[tuple[float, str]] = []
        self.failed = 0

    async def drive(self, edge: str) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                group.create_task(self.one(edge))
                await asyncio.sleep(EVERY_S)

    async def one(self, edge: str) -> None:
        start = clock.mono_s()
        try:
            url = f"http://{edge}/checkout/x"
            async with self.session.get(url, headers={"host": "shop.gslb.test"}) as response:
                body = await response.json()
                if response.status == 200:
                    self.seen.append((start, body["service"]))
                    return
        except (aiohttp.ClientError, TimeoutError):
            pass
        self.failed += 1


@asynccontextmanager
async def running(env: dict) -> AsyncIterator[None]:
    """The demo, for as long as the block lasts."""
    demo = await asyncio.create_subprocess_exec(
        GSLB, "demo", "--json", env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        if not await asyncio.wait_for(demo.stdout.readline(), 60):
            raise SystemExit("the demo did not start; run gslb demo to see why")
        yield
    finally:
        if demo.returncode is None:
            demo.send_signal(signal.SIGTERM)
        await demo.wait()


async def measure(shifts: int = 20) -> None:
    with tempfile.TemporaryDirectory(prefix="gslb-bench-") as folder:
        env = {**os.environ, "GSLB_RUNTIME": f"{folder}/run"}
        async with running(env), aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64)) as session:
            await _shift_back_and_forth(Load(session), env, shifts)


async def _shift_back_and_forth(load: Load, env: dict, shifts: int) -> None:
    returned, last_old = [], []
    driving = [asyncio.get_running_loop().create_task(load.drive(edge)) for edge in EDGES]
    await asyncio.sleep(1)
    for number in range(shifts):
        new = "checkout" if number % 2 == 0 else "monolith"
        load.seen.clear()
        start = clock.mono_s()
        command = await asyncio.create_subprocess_exec(
            GSLB, "shift", "shop/checkout", f"{new}=100", env=env, stdout=asyncio.subprocess.DEVNULL
        )
        if await command.wait():
            raise SystemExit("gslb shift failed")
        returned.append(clock.mono_s() - start)
        await asyncio.sleep(1)
        if number:  # the first shift begins at 90/10, where both sides answer
            last_old.append(max(begun for begun, service in load.seen if service != new) - start)
    for task in driving:
        task.cancel()
    await asyncio.gather(*driving, return_exceptions=True)
    for name, values in (("command returned", returned), ("last request of the old share", last_old)):
        values.sort()
        print(f"{name:32} median {statistics.median(values) * 1000:5.0f} ms   worst {values[-1] * 1000:5.0f} ms")
    print(
        f"{shifts} shifts, a request every {EVERY_S * 1000:g} ms to each of {len(EDGES)} edges, failed: {load.failed}"
    )


def main() -> None:
    asyncio.run(measure())


if __name__ == "__main__":
    main()
