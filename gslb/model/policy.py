"""What an operator may write, as frozen models. Reading files, positions and cross-checks live beside this module.

Attribute names are the words of the policy file. Durations are seconds, percentages 0 to 100 with two decimals.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, StrictBool, Tag

from gslb.model.base import Model, OneOrMore, as_list
from gslb.model.check_words import Check, NamedCheck
from gslb.model.listening import BackendTls, ClientTls, Listen
from gslb.model.routing import SAFE_METHODS, Match, Mirror, Route
from gslb.model.words import Address, DnsName, EndpointText, HostName, Mailbox, Name, Network, Percent, Port, Seconds

__all__ = [
    "SAFE_METHODS",
    "App",
    "Backend",
    "BackendTls",
    "Check",
    "ClientTls",
    "Dnssec",
    "Edge",
    "Failback",
    "First",
    "Geo",
    "GeoRules",
    "Guard",
    "Healthy",
    "Https",
    "Listen",
    "Location",
    "Marks",
    "Match",
    "Mirror",
    "Only",
    "Policy",
    "Priority",
    "Route",
    "Shed",
    "Site",
    "SteerFilter",
    "Threshold",
    "TtlBounds",
    "Weighted",
    "Zone",
]


_AddressList = Annotated[tuple[Address, ...], OneOrMore]
_HostList = Annotated[tuple[HostName, ...], OneOrMore]
_EndpointList = tuple[EndpointText, ...]
Addresses = Annotated[_AddressList, BeforeValidator(as_list, json_schema_input_type=Address | _AddressList)]
Hosts = Annotated[_HostList, BeforeValidator(as_list, json_schema_input_type=HostName | _HostList)]
_AlpnId = Annotated[str, Field(pattern=r"^[!-~]{1,255}$")]
_AlpnList = Annotated[tuple[_AlpnId, ...], OneOrMore, Field(max_length=16)]
AlpnIds = Annotated[_AlpnList, BeforeValidator(as_list, json_schema_input_type=_AlpnId | _AlpnList)]
Endpoints = Annotated[_EndpointList, BeforeValidator(as_list, json_schema_input_type=EndpointText | _EndpointList)]
ServiceName = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9._*-]+(/[A-Za-z0-9._-]+)?(@[A-Za-z0-9._-]+)?(:[0-9]+)?$", max_length=253)
]
Weight = Annotated[float, Field(ge=0, le=1_000_000, strict=True)]
Latitude = Annotated[float, Field(ge=-90, le=90, strict=True)]
Longitude = Annotated[float, Field(ge=-180, le=180, strict=True)]


_TtlSeconds = Annotated[Seconds, Field(ge=1, le=86400)]


class TtlBounds(Model):
    """A TTL that ends when health may next change, within these bounds."""

    min: _TtlSeconds
    max: _TtlSeconds


Ttl = Annotated[
    Annotated[_TtlSeconds, Tag("duration")] | Annotated[TtlBounds, Tag("bounds")],
    Discriminator(lambda value: "bounds" if isinstance(value, dict | TtlBounds) else "duration"),
]


class Dnssec(Model):
    """How a zone is signed."""

    algorithm: Literal["ecdsa-p256", "ed25519"] = "ecdsa-p256"
    zsk_lifetime: Annotated[Seconds, Field(ge=7 * 86400)] | None = Field(
        None, description="roll the zone-signing key by itself when it is older; default: never"
    )


SignedHow = Annotated[
    Annotated[StrictBool, Tag("switch")] | Annotated[Dnssec, Tag("how")],
    Discriminator(lambda value: "how" if isinstance(value, dict | Dnssec) else "switch"),
]


class Zone(Model):
    """A delegated zone that gslb answers for. `records` names a file as written; the reader puts the records of that
    file in its place, one a line, so that a policy is whole without its folder."""

    name: DnsName
    nameservers: Mapping[DnsName, Addresses] = Field(min_length=1, description="relative names get glue in the zone")
    contact: Mailbox | None = Field(None, description="mailbox of the SOA record; default hostmaster in the zone")
    ttl: Ttl = Field(10.0, description="how long resolvers may keep an answer")
    records: str | None = Field(None, description="a standard zone file beside the policy, such as static.zone")
    dnssec: SignedHow = Field(False, description="true: sign it; keys are made when it is first signed")

    @property
    def signing(self) -> Dnssec | None:
        """How it is signed; None: it is not."""
        return (Dnssec() if self.dnssec else None) if isinstance(self.dnssec, bool) else self.dnssec


class Edge(Model):
    """One edge of a site: an Envoy and its addresses."""

    public: Addresses = Field(description="what DNS hands out")
    bind: Addresses | None = Field(None, description="what Envoy binds; default: public")
    peer: EndpointText | None = Field(
        None, description="where other edges reach it, over mutual TLS; used by backends with via: edge"
    )

    @property
    def bound(self) -> tuple[Any, ...]:
        """The addresses that Envoy binds."""
        return self.bind or self.public


class Location(Model):
    """Where a site stands."""

    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = None
    lat: Latitude
    lon: Longitude


class Site(Model):
    """A place that serves: a data centre or a cloud region."""

    edges: tuple[Edge, ...] = Field(min_length=1)
    listen: Listen = Listen()
    location: Location | None = None
    networks: tuple[Network, ...] = Field((), description="clients that belong to this site")
    capacity: Annotated[int, Field(gt=0, strict=True)] | None = Field(
        None, description="requests per second that its edges sustain, mirrored copies included"
    )


class Threshold(Model):
    """How many of a site's addresses must live."""

    threshold: Percent = Field(
        0.0, description="percent of a site's addresses; with fewer alive the site counts as down. 0: one is enough"
    )


