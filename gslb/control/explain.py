"""Why a client is told what it is told: the chain's reasons beside the packet that the tables give. Pure.

Reasons come from `steering`, the answer from the very function that DNS nodes answer with; nothing is decided here.
What an edge then does with a request is `request`'s to say.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Any

from dnslib import QTYPE, RCODE, DNSError, DNSRecord

from gslb.control.bodies.messages import ExplainQuery
from gslb.control.changes import require
from gslb.control.protocol import RoleState
from gslb.control.request import explain_request, read_headers
from gslb.control.status import UNREACHABLE_S, loads_of, ramps_of, reachable
from gslb.dns.compose import compose
from gslb.dns.draw import pick
from gslb.dns.tables import Peer, Qtype, Tables, Variant
from gslb.dns.wire import answer
from gslb.errors import PolicyError, Problem
from gslb.model.words import IpAddress, iso
from gslb.snapshot.intent import Intent
from gslb.snapshot.networks import GeoMap
from gslb.snapshot.types import App, AppName, Decision, LiveState, Snapshot, Verdict, Zone
from gslb.steering import decide

__all__ = ["explain", "live_of"]

_FAMILIES: Mapping[str, int | None] = {"A": 4, "AAAA": 6, "HTTPS": None}
"""What is steered, and the family of its addresses; None: both."""
_NOBODY = ip_address("0.0.0.0")
_DRAW_BITS = {4: 24, 6: 56}
"""What `dns.draw` takes of a client's address."""


def explain(
    current: tuple[Intent, Snapshot] | None,
    roles: Mapping[str, RoleState | None],
    ages_s: Mapping[str, float | None],
    asked: ExplainQuery,
    wall_s: float,
    places: GeoMap | None = None,
) -> dict[str, Any]:
    """Everything about one question, as messages.Explanation. `wall_s` is now (Unix seconds), `places` what a database
    knows of the client (None: there is none); the first three as in `status`.

    Raises RefusedError (`no-policy`) before the first policy, PolicyError for a type or path that does not exist.
    """
    require(current[0] if current else None)
    assert current is not None
    snapshot, qtype = current[1], asked.type.upper()
    live = dataclasses.replace(live_of(roles, ages_s), geo=places)
    host = _absolute(asked.host, snapshot.zone)
    app = next((app for app in snapshot.apps.values() if host in app.hosts or host in app.site_hosts), None)
    tables = compose(snapshot, live, wall_offset_s=wall_s)
    pools = tables.places[app.name] if app and host in app.hosts else {}
    pool = pools.get(Qtype.__members__.get(qtype, Qtype.ANY))
    reply = _reply(tables, (host, qtype), asked.client)
    said = {
        "host": host,
        "type": qtype,
        "client": str(asked.client) if asked.client else None,
        "app": app.name if app else None,
        "rcode": RCODE.get(reply.header.rcode),
        "why": _why(snapshot, reply, app, qtype, steered=pool is not None),
        "steps": [],
        "clients": None,
        "scope_bits": 0,
        "outcomes": [],
        "draw": "nothing to draw",
        "drawn": None,
        **_kept(reply),
        "answer": [_text(record) for record in reply.rr],
        "notes": _notes(roles, ages_s),
        "request": _request(app, asked),
    }
    if app and pool is not None:
        decision = decide(snapshot, live, app, asked.client, _FAMILIES[qtype])
        said |= _decided(app, decision, asked.client, wall_s)
        if decision.outcomes and said["rcode"] == "NOERROR":
            said["ttl_why"] = decision.ttl_reason
        if len(decision.outcomes) > 1 and (asked.client is None or decision.draw == "answer"):
            said["answer"] = []
        elif said["rcode"] == "NOERROR":
            said["drawn"] = _drawn(decision, pick(tables.pools[pool], (asked.client or _NOBODY).packed, wall_s, 0))
    return said


def _request(app: App | None, asked: ExplainQuery) -> dict[str, Any] | None:
    if app is None or asked.path is None:
        return None
    return explain_request(app, asked.method, asked.path, read_headers(asked.headers), asked.user)


def live_of(roles: Mapping[str, RoleState | None], ages_s: Mapping[str, float | None]) -> LiveState:
    """The verdicts and loads that the dns roles have told lately, as steering takes them."""
    return LiveState(
        verdicts={
            (AppName(told.app), ip_address(told.address)): Verdict(
                told.state, told.reason, told.since_wall_s, told.flip_s, told.seen, told.waits
            )
            for state in reachable(roles, ages_s)
            for told in state.verdicts
        },
        loads=loads_of(reachable(roles, ages_s)),
        ramps=ramps_of(reachable(roles, ages_s)),
    )


def _absolute(host: str, zone: Zone) -> str:
    """A name with a dot is absolute, as in a policy; the zone itself may be a single label."""
    name = host.removesuffix(".").lower()
    return name if "." in name or host.endswith(".") or name == zone.name else f"{name}.{zone.name}"


def _reply(tables: Tables, question: tuple[str, str], client: IpAddress | None) -> DNSRecord:
    try:
        packet = DNSRecord.question(*question)
    except (DNSError, AttributeError, ValueError):
        message, remedy = f"{question[1]} is no type of DNS record", "write one such as A, HTTPS or TYPE257"
        raise PolicyError([Problem("request", 0, 0, "value", message, remedy)]) from None
    reply = answer(tables, bytes(packet.pack()), Peer((client or _NOBODY).packed, tcp=True), 0.0, 0)
    assert reply is not None
    return DNSRecord.parse(reply)


