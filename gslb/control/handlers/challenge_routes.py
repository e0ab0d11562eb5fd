"""The handlers of ACME challenges: `challenges` says what they mean, `routes` has their lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gslb import clock
from gslb.control import challenges, changes
from gslb.control.answers import common
from gslb.control.bodies.challenge_messages import ChallengeKey, ChallengeRequest
from gslb.control.publishing import Publisher
from gslb.snapshot.intent import Challenge, Intent, Provenance
from gslb.store import AuditEntry

__all__ = ["cleanup", "present"]


async def present(publisher: Publisher, wanted: ChallengeRequest) -> dict[str, Any]:
    """As challenge_messages.ChallengeChange. Returns when every name server that can be reached answers it."""
    now_s = clock.wall_s()
    by = Provenance(author=wanted.author, reason=wanted.reason, at_s=now_s, expires_s=now_s + wanted.expires_in_s)
    item = Challenge(name=wanted.name, value=wanted.value, by=by)
    undo = f"gslb acme cleanup {wanted.name} {wanted.value}"
    return await _change(publisher, wanted.name, by, "acme-present", undo, lambda i: challenges.present(i, item))


async def cleanup(publisher: Publisher, name: str, query: ChallengeKey) -> dict[str, Any]:
    """As challenge_messages.ChallengeChange."""
    by = Provenance(author=query.author, reason=query.reason, at_s=clock.wall_s())
    return await _change(publisher, name, by, "acme-cleanup", None, lambda i: challenges.cleanup(i, name, query.value))


async def _change(
    publisher: Publisher, name: str, by: Provenance, action: str, undo: str | None, change: Callable[[Intent], Intent]
) -> dict[str, Any]:
    made: list[tuple[str, str]] = []

    def once(intent: Intent | None) -> Intent:
        old = changes.require(intent)
        new = change(old)
        made.append((_values(old, name), _values(new, name)))
        return new

    audit = AuditEntry(at_s=by.at_s, author=by.author, action=action, detail=name, reason=by.reason)
    published = await publisher.change(once, audit)
    before, after = made[-1]
    return {
        "before": {name: before},
        "after": {name: after},
        "undo": undo if before != after else None,
        **common(published),
    }


def _values(intent: Intent, name: str) -> str:
    return " ".join(item.value for item in intent.overrides.challenges if item.name == name)
