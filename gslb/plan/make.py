"""`make_plan`: what becomes of clients, requests and names when one policy follows another, and what stands against it.

A plan is made of values and changes nothing. Health counts as it is observed now.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from gslb.errors import Problem
from gslb.plan.conflicts import blocking, conflicts
from gslb.plan.groups import Audience
from gslb.plan.moves import AppMove, app_moves
from gslb.plan.paths import policy_changes
from gslb.plan.rules import Facts, few, refusals, zones_of
from gslb.plan.types import AppChange, Item, Plan, Side, Unreachable, VersionPlanned
from gslb.snapshot.intent import Intent
from gslb.snapshot.types import LiveState, Snapshot

__all__ = ["blocked_plan", "make_plan"]

ENTRIES = 20_000
"""Routes, groups of clients and differences that a plan lists: some MiB of JSON, and more than anybody reads."""
_UNREACHABLE = 1000

Waived = Mapping[str, str]


def make_plan(before: Side | None, after: Side, live: LiveState, wall_s: float, waived: Waived | None = None) -> Plan:
    """What changes from `before` (None: no policy is in force) to `after`, with health and loads as in `live`.

    `wall_s` (Unix seconds) decides which overrides are over; `waived` names guard rails that do not hold the change up,
    with the reason of each. Where `live.geo` is None, chains with `geo` take everybody for alike, as DNS does then.
    """
    audience = Audience(before.snapshot if before else None, after.snapshot, live)
    moves = list(app_moves(audience))
    facts = Facts(before, after, moves)
    shown, left = _bounded([move.change for move in moves])
    differing = policy_changes(before.intent.policy, after.intent.policy) if before else iter(())
    changes = tuple(islice(differing, ENTRIES))
    return Plan(
        environment=after.snapshot.environment,
        before=_version(before) if before else None,
        after=_version(after),
        apps=shown,
        sites=tuple(_sites(before.snapshot if before else None, after.snapshot)),
        zones=tuple(_zones(before, after)),
        unreachable=tuple(islice(_unreachable(facts), _UNREACHABLE)),
        conflicts=tuple(conflicts(after, wall_s)),
        refusals=tuple(refusals(facts, waived or {})),
        changes=changes,
        left_out=left + sum(1 for _ in differing),
    )


def blocked_plan(before: Side | None, after: Intent, problems: Iterable[Problem]) -> Plan:
    """The plan of a policy that cannot be compiled with the overrides that are in force: what must be undone first."""
    changes = tuple(islice(policy_changes(before.intent.policy, after.policy), ENTRIES)) if before else ()
    return Plan(
        environment=after.policy.environment,
        before=_version(before) if before else None,
        after=VersionPlanned(revision=after.revision, overrides=after.overrides.version, digest=""),
        conflicts=tuple(blocking(problems)),
        changes=changes,
    )


def _version(side: Side) -> VersionPlanned:
    version = side.snapshot.version
    return VersionPlanned(revision=version.revision, overrides=version.overrides, digest=side.snapshot.digest)


def _bounded(apps: Iterable[AppChange]) -> tuple[tuple[AppChange, ...], int]:
    """As many as there is room for; of the app where it ends, a part. And how many entries are left out."""
    kept: list[AppChange] = []
    room, left = ENTRIES, 0
    for app in apps:
        groups, routes = app.groups[:room], app.routes[: max(0, room - len(app.groups))]
        left += len(app.groups) + len(app.routes) - len(groups) - len(routes)
        if room > 0:
            kept.append(app.model_copy(update={"groups": groups, "routes": routes}))
        else:
            left += 1
        room -= 1 + len(groups) + len(routes)
    return tuple(kept), left


def _sites(before: Snapshot | None, after: Snapshot) -> Iterator[Item]:
    old = before.sites if before else {}
    for name, site in after.sites.items():
        if name not in old:
            yield Item(name=name, kind="added", note="its edge is a process of its own")
        elif old[name].edges != site.edges:
            note = "resolvers may give its addresses from before for as long as the TTL: keep them serving meanwhile"
            yield Item(name=name, kind="changed", note=note)
    for name in old:
        if name not in after.sites:
            note = "resolvers may give its addresses for as long as the TTL: keep its edge serving meanwhile"
            yield Item(name=name, kind="removed", note=note)


def _zones(before: Side | None, after: Side) -> Iterator[Item]:
    old, new = zones_of(before.intent.policy) if before else {}, zones_of(after.intent.policy)
    for name, signed in new.items():
        if name not in old:
            yield Item(name=name, kind="added", note="signed" if signed else "unsigned")
        elif signed != old[name]:
            note = "signed from then on; its DS record goes to the parent afterwards: gslb dnssec status"
            yield Item(name=name, kind="changed", note=note if signed else "not signed any more")
    yield from (Item(name=name, kind="removed", note="refused from then on") for name in old if name not in new)


def _unreachable(facts: Facts) -> Iterator[Unreachable]:
    kept = {host for app in facts.after.snapshot.apps.values() for host in app.hosts}
    for move in facts.moves:
        gone = [host for host in move.change.hosts_removed if host not in kept]
        if gone:
            yield Unreachable(what=few(gone), why="DNS does not know the name any more; edges answer it with 404")
        for found in move.groups:
            if found.lost:
                yield Unreachable(what=f"{move.change.app} for {found.group.clients}", why=found.lost)
        yield from _backends(move)


def _backends(move: AppMove) -> Iterator[Unreachable]:
    """Sides of a split that nobody can serve."""
    for route in move.after.routes if move.after else ():
        for share in route.split:
            if share.share_bp and move.after and not move.after.backends[share.backend].endpoints:
                what = f"{move.change.app}/{route.name}: {share.backend}, {share.share_bp / 100:g} % of its requests"
                yield Unreachable(what=what, why="the backend has no endpoint at any site")
