"""TLS towards clients and backends, as Envoy's contexts, and what routes need of it. Peers have their own: `peers`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gslb.edge.render.config import SNI_HEADER, Resource, Stores
from gslb.edge.render.matching import header_equals
from gslb.snapshot.types import App, Backend, ClientTls, Site

__all__ = ["RAW_SOCKET", "alt_svc", "backend_socket", "client_context", "misdirected", "to_https"]

_TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"
RAW_SOCKET = {
    "name": "envoy.transport_sockets.raw_buffer",
    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"},
}
_ALT_SVC_S = 86_400
_HTTPS_PORT = 443


def client_context(tls: ClientTls, stores: Stores, alpn: Sequence[str]) -> dict[str, Any]:
    """The transport socket of a chain for clients. Below TLS 1.3, Envoy's own list of ciphers is forward secret."""
    params = {"tls_minimum_protocol_version": "TLSv1_3" if tls.only_13 else "TLSv1_2"}
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": f"{_TLS}.DownstreamTlsContext",
            "common_tls_context": {
                "tls_params": params,
                "alpn_protocols": list(alpn),
                "tls_certificate_sds_secret_configs": [_secret(tls.secret, stores.secret(tls.secret))],
            },
        },
    }


def _secret(name: str, file: str) -> dict[str, Any]:
    folder = file.rpartition("/")[0]
    source = {"path": file, "watched_directory": {"path": folder}}
    return {"name": name, "sds_config": {"resource_api_version": "V3", "path_config_source": source}}


def backend_socket(app: App, backend: Backend, stores: Stores) -> dict[str, Any]:
    """The transport socket of a pool whose endpoints speak TLS: their certificate is checked, with its name."""
    assert backend.tls is not None
    name = backend.tls.sni or backend.host or app.own_host
    file = f"{stores.certificates}/{backend.tls.ca}" if backend.tls.ca else stores.system_ca
    trusted: dict[str, Any] = {"trusted_ca": {"filename": file}}
    if backend.tls.ca:
        trusted["trusted_ca"]["watched_directory"] = {"path": stores.certificates}
    named = [{"san_type": "DNS", "matcher": {"exact": name}}]
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": f"{_TLS}.UpstreamTlsContext",
            "sni": name,
            "common_tls_context": {
                "tls_params": {"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3"},
                "alpn_protocols": ["h2"] if backend.http2 else ["http/1.1"],
                "validation_context": {**trusted, "match_typed_subject_alt_names": named},
            },
        },
    }


def to_https(app: App, site: Site) -> Iterator[dict[str, Any]]:
    """Who came by http goes to https; probes come before it."""
    if app.tls is None or not app.tls.redirect or not site.serves_tls(app):
        return
    redirect: dict[str, Any] = {"https_redirect": True}
    if site.listening.https_port != _HTTPS_PORT or site.http_port != 80:
        redirect["port_redirect"] = site.listening.https_port
    by_http = header_equals("x-forwarded-proto", "http")
    yield {"name": f"{app.name}~https", "match": {"prefix": "/", "headers": [by_http]}, "redirect": redirect}


def misdirected(app: App, chains: Mapping[ClientTls, Sequence[str]]) -> Iterator[dict[str, Any]]:
    """A connection that was opened for the names of another certificate is not one to this app (RFC 9110 section
    15.5.20)."""
    if app.tls is None or app.tls not in chains or len(chains) < 2:
        return
    names = "|".join(map(_name_pattern, chains[app.tls]))
    other: Resource = {
        "name": SNI_HEADER,
        "string_match": {"safe_regex": {"regex": f"(?i)(?:{names})"}},
        "invert_match": True,
    }
    tests: list[list[Resource]] = [[{"name": SNI_HEADER, "present_match": True}, other]]
    if narrower := _narrower(app.tls, chains):
        pattern = f"(?i)(?:{'|'.join(map(_name_pattern, narrower))})"
        tests.append([{"name": SNI_HEADER, "string_match": {"safe_regex": {"regex": pattern}}}])
    for headers in tests:
        yield {
            "name": f"{app.name}~misdirected",
            "match": {"prefix": "/", "headers": headers},
            "direct_response": {"status": 421},
        }


def _narrower(tls: ClientTls, chains: Mapping[ClientTls, Sequence[str]]) -> list[str]:
    """Names of other certificates that a wildcard of this one would take, too."""
    wide = [name[1:] for name in chains[tls] if name.startswith("*")]
    others = (name for other, names in chains.items() if other != tls for name in names)
    return [
        name for name in others if any(name.endswith(f) and len(name) > len(f) + name.startswith("*") for f in wide)
    ]


def _name_pattern(name: str) -> str:
    return f"[^.].*{re.escape(name[1:])}" if name.startswith("*") else re.escape(name)


def alt_svc(app: App, site: Site) -> dict[str, Any] | None:
    """The header that tells browsers of HTTP/3 (RFC 7838)."""
    if not site.listening.http3 or not site.serves_tls(app):
        return None
    value = f'h3=":{site.listening.https_port}"; ma={_ALT_SVC_S}'
    return {"header": {"key": "alt-svc", "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
