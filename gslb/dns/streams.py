"""DNS over TCP (RFC 7766): framing, pipelining, idle connections and limits.

What a reply says is none of its business.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import cast

from gslb import clock
from gslb.dns.networks import Networks
from gslb.dns.proxy import PREAMBLE_BYTES, parse_preamble, parse_source
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

    def __init__(self, respond: Respond, limits: Limits, counts: Counter[str]) -> None:
        """`counts` is shared with the responder and kept up to date."""
        self._respond = respond
        self._limits = limits
        self._servers: list[asyncio.Server] = []
        self._open: dict[asyncio.StreamWriter, bytes] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._counts = counts

    async def serve(self, sock: socket.socket, proxies: Networks | None = None) -> None:
        """Accept on a listening socket, which is ours from now on. With `proxies`, none but those may connect, and each
        connection starts with a header that says who asks."""
        connected = partial(self._connected, proxies)
        self._servers.append(await asyncio.start_server(connected, sock=sock, limit=_BUFFER_BYTES))

    def open_connections(self) -> int:
        return len(self._open)

    async def close(self) -> None:
        """Close every socket and wait until every connection has let go."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        for writer in self._open:
            writer.transport.abort()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _connected(
        self, proxies: Networks | None, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        peer = _peer(writer)
        if peer is None or not self._admit(writer, peer, proxies):
            writer.transport.abort()
            return
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._tasks.add(task)
        try:
            client = peer if proxies is None else await self._client_of(peer, reader, writer)
            if client is not None:
                await self._talk(reader, writer, client)
        except (TimeoutError, asyncio.IncompleteReadError, OSError):
            pass  # idle, gone, or cut off in the middle: all of it is how connections end
        finally:
            self._open.pop(writer, None)
            self._tasks.discard(task)
            writer.close()

    async def _client_of(self, proxy: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Peer | None:
        """Who asks, by the header with which a proxy opens its connection. None: it makes no sense, or that client has
        enough connections already."""
        client = None
        async with asyncio.timeout(self._limits.idle_s):
            preamble = parse_preamble(await reader.readexactly(PREAMBLE_BYTES))
            if preamble is not None:
                client = parse_source(preamble, await reader.readexactly(preamble.rest_bytes), proxy)
        if client is None:
            self._counts["proxy_malformed"] += 1
        elif client is not proxy and self._is_greedy(client):
            return None
        elif writer in self._open:
            self._open[writer] = client.address
        return client

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

    def _admit(self, writer: asyncio.StreamWriter, peer: Peer, proxies: Networks | None) -> bool:
        """Whether there is room; makes it, at the cost of the connection that was idle longest. Proxies may have more
        of them than a client: they speak for many."""
        self._counts["tcp_connections"] += 1
        if proxies is None:
            if self._is_greedy(peer):
                return False
        elif not proxies.covers(peer.address):
            self._counts["proxy_refused"] += 1
            return False
        if len(self._open) >= self._limits.connections:
            idle = next(iter(self._open))
            del self._open[idle]
            idle.transport.abort()
            self._counts["tcp_evicted"] += 1
        self._open[writer] = peer.address
        return True

    def _is_greedy(self, peer: Peer) -> bool:
        """Whether a client has all the connections that one may have; then it is counted as refused."""
        if sum(address == peer.address for address in self._open.values()) < self._limits.per_client:
            return False
        self._counts["tcp_refused"] += 1
        return True


def _peer(writer: asyncio.StreamWriter) -> Peer | None:
    """None where the client hung up before we looked."""
    name = writer.get_extra_info("peername")
    if not name:
        return None
    family = socket.AF_INET6 if ":" in name[0] else socket.AF_INET
    return Peer(socket.inet_pton(family, name[0].partition("%")[0]), tcp=True, proven=True)
