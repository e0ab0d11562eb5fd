"""Backends: that each has endpoints, at sites that exist, and that none of them is an edge."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from gslb.model.check_words import Check
from gslb.model.checks.named import check_headers, check_rounds
from gslb.model.checks.report import Report
from gslb.model.policy import Backend
from gslb.model.tree import Path
from gslb.model.words import IpAddress, parse_endpoint

__all__ = ["check_backends"]

_Socket = tuple[IpAddress, int]


def check_backends(report: Report) -> None:
    """Every backend of every app."""
    edges = dict(_edge_sockets(report))
    for app_name, app in report.policy.apps.items():
        for name, backend in app.backends.items():
            path = ("apps", app_name, "backends", name)
            _endpoints(report, path, backend, edges)
            if backend.check is not None:
                _check(report, (*path, "check"), backend.check)
                if backend.check.grpc is not None and backend.protocol != "http2":
                    message = "gRPC is spoken over HTTP/2, and the backend says http1"
                    report.error((*path, "check", "grpc"), "check-grpc", message, "write protocol: http2 beside check")


def _edge_sockets(report: Report) -> Iterator[tuple[_Socket, str]]:
    for name, site in report.policy.sites.items():
        for edge in site.edges:
            for address in (*edge.public, *edge.bound):
                for port in (site.listen.http, *site.listen.also, *filter(None, [site.listen.https])):
                    yield (address, port), name
            host, port = parse_endpoint(edge.peer) if edge.peer else ("", 0)
            if peer := _address(host):
                yield (peer, port), name


def _endpoints(report: Report, path: Path, backend: Backend, edges: dict[_Socket, str]) -> None:
    if not any(backend.endpoints.values()):
        remedy = f"write {next(iter(report.policy.sites))}: [HOST:PORT]"
        report.error_at_key(path, "no-endpoint", f"the backend {path[-1]} has no endpoint anywhere", remedy)
    seen: set[tuple[str, int]] = set()
    for site, texts in backend.endpoints.items():
        if site not in report.policy.sites:
            report.unknown((*path, site), "site", site, report.policy.sites)
        for index, text in enumerate(texts):
            host, port = endpoint = parse_endpoint(text)
            if endpoint in seen:
                message = f"{text} stands in this backend already, so it gets a double share"
                report.warn((*path, site, index), "duplicate-endpoint", message, "name it once")
            seen.add(endpoint)
            owner = edges.get((address, port)) if (address := _address(host)) else None
            if owner:
                message = f"{text} is the edge of {owner}: requests would go in a circle"
                report.error((*path, site, index), "endpoint-loop", message, "write the service's own address and port")


def _address(host: str) -> IpAddress | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _check(report: Report, path: Path, check: Check) -> None:
    check_rounds(report, path, check)
    if check.path is not None and "#" in check.path:
        message = "the part after # is never sent"
        report.error((*path, "path"), "path-query", message, "write the path without it")
    check_headers(report, (*path, "headers"), check.headers)
    if check.expect.body is not None and check.method == "HEAD":
        message = "an answer to HEAD has no body"
        report.error((*path, "expect", "body"), "check-body", message, "write method: GET, or leave it out")
