"""The handlers of ACME challenges: `challenges` says what they mean, `routes` has their lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gslb import clock
from gslb.control import challenges, changes
from gslb.control.answers import common
from gslb.control.bodies.challenge_messages import ChallengeKey, ChallengeRequest
from gslb.control.protocol import RoleState
from gslb.control.publishing import Publisher
from gslb.snapshot.intent import Challenge, Intent, Provenance
from gslb.store import AuditEntry

__all__ = ["cleanup", "present"]


async def present(publisher: Publisher, wanted: ChallengeRequest) -> dict[str, Any]:
    """As challenge_messages.ChallengeChange. Returns when every name server that can be reached answers it."""
    now_s = clock.wall_s()
    by = Provenance(author=wanted.author, reason=wanted.reason, at_s=now_s, expires_s=now_s + wanted.expires_in_s)

    def change(intent: Intent, name: str) -> Intent:
        return challenges.present(intent, Challenge(name=name, value=wanted.value, by=by))

    answer = await _change(publisher, wanted.name, by, "acme-present", change)
    (name,) = answer["after"]
    changed = answer["before"] != answer["after"]
    return {**answer, "undo": f"gslb acme cleanup {name} {wanted.value}" if changed else None}


async def cleanup(publisher: Publisher, name: str, query: ChallengeKey) -> dict[str, Any]:
    """As challenge_messages.ChallengeChange."""
    by = Provenance(author=query.author, reason=query.reason, at_s=clock.wall_s())

    def change(intent: Intent, placed: str) -> Intent:
        return challenges.cleanup(intent, placed, query.value)

    return await _change(publisher, name, by, "acme-cleanup", change)


async def _change(
    publisher: Publisher, name: str, by: Provenance, action: str, change: Callable[[Intent, str], Intent]
) -> dict[str, Any]:
    made: list[tuple[str, str, str]] = []

    def once(intent: Intent | None) -> Intent:
        old = changes.require(intent)
        placed = challenges.placed(old.policy, name)
        new = change(old, placed)
        made.append((placed, _values(old, placed), _values(new, placed)))
        return new

    audit = AuditEntry(at_s=by.at_s, author=by.author, action=action, detail=name, reason=by.reason)
    published = await publisher.change(once, audit)
    placed, before, after = made[-1]
    servers = [role for role, state in publisher.roles().items() if _answers(role, state)]
    return {
        "before": {placed: before},
        "after": {placed: after},
        "undo": None,
        "nameservers": {role: role not in published.unacknowledged for role in servers},
        **common(published),
    }


def _answers(name: str, state: RoleState | None) -> bool:
    """Whether it is a dns role, also of one that was never reached: `dns`, or `MACHINE/dns`."""
    return state.role == "dns" if state is not None else name.rpartition("/")[2] == "dns"


def _values(intent: Intent, name: str) -> str:
    return " ".join(item.value for item in intent.overrides.challenges if item.name == name)
