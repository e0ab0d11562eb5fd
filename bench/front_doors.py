"""What it costs a real edge of many apps to be looked at through its front door: processor time a probe, and a round.

How to run: `python -m bench.front_doors [APPS] [SECONDS] [INTERVAL]` (1,000 apps, 20 s, 2 s). The edge is our rendering
in an Envoy with one worker; the backend is another Envoy that answers by itself. The edge's own checks of its endpoints
are counted alone first, then with one node that probes every app. Only ratios count on a shared machine.
"""

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from bench.edge import start, static_backends
from bench.measure import cpu_s
from gslb.edge.process import find_envoy
from gslb.edge.render import render, static_bootstrap
from gslb.health import Prober
from gslb.model.policy import Policy
from gslb.snapshot import compile_snapshot
from gslb.snapshot.intent import Intent
from gslb.snapshot.targets import probe_targets
from gslb.snapshot.types import SiteName, Snapshot

EDGE, PORT, BACKEND = "127.0.8.21", 8080, ("127.0.8.22", 9001)
WARM_S = 5.0


def policy(apps: int, interval_s: float) -> Snapshot:
    check = {"path": "/healthz", "interval": f"{interval_s:g}s", "timeout": "1s"}
    backend = {"check": check, "dc": [f"{BACKEND[0]}:{BACKEND[1]}"]}
    made = {
        "zone": {"name": "gslb.test", "nameservers": {"ns1": ["127.0.8.53"]}},
        "sites": {"dc": {"edges": [{"public": [EDGE]}], "listen": {"http": PORT}}},
        "apps": {
            f"a{number}": {
                "hosts": [f"a{number}"],
                "backends": {"web": backend},
                "routes": [{"name": "all", "split": {"web": 100}}],
            }
            for number in range(apps)
        },
    }
    return compile_snapshot(Intent(revision=1, policy=Policy.model_validate(made)), 0.0)


async def measure(pid: int, snapshot: Snapshot, seconds: float, interval_s: float) -> None:
    before, began = cpu_s(pid), time.perf_counter()
    await asyncio.sleep(seconds)
    alone = (cpu_s(pid) - before) / (time.perf_counter() - began)
    prober = Prober(lambda _live: None)
    prober.set_targets(probe_targets(snapshot))
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(prober.run())
        done = await prober.first_round()
        await asyncio.sleep(1.5 * interval_s)
        before, own, began, looks = cpu_s(pid), time.process_time(), time.perf_counter(), sum(prober.counts.values())
        await asyncio.sleep(seconds)
        took_s = time.perf_counter() - began
        looks = sum(prober.counts.values()) - looks
        edge, own = (cpu_s(pid) - before) / took_s, (time.process_time() - own) / took_s
        apps = len(snapshot.apps)
        per_s = looks / took_s
        print(f"{apps} apps, {per_s:.0f} probes/s, first round complete: {done}, {prober.counts}")
        more = edge - alone
        print(f"edge: own checks {alone:.1%} of a core, with probes {edge:.1%}")
        print(f"      {more / per_s * 1e6:.0f} us a probe, {more / per_s * apps:.2f} s a round")
        print(f"prober: {own:.1%} of a core, {own / per_s * 1e6:.0f} us a probe, {own / per_s * apps:.2f} s a round")
        running.cancel()


def main() -> None:
    numbers = [float(word) for word in sys.argv[1:]]
    apps, seconds, interval_s = (*numbers, *(1000, 20, 2.0)[len(numbers) :])
    snapshot, envoy, started = policy(int(apps), interval_s), find_envoy(None), []
    with tempfile.TemporaryDirectory(prefix="gslb-bench-") as folder:
        try:
            started.append(start(envoy, Path(folder), "backends", static_backends((BACKEND,)), core=1))
            config = static_bootstrap(render(snapshot, SiteName("dc")), str(Path(folder) / "admin.sock"))
            edge = start(envoy, Path(folder), "edge", config, core=0)
            started.append(edge)
            time.sleep(WARM_S + apps / 200)
            os.sched_setaffinity(0, {1 % (os.cpu_count() or 1)})
            uvloop.run(measure(edge.pid, snapshot, seconds, interval_s))
        finally:
            for process in started:
                process.kill()
                process.wait()


if __name__ == "__main__":
    main()
