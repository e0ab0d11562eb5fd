"""How long a dead site would be answered: until the slowest of what takes it out has found it, and the TTL is over."""

from __future__ import annotations

from collections.abc import Iterator

from gslb.plan.types import Exposure
from gslb.snapshot.checks import CalculatedAsk, CheckName, NamedCheck, PushedAsk, Rounds
from gslb.snapshot.targets import EDGE_CHECK
from gslb.snapshot.types import App, Snapshot

__all__ = ["exposure_of", "ttl_words"]

Found = tuple[float, str]
"""Seconds until it is found, and how they come about."""


def exposure_of(snapshot: Snapshot, app: App) -> Exposure:
    """By the slowest of the checks of backends and of the named ones (`ready`). The last look that counts begins
    `interval` x `fall` after the site died at the latest, and is given up after `timeout`."""
    if app.failover == "manual":
        terms = f"failover is manual: until a person drains the site; then TTL {app.ttl_s} s"
        return Exposure(detection_s=None, ttl_s=app.ttl_s, total_s=None, terms=terms)
    found = [_rounds(f"check of {name}", check) for name in app.needed if (check := app.backends[name].check)]
    found = found or [_rounds("check of the edge", EDGE_CHECK)]
    for names in app.ready.values():
        found += [each for name in names for each in _named(snapshot, name)]
    seen_s, terms = max(found, key=lambda each: each[0])
    return Exposure(
        detection_s=round(seen_s, 3),
        ttl_s=app.ttl_s,
        total_s=round(seen_s + app.ttl_s, 3),
        terms=f"{terms}, TTL {app.ttl_s} s",
    )


def _rounds(what: str, check: Rounds) -> Found:
    seen_s = check.interval_s * check.fall + check.timeout_s
    return seen_s, f"{what}: {check.fall} x {check.interval_s:g} s + {check.timeout_s:g} s"


def _named(snapshot: Snapshot, name: CheckName) -> Iterator[Found]:
    """What is calculated is as slow as what it is calculated from. What is pushed is known when it is; if nobody pushes
    any more, when that may be held against it."""
    check: NamedCheck = snapshot.checks[name]
    match check.ask:
        case CalculatedAsk() as ask:
            for member in ask.of:
                yield from _named(snapshot, member)
        case PushedAsk() as ask:
            if ask.then == "down":
                yield ask.expires_s + check.interval_s, f"check {name}: it holds {ask.expires_s:g} s when nobody pushes"
        case _:
            yield _rounds(f"check {name}", check)


def ttl_words(app: App) -> str:
    """The TTL, or its bounds."""
    return f"{app.ttl_s} s" if app.ttl_min_s == app.ttl_s else f"{app.ttl_min_s} s to {app.ttl_s} s"
