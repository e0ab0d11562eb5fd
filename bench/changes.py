"""How long a change takes among 10,000 routes, and what fails meanwhile: real processes, a real Envoy.

    python -m bench.changes [APPS] [SHIFTS] [POLICIES] [UNDER_LOAD]

An installation of control, dns and one edge with a policy of APPS apps with ten routes each (1,000). Three kinds of
change, one after the other, each from the call of the API to its return, when every role and Envoy have it in force:
SHIFTS shifts of a route that change shares alone (100), POLICIES policies that differ in one route of one app (5, each
planned and applied), and
UNDER_LOAD shifts (1,000) while `wrk` asks random apps as fast as eight connections go. Nothing may fail.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.measure import cpu_s
from gslb import clock
from gslb.control.http.client import Client, control_socket
from gslb.edge.process import find_envoy
from gslb.errors import GslbError

GSLB = str(Path(sys.executable).parent / "gslb")
EDGE, BACKENDS, PORT = "127.0.9.1", {"old": 9001, "new": 9002}, 8090
ROUTES = 10
START_S = 600.0
MANAGER = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}

LOAD = """
local apps, routes = %d, %d
function init(args) math.randomseed(os.time()) end
function request()
  local headers = {["Host"] = "app" .. math.random(0, apps - 1) .. ".bench.test"}
  return wrk.format("GET", "/p" .. math.random(0, routes - 1), headers)
