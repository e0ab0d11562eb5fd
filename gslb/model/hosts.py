"""What the hosts of apps are called: where each stands, its name at one site alone, and what points to it from outside.

Only what follows from a policy as it is written. Whether it may stay so is for `checks` to say.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from gslb.model.policy import App, Only, Policy, Weighted
from gslb.model.words import absolute

__all__ = ["NAME_LIMIT", "SiteHost", "aliases", "apexes", "site_hosts", "zone_of"]

NAME_LIMIT = 253
"""RFC 1035 section 2.3.4: 255 octets, without the length of the first label and the root."""
_LABEL_LIMIT = 63


class SiteHost(NamedTuple):
    """What `host` is called at `site` alone. `name` is None where DNS has no room for it."""

    host: str
    site: str
    name: str | None


def apexes(policy: Policy) -> frozenset[str]:
    """The names of all zones, without the last dot."""
    return frozenset(zone.name.removesuffix(".") for zone in (policy.zone, *policy.zones))


def zone_of(name: str, zones: Collection[str]) -> str | None:
    """The nearest of `zones` at or above `name`; None outside all of them."""
    above = name
    while above and above not in zones:
        above = above.partition(".")[2]
    return above or None


def site_hosts(policy: Policy, app: App) -> Iterator[SiteHost]:
    """`shop--dc.gslb.example.com` for the host `shop.gslb.example.com` and the site `dc`, and so on: every host in a
    zone, with every site that the chain may answer with. A host that is a zone itself has no label to put the site
    behind, and no such name."""
    zones = apexes(policy)
    restrictions = list(_restrictions(app))
    sites = [site for site in policy.sites if all(site in some for some in restrictions)]
    for host in (absolute(host, policy.zone.name) for host in app.hosts):
        if host in zones or zone_of(host, zones) is None or host.startswith("*"):
            continue
        label, _, rest = host.partition(".")
        for site in sites:
            first = f"{label}--{site}"
            fits = len(first) <= _LABEL_LIMIT and len(first) + 1 + len(rest) <= NAME_LIMIT
            yield SiteHost(host, site, f"{first}.{rest}" if fits else None)


def aliases(policy: Policy) -> Iterator[tuple[str, str]]:
    """Hosts outside all zones, each with the host of its app that it is to be a CNAME to in its own zone."""
    zones = apexes(policy)
    for app in policy.apps.values():
        hosts = [absolute(host, policy.zone.name) for host in app.hosts]
        target = next((host for host in hosts if zone_of(host, zones) and not host.startswith("*")), None)
        if target:
            yield from ((host, target) for host in hosts if host != "*" and not zone_of(host, zones))


def _restrictions(app: App) -> Iterator[Collection[str]]:
    """The sites that each filter of the chain leaves, of those that leave only what they name."""
    for item in app.steer or ():
        match item:
            case Only(only=named) | Weighted(weighted=named):
                yield named
