"""What every role process does alike: start, stop on a signal, and leave word of why it could not start."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from gslb.errors import GslbError, HostError, PolicyError, RefusedError
from gslb.roles import logs
from gslb.roles.heap import collect_seldom
from gslb.roles.settings import Settings

__all__ = ["Stop", "end_with_parent", "first_error", "forget_last_words", "read_last_words", "run_role", "stop_signal"]

PR_SET_PDEATHSIG = 1  # prctl(2)
SUPERVISOR_GONE = signal.SIGTERM

Stop = signal.Signals
"""The signal that ended a role: SIGTERM asks for a hand-over, SIGINT for an end of everything."""


def run_role(name: str, settings: Settings, role: Callable[[Settings, asyncio.Future[Stop]], Awaitable[None]]) -> int:
    """Run `role(settings, stop)` until it returns; `stop` resolves to the first SIGTERM or SIGINT. The exit code."""
    end_with_parent()
    collect_seldom()
    logs.configure(settings.log_format, name)
    with contextlib.suppress(ImportError):
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    forget_last_words(settings.runtime, name)
    code = 0
    try:
        asyncio.run(_until_stopped(settings, role))
    except* GslbError as group:
        error = first_error(group)
        _leave_word(settings.runtime, name, error)
        structlog.get_logger().error("cannot go on", why=str(error))
        code = 2 if isinstance(error, HostError) else 1
    return code


def read_last_words(runtime: Path, name: str) -> GslbError | None:
    """Why the role process `name` ended, if it said so."""
    try:
        said = json.loads(_last_words(runtime, name).read_text())
    except (OSError, ValueError):
        return None
    if said["kind"] == "host":
        return HostError(said["message"], said["remedy"])
    return RefusedError(said["kind"], said["message"], said["remedy"])


def forget_last_words(runtime: Path, name: str) -> None:
    """What an earlier process of that name said is no longer true."""
    _last_words(runtime, name).unlink(missing_ok=True)


async def _until_stopped(settings: Settings, role: Callable[[Settings, asyncio.Future[Stop]], Awaitable[None]]) -> None:
    await role(settings, stop_signal())


def stop_signal() -> asyncio.Future[Stop]:
    """A future of the first SIGTERM or SIGINT; later ones change nothing."""
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[Stop] = loop.create_future()

    def stopped(number: Stop) -> None:
        if not stop.done():
            stop.set_result(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped, number)
    return stop


def end_with_parent() -> None:
    """Let this process not outlive the one that started it, however that ended. Linux only; elsewhere nothing
    happens."""
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SUPERVISOR_GONE)
        if os.getppid() != parent:
            os.kill(os.getpid(), SUPERVISOR_GONE)


def first_error(group: BaseExceptionGroup[GslbError]) -> GslbError:
    """The first error of a group of groups: where several tasks failed at once, one cause is told."""
    first = group.exceptions[0]
    return first_error(first) if isinstance(first, BaseExceptionGroup) else first


def _last_words(runtime: Path, name: str) -> Path:
    return runtime / f"{name}.error"


def _leave_word(runtime: Path, name: str, error: GslbError) -> None:
    said = {"kind": "refused", "message": str(error), "remedy": ""}
    if isinstance(error, HostError | RefusedError):
        kind = "host" if isinstance(error, HostError) else error.rule
        said = {"kind": kind, "message": error.message, "remedy": error.remedy}
    elif isinstance(error, PolicyError):
        said = {"kind": "policy", "message": str(error), "remedy": "correct the policy; gslb check shows it all"}
    with contextlib.suppress(OSError):
        _last_words(runtime, name).write_text(json.dumps(said))
