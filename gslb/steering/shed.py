"""`shed`: the first site of the order, and the next ones for what it cannot carry. Shares alone; no load is measured.

Below `low` a site keeps everybody who comes to it, from `high` on nobody, and between them a share on a straight line.
Whom a site does not keep comes to the next of the order. Whom nobody keeps stays with the first: DNS never refuses, and
moving clients helps only where there is room.

A load that rises takes clients from its own site alone, and gives it none; when it falls the same ones come back,
because they are drawn by a hash of their prefix. With two sites in play just the share that must moves; with more, at
most twice as much (Moulton and Jiang, Maximally consistent sampling, 2018).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gslb.snapshot.types import Filter, Site, SiteName

__all__ = ["is_shedding", "kept_ratio", "shed_reason", "shed_shares"]


def kept_ratio(item: Filter, load: float | None) -> float:
    """The share (0 to 1) of those who come to it that a site keeps at this `load` (1.0: full; None: nobody knows it,
    or the site has no capacity, and it keeps all)."""
    if load is None:
        return 1.0
    return min(1.0, max(0.0, (item.high_ratio - load) / (item.high_ratio - item.low_ratio)))


def shed_shares(item: Filter, order: Sequence[Site], loads: Mapping[SiteName, float]) -> tuple[float, ...]:
    """Of all clients, the share that each site of `order` gets; together 1, where there is a site at all."""
    shares, left = [], 1.0
    for site in order:
        kept = left * kept_ratio(item, _load(site, loads))
        shares.append(kept)
        left -= kept
    return tuple(share + left * (place == 0) for place, share in enumerate(shares))


def is_shedding(item: Filter, order: Sequence[Site], loads: Mapping[SiteName, float]) -> bool:
    """Whether the first site of `order` keeps less than all."""
    return any(kept_ratio(item, _load(site, loads)) < 1 for site in order[:1])


def shed_reason(item: Filter, order: Sequence[Site], loads: Mapping[SiteName, float]) -> str:
    """What each site of `order` keeps, and why."""
    said = ", ".join(_said(item, site, _load(site, loads)) for site in order)
    full = all(kept_ratio(item, _load(site, loads)) < 1 for site in order)
    rest = f"; whom nobody keeps stays with {order[0].name}" if full and order else ""
    return f"shed from {100 * item.low_ratio:g} % to {100 * item.high_ratio:g} %: {said or 'nobody is left'}{rest}"


def _load(site: Site, loads: Mapping[SiteName, float]) -> float | None:
    return loads.get(site.name) if site.capacity_per_s else None


def _said(item: Filter, site: Site, load: float | None) -> str:
    if site.capacity_per_s is None:
        return f"{site.name} has no capacity and keeps all"
    if load is None:
        return f"nobody knows the load of {site.name}, which keeps all"
    kept = kept_ratio(item, load)
    return f"{site.name} at {100 * load:.4g} % keeps {'all' if kept == 1 else f'{100 * kept:.3g} %'}"
