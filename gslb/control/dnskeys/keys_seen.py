"""What an operator sees of DNSSEC keys: their states in words, what comes next, and the records for the parent. Pure.

Private halves never come here: neither sealed nor open.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any

from gslb.control.dnskeys import rollover
from gslb.control.dnskeys.keyring import signed_zones, zone_key
from gslb.control.dnskeys.rollover import Times
from gslb.dns.dnssec.keys import ALGORITHM_NAMES, dnskey_rdata, ds_rdata, key_tag
from gslb.model.wire_name import from_text
from gslb.model.words import iso
from gslb.snapshot.intent import Intent, Key
from gslb.snapshot.types import Snapshot, Zone

__all__ = ["key_states", "keys_seen", "moves", "tag_of"]

_NEXT = {
    "published": "signs",
    "retired": "is removed",
    "new": "asks for its DS record",
    "confirmed": "takes the place of the active one",
    "retiring": "needs its DS record no longer",
}
_TODO = {
    "new": "publish its DS record when the wait is over: caches may hold unsigned answers until then",
    "ready": "publish its DS record in the parent zone",
    "announced": "publish its DS record in the parent zone, beside the one that is there",
    "confirmed": "keep both DS records in the parent zone",
    "retiring": "keep both DS records in the parent zone",
    "withdrawn": "take its DS record out of the parent zone",
}


def keys_seen(current: tuple[Intent, Snapshot], expires_s: Mapping[str, float], only: str | None) -> dict[str, Any]:
    """Every zone, or `only` one, as messages of `key_messages.KeysSeen`. `expires_s` is by zone when (Unix seconds) its
    first signature expires, where that is known."""
    intent, snapshot = current
    signed = signed_zones(intent)
    zones = (snapshot.zone, *snapshot.zones)
    return {
        "environment": snapshot.environment,
        "zones": [
            _zone(zone, signed.get(zone.name, ()), rollover.times_of(snapshot, zone), expires_s.get(zone.name))
            for zone in zones
            if only in (None, zone.name)
        ],
    }


def key_states(intent: Intent, zone: str) -> dict[str, str]:
    """State by key of a zone, such as `zsk 12345`: what a change tells before and after."""
    return {f"{key.role} {tag_of(key)}": key.state for key in intent.overrides.keys.get(zone, ())}


def moves(before: Intent, after: Intent) -> Iterable[str]:
    """What happened to keys between the two, one line a key."""
    for zone in after.overrides.keys:
        was, now = key_states(before, zone), key_states(after, zone)
        for name in {**was, **now}:
            if was.get(name) != now.get(name):
                yield f"{zone}: {name} {was.get(name, 'made')} -> {now.get(name, 'removed')}"


def tag_of(key: Key) -> int:
    """The key tag that its DNSKEY record has."""
    return key_tag(dnskey_rdata(zone_key(key)))


def _zone(zone: Zone, keys: tuple[Key, ...], times: Times, expires_s: float | None) -> dict[str, Any]:
    return {
        "zone": zone.name,
        "signed": bool(keys),
        "algorithm": ALGORITHM_NAMES[keys[0].algorithm] if keys else None,
        "signatures_expire": None if expires_s is None else iso(expires_s),
        "keys": [_key(zone.name, key, times) for key in keys],
    }


def _key(zone: str, key: Key, times: Times) -> dict[str, Any]:
    due_s = rollover.due_s(key, times)
    return {
        "role": key.role,
        "tag": tag_of(key),
        "state": key.state,
        "since": iso(key.since_s),
        "next": _NEXT.get(key.state),
        "next_at": None if due_s is None else iso(due_s),
        "todo": _TODO.get(key.state) if key.role == "ksk" else None,
        **(_for_parent(zone, key) if key.role == "ksk" else {"ds": None, "cdnskey": None}),
    }


def _for_parent(zone: str, key: Key) -> dict[str, str]:
    """Records in the form of a zone file (RFC 4034 section 5.3, RFC 7344 section 3.2)."""
    dnskey = dnskey_rdata(zone_key(key))
    ds = ds_rdata(from_text(zone), dnskey)
    fields = f"{int.from_bytes(ds[:2])} {ds[2]} {ds[3]} {ds[4:].hex().upper()}"
    flags = int.from_bytes(dnskey[:2])
    public = base64.b64encode(key.public).decode("ascii")
    return {
        "ds": f"{zone}. IN DS {fields}",
        "cdnskey": f"{zone}. IN CDNSKEY {flags} {dnskey[2]} {dnskey[3]} {public}",
    }
