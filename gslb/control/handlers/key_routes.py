"""What the HTTP API does for DNSSEC keys. The lines of the table stand in `routes`, the rules in `keyring`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gslb import clock
from gslb.control.answers import common
from gslb.control.bodies import key_messages
from gslb.control.changes import require, require_known
from gslb.control.dnskeys import keyring
from gslb.control.dnskeys.keys_seen import key_states, keys_seen
from gslb.control.dnskeys.rollover import Event
from gslb.control.publishing import Publisher
from gslb.snapshot.intent import Intent
from gslb.store import AuditEntry

__all__ = ["begin_roll", "seen", "tell_ds"]


def seen(publisher: Publisher, query: key_messages.KeysQuery) -> dict[str, Any]:
    """As key_messages.KeysSeen. Raises PolicyError, rule `unknown-zone`, and RefusedError before the first policy."""
    current = publisher.current()
    require(current[0] if current else None)
    assert current is not None
    zone = _plain(query.zone) if query.zone else None
    if zone is not None:
        require_known("zone", zone, [item.name for item in (current[1].zone, *current[1].zones)])
    return keys_seen(current, _expiries_s(publisher), zone)


async def begin_roll(publisher: Publisher, wanted: key_messages.RollRequest) -> dict[str, Any]:
    """As key_messages.KeyChange. Raises as keyring.begin_roll."""
    at_s = clock.wall_s()
    audit = AuditEntry(at_s, wanted.author, "dnssec-roll", f"{_plain(wanted.zone)} {wanted.role}", wanted.reason)
    return await _change(
        publisher,
        wanted.zone,
        lambda intent: keyring.begin_roll(intent, wanted.zone, wanted.role, publisher.make_key, at_s),
        audit,
    )


async def tell_ds(publisher: Publisher, wanted: key_messages.DsRequest) -> dict[str, Any]:
    """As key_messages.KeyChange. Raises as keyring.tell."""
    at_s = clock.wall_s()
    event: Event = "ds-seen" if wanted.seen else "ds-gone"
    audit = AuditEntry(at_s, wanted.author, "dnssec-ds", f"{_plain(wanted.zone)} --{event}", wanted.reason)
    return await _change(publisher, wanted.zone, lambda intent: keyring.tell(intent, wanted.zone, event, at_s), audit)


async def _change(
    publisher: Publisher, zone: str, make: Callable[[Intent], Intent], audit: AuditEntry
) -> dict[str, Any]:
    zone = _plain(zone)
    before: dict[str, str] = {}

    def noting(intent: Intent | None) -> Intent:
        known = require(intent)
        before.clear()
        before.update(key_states(known, zone))
        return make(known)

    published = await publisher.change(noting, audit)
    current = publisher.current()
    assert current is not None
    return {
        **common(published),
        "undo": None,
        "before": before,
        "after": key_states(current[0], zone),
        "zone": keys_seen(current, _expiries_s(publisher), zone)["zones"][0],
    }


def _plain(zone: str) -> str:
    return zone.lower().removesuffix(".")


def _expiries_s(publisher: Publisher) -> Mapping[str, float]:
    """By zone, the earliest that any nameserver tells."""
    found: dict[str, float] = {}
    for state in publisher.roles().values():
        for zone, moment_s in (state.signature_expires_wall_s if state else {}).items():
            found[zone] = min(moment_s, found.get(zone, moment_s))
    return found
