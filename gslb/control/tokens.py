"""Tokens: what shows over TCP who is asking. Made, found, revoked. Pure: random octets and the time come in.

The secret is told once, to whoever makes it. What is kept is its SHA-256, which is enough for 256 random bits: there is
nothing to guess, so that nothing has to be slow.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import string
from typing import Any

from gslb.control.changes import require_known
from gslb.errors import RefusedError
from gslb.model.words import iso
from gslb.snapshot.intent import Intent, Token

__all__ = ["LIMIT", "SECRET_BYTES", "create", "find", "hash_of", "revoke", "secret_of", "tokens_seen"]

SECRET_BYTES = 32
LIMIT = 256
"""More than people and machines have, and few enough to carry with every change."""

_PREFIX = "gslb_"
"""By which scanners find a token in a place where none should be."""
_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_LENGTH = 43
"""62 ** 43 is the first power above 256 ** 32."""
_SECRET = re.compile(f"{_PREFIX}[0-9A-Za-z]{{{_LENGTH}}}")


def secret_of(octets: bytes) -> str:
    """The text of a token from `SECRET_BYTES` random octets: `gslb_`, and the number that they are, in base 62."""
    assert len(octets) == SECRET_BYTES
    number, digits = int.from_bytes(octets), ""
    for _ in range(_LENGTH):
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return _PREFIX + digits


def hash_of(secret: str) -> str:
    """What is kept of a token: 64 hex digits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def find(intent: Intent | None, secret: str, wall_s: float) -> Token | None:
    """The token with this secret that is in force at `wall_s` (Unix seconds); None where there is none."""
    if intent is None or not _SECRET.fullmatch(secret):
        return None
    asked = hash_of(secret)
    found = [token for token in intent.overrides.tokens if hmac.compare_digest(token.hash, asked)]
    return next((token for token in found if not _is_over(token, wall_s)), None)


def create(intent: Intent, token: Token, wall_s: float) -> Intent:
    """With `token`, and without those that are over. Raises PolicyError, rule `unknown-app`, and RefusedError, rules
    `token-exists` and `too-many-tokens`."""
    for app in token.apps:
        require_known("app", app, intent.policy.apps)
    kept = [item for item in intent.overrides.tokens if not _is_over(item, wall_s)]
    if any(item.name == token.name for item in kept):
        remedy = f"choose another name, or first: gslb token revoke {token.name}"
        raise RefusedError("token-exists", f"there is a token {token.name} already", remedy)
    if len(kept) >= LIMIT:
        remedy = "revoke those that nobody needs: gslb token list, gslb token revoke NAME"
        raise RefusedError("too-many-tokens", f"there are {LIMIT} tokens already", remedy)
    return _with(intent, [*kept, token])


def revoke(intent: Intent, name: str) -> Intent:
    """Without the token `name`, from now on. Raises PolicyError, rule `unknown-token`."""
    tokens = intent.overrides.tokens
    require_known("token", name, [token.name for token in tokens])
    return _with(intent, [token for token in tokens if token.name != name])


def tokens_seen(intent: Intent, wall_s: float) -> list[dict[str, Any]]:
    """Every token by name, as token_messages.TokenSeen: who may what until when, and nothing of the secret."""
    return [
        {
            "name": token.name,
            "role": token.role,
            "apps": sorted(token.apps),
            "created": iso(token.by.at_s),
            "author": token.by.author,
            "reason": token.by.reason,
            "expires": None if token.by.expires_s is None else iso(token.by.expires_s),
            "expired": _is_over(token, wall_s),
        }
        for token in sorted(intent.overrides.tokens, key=lambda token: token.name)
    ]


def _is_over(token: Token, wall_s: float) -> bool:
    return token.by.expires_s is not None and token.by.expires_s <= wall_s


def _with(intent: Intent, tokens: list[Token]) -> Intent:
    update = {"version": intent.overrides.version + 1, "tokens": tuple(tokens)}
    return intent.model_copy(update={"overrides": intent.overrides.model_copy(update=update)})
