"""The table of the HTTP API and what each line of it does. Limits, guards and errors are `api`'s, the form of a line is
`endpoint`'s."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from gslb import __version__, clock
from gslb.control import changes, traffic
from gslb.control.alarms import alarms_now, alarms_seen
from gslb.control.bodies import (
    challenge_messages,
    check_messages,
    export_messages,
    fleet_messages,
    forcing_messages,
    join_messages,
    key_messages,
    messages,
    mirror_messages,
    plan_messages,
    status_messages,
    token_messages,
    traffic_messages,
)
from gslb.control.bodies.mirror_report_messages import MirrorReport
from gslb.control.explain import explain, live_of
from gslb.control.followed import git_seen
from gslb.control.handlers import (
    challenge_routes,
    check_routes,
    forcing_routes,
    join_routes,
    key_routes,
    mirror_routes,
    override_routes,
    plan_routes,
    token_routes,
    traffic_routes,
)
from gslb.control.http import page
from gslb.control.http.endpoint import Asked, Endpoint, Media, Stream
from gslb.control.http.openapi import describe
from gslb.control.installation.fleet import nodes_seen
from gslb.control.installation.leader import lead_seen
from gslb.control.installation.waves import wave_seen
from gslb.control.mirror_report import mirror_report, require_compared
from gslb.control.publishing import Publisher
from gslb.control.scrape import metrics
from gslb.control.status import reachable, status
from gslb.control.zone_export import zone_file
from gslb.model.words import iso

__all__ = ["TABLE"]

LATENCY_LIMIT_BYTES = 8 * 1024 * 1024
"""About 100,000 networks. The store takes twice as much, with the policy beside it."""

_Handler = Callable[[Asked], Awaitable[dict[str, Any] | Media | Stream]]


_Answer = Awaitable[dict[str, Any]]


def _alone(handle: Callable[[Publisher], _Answer]) -> _Handler:
    return lambda asked: handle(asked.publisher)


def _by_body(handle: Callable[..., _Answer]) -> _Handler:
    """`handle` takes the publisher, what the path names, in its order, and the body."""
    return lambda asked: handle(asked.publisher, *asked.path.values(), asked.body)


def _by_query(handle: Callable[..., _Answer]) -> _Handler:
    """As `_by_body`, with the query."""
    return lambda asked: handle(asked.publisher, *asked.path.values(), asked.query)


async def _status(asked: Asked) -> dict[str, Any]:
    publisher = asked.publisher
    await publisher.refresh()
    current = publisher.current()
    fleet = publisher.fleet()
    seen = status(current, publisher.roles(), publisher.ages_s(), clock.wall_s(), fleet.wanted)
    git = git_seen(publisher.followed(), current[0] if current else None)
    waves = {"wave": wave_seen(fleet.wave), "leader": lead_seen(fleet.lead)}
    return {**seen, **waves, "git": git, "alarms": alarms_seen(alarms_now(publisher, clock.wall_s()))}


async def _nodes(asked: Asked) -> dict[str, Any]:
    publisher = asked.publisher
    await publisher.refresh()
    return nodes_seen(publisher.fleet(), publisher.roles(), publisher.ages_s(), clock.mono_s())


async def _keys(asked: Asked) -> dict[str, Any]:
    await asked.publisher.refresh()
    return await asyncio.to_thread(key_routes.seen, asked.publisher, asked.query)


async def _tokens(asked: Asked) -> dict[str, Any]:
    return token_routes.seen(asked.publisher)


async def _identity(asked: Asked) -> dict[str, Any]:
    await asked.publisher.refresh()
    return await join_routes.seen(asked.publisher)


async def _certify(asked: Asked) -> dict[str, Any]:
    return await join_routes.certify(asked.publisher, asked.body, asked.caller)


async def _mirror_report(asked: Asked) -> dict[str, Any]:
    publisher, app, route = asked.publisher, asked.path["app"], asked.path["route"]
    await publisher.refresh()
    current = publisher.current()
    changes.require(current[0] if current else None)
    assert current is not None
    require_compared(current[1], app, route)
    told = await publisher.comparisons(app, route)
    roles = reachable(publisher.roles(), publisher.ages_s())
    return await asyncio.to_thread(mirror_report, current[1], app, route, told, roles)


async def _events(asked: Asked) -> Stream:
    assert asked.events is not None
    return Stream("text/event-stream", asked.events.lines())


async def _history(asked: Asked) -> dict[str, Any]:
    return {
        "changes": [
            {
                "number": record.number,
                "at": iso(record.entry.at_s),
                "author": record.entry.author,
                "action": record.entry.action,
                "detail": record.entry.detail,
                "reason": record.entry.reason,
                "revision": record.version.revision,
                "overrides": record.version.overrides,
            }
            for record in await asked.publisher.history(asked.query.limit)
        ]
    }


async def _traffic_resources(_asked: Asked) -> dict[str, Any]:
    return traffic.resources()


async def _traffic_splits(asked: Asked) -> dict[str, Any]:
    return await traffic_routes.splits(asked.publisher, asked.path["app"], asked.path.get("route"))


async def _traffic_services(asked: Asked) -> dict[str, Any]:
    return await traffic_routes.services(asked.publisher, asked.path["app"], asked.path.get("backend"))


async def _policy(asked: Asked) -> dict[str, Any]:
    current = asked.publisher.current()
    intent = changes.require(current[0] if current else None)
    without: dict[str, Any] = {"zone": {"records"}, "zones": {"__all__": {"records"}}}
    return {"revision": intent.revision, "policy": intent.policy.model_dump(mode="json", exclude=without)}


async def _explain(asked: Asked) -> dict[str, Any]:
    """Composing a large zone takes a while, and must not hold up the others."""
    publisher = asked.publisher
    await publisher.refresh()
    seen = publisher.current(), publisher.roles(), publisher.ages_s()
    places = publisher.places(asked.query.client)
    return await asyncio.to_thread(explain, *seen, asked.query, clock.wall_s(), places)


async def _zone_file(asked: Asked) -> dict[str, Any]:
    publisher = asked.publisher
    await publisher.refresh()
    current = publisher.current()
    changes.require(current[0] if current else None)
    assert current is not None
    live = live_of(publisher.roles(), publisher.ages_s())
    return await asyncio.to_thread(zone_file, current[1], live, asked.query, clock.wall_s())


async def _metrics(asked: Asked) -> Media:
    await asked.publisher.refresh()
    return Media(metrics.CONTENT_TYPE_LATEST, metrics.exposition(asked.publisher))


async def _dashboard(_asked: Asked) -> Media:
    return _file("index.html")


async def _style(_asked: Asked) -> Media:
    return _file("style.css")


async def _script(_asked: Asked) -> Media:
    return _file("dashboard.js")


async def _openapi(_asked: Asked) -> dict[str, Any]:
    return describe(TABLE)


async def _healthz(_asked: Asked) -> dict[str, Any]:
    return {"status": "ok", "version": __version__}


def _file(name: str) -> Media:
    return Media(page.FILES[name], page.static_file(name))


_SMI = f"/apis/{traffic.API_VERSION}"

TABLE = (
    Endpoint("GET", "/v1/status", _status, "Everything that runs, intended beside observed", status_messages.Status,
             versioned=True),
    Endpoint("GET", "/v1/nodes", _nodes, "Every node: what it has, how far behind it is, and the waves",
             fleet_messages.NodesSeen),
    Endpoint("POST", "/v1/shifts", _by_body(override_routes.shift), "Set the split of one route, at once",
             messages.ShiftChange, body=messages.ShiftRequest),
    Endpoint("DELETE", "/v1/shifts/{app}/{route}", _by_query(override_routes.undo_shift),
             "Let the route follow the policy again",
             messages.ShiftChange, query=messages.Undoing),
    Endpoint("POST", "/v1/drains", _by_body(override_routes.drain),
             "Take a site out", messages.DrainChange, body=messages.DrainRequest),
    Endpoint("DELETE", "/v1/drains/{site}", _by_query(override_routes.undrain),
             "Put a site back", messages.DrainChange, query=messages.DrainKey),
    Endpoint("POST", "/v1/forced", _by_body(forcing_routes.force),
             "Believe a site to be up or down, whatever is seen of it",
             forcing_messages.ForceChange, body=forcing_messages.ForceRequest),
    Endpoint("DELETE", "/v1/forced/{site}", _by_query(forcing_routes.unforce), "Believe of a site what is seen again",
             forcing_messages.ForceChange, query=forcing_messages.ForceKey),
    Endpoint("POST", "/v1/approvals", _by_body(forcing_routes.approve),
             "Let a dead site leave an app's answers, or one that is well come back",
             forcing_messages.ApprovalChange, body=forcing_messages.ApprovalRequest),
    Endpoint("POST", "/v1/mirror-stops", _by_body(mirror_routes.stop), "Let mirrors copy nothing, at once",
             mirror_messages.MirrorChange, body=mirror_messages.MirrorStopRequest),
    Endpoint("DELETE", "/v1/mirror-stops", _by_query(mirror_routes.start), "Let stopped mirrors copy again",
             mirror_messages.MirrorChange, query=mirror_messages.MirrorStopKey),
    Endpoint("POST", "/v1/plan", _by_body(plan_routes.plan),
             "What a policy, or going back to a revision, would do; nothing changes", plan_messages.PlanSeen,
             body=plan_messages.PlanRequest, limit_bytes=plan_routes.LIMIT_BYTES, repeatable=False),
    Endpoint("POST", "/v1/apply", _by_body(plan_routes.apply), "Bring exactly the plan that was seen into force",
             plan_messages.ApplyChange, body=plan_messages.ApplyRequest, limit_bytes=plan_routes.LIMIT_BYTES),
    Endpoint("GET", "/v1/diff", _by_query(plan_routes.diff), "What lies between the policies of two revisions",
             plan_messages.DiffSeen, query=plan_messages.DiffQuery),
    Endpoint("GET", "/v1/checks", _alone(check_routes.seen),
             "Named checks: their state, what each node knows of them, and their history",
             check_messages.ChecksSeen),
    Endpoint("PUT", "/v1/checks/{name}/state", _by_body(check_routes.push), "Tell the state of a check that is pushed",
             check_messages.CheckPushed, body=check_messages.CheckPush, conditional=False),
    Endpoint("POST", "/v1/acme", _by_body(challenge_routes.present), "Answer an ACME challenge (DNS-01) from our zones",
             challenge_messages.ChallengeChange, body=challenge_messages.ChallengeRequest),
    Endpoint("DELETE", "/v1/acme/{name}", _by_query(challenge_routes.cleanup),
             "Take the answer to an ACME challenge away",
             challenge_messages.ChallengeChange, query=challenge_messages.ChallengeKey),
    Endpoint("GET", "/v1/latency", _alone(override_routes.latency_in_force),
             "The measured latencies in force, and whose they are",
             messages.LatencySeen, versioned=True),
    Endpoint("PUT", "/v1/latency", _by_body(override_routes.set_latency),
             "Steer by these latencies instead of the policy's",
             messages.LatencyChange, body=messages.LatencyRequest, limit_bytes=LATENCY_LIMIT_BYTES),
    Endpoint("DELETE", "/v1/latency", _by_query(override_routes.clear_latency), "Steer by the policy's latencies again",
             messages.LatencyChange, query=messages.Undoing),
    Endpoint("GET", "/v1/dnssec", _keys, "DNSSEC keys, what comes next, and the records for the parent",
             key_messages.KeysSeen, query=key_messages.KeysQuery),
    Endpoint("POST", "/v1/dnssec/rolls", _by_body(key_routes.begin_roll),
             "Put a new DNSSEC key in the place of the active one",
             key_messages.KeyChange, body=key_messages.RollRequest),
    Endpoint("POST", "/v1/dnssec/ds", _by_body(key_routes.tell_ds),
             "The parent shows a DS record, or no longer shows it",
             key_messages.KeyChange, body=key_messages.DsRequest),
    Endpoint("GET", "/v1/tokens", _tokens, "Who may use the API over TCP", token_messages.TokensSeen, versioned=True),
    Endpoint("POST", "/v1/tokens", _by_body(token_routes.create), "Make a token; its secret is told once, here",
             token_messages.TokenMade, body=token_messages.TokenRequest, repeatable=False),
    Endpoint("DELETE", "/v1/tokens/{name}", _by_query(token_routes.revoke), "Take a token back, at once",
             token_messages.TokenChange, query=messages.Undoing),
    Endpoint("GET", "/v1/trust", _alone(join_routes.trust),
             "The roots that this installation believes", join_messages.TrustSeen),
    Endpoint("GET", "/v1/identity", _identity, "Who has which certificate until when", join_messages.IdentitySeen),
    Endpoint("POST", "/v1/join-tokens", _by_body(join_routes.new_token),
             "Make a token for one machine to join; its secret is told once",
             join_messages.JoinTokenMade, body=join_messages.JoinTokenRequest, repeatable=False,
             conditional=False),
    Endpoint("POST", "/v1/join", _by_body(join_routes.join),
             "Join, by a token: certificates, roots and configuration in one answer",
             join_messages.JoinAnswer, body=join_messages.JoinRequest, repeatable=False, conditional=False),
    Endpoint("POST", "/v1/certificates", _certify, "The next certificate of a role process",
             join_messages.CertificateAnswer, body=join_messages.CertificateRequest, repeatable=False,
             conditional=False),
    Endpoint("DELETE", "/v1/machines/{name}", _by_query(join_routes.remove), "Believe a machine no more",
             join_messages.MachineChange, query=messages.Undoing, conditional=False),
    Endpoint("GET", "/v1/mirrors/{app}/{route}/report", _mirror_report,
             "Differences between the old and the new service of a compared mirror, noise removed", MirrorReport),
    Endpoint("GET", "/v1/events", _events, "The state, again whenever version, roles or verdicts change",
             Media("text/event-stream")),
    Endpoint("GET", "/v1/history", _history, "Who changed what, when and why; newest first",
             messages.History, query=messages.HistoryQuery),
    Endpoint("GET", "/v1/policy", _policy, "The policy in force, without static records", messages.PolicyInForce,
             versioned=True),
    Endpoint("GET", "/v1/explain", _explain, "Why this answer, and where a request goes",
             messages.Explanation, query=messages.ExplainQuery),
    Endpoint("GET", "/v1/zone-file", _zone_file, "A zone as a standard zone file, with the answers of this moment",
             export_messages.ZoneFile, query=export_messages.ZoneFileQuery),
    Endpoint("GET", _SMI, _traffic_resources, "SMI: of what there are traffic metrics",
             traffic_messages.ApiResourceList),
    Endpoint("GET", f"{_SMI}/namespaces/{{app}}/trafficsplits", _traffic_splits,
             "SMI: what every side of every split of an app has answered lately", traffic_messages.TrafficMetricsList),
    Endpoint("GET", f"{_SMI}/namespaces/{{app}}/trafficsplits/{{route}}", _traffic_splits,
             "SMI: what every side of one route's split has answered lately", traffic_messages.TrafficMetricsList),
    Endpoint("GET", f"{_SMI}/namespaces/{{app}}/services", _traffic_services,
             "SMI: what every backend of an app has answered lately", traffic_messages.TrafficMetricsList),
    Endpoint("GET", f"{_SMI}/namespaces/{{app}}/services/{{backend}}", _traffic_services,
             "SMI: what one backend of an app has answered lately", traffic_messages.TrafficMetricsList),
    Endpoint("GET", "/metrics", _metrics, "Metrics for Prometheus", Media("text/plain")),
    Endpoint("GET", "/healthz", _healthz, "Does control itself answer?", messages.Healthz),
    Endpoint("GET", "/openapi.json", _openapi, "This description", Media("application/json")),
    Endpoint("GET", "/", _dashboard, "The dashboard", Media("text/html")),
    Endpoint("GET", "/static/style.css", _style, "The dashboard's style", Media("text/css")),
    Endpoint("GET", "/static/dashboard.js", _script, "The dashboard's script", Media("text/javascript")),
)  # fmt: skip
