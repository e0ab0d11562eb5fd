"""Who is told which sites, before and after: every class of clients that steering can tell apart, put together again
where the same happens to them.

The choice is steering's; how many clients a class has nobody here knows, so no shares of classes are added up.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, summarize_address_range
from itertools import islice, pairwise

from gslb.plan.types import Group
from gslb.snapshot.networks import GeoMap, Spans, overlay
from gslb.snapshot.types import App, Filter, LiveState, Snapshot
from gslb.steering import client_classes, decide, telling_filters

__all__ = ["Audience", "FoundGroup", "find_groups"]

_ADDRESS: Mapping[int, type[IPv4Address | IPv6Address]] = {4: IPv4Address, 6: IPv6Address}
_WIDTH = {4: 32, 6: 128}
_NAMED = 3
_COUNTRIES = 6

Span = tuple[int, int, int]
"""Address family, first and last address as numbers."""
_Filters = tuple[tuple[Filter, ...], tuple[Filter, ...]]
_Partition = tuple[tuple[int, ...], ...]
"""Groups, as numbers of classes."""
_Layout = Sequence[tuple[int, str]]
"""Numbers of groups with their names, the largest first."""


@dataclass(frozen=True, slots=True)
class Audience:
    """Both snapshots, what is observed, and what was found so far: apps whose chains look at the same have the same
    classes, and mostly the same groups."""

    before: Snapshot | None
    after: Snapshot
    live: LiveState
    found: dict[_Filters, Sequence[Sequence[Span]]] = field(default_factory=dict)
    layouts: dict[tuple[_Filters, _Partition], _Layout] = field(default_factory=dict)

    def classes(self, filters: _Filters) -> Sequence[Sequence[Span]]:
        """The spans of each class that either chain can tell apart, of both address families."""
        if filters not in self.found:
            self.found[filters] = [spans for family in _ADDRESS for spans in self._of_family(filters, family)]
        return self.found[filters]

    def layout(self, filters: _Filters, groups: _Partition) -> _Layout:
        """The order and the names of groups of these classes."""
        key = (filters, groups)
        if key not in self.layouts:
            classes = self.classes(filters)
            joined = [_joined(span for number in group for span in classes[number]) for group in groups]
            order = sorted(range(len(groups)), key=lambda place: _size(joined[place]), reverse=True)
            names = _names([joined[place] for place in order], self.live.geo)
            self.layouts[key] = list(zip(order, names, strict=True))
        return self.layouts[key]

    def _of_family(self, filters: _Filters, family: int) -> Sequence[Sequence[Span]]:
        layers = [client_classes(self.after, self.live.geo, filters[1], family)]
        if self.before is not None:
            layers.append(client_classes(self.before, self.live.geo, filters[0], family))
        return _spans(overlay(layers), family)


@dataclass(frozen=True, slots=True)
class FoundGroup:
    """A group, and why its clients are left alone: empty where they are not."""

    group: Group
    lost: str


@dataclass(frozen=True, slots=True)
class _Told:
    """Sites with their shares (1.0: everybody), and whether any of the addresses is not known to be dead."""

    shares: tuple[tuple[str, float], ...]
    is_living: bool


_NOTHING = _Told((), is_living=False)


def find_groups(audience: Audience, before: App | None, after: App | None) -> Sequence[FoundGroup]:
    """The groups of an app's clients, the largest part of the address space first. Families of addresses that no site
    of the app has, before or after, have no clients here."""
    filters = (telling_filters(before.chain if before else ()), telling_filters(after.chain if after else ()))
    members: dict[tuple[_Told, _Told], list[int]] = {}
    for number, spans in enumerate(audience.classes(filters)):
        family, start, _ = spans[0]
        client = _ADDRESS[family](start)
        told = (
            _told(audience.before, before, audience.live, client),
            _told(audience.after, after, audience.live, client),
        )
        if told != (_NOTHING, _NOTHING):
            members.setdefault(told, []).append(number)
    found = list(members)
    layout = audience.layout(filters, tuple(map(tuple, members.values())))
    return [_found(name, *found[place], old=before) for place, name in layout]


def _found(clients: str, was: _Told, now: _Told, old: App | None) -> FoundGroup:
    lost = ""
    if was.shares and not now.shares:
        lost = "no site is left that may answer them"
    elif was.is_living and now.shares and not now.is_living:
        lost = "every site that is left for them is down"
    group = Group(
        clients=clients,
        before=_percents(was),
        after=_percents(now),
        moved_percent=_moved(was, now) if old is not None else 0.0,
    )
    return FoundGroup(group, lost)


def _spans(classes: Spans[Hashable], family: int) -> Sequence[Sequence[Span]]:
    found: dict[Hashable, list[Span]] = {}
    ends = (*classes.starts, 1 << _WIDTH[family])
    for (start, end), value in zip(pairwise(ends), classes.values, strict=True):
        found.setdefault(value, []).append((family, start, end - 1))
    return list(found.values())


def _told(snapshot: Snapshot | None, app: App | None, live: LiveState, client: IPv4Address | IPv6Address) -> _Told:
    if snapshot is None or app is None:
        return _NOTHING
    shares: dict[str, float] = {}
    is_living = False
    for outcome in decide(snapshot, live, app, client, client.version).outcomes:
        given = frozenset(outcome.addresses)
        sites = [
            site for site in outcome.sites if any(given.intersection(e.public) for e in snapshot.sites[site].edges)
        ]
        for site in sites:
            shares[site] = shares.get(site, 0.0) + outcome.weight / len(sites)
        is_living = is_living or any(not live.is_down(app.name, address) for address in given)
    return _Told(tuple(shares.items()), is_living)


def _percents(told: _Told) -> dict[str, float]:
    return {site: round(100 * share, 2) for site, share in told.shares}


def _moved(was: _Told, now: _Told) -> float:
    """Half the sum of the differences: who leaves one site arrives at another. Who was told nothing cannot move."""
    if not was.shares:
        return 0.0
    old, new = dict(was.shares), dict(now.shares)
    if not new:
        return 100.0
    return round(50 * sum(abs(new.get(site, 0.0) - old.get(site, 0.0)) for site in old.keys() | new.keys()), 2)


# Names ----------------------------------------------------------------------------------------------------------------


def _joined(spans: Iterable[Span]) -> Sequence[Span]:
    """In order, neighbours as one."""
    joined: list[Span] = []
    for family, start, end in sorted(spans):
        if joined and joined[-1][0] == family and joined[-1][2] + 1 == start:
            joined[-1] = (family, joined[-1][1], end)
        else:
            joined.append((family, start, end))
    return joined


def _size(spans: Sequence[Span]) -> tuple[float, float]:
    """Shares of the address space of each family."""
    return tuple(  # type: ignore[return-value] # of the two families
        sum((end - start + 1) / (1 << _WIDTH[family]) for family, start, end in spans if family == wanted)
        for wanted in (4, 6)
    )


def _names(groups: Sequence[Sequence[Span]], geo: GeoMap | None) -> Sequence[str]:
    """Of groups by size: everybody, or everybody else and the smaller ones by what they are."""
    if len(groups) <= 1:
        return ["everybody"] * len(groups)
    countries = [_countries(spans, geo) for spans in groups]
    names = ["everybody else"]
    for place, spans in enumerate(groups[1:], 1):
        others = {country for index, some in enumerate(countries) if index != place for country in some}
        own = countries[place]
        alone = own and None not in own and len(own) <= _COUNTRIES and not own & others
        names.append(f"clients in {', '.join(sorted(map(str, own)))}" if alone else _networks(spans))
    return names


def _networks(spans: Sequence[Span]) -> str:
    networks = (network for span in spans for network in _of_span(span))
    named = [_family(str(network)) for network in islice(networks, _NAMED)]
    more = sum(1 for _ in islice(networks, 100_000))
    return ", ".join(named) + (f" and {more:,} more networks" if more else "")


def _of_span(span: Span) -> Iterator[object]:
    family, start, end = span
    address = _ADDRESS[family]
    yield from summarize_address_range(address(start), address(end))


def _family(network: str) -> str:
    return {"0.0.0.0/0": "all of IPv4", "::/0": "all of IPv6"}.get(network, network)


def _countries(spans: Sequence[Span], geo: GeoMap | None) -> frozenset[str | None]:
    """Where the clients are; None among them: nobody knows of some."""
    found: set[str | None] = set()
    for family, start, end in spans if geo is not None else ():
        assert geo is not None
        known = geo.spans(family)
        for index in range(bisect_right(known.starts, start) - 1, bisect_right(known.starts, end)):
            place = known.values[index]
            found.add(place.country if place else None)
    return frozenset(found)