class Healthy(Model):
    """Leave out sites that are down."""

    healthy: Threshold


class Only(Model):
    """Restrict to these sites, whatever happens (residency): with none of them the answer is NODATA."""

    only: tuple[Name, ...] = Field(min_length=1)


class Priority(Model):
    """Order the sites: the first living one serves."""

    priority: tuple[Name, ...] = Field(min_length=1)


class Weighted(Model):
    """Pick one site by weight; weight 0 is standby, used when no site with weight is up."""

    weighted: Mapping[Name, Weight] = Field(min_length=1)
    by: Literal["window", "client", "answer"] = "window"
    trickle: Annotated[Percent, Field(gt=0, le=10)] | None = Field(
        None, description="percent of the clients that each standby site gets meanwhile, to keep it warm"
    )


class First(Model):
    """Pick the first n sites of the order."""

    first: Annotated[int, Field(ge=1, le=32, strict=True)]


_Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
_Continent = Literal["AF", "AN", "AS", "EU", "NA", "OC", "SA"]
_SiteList = Annotated[tuple[Name, ...], OneOrMore]
_CheckList = Annotated[tuple[Name, ...], OneOrMore, Field(max_length=64)]
Checks = Annotated[_CheckList, BeforeValidator(as_list, json_schema_input_type=Name | _CheckList)]
_Sites = Annotated[_SiteList, BeforeValidator(as_list, json_schema_input_type=Name | _SiteList)]


class GeoRules(Model):
    """Exceptions from distance."""

    bias: Mapping[Name, Annotated[float, Field(ge=0.01, le=100, strict=True)]] = Field(
        {}, description="by site: its distance counts times this"
    )
    countries: Mapping[_Country, _Sites] = Field({}, description="sites for the clients of a country, best first")
    continents: Mapping[_Continent, _Sites] = Field({}, description="sites for the clients of a continent, best first")


class Geo(Model):
    """Order the sites: the nearest first."""

    geo: GeoRules


class Marks(Model):
    """Shares of a site's capacity: from `low` on it sheds, at `high` it keeps nobody."""

    low: Percent = 80.0
    high: Percent = 95.0


class Shed(Model):
    """Pick the first site of the order, and the next ones for what it cannot carry."""

    shed: Marks


_FILTERS = ("healthy", "only", "geo", "priority", "weighted", "first", "shed")


def _filter_tag(value: Any) -> str | None:
    if isinstance(value, str):
        return "word"
    keys = value if isinstance(value, dict) else type(value).model_fields if isinstance(value, Model) else ()
    return next((key for key in keys if key in _FILTERS), None)


