"""What a name means where it is not simply there: wildcards, aliases, delegations, and what does not exist.

RFC 1034 section 4.3.2 with RFC 2308 (negative answers), RFC 4592 (wildcards), RFC 6672 (DNAME) and RFC 8482 (ANY).
Names and bodies only: which answer a client gets is `draw`'s word, sizes and flags are `wire`'s.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from gslb.dns.tables import EMPTY, OWNER, Body, Entry, PoolIndex, Qtype, Rcode, Tables
from gslb.model.wire_name import ROOT, parent

__all__ = ["lookup", "owned_by"]

Draw = Callable[[PoolIndex], Body]

_ALIAS_LIMIT = 16
"""Aliases that are followed for one answer. Resolvers give up at about as many."""

_NAME_LIMIT_BYTES = 255
_HEADER_BYTES = 12
_QUESTION_BYTES_AFTER_NAME = 4
_POINTER = 0xC000
_WILDCARD = b"\x01*"
_RECORD = struct.Struct("!HHHIH")
"""Owner, type, class, TTL and length of a record of a body (RFC 1035 section 3.2.1)."""
_TTL = slice(6, 10)
_LENGTH = struct.Struct("!10xH")

_HINFO_TTL_S = 3600
_HINFO = b"\x07RFC8482\x00"  # CPU and OS as character strings
_ANY = Body(1, _RECORD.pack(OWNER, Qtype.HINFO, 1, _HINFO_TTL_S, len(_HINFO)) + _HINFO)
"""One HINFO record, the same for every name that has records, whoever asks for ANY (RFC 8482 section 4.2)."""


def lookup(tables: Tables, name: bytes, qtype: int, draw: Draw) -> tuple[Rcode, Body]:
    """The rcode and the records for `name` (lower-case, wire format): REFUSED outside all zones.

    Aliases are followed inside their zone, a bounded number of them; where they end decides the rcode (RFC 6604 section
    3). `draw` makes of a pool the body for this client.
    """
    apex = _apex(tables, name, qtype)
    if apex is None:
        return Rcode.REFUSED, EMPTY
    reply = _Reply(name)
    while (end := _step(tables, apex, reply, qtype, draw)) is None:
        if reply.is_circle() or _apex(tables, reply.owner, qtype) != apex:
            return Rcode.NOERROR, reply.body()
    return end


def _step(tables: Tables, apex: bytes, reply: _Reply, qtype: int, draw: Draw) -> tuple[Rcode, Body] | None:
    """What the name that `reply` has come to means: the end, or None where it is an alias, which `reply` now has."""
    name = reply.owner
    encloser = _closest_encloser(tables, name)
    cut = tables.cuts.get(encloser)
    if cut is not None and (qtype != Qtype.DS or encloser != name):
        return Rcode.NOERROR, reply.referral(encloser, cut)
    entry: Entry | None = tables.names[encloser]
    if encloser != name:
        dname = tables.names[encloser].get(Qtype.DNAME)
        if isinstance(dname, Body):
            return None if reply.add_dname(encloser, dname) else (Rcode.YXDOMAIN, reply.body())
        entry = tables.names.get(_WILDCARD + encloser)
    if entry is None:
        return Rcode.NXDOMAIN, reply.negative(apex, tables)
    found = _records(entry, qtype, draw)
    if found.answers:
        return Rcode.NOERROR, reply.positive(found)
    alias = entry.get(Qtype.CNAME)
    if not isinstance(alias, Body):
        return Rcode.NOERROR, reply.negative(apex, tables)
    reply.add_cname(alias)
    return None


def owned_by(pointer: int, count: int, records: bytes) -> bytes:
    """The first `count` records of a body with another pointer in place of the one to the question."""
    if pointer == OWNER:
        return records
    moved = bytearray(records)
    offset = 0
    for _ in range(count):
        moved[offset : offset + 2] = pointer.to_bytes(2)
        offset += _RECORD.size + _LENGTH.unpack_from(moved, offset)[0]
    return bytes(moved)


class _Reply:
    """The answer section as it grows. `owner` is the name looked for next, which starts at octet `_place` of the reply:
    in the question, or in the data of the alias before."""

    __slots__ = ("_count", "_dnames", "_place", "_question", "_records", "_seen", "owner")

    def __init__(self, question: bytes) -> None:
        self.owner = question
        self._question = question
        self._place = _HEADER_BYTES
        self._count = 0
        self._records = b""
        self._seen = [question]
        self._dnames: list[bytes] = []

    def is_circle(self) -> bool:
        """Whether `owner` was looked for already, or so many others that it comes to the same."""
        known = self.owner in self._seen
        self._seen.append(self.owner)
        return known or len(self._seen) > _ALIAS_LIMIT

    def add_cname(self, alias: Body) -> None:
        """Append the one record of `alias`, and go on with what it points to."""
        self._append(self._pointer(self.owner), alias)
        self._follow(alias.records[_RECORD.size :])

    def add_dname(self, owner: bytes, dname: Body) -> bool:
        """Append the record of `dname`, which `owner` above the present name has, and the CNAME that it means (RFC 6672
        section 3.1). False where the new name is too long."""
        pointer = self._pointer(self.owner)
        if owner not in self._dnames:
            self._append(self._pointer(owner), dname)
            self._dnames.append(owner)
        target = self.owner[: -len(owner)] + dname.records[_RECORD.size :]
        if len(target) > _NAME_LIMIT_BYTES:
            return False
        ttl_s = int.from_bytes(dname.records[_TTL])
        self._append(pointer, Body(1, _RECORD.pack(OWNER, Qtype.CNAME, 1, ttl_s, len(target)) + target))
        self._follow(target)
        return True

    def body(self) -> Body:
        return Body(self._count, self._records)

    def positive(self, found: Body) -> Body:
        """The aliases so far and the records that they lead to."""
        self._append(self._pointer(self.owner), found)
        return Body(self._count, self._records, found.extras, found.extra)

    def negative(self, apex: bytes, tables: Tables) -> Body:
        """The aliases so far and the SOA record, whose owner the question ends in."""
        pointer = _POINTER | _HEADER_BYTES + len(self._question) - len(apex)
        return Body(self._count, self._records, authorities=1, authority=pointer.to_bytes(2) + tables.zones[apex])

    def referral(self, cut: bytes, servers: Body) -> Body:
        """The aliases so far, and whom to ask for what lies at and below `cut`."""
        authority = owned_by(self._pointer(cut), servers.answers, servers.records)
        glue = servers.extras, servers.extra
        return Body(self._count, self._records, *glue, servers.answers, authority, referral=True)

    def _pointer(self, name: bytes) -> int:
        """To `owner` or a name that it ends in."""
        return _POINTER | self._place + len(self.owner) - len(name)

    def _append(self, pointer: int, body: Body) -> None:
        self._records += owned_by(pointer, body.answers, body.records)
        self._count += body.answers

    def _follow(self, target: bytes) -> None:
        """`target` is the end of the last record."""
        start = _HEADER_BYTES + len(self._question) + _QUESTION_BYTES_AFTER_NAME
        self._place = start + len(self._records) - len(target)
        self.owner = target.lower()


def _apex(tables: Tables, name: bytes, qtype: int) -> bytes | None:
    """The zone that answers for `name`: the longest match. DS records of an apex belong to the zone above it, where
    that is here too (RFC 4035 section 3.1.4.1)."""
    if qtype == Qtype.DS and name in tables.zones and name != ROOT:
        return _apex(tables, parent(name), Qtype.ANY) or name
    while name not in tables.zones:
        if name == ROOT:
            return None
        name = parent(name)
    return name


def _closest_encloser(tables: Tables, name: bytes) -> bytes:
    """The longest existing name that `name`, inside a zone, is or lies below (RFC 4592 section 3.3.1)."""
    while name not in tables.names:
        name = parent(name)
    return name


def _records(entry: Entry, qtype: int, draw: Draw) -> Body:
    if qtype == Qtype.ANY:
        return _ANY if entry else EMPTY
    found = entry.get(qtype, EMPTY)
    return found if isinstance(found, Body) else draw(found)
