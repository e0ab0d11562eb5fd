"""How quickly a change is everywhere, and what a fleet costs its control.

Fifty real node endpoints, each with its generations on disk, run as tasks of one process: half of them compose the
tables of a name server, half render an edge (no Envoy, no sockets towards clients). Control, in another process, keeps
what it knows in a real etcd. Both share the cores of this machine, so that the fifty nodes' work is one machine's here;
their disks are in memory, because fifty machines have fifty disks. etcd's is a real one.

    python -m bench.fleet [apply] [idle] [restart] [large]
"""

from __future__ import annotations

import asyncio
import multiprocessing
import resource
import ssl
import statistics
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
import uvloop

from gslb import clock
from gslb.control.changes import drain, require, set_policy, undrain
from gslb.control.installation.registry import Machine, document_name
from gslb.control.planning import Today, plan_policy
from gslb.control.protocol import RoleState
from gslb.dns.compose import compose, recompile
from gslb.edge.render import render
from gslb.model.policy import Policy
from gslb.roles.endpoint.node import Node, serve_unix
from gslb.roles.publishing.alarm_log import follow_alarms
from gslb.roles.publishing.believing import Believing, follow_signers
from gslb.roles.publishing.leading import Leading
from gslb.roles.publishing.publish import RolePublisher
from gslb.roles.publishing.shared_store import follow_machines, follow_store, read_machines
from gslb.roles.publishing.signing import Signing
from gslb.snapshot import Compiler, compile_snapshot
from gslb.snapshot.intent import Drain, Intent, Provenance
from gslb.snapshot.types import LiveState
from gslb.store import AuditEntry, Store, open_store
from gslb.trust.signer_files import TrustFolder
from tests.support.etcd import Etcd

NODES = 50
EDGES = 25
SITES = 2
TIMES = 100
IDLE_S = 20
AUDIT = AuditEntry(at_s=1.0, author="bench", action="bench", detail="")
BY = Provenance(at_s=1.0, author="bench")


def policy(routes: int = 3, apps: int = 3, sites: int = SITES) -> Policy:
    """`apps` with as many `routes` each, at every site."""
    names = [f"s{n}" for n in range(sites)]
    backend = {name: [f"10.{n}.0.9:8080"] for n, name in enumerate(names)}
    made = {
        f"app{a}": {
            "hosts": [f"app{a}"],
            "backends": {"old": backend, "new": backend},
            "routes": [
                {"name": f"r{r}", "match": {"path": f"/p{r}"}, "split": {"old": 90, "new": 10}} for r in range(routes)
            ],
        }
        for a in range(apps)
    }
    return Policy.model_validate(
        {
            "zone": {"name": "gslb.example", "nameservers": {"ns1": "192.0.2.53"}},
            "sites": {name: {"edges": [{"public": f"198.51.100.{n + 1}"}]} for n, name in enumerate(names)},
            "apps": made,
        }
    )


class Role:
    """Does with a snapshot what a role does, but for serving it."""

    def __init__(self, name: str, site: str | None) -> None:
        self.name, self.site = name, site
        self.tables = self.prepared = None
        self.started_s = clock.wall_s()

    async def prepare(self, snapshot) -> None:
        self.prepared = snapshot, await asyncio.to_thread(self._make, snapshot)

    async def publish(self, snapshot) -> None:
        """What was prepared is not made twice, as in the real roles."""
        made, self.prepared = self.prepared, None
        is_ready = made is not None and made[0].digest == snapshot.digest
        self.tables = made[1] if is_ready else await asyncio.to_thread(self._make, snapshot)

    def _make(self, snapshot):
        return compose(snapshot, LiveState()) if self.site is None else render(snapshot, self.site)

    async def state(self) -> RoleState:
        role = "dns" if self.site is None else "edge"
        return RoleState(
            name=self.name,
            role=role,
            site=self.site,
            pid=1,
            started_wall_s=self.started_s,
            ready=self.tables is not None,
        )


def names() -> list[tuple[str, str | None]]:
    """Machine and site of every node; None: a name server."""
    return [(f"m{n:02}", f"s{n % SITES}" if n < EDGES else None) for n in range(NODES)]


def process_of(site: str | None) -> str:
    return "dns" if site is None else f"edge-{site}"


