"""The handlers of stopping and starting mirrors: `mirrors` says what it means, `routes` has the lines."""

from __future__ import annotations

from typing import Any

from gslb import clock
from gslb.control import answers, changes, mirrors
from gslb.control.bodies.mirror_messages import MirrorStopKey, MirrorStopRequest
from gslb.control.publishing import Publisher
from gslb.model.words import format_duration
from gslb.snapshot.intent import MirrorStop, Provenance
from gslb.store import AuditEntry

__all__ = ["start", "stop"]


async def stop(publisher: Publisher, wanted: MirrorStopRequest) -> dict[str, Any]:
    """As messages.MirrorChange."""
    now_s = clock.wall_s()
    expires_s = None if wanted.expires_in_s is None else now_s + wanted.expires_in_s
    by = Provenance(author=wanted.author, reason=wanted.reason, at_s=now_s, expires_s=expires_s)
    item = MirrorStop(app=wanted.app, route=wanted.route, by=by)
    lasting = "" if wanted.expires_in_s is None else f" --for {format_duration(wanted.expires_in_s)}"
    audit = _audit(by, "mirror-stop", f"{_scope(wanted)}{lasting}")
    published = await publisher.change(lambda intent: mirrors.stop(changes.require(intent), item), audit)
    return answers.mirror_change(published, wanted.app, wanted.route, "start")


async def start(publisher: Publisher, query: MirrorStopKey) -> dict[str, Any]:
    """As messages.MirrorChange."""
    by = Provenance(author=query.author, reason=query.reason, at_s=clock.wall_s())
    audit = _audit(by, "mirror-start", _scope(query))
    published = await publisher.change(
        lambda intent: mirrors.start(changes.require(intent), query.app, query.route), audit
    )
    return answers.mirror_change(published, query.app, query.route, "stop")


def _scope(asked: MirrorStopRequest | MirrorStopKey) -> str:
    return mirrors.scope(asked.app, asked.route) or "every mirror"


def _audit(by: Provenance, action: str, detail: str) -> AuditEntry:
    return AuditEntry(at_s=by.at_s, author=by.author, action=action, detail=detail, reason=by.reason)
