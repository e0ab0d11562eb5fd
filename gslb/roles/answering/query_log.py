"""The query log's writer: a task of its own that empties the sampler's queue into files and sockets.

What a line says is `dns.querylog`'s. Answers come first: between any two lines the loop is given back, disks are waited
for in a thread, and what cannot be written is dropped and counted.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import structlog

from gslb import __version__
from gslb.dns import dnstap
from gslb.dns.querylog import Sample, anonymous, entry
from gslb.dns.sampler import Sampler
from gslb.roles.answering.log_sinks import Collector, LogFile, Sink, Stderr
from gslb.roles.settings import DnsSettings
from gslb.snapshot.types import Snapshot

__all__ = ["QueryLog"]

PAUSE_S = 0.2
"""How long a line may be late."""

_UNIX = "unix:"
_VERSION = f"gslb {__version__}".encode()

_log = structlog.get_logger(__name__)


class QueryLog:
    """`sampler` is for the responder; None: no log was asked for. `snapshot` is what steers, for the reasons: whoever
    publishes sets it, before the tables that were compiled from it."""

    def __init__(self, given: DnsSettings) -> None:
        """Raises HostError: a file that cannot be written. A collector need not be there yet."""
        self.snapshot: Snapshot | None = None
        self._full_addresses = given.log_full_addresses
        self._identity = given.identity.encode()
        self._lines = _lines_sink(given.log) if given.log else None
        self._frames = _frames_sink(given.log_dnstap) if given.log_dnstap else None
        self._failing: set[Sink] = set()
        self.sampler = Sampler(given.log_sample) if self._lines or self._frames else None

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await asyncio.sleep(PAUSE_S)
            await self.flush()

    async def flush(self) -> None:
        """Write what has been sampled."""
        samples = self.sampler.drain() if self.sampler else []
        if not samples:
            return
        lines, frames = [], []
        for sample in samples:
            said = entry(sample, self.snapshot, full_addresses=self._full_addresses)
            line = json.dumps(said, separators=(",", ":")).encode()
            lines.append(line + b"\n")
            if self._frames:
                frames += self._dnstap(sample, line)
            await asyncio.sleep(0)
        for sink, parts in ((self._lines, lines), (self._frames, frames)):
            if sink:
                await self._write(sink, b"".join(parts), len(samples))

    def reopen(self) -> None:
        """Begin new files, after the old ones were moved away."""
        for sink in (self._lines, self._frames):
            if sink:
                sink.reopen()

    async def close(self) -> None:
        """Write the rest and end the streams."""
        await self.flush()
        for sink in (self._lines, self._frames):
            if sink:
                await sink.close()

    def _dnstap(self, sample: Sample, line: bytes) -> list[bytes]:
        shown = sample if self._full_addresses else anonymous(sample)
        return [dnstap.frame(message) for message in dnstap.messages(shown, line, self._identity, _VERSION)]

    async def _write(self, sink: Sink, data: bytes, samples: int) -> None:
        """A sink that fails is complained of once, and again after it has worked."""
        assert self.sampler is not None
        try:
            await sink.write(data)
            self._failing.discard(sink)
        except OSError as error:
            self.sampler.dropped += samples
            if sink not in self._failing:
                _log.error("the query log cannot be written: lines are dropped", why=error.strerror or str(error))
            self._failing.add(sink)


def _lines_sink(where: str) -> Sink:
    return Stderr() if where == "-" else LogFile(Path(where))


def _frames_sink(where: str) -> Sink:
    if where.startswith(_UNIX):
        return Collector(Path(where.removeprefix(_UNIX)))
    return LogFile(Path(where), dnstap.START, dnstap.STOP)
