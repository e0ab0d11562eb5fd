"""One installation of real processes on loopback: three members of an etcd that lets in our own certificates alone, two
machines with a control, two with DNS, two with an edge. Each machine has folders of its own, joined by a token, and is
watched all along."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from gslb import clock
from gslb.edge import find_envoy
from gslb.roles.process import end_with_parent
from tests.support.backend import Backend
from tests.support.etcd import ADDRESS as MEMBER
from tests.support.etcd import Etcd
from tests.support.ports import free_port
from tests.support.running_demo import GSLB, eventually, run_gslb

ADDRESS = {"c1": "127.0.11.1", "c2": "127.0.11.2", "n1": "127.0.11.3", "n2": "127.0.11.4",
           "dc": "127.0.11.5", "aws": "127.0.11.6"}  # fmt: skip
BACKENDS = "127.0.11.9"
PROCESS = {"c1": "control", "c2": "control", "n1": "dns", "n2": "dns", "dc": "edge-dc", "aws": "edge-aws"}
NODES, CONTROLS, NAMESERVERS, EDGES = ("n1", "n2", "dc", "aws"), ("c1", "c2"), ("n1", "n2"), ("dc", "aws")
HOST = "shop.fleet.test"
STARTS_S = 120.0
"""How long anything may take to start here. A limit for what is broken, not a measurement."""

POLICY = """
environment: fleet
zone: {{name: fleet.test, nameservers: {{ns1: {n1}, ns2: {n2}}}, ttl: 5s}}
sites:
  dc: {{edges: [{{public: {dc}}}], listen: {{http: {port}}}}}
  aws: {{edges: [{{public: {aws}}}], listen: {{http: {port}}}}}
failback: {{after: 2s}}
apps:
  shop:
    hosts: shop
    steer: [healthy, {{weighted: {{dc: 50, aws: 50}}, by: client}}]
    backends:
      old: {{check: {{path: /healthz, interval: 1s, timeout: 1s}}, dc: ["{old_dc}"], aws: ["{old_aws}"]}}
      new: {{check: {{path: /healthz, interval: 1s, timeout: 1s}}, aws: ["{new_aws}"]}}
    routes:
      - {{name: all, split: {{old: 100, new: 0}}}}
"""


SLOW_ENVOY = """#!/bin/sh
# An Envoy that takes its time to validate, for as long as the file "hold" is there.
case "$*" in *validate*)
  while [ -e {folder}/hold ]; do touch {folder}/held; sleep 0.05; done;;
esac
exec {envoy} "$@"
"""


class Machine:
    """`gslb run` with folders of its own. `start` is what a service manager does."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.data, self.runtime = folder / name, folder / f"run-{name}"
        self.env = {**os.environ, "GSLB_RUNTIME": str(self.runtime), "GSLB_PASSPHRASE": "a long enough passphrase"}
        self.arguments: tuple[str, ...] = ()
        self.process: asyncio.subprocess.Process | None = None
        self.asleep: int | None = None

    @property
    def socket(self) -> Path:
        return self.runtime / f"{PROCESS[self.name]}.sock"

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.returncode is None

    async def start(self) -> None:
        with (self.folder / f"log-{self.name}").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *GSLB, "run", *self.arguments, "--data", str(self.data), "--log-format", "json", env=self.env,
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, preexec_fn=end_with_parent,
            )  # fmt: skip

    async def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self.runs:
            self.process.send_signal(number)
            await self.process.wait()

    def sleep(self) -> None:
        """Stop its role process where it stands, until `wake`."""
        self.asleep = self.role_pid()
        os.kill(self.asleep, signal.SIGSTOP)

    def wake(self) -> None:
        if self.asleep is not None:
            os.kill(self.asleep, signal.SIGCONT)
            self.asleep = None

    def role_pid(self) -> int | None:
        """The one role process that runs here."""
        if not self.runs:
            return None
        pid = self.process.pid
        with contextlib.suppress(OSError):
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            roles = [int(child) for child in children if b"gslb.roles" in Path(f"/proc/{child}/cmdline").read_bytes()]
            return roles[0] if roles else None
        return None

    async def pid(self, what: str) -> int | None:
        """Of the `role` process, or its `envoy`."""
        if what == "role":
            return self.role_pid()
        state = await self.ask("/state")
        return state["edge"]["envoy"]["pid"] if state and state["ready"] else None

    async def serves(self) -> bool:
        if self.name in CONTROLS:
            return await self.ask("/v1/status") is not None
        state = await self.ask("/state")
        return state is not None and state["ready"]

    async def ask(self, path: str, timeout_s: float = 2.0):
        """What the role process answers over its socket; None where it does not."""
        connector = aiohttp.UnixConnector(str(self.socket), force_close=True)
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
                session.get(f"http://node{path}") as response,
            ):
                return await response.json() if response.status == 200 else None
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None

    def log(self) -> str:
        return (self.folder / f"log-{self.name}").read_text()


