"""What probing costs: processor time per probe of aiohttp, of asyncio streams, of a head alone, of the whole Prober.

How to run: `python -m bench.probes [TARGETS] [SECONDS] [INTERVAL] [--named] [--standard]` (1,000 front doors at 1 s for
10 s by default; `--named`: named HTTP checks instead; `--standard`: asyncio's own loop instead of uvloop, which roles
use). The server is a process of its own, so that only the prober's time is counted; only ratios count on a shared
machine.
"""

import asyncio
import ipaddress
import subprocess
import sys
import time

from gslb.health import Prober
from gslb.health.http1 import Door
from gslb.health.request import Request, ask, open_session, whole_answer
from gslb.health.tries import Tries
from gslb.snapshot.checks import CheckName, HealthCheck, HttpAsk, HttpExpect, NamedCheck, Tls
from gslb.snapshot.targets import CheckTarget, ProbeTarget
from gslb.snapshot.types import AppName, BackendName, SiteName

ADDRESS = ipaddress.ip_address("127.0.7.9")
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nserver: envoy\r\n\r\nok"
REQUEST = b"GET /healthz HTTP/1.1\r\nhost: app0.gslb.test\r\nx-gslb-probe: monolith\r\nconnection: close\r\n\r\n"
PROBES, AT_ONCE = 2000, 50


class Answering(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.seen = transport, b""

    def data_received(self, data):
        self.seen += data
        if b"\r\n\r\n" in self.seen:
            self.seen = b""
            self.transport.write(ANSWER)


async def serve():
    server = await asyncio.get_running_loop().create_server(Answering, str(ADDRESS), 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def target(port, number=0, interval_s=1.0):
    check = HealthCheck("/healthz", interval_s, timeout_s=0.9, rise=2, fall=3)
    name = f"app{number}"
    return ProbeTarget(
        AppName(name), SiteName("dc"), ADDRESS, port, f"{name}.gslb.test", BackendName("monolith"), check
    )


def named(port, number, interval_s):
    url = f"http://{ADDRESS}:{port}/healthz"
    http = HttpAsk(url, "GET", None, (), False, Tls(), None, HttpExpect())
    return CheckTarget(NamedCheck(CheckName(f"check{number}"), "http", http, interval_s, 0.9, 2, 3))


async def with_streams(port):
    async with asyncio.timeout(1.0):
        reader, writer = await asyncio.open_connection(str(ADDRESS), port, limit=16_384)
        try:
            writer.write(REQUEST)
            return (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        finally:
            writer.close()


async def microseconds_per_probe(probe):
    slots = asyncio.Semaphore(AT_ONCE)

    async def one():
        async with slots:
            assert await probe()

    before = time.process_time()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(PROBES):
            tasks.create_task(one())
    return (time.process_time() - before) / PROBES * 1e6


async def measure(port, count, seconds, interval_s, make):
    async with open_session() as session:

        async def with_aiohttp():
            request = Request("GET", "/healthz", "app0.gslb.test", ())
            return (await whole_answer(session, Door(str(ADDRESS), port), request, 1024, lambda: None)).status == 200

        async def with_head():
            return (await ask(session, target(port), Tries())).ok

        for _ in range(2):
            print(f"aiohttp          {await microseconds_per_probe(with_aiohttp):6.0f} us/probe")
            print(f"asyncio streams  {await microseconds_per_probe(lambda: with_streams(port)):6.0f} us/probe")
            print(f"http1 (ask)      {await microseconds_per_probe(with_head):6.0f} us/probe")
    prober = Prober(lambda _live: None)
    prober.set_targets(make(port, number, interval_s) for number in range(count))
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(prober.run())
        wall, cpu = time.perf_counter(), time.process_time()
        done = await prober.first_round()
        print(f"first round of {count}: done={done} in {time.perf_counter() - wall:.2f} s, "
              f"{time.process_time() - cpu:.2f} s of CPU")  # fmt: skip
        await asyncio.sleep(1.5 * interval_s)
        before, cpu, wall = sum(prober.counts.values()), time.process_time(), time.perf_counter()
        behind_s = 0.0
        while time.perf_counter() - wall < seconds:
            await asyncio.sleep(0.25)
            behind_s = max(behind_s, prober.pulse.behind_s)
        wall = time.perf_counter() - wall
        probes, cpu = sum(prober.counts.values()) - before, time.process_time() - cpu
        print(
            f"steady: {probes / wall:.0f} probes/s, {cpu / wall:.1%} of a core, {cpu / probes * 1e6:.0f} us/probe, "
            f"at most {behind_s * 1000:.0f} ms behind"
        )
        print(prober.counts)
        running.cancel()


def main():
    numbers = [float(word) for word in sys.argv[1:] if word.replace(".", "").isdigit()]
    count, seconds, interval_s = (*numbers, *(1000, 10, 1.0)[len(numbers) :])
    command = [sys.executable, "-m", "bench.probes", "--serve"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        port = int(server.stdout.readline())
        make = named if "--named" in sys.argv else target
        measuring = measure(port, int(count), seconds, interval_s, make)
        if "--standard" in sys.argv:
            asyncio.run(measuring)
        else:
            import uvloop

            uvloop.run(measuring)
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    asyncio.run(serve()) if "--serve" in sys.argv else main()