end
"""


def policy(apps: int, changed: int = 0) -> dict:
    """`changed` is a number that one route of one app has in it."""

    def routes(app: int) -> list[dict]:
        made = [{"name": f"r{n}", "match": {"path": f"/p{n}"}, "split": {"old": 95, "new": 5}} for n in range(ROUTES)]
        return [{**made[0], "timeout": f"{10 + changed}s"}, *made[1:]] if app == 7 % apps else made

    backends = {name: {"dc": [f"{EDGE}:{port}"]} for name, port in BACKENDS.items()}
    return {
        "zone": {"name": "bench.test", "nameservers": {"ns1": ["192.0.2.53"]}},
        "sites": {"dc": {"edges": [{"public": [EDGE]}], "listen": {"http": PORT}}},
        "apps": {f"app{n}": {"hosts": [f"app{n}"], "backends": backends, "routes": routes(n)} for n in range(apps)},
    }


def main(apps: int = 1000, shifts: int = 100, policies: int = 5, under_load: int = 1000) -> None:
    with tempfile.TemporaryDirectory(prefix="gslb-bench-") as name:
        folder = Path(name)
        with _backends(folder), _installation(folder, apps) as client:
            print(
                f"{apps * ROUTES:,} routes of {apps:,} apps, load of the machine {os.getloadavg()[0]:.1f}", flush=True
            )
            _measured("shifts", folder, shifts, lambda _: _shift(client, apps))
            _measured("policies", folder, policies, lambda n: _apply(client, policy(apps, n + 1)))
            _loaded(folder, client, apps, under_load)


def _loaded(folder: Path, client: Client, apps: int, count: int) -> None:
    script = folder / "load.lua"
    script.write_text(LOAD % (apps, ROUTES))
    wrk = subprocess.Popen(
        ["wrk", "-t1", "-c8", "-d3600s", "-s", str(script), f"http://{EDGE}:{PORT}/"], stdout=subprocess.PIPE, text=True
    )
    begun_s = clock.mono_s()
    try:
        _measured("shifts under load", folder, count, lambda _: _shift(client, apps))
    finally:
        wrk.send_signal(signal.SIGINT)
        out, _ = wrk.communicate()
    past_s = clock.mono_s() - begun_s
    answered = int(re.search(r"(\d+) requests in", out)[1])
    bad = sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", out)))
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out)
    failed = bad + (sum(map(int, errors.groups())) if errors else 0)
    print(f"  {answered:,} requests, {answered / past_s:,.0f} a second, failed: {failed}")


def _measured(what: str, folder: Path, count: int, change: Callable[[int], None]) -> None:
    """`count` changes, one after the other. Their processor time has in it what the processes do anyhow meanwhile."""
    before, times = _spent(folder), []
    for number in range(count):
        begun_s = clock.mono_s()
        change(number)
        times.append(clock.mono_s() - begun_s)
    after, times = _spent(folder), sorted(times)
    p99 = times[min(len(times) - 1, int(len(times) * 0.99))]
    spent = ", ".join(f"{name} {(after[name] - before[name]) / count * 1000:,.0f} ms" for name in after)
    print(f"{what}: {count}, median {statistics.median(times) * 1000:,.0f} ms, p99 {p99 * 1000:,.0f} ms", flush=True)
    print(f"  processor time of each: {spent}; load of the machine {os.getloadavg()[0]:.1f}", flush=True)


def _spent(folder: Path) -> dict[str, float]:
    """Processor time in seconds by process."""
    found = {"envoy": json.loads((folder / "data/edge-dc/envoy.process.json").read_text())["pid"]}
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = process.read_bytes().split(b"\0")
            if b"gslb.roles" in words and str(folder).encode() in b" ".join(words):
                found[words[words.index(b"gslb.roles") + 1].decode()] = int(process.parent.name)
    return {name: cpu_s(pid) for name, pid in sorted(found.items())}


def _shift(client: Client, apps: int) -> None:
    app, route = random.randrange(apps), random.randrange(ROUTES)
    share = random.randrange(6, 45)
    body = {"app": f"app{app}", "route": f"r{route}", "split": {"new": share}}
    answer = client.post("/v1/shifts", body)
    if answer["unacknowledged"]:
        raise SystemExit(f"not acknowledged: {answer['unacknowledged']}")


def _apply(client: Client, wanted: dict) -> None:
    plan = client.post("/v1/plan", {"policy": wanted})["plan"]
    answer = client.post(
        "/v1/apply", {"policy": wanted, "base": plan["before"], "digest": plan["after"]["digest"], "message": "bench"}
    )
    if answer["unacknowledged"]:
        raise SystemExit(f"not acknowledged: {answer['unacknowledged']}")


@contextlib.contextmanager
def _installation(folder: Path, apps: int) -> Iterator[Client]:
    (folder / "policy").mkdir()
    (folder / "policy" / "bench.yaml").write_text(json.dumps(policy(apps)))
    options = [
        "--concurrency",
        "1",
        "--dns",
        f"{EDGE}:15353",
        "--api",
        f"{EDGE}:18053",
        "--data",
        str(folder / "data"),
        "--runtime",
        str(folder / "run"),
    ]
    log = (folder / "log").open("wb")
    gslb = subprocess.Popen([GSLB, "run", str(folder / "policy"), *options], stdout=log, stderr=log)
    try:
        client = Client(str(control_socket(folder / "run")))
        begun_s = clock.mono_s()
        while not _serves(client):
            if gslb.poll() is not None or clock.mono_s() - begun_s > START_S:
                raise SystemExit((folder / "log").read_text()[-4000:])
            time.sleep(0.5)
        print(f"from nothing to everything in force: {clock.mono_s() - begun_s:.0f} s", flush=True)
        yield client
    finally:
        gslb.send_signal(signal.SIGINT)
        gslb.wait()


def _serves(client: Client) -> bool:
    try:
        status = client.get("/v1/status")
    except GslbError:
        return False
    return status["snapshot"] is not None and all(role["in_sync"] for role in status["roles"].values())


@contextlib.contextmanager
def _backends(folder: Path) -> Iterator[None]:
    def listener(name: str, port: int) -> dict:
        answer = {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": name}}}
        manager = {
            "@type": MANAGER,
            "stat_prefix": name,
            "http_filters": [{"name": "router", "typed_config": ROUTER}],
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [answer]}]},
        }
        return {
            "name": name,
            "address": {"socket_address": {"address": EDGE, "port_value": port}},
            "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
        }

    file = folder / "backends.json"
    file.write_text(json.dumps({"static_resources": {"listeners": [listener(*item) for item in BACKENDS.items()]}}))
    process = subprocess.Popen(
        [str(find_envoy(None)), "-c", str(file), "--disable-hot-restart", "--concurrency", "1", "-l", "error"]
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
