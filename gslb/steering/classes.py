"""Classes of clients: ranges of addresses of which a chain can tell no two apart, so that one decision serves each.

What a filter takes of an address depends on the policy and the databases, never on health: classes are made once, and
outlive verdicts and overrides.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from gslb.snapshot.networks import GeoMap, Spans, overlay
from gslb.snapshot.types import Filter, Snapshot
from gslb.steering.nearness import geo_ranks, latency_ranks

__all__ = ["client_classes", "telling_filters"]

_TELLING = ("networks", "geo", "latency")


def telling_filters(chain: tuple[Filter, ...]) -> tuple[Filter, ...]:
    """The filters of a chain that look at the client's address. Chains with the same ones have the same classes."""
    return tuple(item for item in chain if item.kind in _TELLING)


def client_classes(
    snapshot: Snapshot, geo: GeoMap | None, filters: tuple[Filter, ...], version: int
) -> Spans[Hashable]:
    """The clients of one address family (4 or 6). Spans with equal values are one class, wherever they lie."""
    return overlay([layer for item in filters for layer in _layers(snapshot, geo, item, version)])


def _layers(snapshot: Snapshot, geo: GeoMap | None, item: Filter, version: int) -> Iterator[Spans[Hashable]]:
    if item.kind == "networks":
        for site in snapshot.sites.values():
            yield site.home.spans(version)
    elif item.kind == "latency":
        yield snapshot.latency.spans(version).mapped(lambda measured: latency_ranks(snapshot.sites, measured))
    elif geo is not None:
        yield geo.spans(version).mapped(lambda place: geo_ranks(item, snapshot.sites, place))