def serve_nodes(folder: Path, ready) -> None:
    """The process of the nodes."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))

    async def serve() -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))  # a node has a process of its own
        servers = []
        for machine, site in names():
            home = folder / machine
            home.mkdir(exist_ok=True)
            node = make_node(Role(process_of(site), site), home)
            servers.append(await serve_unix(node.app(), folder / f"{machine}.sock"))
            await node.resume()
        ready.set()
        await asyncio.Event().wait()

    uvloop.run(serve())


def make_node(role: Role, home: Path) -> Node:
    return Node(role, home, TrustFolder(home.parent / "trust"))


@asynccontextmanager
async def fleet(folder: Path, url: str):
    """A control with fifty nodes, following them as the control role does."""
    nodes = start_nodes(folder)
    control, store = await make_control(folder, url)
    try:
        async with following(control, store):
            yield control
    finally:
        await control.close()
        nodes.kill()
        nodes.join()


def start_nodes(folder: Path):
    TrustFolder(folder / "trust").make("bench")
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    nodes = context.Process(target=serve_nodes, args=(folder, ready), daemon=True)
    nodes.start()
    assert ready.wait(60)
    return nodes


async def make_control(folder: Path, url: str) -> tuple[RolePublisher, Store]:
    """The control, and the store that it shares with others, in which its machines stand."""
    trust, store = TrustFolder(folder / "trust"), open_store(url, folder)
    control = RolePublisher(store, Signing(trust, own_file=False), (), lambda _: None)
    control.believing = Believing(trust, store, own_file=False)
    control.leading = Leading(store, "control", alone=False)
    control.nodes.reach_by("control", "gslb.example", ssl.create_default_context)
    known = (await read_machines(store)).machines
    for machine, site in names():
        if machine not in known:
            processes = {process_of(site): f"unix:{folder}/{machine}.sock"}
            document = Machine(name=machine, processes=processes).model_dump_json().encode()
            await asyncio.to_thread(store.put, document_name(machine), 0, document)
    control.nodes.take(await read_machines(store))
    return control, store


@asynccontextmanager
async def following(control: RolePublisher, store: Store):
    """With all that the control role does for ever, but for keys, git and a folder."""
    await control.reach_all(30)
    await control.leading.begin()
    for_ever = (
        control.follow(),
        follow_alarms(control),
        follow_machines(store, control.nodes),
        follow_signers(control.believing, control.nodes),
        control.leading.run(),
        control.waving.run(control),
        follow_store(store, control),
    )
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(task) for task in for_ever]
        yield
        for task in tasks:
            task.cancel()


async def timed(call) -> float:
    started_s = clock.mono_s()
    published = await call
    took_s = clock.mono_s() - started_s
    if published.unacknowledged:
        print("not acknowledged:", took_s, published.unacknowledged)
    return took_s


async def bench_apply(folder: Path, url: str) -> None:
    """From asking control to the acknowledgement of the last of fifty nodes: prepared, stored in etcd, published."""
    async with fleet(folder, url) as control:
        print(f"first policy: {1000 * await timed(apply(control, 0)):.0f} ms")
        before = cpu_s()
        shown("apply of a policy", [await timed(apply(control, n + 1)) for n in range(TIMES)])
        print(f"of which processor time of control: {1000 * (cpu_s() - before) / TIMES:.0f} ms each", flush=True)
        took_s = []
        for _ in range(TIMES // 2):
            took_s.append(await timed(control.change(lambda i: drain(require(i), Drain(site="s1", by=BY)), AUDIT)))
            took_s.append(await timed(control.change(lambda i: undrain(require(i), "s1", None), AUDIT)))
        shown("drain, undrain", took_s)


def apply(control: RolePublisher, n: int):
    changed = policy().model_copy(update={"environment": f"e{n}"})
    return control.change(lambda intent: set_policy(intent, changed), AUDIT)


def shown(what: str, took_s: list[float]) -> None:
    ms = sorted(1000 * item for item in took_s)
    p99 = ms[min(len(ms) - 1, int(0.99 * len(ms)))]
    print(f"{what}: median {statistics.median(ms):.0f} ms, p99 {p99:.0f} ms, worst {ms[-1]:.0f} ms, of {len(ms)}")


async def bench_idle(folder: Path, url: str) -> None:
    """Processor time of control while nothing changes: fifty states a second, the registry, the store, the waves."""
    async with fleet(folder, url) as control:
        await apply(control, 0)
        await asyncio.sleep(3)
        before, began_s = cpu_s(), clock.mono_s()
        await asyncio.sleep(IDLE_S)
        assert len(control.nodes.reachable) == NODES
        print(
            f"idle control with {NODES} nodes: {100 * (cpu_s() - before) / (clock.mono_s() - began_s):.2f} % of a core"
        )


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def bench_restart(folder: Path, url: str) -> None:
    """All fifty nodes end at once and start again from their disks, while a newer version waits for them."""
    async with fleet(folder, url) as control:
        await apply(control, 0)
    control, store = await make_control(folder, url)
    await control.load()
    newer = control.change(lambda i: drain(require(i), Drain(site="s1", by=BY)), AUDIT)
    assert len((await newer).unacknowledged) == NODES
    started_s = clock.mono_s()
    nodes = start_nodes(folder)
    served_s = clock.mono_s() - started_s
    try:
        async with following(control, store):
            while any(state is None or state.applied.overrides != 1 for state in control.roles().values()):
                await asyncio.sleep(0.02)
            print(f"{NODES} nodes restart at once: all serve from disk after {served_s:.1f} s (processes and imports "
                  f"included), all have the newer version after {clock.mono_s() - started_s:.1f} s")  # fmt: skip
    finally:
        await control.close()
        nodes.kill()
        nodes.join()


async def bench_large(_folder: Path, _url: str) -> None:
    """Planning one changed split among 10,000 routes, and one changed weight among 100,000 names."""
    routes = policy(routes=100, apps=100, sites=2)
    split = {"apps": {**routes.apps, "app7": changed_split(routes.apps["app7"])}}
    plan_of("10,000 routes, one split changed", routes, routes.model_copy(update=split))
    hosts = policy(routes=1, apps=100, sites=2)
    many = hosts.model_copy(update={"apps": {name: with_hosts(app, name, 1000) for name, app in hosts.apps.items()}})
    other = many.model_copy(update={"apps": {**many.apps, "app7": changed_split(many.apps["app7"])}})
    plan_of("100,000 names, one split changed", many, other)
    intent = Intent(revision=1, policy=many)
    snapshot = timed_call("100,000 names: compile", lambda: compile_snapshot(intent, 1.0))
    tables = timed_call("100,000 names: compose the tables", lambda: compose(snapshot, LiveState()))
    timed_call("100,000 names: a verdict", lambda: recompile(tables, snapshot, LiveState(1)))


def changed_split(app):
    first, *others = app.routes
    return app.model_copy(update={"routes": (first.model_copy(update={"split": {"old": 80, "new": 20}}), *others)})


def with_hosts(app, name: str, count: int):
    return app.model_copy(update={"hosts": tuple(f"{name}-{n}" for n in range(count))})


def plan_of(what: str, before: Policy, after: Policy) -> None:
    intent = Intent(revision=1, policy=before)
    compiler = Compiler()
    current = (intent, compiler.compile(intent, 1.0))
    today, after = (
        Today(current, LiveState(), 1.0, compiled=compiler.preview),
        Policy.model_validate_json(after.model_dump_json()),
    )
    timed_call(f"{what}: plan", lambda: plan_policy(today, after, {}))


def timed_call(what: str, call: Callable):
    before = cpu_s()
    result = call()
    print(f"{what}: {cpu_s() - before:.2f} s of processor time", flush=True)
    return result


BENCHES = {"apply": bench_apply, "idle": bench_idle, "restart": bench_restart, "large": bench_large}


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    for name in sys.argv[1:] or BENCHES:
        print(f"-- {name}: {BENCHES[name].__doc__}")
        memory = tempfile.TemporaryDirectory(prefix="gslb-bench-", dir="/dev/shm")
        with tempfile.TemporaryDirectory(prefix="gslb-bench-") as disk, memory as folder:
            etcd = Etcd(Path(disk) / "etcd")
            try:
                uvloop.run(BENCHES[name](Path(folder), etcd.url("bench")))
            finally:
                etcd.close()


if __name__ == "__main__":
    main()
