"""Sites and their edges: that every address has one owner. Peer addresses are checked in `peers`."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from gslb.model.checks.report import Report
from gslb.model.tree import Path, Place
from gslb.model.words import IpAddress

__all__ = ["check_sites"]

_RESERVED = ("check", "host", "protocol", "tls", "via")  # keys of a backend, where site names stand beside them

_ANY: dict[int, IpAddress] = {4: ipaddress.IPv4Address(0), 6: ipaddress.IPv6Address(0)}


@dataclass(frozen=True, slots=True)
class _Bind:
    """An address that a site's edges bind. `explicit`: written as `bind`, so perhaps private to that site."""

    site: str
    path: Path
    address: IpAddress
    port: int
    explicit: bool


def check_sites(report: Report) -> None:
    """Names, public addresses and binds."""
    for name in report.policy.sites:
        if name in _RESERVED:
            message = f"{name} is a key of backends, so it cannot be the name of a site"
            report.error_at_key(("sites", name), "reserved-name", message, f"write another name, such as {name}-1")
    _public(report)
    _binds(report)


def _edges(report: Report, field: str) -> Iterator[tuple[str, Path, IpAddress]]:
    for name, site in report.policy.sites.items():
        for place, edge in enumerate(site.edges):
            for index, address in enumerate(getattr(edge, field) or ()):
                yield name, ("sites", name, "edges", place, field, index), address


def _public(report: Report) -> None:
    seen: dict[IpAddress, tuple[str, Place]] = {}
    for site, path, address in _edges(report, "public"):
        if address.is_unspecified or address.is_multicast or getattr(address, "scope_id", None):
            message = f"{address} cannot be an answer of DNS"
            report.error(path, "address-kind", message, "write the address that clients connect to")
        elif address in seen:
            owner, place = seen[address]
            message = f"{address} is public at site {owner} already, at {place}"
            report.error(path, "duplicate-address", message, "give every edge an address of its own")
        seen.setdefault(address, (site, report.place(path)))


def _bound(report: Report) -> Iterator[_Bind]:
    for name, site in report.policy.sites.items():
        for place, edge in enumerate(site.edges):
            field = "bind" if edge.bind else "public"
            for index, address in enumerate(edge.bound):
                path = ("sites", name, "edges", place, field, index)
                for port in (site.listen.http, *site.listen.also, *filter(None, [site.listen.https])):
                    yield _Bind(name, path, address, port, field == "bind")


def _binds(report: Report) -> None:
    """In one site nothing may be bound twice. Two sites may bind the same private address on machines of their own;
    a loopback address is on this machine for both."""
    seen: dict[tuple[IpAddress, int], _Bind] = {}
    in_site: dict[tuple[str, int], dict[IpAddress, _Bind]] = {}
    for bind in _bound(report):
        if bind.port == report.policy.sites[bind.site].listen.http:
            _within_site(report, bind, in_site.setdefault((bind.site, bind.address.version), {}))
        first = seen.setdefault((bind.address, bind.port), bind)
        if first.site == bind.site or bind.address.is_unspecified:
            continue
        message = f"{bind.address}:{bind.port} is bound at site {first.site} already, at {report.place(first.path)}"
        if bind.address.is_loopback:
            report.error(bind.path, "duplicate-bind", message, "give it another address or another `listen` port")
        elif bind.explicit and first.explicit:
            report.warn(bind.path, "duplicate-bind", message, "good where the two sites are separate networks")
        else:
            report.error(bind.path, "duplicate-bind", message, "bind an address of this site")


def _within_site(report: Report, bind: _Bind, others: dict[IpAddress, _Bind]) -> None:
    """`others` are the site's binds of the same family. A duplicate public address is told of once, as that."""
    anything = next(iter(others.values()), None) if bind.address.is_unspecified else None
    everything = others.get(_ANY[bind.address.version])
    clash = others.get(bind.address) or anything or everything
    if clash and (bind.explicit or bind.address != clash.address):
        message = f"{bind.address}:{bind.port} clashes with {clash.address} at {report.place(clash.path)}"
        report.error(bind.path, "duplicate-bind", message, "bind every address of a site once")
    others.setdefault(bind.address, bind)
