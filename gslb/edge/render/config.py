"""The rendered values and the names in them. No Envoy semantics: those stand beside the resource they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gslb.snapshot.types import AppName, BackendName, RouteId, Share, SiteName

__all__ = [
    "CAPACITY_FILTER",
    "CAPACITY_STATS",
    "COMPARER",
    "COMPARER_LOG",
    "COMPARE_RUNTIME",
    "COPIED",
    "LOG_SOCKET",
    "MIRROR_RUNTIME",
    "PEER_HOST",
    "PROBE_HEADER",
    "ROUTES_NAME",
    "RUNTIME_MARK",
    "RUNTIME_NAME",
    "SNI_HEADER",
    "SPLIT_RUNTIME",
    "STAT_PREFIX",
    "AppParts",
    "EdgeConfig",
    "Peering",
    "Resource",
    "Skip",
    "StatsIndex",
    "Stores",
    "alias_name",
    "auth_name",
    "compared_name",
    "duration",
    "elsewhere_name",
    "hop_stats_prefix",
    "leaf_name",
    "noise_name",
    "route_stats",
    "routes_name",
    "shadow_name",
    "skip_prefix",
    "variant_name",
]

Resource = Mapping[str, Any]
"""A v3 resource in the JSON form of protobuf."""

ROUTES_NAME = "edge"
"""The one RouteConfiguration that all listeners of a site share."""

STAT_PREFIX = "edge"
CAPACITY_FILTER = "gslb.capacity"
CAPACITY_STATS = "capacity"
RUNTIME_NAME = "shares"
"""The layer of Envoy's runtime that comes from a file of its own."""

RUNTIME_MARK = "gslb.mark"
"""The runtime key of a digest of all the others in that layer."""

SPLIT_RUNTIME = "gslb.split"
"""Runtime keys `gslb.split.SHARES.APP/ROUTE/BACKEND` (a weight) override one side of a split; see `shares`."""

MIRROR_RUNTIME = "gslb.mirror"
"""Runtime keys `gslb.mirror.APP.ROUTE.INDEX` (a FractionalPercent; a whole number is in percent) override a mirror."""

COMPARE_RUNTIME = "gslb.compare"
"""Runtime keys `gslb.compare.APP.ROUTE.INDEX` (numerator of a million) override what is sampled, likewise."""

COMPARER, COMPARER_LOG = "~comparer", "~comparer-log"
"""The clusters of the comparer. No app has such a name."""
COPIED = "~copied"
"""Ends the name of the Envoy routes whose requests are mirrored for sure, where a route compares."""
LOG_SOCKET = "-log"
"""Ends the name of the socket on which the comparer takes access logs."""

PEER_HOST = "~peer"
"""The virtual host of what other edges hand over. No app has such a name."""

SNI_HEADER = "x-gslb-sni"
"""The server name that a client asked for, where more than one certificate is served. Taken from what clients send,
and never sent on."""

PROBE_HEADER = "x-gslb-probe"
"""What a front-door probe asks about: a backend, or `edge`. Removed before a backend sees it."""


def routes_name(port: int | None = None) -> str:
    """The RouteConfiguration of an `also` port; None: of the http and https ports."""
    return ROUTES_NAME if port is None else f"{ROUTES_NAME}-{port}"


@dataclass(frozen=True, slots=True)
class Stores:
    """Where certificates lie (absolute): `secrets` is what the edge role hands to Envoy, a folder per pair of
    certificate and key; `certificates` what operators put on the machine; `system_ca` whom the machine trusts.
    `comparer` is the socket of the machine's comparer."""

    secrets: str = "/var/lib/gslb/tls"
    certificates: str = "/etc/gslb/certificates"
    system_ca: str = "/etc/ssl/certs/ca-certificates.crt"
    comparer: str = "/run/gslb/comparer.sock"

    def secret(self, name: str) -> str:
        """The file that holds the secret `name`."""
        return f"{self.secrets}/{name}/secret.json"


@dataclass(frozen=True, slots=True)
class Peering:
    """What an edge needs to talk with others: the trust domain that they share, and the files (absolute) that name its
    certificate and the authority of theirs, as secrets `identity` and `peers`, and those who come in no more, as
    `peers.removed` makes it."""

    trust_domain: str
    identity_file: str
    authority_file: str
    removed_file: str


