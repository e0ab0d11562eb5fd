"""What operators want: a policy revision and the overrides on it. Written by control only; read by every role.

Pydantic models, because an Intent crosses processes and rests in the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from gslb.model.policy import Policy
from gslb.model.words import DnsName, Name, Network, Percent, Seconds

__all__ = [
    "AccessRole", "Approval", "Challenge", "Drain", "Forced", "Intent", "Key", "KeyState", "Latency", "MirrorStop",
    "Overrides", "Provenance", "Shift", "SlowStart", "Token",
]  # fmt: skip


class Model(BaseModel):
    """Frozen and strict about keys. Octets are base64 in JSON."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, ser_json_bytes="base64", val_json_bytes="base64"
    )


class Provenance(Model):
    """Who did it, when, why, and until when (`None`: until somebody undoes it). Times are Unix seconds."""

    author: str = ""
    reason: str = ""
    at_s: float
    expires_s: float | None = None


class Drain(Model):
    """A site taken out, of DNS and (unless `entry_only`) of its own edge's routing; for one app or for all.
    `deadline_s` seconds after it was made, the connections that are still open are closed; None: never."""

    site: Name
    app: Name | None = None
    entry_only: bool = False
    deadline_s: Annotated[float, Field(ge=0)] | None = None
    by: Provenance


class Forced(Model):
    """What is to be believed of a site, whatever is seen of it; for one app or for all."""

    site: Name
    app: Name | None = None
    state: Literal["up", "down"]
    by: Provenance


class Approval(Model):
    """A person's word that a dead site may leave an app's answers (`failover`), or that one that is well again may come
    back (`resume`). It is about what happened before `by.at_s`, and about nothing that happens later."""

    app: Name
    site: Name
    what: Literal["failover", "resume"]
    by: Provenance


class SlowStart(Model):
    """An undrained site whose share grows from `by.at_s` until `by.expires_s`; for one app or for all."""

    site: Name
    app: Name | None = None
    by: Provenance


class Shift(Model):
    """The split of one route, set by a person."""

    app: Name
    route: Name
    split: Mapping[Name, Percent]
    by: Provenance


class MirrorStop(Model):
    """Mirrors that copy nothing: those of one route, of an app (`route` None), or all of them (`app` None, too)."""

    app: Name | None = None
    route: Name | None = None
    by: Provenance


KeyState = Literal[
    "published", "active", "retired", "new", "ready", "announced", "confirmed", "retiring", "withdrawn"
]  # fmt: skip
"""Where a DNSSEC key stands in its life; `control.rollover` has the table."""


class Key(Model):
    """A DNSSEC key of a zone. `public` is what its DNSKEY record holds, `private` the private key, sealed under the
    installation's secret.

    `since_s` (Unix seconds) is when it came into its state. `ds_ttl_s` belongs to `confirmed`: how long resolvers may
    still keep what the parent said before it had the key's DS record.
    """

    role: Literal["ksk", "zsk"]
    algorithm: Literal[13, 15]
    public: Annotated[bytes, Field(min_length=32, max_length=64)]
    private: str = Field(repr=False)
    state: KeyState
    since_s: float
    ds_ttl_s: Annotated[int, Field(ge=0)] | None = None


class Latency(Model):
    """Round-trip times in seconds, by network of clients and by site, as somebody measured them."""

    measured: Mapping[Network, Mapping[Name, Seconds]]
    by: Provenance


AccessRole = Literal["viewer", "acme", "operator", "admin"]
"""What somebody may do who uses the API over TCP; `control.access` says what that is."""


class Token(Model):
    """Who may use the API over TCP. `hash` is the SHA-256 of the secret, 64 hex digits; `apps` empty: every app."""

    name: Name
    hash: str = Field(repr=False, pattern=r"^[0-9a-f]{64}$")
    role: AccessRole
    apps: tuple[Name, ...] = ()
    by: Provenance


class Challenge(Model):
    """A TXT record that ACME asks for (DNS-01), until it is cleaned up or its time is over."""

    name: DnsName
    value: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,255}$")]
    by: Provenance


class Overrides(Model):
    """What changes without the policy. `version` rises with every change. `keys` are by zone, of zones that are signed
    and of those that were."""

    version: Annotated[int, Field(ge=0)] = 0
    drains: tuple[Drain, ...] = ()
    shifts: tuple[Shift, ...] = ()
    forced: tuple[Forced, ...] = ()
    mirror_stops: tuple[MirrorStop, ...] = ()
    approvals: tuple[Approval, ...] = ()
    slow_starts: tuple[SlowStart, ...] = ()
    challenges: tuple[Challenge, ...] = ()
    latency: Latency | None = Field(None, description="in place of the policy's, as a whole")
    keys: Mapping[DnsName, tuple[Key, ...]] = {}
    tokens: tuple[Token, ...] = ()


class Intent(Model):
    """`revision` numbers the policy, rising from 1 (u32, RFC 1982 is not needed before 4 billion changes)."""

    revision: Annotated[int, Field(ge=1, le=0xFFFFFFFF)]
    policy: Policy
    overrides: Overrides = Overrides()
