"""Sockets around `answer`: reads datagrams and streams, writes replies, counts. Policy, tables and the content of
replies are somebody else's; nothing here waits for anything but its own sockets.

An exception while answering is a bug, and costs one SERVFAIL, a count and a log line, never the loop.
"""

from __future__ import annotations

import asyncio
import dataclasses
import random
import socket
import struct
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import structlog

from gslb import clock
from gslb.dns.lanes import Lanes
from gslb.dns.listening import IP_PKTINFO, Listener, bind_all
from gslb.dns.meter import Meter
from gslb.dns.native import Wire
from gslb.dns.networks import Networks
from gslb.dns.protocol import Protocol
from gslb.dns.proxy import PREAMBLE_BYTES, parse_preamble, parse_source
from gslb.dns.query import HEADER_BYTES
from gslb.dns.querylog import Sample
from gslb.dns.ratelimit import Limiter
from gslb.dns.sampler import Sampler
from gslb.dns.streams import Limits, Respond, Streams
from gslb.dns.tables import Peer, Rcode, Tables
from gslb.dns.wire import answer, header_only, rcode_of

if TYPE_CHECKING:
    from gslb.dns._wire import Datagrams

__all__ = ["Responder"]

_DATAGRAMS_PER_WAKEUP = 64
"""Then the loop sees to its other work: 64 answers take about half a millisecond."""
_QUERY_LIMIT_BYTES = 4096
"""A longer UDP query is cut off here, and then refused as malformed."""
_ANCILLARY_BYTES = 128
_TICK_S = 1.0
_LOG_INTERVAL_S = 60.0
_TC = 0x02
_REMEMBERED = 4096
"""Sources of datagrams: most queries come from resolvers that ask again and again."""

_log = structlog.get_logger(__name__)


