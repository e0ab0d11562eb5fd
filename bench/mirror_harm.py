"""Whether the primary can tell a mirror whose target is sick from one whose target is well: A/A/B, request by request.

Three Envoys as we render them, one worker each, on one core: two whose mirror of 100 % goes to a target that is well
(A and A'), and one (B) whose target is dead, accepts and never reads, takes 10 s, or resets. What a copy costs is A
against no mirror, which is told too and not the question: that is whether B can be told from A better than A' can.

Requests begin at fixed times, every tenth a POST of 8 KiB, and go to A, A' and B in turn, so that all three meet the
same noise of the machine; each has a process of its own, so that what a sick target does to the worker stays with B.
Counted are the processor time of a request, and the latencies from when a request was due; D is the largest difference
of two of their distribution functions (Kolmogorov and Smirnov), by round.
"""

import asyncio
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.edge import _wait, start, static_backends
from bench.measure import spread
from gslb import clock
from gslb.edge.process import find_envoy
from gslb.edge.render import render, static_bootstrap
from gslb.model.policy import Policy
from gslb.snapshot import compile_snapshot
from gslb.snapshot.intent import Intent
from gslb.snapshot.types import SiteName
from tests.support.backend import Backend

PORT, HOST = 8080, "shop.gslb.test"
PRIMARY, WELL = ("127.0.8.23", 9001), ("127.0.8.24", 9001)
SICK = {"dead": {}, "never reads": {"stall": "yes"}, "takes 10 s": {"delay": "10"}, "resets": {"reset": "yes"}}
RATE_PER_S, CONNECTIONS = 600, 12
BODY = b"x" * 8192
USER = "0c9c66b1-4d0c-4c5b-8a3e-3a2f6c9d1e57"


@dataclass
class Arm:
    """One Envoy, and what was found at it, by round."""

    address: str
    pid: int = 0
    cpu_us: list[float] = field(default_factory=list)
    latency_ms: list[list[float]] = field(default_factory=list)
    failed: int = 0


def main(rounds: int = 12, seconds: float = 2.0) -> None:
    print(f"{rounds} rounds of {seconds:g} s for each; load of the machine {os.getloadavg()[0]:.1f}")
    print("B, CPU of A in us; of A: CPU and D of A', then of B; p50, p99 and p99.9 in ms of B, then of A; failed")
    for case in ("no mirror", "by user", *SICK):
        with tempfile.TemporaryDirectory(prefix="gslb-bench-") as folder:
            _report(case, _run(case, Path(folder), rounds, seconds))


def _run(case: str, folder: Path, rounds: int, seconds: float) -> list[Arm]:
    target = Backend("sick", "127.0.8.22", **SICK.get(case, {}))
    if case == "dead":
        target.kill()
    arms = [Arm(f"127.0.8.{last}") for last in (31, 32, 33)]
    wanted = [_at(WELL), _at(WELL), {"no mirror": None, "by user": _at(WELL)}.get(case, target.endpoint)]
    draws = [{}, {}, {"percent": 99.99, "by": {"header": "x-user"}} if case == "by user" else {}]
    started = [start(find_envoy(None), folder, "answering", static_backends((PRIMARY, WELL)), core=1)]
    try:
        for arm, to, draw in zip(arms, wanted, draws, strict=True):
            config = _edge(arm.address, to, draw, folder / f"{arm.address}.sock")
            started.append(start(find_envoy(None), folder, arm.address, config, core=0))
            arm.pid = started[-1].pid
            _wait(f"http://{arm.address}:{PORT}/")
        asyncio.run(_round(arms, seconds))  # to warm up, and to fill what can be full
        for arm in arms:
            arm.cpu_us, arm.latency_ms = [], []
        for _ in range(rounds):
            asyncio.run(_round(arms, seconds))
    finally:
        for process in started:
            process.kill()
            process.wait()
        target.kill()
    return arms


