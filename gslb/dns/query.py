"""One packet in, one `Query` out, or `WireError`: the only error that parsing raises, whatever the octets.

Nothing is answered here, and nothing here knows the zone.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from gslb.dns.tables import Rcode
from gslb.errors import WireError

__all__ = ["HEADER_BYTES", "Edns", "Query", "parse"]

HEADER_BYTES = 12
_LABEL_LIMIT_BYTES = 63
_NAME_LIMIT_BYTES = 255
_RECORD_LIMIT = 16
"""Records after the question. An honest query has one or two (OPT, TSIG), an IXFR one more."""

_OPCODE_BITS = 0x78
_ONE_QUESTION = b"\x00\x01"
_NO_RECORDS = bytes(6)
_OPT = 41
_DNSSEC_OK = 0x8000

_TYPE_CLASS = struct.Struct("!HH")
_RECORD = struct.Struct("!HHIH")
_SECTIONS = struct.Struct("!HHH")


class Edns(NamedTuple):
    """What an OPT record says (RFC 6891 section 6.1.3). `size_bytes` is as sent: 0 to 65535."""

    size_bytes: int
    version: int
    dnssec_ok: bool


class Query(NamedTuple):
    """`name` is lower-case wire format, `question` the whole question section as it was sent."""

    name: bytes
    qtype: int
    qclass: int
    question: bytes
    edns: Edns | None


def parse(packet: bytes) -> Query:
    """Read a query of at least `HEADER_BYTES` (RFC 1035 section 4.1).

    Raises WireError with NOTIMP for an opcode other than QUERY, else with FORMERR: not one question, a compressed or
    overlong name, a section that does not fit, octets left over, more than one OPT.
    """
    if packet[2] & _OPCODE_BITS:
        raise WireError(Rcode.NOTIMP, "the opcode is not QUERY")
    if packet[4:6] != _ONE_QUESTION:
        raise WireError(Rcode.FORMERR, "not exactly one question")
    try:
        name_end = _name_end(packet)
        qtype, qclass = _TYPE_CLASS.unpack_from(packet, name_end)
        end = name_end + 4
        plain = packet[6:12] == _NO_RECORDS and end == len(packet)
        edns = None if plain else _records(packet, end)
    except (IndexError, struct.error):
        raise WireError(Rcode.FORMERR, "the packet ends too early") from None
    return Query(packet[HEADER_BYTES:name_end].lower(), qtype, qclass, packet[HEADER_BYTES:end], edns)


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
            _refuse_broken_options(packet, offset, offset + length)
            edns = Edns(rclass, ttl >> 16 & 0xFF, bool(ttl & _DNSSEC_OK))
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


def _refuse_broken_options(packet: bytes, offset: int, end: int) -> None:
    """Options that we do not know are ignored (RFC 6891 section 6.1.2), but they must fill the record exactly."""
    while offset < end:
        offset += 4 + _TYPE_CLASS.unpack_from(packet, offset)[1]
    if offset != end:
        raise WireError(Rcode.FORMERR, "an EDNS option does not fit its record")
