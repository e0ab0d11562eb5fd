"""Peer addresses and what goes through them (`via: edge`): that each site which must be reached so can be."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from gslb.model.checks.report import Report
from gslb.model.policy import Edge
from gslb.model.tree import Path
from gslb.model.words import format_endpoint, parse_endpoint

__all__ = ["check_peers"]

_REMEDY = 'write peer: "ADDRESS:PORT" beside the public addresses of its edge'


def check_peers(report: Report) -> None:
    """Every `peer`, and every backend that needs one."""
    used = _backends(report)
    _addresses(report, used=used)


def _backends(report: Report) -> bool:
    """Whether any backend is reached through edges."""
    used = False
    for app_name, app in report.policy.apps.items():
        for name, backend in app.backends.items():
            if backend.via != "edge":
                continue
            used = True
            for site, endpoints in backend.endpoints.items():
                known = report.policy.sites.get(site)
                if endpoints and known and not any(edge.peer for edge in known.edges):
                    message = f"other sites cannot reach {name} through the edge of {site}, which has no peer address"
                    report.error(("apps", app_name, "backends", name, "via"), "no-peer", message, _REMEDY)
    return used


def _peers(report: Report) -> Iterator[tuple[Path, str, Edge, str, int]]:
    for name, site in report.policy.sites.items():
        for index, edge in enumerate(site.edges):
            if edge.peer:
                yield ("sites", name, "edges", index, "peer"), name, edge, *parse_endpoint(edge.peer)


def _addresses(report: Report, *, used: bool) -> None:
    """No two edges share one, none is an address that cannot be connected to, none takes the clients' own port."""
    seen: dict[tuple[str, int], Path] = {}
    for path, site, edge, host, port in _peers(report):
        if not used:
            remedy = "it may stay; do not rely on it"
            report.warn(path, "no-effect", "peer has no effect: no backend says via: edge", remedy)
        where = format_endpoint(host, port)
        if _is_unreachable(host):
            report.error(path, "address-kind", f"nobody can connect to {where}", "write the address that peers reach")
        elif (host, port) in seen:
            message = f"{where} is a peer address already, at {report.place(seen[host, port])}"
            report.error(path, "duplicate-address", message, "give every edge a peer address of its own")
        elif port == report.policy.sites[site].listen.http and host in (str(address) for address in edge.bound):
            report.error(path, "duplicate-bind", f"clients come to {where} already", "write another port, such as 8443")
        seen.setdefault((host, port), path)


def _is_unreachable(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_unspecified or address.is_multicast
