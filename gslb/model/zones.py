"""The zone files of a policy: each is read, checked against the policy, and put into it in place of its name.

How a file is read stands in `zone_file`, what makes a zone in `zone_check`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from dns.rdatatype import RdataType as Type

from gslb.errors import Problem
from gslb.model.hosts import apexes, site_hosts, zone_of
from gslb.model.policy import Policy, Zone
from gslb.model.tree import Path, Places
from gslb.model.wire_name import from_text
from gslb.model.words import absolute
from gslb.model.zone_check import Host, Place, check_records, own_records
from gslb.model.zone_file import read_zone_file, written

__all__ = ["SUFFIX", "Taken", "all_zones", "take_zone_files"]

SUFFIX = ".zone"


class Taken(NamedTuple):
    """The policy with records in place of the names of files, and what is wrong with them."""

    policy: Policy
    problems: tuple[Problem, ...]


def all_zones(policy: Policy) -> Iterator[tuple[Path, Zone]]:
    """Every zone with its path in the policy."""
    yield ("zone",), policy.zone
    for index, zone in enumerate(policy.zones):
        yield ("zones", index), zone


def take_zone_files(policy: Policy, places: Places, files: Mapping[str, bytes]) -> Taken:
    """`files` are the zone files of the folder. `places`: where `policy` was written."""
    problems: list[Problem] = []
    by_name = {name.rpartition("/")[2]: name for name in files}
    taken: list[Zone] = []
    for path, zone in all_zones(policy):
        text = None
        if zone.records is not None and zone.records in by_name:
            file = by_name[zone.records]
            text = _read(_place(policy, zone, file), files[file], problems)
        elif zone.records is not None:
            problems.append(_missing(places, (*path, "records"), zone.records))
        taken.append(zone.model_copy(update={"records": text}))
    used = {zone.records for _, zone in all_zones(policy)}
    for name, file in by_name.items():
        if name not in used:
            message, remedy = "no zone names this file, so it is not read", f"write records: {name} in its zone"
            problems.append(Problem(file, 0, 0, "file-ignored", message, remedy, "warning"))
    return Taken(policy.model_copy(update={"zone": taken[0], "zones": tuple(taken[1:])}), tuple(problems))


def _read(place: Place, data: bytes, problems: list[Problem]) -> str:
    file = read_zone_file(place.file, data, place.apex)
    problems += file.problems
    problems += check_records(place, file.records, complete=not file.problems)
    return written(own_records(place, file.records))


def _place(policy: Policy, zone: Zone, file: str) -> Place:
    apex, zones = zone.name.removesuffix("."), apexes(policy)
    hosts = {from_text(name): host for name, host in _hosts(policy) if zone_of(name, zones) == apex}
    servers = {
        from_text(absolute(name, zone.name)): frozenset(ip.packed for ip in addresses)
        for name, addresses in zone.nameservers.items()
    }
    return Place(file, from_text(apex), servers, hosts)


def _hosts(policy: Policy) -> Iterator[tuple[str, Host]]:
    """Every name that an app has."""
    for app_name, app in policy.apps.items():
        for host, site, name in site_hosts(policy, app):
            if name:
                yield name, Host(f"{host} at the site {site} alone")
        types = (Type.A, Type.AAAA, Type.HTTPS) if app.https or app.tls else (Type.A, Type.AAAA)
        for host in app.hosts:
            yield absolute(host, policy.zone.name), Host(f"a host of the app {app_name}", types)


def _missing(places: Places, path: Path, name: str) -> Problem:
    message = f"there is no file {name[:80]} beside the policy"
    remedy = f"write the name of a file in this folder that ends in {SUFFIX}, such as static{SUFFIX}"
    return Problem(*places.locate(path), "no-file", message, remedy)
