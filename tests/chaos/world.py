"""Two sites and a hub in network namespaces, joined by veth: in the hub control and DNS, in each site an edge with a
real Envoy and a backend. Real role processes over shared unix sockets; packets take the cables.

    hub 10.77.0.1 ---- dc  10.77.1.2
              \\------- aws 10.77.2.2
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from gslb import clock
from gslb.roles.settings import DnsSettings, Settings

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SERVER, PORT, BACKEND_PORT = "10.77.0.1", 8080, 9001
ADDRESS = {"dc": "10.77.1.2", "aws": "10.77.2.2"}
ZONE = "gslb.test"
START_S = 60.0
FAULTS = ("kill", "freeze", "blackhole", "slow", "broken-tls")


UNBOUND = """
server:
  directory: "{folder}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  interface: 127.0.0.1@53
  do-ip6: no
  do-not-query-localhost: no
  module-config: "iterator"
  domain-insecure: "test."
  local-zone: "test." nodefault
stub-zone:
  name: "{zone}"
  stub-addr: {server}
"""


class World:
    """`apps` apps that go to dc while it lives, else to aws; `more` are further words of the policy."""

    def __init__(self, folder: Path, apps: int = 2, ttl: str = "1s", **more: object) -> None:
        self.folder, self.mark = folder, f"gc{os.getpid() % 10000}"
        self.names = [f"a{number}.{ZONE}" for number in range(apps)]
        self.children: dict[str, subprocess.Popen] = {}
        self.log = (folder / "log").open("ab")
        self.settings = self._settings(folder)
        self._policy(apps, ttl, more)

    def _settings(self, folder: Path) -> Settings:
        for name in ("run", "data", "policy"):
            (folder / name).mkdir(mode=0o700)
        return Settings(
            runtime=folder / "run", data=folder / "data", policy=folder / "policy", sites=("dc", "aws"),
            dns=((SERVER, 53),), dns_protocol=DnsSettings(threads=1), envoy_concurrency=1, log_format="text",
        )  # fmt: skip

    def _policy(self, apps: int, ttl: str, more: dict[str, object]) -> None:
        check = {"path": "/healthz", "interval": "1s", "timeout": "500ms", "rise": 2, "fall": 3}
        backend = {"check": check} | {site: [f"{ip}:{BACKEND_PORT}"] for site, ip in ADDRESS.items()}
        app = {
            "steer": ["healthy", {"priority": ["dc", "aws"]}, {"first": 1}],
            "backends": {"web": backend},
            "routes": [{"name": "all", "split": {"web": 100}}],
        }
        policy = {
            "zone": {"name": ZONE, "nameservers": {"ns1": [SERVER]}, "ttl": ttl},
            "failback": {"after": "0s"},
            "sites": {site: {"edges": [{"public": [ip]}], "listen": {"http": PORT}} for site, ip in ADDRESS.items()},
            "apps": {f"a{number}": {"hosts": [f"a{number}"], **app} for number in range(apps)},
            **more,
        }
        (self.folder / "policy" / "policy.yaml").write_text(json.dumps(policy))

    # Cables ---------------------------------------------------------------------------------------------------------

    def _ns(self, where: str) -> str:
        return f"{self.mark}-{where}"

    def command(self, where: str, *words: str) -> list[str]:
        return ["ip", "netns", "exec", self._ns(where), *words]

    def run(self, where: str, *words: str) -> str:
        return subprocess.run(self.command(where, *words), check=True, capture_output=True, text=True).stdout

    def lay_cables(self) -> None:
        for where in ("hub", *ADDRESS):
            subprocess.run(["ip", "netns", "add", self._ns(where)], check=True)
            self.run(where, "ip", "link", "set", "lo", "up")
        self.run("hub", "ip", "address", "add", f"{SERVER}/32", "dev", "lo")
        self.run("hub", "sysctl", "-qw", "net.ipv4.ip_forward=1")
        for site, address in ADDRESS.items():
            gate = address.removesuffix("2") + "1"
            self.run("hub", "ip", "link", "add", site, "type", "veth", "peer", "name", "hub0", "netns", self._ns(site))
            self.run("hub", "ip", "address", "add", f"{gate}/24", "dev", site)
            self.run("hub", "ip", "link", "set", site, "up")
            self.run(site, "ip", "address", "add", f"{address}/24", "dev", "hub0")
            self.run(site, "ip", "link", "set", "hub0", "up")
            self.run(site, "ip", "route", "add", "default", "via", gate)

    def lose(self, site: str, percent: int) -> None:
        """That many of the packets to and from `site`, at random; 100: a black hole; 0: none any more."""
        with contextlib.suppress(subprocess.CalledProcessError):
            self.run(site, "nft", "delete", "table", "inet", "chaos")
        if percent:
            lost = "drop" if percent == 100 else f"numgen random mod 100 < {percent} drop"
            rules = "".join(
                f'chain {hook} {{ type filter hook {hook} priority 0\n{way} != "lo" {lost}\n}}\n'
                for hook, way in (("input", "iifname"), ("output", "oifname"))
            )
            self.run(site, "nft", f"table inet chaos {{\n{rules}}}")

    # Processes ------------------------------------------------------------------------------------------------------

    def start(self, name: str, where: str, *words: str, ready: bool = False) -> None:
        out = subprocess.PIPE if ready else self.log
        child = subprocess.Popen(self.command(where, *words), stdout=out, stderr=self.log, cwd=ROOT)
        self.children[name] = child
        if ready:
            assert child.stdout is not None
            assert child.stdout.readline()

    def start_role(self, name: str) -> None:
        role, _, site = name.partition("-")
        words = [sys.executable, "-m", "gslb.roles", role, "--settings", str(self.settings.runtime / "settings.json")]
        self.start(name, site or "hub", *words, *(["--site", site] if site else []))

    def start_backend(self, site: str) -> None:
        program = str(ROOT / "tests" / "support" / "backend_main.py")
        self.start(f"backend-{site}", site, sys.executable, program, site, "0.0.0.0", str(BACKEND_PORT), ready=True)

    def stop(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        child = self.children.pop(name)
        child.send_signal(number)
        child.wait(10)
        if child.stdout:
            child.stdout.close()

    def envoy(self, site: str) -> int:
        return int(json.loads((self.settings.data / f"edge-{site}" / "envoy.process.json").read_text())["pid"])

    # Faults ---------------------------------------------------------------------------------------------------------

    def inject(self, fault: str, site: str = "dc") -> float:
        """The moment (monotonic) at which it began."""
        at_s = clock.mono_s()
        getattr(self, "_" + fault.replace("-", "_"))(site)
        return at_s

    def _kill(self, site: str) -> None:
        """The machine dies: nobody replaces its Envoy."""
        envoy = self.envoy(site)
        self.stop(f"edge-{site}")
        os.kill(envoy, signal.SIGKILL)

    def _freeze(self, site: str) -> None:
        self.children[f"edge-{site}"].send_signal(signal.SIGSTOP)
        os.kill(self.envoy(site), signal.SIGSTOP)

    def _blackhole(self, site: str) -> None:
        self.lose(site, 100)

    def _slow(self, site: str) -> None:
        self.run(site, "curl", "-s", f"http://127.0.0.1:{BACKEND_PORT}/~slow?s=30")

    def _broken_tls(self, site: str) -> None:
        self._kill(site)
        self.start("alert", site, sys.executable, str(HERE / "alert.py"), ADDRESS[site], str(PORT), ready=True)

    def _backend_kill(self, site: str) -> None:
        self.stop(f"backend-{site}")

    def _backend_freeze(self, site: str) -> None:
        os.kill(self.children[f"backend-{site}"].pid, signal.SIGSTOP)

    def heal(self, fault: str, site: str = "dc") -> None:
        if fault == "freeze":
            os.kill(self.envoy(site), signal.SIGCONT)
            self.children[f"edge-{site}"].send_signal(signal.SIGCONT)
        elif fault == "backend-kill":
            self.start_backend(site)
        elif fault == "backend-freeze":
            os.kill(self.children[f"backend-{site}"].pid, signal.SIGCONT)
        elif fault == "blackhole":
            self.lose(site, 0)
        elif fault == "slow":
            self.run(site, "curl", "-s", f"http://127.0.0.1:{BACKEND_PORT}/~slow?s=0")
        else:
            if fault == "broken-tls":
                self.stop("alert")
            self.start_role(f"edge-{site}")

    def unbound(self) -> str:
        """A resolver with a cache, in the hub; its address."""
        file = self.folder / "unbound.conf"
        file.write_text(UNBOUND.format(folder=self.folder, zone=ZONE, server=SERVER))
        self.start("unbound", "hub", "unbound", "-d", "-c", str(file))
        time.sleep(1.0)
        return "127.0.0.1"

    # Looking --------------------------------------------------------------------------------------------------------

    def watching(self, seconds: float, names: list[str] | None = None) -> subprocess.Popen:
        until = str(clock.mono_s() + seconds)
        words = self.command("hub", sys.executable, str(HERE / "watch.py"), SERVER, until, *(names or self.names))
        return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)

    def watch(self, seconds: float) -> dict:
        return json.loads(self.watching(seconds).communicate()[0])

    def asking(self, seconds: float, how: str) -> subprocess.Popen:
        until = str(clock.mono_s() + seconds)
        words = [sys.executable, str(HERE / "client.py"), self.names[0], str(PORT), until, how]
        return subprocess.Popen(self.command("hub", *words), stdout=subprocess.PIPE, text=True)

    def settle(self, site: str = "dc") -> None:
        """Until every name has been answered with `site` alone for a second."""
        until_s = clock.mono_s() + START_S
        while clock.mono_s() < until_s:
            seen = self.watch(1.0)
            if all(set(item["last"]) == {ADDRESS[site]} and not item["silent"] for item in seen.values()):
                return
        raise AssertionError(f"{site} does not come back: {seen}\n{(self.folder / 'log').read_text()[-4000:]}")

    def fresh_dns(self) -> None:
        """A name server without memories: one that saw a site fall again and again would hold it for longer."""
        self.stop("dns", signal.SIGTERM)
        (self.settings.data / "dns" / "standings.json").unlink(missing_ok=True)
        self.start_role("dns")
        self.settle()


@contextlib.contextmanager
def built(folder: Path, **options: object) -> Iterator[World]:
    """Folders of sockets have short names: a unix socket's path ends at 107 octets."""
    world = World(folder, **options)
    try:
        world.lay_cables()
        world.settings.save()
        for site in ADDRESS:
            world.start_backend(site)
        for name in ("edge-dc", "edge-aws", "dns", "control"):
            world.start_role(name)
        world.settle()
        yield world
    finally:
        for site in ADDRESS:
            with contextlib.suppress(OSError, ValueError):
                os.kill(world.envoy(site), signal.SIGKILL)
        for name in list(world.children):
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                world.stop(name)
        for where in ("hub", *ADDRESS):
            subprocess.run(["ip", "netns", "delete", world._ns(where)], check=False, capture_output=True)
        world.log.close()
        shutil.rmtree(folder, ignore_errors=True)
