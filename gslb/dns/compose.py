"""Snapshot and verdicts in, `Tables` out: the DNS back end of the compiler, run when something changed.

Everything that costs time happens here so that nothing of it happens while a query waits: decisions for every class of
clients, packing of records, the list of names. Whom to prefer is steering's word, and no weight is changed here.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from ipaddress import IPv4Address, IPv6Address

from dnslib import AAAA, NS, RD, RR, SOA, A, DNSQuestion, DNSRecord

from gslb.dns.tables import Body, Choice, Pool, PoolIndex, Qtype, Ranges, Tables, Variant
from gslb.model.words import IpAddress
from gslb.snapshot.types import App, AppName, Decision, LiveState, Outcome, SiteName, Snapshot, Zone
from gslb.steering import client_networks, decide

__all__ = ["compose", "recompile"]

_INFRASTRUCTURE_TTL_S = 3600
"""NS records, addresses of nameservers, HINFO: they do not steer, and a short TTL would only multiply queries."""

_REFRESH_S, _RETRY_S, _EXPIRE_S = 3600, 600, 604_800
"""For secondaries, of which there are none; within RFC 1912 section 2.2."""

_QUESTION_BYTES_AFTER_NAME = 4
_HEADER_BYTES = 12
_OWNER = 0xC00C
"""A pointer to the name in the question, which always starts after the header (RFC 1035 section 4.1.4)."""

_IN = 1
_HINFO = b"\x07RFC8482\x00"  # CPU and OS as character strings
_RECORD = struct.Struct("!HHHIH")
_FAMILIES = ((4, Qtype.A), (6, Qtype.AAAA))
_POOLS_PER_APP = len(_FAMILIES)


def compose(snapshot: Snapshot, live: LiveState, wall_offset_s: float = 0.0) -> Tables:
    """Everything that the zone of `snapshot` answers under the verdicts of `live`.

    Contents: SOA (serial = policy revision) and NS at the apex, addresses of nameservers inside the zone, addresses of
    app hosts inside the zone. Hosts elsewhere are left to the zone that points here. Names of nameservers win over
    app hosts of the same name, or the delegation would break.
    """
    pools = _app_pools(snapshot, live, {})
    names: dict[bytes, dict[int, PoolIndex]] = {}
    zone = snapshot.zone
    for place, app in enumerate(snapshot.apps.values()):
        for host in app.hosts:
            if _is_inside(host, zone):
                entry = names.setdefault(_wire_name(host), {})
                for step, (_, qtype) in enumerate(_FAMILIES):
                    entry[qtype] = PoolIndex(place * _POOLS_PER_APP + step)
    for owner, qtype, body in _static_bodies(snapshot):
        names.setdefault(_wire_name(owner), {})[qtype] = PoolIndex(len(pools))
        pools.append(_static_pool(body))
    apex = _wire_name(zone.name)
    _add_any(names, pools)
    _add_empty_non_terminals(names, apex)
    return Tables(
        version=snapshot.version,
        digest=snapshot.digest,
        live=live,
        apex=apex,
        names=names,
        pools=tuple(pools),
        soa=_negative_soa(snapshot),
        wall_offset_s=wall_offset_s,
    )


def recompile(tables: Tables, snapshot: Snapshot, live: LiveState) -> Tables:
    """`tables` under new verdicts or overrides. Names and static records stay: only a policy revision changes them.

    Where the snapshot is the same, only the apps whose verdicts differ are decided anew: a thousand apps that lose one
    site, one verdict after the other, must not be a million decisions.
    """
    if tables.version.revision != snapshot.version.revision:
        raise AssertionError("another policy revision needs compose")
    kept: dict[AppName, Sequence[Pool]] = {}
    if tables.digest == snapshot.digest:
        changed = _apps_with_other_verdicts(tables.live, live)
        for place, name in enumerate(snapshot.apps):
            if name not in changed:
                kept[name] = tables.pools[place * _POOLS_PER_APP :][:_POOLS_PER_APP]
    pools = _app_pools(snapshot, live, kept)
    return dataclasses.replace(
        tables,
        version=snapshot.version,
        digest=snapshot.digest,
        live=live,
        pools=(*pools, *tables.pools[len(pools) :]),
    )


def _apps_with_other_verdicts(old: LiveState, new: LiveState) -> set[AppName]:
    """Reasons and times differ all the while; only down or not down is what steering looks at."""
    keys = old.verdicts.keys() | new.verdicts.keys()
    return {app for app, address in keys if old.is_down(app, address) != new.is_down(app, address)}


# Apps -----------------------------------------------------------------------------------------------------------------


def _app_pools(snapshot: Snapshot, live: LiveState, kept: Mapping[AppName, Sequence[Pool]]) -> list[Pool]:
    """Two pools for each app in order, IPv4 before IPv6: `compose` counts on their places. `kept` ones are reused."""
    pools: list[Pool] = []
    v4_spans, v6_spans = _spans(snapshot, IPv4Address), _spans(snapshot, IPv6Address)
    for app in snapshot.apps.values():
        if app.name in kept:
            pools += kept[app.name]
            continue
        by_network = bool(client_networks(snapshot, app))
        for family, _ in _FAMILIES:
            classes = _Classes(snapshot, live, app, family)
            v4 = classes.ranges(v4_spans if by_network else v4_spans[:1])
            v6 = classes.ranges(v6_spans if by_network else v6_spans[:1])
            pools.append(Pool(_u64(app.name), app.ttl_s, v4, v6))
    return pools


@dataclasses.dataclass(frozen=True, slots=True)
class _Span:
    """Addresses from `first` up to the next span, which all lie in networks of the same sites. `matches` holds each of
    those sites with the length of its longest match: all that steering takes from an address, so that spans with equal
    matches are one class of clients."""

    first: IpAddress
    matches: tuple[tuple[SiteName, int], ...]


def _spans(snapshot: Snapshot, client: type[IPv4Address | IPv6Address]) -> tuple[_Span, ...]:
    """The address space of `client`, cut where a network of a site begins or ends."""
    version, size = client(0).version, 1 << client(0).max_prefixlen
    networks = sorted(
        (network.prefixlen, int(network.network_address), int(network.broadcast_address), site.name)
        for site in snapshot.sites.values()
        for network in site.networks
        if network.version == version
    )
    starts = {0, *(first for _, first, _, _ in networks), *(last + 1 for _, _, last, _ in networks)} - {size}
    spans = []
    for start in sorted(starts):
        longest = {site: length for length, first, last, site in networks if first <= start <= last}
        spans.append(_Span(client(start), tuple(sorted(longest.items()))))
    return tuple(spans)


@dataclasses.dataclass(frozen=True, slots=True)
class _Classes:
    """Asks steering once for each class of clients what they are told about addresses of `family`."""

    snapshot: Snapshot
    live: LiveState
    app: App
    family: int

    def ranges(self, spans: Sequence[_Span]) -> Ranges:
        """What each span is told; neighbours that are told the same become one. The first span starts at nothing,
        which is below every address."""
        starts: list[bytes] = []
        choices: list[Choice] = []
        known: dict[tuple[tuple[SiteName, int], ...], Choice] = {}
        for span in spans:
            choice = known.get(span.matches) or known.setdefault(span.matches, self.choice(span.first))
            if not choices or choice != choices[-1]:
                starts.append(span.first.packed if starts else b"")
                choices.append(choice)
        return Ranges(tuple(starts), tuple(choices))

    def choice(self, client: IpAddress) -> Choice:
        """The answer for one client. Without outcomes (residency) it is the empty body, which means NODATA."""
        decision: Decision = decide(self.snapshot, self.live, self.app, client, self.family)
        outcomes = decision.outcomes or (Outcome((), (), 1.0),)
        variants, reached = [], 0.0
        for outcome in outcomes:
            reached += outcome.weight
            upto = round(reached * 2**32) if outcome is not outcomes[-1] else 2**32
            key = _u64("\n".join(outcome.sites))
            body = _addresses_body(outcome.addresses, self.app.ttl_s)
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
        _RECORD.pack(_OWNER, _qtype(ip), _IN, ttl_s, len(ip.packed)) + ip.packed for ip in dict.fromkeys(addresses)
    ]
    return Body(len(records), b"".join(records))


# The zone itself ------------------------------------------------------------------------------------------------------


def _static_bodies(snapshot: Snapshot) -> Iterable[tuple[str, Qtype, Body]]:
    """Owner, type and records of what no verdict changes."""
    zone = snapshot.zone
    apex, ttl_s = zone.name, max(zone.ttl_s, _INFRASTRUCTURE_TTL_S)
    yield apex, Qtype.SOA, _packed(apex, [RR(apex, Qtype.SOA, _IN, zone.ttl_s, _soa(snapshot))])
    glue = [
        (name, ip, RR(name, _qtype(ip), _IN, ttl_s, _address(ip)))
        for name, addresses in zone.nameservers
        if _is_inside(name, zone)
        for ip in addresses
    ]
    servers = [RR(apex, Qtype.NS, _IN, ttl_s, NS(name)) for name, _ in zone.nameservers]
    yield apex, Qtype.NS, _packed(apex, servers, [record for _, _, record in glue])
    for name in dict.fromkeys(name for name, _, _ in glue):
        for family, qtype in _FAMILIES:
            records = [record for owner, ip, record in glue if owner == name and ip.version == family]
            yield name, qtype, _packed(name, records)


def _address(ip: IpAddress) -> RD:
    return A(str(ip)) if ip.version == 4 else AAAA(str(ip))


def _soa(snapshot: Snapshot) -> SOA:
    """The zone's TTL is how long a negative answer may be kept (RFC 2308 section 4)."""
    zone = snapshot.zone
    times = (snapshot.version.revision, _REFRESH_S, _RETRY_S, _EXPIRE_S, zone.ttl_s)
    return SOA(zone.nameservers[0][0], zone.contact, times)


