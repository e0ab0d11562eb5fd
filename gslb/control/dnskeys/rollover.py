"""The life of a zone's DNSSEC keys as a table: which state follows which, when, and on whose word (RFC 7583). Pure.

Zone-signing keys are pre-published (RFC 7583 section 3.2.1): the new key stands in the DNSKEY records until every cache
has it, then signs; the old one stays there until no cache holds what it signed.

Key-signing keys roll by double-DS (section 3.3.2): the parent is asked for the new key's DS record beside that of the
old one; when it shows it, and no cache holds what it showed before, the keys change places in the DNSKEY records; when
no cache holds the old DNSKEY records, the parent is asked to take the old DS record away. So the DNSKEY records hold
one such key at a time. The first key of a zone signs at once, but its DS record is asked for only when no cache holds
unsigned data.

    zsk:  published -> active -> retired -> gone
    ksk:  announced -> confirmed -> active -> retiring -> withdrawn -> gone        the first one: new -> ready -> active

At every moment one key of each role signs. Which keys a snapshot publishes, signs with and announces in a state is
`compile_snapshot`'s table. Nothing here makes a key, asks anybody or stores anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gslb.dns.dnssec.keys import DNSKEY_TTL_S
from gslb.errors import RefusedError
from gslb.snapshot.intent import Key, KeyState
from gslb.snapshot.types import Snapshot, Zone

__all__ = [
    "DS_TTL_S", "PROPAGATION_S", "SIGNING", "Event", "Times", "due_s", "first", "hear", "restart", "resume", "roll",
    "step", "times_of",
]  # fmt: skip

Event = Literal["ds-seen", "ds-gone"]

PROPAGATION_S = 300
"""How long a nameserver may take to serve what control has published: then its caches count from now."""

DS_TTL_S = 86_400
"""Taken for the TTL of the parent's DS records where nobody could ask it: the longest that is common."""

_RETIREMENT_S = 86_400
"""An old zone-signing key stays at least this long: TTLs may have been longer than they are now, a day for what is
steered."""


@dataclass(frozen=True, slots=True)
class Times:
    """What the waits are made of, in seconds. `longest_ttl_s` is that of any record of the zone."""

    longest_ttl_s: int
    dnskey_ttl_s: int = DNSKEY_TTL_S
    propagation_s: int = PROPAGATION_S


_AFTER: Mapping[tuple[str, KeyState], KeyState | None] = {
    ("zsk", "published"): "active",
    ("zsk", "retired"): None,
    ("ksk", "new"): "ready",
    ("ksk", "confirmed"): "active",
    ("ksk", "retiring"): "withdrawn",
}
"""What follows when the wait is over; None: the key is gone."""

_HEARD: Mapping[tuple[KeyState, Event], KeyState | None] = {
    ("new", "ds-seen"): "active",
    ("ready", "ds-seen"): "active",
    ("announced", "ds-seen"): "confirmed",
    ("confirmed", "ds-gone"): "announced",
    ("withdrawn", "ds-gone"): None,
}
"""What follows when the parent has, or no longer has, the DS record of a key-signing key."""

SIGNING = frozenset(("active", "new", "ready"))
"""The states in which a key signs."""

_REPLACED: Mapping[str, KeyState] = {"zsk": "retired", "ksk": "retiring"}
"""What becomes of the active key when another takes its place."""


def times_of(snapshot: Snapshot, zone: Zone) -> Times:
    """The times of one zone of a snapshot."""
    steered = (app.ttl_s for app in snapshot.apps.values())
    static = (int(line.split(maxsplit=2)[1]) for line in zone.records.splitlines())
    return Times(max(zone.ttl_s, DNSKEY_TTL_S, *steered, *static))


def first(ksk: Key, zsk: Key, wall_s: float) -> tuple[Key, ...]:
    """The first keys of a zone, from keys in any state."""
    return _put(ksk, "new", wall_s), _put(zsk, "active", wall_s)


