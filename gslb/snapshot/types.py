"""What the system runs on: frozen values that pass between the rooms. No behaviour beyond looking things up.

`Snapshot` is what shall be (compiled from an Intent); `LiveState` is what was observed; `Decision` is what steering
made of both for one client; `RouteCounts` is what an edge counted. Units stand last in names; `share_bp` is in basis
points, hundredths of a percent, so that shares are whole numbers that add up to 10,000.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NewType

from gslb.model.words import IpAddress
from gslb.snapshot.checks import CheckName, HealthCheck, NamedCheck
from gslb.snapshot.listening import BackendTls, ClientTls, Listening
from gslb.snapshot.networks import GeoMap, NetworkMap
from gslb.snapshot.routing import BackendName, Match, Mirror, Route, Share, Source, Users
from gslb.snapshot.standing import Approval, Failback, ForcedState, Guard, SiteName, SlowStart

__all__ = [
    "App",
    "AppName",
    "Approval",
    "Backend",
    "BackendName",
    "BackendTls",
    "Candidate",
    "ClientTls",
    "Decision",
    "Edge",
    "Endpoint",
    "Failback",
    "Filter",
    "FilterStep",
    "ForcedState",
    "Guard",
    "HealthCheck",
    "Https",
    "Latencies",
    "Listening",
    "LiveState",
    "Location",
    "Match",
    "Mirror",
    "Outcome",
    "Route",
    "RouteCounts",
    "RouteId",
    "Share",
    "Site",
    "SiteName",
    "SlowStart",
    "Snapshot",
    "Source",
    "Users",
    "Verdict",
    "VerdictWord",
    "Version",
    "Zone",
    "ZoneKey",
]

AppName = NewType("AppName", str)

WHOLE_BP = 10_000


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """Which of two snapshots is newer. `revision` is the policy revision and SOA serial (u32); `overrides` counts
    shifts and drains. Nobody ever applies an older version than it has."""

    revision: int
    overrides: int

    def __str__(self) -> str:
        return f"{self.revision}.{self.overrides}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`host` is an IP address (v6 without brackets) or a DNS name."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Backend:
    """A service of an app. `endpoints` holds only sites that have at least one, in policy order of the sites.
    `via_edge`: the edges of other sites reach it through the peer addresses of the edges beside it."""

    name: BackendName
    check: HealthCheck | None
    endpoints: Mapping[SiteName, tuple[Endpoint, ...]]
    via_edge: bool = False
    tls: BackendTls | None = None
    http2: bool = False
    host: str | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """One step of a chain. Which fields count depends on `kind`; `sites` for only, priority; `weights` for weighted,
    with `trickle_ratio`, what each site of weight 0 gets while others have weight; `bias` (times the distance) and the
    sites for countries and continents for geo; the marks for shed, as shares of a site's capacity; the threshold for
    healthy, as share of a site's addresses."""

    kind: Literal["healthy", "networks", "geo", "latency", "only", "priority", "weighted", "first", "shed"]
    sites: tuple[SiteName, ...] = ()
    weights: tuple[tuple[SiteName, float], ...] = ()
    by: Literal["window", "client", "answer"] = "window"
    count: int = 0
    bias: tuple[tuple[SiteName, float], ...] = ()
    countries: tuple[tuple[str, tuple[SiteName, ...]], ...] = ()
    continents: tuple[tuple[str, tuple[SiteName, ...]], ...] = ()
    low_ratio: float = 0.0
    high_ratio: float = 0.0
    threshold_ratio: float = 0.0
    trickle_ratio: float = 0.0


@dataclass(frozen=True, slots=True)
class Https:
    """What ends TLS for an app: the protocols that it speaks (ALPN ids, at least one), and where."""

    alpn: tuple[str, ...]
    port: int


