"""Whether the records of a zone file make a zone, together with what gslb itself puts into it.

Refused is what could not be answered as it was meant. Reading the file is `zone_file`'s work; nothing is answered here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from dns.rdatatype import RdataType as Type

from gslb.errors import Problem
from gslb.model.wire_name import ancestors, is_below, to_text
from gslb.model.zone_file import Record, type_text

__all__ = ["Host", "Place", "check_records", "own_records"]

_ADDRESSES = (Type.A, Type.AAAA)
_RRSET_LIMIT_BYTES = 60_000
"""An answer over TCP has 65,535 octets at most (RFC 1035 section 4.2.2)."""
_WILDCARD = b"\x01*"
_OVERHEAD_BYTES = 12

_Sets = Mapping[bytes, Mapping[int, Sequence[Record]]]


@dataclass(frozen=True, slots=True)
class Host:
    """A name that an app gives records of some types: what it is, in words."""

    meaning: str
    types: Collection[int] = _ADDRESSES


@dataclass(frozen=True, slots=True)
class Place:
    """The zone that the records are for: its file, its apex, the addresses (packed) of its nameservers by name, and the
    names in it that apps have. Names are lower-case wire format."""

    file: str
    apex: bytes
    nameservers: Mapping[bytes, Collection[bytes]]
    hosts: Mapping[bytes, Host]

    def problem(
        self, record: Record, rule: str, message: str, remedy: str, severity: Literal["error", "warning"] = "error"
    ) -> Problem:
        return Problem(self.file, record.line, 1, rule, message, remedy, severity)

    def own_names(self) -> Mapping[bytes, str]:
        """Names that have addresses without the file's help, and what they are."""
        servers = dict.fromkeys((name for name in self.nameservers if is_below(name, self.apex)), "a nameserver of it")
        return {**{name: host.meaning for name, host in self.hosts.items()}, **servers}


def own_records(place: Place, records: Sequence[Record]) -> list[Record]:
    """The records less those that gslb makes itself: NS of the apex, addresses of its nameservers."""
    return [record for record in records if not _is_ours(place, record)]


def check_records(place: Place, records: Sequence[Record], *, complete: bool = True) -> Iterator[Problem]:
    """Every problem of the zone, by file and line. Where the file could not be read `complete`ly, nothing is called
    missing."""
    inside = []
    for record in records:
        if is_below(record.owner, place.apex):
            inside.append(record)
        else:
            message = f"{to_text(record.owner)} does not lie in the zone {to_text(place.apex)}"
            yield place.problem(record, "zone-outside", message, "put it into its own zone, or correct $ORIGIN")
    sets: dict[bytes, dict[int, list[Record]]] = {}
    for record in inside:
        sets.setdefault(record.owner, {}).setdefault(record.rtype, []).append(record)
    own = place.own_names()
    yield from _apex(place, sets.get(place.apex, {}))
    for owner, types in sets.items():
        yield from _made_by_gslb(place, owner, types)
        yield from _cname(place, owner, types, own.get(owner))
        yield from _cuts(place, owner, types)
        yield from _rrsets(place, types)
    yield from _hidden(place, sets, own)
    if complete:
        yield from _targets(place, sets, own)


def _is_ours(place: Place, record: Record) -> bool:
    if record.owner == place.apex and record.rtype == Type.NS:
        return True
    return record.rtype in _ADDRESSES and record.rdata in place.nameservers.get(record.owner, ())


def _apex(place: Place, types: Mapping[int, Sequence[Record]]) -> Iterator[Problem]:
    """NS records of the apex may be repeated in the file, and must then say what the policy says."""
    servers = types.get(Type.NS, ())
    named = {record.rdata.lower() for record in servers}
    for record in servers:
        if record.rdata.lower() not in place.nameservers:
            message = f"{to_text(record.rdata.lower())} is no nameserver of this zone in the policy"
            yield place.problem(record, "zone-nameserver", message, "write it under nameservers, or delete this record")
    for missing in [name for name in place.nameservers if servers and name not in named]:
        message = f"{to_text(missing)} is a nameserver of this zone in the policy, and not here"
        yield place.problem(servers[0], "zone-nameserver", message, "delete the NS records here: the policy has them")


def _made_by_gslb(place: Place, owner: bytes, types: Mapping[int, Sequence[Record]]) -> Iterator[Problem]:
    for record in types.get(Type.SOA, ()):
        message = "the SOA record is made by gslb: its serial is the policy revision"
        yield place.problem(record, "zone-soa", message, "delete it; contact and ttl stand in the policy")
    for rtype in _ADDRESSES:
        for record in types.get(rtype, ()):
            if owner in place.nameservers and record.rdata not in place.nameservers[owner]:
                message = f"{to_text(owner)} is a nameserver of this zone, and the policy gives it other addresses"
                yield place.problem(record, "zone-nameserver", message, "write the address under nameservers")
    if owner in place.hosts and owner not in place.nameservers:
        host = place.hosts[owner]
        for record in (record for number in host.types for record in types.get(number, ())):
            message = f"{to_text(owner)} is {host.meaning}, which brings its own {type_text(record.rtype)} records"
            yield place.problem(record, "zone-steered", message, "delete the record, or write another host in the app")