class Watch:
    """What each node had in force all along, as it says itself five times a second: (seconds, version, digest)."""

    def __init__(self, machines) -> None:
        self.machines = machines
        self.seen = {name: [] for name in NODES}
        self.states: dict[str, dict | None] = dict.fromkeys(NODES)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for name in NODES:
                group.create_task(self._follow(name))

    async def _follow(self, name: str) -> None:
        while True:
            state = self.states[name] = await self.machines[name].ask("/state")
            applied = state["applied"] if state else None
            if applied is not None:
                had = (applied["revision"], applied["overrides"]), applied["digest"]
                if not self.seen[name] or self.seen[name][-1][1:] != had:
                    self.seen[name].append((clock.mono_s(), *had))
            await asyncio.sleep(0.2)

    def went_back(self) -> dict[str, list]:
        """Where a node had an older version after a newer one."""
        versions = {name: [version for _, version, _ in seen] for name, seen in self.seen.items()}
        return {name: had for name, had in versions.items() if had != sorted(had)}

    def first(self, name: str, revision: int) -> float | None:
        """When a node had a revision for the first time; None: never."""
        return next((at_s for at_s, version, _ in self.seen[name] if version[0] == revision), None)

    def since(self, version) -> float:
        """When the last of the nodes had it."""
        return max(next(at_s for at_s, had, _ in seen if had == version) for seen in self.seen.values())

    def now(self, name: str):
        """(version, digest) of a node that answers; None: it does not, or serves nothing yet."""
        state = self.states[name]
        if state is None or state["applied"] is None or not state["ready"]:
            return None
        applied = state["applied"]
        return (applied["revision"], applied["overrides"]), applied["digest"]


