"""What was seen of a name that shall move here: plain values from those who ask to those who judge. Nothing else.

Names are lower-case and absolute without the last dot; times are Unix seconds, TTLs seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gslb.outside.delegation_seen import DelegationSeen, Failure

__all__ = ["AnswerSeen", "CaaSeen", "CertificateSeen", "CutoverSeen", "NameSeen", "Plan", "Records"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is wanted. `zone` is the zone of ours that answers afterwards: `inside`, the name stands in it (it moves by
    delegation); else by a CNAME to `target`. `target` None: no app is meant or known. `hosts` are all of the app's,
    `edges` (address, port) where its HTTP is served."""

    name: str
    zone: str
    inside: bool = False
    target: str | None = None
    app: str | None = None
    hosts: tuple[str, ...] = ()
    edges: tuple[tuple[str, int], ...] = ()
    ttl_s: int = 0


@dataclass(frozen=True, slots=True)
class Records:
    """One RRset: the data of its records in the form of a zone file."""

    ttl_s: int
    data: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NameSeen:
    """The name today. `zone` is the one that it stands in, or why that was not found; `records` by type as a server of
    that zone tells them. `cached_ttl_s` is how long the resolver still keeps what it has of them (None: nothing),
    `addresses` where the name leads. `signed`: the zone's answers carry signatures."""

    zone: str | Failure
    records: Mapping[str, Records] = field(default_factory=dict)
    cached_ttl_s: int | None = None
    addresses: tuple[str, ...] = ()
    signed: bool = False


@dataclass(frozen=True, slots=True)
class CaaSeen:
    """The CAA records that count (RFC 8659 section 3), at `owner`: (flags, tag, value) each."""

    owner: str
    properties: tuple[tuple[int, str, str], ...]


@dataclass(frozen=True, slots=True)
class CertificateSeen:
    """What an address shows on its https port to whom asks for the name. `names` may hold wildcards, `issuer` is the
    organisation that issued it, `distrust` why this machine does not trust it (empty: it does)."""

    address: str
    failure: Failure | None = None
    names: tuple[str, ...] = ()
    issuer: str = ""
    until_s: float = 0.0
    distrust: str = ""


@dataclass(frozen=True, slots=True)
class AnswerSeen:
    """What an edge says to `GET /` for the name. `nobodys`: it says the same for a host that nobody has."""

    address: str
    port: int
    failure: Failure | None = None
    status: int = 0
    nobodys: bool = False


@dataclass(frozen=True, slots=True)
class CutoverSeen:
    """Everything that was seen. `caa` are the records that will count once the name has moved."""

    plan: Plan
    today: NameSeen
    delegation: DelegationSeen
    caa: CaaSeen | None = None
    old_certificates: tuple[CertificateSeen, ...] = ()
    new_certificates: tuple[CertificateSeen, ...] = ()
    answers: tuple[AnswerSeen, ...] = ()