def _cname(place: Place, owner: bytes, types: Mapping[int, Sequence[Record]], own: str | None) -> Iterator[Problem]:
    """An alias has nothing else (RFC 1034 section 3.6.2). `own` is what gslb itself has at the name."""
    for rtype in (Type.CNAME, Type.DNAME):
        for record in types.get(rtype, ())[1:]:
            message = f"{to_text(owner)} has a second {type_text(rtype)} record"
            yield place.problem(record, "zone-alias", message, "keep one of them")
    if Type.CNAME in types:
        others = [type_text(rtype) for rtype in types if rtype != Type.CNAME]
        others += ["the zone itself"] if owner == place.apex else []
        others += [own] if own else []
        if others:
            message = f"{to_text(owner)} is a CNAME, and also {', '.join(others)}"
            remedy = "keep the CNAME alone, or write what it points to instead"
            yield place.problem(types[Type.CNAME][0], "zone-alias", message, remedy)


def _cuts(place: Place, owner: bytes, types: Mapping[int, Sequence[Record]]) -> Iterator[Problem]:
    """Where a delegation or a DNAME can stand, and what belongs to a delegation (RFC 4592 section 4, RFC 6672 section
    2.3, RFC 4035 section 2.4)."""
    is_cut = Type.NS in types and owner != place.apex
    for rtype in (Type.DNAME, Type.NS):
        for record in types.get(rtype, ()) if owner.startswith(_WILDCARD) else ():
            message = f"a wildcard cannot be a {'delegation' if rtype == Type.NS else 'DNAME'}"
            yield place.problem(record, "zone-wildcard", message, "write the names that are meant")
    for record in types.get(Type.DNAME, ()) if is_cut else ():
        message = f"{to_text(owner)} is a DNAME and a delegation"
        yield place.problem(record, "zone-alias", message, "keep one of the two")
    for record in () if is_cut else types.get(Type.DS, ()):
        message = f"a DS record belongs to a delegation, and {to_text(owner)} is none"
        yield place.problem(record, "zone-ds", message, "add its NS records, or delete the DS record")


def _rrsets(place: Place, types: Mapping[int, Sequence[Record]]) -> Iterator[Problem]:
    for rtype, records in types.items():
        first = records[0]
        what = f"{to_text(first.owner)} {type_text(rtype)}"
        for record in records:
            if record.ttl_s != first.ttl_s:
                message = f"the records of {what} differ in TTL; {first.ttl_s} holds for all"
                yield place.problem(record, "zone-ttl", message, "write one TTL for all of them", "warning")
        if sum(_OVERHEAD_BYTES + len(record.rdata) for record in records) > _RRSET_LIMIT_BYTES:
            message = f"the records of {what} do not fit into one answer"
            yield place.problem(first, "zone-size", message, "delete some of them")


def _hidden(place: Place, sets: _Sets, own: Mapping[bytes, str]) -> Iterator[Problem]:
    """What lies below a delegation or a DNAME is never answered, nor is what a delegation has beside its NS and DS
    records. Addresses may be glue."""
    cuts = {owner: types[Type.NS][0] for owner, types in sets.items() if Type.NS in types and owner != place.apex}
    covers = {owner: types[Type.DNAME][0] for owner, types in sets.items() if Type.DNAME in types} | cuts
    if not covers:
        return
    glue = {record.rdata.lower() for owner in cuts for record in sets[owner][Type.NS]}
    for owner, types in sets.items():
        above = _cover(place, covers, owner)
        cover = above or cuts.get(owner)
        for rtype, records in types.items() if cover else ():
            is_glue = rtype in _ADDRESSES and owner in glue
            is_the_cut = above is None and rtype in (Type.NS, Type.DS)
            if cover and not is_the_cut and not (is_glue and cover.owner in cuts):
                yield _never_answered(place, records[0], cover, delegated=cover.owner in cuts)
    for owner, what in own.items():
        cover = _cover(place, covers, owner) or cuts.get(owner)
        if cover:
            message = f"{to_text(owner)} is {what}, and would no longer be answered here"
            yield place.problem(cover, "zone-hidden", message, "delegate or rename another name")


def _never_answered(place: Place, record: Record, cover: Record, *, delegated: bool) -> Problem:
    """A DNAME with names below it is a broken zone (RFC 6672 section 2.4); below a delegation they are left over."""
    what = "delegates" if delegated else "renames"
    message = f"{to_text(record.owner)} {type_text(record.rtype)} is never answered: line {cover.line} {what} it"
    severity: Literal["error", "warning"] = "warning" if delegated else "error"
    return place.problem(record, "zone-hidden", message, "delete it, or put it elsewhere", severity)


def _cover(place: Place, covers: Mapping[bytes, Record], owner: bytes) -> Record | None:
    """The delegation or DNAME in the zone that `owner` lies below."""
    found = None
    for name in ancestors(owner):
        found = covers.get(name, found)
        if name == place.apex:
            break
    return found


def _targets(place: Place, sets: _Sets, own: Mapping[bytes, str]) -> Iterator[Problem]:
    """A delegation to a nameserver in this zone needs its address here (RFC 1034 section 4.2.2)."""
    for owner, types in sets.items():
        for record in types.get(Type.NS, ()) if owner != place.apex else ():
            target = record.rdata.lower()
            if not is_below(target, place.apex) or target in own:
                continue
            has = sets.get(target, {})
            if Type.CNAME in has:
                message = f"the nameserver {to_text(target)} is a CNAME"
                yield place.problem(record, "zone-glue", message, "name the nameserver itself (RFC 2181 section 10.3)")
            elif not any(rtype in has for rtype in _ADDRESSES):
                message = f"the nameserver {to_text(target)} lies in this zone and has no address"
                yield place.problem(record, "zone-glue", message, f"add its address: {to_text(target)}. A ...")
