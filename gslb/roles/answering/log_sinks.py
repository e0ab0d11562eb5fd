"""Where the query log goes: a file that may be moved away, stderr, or a collector on a unix socket.

Octets in, octets out: what they say is decided elsewhere. Every `write` raises OSError where not all of it could be
written; the next one tries anew, and nothing is kept for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from typing import Protocol

from gslb.dns.dnstap import READY, START, STOP, accepts
from gslb.errors import HostError

__all__ = ["Collector", "LogFile", "Sink", "Stderr"]

_MODE = 0o640
_COLLECTOR_S = 2.0
"""For a collector to answer, or to take what it is sent."""
_CONTROL_LIMIT_BYTES = 512


class Sink(Protocol):
    async def write(self, data: bytes) -> None: ...
    async def close(self) -> None: ...
    def reopen(self) -> None: ...


class LogFile:
    """Appends to `path`, and begins a new file where that was moved or deleted. With `start` a file is one stream,
    which ends with `stop`: what an earlier run has left there is kept beside it, as `PATH.1`."""

    def __init__(self, path: Path, start: bytes = b"", stop: bytes = b"") -> None:
        """Raises HostError: not writable."""
        self._path, self._start, self._stop = path, start, stop
        try:
            self._handle = self._open()
        except OSError as error:
            raise HostError(
                f"cannot write the query log {path}: {error.strerror or error}", "name a file in a folder you may write"
            ) from None
        self._stale = False

    def reopen(self) -> None:
        """Begin a new file with the next line, or go on with the one that is at the path by then."""
        self._stale = True

    async def write(self, data: bytes) -> None:
        await asyncio.to_thread(self._write, data)

    async def close(self) -> None:
        with contextlib.suppress(OSError):
            _write_all(self._handle, self._stop)
        os.close(self._handle)

    def _write(self, data: bytes) -> None:
        if self._stale or self._was_moved():
            fresh = self._open()
            with contextlib.suppress(OSError):
                _write_all(self._handle, self._stop)
            os.close(self._handle)
            self._handle, self._stale = fresh, False
        before = os.fstat(self._handle).st_size
        try:
            _write_all(self._handle, data)
        except OSError:
            with contextlib.suppress(OSError):  # half a line would spoil the next one
                os.ftruncate(self._handle, before)
            raise

    def _was_moved(self) -> bool:
        try:
            return not os.path.samestat(self._path.stat(), os.fstat(self._handle))
        except FileNotFoundError:
            return True

    def _open(self) -> int:
        if self._start and self._path.exists():
            self._path.replace(f"{self._path}.1")
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, _MODE)
        try:
            _write_all(handle, self._start)
        except OSError:
            os.close(handle)
            raise
        return handle


class Stderr:
    """Between the lines of the log of events."""

    async def write(self, data: bytes) -> None:
        await asyncio.to_thread(_write_all, 2, data)

    async def close(self) -> None: ...

    def reopen(self) -> None: ...


class Collector:
    """A reader of Frame Streams behind a unix socket; it is connected to again whenever it comes back."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    def reopen(self) -> None: ...

    async def write(self, data: bytes) -> None:
        try:
            async with asyncio.timeout(_COLLECTOR_S):
                reader, writer = self._connection or await self._connect()
                if reader.at_eof():
                    raise ConnectionResetError("the collector hung up")
                writer.write(data)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError) as error:  # TimeoutError is an OSError
            self._hang_up()
            raise OSError(str(error) or "the collector does not answer") from None

    async def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(OSError):
                async with asyncio.timeout(_COLLECTOR_S):
                    reader, writer = self._connection
                    writer.write(STOP)
                    await writer.drain()
                    await reader.read(_CONTROL_LIMIT_BYTES)  # its FINISH: then it has everything
            self._hang_up()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """READY, ACCEPT, START."""
        reader, writer = self._connection = await asyncio.open_unix_connection(self._path)
        writer.write(READY)
        escape = await reader.readexactly(8)
        length = int.from_bytes(escape[4:])
        if escape[:4] != bytes(4) or length > _CONTROL_LIMIT_BYTES or not accepts(await reader.readexactly(length)):
            raise ConnectionRefusedError("the collector does not take dnstap")
        writer.write(START)
        return reader, writer

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection[1].close()
            self._connection = None


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
