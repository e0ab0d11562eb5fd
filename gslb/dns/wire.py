"""The seam: `answer`, one pure function from a packet to a packet.

It looks up, draws and puts octets together; all that could be known before the query came is in the tables. No clock,
no socket, no randomness of its own, no dnslib: a native version has the same signature and must give the same octets.
"""

from __future__ import annotations

import struct

from gslb.dns.cookies import CLIENT_COOKIE_BYTES
from gslb.dns.draw import pick
from gslb.dns.edns import OPT_START, UDP_LIMIT_BYTES, ErrorCode, Terms, agree, opt_record, option, options_for
from gslb.dns.lookup import lookup
from gslb.dns.meter import Meter
from gslb.dns.query import HEADER_BYTES, NO_OPTIONS, OptionCode, Query, parse
from gslb.dns.tables import EMPTY, Body, Peer, Pool, PoolIndex, Qtype, Rcode, Tables
from gslb.errors import WireError

__all__ = ["answer", "header_only", "rcode_of"]

_PLAIN_UDP_LIMIT_BYTES = 512  # RFC 1035 section 2.3.4, without EDNS
_TCP_LIMIT_BYTES = 65_535  # RFC 1035 section 4.2.2

_HEADER = struct.Struct("!BBHHHH")  # after the id
_QR, _AA, _TC, _RD = 0x80, 0x04, 0x02, 0x01
_CD, _OPCODE = 0x10, 0x78
_IN, _CHAOS, _ANY_CLASS = 1, 3, 255

_NOT_ASKABLE = frozenset((0, 41, 128))
"""Reserved (RFC 6895), OPT (RFC 6891), NXNAME (RFC 9824 section 3.5): never the type of a question."""
_AUTHORITATIVE = frozenset((Rcode.NOERROR, Rcode.NXDOMAIN, Rcode.YXDOMAIN))
_META = range(129, 255)
"""Transfers, TKEY, TSIG, MAILA, MAILB (RFC 6895 section 3.1): not served. ANY, 255, is."""

_RECORD_BYTES = 12
"""Of a record whose owner is a pointer, up to its data; the last two say how long that is."""

_SYNTHESIZED = b"*"
"""What a limiter counts answers for names as that are not there themselves, of which a wildcard has too many."""


def answer(
    tables: Tables, packet: bytes, peer: Peer, mono_s: float, random_u32: int, meter: Meter | None = None
) -> bytes | None:
    """The reply to `packet`, or None for silence: no whole header, or itself a response.

    Raises nothing, whatever the octets. The reply is never longer than the transport and the client's EDNS size allow.
    `random_u32` is fresh for each query. `meter` counts, and may limit; None: neither happens.
    """
    if len(packet) < HEADER_BYTES or packet[2] & _QR:
        return None
    try:
        query = parse(packet)
    except WireError as error:
        return header_only(packet, error.rcode)
    wall_s = mono_s + tables.wall_offset_s
    terms = agree(tables.protocol, query.edns, peer, wall_s)
    if query.question:
        rcode, body, pool = _resolve(tables, query, terms.client, wall_s, random_u32)
    elif terms.stamp:
        rcode, body, pool = _cookie_alone(query, terms), EMPTY, None
    else:
        return header_only(packet, Rcode.FORMERR)
    if meter:
        if query.edns:
            meter.note(query.edns.options, terms)
        if meter.limiter and not meter.admits(peer, terms, _kind(tables, query, body), mono_s):
            return _limited(packet, query, terms)
    opt, limit = b"", _PLAIN_UDP_LIMIT_BYTES
    if query.edns:
        opt = opt_record(query.edns, rcode, _options(tables, query, terms, rcode, pool, peer))
        limit = min(max(query.edns.size_bytes, limit), UDP_LIMIT_BYTES)
    return _fitted(packet, query, rcode, body, opt, _TCP_LIMIT_BYTES if peer.tcp else limit)


def _fitted(packet: bytes, query: Query, rcode: int, body: Body, opt: bytes, limit_bytes: int) -> bytes:
    """The reply, with as much of `body` as there is room for."""
    room = limit_bytes - HEADER_BYTES - len(query.question) - len(opt) - len(body.records) - len(body.authority)
    # What covers one class only is never authoritative for class ANY (RFC 1035 section 6.2).
    authoritative = query.qclass != _ANY_CLASS and rcode in _AUTHORITATIVE and (body.answers or not body.referral)
    flags = _AA if authoritative and query.question else 0
    extras, extra = body.extras, body.extra
    if len(extra) > room:
        # What we volunteered may be missing without a word (RFC 2181 section 9), glue may not (RFC 9471 section 3).
        extras, extra = 0, b""
        if room < 0 or body.referral:
            body, flags = EMPTY, flags | _TC
    header = packet[:2] + _HEADER.pack(
        _QR | flags | packet[2] & _RD,
        packet[3] & _CD | rcode & 0xF,
        1 if query.question else 0,
        body.answers,
        body.authorities,
        extras + (1 if opt else 0),
    )
    return b"".join((header, query.question, body.records, body.authority, extra, opt))


