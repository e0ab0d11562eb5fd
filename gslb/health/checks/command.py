"""An external command: fixed arguments, no shell, a group of its own that ends with it, a bounded output.

It gets no environment but PATH, LANG and the name of its check: what gslb was started with (tokens, say) is not handed
on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gslb.errors import HostError
from gslb.health.checks.tools import Tools
from gslb.health.target import Result
from gslb.snapshot.checks import CommandAsk

__all__ = ["OUTPUT_LIMIT_BYTES", "ask_command"]

OUTPUT_LIMIT_BYTES = 4096
_LINE = 160
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LAST_WORDS_S = 0.5
"""How long a pipe is read that something outside the group still holds."""


async def ask_command(subject: str, ask: CommandAsk, tools: Tools) -> Result:
    """Healthy is exit status 0, or 1 with a warning. The first line of the output is the reason. Whoever cancels this
    (the timeout) ends the command and all that it started. Raises HostError where it cannot be run."""
    program = tools.command(ask.argv[0])
    output = bytearray()
    async with _pipe() as (reader, end):
        try:
            process = await asyncio.create_subprocess_exec(
                program,
                *ask.argv[1:],
                stdin=asyncio.subprocess.DEVNULL,
                stdout=end,
                stderr=end,
                cwd="/",
                env={"PATH": _PATH, "LANG": "C.UTF-8", "GSLB_CHECK": subject},
                start_new_session=True,
            )
        except OSError as error:
            raise HostError(
                f"{program} cannot be started: {(error.strerror or 'unknown error').lower()}",
                "start it by hand to see why; a script needs its first line (#!/bin/sh)",
            ) from error
        finally:
            os.close(end)
        status = await _ended(process, reader, output)
    return _judged(subject, status, bytes(output))


@asynccontextmanager
async def _pipe() -> AsyncIterator[tuple[asyncio.StreamReader, int]]:
    """What is written into the second is read from the first. Not asyncio's own pipe of a process: that one keeps it
    waiting for as long as anybody holds the other end. The caller closes the second."""
    ours, theirs = os.pipe()
    reader = asyncio.StreamReader(limit=OUTPUT_LIMIT_BYTES)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(ours, "rb", buffering=0)
    )
    try:
        yield reader, theirs
    finally:
        transport.close()


async def _ended(process: asyncio.subprocess.Process, reader: asyncio.StreamReader, output: bytearray) -> int:
    """The exit status. However this ends, so does all that the command started."""
    try:
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(_read(reader, output))
            status = await process.wait()
            _end_group(process.pid)
            await asyncio.wait((reading,), timeout=_LAST_WORDS_S)
            reading.cancel()
    finally:
        if process.returncode is None:
            _end_group(process.pid)
            await asyncio.shield(process.wait())
    return status


async def _read(stream: asyncio.StreamReader, output: bytearray) -> None:
    """Into `output` what fits; the rest is read, so that nobody waits for us, and thrown away."""
    while piece := await stream.read(OUTPUT_LIMIT_BYTES):
        output += piece[: OUTPUT_LIMIT_BYTES - len(output)]


def _end_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _judged(subject: str, status: int, output: bytes) -> Result:
    line = next(iter(output.decode("utf-8", "replace").strip().splitlines()), "")
    said = "".join(char if char.isprintable() else "?" for char in line.partition("|")[0].strip())[:_LINE]
    how = f"ended by signal {-status}" if status < 0 else f"exit status {status}"
    reason = f"{subject}: {said} ({how})" if said else f"{subject}: {how}"
    return Result(ok=status in (0, 1), reason=reason, warning=status == 1)
