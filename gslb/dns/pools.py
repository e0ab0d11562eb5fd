"""The pools of apps: what every class of clients may be told under the verdicts of the moment, packed, by record type.

Whom to prefer is steering's word, and no weight is changed here. Which names have a pool is `compose`'s to say.
"""

from __future__ import annotations

import struct
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from ipaddress import IPv4Address, IPv6Address
from itertools import compress, count
from operator import is_not

from gslb.dns.service_binding import https_data
from gslb.dns.tables import OWNER, Body, Choice, Classes, ClassMap, Places, Pool, PoolIndex, Qtype, Ranges, Variant
from gslb.model.words import IpAddress
from gslb.snapshot.networks import GeoMap, Spans
from gslb.snapshot.types import App, AppName, Decision, LiveState, Outcome, Snapshot
from gslb.steering import client_classes, decide, telling_filters

__all__ = ["app_datas", "app_pools", "client_class_map", "content_mark", "pool_places", "published_types", "qtype_of"]

_FAMILIES: Mapping[Qtype, int | None] = {Qtype.A: 4, Qtype.AAAA: 6, Qtype.HTTPS: None}
"""What an app can be asked for, and which addresses steering is asked for then; None: those of both families."""

_IN = 1
_RECORD = struct.Struct("!HHHIH")
_STEERED = 1 << 63


def client_class_map(snapshot: Snapshot, geo: GeoMap | None) -> ClassMap:
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


def pool_places(snapshot: Snapshot) -> Places:
    """A pool for every type that an app may ever answer, numbered in the order of the apps."""
    numbers = map(PoolIndex, count())
    return {
        app.name: {qtype: next(numbers) for qtype in published_types(snapshot, app)} for app in snapshot.apps.values()
    }


def published_types(snapshot: Snapshot, app: App) -> Sequence[Qtype]:
    """Addresses of the families that there are: a type of which no site has any is denied as every other is.

    Who sees an HTTPS record asks for nothing but https (RFC 9460 section 9.5), so that only who says so has one.
    """
    addresses = (ip for site in snapshot.sites.values() for edge in site.edges for ip in edge.public)
    families = {qtype_of(ip) for ip in addresses}
    return [qtype for qtype in _FAMILIES if qtype in families or (qtype == Qtype.HTTPS and app.https)]


def app_pools(
    snapshot: Snapshot, live: LiveState, classes: ClassMap, kept: Mapping[AppName, Sequence[Pool]]
) -> list[Pool]:
    """The pools of all apps, each at its place. `kept` ones are reused."""
    pools: list[Pool] = []
    for app in snapshot.apps.values():
        if app.name in kept:
            pools += kept[app.name]
            continue
        filters = telling_filters(app.chain)
        for qtype in published_types(snapshot, app):
            chain = _Chain(snapshot, live, app, qtype)
            v4, v6 = (chain.ranges(classes[filters, version]) for version in (4, 6))
            pools.append(Pool(_u64(app.name), app.ttl_s, v4, v6))
    return pools


@dataclass(frozen=True, slots=True)
class _Chain:
    """Asks steering once for each class of clients what they are told who ask for `qtype`."""

    snapshot: Snapshot
    live: LiveState
    app: App
    qtype: Qtype

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
        decision: Decision = decide(self.snapshot, self.live, self.app, client, _FAMILIES[self.qtype])
        outcomes = decision.outcomes or (Outcome((), (), 1.0),)
        variants, reached = [], 0.0
        for outcome in outcomes:
            reached += outcome.weight
            upto = round(reached * 2**32) if outcome is not outcomes[-1] else 2**32
            key = _u64("\n".join(outcome.drawn_as or outcome.sites))
            body = _body(self.qtype, app_datas(self.app, self.qtype, outcome.addresses), decision.ttl_s)
            variants.append(Variant(outcome.sites, outcome.weight, key, upto, body))
        return Choice(decision.draw, tuple(variants))


def app_datas(app: App, qtype: int, addresses: Sequence[IpAddress]) -> list[bytes]:
    """Of the records that tell `addresses`; none of them: no record."""
    packed = [ip.packed for ip in dict.fromkeys(addresses)]
    if qtype == Qtype.HTTPS and packed and app.https:
        return [https_data(app.https, packed)]
    return packed


def qtype_of(ip: IpAddress) -> Qtype:
    return Qtype.A if ip.version == 4 else Qtype.AAAA


def _u64(text: str) -> int:
    """What stands for a name in draws: the same on every node and after every restart."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())


def _body(qtype: Qtype, datas: Sequence[bytes], ttl_s: int) -> Body:
    """Packed by hand, because it runs for every app whenever one verdict changes."""
    records = [_RECORD.pack(OWNER, qtype, _IN, ttl_s, len(data)) + data for data in datas]
    return Body(len(records), b"".join(records), mark=content_mark(datas))


def content_mark(datas: Iterable[bytes]) -> int:
    """The `mark` of a body of records with `datas`, whatever their TTL, or the signatures of wavering TTLs would be
    without end. Static bodies have marks below 65,536."""
    return _STEERED | int.from_bytes(blake2b(b"".join(sorted(datas)), digest_size=8).digest())