@dataclass(frozen=True, slots=True)
class Skip:
    """What it means when the route of a statistic took a request: `mirrors` mirrors of `route` did not get it."""

    route: RouteId
    reason: str
    mirrors: int


@dataclass(frozen=True, slots=True)
class StatsIndex:
    """What Envoy's counters mean. Keys: name of an alias cluster, of a shadow cluster, prefix of a route's counters.
    `hops` are what was answered for other edges; `stopped` the routes whose mirrors a person has stopped."""

    aliases: Mapping[str, tuple[RouteId, BackendName]]
    shadows: Mapping[str, tuple[RouteId, int]]
    skips: Mapping[str, Skip]
    hops: Mapping[str, tuple[AppName, BackendName]] = field(default_factory=dict)
    stopped: frozenset[RouteId] = frozenset()


@dataclass(frozen=True, slots=True)
class AppParts:
    """What one app brings: `hosts` are its virtual hosts, by `also` port; None: at the http and https ports."""

    clusters: tuple[Resource, ...]
    hosts: Mapping[int | None, Resource]
    runtime: Mapping[str, Any]
    splits: Mapping[RouteId, tuple[Share, ...]]
    index: StatsIndex


@dataclass(frozen=True, slots=True)
class EdgeConfig:
    """Everything that the Envoy of one site serves. `closing`: what was open when this began is closed. `more_routes`
    are those of `also` ports, by name; `runtime` the shares that are not the policy's, by key; `secrets` the hosts by
    the certificate that clients see; `apps` what all this was put together from. Listeners have no routes yet: where
    those come from (a watched file, or inline for validation) is decided by `discovery` and `static_bootstrap`."""

    site: SiteName
    version: str
    drained: bool
    closing: bool
    listeners: tuple[Resource, ...]
    clusters: tuple[Resource, ...]
    routes: Resource
    more_routes: Mapping[str, Resource]
    runtime: Mapping[str, Any]
    secrets: Mapping[str, tuple[str, ...]]
    splits: Mapping[RouteId, tuple[Share, ...]]
    index: StatsIndex
    apps: Mapping[AppName, AppParts]


def leaf_name(app: AppName, backend: BackendName, site: SiteName) -> str:
    """The pool of a backend's endpoints at one site. Names of the policy hold none of `/`, `@`, `~`."""
    return f"{app}/{backend}@{site}"


def elsewhere_name(app: AppName, backend: BackendName) -> str:
    """All pools of a backend, for front-door probes at a site that has none itself."""
    return f"{app}/{backend}@*"


def alias_name(route: RouteId, backend: BackendName) -> str:
    """One side of one route's split: counters of its own over shared pools."""
    return f"{route}/{backend}"


def variant_name(route: RouteId, backend: BackendName) -> str:
    """One side of a split for testers who picked it: they must not count in the split."""
    return f"{route}/{backend}~variant"


def auth_name(app: AppName, backend: BackendName) -> str:
    """All pools of a backend that is asked about requests."""
    return f"{app}/{backend}~auth"


def shadow_name(route: RouteId, index: int, backend: BackendName) -> str:
    return f"{route}/{backend}~mirror{index}"


def compared_name(route: RouteId, index: int, backend: BackendName) -> str:
    """The pool of those copies of a mirror whose answers are compared."""
    return f"{route}/{backend}~compared{index}"


def noise_name(route: RouteId, index: int, backend: BackendName) -> str:
    """The pool of the second copies to the old side of a mirror that is compared."""
    return f"{route}/{backend}~noise{index}"


def skip_prefix(route: str, reason: str, mirrors: int) -> str:
    return f"{route}~{reason}~{mirrors}"


def hop_stats_prefix(app: AppName, backend: BackendName) -> str:
    return f"{app}/{backend}"


def route_stats(host: str, stat_prefix: str) -> str:
    """How Envoy names the counters of a route with a `stat_prefix` (Route.stat_prefix) in a virtual host."""
    return f"vhost.{host}.route.{stat_prefix}"


def duration(seconds: float) -> str:
    """google.protobuf.Duration in JSON, to the millisecond."""
    return f"{seconds:.3f}s"