SteerFilter = Annotated[
    Annotated[Literal["healthy", "networks", "geo", "latency", "shed"], Tag("word")]
    | Annotated[Healthy, Tag("healthy")]
    | Annotated[Only, Tag("only")]
    | Annotated[Geo, Tag("geo")]
    | Annotated[Priority, Tag("priority")]
    | Annotated[Weighted, Tag("weighted")]
    | Annotated[First, Tag("first")]
    | Annotated[Shed, Tag("shed")],
    Discriminator(
        _filter_tag,
        custom_error_type="steer_filter",
        custom_error_message="not a filter; write one of healthy, networks, geo, latency, only: [SITE], "
        "priority: [SITE], weighted: {SITE: WEIGHT}, first: N, shed",
    ),
]


class Backend(Model):
    """A service behind the edges: a check, and per site the endpoints (`SITE: [HOST:PORT, ...]`)."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Endpoints]

    check: Check | None = None
    via: Literal["direct", "edge"] = Field(
        "direct", description="edge: other sites reach it through the peer address of the edge beside it"
    )
    tls: BackendTls | None = Field(None, description="its endpoints speak TLS")
    protocol: Literal["http1", "http2"] = Field("http1", description="http2: also what gRPC needs (h2c without tls)")
    host: DnsName | None = Field(None, description="the Host that it sees; default: the client's")

    @property
    def endpoints(self) -> Mapping[str, tuple[str, ...]]:
        """Site name to endpoints, in the order they were written."""
        return self.__pydantic_extra__


class Https(Model):
    """What ends TLS in front of an app's edges. It is published as HTTPS record: browsers then come by https only."""

    alpn: AlpnIds = Field(("http/1.1",), description="the protocols that it speaks, as ALPN names them")
    port: Port = 443


class Failback(Model):
    """How a site that was down comes back into an app's answers."""

    after: Annotated[Seconds, Field(ge=0, le=86400)] = Field(
        30.0, description="how long it must be well without a break; doubled each time that it falls again soon after"
    )
    resume: Literal["auto", "manual"] | None = Field(
        None, description="manual: only when a person says so (gslb resume); default: manual where failover is manual"
    )
    over: Annotated[Seconds, Field(ge=0, le=86400)] = Field(
        0.0, description="its share grows to the whole over this time; 0s: at once"
    )


class Guard(Model):
    """What automation may take out of an app's answers by itself. People are not bound by it."""

    most: Percent = Field(
        50.0, description="percent of an app's capacity, once more than one site has gone within the time"
    )
    within: Annotated[Seconds, Field(ge=1, le=86400)] = 60.0


class App(Model):
    """A name that clients use, how it is steered, and where its paths go."""

    hosts: Hosts
    steer: tuple[SteerFilter, ...] | None = Field(
        None, description="default: healthy, then all sites with equal weight"
    )
    failover: Literal["auto", "manual"] = "auto"
    failback: Failback | None = Field(None, description="default: the policy's")
    families: Literal["same", "mixed"] = "same"
    ttl: Ttl | None = Field(None, description="default: the zone's")
    https: Https | None = Field(None, description="publish HTTPS records; default: where there is tls")
    tls: ClientTls | None = Field(None, description="its hosts are served by https")
    ports: Annotated[tuple[Port, ...], Field(max_length=32)] = Field(
        (), description="where edges serve it, of `also`; default: http, and https with tls"
    )
    ready: Mapping[Name, Checks] = Field({}, description="by site: checks without which it cannot serve this app")
    backends: Mapping[Name, Backend] = {}
    routes: tuple[Route, ...] = Field(min_length=1)


class Policy(Model):
    """Everything that a policy folder says."""

    environment: Annotated[str, Field(pattern=r"^[!-~]{1,64}$")] = "default"
    zone: Zone
    zones: tuple[Zone, ...] = Field((), max_length=100, description="more zones that the nameservers answer for")
    sites: Mapping[Name, Site] = Field(min_length=1)
    checks: Mapping[Name, NamedCheck] = Field({}, max_length=10_000, description="checks that apps refer to by name")
    apps: Mapping[Name, App] = {}
    services: Mapping[ServiceName, Backend] = Field(
        {}, description="what foreign documents name: NAMESPACE/NAME, with :PORT or @SUBSET where they differ"
    )
    gateways: tuple[ServiceName, ...] | None = Field(
        None, description="which Gateways of the folder the edges are: NAMESPACE/NAME; default: all of them"
    )
    failback: Failback = Failback()
    guard: Guard = Guard()
    latency: Mapping[Network, Mapping[Name, Seconds]] = Field(
        {}, description="measured: network of clients to site to round-trip time, for the filter latency"
    )
