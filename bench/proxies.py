"""Proxies that are compared: started with one worker on one core, with nginx as backends and the load on the other.

What each of them does stands in the files of `bench/peers` and in the benches that use this.
"""

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
PORT = 8080
BACKENDS = (("127.0.8.11", 9001), ("127.0.8.12", 9001), ("127.0.8.12", 9002))
PROXY_CORE, LOAD_CORE = 0, 1

_NGINX = """
daemon off; master_process off; pid {folder}/backends.pid; error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 1h;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ {listen} location / {{ default_type text/plain; return 200 "ok"; }} }}
}}
"""


@dataclass(frozen=True)
class Case:
    """What is asked of a proxy: a path, further headers, and by how many connections."""

    path: str = "/"
    headers: tuple[str, ...] = ()
    connections: int = 32


class Stage:
    """A folder, and the processes started in it, which end with it. `chosen`: only proxies of these names are started;
    None: all."""

    def __init__(self, folder: Path, chosen: Collection[str] | None = None) -> None:
        self.folder, self.chosen = folder, chosen
        self.pids: dict[str, tuple[str, int]] = {}
        self._started: list[subprocess.Popen] = []

    def start(self, command: Sequence[str], core: int, env: Mapping[str, str] | None = None) -> int:
        process = subprocess.Popen(command, env={**os.environ, **(env or {})}, stdout=subprocess.DEVNULL)
        self._started.append(process)
        os.sched_setaffinity(process.pid, {core % (os.cpu_count() or 1)})
        return process.pid

    def proxy(self, name: str, address: str, command: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        """One of those compared, serving `HOST` at `address`."""
        if self.chosen is None or name in self.chosen:
            self.pids[name] = (address, self.start(command, PROXY_CORE, env))

    def envoy(self, name: str, address: str, config: Mapping) -> None:
        file = self.folder / f"{address}.json"
        file.write_text(json.dumps(config))
        binary = str(find_envoy(None))
        arguments = ["--disable-hot-restart", "--concurrency", "1", "-l", "error"]
        self.proxy(name, address, [binary, "-c", str(file), *arguments])

    def backends(self) -> None:
        listen = " ".join(f"listen {host}:{port};" for host, port in BACKENDS)
        file = self.folder / "backends.conf"
        file.write_text(_NGINX.format(folder=self.folder, listen=listen))
        if shutil.which("nginx") is None:
            raise SystemExit("nginx is not installed: sh bench/peers/install")
        self.start(["nginx", "-e", "stderr", "-c", str(file)], LOAD_CORE)

    def ready(self, path: str = "/") -> None:
        for address, _ in self.pids.values():
            _wait(f"http://{address}:{PORT}{path}")
        time.sleep(2)  # health checks of all have come round
        if ended := [process.args for process in self._started if process.poll() is not None]:
            raise SystemExit(f"not running (is its address taken?): {ended}")

    def stop(self) -> None:
        for process in self._started:
            process.kill()
            process.wait()


@contextlib.contextmanager
def stage(chosen: Collection[str] | None = None) -> Iterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="gslb-bench-") as folder:
        made = Stage(Path(folder), chosen)
        try:
            made.backends()
            yield made
        finally:
            made.stop()


def rendered(folder: Path, policy: str, site: str = "dc") -> dict:
    """The bootstrap that gslb makes of a policy's text for `site`."""
    where = folder / f"policy-{len(list(folder.iterdir()))}"
    where.mkdir()
    (where / "policy.yaml").write_text(policy)
    intent = Intent(revision=1, policy=load_folder(where).policy)
    config = render(compile_snapshot(intent, clock.wall_s()), SiteName(site))
    return static_bootstrap(config, str(where / "admin.sock"))


Rates = Mapping[str, list[float]]


def rates(stage: Stage, case_of: Callable[[str], Case], rounds: int, seconds: float) -> Rates:
    """Requests per second of processor time, by proxy and round. Rounds are interleaved, and every second one is run
    backwards, so that what comes after what does not matter. One round more than asked warms up and is thrown away."""
    found: dict[str, list[float]] = {name: [] for name in stage.pids}
    for turn in range(rounds + 1):
        for name in reversed(stage.pids) if turn % 2 else stage.pids:
            (address, pid), case = stage.pids[name], case_of(name)
            before = cpu_s(pid)
            answered, bad = wrk(f"http://{address}:{PORT}{case.path}", HOST, seconds, case.headers, case.connections)
            if bad:
                raise SystemExit(f"{name} {case.path}: {bad} of {answered} requests failed")
            if turn:
                found[name].append(answered / (cpu_s(pid) - before))
    return found


def ratio(rates: Rates, one: str, other: str) -> str:
    """Of the two, round by round."""
    return spread([a / b for a, b in zip(rates[one], rates[other], strict=True)])


def undisturbed(rates: Rates, one: str, other: str) -> str:
    """Of the upper quartiles of the two: on a machine with other work, of the rounds that it disturbed least."""
    upper = [statistics.quantiles(rates[name], n=4)[2] for name in (one, other)]
    return f"{upper[0] / upper[1]:.2f}"


def median(rates: Rates, name: str) -> str:
    return f"{statistics.median(rates[name]):,.0f}"


def load_of_machine() -> str:
    return " ".join(f"{value:.1f}" for value in os.getloadavg())


def _wait(url: str) -> None:
    for _ in range(100):
        try:
            request = urllib.request.Request(url, headers={"Host": HOST})
            with urllib.request.urlopen(request, timeout=1) as answer:
                if answer.status == 200:
                    return
        except OSError:
            pass
        time.sleep(0.1)
    raise SystemExit(f"{url} never answered")
