"""Who takes over what a site that is gone had: by the room that others have, so that no dead site drowns the next.

`weighted` spreads the share of the sites that are gone. With a known demand each living site gets of it in proportion
to what is left of its capacity beside its own share; where all rooms together do not suffice, they are filled and the
rest is everybody's by size. Where nobody knows the demand, the size alone counts. The demand is that of all sites
together: it does not change when clients move, so that the answer does not chase its own effect.

After an order (`priority`, `geo`, ...) the next site takes the clients whose first choice is gone while it has room,
and beyond 80 % of its capacity a falling share of them; the others go on down the order. Its own clients stay with it.

Sites without a capacity are as before: whoever has not said what a site carries gets the weights or the order alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil

from gslb.snapshot.types import Filter, Site, SiteName
from gslb.steering.shed import kept_ratio

__all__ = ["FAILOVER", "demand_per_s", "overflow_shares", "spread"]

FAILOVER = Filter("shed", low_ratio=0.8, high_ratio=1.0)
"""Between these loads a site takes fewer and fewer of another's clients; as wide a band as `shed` should have."""
_STEP_RATIO = 0.05
"""Demand is told in steps of this share of all capacity, rounded up: tables are not compiled anew for a breath."""


def demand_per_s(sites: Sequence[Site], loads: Mapping[SiteName, float]) -> float | None:
    """Requests a second of all `sites` together; None where nobody knows any. A site whose load is unknown (because it
    is dead, say) counts as idle: its clients are counted where they come now."""
    sized = [(site.capacity_per_s, loads.get(site.name)) for site in sites if site.capacity_per_s]
    whole = sum(capacity for capacity, _ in sized)
    if all(load is None for _, load in sized):
        return None
    step = whole * _STEP_RATIO
    return step * ceil(round(sum(capacity * (load or 0.0) for capacity, load in sized) / step, 6))


def spread(base: Sequence[float], capacity_per_s: Sequence[int], demand: float | None) -> tuple[float, ...]:
    """The shares of all clients that living sites get. `base` are their own (0 to 1, together less than 1 by what is
    gone), `demand` is in requests a second, of everybody. The result adds up to 1; nobody gets less than its own."""
    gone = 1.0 - sum(base)
    size = sum(capacity_per_s)
    by_size = [capacity / size for capacity in capacity_per_s]
    if not demand:
        return tuple(own + gone * part for own, part in zip(base, by_size, strict=True))
    rooms = [max(0.0, capacity - own * demand) for own, capacity in zip(base, capacity_per_s, strict=True)]
    room, need = sum(rooms), gone * demand
    if room >= need and room > 0:
        return tuple(own + gone * one / room for own, one in zip(base, rooms, strict=True))
    rest = need - room
    return tuple(own + (one + rest * part) / demand for own, one, part in zip(base, rooms, by_size, strict=True))


def overflow_shares(order: Sequence[Site], loads: Mapping[SiteName, float]) -> tuple[float, ...]:
    """Of the clients whose first choice is gone, the share that each site of `order` gets; together 1. A site that is
    full gets nobody while another has room; where all are full, the first takes them."""
    shares, left = [], 1.0
    for site in order:
        kept = left * kept_ratio(FAILOVER, loads.get(site.name) if site.capacity_per_s else None)
        shares.append(kept)
        left -= kept
    taken = sum(shares)
    if taken <= 0:
        return (1.0, *(0.0 for _ in order[1:]))
    return tuple(share / taken for share in shares)
