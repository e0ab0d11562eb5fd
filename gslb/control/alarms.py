"""What an operator must know now: a list made anew from what is in force and what roles tell. Pure.

Nothing is remembered: an alarm stands as long as its cause does. A rule is a stable id; what to do is part of it. The
same list goes to the status, the metrics, the events and the log.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gslb.control.checks import checks_seen, prober_trouble
from gslb.control.forcing import is_alive, pending
from gslb.control.protocol import EdgeState, RoleState, VerdictState
from gslb.control.publishing import Publisher
from gslb.control.status import reachable, role_state
from gslb.health.quorum import needed
from gslb.model.words import iso
from gslb.plan import serving_sites
from gslb.snapshot.standing import ForcedState
from gslb.snapshot.types import App, Snapshot

__all__ = ["Alarm", "alarms", "alarms_now", "alarms_seen", "authority_alarms"]

SIGNATURE_S = 5 * 86400.0
"""Signatures live for fourteen days, and are renewed every four."""
DAY_S = 86400.0
_AUTHORITIES = {
    "root": (365 * DAY_S, "docs/operations.md: Certificates, a new root"),
    "issuer": (30 * DAY_S, "gslb identity renew-issuer --root-key FILE, on a control machine"),
}
"""How long before its end each is an alarm, and what to do. An issuer is renewed with 45 days left, where the root's
key is at hand."""
URGENT_S = 7 * DAY_S
CERTIFICATE_RATIO, CERTIFICATE_S = 0.25, 14 * DAY_S
"""How much of its life, and at most, is left of a certificate for clients that should have been renewed: clients of
ACME do so with a third of 90 days left."""
COMPARER_S = 10.0
"""A comparer that died is back sooner."""
DROPPED_S = 60.0


@dataclass(frozen=True, slots=True)
class Alarm:
    """`subject` is what it is about, such as `shop at dc`; `since_wall_s` (Unix seconds) None: nobody knows."""

    rule: str
    severity: Literal["critical", "warning"]
    subject: str
    message: str
    remedy: str
    since_wall_s: float | None = None


def alarms(
    snapshot: Snapshot | None,
    roles: Mapping[str, RoleState | None],
    ages_s: Mapping[str, float | None],
    wall_s: float,
    authority_ends_wall_s: Mapping[str, float] | None = None,
) -> list[Alarm]:
    """The critical ones first. `roles` and `ages_s` as in Publisher; `wall_s` is now; `authority_ends_wall_s` is when
    `root` and `issuer` end, None where there are none."""
    reached = reachable(roles, ages_s)
    found = [*_roles(roles, ages_s), *_places(reached), *_signatures(reached, wall_s)]
    found += authority_alarms(authority_ends_wall_s or {}, wall_s)
    found += [*_pending(reached), *_verdicts(reached), *_identities(reached, wall_s), *_probers(reached)]
    found += [*_comparers(reached, wall_s), *_certificates(snapshot, reached, wall_s)]
    if snapshot is not None:
        found += [*_checks(snapshot, reached), *_forced(snapshot), *_apps(snapshot, reached)]
    unique = {(alarm.rule, alarm.subject): alarm for alarm in reversed(found)}
    return sorted(unique.values(), key=lambda alarm: (alarm.severity, alarm.rule, alarm.subject))


def alarms_now(publisher: Publisher, wall_s: float) -> list[Alarm]:
    """Those of what `publisher` has in force and hears, from memory."""
    current, registrar = publisher.current(), publisher.registrar
    snapshot = current[1] if current else None
    ends_s = registrar.ends_wall_s() if registrar is not None else None
    found = alarms(snapshot, publisher.roles(), publisher.ages_s(), wall_s, ends_s)
    trouble = publisher.fleet().signers_trouble
    if trouble:
        alarm = Alarm("signers", "critical", "trust", trouble, "gslb trust signers here and on the other controls;"
                      " to write those of this machine to the store: gslb trust tell")  # fmt: skip
        found.insert(0, alarm)
    return found


def alarms_seen(found: Iterable[Alarm]) -> list[dict[str, Any]]:
    """As status_messages.AlarmSeen."""
    return [
        {
            "rule": alarm.rule,
            "severity": alarm.severity,
            "subject": alarm.subject,
            "message": alarm.message,
            "remedy": alarm.remedy,
            "since": None if alarm.since_wall_s is None else iso(alarm.since_wall_s),
        }
        for alarm in found
    ]


def _roles(roles: Mapping[str, RoleState | None], ages_s: Mapping[str, float | None]) -> Iterator[Alarm]:
    for name, state in roles.items():
        if role_state(state, ages_s.get(name)) == "unreachable":
            yield Alarm("role-unreachable", "critical", name, "it does not answer; what it serves it goes on serving",
                        "see whether its process and its machine run")  # fmt: skip
        elif state is not None and state.stepped_back_from is not None:
            gone = state.stepped_back_from
            yield Alarm("stepped-back", "critical", name,
                        f"it crashed again and again with {gone.revision}.{gone.overrides} and serves what was before",
                        "see its log for the crash, then publish something newer")  # fmt: skip
        if state is not None and state.left_out:
            yield Alarm("left-out", "critical", name, f"it cannot serve {', '.join(state.left_out)}",
                        "see its log; publish a policy that this version can serve")  # fmt: skip
        if state is not None and state.broken_glass is not None:
            did = ", ".join(deed.did for deed in state.broken_glass.deeds)
            yield Alarm("broken-glass", "warning", name, f"somebody did at the node itself: {did}",
                        "do it with control too, or take it back there: gslb node undrain SITE --all, gslb node "
                        "mirror start [APP[/ROUTE]] --all")  # fmt: skip


def _places(reached: Iterable[RoleState]) -> Iterator[Alarm]:
    """As each dns role hears them: whoever hears too few decides nothing any more."""
    for state in reached:
        silent = [place for place, heard in state.places.items() if not heard]
        total = len(state.places)
        heard = total - len(silent)
        if not silent:
            continue
        named = ", ".join(silent)
        if heard < needed(total) and total > 2:
            yield Alarm("no-quorum", "critical", state.name,
                        f"it hears {heard} of {total} places that look, and not {named}: no site leaves the answers "
                        "until more than half are heard",
                        "bring them back; a site that is dead leaves with gslb drain or gslb force")  # fmt: skip
        else:
            yield Alarm("place-silent", "warning", state.name, f"it does not hear {named}, of {total} places that look",
                        "see whether the nodes there run and can be reached")  # fmt: skip


def _probers(reached: Iterable[RoleState]) -> Iterator[Alarm]:
    for state in reached:
        if trouble := prober_trouble(state):
            yield Alarm("prober", "critical", state.name, f"{trouble}: what it says of sites may be old",
                        "see its log, and whether its machine has processor time left")  # fmt: skip


def _comparers(reached: Iterable[RoleState], wall_s: float) -> Iterator[Alarm]:
    """Nothing but comparisons is lost meanwhile."""
    for state in reached:
        edge = state.edge
        if edge is None or not edge.comparing:
            continue
        silent_s, dropped_s = edge.comparer_silent_s, edge.captures_dropped_ago_s
        if silent_s is not None and silent_s > COMPARER_S:
            yield Alarm("comparer-silent", "warning", state.name,
                        "the comparer of its machine does not answer: nothing that is mirrored is compared"
                        + _started_again(edge),
                        "gslb run starts it again, and its log says why it ends; if it never comes back, see whether "
                        "the machine has memory and processor time left", wall_s - silent_s)  # fmt: skip
        elif dropped_s is not None and dropped_s < DROPPED_S:
            yield Alarm("captures-dropped", "warning", state.name, "captured answers are dropped, because the comparer "
                        f"of its machine is too slow for them ({edge.captures_dropped} so far)",
                        "sample less in the policy: compare: {sample: ...}")  # fmt: skip


def _started_again(edge: EdgeState) -> str:
    life = edge.comparer_life
    return f"; started again {life.restarts} times, the last time because {life.last_end}" if life.restarts else ""


def _checks(snapshot: Snapshot, reached: Iterable[RoleState]) -> Iterator[Alarm]:
    for name, check in checks_seen(snapshot, reached).items():
        if check["state"] in ("down", "disputed") and (check["monitor"] or check["decides"]):
            yield Alarm("check", "warning" if check["monitor"] else "critical", name, check["reason"],
                        f"gslb checks show {name}")  # fmt: skip
        elif check["warning"]:
            yield Alarm("check-warning", "warning", name, check["reason"], f"gslb checks show {name}")
        cannot = {node: one["cannot"] for node, one in check["nodes"].items() if one["cannot"]}
        if cannot:
            yield Alarm("check-cannot", "warning", name, "; ".join(f"{node}: {why}" for node, why in cannot.items()),
                        "give these machines what the check needs: it decides nothing there")  # fmt: skip


def _signatures(reached: Iterable[RoleState], wall_s: float) -> Iterator[Alarm]:
    for state in reached:
        for zone, expires_s in state.signature_expires_wall_s.items():
            if expires_s - wall_s < SIGNATURE_S:
                days = max(0.0, expires_s - wall_s) / 86400
                yield Alarm("signatures", "critical", f"{zone} at {state.name}",
                            f"its first signature expires in {days:.1f} days, and should have been renewed",
                            "see the log of the dns role")  # fmt: skip


def _identities(reached: Iterable[RoleState], wall_s: float) -> Iterator[Alarm]:
    for state in reached:
        ends_s = state.identity_ends_wall_s
        if ends_s is not None and ends_s < wall_s:
            yield Alarm("identity-ended", "critical", state.name,
                        "its certificate has ended, and it gets no other: other machines do not hear it",
                        "gslb identity status; its log says why", ends_s)  # fmt: skip


def _certificates(snapshot: Snapshot | None, reached: Iterable[RoleState], wall_s: float) -> Iterator[Alarm]:
    """Of what clients see. Names at single sites are for people, who may do without."""
    people = {host for app in snapshot.apps.values() for host in app.site_hosts} if snapshot is not None else set()
    for state in reached:
        for seen in state.edge.certificates if state.edge is not None else ():
            subject, ends_s = f"{seen.name} at {state.name}", seen.ends_wall_s
            missing = [host for host in seen.unnamed if host not in people]
            left_s = ends_s - wall_s if ends_s is not None else 0.0
            if missing or (seen.problem is not None and not seen.unnamed):
                message = f"the certificate does not name {', '.join(missing)}" if missing else seen.problem or ""
                yield Alarm("certificate", "critical", subject, message,
                            "put a good one with its key into the certificates folder of its machine")  # fmt: skip
            elif ends_s is not None and left_s < _renewed_by_s(ends_s, seen.begins_wall_s):
                yield Alarm("certificate-ends", "critical" if left_s < URGENT_S else "warning", subject,
                            f"the certificate ends in {left_s / DAY_S:.1f} days, and should have been renewed",
                            "see the log of what renews it, and whether the files reach this machine")  # fmt: skip


def _renewed_by_s(ends_s: float, begins_s: float | None) -> float:
    """How long before its end a certificate is renewed at the latest."""
    return CERTIFICATE_S if begins_s is None else min(CERTIFICATE_S, CERTIFICATE_RATIO * (ends_s - begins_s))


def authority_alarms(ends_wall_s: Mapping[str, float], wall_s: float) -> Iterator[Alarm]:
    """Without them no certificate is renewed, and a day later no machine hears another."""
    for name, (early_s, remedy) in _AUTHORITIES.items():
        ends_s = ends_wall_s.get(name)
        if ends_s is None or ends_s - wall_s >= early_s:
            continue
        if ends_s <= wall_s:
            yield Alarm(f"{name}-ended", "critical", name, f"the {name} has ended: no certificate is renewed", remedy,
                        ends_s)  # fmt: skip
        else:
            left_s = ends_s - wall_s
            yield Alarm(f"{name}-ends", "critical" if left_s < URGENT_S else "warning", name,
                        f"the {name} ends in {left_s / DAY_S:.0f} days", remedy)  # fmt: skip


def _pending(reached: Iterable[RoleState]) -> Iterator[Alarm]:
    for item in pending(reached):
        subject = f"{item.app} at {item.site}"
        if item.what == "failover":
            yield Alarm("approval", "critical", subject, item.reason, item.command, item.since_wall_s)
        else:
            yield Alarm("resume", "warning", subject, item.reason, item.command, item.since_wall_s)


def _verdicts(reached: Iterable[RoleState]) -> Iterator[Alarm]:
    for verdict in (verdict for state in reached for verdict in state.verdicts):
        if verdict.state != "held" or verdict.waits:
            continue
        subject = f"{verdict.app} at {verdict.site}"
        if verdict.seen == "disputed":
            yield Alarm("disputed", "warning", subject, verdict.reason,
                        f"look at the way from those who see it dead; if it is dead: gslb force {verdict.site} down",
                        verdict.since_wall_s)  # fmt: skip
        else:
            yield Alarm("guard", "critical", subject, verdict.reason,
                        f"see whether it is dead or the check is wrong; if it is dead: gslb drain {verdict.site}",
                        verdict.since_wall_s)  # fmt: skip


def _forced(snapshot: Snapshot) -> Iterator[Alarm]:
    """Told once for a site, whatever number of apps it is forced for."""
    found: dict[ForcedState, list[str]] = {}
    for app in snapshot.apps.values():
        for forced in app.forced:
            found.setdefault(forced, []).append(app.name)
    for forced, names in found.items():
        subject = f"{names[0]} at {forced.site}" if len(names) == 1 else forced.site
        yield Alarm("forced", "warning", subject, f"it is forced {forced.state} {forced.detail}",
                    f"gslb unforce {forced.site}, with --app as it was forced")  # fmt: skip


def _apps(snapshot: Snapshot, reached: Iterable[RoleState]) -> Iterator[Alarm]:
    by_app: dict[str, dict[str, list[VerdictState]]] = {}
    for state in reached:
        for verdict in state.verdicts:
            by_app.setdefault(verdict.app, {}).setdefault(verdict.site, []).append(verdict)
    for app in snapshot.apps.values():
        told = by_app.get(app.name, {})
        sites = [site for site in serving_sites(snapshot, app) if site not in app.no_entry]
        dead = [site for site in sites if site in told and not _living(app, site, told[site])]
        if sites and len(dead) == len(sites):
            since = max(verdict.since_wall_s for site in dead for verdict in told[site])
            yield Alarm("all-down", "critical", app.name, f"every site is down: {', '.join(dead)} are answered all the "
                        "same", "gslb status says why; gslb explain what is answered", since)  # fmt: skip
        else:
            yield from _standby(app, dead)
        yield from _thresholds(app, dead, told)


def _living(app: App, site: str, verdicts: Iterable[VerdictState]) -> bool:
    forced = next((item for item in app.forced if item.site == site), None)
    return forced.state == "up" if forced else any(is_alive(verdict) for verdict in verdicts)


def _standby(app: App, dead: Iterable[str]) -> Iterator[Alarm]:
    weights = next((dict(item.weights) for item in app.chain if item.kind == "weighted"), {})
    active = [site for site, weight in weights.items() if weight > 0 and site not in app.no_entry]
    idle = [site for site, weight in weights.items() if weight == 0 and site not in app.no_entry]
    if idle and active and set(active) <= set(dead):
        yield Alarm("standby", "critical", app.name, f"{', '.join(active)} is down: the standby {', '.join(idle)} is "
                    "answered", "bring the active sites back; they return by themselves")  # fmt: skip


def _thresholds(app: App, dead: Iterable[str], told: Mapping[str, Iterable[VerdictState]]) -> Iterator[Alarm]:
    least = max((item.threshold_ratio for item in app.chain), default=0.0)
    for site, verdicts in told.items():
        if site in dead or not least:
            continue
        by_address = {verdict.address: is_alive(verdict) for verdict in verdicts}
        alive = sum(by_address.values())
        if 0 < alive < least * len(by_address):
            yield Alarm("threshold", "critical", f"{app.name} at {site}",
                        f"{alive} of {len(by_address)} addresses live, and {100 * least:g} % must: it counts as down",
                        "bring its edges back")  # fmt: skip