def resume(keys: Sequence[Key], wall_s: float) -> tuple[Key, ...]:
    """The keys of a zone that is signed again: caches may hold what was not signed, and the parent no DS record, so
    that the key-signing key starts as a first one does, and a roll of it is given up."""
    ksk = next(key for key in keys if key.role == "ksk" and key.state in SIGNING)
    return (_put(ksk, "new", wall_s), *(key for key in keys if key.role == "zsk"))


def roll(keys: Sequence[Key], new: Key, wall_s: float) -> tuple[Key, ...]:
    """A roll of the keys of `new`'s role begins, with `new` to take the active one's place.

    Raises RefusedError, rule `roll-under-way`, where the last one has not come to its end, or the parent does not have
    the DS record of the first key.
    """
    states = {key.state for key in keys if key.role == new.role}
    if states & {"new", "ready"}:
        raise RefusedError(
            "roll-under-way",
            "the first key-signing key has no DS record in the parent zone yet, so there is nothing to roll",
            "publish there what gslb dnssec ds prints; gslb dnssec status says when it was seen",
        )
    if states != {"active"}:
        raise RefusedError(
            "roll-under-way",
            f"a roll of the {new.role} is under way already",
            "wait until it has come to its end; gslb dnssec status says what comes next",
        )
    return (*keys, _put(new, "published" if new.role == "zsk" else "announced", wall_s))


def step(keys: Sequence[Key], wall_s: float, times: Times) -> tuple[Key, ...]:
    """The keys after every wait that is over at `wall_s`. The same tuple where none is."""
    for key in keys:
        moment_s = due_s(key, times)
        if moment_s is not None and moment_s <= wall_s:
            keys = _moved(keys, key, _AFTER[key.role, key.state], wall_s)
    return tuple(keys)


def hear(keys: Sequence[Key], key: Key, event: Event, wall_s: float, ds_ttl_s: int | None = None) -> tuple[Key, ...]:
    """The keys after the parent was seen with or without the DS record of `key`; the same where that means nothing.

    `ds_ttl_s` is how long resolvers may keep what the parent said before.
    """
    if key.role != "ksk" or (key.state, event) not in _HEARD:
        return tuple(keys)
    moved = _moved(keys, key, _HEARD[key.state, event], wall_s)
    wait_s = DS_TTL_S if ds_ttl_s is None else ds_ttl_s
    return tuple(
        item.model_copy(update={"ds_ttl_s": wait_s if item.state == "confirmed" else None})
        if item.public == key.public
        else item
        for item in moved
    )


def restart(keys: Sequence[Key], wall_s: float) -> tuple[Key, ...]:
    """All waits from the beginning: a nameserver has told until now what was true before."""
    return tuple(_put(key, key.state, wall_s) if (key.role, key.state) in _AFTER else key for key in keys)


def due_s(key: Key, times: Times) -> float | None:
    """When (Unix seconds) the wait of a key is over; None where it waits for a person or for nothing."""
    if (key.role, key.state) not in _AFTER:
        return None
    waits_s = {
        "published": times.dnskey_ttl_s,
        "retired": max(times.longest_ttl_s, _RETIREMENT_S),
        "new": times.longest_ttl_s,
        "confirmed": key.ds_ttl_s or 0,
        "retiring": times.dnskey_ttl_s,
    }
    return key.since_s + waits_s[key.state] + times.propagation_s


def _moved(keys: Iterable[Key], key: Key, state: KeyState | None, wall_s: float) -> tuple[Key, ...]:
    """`key` in another state; the one whose place it takes makes room."""
    made = []
    for item in keys:
        if item.public == key.public and item.role == key.role:
            if state is not None:
                made.append(_put(item, state, wall_s))
        elif state == "active" and (item.role, item.state) == (key.role, "active"):
            made.append(_put(item, _REPLACED[item.role], wall_s))
        else:
            made.append(item)
    return tuple(made)


def _put(key: Key, state: KeyState, wall_s: float) -> Key:
    return key.model_copy(update={"state": state, "since_s": wall_s})
