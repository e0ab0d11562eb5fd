"""DNS over TCP (RFC 7766): framing, pipelining, idle connections and limits.

What a reply says is none of its business.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from gslb import clock
from gslb.dns.tables import Peer

__all__ = ["Limits", "Streams"]

_BUFFER_BYTES = 4096

Respond = Callable[[bytes, Peer, float], bytes | None]


@dataclass(frozen=True, slots=True)
class Limits:
    """What clients may use (RFC 7766 sections 6.2.2 and 6.2.3).

    `idle_s`: for one whole message to arrive, and for one reply to leave. `per_client` connections of one address are
    enough for a large resolver and too few to fill `connections` alone.
    """

    idle_s: float = 10.0
    connections: int = 512
    per_client: int = 32


class Streams:
    """Connections in the order of their last use, so that a full table gives up the one that was idle longest."""

    def __init__(self, respond: Respond, limits: Limits) -> None:
        self._respond = respond
        self._limits = limits
        self._servers: list[asyncio.Server] = []
        self._open: dict[asyncio.StreamWriter, bytes] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._counts: Counter[str] = Counter()

    async def serve(self, sock: socket.socket) -> None:
        """Accept on a listening socket, which is ours from now on."""
        self._servers.append(await asyncio.start_server(self._connected, sock=sock, limit=_BUFFER_BYTES))

    def counts(self) -> dict[str, int]:
        return {**self._counts, "tcp_open": len(self._open)}

    async def close(self) -> None:
        """Close every socket and wait until every connection has let go."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        for writer in self._open:
            writer.transport.abort()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = _peer(writer)
        if peer is None or not self._admit(writer, peer):
            writer.transport.abort()
            return
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._tasks.add(task)
        try:
            await self._talk(reader, writer, peer)
        except (TimeoutError, asyncio.IncompleteReadError, OSError):
            pass  # idle, gone, or cut off in the middle: all of it is how connections end
        finally:
            self._open.pop(writer, None)
            self._tasks.discard(task)
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: Peer) -> None:
        """One message after the other, each answered as soon as it is there. Silence closes the connection."""
        while writer in self._open:  # until it is evicted
            self._open[writer] = self._open.pop(writer)
            async with asyncio.timeout(self._limits.idle_s):
                length = int.from_bytes(await reader.readexactly(2))
                packet = await reader.readexactly(length)
            reply = self._respond(packet, peer, clock.mono_s())
            if reply is None:
                return
            writer.write(len(reply).to_bytes(2) + reply)
            async with asyncio.timeout(self._limits.idle_s):
                await writer.drain()
            await asyncio.sleep(0)  # a client that pipelines thousands must not hold up the datagrams

    def _admit(self, writer: asyncio.StreamWriter, peer: Peer) -> bool:
        """Whether there is room; makes it, at the cost of the connection that was idle longest."""
        self._counts["tcp_connections"] += 1
        if sum(address == peer.address for address in self._open.values()) >= self._limits.per_client:
            self._counts["tcp_refused"] += 1
            return False
        if len(self._open) >= self._limits.connections:
            idle = next(iter(self._open))
            del self._open[idle]
            idle.transport.abort()
            self._counts["tcp_evicted"] += 1
        self._open[writer] = peer.address
        return True


def _peer(writer: asyncio.StreamWriter) -> Peer | None:
    """None where the client hung up before we looked."""
    name = writer.get_extra_info("peername")
    if not name:
        return None
    family = socket.AF_INET6 if ":" in name[0] else socket.AF_INET
    return Peer(socket.inet_pton(family, name[0].partition("%")[0]), tcp=True)