def _packed(owner: str, answers: Sequence[RR], extras: Sequence[RR] = ()) -> Body:
    """Records as they stand in a reply to a question for `owner`: compression pointers count from its header, and
    every such reply has the same octets before them."""
    record = DNSRecord(q=DNSQuestion(owner), rr=list(answers))
    after = _HEADER_BYTES + len(_wire_name(owner)) + _QUESTION_BYTES_AFTER_NAME
    without = len(record.pack())
    record.add_ar(*extras)
    packed = bytes(record.pack())
    return Body(len(answers), packed[after:without], len(extras), packed[without:])


def _negative_soa(snapshot: Snapshot) -> bytes:
    """The SOA record from its type on, names in full: it stands after questions of any length."""
    zone, soa = snapshot.zone, _soa(snapshot)
    rdata = _wire_name(zone.nameservers[0][0]) + _wire_name(zone.contact) + struct.pack("!5I", *soa.times)
    return struct.pack("!HHIH", Qtype.SOA, _IN, zone.ttl_s, len(rdata)) + rdata


def _static_pool(body: Body) -> Pool:
    everyone = Ranges((b"",), (Choice("answer", (Variant((), 1.0, 0, 2**32, body),)),))
    return Pool(0, 1, everyone, everyone)


def _add_any(names: dict[bytes, dict[int, PoolIndex]], pools: list[Pool]) -> None:
    """One HINFO record, the same for every name that has records, whoever asks for ANY (RFC 8482 section 4.2)."""
    index = PoolIndex(len(pools))
    hinfo = _RECORD.pack(_OWNER, Qtype.HINFO, _IN, _INFRASTRUCTURE_TTL_S, len(_HINFO)) + _HINFO
    pools.append(_static_pool(Body(1, hinfo)))
    for entry in names.values():
        entry[Qtype.ANY] = index


def _add_empty_non_terminals(names: dict[bytes, dict[int, PoolIndex]], apex: bytes) -> None:
    """What lies between a name and the apex exists, with no records of its own (RFC 8020 section 3.1)."""
    for name in tuple(names):
        while name != apex:
            names.setdefault(name, {})
            name = name[name[0] + 1 :]


def _is_inside(host: str, zone: Zone) -> bool:
    return host == zone.name or host.endswith(f".{zone.name}")


def _wire_name(name: str) -> bytes:
    """An absolute name without its last dot, lower-case, as RFC 1035 section 3.1 writes it."""
    return b"".join(len(label).to_bytes() + label.lower().encode("ascii") for label in name.split(".")) + b"\0"
