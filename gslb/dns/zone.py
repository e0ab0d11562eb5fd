"""Static records to bodies: what of a zone no verdict changes, packed once for a policy revision.

Records come as the lines that the policy reader makes of a zone file, or as values. What lies below a delegation or a
DNAME is left out here, so that a lookup need not think of it. Whether a zone makes sense was checked before.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from gslb.dns.tables import OWNER, Body, PoolIndex, Qtype
from gslb.model.wire_name import ancestors, from_text, parent

__all__ = ["Records", "Rrset", "StaticNames", "add_empty_non_terminals", "add_record", "compile_names", "read_lines"]

_IN = 1
_RECORD = struct.Struct("!HHHIH")
_AFTER_OWNER = struct.Struct("!HHIH")


class Rrset(NamedTuple):
    """The data of all records of one name and type, as octets without compression."""

    ttl_s: int
    rdatas: list[bytes]


Records = dict[bytes, dict[int, Rrset]]
"""Lower-case owner in wire format, and type."""


class StaticNames(NamedTuple):
    """`names` and `cuts` of `Tables`, as far as one zone's static records go. Empty non-terminals are missing."""

    names: dict[bytes, dict[int, PoolIndex | Body]]
    cuts: dict[bytes, Body]


def read_lines(text: str) -> Records:
    r"""Lines of the form `OWNER TTL IN TYPEn \# LENGTH HEX` (RFC 3597 section 5), as the policy reader writes them."""
    records: Records = {}
    for line in text.splitlines():
        owner, ttl_s, _, rtype, _, _, *data = line.split(" ")
        add_record(records, from_text(owner), int(rtype[4:]), int(ttl_s), bytes.fromhex("".join(data)))
    return records


def add_record(records: Records, owner: bytes, rtype: int, ttl_s: int, rdata: bytes) -> None:
    """The first record of an RRset says its TTL (RFC 2181 section 5.2 wants them alike)."""
    sets = records.get(owner)
    if sets is None:
        sets = records[owner] = {}
    rrset = sets.get(rtype)
    if rrset is None:
        sets[rtype] = Rrset(ttl_s, [rdata])
    else:
        rrset.rdatas.append(rdata)


def compile_names(apex: bytes, records: Records, children: Collection[bytes] = ()) -> StaticNames:
    """The names of one zone. `children` are the apexes of zones below it that this server answers for as well: what the
    zone says below them does not count."""
    cuts = {owner for owner, sets in records.items() if Qtype.NS in sets and owner != apex}.union(children)
    covers = cuts | {owner for owner, sets in records.items() if Qtype.DNAME in sets}
    names: dict[bytes, dict[int, PoolIndex | Body]] = {}
    referrals: dict[bytes, Body] = {}
    for owner, sets in records.items():
        if covers and any(above in covers for above in ancestors(owner) if len(above) >= len(apex)):
            continue
        if owner in cuts:
            referrals[owner] = _referral(sets[Qtype.NS], records) if Qtype.NS in sets else Body()
            sets = {Qtype.DS: sets[Qtype.DS]} if Qtype.DS in sets else {}
        names[owner] = {rtype: _body(rtype, rrset) for rtype, rrset in sets.items()}
    return StaticNames(names, {cut: body for cut, body in referrals.items() if cut not in children})


def add_empty_non_terminals(names: dict[bytes, dict[int, PoolIndex | Body]], apexes: Collection[bytes]) -> None:
    """What lies between a name and an apex exists, with no records of its own (RFC 8020 section 3.1)."""
    tops = {apex for apex in apexes if not any(above in apexes for above in ancestors(apex))}
    for name in tuple(names):
        if name in tops:
            continue
        above = parent(name)
        while above not in names:
            names[above] = {}
            above = parent(above)


def _pack(rtype: int, ttl_s: int, rdatas: Iterable[bytes]) -> bytes:
    """Records whose owner is the name in the question."""
    return b"".join(_RECORD.pack(OWNER, rtype, _IN, ttl_s, len(rdata)) + rdata for rdata in rdatas)


def _body(rtype: int, rrset: Rrset) -> Body:
    """Nothing that was not asked for: what a server volunteers is what a forged query turns against others."""
    return Body(len(rrset.rdatas), _pack(rtype, rrset.ttl_s, rrset.rdatas), mark=rtype)


def _referral(servers: Rrset, records: Mapping[bytes, Mapping[int, Rrset]]) -> Body:
    """The servers of a delegation and, without which they might never be found, their addresses: owners in full
    (RFC 9471 section 2)."""
    glue = []
    for target in dict.fromkeys(rdata.lower() for rdata in servers.rdatas):
        for rtype in (Qtype.A, Qtype.AAAA):
            rrset = records.get(target, {}).get(rtype)
            if rrset:
                head = target + _AFTER_OWNER.pack(rtype, _IN, rrset.ttl_s, 0)[:-2]
                glue += [head + len(rdata).to_bytes(2) + rdata for rdata in rrset.rdatas]
    return _body(Qtype.NS, servers)._replace(extras=len(glue), extra=b"".join(glue))