def _kept(reply: DNSRecord) -> dict[str, Any]:
    """How long resolvers may keep the reply."""
    if reply.rr:
        return {"ttl_s": min(record.ttl for record in reply.rr), "ttl_why": "fixed"}
    if _referred(reply):
        return {"ttl_s": reply.auth[0].ttl, "ttl_why": "the delegation's"}
    if reply.auth:
        return {"ttl_s": reply.auth[0].ttl, "ttl_why": "the zone's, for negative answers"}
    return {"ttl_s": None, "ttl_why": "refusals are not kept"}


def _why(snapshot: Snapshot, reply: DNSRecord, app: App | None, qtype: str, *, steered: bool) -> str:
    """The answer's kind in words; the first that fits."""
    host, rcode = str(reply.q.qname).removesuffix("."), RCODE.get(reply.header.rcode)
    around = [zone.name for zone in (snapshot.zone, *snapshot.zones) if f".{host}".endswith(f".{zone.name}")]
    zone, zones = max(around, key=len, default=""), _zones(snapshot)
    inside, site = bool(around), app.site_hosts.get(host) if app else None
    target = next((other for other in app.hosts if _inside(snapshot, other)), "a name inside") if app else None
    family = _FAMILIES.get(qtype)
    kinds = (
        (rcode == "NXDOMAIN", f"neither an app nor the zone {zone} has this name"),
        (not inside and app is not None, f"a host outside {zones}: let it be a CNAME to {target}"),
        (not inside, f"the name is outside {zones}, and nothing else is served"),
        (rcode != "NOERROR", f"questions of type {qtype} are not answered"),
        (reply.rr and steered, f"{host} is a host of {app.name if app else None}"),
        (reply.rr and site, f"{app.name if app else None} at the site {site} alone, whether or not it is well"),
        (_referred(reply), f"others answer: {_referred(reply)}"),
        (reply.rr, "a record of the zone itself, the same for every client"),
        (steered, f"no site may answer{f' with an IPv{family} address' if family else ''} (NODATA)"),
    )
    nothing = f"the name exists, and has no records of type {qtype} (NODATA)"
    return next((text for fits, text in kinds if fits), nothing)


def _referred(reply: DNSRecord) -> str:
    """Which zone is delegated, and to whom, where the reply is a referral."""
    if reply.rr or not reply.auth or QTYPE.get(reply.auth[0].rtype) != "NS":
        return ""
    servers = ", ".join(
        sorted(str(record.rdata).removesuffix(".") for record in reply.auth if record.rtype == QTYPE.NS)
    )
    return f"{str(reply.auth[0].rname).removesuffix('.')} is delegated to {servers}"


def _zones(snapshot: Snapshot) -> str:
    names = [zone.name for zone in (snapshot.zone, *snapshot.zones)]
    return f"the zone{'s' * (len(names) > 1)} {', '.join(names)}"


def _inside(snapshot: Snapshot, name: str) -> bool:
    return any(f".{name}".endswith(f".{zone.name}") for zone in (snapshot.zone, *snapshot.zones))


def _decided(app: App, decision: Decision, client: IpAddress | None, wall_s: float) -> dict[str, Any]:
    alike = ip_network((client, decision.client_bits), strict=False) if client and decision.client_bits else None
    return {
        "steps": [{"filter": s.filter, "kept": list(s.kept), "reason": s.reason} for s in decision.steps],
        "clients": str(alike) if alike else None,
        "scope_bits": decision.client_bits,
        "outcomes": [
            {"sites": list(o.sites), "addresses": [str(ip) for ip in o.addresses], "probability": round(o.weight, 6)}
            for o in decision.outcomes
        ],
        "draw": _draw(app, decision, client, wall_s),
    }


def _draw(app: App, decision: Decision, client: IpAddress | None, wall_s: float) -> str:
    if not decision.outcomes:
        return "nothing to draw"
    if len(decision.outcomes) == 1:
        return "one possible answer: nothing is drawn"
    if decision.draw == "answer":
        return "anew for every answer, at random: nobody can tell which comes next"
    whom = "by the client's network, alike on every node"
    if client is not None:
        whom = f"for {ip_network((client, _DRAW_BITS[client.version]), strict=False)}, alike on every node"
    if decision.draw == "client":
        return f"{whom}; it stays"
    return f"{whom}, until {iso((wall_s // app.ttl_s + 1) * app.ttl_s)}"


def _drawn(decision: Decision, variant: Variant) -> dict[str, Any] | None:
    """The outcome that the packet holds."""
    drawn = next((o for o in decision.outcomes if o.sites == variant.sites), None)
    return {"sites": list(drawn.sites), "addresses": [str(ip) for ip in drawn.addresses]} if drawn else None


def _text(record: Any) -> str:
    return f"{record.rname} {record.ttl} IN {QTYPE.get(record.rtype)} {record.rdata}"


def _notes(roles: Mapping[str, RoleState | None], ages_s: Mapping[str, float | None]) -> list[str]:
    if any(state.role == "dns" for state in reachable(roles, ages_s)):
        return []
    return [f"no dns role was heard for {UNREACHABLE_S:g} s: verdicts are unknown, which counts as up; it has its own"]
