"""How long an emergency stop takes: from typing `gslb mirror stop` to the last copy that the target got.

Starts the demo on its own addresses, sends a request every 2 ms to each edge, half of them mirrored, and stops and
starts the mirror again and again. Times are from the start of the command's process: to its return (every edge has
acknowledged), and to the last copy, as the target counts them, looked at every 5 ms.
"""

import asyncio
import os
import statistics
import tempfile

import aiohttp

from bench.shift import EDGES, EVERY_S, GSLB, Load, running
from gslb import clock

TARGET = "http://127.0.2.1:9002/__hits"
LOOK_S = 0.005


async def measure(stops: int = 20) -> None:
    with tempfile.TemporaryDirectory(prefix="gslb-bench-") as folder:
        env = {**os.environ, "GSLB_RUNTIME": f"{folder}/run"}
        async with running(env), aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64)) as session:
            await _stop_and_start(Load(session), env, stops)


async def _stop_and_start(load: Load, env: dict, stops: int) -> None:
    returned, last_copy = [], []
    driving = [asyncio.get_running_loop().create_task(load.drive(edge)) for edge in EDGES]
    for _ in range(stops):
        await asyncio.sleep(1)
        watching = asyncio.get_running_loop().create_task(_last_copy(load.session))
        start = clock.mono_s()
        await _mirror("stop", env)
        returned.append(clock.mono_s() - start)
        await asyncio.sleep(1)
        watching.cancel()
        last_copy.append(await watching - start)
        await _mirror("start", env)
    for task in driving:
        task.cancel()
    await asyncio.gather(*driving, return_exceptions=True)
    for name, values in (("command returned", returned), ("last copy", last_copy)):
        values.sort()
        print(f"{name:20} median {statistics.median(values) * 1000:5.0f} ms   worst {values[-1] * 1000:5.0f} ms")
    print(f"{stops} stops, a request every {EVERY_S * 1000:g} ms to each of {len(EDGES)} edges, failed: {load.failed}")


async def _mirror(word: str, env: dict) -> None:
    command = await asyncio.create_subprocess_exec(
        GSLB, "mirror", word, "shop/checkout", env=env, stdout=asyncio.subprocess.DEVNULL
    )
    if await command.wait():
        raise SystemExit(f"gslb mirror {word} failed")


async def _last_copy(session: aiohttp.ClientSession) -> float:
    """Until cancelled: when the number of copies was last seen to have grown."""
    copies, grown_s = -1, 0.0
    try:
        while True:
            async with session.get(TARGET) as response:
                now = (await response.json())["shadow"]
            if now != copies:
                copies, grown_s = now, clock.mono_s()
            await asyncio.sleep(LOOK_S)
    except asyncio.CancelledError:
        return grown_s


def main() -> None:
    print(f"load of the machine {os.getloadavg()[0]:.1f}")
    asyncio.run(measure())


if __name__ == "__main__":
    main()