def _report(case: str, arms: Sequence[Arm]) -> None:
    base, again, sick = arms
    told = [f"{case:16} {statistics.median(base.cpu_us):13.1f}"]
    for arm in (again, sick):
        cpu = spread([one / other for one, other in zip(arm.cpu_us, base.cpu_us, strict=True)])
        distances = [_distance(one, other) for one, other in zip(arm.latency_ms, base.latency_ms, strict=True)]
        told.append(f"{cpu:>20} {spread(distances):>20}")
    for arm in (sick, base):
        pooled = sorted(itertools.chain.from_iterable(arm.latency_ms))
        told.append(" ".join(f"{pooled[int((len(pooled) - 1) * q)]:7.2f}" for q in (0.5, 0.99, 0.999)))
    print("  ".join(told), f"{sum(arm.failed for arm in arms):5} of {sum(map(_asked, arms))}", flush=True)


def _asked(arm: Arm) -> int:
    return sum(map(len, arm.latency_ms))


def _distance(one: list[float], other: list[float]) -> float:
    """Kolmogorov and Smirnov's: the largest difference of the two distribution functions."""
    marked = sorted([(value, 1 / len(one)) for value in one] + [(value, -1 / len(other)) for value in other])
    return max(map(abs, itertools.accumulate(step for _, step in marked)))


async def _round(arms: Sequence[Arm], seconds: float) -> None:
    total, begin = int(RATE_PER_S * seconds), time.perf_counter() + 0.1
    taken: list[list[float]] = [[] for _ in arms]
    before = [_ran_s(arm.pid) for arm in arms]

    async def work(first: int) -> None:
        streams = [await asyncio.open_connection(arm.address, PORT) for arm in arms]
        for number in range(first, total, CONNECTIONS):
            turn = (number // CONNECTIONS + first) % len(arms)
            due = begin + number / RATE_PER_S
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            reader, writer = streams[turn]
            writer.write(_request(BODY if number // len(arms) % 10 == 0 else b""))
            arms[turn].failed += not await _answered(reader)
            taken[turn].append((time.perf_counter() - due) * 1000)
        for _, writer in streams:
            writer.close()

    await asyncio.gather(*(work(first) for first in range(CONNECTIONS)))
    for arm, latencies, ran_s in zip(arms, taken, before, strict=True):
        arm.cpu_us.append((_ran_s(arm.pid) - ran_s) / len(latencies) * 1e6)
        arm.latency_ms.append(latencies)


def _request(body: bytes) -> bytes:
    length = f"content-length: {len(body)}\r\n" if body else ""
    return f"{'POST' if body else 'GET'} / HTTP/1.1\r\nhost: {HOST}\r\nx-user: {USER}\r\n{length}\r\n".encode() + body


async def _answered(reader: asyncio.StreamReader) -> bool:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(length)
    return head.startswith(b"HTTP/1.1 200")


def _ran_s(pid: int) -> float:
    """Processor time of all threads, to the nanosecond (Documentation/scheduler/sched-stats of Linux)."""
    return sum(int(file.read_text().split()[0]) for file in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def _at(where: tuple[str, int]) -> str:
    return f"{where[0]}:{where[1]}"


def _edge(address: str, target: str | None, draw: dict, socket: Path) -> dict:
    mirror = [{"to": "copy", "percent": 100, "methods": ["GET", "POST"], **draw}] if target else []
    policy = {
        "zone": {"name": "gslb.test", "nameservers": {"ns1": ["127.0.8.53"]}},
        "sites": {"dc": {"edges": [{"public": [address]}], "listen": {"http": PORT}}},
        "apps": {
            "shop": {
                "hosts": ["shop"],
                "backends": {"primary": {"dc": [_at(PRIMARY)]}, "copy": {"dc": [target or _at(WELL)]}},
                "routes": [{"name": "all", "split": {"primary": 100}, "mirror": mirror}],
            }
        },
    }
    snapshot = compile_snapshot(Intent(revision=1, policy=Policy.model_validate(policy)), clock.wall_s())
    return static_bootstrap(render(snapshot, SiteName("dc")), str(socket))


if __name__ == "__main__":
    main()
