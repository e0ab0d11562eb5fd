"""The small supervisor behind `gslb run` and `gslb demo`: it starts role processes, restarts those that die, and stops
them all. It knows nothing of policy or DNS, and of Envoy only that none may be left at the end, so that there is little
in it that can fail."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import structlog

from gslb import clock
from gslb.control.compared import COMPARER
from gslb.control.protocol import role_name
from gslb.errors import GslbError, HostError
from gslb.roles.comparisons.comparer_kept import ComparerKeeper
from gslb.roles.comparisons.comparing import forget_comparisons
from gslb.roles.endpoint.node_client import NodeClient
from gslb.roles.process import first_error, forget_last_words, read_last_words
from gslb.roles.publishing.watch import forget_taken
from gslb.roles.settings import Settings
from gslb.roles.tasks import back_off_s, keep_running

__all__ = ["Supervisor", "lock_folder", "make_folders"]

STOP_WITHIN_S = 3.5
"""After this what has not stopped is killed: the whole must be gone within 5 s of the signal."""
LOOK_S = 0.05
TRIES = 5
"""How often a role may end while the installation starts; afterwards it is restarted for ever."""


def make_folders(settings: Settings) -> None:
    """The runtime and data folders, for their owner only. Raises HostError."""
    for folder, flag in ((settings.runtime, "--runtime"), (settings.data, "--data")):
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            probe = folder / ".writable"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise HostError(
                f"cannot write in the folder {folder}: {error.strerror}", f"name one that you may write: {flag} DIR"
            ) from error
    if settings.runtime.stat().st_uid != os.geteuid():
        raise HostError(
            f"the folder {settings.runtime} belongs to another user, who could take over its sockets",
            "name one of your own: --runtime DIR",
        )


@contextlib.contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Hold `folder` for this process alone. Raises HostError naming who holds it."""
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(handle, 32).decode("ascii", "replace").strip() or "unknown"
            raise HostError(
                f"another gslb (pid {holder}) is running in {folder}",
                "stop that one first, or give this one folders of its own: --runtime DIR --data DIR",
            ) from None
        os.truncate(handle, 0)
        os.write(handle, str(os.getpid()).encode())
        yield
    finally:
        os.close(handle)


class Supervisor:
    """Runs the role processes of `settings` until `stop` resolves, then stops them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._stopping = asyncio.Event()
        self._ready = False
        self._comparer = ComparerKeeper(settings, lambda: self._start(COMPARER, None), self._stopping)

    @property
    def pids(self) -> dict[str, int]:
        """The role processes that run now, by name."""
        found = {**self._processes, **({COMPARER: self._comparer.process} if self._comparer.process else {})}
        return {name: process.pid for name, process in found.items() if process.returncode is None}

    async def run(self, stop: asyncio.Future[signal.Signals], on_ready: Callable[[], None]) -> None:
        """Calls `on_ready` once every role serves. Raises what a role that could not start said."""
        self.settings.save()
        forget_comparisons(self.settings)
        forget_taken(self.settings.runtime)
        for name, _, _ in self._roles():
            forget_last_words(self.settings.runtime, name)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._keep(*role)) for role in self._roles()]
                tasks.append(group.create_task(self._tell_ready(on_ready)))
                tasks.append(group.create_task(keep_running("comparer", self._comparer.run)))
                number = await asyncio.shield(stop)
                self._stopping.set()
                await self._end(number)
                for task in tasks:
                    task.cancel()
        except* GslbError as errors:
            self._stopping.set()
            await self._end(signal.SIGINT)
            raise self._cause(first_error(errors)) from None

    def _roles(self) -> list[tuple[str, str, str | None]]:
        settings = self.settings
        roles: list[tuple[str, str, str | None]] = []
        if "control" in settings.roles:
            roles.append(("control", "control", None))
        if "dns" in settings.roles:
            roles.append(("dns", "dns", None))
        if "edge" in settings.roles:
            roles += [(role_name("edge", site), "edge", site) for site in settings.sites]
        if "observer" in settings.roles:
            roles.append(("observer", "observer", None))
        return roles

    def _cause(self, error: GslbError) -> GslbError:
        """One role's trouble makes others refuse: what the machine did to any of them is the cause."""
        said = [read_last_words(self.settings.runtime, name) for name, _, _ in self._roles()]
        return next((word for word in said if isinstance(word, HostError)), error)

    async def _keep(self, name: str, role: str, site: str | None) -> None:
        """Keep one role process running. One that says why it cannot start, before all were ready, ends everything."""
        failures = 0
        while not self._stopping.is_set():
            since = clock.mono_s()
            process = await self._start(role, site)
            self._processes[name] = process
            code = await process.wait()
            if self._stopping.is_set():
                return
            said = read_last_words(self.settings.runtime, name)
            if said is not None and not self._ready:
                raise said
            failures = 0 if clock.mono_s() - since > 10 else failures + 1
            if failures >= TRIES and not self._ready:
                raise HostError(f"the role {name} ended {failures} times while starting (status {code})", "see its log")
            pause_s = back_off_s(failures)
            structlog.get_logger().error("a role ended", name=name, code=code, again_in_s=pause_s)
            await asyncio.sleep(pause_s)

    async def _start(self, role: str, site: str | None) -> asyncio.subprocess.Process:
        arguments = ["-m", "gslb.roles", role, "--settings", str(self.settings.runtime / "settings.json")]
        if site is not None:
            arguments += ["--site", site]
        return await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=sys.stderr, start_new_session=True
        )

    async def _tell_ready(self, on_ready: Callable[[], None]) -> None:
        """Ready is: every node serves, and control (where it runs here) says that they serve what it wants."""
        nodes = [NodeClient(name, self.settings.socket(name), "supervisor") for name in self.settings.nodes()]
        control = NodeClient("control", self.settings.socket("control"))
        try:
            while not all(node.state is not None and node.state.ready and node.state.applied for node in nodes):
                await asyncio.sleep(LOOK_S)
                await asyncio.gather(*(node.read() for node in nodes))
            while "control" in self.settings.roles and not await control.in_sync():
                await asyncio.sleep(LOOK_S)
                await asyncio.gather(*(node.read() for node in nodes))
                if any(map(_has_its_own_way, nodes)):
                    break
        finally:
            for node in (*nodes, control):
                await node.close()
        self._ready = True
        on_ready()

    def _signal(self, number: signal.Signals) -> None:
        for pid in self.pids.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    async def _end(self, number: signal.Signals) -> None:
        """Roles end their Envoys themselves, but for one that was killed or has only just started."""
        self._signal(number)
        await self._gone()
        if number == signal.SIGINT or self.settings.foreground:
            from gslb.edge.process import end_left_behind

            edges = [self.settings.data / name for name, role, _ in self._roles() if role == "edge"]
            await asyncio.gather(*map(end_left_behind, edges))

    async def _gone(self) -> None:
        until = clock.mono_s() + STOP_WITHIN_S
        while self.pids and clock.mono_s() < until:
            await asyncio.sleep(0.02)
        self._signal(signal.SIGKILL)


def _has_its_own_way(node: NodeClient) -> bool:
    """Whether the node serves something else than control wants, and will: nobody should wait for it."""
    state = node.state
    return state is not None and bool(state.stepped_back_from or state.broken_glass or state.left_out)
