"""The seam: `answer`, one pure function from a packet to a packet.

It looks up, draws and puts octets together; all that could be known before the query came is in the tables. No clock,
no socket, no randomness of its own, no dnslib: a native version has the same signature and must give the same octets.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from gslb.dns.draw import pick
from gslb.dns.lookup import lookup
from gslb.dns.query import HEADER_BYTES, Query, parse
from gslb.dns.tables import EMPTY, Body, Peer, PoolIndex, Rcode, Tables
from gslb.errors import WireError

__all__ = ["UDP_LIMIT_BYTES", "answer", "header_only", "rcode_of"]

UDP_LIMIT_BYTES = 1232
"""The largest UDP reply, and what we advertise: fits the IPv6 minimum MTU, so that nothing is fragmented."""

_PLAIN_UDP_LIMIT_BYTES = 512  # RFC 1035 section 2.3.4, without EDNS
_TCP_LIMIT_BYTES = 65_535  # RFC 1035 section 4.2.2

_HEADER = struct.Struct("!BBHHHH")  # after the id
_QR, _AA, _TC, _RD = 0x80, 0x04, 0x02, 0x01
_CD, _OPCODE = 0x10, 0x78
_IN, _ANY_CLASS = 1, 255
_OPT = struct.Struct("!BHHBBHH")
_OPT_TYPE, _DNSSEC_OK = 41, 0x8000
_OPT_START = b"\x00\x00\x29"

_NOT_ASKABLE = frozenset((0, 41, 128))
"""Reserved (RFC 6895), OPT (RFC 6891), NXNAME (RFC 9824 section 3.5): never the type of a question."""
_AUTHORITATIVE = frozenset((Rcode.NOERROR, Rcode.NXDOMAIN, Rcode.YXDOMAIN))
_META = range(129, 255)
"""Transfers, TKEY, TSIG, MAILA, MAILB (RFC 6895 section 3.1): not served. ANY, 255, is."""


def answer(tables: Tables, packet: bytes, peer: Peer, mono_s: float, random_u32: int) -> bytes | None:
    """The reply to `packet`, or None for silence: no whole header, or itself a response.

    Raises nothing, whatever the octets. The reply is never longer than the transport and the client's EDNS size allow.
    `random_u32` is fresh for each query.
    """
    if len(packet) < HEADER_BYTES or packet[2] & _QR:
        return None
    try:
        query = parse(packet)
    except WireError as error:
        return header_only(packet, error.rcode)
    rcode, body = _resolve(tables, query, peer, mono_s + tables.wall_offset_s, random_u32)
    opt, limit = b"", _PLAIN_UDP_LIMIT_BYTES
    if query.edns:
        flags = _DNSSEC_OK if query.edns.dnssec_ok else 0
        opt = _OPT.pack(0, _OPT_TYPE, UDP_LIMIT_BYTES, rcode >> 4, 0, flags, 0)
        limit = min(max(query.edns.size_bytes, limit), UDP_LIMIT_BYTES)
    room = (_TCP_LIMIT_BYTES if peer.tcp else limit) - HEADER_BYTES - len(query.question) - len(opt)
    room -= len(body.records) + len(body.authority)
    # What covers one class only is never authoritative for class ANY (RFC 1035 section 6.2).
    flags = _AA if query.qclass == _IN and rcode in _AUTHORITATIVE and (body.answers or not body.referral) else 0
    extras, extra = body.extras, body.extra
    if len(extra) > room:
        # What we volunteered may be missing without a word (RFC 2181 section 9), glue may not (RFC 9471 section 3).
        extras, extra = 0, b""
        if room < 0 or body.referral:
            body, flags = EMPTY, flags | _TC
    header = packet[:2] + _HEADER.pack(
        _QR | flags | packet[2] & _RD,
        packet[3] & _CD | rcode & 0xF,
        1,
        body.answers,
        body.authorities,
        extras + (1 if opt else 0),
    )
    return b"".join((header, query.question, body.records, body.authority, extra, opt))


def header_only(packet: bytes, rcode: int) -> bytes:
    """The reply of 12 octets to a packet of at least 12 that is not understood: id, opcode and RD come back."""
    return packet[:2] + _HEADER.pack(_QR | packet[2] & (_OPCODE | _RD), packet[3] & _CD | rcode, 0, 0, 0, 0)


def rcode_of(reply: bytes) -> int:
    """The rcode of one of our own replies, BADVERS included: the only one that has nothing but an OPT record."""
    if reply[6:10] == bytes(4) and reply[-11:-8] == _OPT_START:
        return reply[-6] << 4 | reply[3] & 0xF
    return reply[3] & 0xF


def _resolve(tables: Tables, query: Query, peer: Peer, wall_s: float, random_u32: int) -> tuple[int, Body]:
    """The rcode and the records for a query that is well formed. What most queries ask for is found at once."""
    if query.edns and query.edns.version:
        return Rcode.BADVERS, EMPTY
    if query.qtype in _NOT_ASKABLE:
        return Rcode.FORMERR, EMPTY
    if query.qclass not in (_IN, _ANY_CLASS) or query.qtype in _META:
        return Rcode.REFUSED, EMPTY
    entry = tables.names.get(query.name)
    found = None if entry is None else entry.get(query.qtype)
    if isinstance(found, Body):
        return Rcode.NOERROR, found
    if found is not None:
        body = pick(tables.pools[found], peer.address, wall_s, random_u32).body
        if body.answers:
            return Rcode.NOERROR, body
    return lookup(tables, query.name, query.qtype, _drawing(tables, peer, wall_s, random_u32))


def _drawing(tables: Tables, peer: Peer, wall_s: float, random_u32: int) -> Callable[[PoolIndex], Body]:
    """What makes of a pool the body for this client."""
    return lambda index: pick(tables.pools[index], peer.address, wall_s, random_u32).body