class Fleet:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.machines = {name: Machine(name, folder) for name in ADDRESS}
        self.watch = Watch(self.machines)
        self.http_port = free_port(*(ADDRESS[name] for name in EDGES))
        self.dns_port = free_port(*(ADDRESS[name] for name in NAMESERVERS))
        self.api_port = free_port(*(ADDRESS[name] for name in CONTROLS))
        self.node_port = free_port(*(ADDRESS[name] for name in NODES))
        self.backends: list[Backend] = []
        self.etcd: Etcd | None = None
        self.policy = folder / "policy"

    def url(self, name: str) -> str:
        port = self.api_port if name in CONTROLS else self.node_port
        return f"https://{ADDRESS[name]}:{port}"

    # Beginning --------------------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        for backend, site in (("old", "dc"), ("old", "aws"), ("new", "aws")):
            self.backends.append(await asyncio.to_thread(Backend, f"{backend}-{site}", BACKENDS))
        self.write_policy()
        envoy = self.folder / "envoy"
        envoy.write_text(SLOW_ENVOY.format(folder=self.folder, envoy=find_envoy(None)))
        envoy.chmod(0o755)
        await self._begin_c1()
        await asyncio.gather(*(self._join(name) for name in ADDRESS if name != "c1"))
        for name in ADDRESS:
            if name != "c1":
                await self.machines[name].start()

    def write_policy(self, edit=lambda text: text) -> Path:
        endpoints = dict(zip(("old_dc", "old_aws", "new_aws"), [b.endpoint for b in self.backends], strict=True))
        self.policy.mkdir(exist_ok=True)
        text = POLICY.format(port=self.http_port, **ADDRESS, **endpoints)
        (self.policy / "fleet.yaml").write_text(edit(text))
        return self.policy

    def store(self, control: str) -> str:
        """As a control's machine reaches it."""
        trust = self.machines[control].data / "trust"
        shown = trust / "identities" / "control"
        members = ",".join(member.endpoint for member in self.etcd.members)
        return f"etcds://{members}/fleet?ca={trust / 'ca.pem'}&cert={shown / 'cert.pem'}&key={shown / 'key.pem'}"

    async def _begin_c1(self) -> None:
        data, certificate = str(self.machines["c1"].data), self.folder / "etcd-certificate"
        await self.gslb("c1", "identity", "init", "--policy", str(self.policy), "--name", "c1", "--roles", "control",
                        "--api", self.url("c1"), "--data", data)  # fmt: skip
        members = [option for number in (1, 2, 3) for option in ("--ip", MEMBER.format(number))]
        await self.gslb("c1", "identity", "issue", "server", "etcd", *members, "-o", str(certificate), "--data", data)
        tls = tuple(certificate / name for name in ("ca.pem", "cert.pem", "key.pem"))
        self.etcd = await asyncio.to_thread(Etcd, self.folder / "etcd", 3, tls)
        for name in CONTROLS:
            api = f"{ADDRESS[name]}:{self.api_port}"
            self.machines[name].arguments = ("--roles", "control", "--api", api, "--store", self.store(name))
        first = self.machines["c1"]
        arguments, first.arguments = first.arguments, (*first.arguments, str(self.policy))
        await first.start()
        first.arguments = arguments  # the folder is for the first start alone: later ones go on from the store
        await eventually(lambda: first.ask("/v1/nodes"), STARTS_S, "c1 serves")
        await eventually(self._has_policy, STARTS_S, "the policy is in force")

    async def _has_policy(self) -> bool:
        status = await self.machines["c1"].ask("/v1/status")
        return status is not None and status["snapshot"] is not None

    async def _join(self, name: str) -> None:
        process = PROCESS[name]
        roles = ["--roles", "edge", "--site", name] if name in EDGES else ["--roles", process]
        token = (await self.gslb("c1", "node", "token", *roles, "--json")).json["token"]
        where = (
            ["--api", self.url(name)] if name in CONTROLS else ["--address", self.url(name).removeprefix("https://")]
        )
        machine = self.machines[name]
        machine.env["GSLB_JOIN_TOKEN"] = token
        await self.gslb(name, "node", "join", "--control", self.url("c1"), "--name", name, *where,
                        "--data", str(machine.data))  # fmt: skip
        if name in NAMESERVERS:
            machine.arguments = ("--dns", f"{ADDRESS[name]}:{self.dns_port}")
        elif name in EDGES:
            machine.arguments = ("--concurrency", "1", "--envoy", str(self.folder / "envoy"))

    async def end(self) -> None:
        for machine in self.machines.values():
            machine.wake()
        await asyncio.gather(*(machine.end(signal.SIGINT) for machine in self.machines.values()))
        for backend in self.backends:
            backend.kill()
        if self.etcd is not None:
            self.etcd.close()

    # What a user types ------------------------------------------------------------------------------------------------

    async def gslb(self, name: str, *arguments: str, code: int | None = 0):
        """At machine `name`. `code` None: whatever it ends with."""
        result = await run_gslb(*arguments, env=self.machines[name].env)
        assert code is None or result.code == code, (arguments, result.code, result.out, result.err)
        return result

    async def told(self, control: str) -> dict:
        """`gslb nodes --json` at a control: by machine."""
        seen = (await self.gslb(control, "nodes", "--json")).json["nodes"]
        return {node["machine"]: node for node in seen}

    # Waiting ----------------------------------------------------------------------------------------------------------

    async def equal(self, after=None, within_s: float = STARTS_S) -> None:
        """Wait until all nodes say that they have the same in force (newer than `after`, where it is given), and each
        control says so of them."""

        async def are_equal() -> bool:
            had = {self.watch.now(name) for name in NODES}
            return len(had) == 1 and None not in had and (after is None or next(iter(had))[0] > after)

        await eventually(are_equal, within_s, "all nodes have the same")
        for control in CONTROLS:
            if self.machines[control].runs and self.machines[control].asleep is None:
                await eventually(lambda control=control: self._agrees(control), within_s, f"{control} agrees")

    async def _agrees(self, control: str) -> bool:
        seen = await self.machines[control].ask("/v1/nodes")
        if seen is None or len(seen["nodes"]) != len(NODES):
            return False
        return all(
            node["in_sync"]
            and ((node["revision"], node["overrides"]), node["digest"]) == self.watch.now(node["machine"])
            for node in seen["nodes"]
        )

    def version(self) -> tuple[int, int]:
        return self.watch.now("n1")[0]

    def has(self) -> tuple[int, int, str]:
        version, digest = self.watch.now("n1")
        return *version, digest

    async def lead(self, control: str) -> dict:
        """Who leads, as a control sees it."""
        status = await self.machines[control].ask("/v1/status")
        return (status and status["leader"]) or {"control": None, "term": 0, "here": False}

    async def leads_since(self, term: int) -> str | None:
        """The control that leads, in a later term."""
        for control in CONTROLS:
            lead = await self.lead(control)
            if lead["here"] and lead["term"] > term:
                return control
        return None

    async def leader(self) -> str:
        return await eventually(lambda: self.leads_since(0), STARTS_S, "a control leads")

    @asynccontextmanager
    async def held(self):
        """Edges do not say meanwhile whether they can take what they are offered. Yields who waits until one was
        asked."""
        hold, held = self.folder / "hold", self.folder / "held"
        held.unlink(missing_ok=True)
        hold.touch()

        async def was_asked() -> bool:
            return held.exists()

        try:
            yield lambda: eventually(was_asked, STARTS_S, "an edge is asked")
        finally:
            hold.unlink()

    async def heal(self) -> None:
        """Everything runs, whatever the test before has left."""
        lost = [member for member in self.etcd.members if member.process is None]
        for member in lost:
            member.start(self.etcd.members)
        await asyncio.to_thread(self.etcd.wait, self.etcd.members)
        for machine in self.machines.values():
            if not machine.runs:
                await machine.start()
        for control in CONTROLS:
            await eventually(lambda control=control: self.machines[control].ask("/v1/nodes"), STARTS_S, control)
        await self.equal()


@asynccontextmanager
async def installation(folder: Path):
    fleet = Fleet(folder)
    watching = None
    try:
        await fleet.begin()
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(fleet.watch.run())
            await fleet.equal()
            yield fleet
            watching.cancel()
    except BaseException:
        for machine in fleet.machines.values():
            if (folder / f"log-{machine.name}").exists():
                print(f"--- {machine.name}\n{machine.log()[-3000:]}")
        raise
    finally:
        await fleet.end()
