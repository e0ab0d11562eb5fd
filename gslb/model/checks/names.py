"""The zone and the names in it: lengths, and that every name means one thing."""

from __future__ import annotations

from collections.abc import Iterator

from gslb.model.checks.report import Report
from gslb.model.policy import TtlBounds, Zone
from gslb.model.tree import Path, Place
from gslb.model.words import absolute, format_duration
from gslb.model.zones import all_zones

__all__ = ["check_names"]

_MAX_NAME = 253  # RFC 1035 section 2.3.4, without the length of the first label and the root


def check_names(report: Report) -> None:
    """Zones, nameservers, hosts and TTLs."""
    _zones(report)
    _hosts(report)
    for path, ttl in _ttls(report):
        if isinstance(ttl, TtlBounds):
            if ttl.min > ttl.max:
                message = f"max is {format_duration(ttl.max)}, and min {format_duration(ttl.min)}"
                report.error((*path, "max"), "ttl-order", message, "write the smaller one as min")
            _whole_seconds(report, (*path, "min"), ttl.min)
            _whole_seconds(report, (*path, "max"), ttl.max)
        elif ttl is not None:
            _whole_seconds(report, path, ttl)


def _whole_seconds(report: Report, path: Path, ttl_s: float) -> None:
    if ttl_s != int(ttl_s):
        report.error(path, "ttl-whole", f"a ttl of {ttl_s:g} seconds", "write whole seconds, such as 10s")


def _ttls(report: Report) -> Iterator[tuple[Path, float | TtlBounds | None]]:
    for path, zone in all_zones(report.policy):
        yield (*path, "ttl"), zone.ttl
    for name, app in report.policy.apps.items():
        yield ("apps", name, "ttl"), app.ttl


def _zones(report: Report) -> None:
    """One zone of a name; its records are answered from one file."""
    seen: dict[str, Place] = {}
    for path, zone in all_zones(report.policy):
        name = zone.name.removesuffix(".")
        if name in seen:
            message = f"the zone {name} stands at {seen[name]} already"
            report.error((*path, "name"), "duplicate-zone", message, "keep one of the two")
        seen.setdefault(name, report.place((*path, "name")))
        _nameservers(report, (*path, "nameservers"), zone)


def _too_long(report: Report, path: Path, name: str) -> None:
    if len(name) > _MAX_NAME:
        message = f"with its zone this name has {len(name)} characters; {_MAX_NAME} is the limit"
        report.error(path, "name-length", message, "write a shorter name, or name the zone shorter")


def _nameservers(report: Report, path: Path, zone: Zone) -> None:
    apex = zone.name.removesuffix(".")
    seen: dict[str, Place] = {}
    for name in report.keys(path):  # as written: NS1 and ns1 are one name, and one key of the model
        place = (*path, name)
        full = absolute(name, apex)
        _too_long(report, place, full)
        if full == apex:
            report.error_at_key(
                place, "nameserver-apex", f"{full} is the zone itself", "write a name in it, such as ns1"
            )
        if full in seen:
            message = f"{full} stands at {seen[full]} already"
            report.error_at_key(place, "duplicate-name", message, "keep one of the two")
        seen.setdefault(full, report.place(place))
        for index, address in enumerate(zone.nameservers[name.lower()]):
            if address.is_unspecified or address.is_multicast:
                message = f"{address} cannot be asked"
                report.error((*place, index), "address-kind", message, "write the address of the nameserver")


def _hosts(report: Report) -> None:
    zones = [zone for _, zone in all_zones(report.policy)]
    apexes = {zone.name.removesuffix(".") for zone in zones}
    servers = {absolute(name, zone.name) for zone in zones for name in zone.nameservers}
    seen: dict[str, tuple[str, Place]] = {}
    for app_name, app in report.policy.apps.items():
        path = ("apps", app_name, "hosts")
        hosts = [absolute(host, report.policy.zone.name) for host in app.hosts]
        for index, host in enumerate(hosts):
            _too_long(report, (*path, index), host)
            if host in servers:
                message = f"{host} is a nameserver of the zone"
                report.error((*path, index), "host-nameserver", message, "write another host")
            if host in seen:
                owner, place = seen[host]
                message = f"{host} belongs to the app {owner} already, at {place}"
                report.error((*path, index), "duplicate-host", message, "give it to one app, once")
            seen.setdefault(host, (app_name, report.place((*path, index))))
        if not any(f".{host}".endswith(f".{apex}") for host in hosts for apex in apexes):
            message = f"no host of {app_name} is in the zone {report.policy.zone.name}, so nothing can be a CNAME to it"
            report.warn(path, "host-outside", message, f"add a bare label, such as {app_name}")
