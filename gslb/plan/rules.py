"""The guard rails: what a policy must not do without somebody saying so. A table of small functions, one a rule.

Each rule stands for clients or resolvers that would be left without an answer, or for a move too large to be taken back
before it hurts. None is about taste.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gslb.model.policy import Policy
from gslb.model.zones import all_zones
from gslb.plan.moves import AppMove, serving_sites
from gslb.plan.types import Refusal, Side
from gslb.snapshot.types import App

__all__ = ["LARGE_MOVE_PERCENT", "ROLLBACK_WAIVES", "RULES", "Facts", "few", "refusals", "zones_of"]

LARGE_MOVE_PERCENT = 50.0
"""More at once, and what receives them has to carry twice what it carries now."""
ROLLBACK_WAIVES = frozenset({"app-removed", "host-removed", "large-move", "zone-removed"})
"""What going back may do: it takes away what the change brought, and must not wait while it hurts. What leaves clients
without a site, or breaks a signed zone for validating resolvers, holds a rollback up too."""

_LISTED = 20
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Facts:
    """What the rules look at. `before` is None where no policy is in force: then nothing can be taken away."""

    before: Side | None
    after: Side
    moves: Sequence[AppMove]


def refusals(facts: Facts, waived: Mapping[str, str]) -> Iterator[Refusal]:
    """What each rule finds. `waived` says by rule why it does not hold this change up."""
    for rule, look in RULES.items():
        messages = list(look(facts))
        more = len(messages) - _LISTED
        for message in [*messages[:_LISTED], *([f"and {more:,} more of the kind"] if more > 0 else [])]:
            yield Refusal(
                rule=rule,
                message=message,
                remedy=f"if it is meant, insist: --allow {rule} --reason TEXT",
                allowed=waived.get(rule, ""),
            )


def few(names: Collection[str]) -> str:
    """The first of them, and how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - _NAMED:,} more" if len(listed) > _NAMED else ""
    return ", ".join(listed[:_NAMED]) + more


def zones_of(policy: Policy) -> Mapping[str, bool]:
    """Every zone without its last dot, and whether it is signed."""
    return {zone.name.removesuffix("."): zone.signing is not None for _, zone in all_zones(policy)}


def _last_site(facts: Facts) -> Iterable[str]:
    """Clients who have a site that may answer them, and would have none; an app whose last site in service goes."""
    for move in facts.moves:
        for found in move.groups:
            if found.lost:
                yield f"{move.change.app}, {found.group.clients}: {found.lost}"
        if move.after and _in_service(facts.before, move.before) and not _in_service(facts.after, move.after):
            sites = serving_sites(facts.after.snapshot, move.after)
            yield f"{move.change.app}: every site that is left for it is drained ({few(sites) or 'none is left'})"


def _in_service(side: Side | None, app: App | None) -> bool:
    """Whether a site that is not drained may answer for `app`. Nobody misses what was not there."""
    return bool(side and app and set(serving_sites(side.snapshot, app)) - set(app.no_entry))


def _app_removed(facts: Facts) -> Iterable[str]:
    for move in facts.moves:
        if move.change.kind == "removed":
            yield f"{move.change.app} goes: {few(move.change.hosts_removed)} cannot be reached from then on"


def _host_removed(facts: Facts) -> Iterable[str]:
    """A host that another app takes over is still there."""
    kept = {host for app in facts.after.snapshot.apps.values() for host in app.hosts}
    for move in facts.moves:
        gone = [host for host in move.change.hosts_removed if host not in kept]
        if gone and move.change.kind == "changed":
            yield f"{few(gone)} of {move.change.app} cannot be reached from then on"


def _large_move(facts: Facts) -> Iterable[str]:
    """How many clients are in a group nobody knows: each counts as if it were everybody."""
    for move in facts.moves:
        for found in move.groups:
            if found.group.moved_percent > LARGE_MOVE_PERCENT:
                yield (
                    f"{found.group.moved_percent:g} % of the clients of {move.change.app} move at once"
                    f" ({found.group.clients})"
                )
        for route in move.change.routes:
            if route.moved_percent > LARGE_MOVE_PERCENT:
                name = f"{move.change.app}/{route.route}"
                yield f"{route.moved_percent:g} % of the requests of {name} change their backend at once"


def _zone_removed(facts: Facts) -> Iterable[str]:
    old, new = _zones(facts)
    yield from (f"the zone {name} is refused to everybody from then on" for name in old if name not in new)


def _dnssec_off(facts: Facts) -> Iterable[str]:
    old, new = _zones(facts)
    for name, signed in old.items():
        if signed and new.get(name) is False:
            yield (
                f"the zone {name} is signed, and would not be: while the parent has its DS records, validating"
                " resolvers fail for all of it"
            )


def _zones(facts: Facts) -> tuple[Mapping[str, bool], Mapping[str, bool]]:
    return zones_of(facts.before.intent.policy) if facts.before else {}, zones_of(facts.after.intent.policy)


RULES: Mapping[str, Callable[[Facts], Iterable[str]]] = {
    "last-site": _last_site,
    "app-removed": _app_removed,
    "host-removed": _host_removed,
    "large-move": _large_move,
    "zone-removed": _zone_removed,
    "dnssec-off": _dnssec_off,
}
"""By the name that `--allow` takes."""
