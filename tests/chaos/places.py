"""The same cables with a machine at each end, as an installation has them: `gslb run` with folders of its own, joined by
a token, speaking mutual TLS over the cables. Each is a place that looks: the hub outside every site, and both sites.
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
from tests.chaos.world import ADDRESS, PORT, ROOT, SERVER, START_S, ZONE, World

PLACES = {"hub": SERVER, **ADDRESS}
API_PORT, NODE_PORT = 8063, 8900
GSLB = str(Path(sys.executable).parent / "gslb")


class Places(World):
    def __init__(self, folder: Path, apps: int) -> None:
        nameservers = {f"ns{number}": [address] for number, address in enumerate(PLACES.values(), 1)}
        super().__init__(folder, apps, zone={"name": ZONE, "nameservers": nameservers, "ttl": "1s"})

    def gslb(self, where: str, *words: str, **env: str) -> str:
        """What a user types at the machine `where`."""
        done = subprocess.run(self._gslb(where, *words, **env), check=False, capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def _gslb(self, where: str, *words: str, **env: str) -> list[str]:
        told = {"GSLB_RUNTIME": str(self.folder / f"run-{where}"), "GSLB_PASSPHRASE": "a long enough passphrase", **env}
        return self.command(where, "env", *(f"{name}={value}" for name, value in told.items()), GSLB, *words)

    def begin(self) -> None:
        policy, control = str(self.folder / "policy"), f"https://{SERVER}:{API_PORT}"
        self.gslb("hub", "identity", "init", "--policy", policy, "--name", "hub", "--roles", "control,dns",
                  "--api", control, "--address", f"{SERVER}:{NODE_PORT}", "--data", str(self.folder / "hub"))  # fmt: skip
        self._start("hub", policy, "--api", f"{SERVER}:{API_PORT}")
        self._wait(lambda: self.gslb("hub", "status"))
        for site, address in ADDRESS.items():
            token = self._wait(
                lambda site=site: self.gslb("hub", "node", "token", "--roles", "dns,edge", "--site", site, "--json")
            )
            self.gslb(site, "node", "join", "--control", control, "--address", f"{address}:{NODE_PORT}", "--name", site,
                      "--data", str(self.folder / site), GSLB_JOIN_TOKEN=json.loads(token)["token"])  # fmt: skip
            self._start(site, "--concurrency", "1")
        for where in PLACES:
            self.settle_at(where)

    def _start(self, where: str, *words: str) -> None:
        more = ("--data", str(self.folder / where), "--dns", f"{PLACES[where]}:53", "--log-format", "text")
        command = self._gslb(where, "run", *words, *more)
        self.children[where] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    @staticmethod
    def _wait(question):
        until_s = clock.mono_s() + START_S
        while True:
            try:
                return question()
            except AssertionError:
                assert clock.mono_s() < until_s
                # asked again at once: each question starts an interpreter

    # Faults ---------------------------------------------------------------------------------------------------------

    def _front(self, site: str) -> None:
        """Nobody reaches the front door, not the machine itself either; all else goes on."""
        self._drop(site, f"tcp dport {PORT} drop")

    def _one_sided(self, site: str) -> None:
        """The hub alone does not reach the front door."""
        gate = ADDRESS[site].removesuffix("2") + "1"
        self._drop(site, f"ip saddr {gate} tcp dport {PORT} drop")

    def _cut(self, site: str) -> None:
        """The whole place is cut off."""
        self.lose(site, 100)

    def _drop(self, site: str, rule: str) -> None:
        self.run(site, "nft", f"table inet chaos {{\nchain input {{ type filter hook input priority 0\n{rule}\n}}\n}}")

    def heal(self, fault: str, site: str = "dc") -> None:
        self.lose(site, 0)

    # Looking --------------------------------------------------------------------------------------------------------

    def watching_at(self, where: str, seconds: float) -> subprocess.Popen:
        """Asks the nameserver of a place, at that place."""
        until = str(clock.mono_s() + seconds)
        words = [sys.executable, str(Path(__file__).with_name("watch.py")), PLACES[where], until, *self.names]
        return subprocess.Popen(self.command(where, *words), stdout=subprocess.PIPE, text=True)

    def _told(self, where: str) -> dict:
        """The state of the nameserver of a place; empty where it does not answer."""
        socket = str(self.folder / f"run-{where}" / "dns.sock")
        try:
            return json.loads(self.run(where, "curl", "-s", "--unix-socket", socket, "http://node/state"))
        except subprocess.CalledProcessError:
            return {}

    def fresh_dns(self) -> None:
        """Nameservers without memories at every place, which have settled: a site that fell before would be held for
        longer. The supervisors start them anew."""
        for where in PLACES:
            (self.folder / where / "dns" / "standings.json").unlink(missing_ok=True)
            os.kill(self._told(where)["pid"], signal.SIGKILL)
        for where in PLACES:
            self.settle_at(where)

    def settle_at(self, where: str, site: str = "dc") -> None:
        """Until every site is up there, and every name has been answered with `site` alone for a second."""
        until_s = clock.mono_s() + 2 * START_S
        seen: dict = {}
        while clock.mono_s() < until_s:
            told = self._told(where)
            if not told.get("ready") or {verdict["state"] for verdict in told["verdicts"]} != {"up"}:
                time.sleep(0.1)
                continue
            seen = json.loads(self.watching_at(where, 1.0).communicate()[0])
            if all(set(item["last"]) == {ADDRESS[site]} and not item["silent"] for item in seen.values()):
                return
        raise AssertionError(f"{where} does not settle: {seen}\n{(self.folder / 'log').read_text()[-4000:]}")


@contextlib.contextmanager
def placed(folder: Path, apps: int) -> Iterator[Places]:
    world = Places(folder, apps)
    try:
        world.lay_cables()
        for site in ADDRESS:
            world.start_backend(site)
        world.begin()
        yield world
    finally:
        for name in PLACES:
            if name in world.children:
                _ended(world.children.pop(name))
        for name in list(world.children):
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                world.stop(name)
        for where in PLACES:
            subprocess.run(["ip", "netns", "delete", world._ns(where)], check=False, capture_output=True)
        world.log.close()
        shutil.rmtree(folder, ignore_errors=True)


def _ended(child: subprocess.Popen) -> None:
    """As Ctrl-C does, which ends Envoy, too."""
    with contextlib.suppress(OSError):
        child.send_signal(signal.SIGINT)
    try:
        child.wait(20)
    except subprocess.TimeoutExpired:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
