"""What the HTTP API does for tokens. The lines of the table stand in `routes`, the rules in `tokens`."""

from __future__ import annotations

import secrets
from typing import Any

from gslb import clock
from gslb.control import tokens
from gslb.control.answers import common
from gslb.control.bodies.messages import Undoing
from gslb.control.bodies.token_messages import TokenRequest
from gslb.control.changes import require
from gslb.control.publishing import Make, Publisher
from gslb.snapshot.intent import Intent, Provenance, Token
from gslb.store import AuditEntry

__all__ = ["create", "revoke", "seen"]


def seen(publisher: Publisher) -> dict[str, Any]:
    """As token_messages.TokensSeen."""
    current = publisher.current()
    intent = require(current[0] if current else None)
    return {"environment": intent.policy.environment, "tokens": tokens.tokens_seen(intent, clock.wall_s())}


async def create(publisher: Publisher, wanted: TokenRequest) -> dict[str, Any]:
    """As token_messages.TokenMade. Raises as tokens.create."""
    wall_s = clock.wall_s()
    secret = tokens.secret_of(secrets.token_bytes(tokens.SECRET_BYTES))
    expires_s = None if wanted.expires_in_s is None else wall_s + wanted.expires_in_s
    by = Provenance(author=wanted.author, reason=wanted.reason, at_s=wall_s, expires_s=expires_s)
    token = Token(name=wanted.name, hash=tokens.hash_of(secret), role=wanted.role, apps=wanted.apps, by=by)
    detail = f"create {wanted.name} --role {wanted.role}" + "".join(f" --app {app}" for app in wanted.apps)
    audit = AuditEntry(wall_s, wanted.author, "token", detail, wanted.reason)
    change = await _change(publisher, lambda intent: tokens.create(require(intent), token, wall_s), audit)
    return {**change, "undo": f"gslb token revoke {wanted.name}", "token": secret}


async def revoke(publisher: Publisher, name: str, query: Undoing) -> dict[str, Any]:
    """As token_messages.TokenChange. Raises as tokens.revoke."""
    audit = AuditEntry(clock.wall_s(), query.author, "token", f"revoke {name}", query.reason)
    return await _change(publisher, lambda intent: tokens.revoke(require(intent), name), audit)


async def _change(publisher: Publisher, make: Make, audit: AuditEntry) -> dict[str, Any]:
    before: dict[str, str] = {}
    after: dict[str, str] = {}

    def noting(intent: Intent | None) -> Intent:
        made = make(intent)
        for roles, one in ((before, intent), (after, made)):
            roles.clear()
            roles.update({token.name: token.role for token in one.overrides.tokens} if one else {})
        return made

    published = await publisher.change(noting, audit)
    return {
        **common(published),
        "undo": None,
        "before": before,
        "after": after,
    }
