"""What our rendered edge costs beside the same job written by hand: requests per second of proxy processor time.

Both are the same Envoy binary with one worker, pinned to the same core in turns, doing the job of the demo's policy:
split 90/10, mirror half, sticky halves, failover to the other site, health checks, retries. The backends are another
Envoy that answers by itself. The hand-written one is `by_hand.yaml`: what a good engineer writes from Envoy's
documentation for this job, without hardening and without twin routes that keep large bodies from the mirror.
"""

import json
import os
import statistics
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

from bench.measure import cpu_s, spread, wrk
from gslb import clock
from gslb.edge.process import find_envoy
from gslb.edge.render import render, static_bootstrap
from gslb.model.folder import load_folder
from gslb.snapshot import compile_snapshot
from gslb.snapshot.intent import Intent
from gslb.snapshot.types import SiteName

HERE = Path(__file__).parent
HOST = "shop.gslb.test"
OURS, THEIRS = "127.0.8.1", "127.0.8.2"
PORT = 8080
CASES = {
    "/rest (one backend, failover)": ("/rest", ()),
    "/checkout (split 90/10, mirror 50 %)": ("/checkout/cart", ()),
    "/account (sticky halves, with cookie)": ("/account", ("Cookie: gslb_shop=user-1",)),
}
TYPES = "type.googleapis.com/envoy.extensions"
BACKENDS = (("127.0.8.11", 9001), ("127.0.8.12", 9001), ("127.0.8.12", 9002))


def main(rounds: int = 7, seconds: float = 3.0) -> None:
    envoy = find_envoy(None)
    with tempfile.TemporaryDirectory(prefix="gslb-bench-") as folder:
        started = []
        try:
            started.append(start(envoy, Path(folder), "backends", static_backends(), core=1))
            ours = start(envoy, Path(folder), "ours", _ours(Path(folder)), core=0)
            theirs = start(envoy, Path(folder), "by-hand", _by_hand(), core=0)
            started += [ours, theirs]
            for address in (OURS, THEIRS):
                _wait(f"http://{address}:{PORT}/rest")
            _measure({"ours": (OURS, ours.pid), "by hand": (THEIRS, theirs.pid)}, rounds, seconds)
        finally:
            for process in started:
                process.kill()
                process.wait()


def _measure(proxies: dict[str, tuple[str, int]], rounds: int, seconds: float) -> None:
    print(f"requests per second of proxy CPU, {rounds} rounds of {seconds:g} s, interleaved, medians (min to max)")
    for case, (path, headers) in CASES.items():
        found: dict[str, list[float]] = {name: [] for name in proxies}
        for _ in range(rounds):
            for name, (address, pid) in proxies.items():
                before = cpu_s(pid)
                answered, bad = wrk(f"http://{address}:{PORT}{path}", HOST, seconds, headers)
                if bad:
                    raise SystemExit(f"{name} {path}: {bad} of {answered} requests failed")
                found[name].append(answered / (cpu_s(pid) - before))
        ratios = [a / b for a, b in zip(found["ours"], found["by hand"], strict=True)]
        medians = {name: f"{statistics.median(values):,.0f}" for name, values in found.items()}
        print(f"{case:40} ours {medians['ours']:>8}   by hand {medians['by hand']:>8}   ratio {spread(ratios)}")


def _ours(folder: Path) -> dict:
    text = (HERE.parent / "policies" / "demo" / "demo.yaml").read_text()
    for old, new in (("127.0.1.1:9", "127.0.8.11:9"), ("127.0.2.1:9", "127.0.8.12:9"), ("127.0.1.1", OURS),
                     ("127.0.2.1", "127.0.8.3")):  # fmt: skip
        text = text.replace(old, new)
    policy = folder / "policy"
    policy.mkdir()
    (policy / "demo.yaml").write_text(text)
    intent = Intent(revision=1, policy=load_folder(policy).policy)
    config = render(compile_snapshot(intent, clock.wall_s()), SiteName("dc"))
    return static_bootstrap(config, str(folder / "ours.sock"))


def _by_hand() -> dict:
    import yaml

    return yaml.safe_load((HERE / "by_hand.yaml").read_text())


def static_backends(addresses: tuple[tuple[str, int], ...] = BACKENDS) -> dict:
    manager = {
        "@type": f"{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "backend",
        "generate_request_id": False,
        "http_filters": [
            {
                "name": "router",
                "typed_config": {"@type": f"{TYPES}.filters.http.router.v3.Router"},
            }
        ],
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [
                        {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": "ok"}}}
                    ],
                }
            ]
        },
    }
    listeners = [
        {
            "name": f"{host}:{port}",
            "address": {"socket_address": {"address": host, "port_value": port}},
            "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
        }
        for host, port in addresses
    ]
    return {"static_resources": {"listeners": listeners}}


def start(envoy: Path, folder: Path, name: str, config: dict, core: int) -> subprocess.Popen:
    file = folder / f"{name}.json"
    file.write_text(json.dumps(config))
    arguments = [str(envoy), "-c", str(file), "--disable-hot-restart", "--concurrency", "1", "-l", "error"]
    process = subprocess.Popen(arguments)
    os.sched_setaffinity(process.pid, {core % (os.cpu_count() or 1)})
    return process


def _wait(url: str) -> None:
    for _ in range(100):
        try:
            request = urllib.request.Request(url, headers={"Host": HOST})
            with urllib.request.urlopen(request, timeout=1) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"{url} never answered")


if __name__ == "__main__":
    main()
