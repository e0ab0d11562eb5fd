"""Bodies of the HTTP API that concern DNSSEC keys. No rule of the product here; nothing private, not even sealed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from gslb.control.bodies.messages import Author, Body, Change, Line
from gslb.model.words import DnsName
from gslb.snapshot.intent import KeyState

__all__ = ["DsRequest", "KeyChange", "KeysQuery", "KeysSeen", "RollRequest"]


class KeysQuery(Body):
    """Which zone; None: every one."""

    zone: DnsName | None = None


class KeySeen(Body):
    """`next` is what the key does by itself at `next_at`; `todo` what a person must see to. `ds` and `cdnskey` are
    records for the parent zone, in the form of a zone file, of a key-signing key."""

    role: Literal["ksk", "zsk"]
    tag: int
    state: KeyState
    since: str
    next: str | None
    next_at: str | None
    todo: str | None
    ds: str | None
    cdnskey: str | None


class SignedZone(Body):
    """`signatures_expire` is when the first of its signatures does, None where no nameserver has told."""

    zone: str
    signed: bool
    algorithm: str | None
    signatures_expire: str | None
    keys: list[KeySeen]


class KeysSeen(Body):
    environment: str
    zones: list[SignedZone]


class RollRequest(Body):
    """Put a new key in the place of the active one."""

    zone: DnsName
    role: Literal["ksk", "zsk"]
    reason: Line = ""
    author: Author = ""


class DsRequest(Body):
    """A person has looked at the parent: it shows the awaited DS record (`seen`), or the old one no more."""

    zone: DnsName
    seen: bool
    reason: Line = ""
    author: Author = ""


class KeyChange(Change):
    """State by key, before and after; `zone` as it stands then."""

    before: Mapping[str, str]
    after: Mapping[str, str]
    zone: SignedZone
