"""The zone and the names in it: lengths, and that every name means one thing."""

from __future__ import annotations

from collections.abc import Iterator

from gslb.model.checks.report import Report
from gslb.model.hosts import NAME_LIMIT, apexes, site_hosts, zone_of
from gslb.model.policy import TtlBounds, Zone
from gslb.model.tree import Path, Place
from gslb.model.words import absolute, format_duration
from gslb.model.zones import all_zones

__all__ = ["check_names"]


def check_names(report: Report) -> None:
    """Zones, nameservers, hosts, their names at single sites, HTTPS records and TTLs."""
    _zones(report)
    _hosts(report)
    _site_hosts(report)
    _https(report)
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
    if len(name) > NAME_LIMIT:
        message = f"with its zone this name has {len(name)} characters; {NAME_LIMIT} is the limit"
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
    zones = apexes(report.policy)
    servers = {absolute(name, zone.name) for _, zone in all_zones(report.policy) for name in zone.nameservers}
    main = sorted({site.listen.http for site in report.policy.sites.values()})
    seen: dict[tuple[str, int], tuple[str, Place]] = {}
    for app_name, app in report.policy.apps.items():
        path = ("apps", app_name, "hosts")
        hosts = [absolute(host, report.policy.zone.name) for host in app.hosts]
        for index, host in enumerate(hosts):
            _too_long(report, (*path, index), host)
            if host in servers:
                message = f"{host} is a nameserver of the zone"
                report.error((*path, index), "host-nameserver", message, "write another host")
            # A host that is not steered here may mean something else at each port.
            ports = (0,) if zone_of(host, zones) else app.ports or main
            owner = next((seen[(host, port)] for port in ports if (host, port) in seen), None)
            if owner:
                message = f"{host} belongs to the app {owner[0]} already, at {owner[1]}"
                report.error((*path, index), "duplicate-host", message, "give it to one app, once")
            for port in ports:
                seen.setdefault((host, port), (app_name, report.place((*path, index))))
        if hosts != ["*"] and not any(zone_of(host, zones) for host in hosts):
            message = f"no host of {app_name} is in the zone {report.policy.zone.name}, so nothing can be a CNAME to it"
            report.warn(path, "host-outside", message, f"add a bare label, such as {app_name}")


def _site_hosts(report: Report) -> None:
    """That `shop--dc` beside `shop` means nothing else."""
    taken = _taken(report)
    for app_name, app in report.policy.apps.items():
        places = {absolute(host, report.policy.zone.name): index for index, host in enumerate(app.hosts)}
        for host, site, name in site_hosts(report.policy, app):
            path = ("apps", app_name, "hosts", places[host])
            meaning = f"{host} at the site {site} alone"
            if name is None and len(host) > NAME_LIMIT:
                continue
            if name is None:
                message = f"there will be no name for {meaning}: with --{site} it is longer than DNS allows"
                report.warn(path, "site-host-length", message, "it may stay; or write a shorter host or site name")
            elif taken.setdefault(name, meaning) != meaning:
                message = f"{name}, which means {meaning}, is {taken[name]} already"
                report.error(path, "site-host", message, "write another host, or rename the site or the other one")


def _taken(report: Report) -> dict[str, str]:
    """What names mean without those for single sites."""
    policy = report.policy
    hosts = {absolute(host, policy.zone.name): f"a host of {app}" for app, a in policy.apps.items() for host in a.hosts}
    servers = [absolute(name, zone.name) for _, zone in all_zones(policy) for name in zone.nameservers]
    return hosts | dict.fromkeys(servers, "a nameserver") | dict.fromkeys(apexes(policy), "a zone")


def _https(report: Report) -> None:
    for name, app in report.policy.apps.items():
        protocols = app.https.alpn if app.https else ()
        for index, protocol in enumerate(protocols):
            if protocol in protocols[:index]:
                path = ("apps", name, "https", "alpn", index)
                report.error(path, "duplicate-alpn", f"{protocol} stands in this list already", "name it once")