class Responder:
    """Serves one zone on UDP and TCP. Open, publish tables, and publish again whenever they change; then close.

    Before the first `publish` every query meets silence, which resolvers take for a slow server and not for an answer.
    `protocol` may be replaced at any time. `limiter` None: nobody is limited. With `wire` native, datagrams are read,
    answered and sent in C, except those of proxies, by so many `threads` (0: by the event loop); what C does not answer
    comes back to `respond`. `sampler` takes queries for a log; None: there is none.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        protocol: Protocol | None = None,
        limiter: Limiter | None = None,
        wire: Wire = "python",
        sampler: Sampler | None = None,
        threads: int = 0,
    ) -> None:
        self._tables: Tables | None = None
        self._listeners: tuple[Listener, ...] = ()
        limits = limits or Limits()
        self._keepalive_ds = round(limits.idle_s * 10)
        self._counts: Counter[str] = Counter()
        self._sampler = sampler
        self._answer = self.respond if sampler is None else self.respond_and_sample
        self._streams = Streams(self._answer, limits, self._counts)
        self._meter = Meter(self._counts, limiter)
        self._datagrams = self._native(limiter, max(threads, 1)) if wire == "native" else None
        self._lanes = Lanes(self._datagrams, threads) if self._datagrams else None
        self._proxies = Networks()
        self.protocol = protocol or Protocol()
        self._ticker: asyncio.TimerHandle | None = None
        self._next_log_s = 0.0

    async def open(
        self,
        listen: Sequence[tuple[str, int]],
        proxied: Sequence[tuple[str, int]] = (),
        proxies: Networks | None = None,
    ) -> None:
        """Bind UDP and TCP of each (address, port), all or none, and start to serve. On `proxied` ones only `proxies`
        are listened to, and what they say starts with a header of the PROXY protocol, version 2.

        Raises HostError: address in use, no permission, no such address on this machine.
        """
        self._proxies = proxies or Networks()
        self._listeners = bind_all(listen, proxied, self._lanes.count if self._lanes else 1)
        loop = asyncio.get_running_loop()
        if self._lanes is not None:
            self._lanes.open([listener for listener in self._listeners if not listener.proxied])
        for listener in self._listeners:
            if listener.proxied or self._lanes is None:
                self._watch(loop, listener)
            await self._streams.serve(listener.tcp, self._proxies if listener.proxied else None)
        self._tick()

    def publish(self, tables: Tables) -> None:
        """Answer from `tables` from the next query on."""
        self._tables = dataclasses.replace(
            tables,
            wall_offset_s=clock.wall_s() - clock.mono_s(),
            protocol=dataclasses.replace(self.protocol, keepalive_ds=self._keepalive_ds),
        )
        if self._datagrams is not None:
            self._datagrams.publish(self._tables)

    def addresses(self) -> tuple[tuple[str, int], ...]:
        """What it listens on, with the ports that the kernel chose where 0 was asked for; those for proxies last."""
        return tuple((listener.host, listener.port) for listener in self._listeners)

    def counts(self) -> dict[str, int]:
        """Counters since the start: `queries_udp`, `queries_tcp`, `responses_<rcode>`, `truncated`, `dropped`
        (silence), `send_failed`, `failed` (exceptions while answering), `limited`, `cookies_good`, `cookies_new` (the
        client has none of ours yet), `cookies_bad`, `subnets` (steered by ECS), `proxy_refused` and `proxy_malformed`
        (dropped), `tcp_connections`, `tcp_refused`, `tcp_evicted`, the gauge `tcp_open`, and with a sampler
        `log_sampled` and `log_dropped`; `threads_lost`, whose sockets the event loop took over. What never happened is
        missing."""
        counts = Counter(self._counts)
        if self._lanes is not None:
            counts.update(self._lanes.counts())
        if self._sampler is not None:
            counts.update(log_sampled=self._sampler.taken, log_dropped=self._sampler.dropped)
        return {**counts, "tcp_open": self._streams.open_connections()}

    async def close(self) -> None:
        """Stop serving and give back every socket and connection. Closing twice does nothing."""
        if self._ticker is not None:
            self._ticker.cancel()
        if self._lanes is not None:
            self._lanes.close()
        loop = asyncio.get_running_loop()
        for listener in self._listeners:
            for sock in listener.udp:
                loop.remove_reader(sock)
                sock.close()
        self._listeners = ()
        await self._streams.close()

    def respond(self, packet: bytes, peer: Peer, mono_s: float, random_u32: int | None = None) -> bytes | None:
        """The reply to `packet`, counted. None: silence. `random_u32` None: a fresh number."""
        tables = self._tables
        self._counts["queries_tcp" if peer.tcp else "queries_udp"] += 1
        if tables is None:
            self._counts["dropped"] += 1
            return None
        try:
            number = random.getrandbits(32) if random_u32 is None else random_u32
            reply = answer(tables, packet, peer, mono_s, number, self._meter)
        except Exception:  # noqa: BLE001 - the one place where a bug must not end the service
            self._report(mono_s)
            reply = header_only(packet, Rcode.SERVFAIL) if len(packet) >= HEADER_BYTES else None
        if reply is None:
            self._counts["dropped"] += 1
            return None
        self._counts[_RESPONSES[rcode_of(reply)]] += 1
        if reply[2] & _TC:
            self._counts["truncated"] += 1
        return reply

    def respond_and_sample(self, packet: bytes, peer: Peer, mono_s: float) -> bytes | None:
        """`respond`, and every so often a sample for the log."""
        assert self._sampler is not None
        return (self.sample if self._sampler.is_due() else self.respond)(packet, peer, mono_s)

    def sample(self, packet: bytes, peer: Peer, mono_s: float) -> bytes | None:
        """`respond`, with a sample for the log; silence is none."""
        assert self._sampler is not None
        random_u32, limited = random.getrandbits(32), self._counts["limited"]
        reply = self.respond(packet, peer, mono_s, random_u32)
        if reply is not None and self._tables is not None:
            was_limited = self._counts["limited"] > limited
            self._sampler.put(Sample(self._tables, packet, reply, peer, mono_s, random_u32, was_limited))
        return reply

    def _respond_to_proxy(self, datagram: bytes, proxy: Peer, mono_s: float) -> bytes | None:
        """The reply to what a proxy passed on, judged by the client that its header names. None: silence."""
        if not self._proxies.covers(proxy.address):
            self._counts["proxy_refused"] += 1
            return None
        preamble = parse_preamble(datagram)
        end = PREAMBLE_BYTES + preamble.rest_bytes if preamble else 0
        client = parse_source(preamble, datagram[PREAMBLE_BYTES:end], proxy) if preamble else None
        if client is None:
            self._counts["proxy_malformed"] += 1
            return None
        return self._answer(datagram[end:], client, mono_s)

    def _report(self, mono_s: float) -> None:
        """At most one line a minute, or a bug that every query meets would fill the disk."""
        self._counts["failed"] += 1
        if mono_s >= self._next_log_s:
            self._next_log_s = mono_s + _LOG_INTERVAL_S
            _log.exception("a query could not be answered and got SERVFAIL", failures_so_far=self._counts["failed"])

    def _tick(self) -> None:
        """Follow the wall clock: steps of it must not need a new publication."""
        if self._tables is not None:
            self.publish(self._tables)
        self._ticker = asyncio.get_running_loop().call_later(_TICK_S, self._tick)

    def _native(self, limiter: Limiter | None, lanes: int) -> Datagrams:
        from gslb.dns._wire import Datagrams  # not built everywhere

        every = self._sampler.every if self._sampler else 0
        return Datagrams(self.respond, limiter, random.getrandbits(64), self.sample, every, lanes)

    def _watch(self, loop: asyncio.AbstractEventLoop, listener: Listener) -> None:
        """Have the datagrams of `listener` read whenever there are some."""
        (udp,) = listener.udp
        read = self._read_wildcard if listener.wildcard else self._read
        respond = self._respond_to_proxy if listener.proxied else self._answer
        loop.add_reader(udp, read, udp, respond)

    def _read(self, sock: socket.socket, respond: Respond) -> None:
        """Answer what has arrived on a socket that is bound to one address."""
        mono_s = clock.mono_s()
        for _ in range(_DATAGRAMS_PER_WAKEUP):
            try:
                packet, source = sock.recvfrom(_QUERY_LIMIT_BYTES)
            except OSError:  # nothing left, or an error that belongs to some earlier reply
                return
            reply = respond(packet, _peer(sock.family, source[0]), mono_s)
            if reply is not None:
                try:
                    sock.sendto(reply, source)
                except OSError:  # a full buffer or no route: the resolver asks again
                    self._counts["send_failed"] += 1

    def _read_wildcard(self, sock: socket.socket, respond: Respond) -> None:
        """The same on a socket that is bound to all addresses: replies leave from the address that was asked."""
        mono_s = clock.mono_s()
        for _ in range(_DATAGRAMS_PER_WAKEUP):
            try:
                packet, ancillary, _, source = sock.recvmsg(_QUERY_LIMIT_BYTES, _ANCILLARY_BYTES)
            except OSError:
                return
            reply = respond(packet, _peer(sock.family, source[0]), mono_s)
            if reply is not None:
                try:
                    sock.sendmsg((reply,), _from_asked(ancillary), 0, source)
                except OSError:
                    self._counts["send_failed"] += 1


_RESPONSES = {rcode.value: f"responses_{rcode.name.lower()}" for rcode in Rcode}


@lru_cache(_REMEMBERED)
def _peer(family: int, host: str) -> Peer:
    return Peer(socket.inet_pton(family, host.partition("%")[0]))  # link-local sources carry their interface


def _from_asked(ancillary: Sequence[tuple[int, int, bytes]]) -> list[tuple[int, int, Any]]:
    """What makes the kernel send from where the query arrived (RFC 3542 section 6.2; ip(7) for IPv4)."""
    for level, kind, data in ancillary:
        if level == socket.IPPROTO_IP and kind == IP_PKTINFO:
            # in_pktinfo: interface, local address, destination of the header. The interface is left to routing.
            return [(level, kind, struct.pack("=i4s4s", 0, data[4:8], bytes(4)))]
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
            return [(level, kind, data)]
    return []