@dataclass(frozen=True, slots=True)
class App:
    """`hosts` are lower-case absolute names without the last dot, `site_hosts` such names for one site, whatever its
    health. `needed` are the backends that take a site out when they cannot be used from it (a share of half or more of
    some route). `no_entry` sites are kept out of DNS, `no_local` ones send what still arrives to others.
    A TTL is `ttl_s` where health is stable, and no less than `ttl_min_s`; where they are equal it is fixed. Hosts with
    `https` have HTTPS records. `ready` are the named checks without which a site cannot serve the app."""

    name: AppName
    hosts: tuple[str, ...]
    chain: tuple[Filter, ...]
    failover: Literal["auto", "manual"]
    mixed_families: bool
    ttl_min_s: int
    ttl_s: int
    backends: Mapping[BackendName, Backend]
    routes: tuple[Route, ...]
    needed: tuple[BackendName, ...]
    no_entry: tuple[SiteName, ...]
    no_local: tuple[SiteName, ...]
    site_hosts: Mapping[str, SiteName] = field(default_factory=dict)
    https: Https | None = None
    tls: ClientTls | None = None
    ports: tuple[int, ...] = ()
    ready: Mapping[SiteName, tuple[CheckName, ...]] = field(default_factory=dict)
    failback: Failback = field(default_factory=Failback)
    forced: tuple[ForcedState, ...] = ()
    approvals: tuple[Approval, ...] = ()
    slow_starts: tuple[SlowStart, ...] = ()

    def forced_state(self, site: SiteName) -> ForcedState | None:
        """What a person wants to be believed of `site`."""
        return next((forced for forced in self.forced if forced.site == site), None)

    @property
    def own_host(self) -> str:
        """A host to ask this app by; of a wildcard some name below it."""
        host = next((host for host in self.hosts if not host.startswith("*")), self.hosts[0])
        return host.replace("*", "any-name")


@dataclass(frozen=True, slots=True)
class Edge:
    public: tuple[IpAddress, ...]
    bind: tuple[IpAddress, ...]
    peer: Endpoint | None


@dataclass(frozen=True, slots=True)
class Location:
    """Degrees; `country` as ISO 3166 writes it."""

    country: str | None
    lat: float
    lon: float


Latencies = tuple[tuple[SiteName, float], ...]
"""Milliseconds to sites, as they were measured from one network."""


@dataclass(frozen=True, slots=True)
class Site:
    """`drained` as a whole, for every app; from `closing_wall_s` (Unix seconds; None: never) on its edge closes what is
    still open. `home` has the prefix length of the longest network of the site that a client is in. `capacity_per_s`
    counts requests, mirrored copies included; None: nobody has said."""

    name: SiteName
    edges: tuple[Edge, ...]
    http_port: int
    home: NetworkMap[int]
    drained: bool
    location: Location | None = None
    capacity_per_s: int | None = None
    closing_wall_s: float | None = None
    listening: Listening = field(default_factory=Listening)

    def port_of(self, app: App) -> int:
        """Where probes come to `app`."""
        if app.ports:
            return next((port for port in app.ports if port in self.listening.also), self.http_port)
        return self.listening.https_port if self.serves_tls(app) and self.listening.https_port else self.http_port

    def serves_tls(self, app: App) -> bool:
        """Whether clients come to `app` by https here."""
        return app.tls is not None and self.listening.https_port is not None and not app.ports


@dataclass(frozen=True, slots=True)
class ZoneKey:
    """A DNSSEC key. A `ksk` signs the DNSKEY, CDS and CDNSKEY records, a `zsk` everything else.

    `algorithm` is a number of RFC 8624 (13 or 15), `public` the key as a DNSKEY record holds it, `private` the private
    key, sealed under the installation's secret. `published`: it stands in the DNSKEY records; `signs`: it makes
    signatures; `announced`: CDS and CDNSKEY ask the parent for its DS record.
    """

    role: Literal["ksk", "zsk"]
    algorithm: int
    public: bytes
    private: str = field(repr=False)
    published: bool
    signs: bool
    announced: bool


