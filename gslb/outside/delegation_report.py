"""The two ends of a check of delegations: what a policy wants of its zones, and what was found as JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gslb.errors import RefusedError
from gslb.model.policy import Policy
from gslb.model.words import absolute
from gslb.model.zones import all_zones
from gslb.outside.chain_of_trust import ds_text
from gslb.outside.delegation_judge import delegation_lines
from gslb.outside.delegation_seen import ChildSeen, DelegationSeen, Failure, ParentSeen, Wanted
from gslb.outside.findings import Finding, as_json, is_bad

__all__ = ["report", "wanted_zones"]


def wanted_zones(policy: Policy, serial: int | None, names: Iterable[str] = ()) -> tuple[Wanted, ...]:
    """The zones of a policy with these names; no names: all of them. `serial` is the revision in force, None: unknown.

    Raises RefusedError (`no-zone`) for a name that is no zone of the policy.
    """
    zones = {}
    for _, zone in all_zones(policy):
        apex = zone.name.lower().removesuffix(".")
        servers = {absolute(name, apex): frozenset(map(str, ips)) for name, ips in zone.nameservers.items()}
        zones[apex] = Wanted(apex, servers, serial, zone.signing is not None)
    chosen = [name.lower().removesuffix(".") for name in names] or list(zones)
    for name in chosen:
        if name not in zones:
            raise RefusedError("no-zone", f"{name} is no zone of this policy", f"its zones are {', '.join(zones)}")
    return tuple(zones[name] for name in dict.fromkeys(chosen))


def report(seen: DelegationSeen, findings: tuple[Finding, ...]) -> dict[str, Any]:
    """Everything about one zone; `records` are those that its parent should have. TTLs are the longest that any server
    of the parent told, None: nobody did."""
    told = [view for view in seen.parents if view.failure is None]
    return {
        "zone": seen.wanted.zone,
        "ok": not is_bad(findings),
        "parent": None if isinstance(seen.parent, Failure) else seen.parent,
        "ns_ttl_s": max((view.ns_ttl_s for view in told if view.ns_ttl_s is not None), default=None),
        "ds_ttl_s": max((view.ds_ttl_s for view in told if view.ds_ttl_s is not None), default=None),
        "records": delegation_lines(seen.wanted),
        "parents": [_parent(view) for view in seen.parents],
        "servers": [_child(view) for view in seen.children],
        "findings": as_json(findings),
    }


def _parent(view: ParentSeen) -> dict[str, Any]:
    return {
        "name": view.server.name,
        "address": view.server.address,
        "failure": view.failure.why if view.failure else None,
        "nameservers": sorted(view.nameservers),
        "glue": {name: sorted(addresses) for name, addresses in sorted(view.glue.items())},
        "ds": [ds_text(data) for data in sorted(view.ds)],
    }


def _child(view: ChildSeen) -> dict[str, Any]:
    return {
        "name": view.server.name,
        "address": view.server.address,
        "udp": view.udp.why if view.udp else "ok",
        "tcp": view.tcp.why if view.tcp else "ok",
        "serial": view.serial,
        "signed": bool(view.keys.rdatas),
    }
