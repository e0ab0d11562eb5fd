"""The seam: `answer`, one pure function from a packet to a packet.

It looks up, draws and puts octets together; all that could be known before the query came is in the tables. No clock,
no socket, no randomness of its own, no dnslib: a native version has the same signature and must give the same octets.
"""

from __future__ import annotations

import struct

from gslb.dns.draw import pick
from gslb.dns.query import HEADER_BYTES, Query, parse
from gslb.dns.tables import EMPTY, Body, Peer, Rcode, Tables
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
_POINTER = 0xC000
_OPT = struct.Struct("!BHHBBHH")
_OPT_TYPE, _DNSSEC_OK = 41, 0x8000
_OPT_START = b"\x00\x00\x29"

_NOT_ASKABLE = frozenset((0, 41, 128))
"""Reserved (RFC 6895), OPT (RFC 6891), NXNAME (RFC 9824 section 3.5): never the type of a question."""
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
    in_zone = rcode in (Rcode.NOERROR, Rcode.NXDOMAIN)
    authority = b""
    if in_zone and not body.answers:
        apex_offset = HEADER_BYTES + len(query.name) - len(tables.apex)
        authority = (_POINTER | apex_offset).to_bytes(2) + tables.soa
    opt, limit = b"", _PLAIN_UDP_LIMIT_BYTES
    if query.edns:
        flags = _DNSSEC_OK if query.edns.dnssec_ok else 0
        opt = _OPT.pack(0, _OPT_TYPE, UDP_LIMIT_BYTES, rcode >> 4, 0, flags, 0)
        limit = min(max(query.edns.size_bytes, limit), UDP_LIMIT_BYTES)
    room = (_TCP_LIMIT_BYTES if peer.tcp else limit) - HEADER_BYTES - len(query.question) - len(opt)
    extras, extra, truncated = body.extras, body.extra, 0
    if len(body.records) + len(authority) + len(extra) > room:
        extras, extra = 0, b""  # glue that we volunteered: its absence is no truncation (RFC 2181 section 9)
    if len(body.records) + len(authority) > room:
        body, authority, truncated = EMPTY, b"", _TC
    # What covers one class only is never authoritative for class ANY (RFC 1035 section 6.2).
    authoritative = _AA if in_zone and query.qclass == _IN else 0
    header = packet[:2] + _HEADER.pack(
        _QR | authoritative | truncated | packet[2] & _RD,
        packet[3] & _CD | rcode & 0xF,
        1,
        body.answers,
        1 if authority else 0,
        extras + (1 if opt else 0),
    )
    return b"".join((header, query.question, body.records, authority, extra, opt))


def header_only(packet: bytes, rcode: int) -> bytes:
    """The reply of 12 octets to a packet of at least 12 that is not understood: id, opcode and RD come back."""
    return packet[:2] + _HEADER.pack(_QR | packet[2] & (_OPCODE | _RD), packet[3] & _CD | rcode, 0, 0, 0, 0)


def rcode_of(reply: bytes) -> int:
    """The rcode of one of our own replies, BADVERS included: the only one that has nothing but an OPT record."""
    if reply[6:10] == bytes(4) and reply[-11:-8] == _OPT_START:
        return reply[-6] << 4 | reply[3] & 0xF
    return reply[3] & 0xF


def _resolve(tables: Tables, query: Query, peer: Peer, wall_s: float, random_u32: int) -> tuple[int, Body]:
    """The rcode and the records for a query that is well formed. No records: negative, or refused."""
    if query.edns and query.edns.version:
        return Rcode.BADVERS, EMPTY
    if query.qtype in _NOT_ASKABLE:
        return Rcode.FORMERR, EMPTY
    if query.qclass not in (_IN, _ANY_CLASS) or query.qtype in _META:
        return Rcode.REFUSED, EMPTY
    entry = tables.names.get(query.name)
    if entry is None:
        return Rcode.NXDOMAIN if _is_below(query.name, tables.apex) else Rcode.REFUSED, EMPTY
    index = entry.get(query.qtype)
    if index is None:
        return Rcode.NOERROR, EMPTY
    return Rcode.NOERROR, pick(tables.pools[index], peer.address, wall_s, random_u32).body


def _is_below(name: bytes, apex: bytes) -> bool:
    """Whether `name` ends in the labels of `apex`. As a label may hold any octets, equal ends alone prove nothing."""
    offset, start = 0, len(name) - len(apex)
    while offset < start:
        offset += name[offset] + 1
    return offset == start and name.endswith(apex)
