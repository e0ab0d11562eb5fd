"""The two ends of a cutover check: what a policy means for a name; what was found and the way back, as JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gslb.errors import RefusedError
from gslb.model.hosts import apexes, zone_of
from gslb.model.policy import Policy, TtlBounds
from gslb.model.words import absolute, iso
from gslb.outside.cutover import ADDRESS_TYPES, NEW_TTL_S, has_moved
from gslb.outside.cutover_seen import AnswerSeen, CertificateSeen, CutoverSeen, Plan
from gslb.outside.delegation_judge import delegation_lines
from gslb.outside.delegation_seen import Failure
from gslb.outside.findings import Finding, as_json, is_bad

__all__ = ["cutover_report", "plan_of"]


def plan_of(policy: Policy, name: str, to: str | None = None) -> Plan:
    """How `name` would move: to the app that has it among its hosts, or to that of the host `to`. Both may be bare
    labels, which stand in our zone.

    Raises RefusedError (`no-host`) where `to` is no host of an app in one of our zones.
    """
    zones, top = apexes(policy), policy.zone.name
    name = absolute(name, top)
    inside = zone_of(name, zones)
    hosts = {
        app: tuple(absolute(host, top) for host in written.hosts) for app, written in policy.apps.items()
    }  # fmt: skip
    targets = {host: app for app, names in hosts.items() for host in names if zone_of(host, zones)}
    if to is not None:
        target = absolute(to, top)
        if target not in targets:
            known = ", ".join(list(targets)[:10]) or "none yet"
            raise RefusedError(
                "no-host", f"{target} is no host of an app in a zone of this policy", f"write one: {known}"
            )
        app = targets[target]
    else:
        app = next((app for app, names in hosts.items() if name in names), "")
        target = name if inside else next((host for host in hosts.get(app, ()) if host in targets), "")
    if not app:
        return Plan(name, inside or top.removesuffix("."), inside is not None)
    ttl = policy.apps[app].ttl or policy.zone.ttl
    edges = [(str(ip), site.listen.http) for site in policy.sites.values() for edge in site.edges for ip in edge.public]
    return Plan(
        name,
        zone=inside or zone_of(target, zones) or top.removesuffix("."),
        inside=inside is not None,
        target=target or None,
        app=app,
        hosts=hosts[app],
        edges=tuple(edges),
        ttl_s=round(ttl.max if isinstance(ttl, TtlBounds) else ttl),
    )


def cutover_report(seen: CutoverSeen, findings: tuple[Finding, ...]) -> dict[str, Any]:
    """Everything about the move. `write` are the records that make it, `way_back` those that undo it, both empty where
    the name has moved; `back_s` is how long going back takes at most, None where nothing says it."""
    plan, today = seen.plan, seen.today
    moves = not has_moved(seen)
    return {
        "name": plan.name,
        "ready": not is_bad(findings),
        "how": "delegation" if plan.inside else "CNAME",
        "app": plan.app,
        "target": plan.target,
        "zone_today": None if isinstance(today.zone, Failure) else today.zone,
        "signed_today": today.signed,
        "records_today": {rtype: {"ttl_s": r.ttl_s, "data": list(r.data)} for rtype, r in today.records.items()},
        "zone_then": plan.zone,
        "signed_then": any(child.keys.rdatas for child in seen.delegation.children),
        "certificates": {
            "today": [_certificate(certificate) for certificate in seen.old_certificates],
            "then": [_certificate(certificate) for certificate in seen.new_certificates],
        },
        "edges": [_answer(answer) for answer in seen.answers],
        "write": _write(seen) if moves else [],
        "way_back": list(_way_back(seen)) if moves else [],
        "back_s": _back_s(seen),
        "findings": as_json(findings),
    }


def _write(seen: CutoverSeen) -> list[str]:
    plan = seen.plan
    if plan.inside:
        return delegation_lines(seen.delegation.wanted)
    return [f"{plan.name}. {NEW_TTL_S} IN CNAME {plan.target}."] if plan.target else []


def _way_back(seen: CutoverSeen) -> Iterator[str]:
    for rtype, records in seen.today.records.items():
        if rtype in ADDRESS_TYPES or seen.plan.inside:
            yield from (f"{seen.plan.name}. {records.ttl_s} IN {rtype} {data}" for data in records.data)


def _back_s(seen: CutoverSeen) -> int | None:
    """The new record in resolvers, and behind them the last answer that it led to."""
    if not seen.plan.inside:
        return NEW_TTL_S + seen.plan.ttl_s if seen.plan.target else None
    ttls = [view.ns_ttl_s for view in seen.delegation.parents if view.ns_ttl_s is not None]
    return max(ttls) + seen.plan.ttl_s if ttls else None


def _certificate(seen: CertificateSeen) -> dict[str, Any]:
    if seen.failure is not None:
        return {"address": seen.address, "failure": seen.failure.why}
    return {
        "address": seen.address,
        "failure": None,
        "names": list(seen.names),
        "issuer": seen.issuer,
        "until": iso(seen.until_s),
        "distrust": seen.distrust or None,
    }


def _answer(seen: AnswerSeen) -> dict[str, Any]:
    failure = seen.failure.why if seen.failure else None
    return {"address": seen.address, "port": seen.port, "failure": failure, "status": seen.status or None}
