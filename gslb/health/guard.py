"""The guard rail: how much of an app automation may take out of its answers within a time. Pure.

The first site within the time may always go: that is what failover is for. More may go while what has gone, together
with it, is no larger a share of the app's capacity than the policy lets. A bug in a check that is published everywhere
thus takes a part, not the whole, before somebody has looked; what must wait goes when the time is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gslb.model.words import IpAddress
from gslb.snapshot.types import App, AppName, Guard, SiteName, Snapshot

__all__ = ["GuardRail", "site_shares"]

_EPSILON = 1e-9


def site_shares(snapshot: Snapshot, app: App) -> Mapping[SiteName, float]:
    """What each site that the app is answered with carries of it, together 1: by capacity where all have one, else
    alike."""
    named = {site for item in app.chain if item.kind == "weighted" for site, _ in item.weights}
    sites = [site for name, site in snapshot.sites.items() if name in named or not named]
    sizes = [float(site.capacity_per_s or 0) for site in sites]
    if not all(sizes):
        sizes = [1.0] * len(sites)
    total = sum(sizes)
    return {site.name: size / total for site, size in zip(sites, sizes, strict=True)}


@dataclass(frozen=True, slots=True)
class _Gone:
    site: SiteName
    address: IpAddress
    share: float
    mono_s: float


class GuardRail:
    """What automation has taken out of each app lately."""

    def __init__(self) -> None:
        self._gone: dict[AppName, list[_Gone]] = {}

    def may_go(self, app: AppName, site: SiteName, share: float, guard: Guard, mono_s: float) -> bool:
        """May `share` (0 to 1) of the app, all of it at `site`, go now?"""
        kept = [gone for gone in self._gone.get(app, ()) if mono_s - gone.mono_s < guard.within_s]
        self._gone[app] = kept
        others = [gone.share for gone in kept if gone.site != site]
        return not others or sum(others) + share <= guard.most_ratio + _EPSILON

    def has_gone(self, app: AppName, site: SiteName, address: IpAddress, share: float, mono_s: float) -> None:
        """An address was taken out, which carried `share` of the app."""
        kept = [gone for gone in self._gone.get(app, ()) if gone.address != address]
        self._gone[app] = [*kept, _Gone(site, address, share, mono_s)]
