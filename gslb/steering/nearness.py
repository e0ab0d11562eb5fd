"""Which sites are near a client: by distance on the globe, or by measured latency. Ranks for the chain, no choice.

A rank is a small number for each site, in the order of the snapshot's sites; lower is nearer, equal is as near.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import asin, cos, inf, radians, sin, sqrt

from gslb.snapshot.networks import Place
from gslb.snapshot.types import Filter, Latencies, Site, SiteName

__all__ = ["distance_km", "geo_ranks", "geo_reason", "latency_ranks", "latency_reason"]

_EARTH_KM = 6371.0088
"""Mean radius (IUGG)."""


def distance_km(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Along a great circle between two (latitude, longitude) in degrees: the haversine formula, within 0.5 %."""
    lat1, lon1, lat2, lon2 = map(radians, (*one, *other))
    chord = sin((lat2 - lat1) / 2) ** 2 + cos(lat1) * cos(lat2) * sin((lon2 - lon1) / 2) ** 2
    return 2 * _EARTH_KM * asin(sqrt(min(1.0, chord)))


def geo_ranks(item: Filter, sites: Mapping[SiteName, Site], place: Place | None) -> tuple[int, ...]:
    """Sites that the rules name for the client's country (or else continent) first, in their order; then by distance
    times bias; sites without a location last. A database without coordinates tells by country alone."""
    if place is None:
        return (0,) * len(sites)
    named = _named(item, place)
    order = {site: index for index, site in enumerate(named)}
    return _ranks((order.get(name, len(named)), _distance(item, site, place)) for name, site in sites.items())


def latency_ranks(sites: Iterable[SiteName], measured: Latencies | None) -> tuple[int, ...]:
    """The quickest first; sites that nobody measured last."""
    known = dict(measured or ())
    return _ranks(known.get(site, inf) for site in sites)


def geo_reason(item: Filter, sites: Sequence[Site], place: Place) -> str:
    """Where the client is, and how far that is from `sites`."""
    where = place.country or place.continent or "a place without a country"
    named = _named(item, place)
    if named:
        return f"the client is in {where}, which is for {', '.join(named)}"
    if place.lat is None:
        return f"the client is in {where}; the database has no coordinates, so that the country decides"
    far = ", ".join(_far(item, site, place) for site in sites)
    return f"the client is in {where}: {far}"


def latency_reason(sites: Iterable[SiteName], measured: Latencies) -> str:
    """What was measured to `sites`."""
    known = dict(measured)
    return "measured: " + ", ".join(f"{site} {known[site]:g} ms" if site in known else f"{site} -" for site in sites)


def _ranks(keys: Iterable[object]) -> tuple[int, ...]:
    listed = list(keys)
    rank = {key: index for index, key in enumerate(sorted(set(listed)))}  # type: ignore[type-var] # all of one kind
    return tuple(rank[key] for key in listed)


def _named(item: Filter, place: Place) -> tuple[SiteName, ...]:
    return dict(item.countries).get(place.country or "") or dict(item.continents).get(place.continent or "") or ()


def _distance(item: Filter, site: Site, place: Place) -> float:
    if site.location is None:
        return inf
    if place.lat is None or place.lon is None:
        return 0.0 if site.location.country is not None and site.location.country == place.country else 1.0
    bias = dict(item.bias).get(site.name, 1.0)
    return distance_km((place.lat, place.lon), (site.location.lat, site.location.lon)) * bias


def _far(item: Filter, site: Site, place: Place) -> str:
    if site.location is None:
        return f"{site.name} has no location"
    bias = dict(item.bias).get(site.name, 1.0)
    km = _distance(item, site, place) / bias
    return f"{site.name} {km:,.0f} km" + (f" x {bias:g}" if bias != 1.0 else "")
