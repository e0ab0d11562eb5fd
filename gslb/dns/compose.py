"""Snapshot and verdicts in, `Tables` out: the DNS back end of the compiler, run when something changed.

Everything that costs time happens here so that nothing of it happens while a query waits: decisions for every class of
clients, packing of records, the list of names. Whom to prefer is steering's word, and no weight is changed here.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Hashable, Mapping, Sequence
from hashlib import blake2b
from ipaddress import IPv4Address, IPv6Address
from itertools import compress
from operator import is_not

from gslb.dns.tables import OWNER, Body, Choice, Classes, ClassMap, Pool, PoolIndex, Qtype, Ranges, Tables, Variant
from gslb.dns.zone import Records, add_empty_non_terminals, add_record, compile_names, read_lines
from gslb.model.wire_name import ancestors, from_text, is_below
from gslb.model.words import IpAddress
from gslb.snapshot.networks import GeoMap, Spans
from gslb.snapshot.types import App, AppName, Decision, LiveState, Outcome, Snapshot, Zone
from gslb.steering import client_classes, decide, telling_filters

__all__ = ["compose", "recompile"]

_INFRASTRUCTURE_TTL_S = 3600
"""NS records and addresses of nameservers: they do not steer, and a short TTL would only multiply queries."""

_REFRESH_S, _RETRY_S, _EXPIRE_S = 3600, 600, 604_800
"""For secondaries, of which there are none; within RFC 1912 section 2.2."""

_IN = 1
_RECORD = struct.Struct("!HHHIH")
_FAMILIES = ((4, Qtype.A), (6, Qtype.AAAA))
_POOLS_PER_APP = len(_FAMILIES)


def compose(snapshot: Snapshot, live: LiveState, wall_offset_s: float = 0.0) -> Tables:
    """Everything that the zones of `snapshot` answer under the verdicts of `live`.

    Each zone has its SOA record (serial = policy revision), its NS records with the addresses of nameservers inside
    it, and its static records. Hosts of apps stand in the zone that they lie in; hosts outside all of them are left to
    the zone that points here. Names of nameservers win over app hosts of the same name, or the delegation would break.
    """
    classes = _client_classes(snapshot, live.geo)
    names: dict[bytes, dict[int, PoolIndex | Body]] = {}
    cuts: dict[bytes, Body] = {}
    zones = {from_text(zone.name): zone for zone in (snapshot.zone, *snapshot.zones)}
    for apex in sorted(zones, key=len):  # a zone before those below it, which may add to what it left at their apex
        below = [other for other in zones if other != apex and is_below(other, apex)]
        static = compile_names(apex, _records(zones[apex], snapshot.version.revision), below)
        for owner, entry in static.names.items():
            names.setdefault(owner, {}).update(entry)
        cuts |= static.cuts
    _add_hosts(names, snapshot, zones)
    add_empty_non_terminals(names, zones)
    return Tables(
        version=snapshot.version,
        digest=snapshot.digest,
        live=live,
        zones={apex: _negative_soa(zone, snapshot.version.revision) for apex, zone in zones.items()},
        names=names,
        cuts=cuts,
        pools=tuple(_app_pools(snapshot, live, classes, {})),
        classes=classes,
        wall_offset_s=wall_offset_s,
    )


def recompile(tables: Tables, snapshot: Snapshot, live: LiveState) -> Tables:
    """`tables` under new verdicts or overrides. Names and static records stay: only a policy revision changes them.

    Where the snapshot is the same, only the apps whose verdicts differ are decided anew: a thousand apps that lose one
    site, one verdict after the other, must not be a million decisions.
    """
    if tables.version.revision != snapshot.version.revision:
        raise AssertionError("another policy revision needs compose")
    moved = tables.live.geo is not live.geo
    classes = _client_classes(snapshot, live.geo) if moved else tables.classes
    kept: dict[AppName, Sequence[Pool]] = {}
    if tables.digest == snapshot.digest and not moved:
        changed = _apps_with_other_verdicts(snapshot, tables.live, live)
        if not changed:
            return dataclasses.replace(tables, version=snapshot.version, live=live)
        for place, name in enumerate(snapshot.apps):
            if name not in changed:
                kept[name] = tables.pools[place * _POOLS_PER_APP :][:_POOLS_PER_APP]
    return dataclasses.replace(
        tables,
        version=snapshot.version,
        digest=snapshot.digest,
        live=live,
        pools=tuple(_app_pools(snapshot, live, classes, kept)),
        classes=classes,
    )


def _apps_with_other_verdicts(snapshot: Snapshot, old: LiveState, new: LiveState) -> set[AppName]:
    """Reasons and times differ all the while; steering looks at down or not down and, where the TTL of an app is not
    fixed, at how soon that may change."""
    keys = old.verdicts.keys() | new.verdicts.keys()
    bounded = {app.name for app in snapshot.apps.values() if app.ttl_min_s != app.ttl_s}
    return {
        app
        for app, address in keys
        if old.is_down(app, address) != new.is_down(app, address)
        or (app in bounded and old.flip_s(app, address) != new.flip_s(app, address))
    }


def _add_hosts(
    names: dict[bytes, dict[int, PoolIndex | Body]], snapshot: Snapshot, zones: Mapping[bytes, Zone]
) -> None:
    servers = {from_text(name) for zone in zones.values() for name, _ in zone.nameservers}
    for place, app in enumerate(snapshot.apps.values()):
        for host in map(from_text, app.hosts):
            if host not in servers and any(name in zones for name in (host, *ancestors(host))):
                entry = names.setdefault(host, {})
                for step, (_, qtype) in enumerate(_FAMILIES):
                    entry[qtype] = PoolIndex(place * _POOLS_PER_APP + step)


# Apps -----------------------------------------------------------------------------------------------------------------


def _client_classes(snapshot: Snapshot, geo: GeoMap | None) -> ClassMap:
    """For all chains of the snapshot."""
    filters = {telling_filters(app.chain) for app in snapshot.apps.values()}
    return {
        (some, address.version): _numbered(client_classes(snapshot, geo, some, address.version), type(address))
        for some in filters
        for address in (IPv4Address(0), IPv6Address(0))
    }


def _numbered(spans: Spans[Hashable], address: type[IPv4Address | IPv6Address]) -> Classes:
    numbers: dict[Hashable, int] = {}
    members: list[IpAddress] = []
    for start, value in zip(spans.starts, spans.values, strict=True):
        if numbers.setdefault(value, len(numbers)) == len(members):
            members.append(address(start))
    size = address(0).max_prefixlen // 8
    starts = (b"", *(start.to_bytes(size) for start in spans.starts[1:]))
    return Classes(starts, tuple(numbers[value] for value in spans.values), tuple(members))


def _app_pools(
    snapshot: Snapshot, live: LiveState, classes: ClassMap, kept: Mapping[AppName, Sequence[Pool]]
) -> list[Pool]:
    """Two pools for each app in order, IPv4 before IPv6: `compose` counts on their places. `kept` ones are reused."""
    pools: list[Pool] = []
    for app in snapshot.apps.values():
        if app.name in kept:
            pools += kept[app.name]
            continue
        filters = telling_filters(app.chain)
        for family, _ in _FAMILIES:
            chain = _Chain(snapshot, live, app, family)
            v4, v6 = (chain.ranges(classes[filters, version]) for version in (4, 6))
            pools.append(Pool(_u64(app.name), app.ttl_s, v4, v6))
    return pools


@dataclasses.dataclass(frozen=True, slots=True)
class _Chain:
    """Asks steering once for each class of clients what they are told about addresses of `family`."""

    snapshot: Snapshot
    live: LiveState
    app: App
    family: int

    def ranges(self, classes: Classes) -> Ranges:
        """What each class is told; neighbours that are told the same become one. No loop of ours runs over the ranges,
        because there may be a million of them, and a verdict waits."""
        same: dict[Choice, Choice] = {}
        made = [self.choice(member) for member in classes.members]
        told = [same.setdefault(choice, choice) for choice in made]
        choices = list(map(told.__getitem__, classes.classes))
        begins = [True, *map(is_not, choices[1:], choices)]
        return Ranges(tuple(compress(classes.starts, begins)), tuple(compress(choices, begins)))

    def choice(self, client: IpAddress) -> Choice:
        """The answer for one client. Without outcomes (residency) it is the empty body, which means NODATA."""
        decision: Decision = decide(self.snapshot, self.live, self.app, client, self.family)
        outcomes = decision.outcomes or (Outcome((), (), 1.0),)
        variants, reached = [], 0.0
        for outcome in outcomes:
            reached += outcome.weight
            upto = round(reached * 2**32) if outcome is not outcomes[-1] else 2**32
            key = _u64("\n".join(outcome.sites))
            body = _addresses_body(outcome.addresses, decision.ttl_s)
            variants.append(Variant(outcome.sites, outcome.weight, key, upto, body))
        return Choice(decision.draw, tuple(variants))


def _qtype(ip: IpAddress) -> Qtype:
    return Qtype.A if ip.version == 4 else Qtype.AAAA


def _u64(text: str) -> int:
    """What stands for a name in draws: the same on every node and after every restart."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())


