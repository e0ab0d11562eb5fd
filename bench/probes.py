"""What probing costs: processor time per probe of aiohttp, of asyncio streams, and of the whole Prober.

How to run: `python bench/probes.py [TARGETS] [SECONDS] [--uvloop]` (1,000 targets at 1 s for 10 s by default). The
server is a process of its own, so that only the prober's time is counted; only ratios count on a shared machine.
"""

import asyncio
import ipaddress
import subprocess
import sys
import time

from gslb.health import Prober
from gslb.health.request import ask, open_session
from gslb.snapshot.checks import HealthCheck
from gslb.snapshot.targets import ProbeTarget
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


def target(port, number=0):
    check = HealthCheck("/healthz", interval_s=1.0, timeout_s=0.9, rise=2, fall=3)
    name = f"app{number}"
    return ProbeTarget(
        AppName(name), SiteName("dc"), ADDRESS, port, f"{name}.gslb.test", BackendName("monolith"), check
    )


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


async def measure(port, count, seconds):
    async with open_session() as session:

        async def with_aiohttp():
            return (await ask(session, target(port))).ok

        for _ in range(2):
            print(f"ask (aiohttp)    {await microseconds_per_probe(with_aiohttp):6.0f} us/probe")
            print(f"asyncio streams  {await microseconds_per_probe(lambda: with_streams(port)):6.0f} us/probe")
    prober = Prober(lambda _live: None)
    prober.set_targets(target(port, number) for number in range(count))
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(prober.run())
        wall, cpu = time.perf_counter(), time.process_time()
        done = await prober.first_round()
        print(f"first round of {count}: done={done} in {time.perf_counter() - wall:.2f} s, "
              f"{time.process_time() - cpu:.2f} s of CPU")  # fmt: skip
        await asyncio.sleep(1.5)
        before, cpu = sum(prober.counts.values()), time.process_time()
        await asyncio.sleep(seconds)
        probes, cpu = sum(prober.counts.values()) - before, time.process_time() - cpu
        print(
            f"steady: {probes / seconds:.0f} probes/s, {cpu / seconds:.1%} of a core, {cpu / probes * 1e6:.0f} us/probe"
        )
        print(prober.counts)
        running.cancel()


def main():
    numbers = [int(word) for word in sys.argv[1:] if word.isdigit()]
    count, seconds = (*numbers, 1000, 10)[:2] if len(numbers) != 1 else (numbers[0], 10)
    server = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True)
    try:
        port = int(server.stdout.readline())
        if "--uvloop" in sys.argv:
            import uvloop

            uvloop.run(measure(port, count, seconds))
        else:
            asyncio.run(measure(port, count, seconds))
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    asyncio.run(serve()) if "--serve" in sys.argv else main()