@dataclass(frozen=True, slots=True)
class Zone:
    """Names are lower-case, absolute, without the last dot. Nameservers outside the zone have no addresses here.
    `records` are the static records, one a line, in the form of RFC 3597 section 5: text, because a hundred thousand of
    them are carried about far more often than they are read. A zone with `keys` is signed."""

    name: str
    nameservers: tuple[tuple[str, tuple[IpAddress, ...]], ...]
    contact: str
    ttl_s: int
    records: str = ""
    keys: tuple[ZoneKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that DNS and edges need. `digest` is the hash of the content without the version. `zone` is the one
    that bare hosts stand in, `zones` are the others."""

    version: Version
    digest: str
    environment: str
    zone: Zone
    sites: Mapping[SiteName, Site]
    apps: Mapping[AppName, App]
    zones: tuple[Zone, ...] = ()
    latency: NetworkMap[Latencies] = field(default_factory=NetworkMap)
    checks: Mapping[CheckName, NamedCheck] = field(default_factory=dict)
    guard: Guard = field(default_factory=Guard)


# Observations ---------------------------------------------------------------------------------------------------------


VerdictWord = Literal["up", "down", "unknown", "held"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is believed of one app at one edge address. `since_wall_s` is when the state last changed, `flip_s` how many
    seconds it lasts at least: interval x checks that must still contradict it.

    `held`: it looks dead, and is answered all the same, for the reason given. `seen` is what the places that look agree
    on, where that is not the state itself: `up` of one that is kept out, `down` of one that is kept in, `disputed`
    where they do not agree. `waits`: only a person can end it."""

    state: VerdictWord
    reason: str
    since_wall_s: float
    flip_s: float = 0.0
    seen: Literal["up", "down", "unknown", "disputed", ""] = ""
    waits: bool = False

    @property
    def is_dead(self) -> bool:
        """Does nobody doubt that it is dead, whether or not it is still answered?"""
        return self.state == "down" or (self.state == "held" and self.seen == "down")


@dataclass(frozen=True, slots=True)
class LiveState:
    """Verdicts by app and public edge address. What nobody observed is unknown, and counts as up: lack of evidence
    takes nobody out. `counter` rises with every verdict. `geo` is the database of places; None: there is none. `loads`
    are the shares of the sites' capacity that are used (1.0: full; more is possible); what is missing nobody knows.
    `ramps` are the shares (0 to 1) that sites have of what they would have while they come back slowly."""

    counter: int = 0
    verdicts: Mapping[tuple[AppName, IpAddress], Verdict] = field(default_factory=dict)
    geo: GeoMap | None = None
    loads: Mapping[SiteName, float] = field(default_factory=dict)
    ramps: Mapping[tuple[AppName, SiteName], float] = field(default_factory=dict)

    def is_down(self, app: AppName, address: IpAddress) -> bool:
        verdict = self.verdicts.get((app, address))
        return verdict is not None and verdict.state == "down"

    def is_dead(self, app: AppName, address: IpAddress) -> bool:
        """As Verdict.is_dead; nobody doubts it."""
        verdict = self.verdicts.get((app, address))
        return verdict is not None and verdict.is_dead

    def flip_s(self, app: AppName, address: IpAddress) -> float:
        """How long (seconds) the verdict lasts at least; 0 where there is none."""
        verdict = self.verdicts.get((app, address))
        return verdict.flip_s if verdict is not None else 0.0


# Steering -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Candidate:
    """A site still in the running. Lower `rank` is better; picks look at the best rank only. `addresses` are what would
    be handed out: the live ones, or all where none lives."""

    site: SiteName
    addresses: tuple[IpAddress, ...]
    rank: int = 0
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class FilterStep:
    """What one filter did and why, for explain, logs and traces."""

    filter: str
    kept: tuple[SiteName, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """One possible answer with its weight among its siblings. Weights are positive and add up to 1. `drawn_as` is what
    stands for it in draws; empty: its sites."""

    sites: tuple[SiteName, ...]
    addresses: tuple[IpAddress, ...]
    weight: float
    drawn_as: tuple[SiteName, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """What one class of clients may be told. No outcomes: NODATA (only `only` can do that).

    `draw` says how one of several outcomes is chosen. `client_bits` is the prefix length of the client's address that
    the decision depended on (0: none); ECS scope. `ttl_s` is how long the answer may be kept, `ttl_reason` says why."""

    outcomes: tuple[Outcome, ...]
    draw: Literal["window", "client", "answer"]
    client_bits: int
    steps: tuple[FilterStep, ...]
    ttl_s: int
    ttl_reason: str


# Counting -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, order=True)
class RouteId:
    app: AppName
    route: str

    def __str__(self) -> str:
        return f"{self.app}/{self.route}"


@dataclass(frozen=True, slots=True)
class RouteCounts:
    """What one edge counted for one route: requests by backend since the split last changed; mirrored requests sent,
    and not sent by reason, since the edge role started."""

    requests: Mapping[BackendName, int]
    mirrored: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
