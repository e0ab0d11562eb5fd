"""Snapshot and verdicts in, `Tables` out: the DNS back end of the compiler, run when something changed.

Everything that costs time happens here and in `pools` so that nothing of it happens while a query waits. Whom to prefer
is steering's word.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Mapping, Sequence

from gslb.dns.dnssec.keys import DNSKEY_TTL_S, dnskey_rdata, ds_rdata
from gslb.dns.pools import app_pools, client_class_map, pool_places, qtype_of
from gslb.dns.site_names import site_records
from gslb.dns.tables import Body, Places, Pool, PoolIndex, Qtype, Tables
from gslb.dns.zone import Records, add_empty_non_terminals, add_record, compile_names, read_lines
from gslb.model.wire_name import ancestors, from_text, is_below
from gslb.model.words import IpAddress
from gslb.snapshot.types import App, AppName, LiveState, Snapshot, Zone, ZoneKey
from gslb.steering import loads_matter

__all__ = ["compose", "recompile", "recompose", "zone_records"]

_INFRASTRUCTURE_TTL_S = 3600
"""NS records and addresses of nameservers: they do not steer, and a short TTL would only multiply queries."""

_REFRESH_S, _RETRY_S, _EXPIRE_S = 3600, 600, 604_800
"""For secondaries, of which there are none; within RFC 1912 section 2.2."""

_IN = 1
_EDGES_ALONE = {"routes", "backends", "needed"}
_TOLD = tuple(field.name for field in dataclasses.fields(App) if field.name not in _EDGES_ALONE)
"""What of an app may show in its answers."""


def compose(snapshot: Snapshot, live: LiveState, wall_offset_s: float = 0.0) -> Tables:
    """Everything that the zones of `snapshot` answer under the verdicts of `live`.

    Each zone has its SOA record (serial = policy revision), its NS records with the addresses of nameservers inside
    it, and its static records. Hosts of apps stand in the zone that they lie in; hosts outside all of them are left to
    the zone that points here. Names of nameservers win over app hosts of the same name, or the delegation would break.
    """
    classes = client_class_map(snapshot, live.geo)
    names: dict[bytes, dict[int, PoolIndex | Body]] = {}
    cuts: dict[bytes, Body] = {}
    zones = {from_text(zone.name): zone for zone in (snapshot.zone, *snapshot.zones)}
    at_sites = site_records(snapshot, zones)
    for apex in sorted(zones, key=len):  # a zone before those below it, which may add to what it left at their apex
        below = [other for other in zones if other != apex and is_below(other, apex)]
        records = zone_records(zones[apex], snapshot.version.revision, at_sites[apex])
        for child in below:
            _add_ds(records, child, zones[child])
        static = compile_names(apex, records, below)
        for owner, entry in static.names.items():
            names.setdefault(owner, {}).update(entry)
        cuts |= static.cuts
    places = pool_places(snapshot)
    _add_hosts(names, snapshot, zones, places)
    add_empty_non_terminals(names, zones)
    return Tables(
        version=snapshot.version,
        digest=snapshot.digest,
        live=live,
        zones={apex: _negative_soa(zone, snapshot.version.revision) for apex, zone in zones.items()},
        names=names,
        cuts=cuts,
        pools=tuple(app_pools(snapshot, live, classes, {})),
        classes=classes,
        places=places,
        wall_offset_s=wall_offset_s,
    )


def recompile(tables: Tables, snapshot: Snapshot, live: LiveState) -> Tables:
    """`tables` under new verdicts or overrides. Names and static records stay: only a policy revision changes them.

    Where the snapshot is the same, only the apps whose verdicts or shedding differ are decided anew: a thousand apps
    that lose one site, one verdict after the other, must not be a million decisions.
    """
    if tables.version.revision != snapshot.version.revision:
        raise AssertionError("another policy revision needs compose")
    same = tables.digest == snapshot.digest and tables.live.geo is live.geo
    classes = tables.classes if same else client_class_map(snapshot, live.geo)  # overrides may measure latency anew
    kept: dict[AppName, Sequence[Pool]] = {}
    if same:
        changed = _apps_with_other_verdicts(snapshot, tables.live, live)
        if not changed:
            return dataclasses.replace(tables, version=snapshot.version, live=live)
        for name, places in tables.places.items():
            if name not in changed:
                kept[name] = [tables.pools[place] for place in places.values()]
    return dataclasses.replace(
        tables,
        version=snapshot.version,
        digest=snapshot.digest,
        live=live,
        pools=tuple(app_pools(snapshot, live, classes, kept)),
        classes=classes,
    )


def recompose(tables: Tables, old: Snapshot, snapshot: Snapshot, live: LiveState) -> Tables | None:
    """`tables`, which are of `old`, for a snapshot of the same revision: the very same pools for all apps about which
    DNS is told nothing new. None where more has changed than apps: that needs `compose`.

    A shift moves no answer, and the drain of one app moves its own."""
    if tables.live.geo is not live.geo or not _same_but_for_apps(old, snapshot):
        return None
    other = {name for name, app in snapshot.apps.items() if not _answers_alike(old.apps[name], app)}
    changed = other | _apps_with_other_verdicts(snapshot, tables.live, live)
    whole = dataclasses.replace(tables, version=snapshot.version, digest=snapshot.digest, live=live)
    if not changed:
        return whole
    kept = {
        name: [tables.pools[place] for place in places.values()]
        for name, places in tables.places.items()
        if name not in changed
    }
    return dataclasses.replace(whole, pools=tuple(app_pools(snapshot, live, tables.classes, kept)))


def _same_but_for_apps(old: Snapshot, new: Snapshot) -> bool:
    """A drain of a site stands in the apps that it is about, too, where steering finds it."""

    def ground(one: Snapshot) -> object:
        sites = [dataclasses.replace(site, drained=False, closing_wall_s=None) for site in one.sites.values()]
        return one.version.revision, one.zone, one.zones, sites, one.latency, list(one.apps)

    return ground(old) == ground(new)


def _answers_alike(old: App, new: App) -> bool:
    """Do they differ, if at all, in what only edges and probes look at?"""
    return old is new or all(getattr(old, name) == getattr(new, name) for name in _TOLD)


def _apps_with_other_verdicts(snapshot: Snapshot, old: LiveState, new: LiveState) -> set[AppName]:
    """Reasons and times differ all the while; steering looks at what is answered and what is seen and, where the TTL of
    an app is not fixed, at how soon that may change; at who comes back slowly; and at loads where an app sheds or
    a site is gone."""
    keys = old.verdicts.keys() | new.verdicts.keys()
    bounded = {app.name for app in snapshot.apps.values() if app.ttl_min_s != app.ttl_s}
    return (
        {
            app
            for app, address in keys
            if _steering(old, app, address) != _steering(new, app, address)
            or (app in bounded and old.flip_s(app, address) != new.flip_s(app, address))
        }
        | {
            app
            for app, site in old.ramps.keys() | new.ramps.keys()
            if old.ramps.get((app, site)) != new.ramps.get((app, site))
        }
        | {app.name for app in snapshot.apps.values() if loads_matter(snapshot, app, old, new)}
    )


def _steering(live: LiveState, app: AppName, address: IpAddress) -> object:
    """What of a verdict the filter `healthy` looks at."""
    verdict = live.verdicts.get((app, address))
    if verdict is None or verdict.state in ("up", "unknown"):
        return None
    return verdict.state, verdict.seen


def _add_hosts(
    names: dict[bytes, dict[int, PoolIndex | Body]], snapshot: Snapshot, zones: Mapping[bytes, Zone], places: Places
) -> None:
    servers = {from_text(name) for zone in zones.values() for name, _ in zone.nameservers}
    for app in snapshot.apps.values():
        for host in map(from_text, app.hosts):
            if host not in servers and any(name in zones for name in (host, *ancestors(host))):
                names.setdefault(host, {}).update(places[app.name])


# The zones themselves -------------------------------------------------------------------------------------------------


def zone_records(zone: Zone, serial: int, at_sites: Records) -> Records:
    """The static records of a zone, and those that gslb makes itself: `at_sites` are those of names for one site."""
    records = read_lines(zone.records)
    apex, ttl_s = from_text(zone.name), max(zone.ttl_s, _INFRASTRUCTURE_TTL_S)
    add_record(records, apex, Qtype.SOA, zone.ttl_s, _soa(zone, serial))
    for name, addresses in zone.nameservers:
        server = from_text(name)
        add_record(records, apex, Qtype.NS, ttl_s, server)
        for ip in addresses:
            add_record(records, server, qtype_of(ip), ttl_s, ip.packed)
    for name_at_site, sets in at_sites.items():
        records[name_at_site] = {**sets, **records.get(name_at_site, {})}
    _add_keys(records, apex, zone.keys)
    return records


def _add_keys(records: Records, apex: bytes, keys: Sequence[ZoneKey]) -> None:
    """What resolvers verify with, and what the parent is asked to point to (RFC 7344, RFC 8078)."""
    for key in keys:
        dnskey = dnskey_rdata(key)
        if key.published:
            add_record(records, apex, Qtype.DNSKEY, DNSKEY_TTL_S, dnskey)
        if key.announced:
            add_record(records, apex, Qtype.CDS, DNSKEY_TTL_S, ds_rdata(apex, dnskey))
            add_record(records, apex, Qtype.CDNSKEY, DNSKEY_TTL_S, dnskey)


def _add_ds(records: Records, child: bytes, zone: Zone) -> None:
    """Into the records of the zone above `child`, which nobody else could keep in step; what a person wrote wins."""
    announced = [key for key in zone.keys if key.announced]
    if Qtype.DS not in records.get(child, {}):
        for key in announced:
            add_record(records, child, Qtype.DS, DNSKEY_TTL_S, ds_rdata(child, dnskey_rdata(key)))


def _soa(zone: Zone, serial: int) -> bytes:
    """The zone's TTL is how long a negative answer may be kept (RFC 2308 section 4)."""
    numbers = struct.pack("!5I", serial, _REFRESH_S, _RETRY_S, _EXPIRE_S, zone.ttl_s)
    return from_text(zone.nameservers[0][0]) + from_text(zone.contact) + numbers


def _negative_soa(zone: Zone, serial: int) -> bytes:
    """The SOA record from its type on: what stands before it depends on the question."""
    soa = _soa(zone, serial)
    return struct.pack("!HHIH", Qtype.SOA, _IN, zone.ttl_s, len(soa)) + soa
