"""What a name means where it is not simply there: wildcards, aliases, delegations, and what does not exist.

RFC 1034 section 4.3.2 with RFC 2308 (negative answers), RFC 4592 (wildcards), RFC 6672 (DNAME), RFC 8482 (ANY) and, for
those who ask for signatures, RFC 4035 section 3. Names and bodies only: which answer a client gets is `draw`'s word,
sizes and flags are `wire`'s, and every signature was made before (`seal`).
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from gslb.dns.dnssec.denial import denial_of
from gslb.dns.tables import EMPTY, OWNER, Body, Denial, Entry, PoolIndex, Qtype, Rcode, Tables
from gslb.model.wire_name import ROOT, nearest, parent

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

_QUESTION_OWNER = OWNER.to_bytes(2)

_HINFO_TTL_S = 3600
_HINFO = b"\x07RFC8482\x00"  # CPU and OS as character strings
_ANY = Body(1, _RECORD.pack(OWNER, Qtype.HINFO, 1, _HINFO_TTL_S, len(_HINFO)) + _HINFO)
"""One HINFO record, the same for every name that has records, whoever asks for ANY (RFC 8482 section 4.2)."""


_MADE = frozenset((Qtype.RRSIG, Qtype.NSEC, Qtype.ANY))
"""What no entry has, and every name of a signed zone."""


def lookup(tables: Tables, name: bytes, qtype: int, draw: Draw, *, dnssec: bool = False) -> tuple[Rcode, Body]:
    """The rcode and the records for `name` (lower-case, wire format): REFUSED outside all zones.

    Aliases are followed inside their zone, a bounded number of them; where they end decides the rcode (RFC 6604 section
    3). `draw` makes of a pool the body for this client. `dnssec`: with the signatures and denials of a signed zone.
    """
    apex = _apex(tables, name, qtype)
    if apex is None:
        return Rcode.REFUSED, EMPTY
    reply = _Reply(tables, name, apex, dnssec=dnssec)
    while (end := _step(reply, qtype, draw)) is None:
        if reply.is_circle() or _apex(tables, reply.owner, qtype) != apex:
            return Rcode.NOERROR, reply.body()
    return end


def _step(reply: _Reply, qtype: int, draw: Draw) -> tuple[Rcode, Body] | None:
    """What the name that `reply` has come to means: the end, or None where it is an alias, which `reply` now has."""
    tables, name = reply.tables, reply.owner
    encloser = _closest_encloser(tables, name)
    cut = tables.cuts.get(encloser)
    if cut is not None and (qtype != Qtype.DS or encloser != name):
        return Rcode.NOERROR, reply.referral(encloser, cut)
    source, entry = encloser, tables.names.get(encloser)
    if encloser != name:
        dname = tables.names[encloser].get(Qtype.DNAME)
        if isinstance(dname, Body):
            return None if reply.add_dname(encloser, dname) else (Rcode.YXDOMAIN, reply.body())
        source = _WILDCARD + encloser
        entry = tables.names.get(source)
        reply.deny(name)
    if entry is None:
        reply.deny(source)
        return Rcode.NXDOMAIN, reply.negative()
    found = _records(reply, source, entry, qtype, draw)
    if found.answers:
        return Rcode.NOERROR, reply.positive(source, found)
    alias = entry.get(Qtype.CNAME)
    if not isinstance(alias, Body):
        reply.deny(source, qtype if qtype in entry else None)
        return Rcode.NOERROR, reply.negative()
    reply.add_cname(source, alias)
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
    """The answer as it grows. `owner` is the name looked for next, which starts at octet `_place` of the reply: in the
    question, or in the data of the alias before. Where it is `signed`, each RRset brings its signature."""

    __slots__ = (
        "_apex", "_count", "_denials", "_dnames", "_place", "_question", "_records", "_seen",
        "owner", "signed", "tables", "zone_is_signed",
    )  # fmt: skip

    def __init__(self, tables: Tables, question: bytes, apex: bytes, *, dnssec: bool) -> None:
        self.tables = tables
        self.owner = question
        self.zone_is_signed = apex in tables.chains
        self.signed = dnssec and self.zone_is_signed
        self._apex = apex
        self._question = question
        self._place = _HEADER_BYTES
        self._count = 0
        self._records = b""
        self._seen = [question]
        self._dnames: list[bytes] = []
        self._denials: list[Denial] = []

    def is_circle(self) -> bool:
        """Whether `owner` was looked for already, or so many others that it comes to the same."""
        known = self.owner in self._seen
        self._seen.append(self.owner)
        return known or len(self._seen) > _ALIAS_LIMIT

    def deny(self, name: bytes, qtype: int | None = None) -> None:
        """Prove, where that is asked for, that `name` is not there, or has not what it lacks; with `qtype`, that it
        lacks this at the moment."""
        if self.signed:
            lacking = None if qtype is None else self.tables.lacking.get((name, qtype))
            denial = lacking or denial_of(self.tables.chains[self._apex], name)
            if denial not in self._denials:
                self._denials.append(denial)

    def own_denial(self, source: bytes) -> Body:
        """The NSEC record of `source`, which has one."""
        denial = denial_of(self.tables.chains[self._apex], source)
        if self.signed:
            return Body(2, b"".join((_QUESTION_OWNER, denial.record, _QUESTION_OWNER, denial.seal)))
        return Body(1, _QUESTION_OWNER + denial.record)

    def add_cname(self, source: bytes, alias: Body) -> None:
        """Append the one record of `alias`, which `source` has, and go on with what it points to."""
        start = len(self._records)
        self._append(self._pointer(self.owner), source, alias)
        self._follow(start, alias.records[_RECORD.size :])

    def add_dname(self, owner: bytes, dname: Body) -> bool:
        """Append the record of `dname`, which `owner` above the present name has, and the CNAME that it means (RFC 6672
        section 3.1). False where the new name is too long."""
        pointer = self._pointer(self.owner)
        if owner not in self._dnames:
            self._append(self._pointer(owner), owner, dname)
            self._dnames.append(owner)
        target = self.owner[: -len(owner)] + dname.records[_RECORD.size :]
        if len(target) > _NAME_LIMIT_BYTES:
            return False
        ttl_s = int.from_bytes(dname.records[_TTL])
        start = len(self._records)
        made = Body(1, _RECORD.pack(OWNER, Qtype.CNAME, 1, ttl_s, len(target)) + target)
        self._append(pointer, None, made)
        self._follow(start, target)
        return True

    def body(self) -> Body:
        return Body(self._count, self._records, *self._proof())

    def positive(self, source: bytes, found: Body) -> Body:
        """The aliases so far and the records that they lead to, which `source` has."""
        self._append(self._pointer(self.owner), source, found)
        extras, extra, authorities, authority = self._proof()
        return Body(self._count, self._records, found.extras + extras, found.extra + extra, authorities, authority)

    def negative(self) -> Body:
        """The aliases so far and the SOA record, whose owner the question ends in."""
        pointer = self._pointer_to_apex()
        _, _, authorities, authority = self._proof()
        soa = pointer + self.tables.zones[self._apex]
        if self.signed:
            authorities, soa = authorities + 1, soa + pointer + self.tables.seals[self._apex][Qtype.SOA][2:]
        return Body(self._count, self._records, authorities=authorities + 1, authority=soa + authority)

    def referral(self, cut: bytes, servers: Body) -> Body:
        """The aliases so far, and whom to ask for what lies at and below `cut`; where it is signed, with the DS records
        or the proof that there are none (RFC 4035 section 3.1.4)."""
        authority, count = owned_by(self._pointer(cut), servers.answers, servers.records), servers.answers
        ds = self.tables.names[cut].get(Qtype.DS)
        if self.signed and isinstance(ds, Body):
            sealed = self._sealed(cut, ds)
            authority, count = authority + owned_by(self._pointer(cut), *sealed), count + sealed[0]
        else:
            self.deny(cut)
        _, _, proofs, proof = self._proof()
        glue = servers.extras, servers.extra
        return Body(self._count, self._records, *glue, count + proofs, authority + proof, referral=True)

    def _proof(self) -> tuple[int, bytes, int, bytes]:
        """No additional records, and the denials so far as authority records, each with its signature."""
        pointer = self._pointer_to_apex()
        parts = [part for d in self._denials for part in (d.labels, pointer, d.record, d.labels, pointer, d.seal)]
        return 0, b"", 2 * len(self._denials), b"".join(parts)

    def _sealed(self, source: bytes, body: Body) -> tuple[int, bytes]:
        """How many records those of `body`, which `source` has, are with their signature, and they themselves."""
        seal = self.tables.seals.get(source, {}).get(body.mark) if self.signed and body.mark else None
        if seal is None:
            return body.answers, body.records
        return body.answers + 1, b"".join((body.records, seal[: _TTL.start], body.records[_TTL], seal[_TTL.stop :]))

    def _pointer_to_apex(self) -> bytes:
        return (_POINTER | _HEADER_BYTES + len(self._question) - len(self._apex)).to_bytes(2)

    def _pointer(self, name: bytes) -> int:
        """To `owner` or a name that it ends in."""
        return _POINTER | self._place + len(self.owner) - len(name)

    def _append(self, pointer: int, source: bytes | None, body: Body) -> None:
        count, records = (body.answers, body.records) if source is None else self._sealed(source, body)
        self._records += owned_by(pointer, count, records)
        self._count += count

    def _follow(self, start: int, target: bytes) -> None:
        """`target` is the data of the record that was appended at `start` of the answer section."""
        before = _HEADER_BYTES + len(self._question) + _QUESTION_BYTES_AFTER_NAME
        self._place = before + start + _RECORD.size
        self.owner = target.lower()


def _apex(tables: Tables, name: bytes, qtype: int) -> bytes | None:
    """The zone that answers for `name`: the longest match. DS records of an apex belong to the zone above it, where
    that is here too (RFC 4035 section 3.1.4.1)."""
    if qtype == Qtype.DS and name in tables.zones and name != ROOT:
        return _apex(tables, parent(name), Qtype.ANY) or name
    return nearest(name, tables.zones)


def _closest_encloser(tables: Tables, name: bytes) -> bytes:
    """The longest existing name that `name`, inside a zone, is or lies below (RFC 4592 section 3.3.1)."""
    while name not in tables.names:
        name = parent(name)
    return name


def _records(reply: _Reply, source: bytes, entry: Entry, qtype: int, draw: Draw) -> Body:
    """What `source` has of `qtype`. ANY means one type of several, and RRSIG one signature."""
    if entry and qtype in _MADE and reply.zone_is_signed:
        if qtype == Qtype.RRSIG:
            return Body(1, next(iter(reply.tables.seals[source].values())))
        if qtype == Qtype.NSEC:
            return reply.own_denial(source)
        qtype = min(entry)
    elif qtype == Qtype.ANY:
        return _ANY if entry else EMPTY
    found = entry.get(qtype, EMPTY)
    return found if isinstance(found, Body) else draw(found)