def _addresses_body(addresses: Sequence[IpAddress], ttl_s: int) -> Body:
    """Packed by hand, because it runs for every app whenever one verdict changes."""
    records = [
        _RECORD.pack(OWNER, _qtype(ip), _IN, ttl_s, len(ip.packed)) + ip.packed for ip in dict.fromkeys(addresses)
    ]
    return Body(len(records), b"".join(records))


# The zones themselves -------------------------------------------------------------------------------------------------


def _records(zone: Zone, serial: int) -> Records:
    """The static records of a zone, and those that gslb makes itself."""
    records = read_lines(zone.records)
    apex, ttl_s = from_text(zone.name), max(zone.ttl_s, _INFRASTRUCTURE_TTL_S)
    add_record(records, apex, Qtype.SOA, zone.ttl_s, _soa(zone, serial))
    for name, addresses in zone.nameservers:
        server = from_text(name)
        add_record(records, apex, Qtype.NS, ttl_s, server)
        for ip in addresses:
            add_record(records, server, _qtype(ip), ttl_s, ip.packed)
    return records


def _soa(zone: Zone, serial: int) -> bytes:
    """The zone's TTL is how long a negative answer may be kept (RFC 2308 section 4)."""
    numbers = struct.pack("!5I", serial, _REFRESH_S, _RETRY_S, _EXPIRE_S, zone.ttl_s)
    return from_text(zone.nameservers[0][0]) + from_text(zone.contact) + numbers


def _negative_soa(zone: Zone, serial: int) -> bytes:
    """The SOA record from its type on: what stands before it depends on the question."""
    soa = _soa(zone, serial)
    return struct.pack("!HHIH", Qtype.SOA, _IN, zone.ttl_s, len(soa)) + soa