def _limited(packet: bytes, query: Query, terms: Terms) -> bytes:
    """What a client gets instead of one answer too many, never longer than its query. With a server cookie that is not
    good (any more), a good one, to ask again with; else TC, to ask again over TCP."""
    edns, opt, rcode, flags = query.edns, b"", Rcode.NOERROR, _TC
    if edns:
        made = terms.stamp
        if made and len(edns.options.cookie) >= len(made.cookie):
            rcode, flags = Rcode.BADCOOKIE, 0
            opt = opt_record(edns, rcode, option(OptionCode.COOKIE, made.cookie))
        else:
            opt = opt_record(edns, rcode)
    questions = 1 if query.question else 0
    bits = _QR | flags | packet[2] & _RD, packet[3] & _CD | rcode & 0xF
    return b"".join((packet[:2], _HEADER.pack(*bits, questions, 0, 0, 1 if opt else 0), query.question, opt))


def header_only(packet: bytes, rcode: int) -> bytes:
    """The reply of 12 octets to a packet of at least 12 that is not understood: id, opcode and RD come back."""
    return packet[:2] + _HEADER.pack(_QR | packet[2] & (_OPCODE | _RD), packet[3] & _CD | rcode, 0, 0, 0, 0)


def rcode_of(reply: bytes) -> int:
    """The rcode of one of our own replies. Where it does not fit the header, the reply holds nothing but an OPT record
    behind the question, which has the rest."""
    rcode = reply[3] & 0xF
    if reply[6:12] != b"\0\0\0\0\0\1":
        return rcode
    offset = HEADER_BYTES
    if reply[5]:
        while length := reply[offset]:
            offset += length + 1
        offset += 5
    return reply[offset + len(OPT_START) + 2] << 4 | rcode


def _resolve(
    tables: Tables, query: Query, client: bytes, wall_s: float, random_u32: int
) -> tuple[int, Body, Pool | None]:
    """The rcode and the records for a query that is well formed, and the pool that they were drawn from, if any. What
    most queries ask for is found at once."""
    if query.edns and query.edns.version:
        return Rcode.BADVERS, EMPTY, None
    if query.qtype in _NOT_ASKABLE:
        return Rcode.FORMERR, EMPTY, None
    if query.qclass not in (_IN, _ANY_CLASS) or query.qtype in _META:
        return *_told(tables, query), None
    dnssec = bool(tables.chains) and query.edns is not None and query.edns.dnssec_ok
    entry = None if dnssec else tables.names.get(query.name)
    found = None if entry is None else entry.get(query.qtype)
    if isinstance(found, Body):
        return Rcode.NOERROR, found, None
    pool = None
    if found is not None:
        pool = tables.pools[found]
        body = pick(pool, client, wall_s, random_u32).body
        if body.answers:
            return Rcode.NOERROR, body, pool

    def draw(index: PoolIndex) -> Body:
        nonlocal pool
        pool = tables.pools[index]
        return pick(pool, client, wall_s, random_u32).body

    return *lookup(tables, query.name, query.qtype, draw, dnssec=dnssec), pool


def _told(tables: Tables, query: Query) -> tuple[int, Body]:
    """Who and what we are, in class CHAOS (RFC 4892), as far as the operator lets that be known."""
    record = tables.protocol.chaos.get(query.name)
    if record is None or query.qclass != _CHAOS or query.qtype != Qtype.TXT:
        return Rcode.REFUSED, EMPTY
    return Rcode.NOERROR, Body(1, record)


def _cookie_alone(query: Query, terms: Terms) -> int:
    """The rcode for a query without question, which asks for a cookie or whether it is good (RFC 7873 section 5.4)."""
    assert query.edns is not None
    assert terms.stamp is not None
    if query.edns.version:
        return Rcode.BADVERS
    shown = len(query.edns.options.cookie) > CLIENT_COOKIE_BYTES
    return Rcode.BADCOOKIE if shown and not terms.stamp.good else Rcode.NOERROR


def _kind(tables: Tables, query: Query, body: Body) -> bytes:
    """What counts as the same answer for a limiter: one name that exists, the SOA record of a negative answer's zone,
    the first server of a referral, all errors.

    Of the authority section the first record alone, without its owner: what follows it, pointers and proofs, differs
    from name to name, of which whoever floods has plenty.
    """
    if body.answers:
        return query.name if query.name in tables.names else _SYNTHESIZED
    authority = body.authority
    return authority[2 : _RECORD_BYTES + int.from_bytes(authority[_RECORD_BYTES - 2 : _RECORD_BYTES])]


def _options(tables: Tables, query: Query, terms: Terms, rcode: int, pool: Pool | None, peer: Peer) -> bytes:
    assert query.edns is not None
    options = query.edns.options
    data = b"" if options is NO_OPTIONS else options_for(tables.protocol, options, terms, pool, tcp=peer.tcp)
    if rcode != Rcode.REFUSED:
        return data
    ours = query.qclass not in (_IN, _ANY_CLASS) or query.qtype in _META
    error = ErrorCode.PROHIBITED if ours else ErrorCode.NOT_AUTHORITATIVE
    return data + option(OptionCode.ERROR, error.to_bytes(2))
