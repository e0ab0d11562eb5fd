"""What pools may come to answer: other verdicts, thought through before they happen, so that their answers are signed.

Every site down by itself, all of them, and all but one where an app answers with several at once: what else may happen
is signed when it does. Nothing is signed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from gslb.dns.compose import recompile
from gslb.dns.dnssec.seal import pool_bodies
from gslb.dns.tables import Body, Tables
from gslb.model.words import IpAddress
from gslb.snapshot.types import AppName, LiveState, Site, Snapshot, Verdict

__all__ = ["bodies_ahead"]

_DOWN = Verdict("down", "supposed", 0.0)


def bodies_ahead(tables: Tables, snapshot: Snapshot) -> dict[int, dict[int, Body]]:
    """By place of a pool and mark, what the pools of `tables`, composed of `snapshot`, would answer."""
    found: dict[int, dict[int, Body]] = {}
    for live in _supposed(tables.live, snapshot):
        for place, bodies in pool_bodies(recompile(tables, snapshot, live)).items():
            found.setdefault(place, {}).update(bodies)
    return found


def _supposed(live: LiveState, snapshot: Snapshot) -> Iterator[LiveState]:
    sites = tuple(snapshot.sites.values())
    several = any(item.kind == "first" and item.count > 1 for app in snapshot.apps.values() for item in app.chain)
    alone = [tuple(site for site in sites if site is not only) for only in sites] if several else []
    for down in ((), *((site,) for site in sites), *alone, sites):
        yield LiveState(live.counter, _verdicts(snapshot, down), live.geo)


def _verdicts(snapshot: Snapshot, down: Iterable[Site]) -> Mapping[tuple[AppName, IpAddress], Verdict]:
    addresses = [address for site in down for edge in site.edges for address in edge.public]
    return {(app, address): _DOWN for app in snapshot.apps for address in addresses}
