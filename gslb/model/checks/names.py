"""The zone and the names in it: lengths, and that every name means one thing."""

from __future__ import annotations

from collections.abc import Iterator

from gslb.model.checks.report import Report
from gslb.model.tree import Path, Place

__all__ = ["check_names"]

_MAX_NAME = 253  # RFC 1035 section 2.3.4, without the length of the first label and the root


def check_names(report: Report) -> None:
    """Nameservers, hosts and TTLs."""
    _nameservers(report)
    _hosts(report)
    for path, ttl_s in _ttls(report):
        if ttl_s is not None and ttl_s != int(ttl_s):
            report.error(path, "ttl-whole", f"a ttl of {ttl_s:g} seconds", "write whole seconds, such as 10s")


def _absolute(name: str, apex: str) -> str:
    """A name with a dot is absolute; a bare label stands in the zone."""
    return name.removesuffix(".") if "." in name else f"{name}.{apex}"


def _ttls(report: Report) -> Iterator[tuple[Path, float | None]]:
    yield ("zone", "ttl"), report.policy.zone.ttl
    for name, app in report.policy.apps.items():
        yield ("apps", name, "ttl"), app.ttl


def _too_long(report: Report, path: Path, name: str) -> None:
    if len(name) > _MAX_NAME:
        message = f"with its zone this name has {len(name)} characters; {_MAX_NAME} is the limit"
        report.error(path, "name-length", message, "write a shorter name, or name the zone shorter")


def _nameservers(report: Report) -> None:
    zone = report.policy.zone
    apex = zone.name.removesuffix(".")
    seen: dict[str, Place] = {}
    for name in report.keys(("zone", "nameservers")):  # as written: NS1 and ns1 are one name, and one key of the model
        path = ("zone", "nameservers", name)
        full = _absolute(name.lower(), apex)
        _too_long(report, path, full)
        if full == apex:
            report.error_at_key(
                path, "nameserver-apex", f"{full} is the zone itself", "write a name in it, such as ns1"
            )
        if full in seen:
            report.error_at_key(path, "duplicate-name", f"{full} stands at {seen[full]} already", "keep one of the two")
        seen.setdefault(full, report.place(path))
        for index, address in enumerate(zone.nameservers[name.lower()]):
            if address.is_unspecified or address.is_multicast:
                message = f"{address} cannot be asked"
                report.error((*path, index), "address-kind", message, "write the address of the nameserver")


def _hosts(report: Report) -> None:
    apex = report.policy.zone.name.removesuffix(".")
    servers = {_absolute(name, apex) for name in report.policy.zone.nameservers}
    seen: dict[str, tuple[str, Place]] = {}
    for app_name, app in report.policy.apps.items():
        path = ("apps", app_name, "hosts")
        hosts = [_absolute(host, apex) for host in app.hosts]
        for index, host in enumerate(hosts):
            _host(report, (*path, index), host, servers)
            if host in seen:
                owner, place = seen[host]
                message = f"{host} belongs to the app {owner} already, at {place}"
                report.error((*path, index), "duplicate-host", message, "give it to one app, once")
            seen.setdefault(host, (app_name, report.place((*path, index))))
        if not any(host.endswith(f".{apex}") for host in hosts):
            message = f"no host of {app_name} is in the zone {apex}, so nothing can be a CNAME to it"
            report.warn(path, "host-outside", message, f"add a bare label, such as {app_name}")


def _host(report: Report, path: Path, host: str, servers: set[str]) -> None:
    apex = report.policy.zone.name.removesuffix(".")
    _too_long(report, path, host)
    if host == apex:
        message = f"{host} is the zone itself, which is not available as a host in this version"
        report.error(path, "host-apex", message, "write a label in the zone, such as www")
    if host in servers:
        report.error(path, "host-nameserver", f"{host} is a nameserver of the zone", "write another host")
