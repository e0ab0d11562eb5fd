"""One packet in, one `Query` out, or `WireError`: the only error that parsing raises, whatever the octets.

Nothing is answered here, and nothing here knows the zone.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple

from gslb.dns.subnet import Subnet, parse_subnet
from gslb.dns.tables import Rcode
from gslb.errors import WireError

__all__ = ["HEADER_BYTES", "NO_OPTIONS", "Edns", "OptionCode", "Options", "Query", "parse"]

HEADER_BYTES = 12
_LABEL_LIMIT_BYTES = 63
_NAME_LIMIT_BYTES = 255
_RECORD_LIMIT = 16
"""Records after the question. An honest query has one or two (OPT, TSIG), an IXFR one more."""

_OPCODE_BITS = 0x78
_ONE_QUESTION, _NO_QUESTION = b"\x00\x01", b"\x00\x00"
_NO_RECORDS = bytes(6)
_OPT = 41
_DNSSEC_OK = 0x8000
_COOKIE_BYTES = (8, *range(16, 41))
"""The client's alone, or with 8 to 32 octets of a server's (RFC 7873 section 4)."""

_TYPE_CLASS = struct.Struct("!HH")
_RECORD = struct.Struct("!HHIH")
_SECTIONS = struct.Struct("!HHH")


class OptionCode(IntEnum):
    """The EDNS options that mean something here; all others are ignored (RFC 6891 section 6.1.2)."""

    NSID = 3
    SUBNET = 8
    COOKIE = 10
    KEEPALIVE = 11
    ERROR = 15


class Options(NamedTuple):
    """What the options ask for. `cookie` is the data of the option, empty where it was not sent; `nsid` and `keepalive`
    say only that they were."""

    cookie: bytes = b""
    subnet: Subnet | None = None
    nsid: bool = False
    keepalive: bool = False


NO_OPTIONS = Options()


class Edns(NamedTuple):
    """What an OPT record says (RFC 6891 section 6.1.3). `size_bytes` is as sent: 0 to 65535."""

    size_bytes: int
    version: int
    dnssec_ok: bool
    options: Options = NO_OPTIONS


class Query(NamedTuple):
    """`name` is lower-case wire format, `question` the whole question section as it was sent: empty, as the name is,
    where a query without question asks for a cookie (RFC 7873 section 5.4)."""

    name: bytes
    qtype: int
    qclass: int
    question: bytes
    edns: Edns | None


def parse(packet: bytes) -> Query:
    """Read a query of at least `HEADER_BYTES` (RFC 1035 section 4.1).

    Raises WireError with NOTIMP for an opcode other than QUERY, else with FORMERR: not one question, a compressed or
    overlong name, a section that does not fit, octets left over, more than one OPT, an option that is malformed.
    """
    if packet[2] & _OPCODE_BITS:
        raise WireError(Rcode.NOTIMP, "the opcode is not QUERY")
    try:
        if packet[4:6] != _ONE_QUESTION:
            return _without_question(packet)
        name_end = _name_end(packet)
        qtype, qclass = _TYPE_CLASS.unpack_from(packet, name_end)
        end = name_end + 4
        plain = packet[6:12] == _NO_RECORDS and end == len(packet)
        edns = None if plain else _records(packet, end)
    except (IndexError, struct.error):
        raise WireError(Rcode.FORMERR, "the packet ends too early") from None
    return Query(packet[HEADER_BYTES:name_end].lower(), qtype, qclass, packet[HEADER_BYTES:end], edns)


def _without_question(packet: bytes) -> Query:
    edns = _records(packet, HEADER_BYTES) if packet[4:6] == _NO_QUESTION else None
    if edns is None or not edns.options.cookie:
        raise WireError(Rcode.FORMERR, "not exactly one question")
    return Query(b"", 0, 0, b"", edns)


def _name_end(packet: bytes) -> int:
    """Where the name of the question ends. A pointer is refused: there is nothing before it to point to."""
    offset = HEADER_BYTES
    while length := packet[offset]:
        if length > _LABEL_LIMIT_BYTES:
            raise WireError(Rcode.FORMERR, "a label of the question is compressed or too long")
        offset += length + 1
    if offset + 1 - HEADER_BYTES > _NAME_LIMIT_BYTES:
        raise WireError(Rcode.FORMERR, "the name of the question is too long")
    return offset + 1


def _records(packet: bytes, offset: int) -> Edns | None:
    """Walk the records after the question; only an OPT in the additional section says anything to us."""
    answers, authorities, additionals = _SECTIONS.unpack_from(packet, 6)
    count = answers + authorities + additionals
    if count > _RECORD_LIMIT:
        raise WireError(Rcode.FORMERR, "more records than a query has use for")
    edns: Edns | None = None
    for place in range(count):
        owner = offset
        offset = _skip_name(packet, offset)
        rtype, rclass, ttl, length = _RECORD.unpack_from(packet, offset)
        offset += _RECORD.size
        if rtype == _OPT:
            if edns is not None or packet[owner] or place < answers + authorities:
                raise WireError(Rcode.FORMERR, "a second OPT, one with a name, or one in the wrong section")
            options = _options(packet, offset, offset + length) if length else NO_OPTIONS
            edns = Edns(rclass, ttl >> 16 & 0xFF, bool(ttl & _DNSSEC_OK), options)
        offset += length
    if offset != len(packet):
        raise WireError(Rcode.FORMERR, "the records end before or after the packet does")
    return edns


def _skip_name(packet: bytes, offset: int) -> int:
    """Past a name that nobody looks at; a pointer ends it (RFC 1035 section 4.1.4) and is not followed."""
    while length := packet[offset]:
        if length > _LABEL_LIMIT_BYTES:
            return offset + 2
        offset += length + 1
    return offset + 1


def _options(packet: bytes, offset: int, end: int) -> Options:
    """The first option of each code counts (RFC 7873 section 5.2 says so of cookies). They must fill the record."""
    found: dict[int, bytes] = {}
    while offset < end:
        code, length = _TYPE_CLASS.unpack_from(packet, offset)
        offset += 4
        found.setdefault(code, packet[offset : offset + length])
        offset += length
    if offset != end or end > len(packet):
        raise WireError(Rcode.FORMERR, "an EDNS option does not fit its record")
    cookie = found.get(OptionCode.COOKIE)
    if cookie is not None and len(cookie) not in _COOKIE_BYTES:
        raise WireError(Rcode.FORMERR, "a cookie of a length that none has")
    subnet = found.get(OptionCode.SUBNET)
    return Options(
        cookie or b"",
        None if subnet is None else parse_subnet(subnet),
        OptionCode.NSID in found,
        found.get(OptionCode.KEEPALIVE) == b"",
    )
