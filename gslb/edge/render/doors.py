"""The doors of a site: listeners for http, https, HTTP/3 and the `also` ports, with certificates by server name.

Every pair of certificate and key has a filter chain of its own, chosen by the server name that a client asks for. Who
gives none, or an unknown one, meets no chain and is closed, unless an app has the host `*`. How connections are
hardened stands in `listeners`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gslb.edge.render.comparing import answer_logs, copy_logs
from gslb.edge.render.config import STAT_PREFIX, Resource, Stores, duration, routes_name
from gslb.edge.render.listeners import ROUTER, bound_addresses, early_headers, listener, manager, over_tls
from gslb.edge.render.tls import client_context
from gslb.model.words import IpAddress
from gslb.snapshot.types import App, ClientTls, Site

__all__ = ["Door", "site_doors", "tls_hosts"]

_CLOSING_S = 30.0
"""How long a connection may last that comes to an edge whose deadline is over."""
_LISTENER = "type.googleapis.com/envoy.extensions.filters.listener"
_QUIC = "type.googleapis.com/envoy.extensions.transport_sockets.quic.v3.QuicDownstreamTransport"


@dataclass(frozen=True, slots=True)
class Door:
    """What all listeners of a site share. `filters` are those of the routes, which come before the router;
    `mirrored`: some route has a mirror, so what tells a body of unknown length is kept for the routes to match.
    `closing`: nobody stays long. Envoy closes whatever came in under the listener as it was before, websockets and
    endless answers too, once its drain time is over."""

    site: Site
    apps: Sequence[App]
    filters: Sequence[Resource]
    mirrored: bool
    stores: Stores
    closing: bool


def tls_hosts(site: Site, apps: Sequence[App]) -> Mapping[ClientTls, tuple[str, ...]]:
    """The names that clients ask for, by the certificate that they see."""
    hosts: dict[ClientTls, tuple[str, ...]] = {}
    for app in apps:
        if app.tls is not None and site.serves_tls(app):
            names = (*app.hosts, *(host for host, where in app.site_hosts.items() if where == site.name))
            hosts[app.tls] = (*hosts.get(app.tls, ()), *names)
    return hosts


def site_doors(door: Door) -> Iterator[dict[str, Any]]:
    """Every listener for clients."""
    listening = door.site.listening
    chains = tls_hosts(door.site, door.apps)
    for address in bound_addresses(door.site):
        yield _plain(door, address, door.site.http_port, routes_name(), sni=len(chains) > 1)
        for port in listening.also:
            yield _plain(door, address, port, routes_name(port), sni=False)
        if listening.https_port is not None and chains:
            yield _tls(door, address, listening.https_port, chains)
            if listening.http3:
                yield _quic(door, address, listening.https_port, chains)


def _plain(door: Door, address: IpAddress, port: int, routes: str, *, sni: bool) -> dict[str, Any]:
    name = f"http-{address}-{port}"
    http = _manager(door, routes, sni="forget" if sni else None)
    whole = listener(name, address, port, http)
    return _behind_proxies(door, whole, [({}, None)], routes, "forget" if sni else None)


def _tls(door: Door, address: IpAddress, port: int, chains: Mapping[ClientTls, Sequence[str]]) -> dict[str, Any]:
    """HTTP/2 and 1.1, as the client and ALPN agree."""
    sni = "keep" if len(chains) > 1 else None
    whole = listener(f"https-{address}-{port}", address, port, _manager(door, routes_name(), sni=sni))
    inspector = {
        "name": "envoy.filters.listener.tls_inspector",
        "typed_config": {"@type": f"{_LISTENER}.tls_inspector.v3.TlsInspector"},
    }
    kinds = [(_named(names), client_context(tls, door.stores, ("h2", "http/1.1"))) for tls, names in chains.items()]
    return _behind_proxies(door, {**whole, "listener_filters": [inspector]}, kinds, routes_name(), sni)


def _quic(door: Door, address: IpAddress, port: int, chains: Mapping[ClientTls, Sequence[str]]) -> dict[str, Any]:
    http = _manager(door, routes_name(), sni="keep" if len(chains) > 1 else None)
    http = {**http, "codec_type": "HTTP3", "http3_protocol_options": {}}
    whole = listener(f"http3-{address}-{port}", address, port, http)
    (chain,) = whole["filter_chains"]
    found = []
    for tls, names in chains.items():
        context = client_context(tls, door.stores, ("h3",))["typed_config"]
        del context["@type"]  # a message in a message, not an extension
        socket = {
            "name": "envoy.transport_sockets.quic",
            "typed_config": {"@type": _QUIC, "downstream_tls_context": context},
        }
        found.append(_chain(chain, _named(names), socket))
    address_ = {"socket_address": {**whole["address"]["socket_address"], "protocol": "UDP"}}
    options = {"quic_options": {}, "downstream_socket_config": {"prefer_gro": True}}
    return {**whole, "address": address_, "filter_chains": found, "udp_listener_config": options}


def _named(names: Sequence[str]) -> dict[str, Any]:
    """What a chain matches. `*` takes every name that no other chain does, and who names none."""
    return {} if "*" in names else {"server_names": list(names)}


def _manager(door: Door, routes: str, *, sni: str | None, hops: int = 0) -> dict[str, Any]:
    """`sni`: `keep` the server name for routes to compare, `forget` what clients wrote there, None: nobody asks.
    `hops`: how many proxies in front may say who the client is."""
    config = {**manager(STAT_PREFIX), "rds": {"route_config_name": routes}}
    early = early_headers(mirrored=door.mirrored, sni=sni)
    if early:
        config["early_header_mutation_extensions"] = early
    if door.filters:
        config["http_filters"] = [*door.filters, _router(door)]
    if logs := answer_logs(door.apps, door.site.name):
        config["access_log"] = logs
    age_s = _CLOSING_S if door.closing else door.site.listening.max_age_s
    if age_s is not None:
        common = config["common_http_protocol_options"]
        config["common_http_protocol_options"] = {**common, "max_connection_duration": duration(age_s)}
    if hops:
        config["xff_num_trusted_hops"] = hops
    return config


def _router(door: Door) -> Resource:
    logs = copy_logs(door.apps, door.site.name)
    return {**ROUTER, "typed_config": {**ROUTER["typed_config"], **logs}} if logs else ROUTER


def _behind_proxies(
    door: Door,
    whole: dict[str, Any],
    kinds: Sequence[tuple[dict[str, Any], dict[str, Any] | None]],
    routes: str,
    sni: str | None,
) -> dict[str, Any]:
    """`kinds` are what chains match and their transport sockets. Connections from trusted proxies take chains of their
    own, which believe what they say of the client; with the PROXY protocol there are no others."""
    listening = door.site.listening
    (chain,) = whole["filter_chains"]
    if not listening.trusted:
        return {**whole, "filter_chains": [_chain(chain, match, socket) for match, socket in kinds]}
    ranges = [{"address_prefix": net.split("/")[0], "prefix_len": int(net.split("/")[1])} for net in listening.trusted]
    believed = {"direct_source_prefix_ranges": ranges}
    hops = 0 if listening.proxy_protocol else listening.hops
    http = _manager(door, routes, sni=sni, hops=hops)
    (filter_,) = chain["filters"]
    trusted = {**chain, "filters": [{**filter_, "typed_config": http}]}
    found = [_chain(trusted, {**match, **believed}, socket) for match, socket in kinds]
    if listening.proxy_protocol:
        proxy = {
            "name": "envoy.filters.listener.proxy_protocol",
            "typed_config": {"@type": f"{_LISTENER}.proxy_protocol.v3.ProxyProtocol"},
        }
        return {**whole, "filter_chains": found, "listener_filters": [proxy, *whole.get("listener_filters", ())]}
    return {**whole, "filter_chains": [*found, *(_chain(chain, match, socket) for match, socket in kinds)]}


def _chain(chain: Mapping[str, Any], match: dict[str, Any], socket: dict[str, Any] | None) -> dict[str, Any]:
    made = {**chain, **over_tls(socket)}
    return {**made, "filter_chain_match": match} if match else made
