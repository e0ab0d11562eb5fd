"""A zone as a standard zone file with today's answers, for a second DNS provider that cannot steer. Pure.

What a file cannot say is flattened by one rule: of the answers that a client may get of whom nothing is known, a file
has those of every outcome that is drawn at least half as often as the likeliest one. Plain records are told to
everybody in equal parts, so that a share that is small on purpose must not become a half. Nothing here signs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import dns.rdata
import dns.rdataclass
from dns.rdatatype import RdataType

from gslb.dns.compose import zone_records
from gslb.dns.pools import app_datas, published_types
from gslb.dns.site_names import site_records
from gslb.dns.tables import Qtype
from gslb.dns.zone import Records, Rrset, add_record
from gslb.errors import RefusedError
from gslb.model.wire_name import from_text, is_below, nearest, parent, to_text
from gslb.snapshot.types import App, LiveState, Outcome, Snapshot, Zone
from gslb.steering import decide

__all__ = ["TTL_BOUNDS_S", "Flattened", "ZoneText", "export_zone", "zone_names"]

TTL_BOUNDS_S = (30, 300)
"""Of steered names: below, resolvers would ask all the time a provider who charges for it; above, a site that dies is
told for as long after the next export."""
_ENOUGH = 0.5
_FAMILIES = {Qtype.A: 4, Qtype.AAAA: 6, Qtype.HTTPS: None}


class Flattened(NamedTuple):
    """A steered name whose records say less than gslb would: which sites the file names, and which it leaves out."""

    name: str
    sites: tuple[str, ...]
    left_out: tuple[str, ...]


class ZoneText(NamedTuple):
    text: str
    flattened: tuple[Flattened, ...]


def zone_names(snapshot: Snapshot) -> tuple[str, ...]:
    """Every zone, the one that bare hosts stand in first."""
    return tuple(zone.name for zone in (snapshot.zone, *snapshot.zones))


def export_zone(
    snapshot: Snapshot, live: LiveState, name: str, serial: int, ttl_s: int | None = None, *, unsigned: bool = False
) -> ZoneText:
    """The zone `name` under the verdicts of `live`. `serial` is the SOA record's; `ttl_s` that of steered names, None:
    the policy's, within bounds.

    Raises RefusedError, rule `unknown-zone`, or `zone-signed` where the zone is signed, unless `unsigned`.
    """
    zones = {from_text(zone.name): zone for zone in (snapshot.zone, *snapshot.zones)}
    apex = from_text(name)
    if apex not in zones:
        raise RefusedError("unknown-zone", f"there is no zone {name}", f"known: {', '.join(zone_names(snapshot))}")
    zone = zones[apex]
    if zone.keys and not unsigned:
        raise RefusedError(
            "zone-signed",
            f"{name} is signed, and a file would not be: validating resolvers would fail whenever they ask who has it",
            "a standby outside the delegation may have it, or a zone whose DS records are gone: insist with --unsigned",
        )
    plain = dataclasses.replace(zone, keys=())
    records = zone_records(plain, serial, site_records(snapshot, zones)[apex])
    for child in (other for other in zones if other != apex and nearest(parent(other), zones) == apex):
        _delegate(records, child, zones[child])
    flattened = tuple(_add_hosts(records, snapshot, live, apex, ttl_s))
    return ZoneText("".join(f"{line}\n" for line in _lines(apex, records)), flattened)


def _delegate(records: Records, child: bytes, zone: Zone) -> None:
    """To a zone of ours below: here both are one server, elsewhere they need not be. What a person wrote wins."""
    if Qtype.NS in records.get(child, {}):
        return
    for server, addresses in zone.nameservers:
        add_record(records, child, Qtype.NS, zone.ttl_s, from_text(server))
        if is_below(from_text(server), child):
            for ip in addresses:
                add_record(
                    records, from_text(server), Qtype.A if ip.version == 4 else Qtype.AAAA, zone.ttl_s, ip.packed
                )


def _add_hosts(
    records: Records, snapshot: Snapshot, live: LiveState, apex: bytes, ttl_s: int | None
) -> Iterator[Flattened]:
    zones = {from_text(zone) for zone in zone_names(snapshot)}
    servers = {from_text(name) for zone in (snapshot.zone, *snapshot.zones) for name, _ in zone.nameservers}
    for app in snapshot.apps.values():
        hosts = [host for host in map(from_text, app.hosts) if host not in servers and nearest(host, zones) == apex]
        if not hosts:
            continue
        sets, sites, left_out = _flat(snapshot, live, app, ttl_s)
        for host in hosts:
            records[host] = {**records.get(host, {}), **sets}
            if left_out:
                yield Flattened(to_text(host), sites, left_out)


def _flat(
    snapshot: Snapshot, live: LiveState, app: App, ttl_s: int | None
) -> tuple[dict[int, Rrset], tuple[str, ...], tuple[str, ...]]:
    """The record sets of an app's hosts, the sites that they name, and those that they leave out."""
    sets: dict[int, Rrset] = {}
    named: dict[str, None] = {}
    possible: dict[str, None] = {}
    low_s, high_s = TTL_BOUNDS_S
    for qtype in published_types(snapshot, app):
        decision = decide(snapshot, live, app, None, _FAMILIES[qtype])
        kept = _likely(decision.outcomes)
        datas = app_datas(app, qtype, [ip for outcome in kept for ip in outcome.addresses])
        if datas:
            sets[qtype] = Rrset(ttl_s or min(max(decision.ttl_s, low_s), high_s), datas)
        named |= dict.fromkeys(site for outcome in kept for site in outcome.sites)
        possible |= dict.fromkeys(site for outcome in decision.outcomes for site in outcome.sites)
    return sets, tuple(named), tuple(site for site in possible if site not in named)


def _likely(outcomes: Iterable[Outcome]) -> list[Outcome]:
    most = max((outcome.weight for outcome in outcomes), default=0.0)
    return [outcome for outcome in outcomes if outcome.weight >= _ENOUGH * most]


def _lines(apex: bytes, records: Records) -> Iterator[str]:
    """The SOA record first, which servers want; names in the order of DNSSEC (RFC 4034 section 6.1), which groups what
    belongs together."""
    for owner in sorted(records, key=lambda name: (name != apex, _labels(name))):
        for rtype, rrset in sorted(records[owner].items(), key=lambda item: (item[0] != Qtype.SOA, item[0])):
            for rdata in rrset.rdatas:
                kind = RdataType.make(rtype)
                data = dns.rdata.from_wire(dns.rdataclass.IN, kind, rdata, 0, len(rdata)).to_text()
                yield f"{to_text(owner)}. {rrset.ttl_s} IN {RdataType.to_text(kind)} {data}"


def _labels(name: bytes) -> list[bytes]:
    labels = []
    while name[0]:
        labels.append(name[1 : 1 + name[0]])
        name = name[1 + name[0] :]
    return labels[::-1]
