"""What was seen of a delegation: plain values from those who ask to those who judge. Nothing is asked or judged here.

Names are lower-case and absolute without the last dot, addresses are text, records are their data as octets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "ChildSeen",
    "DelegationSeen",
    "DsObservation",
    "Failure",
    "ParentSeen",
    "Server",
    "Signed",
    "Wanted",
]


@dataclass(frozen=True, slots=True, order=True)
class Server:
    """A name server at one of its addresses."""

    name: str
    address: str

    def __str__(self) -> str:
        return f"{self.name} ({self.address})"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a question has no useful answer. `silent`: none in time, or no connection; `lame`: the answer is not
    one of the zone's servers'; `unasked`: this machine has no way to the server, or no time was left."""

    kind: Literal["silent", "lame", "unasked"]
    why: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the policy says of a zone: its name servers with their addresses, the SOA serial (None: a folder, which has
    no serial yet), and whether it is signed."""

    zone: str
    nameservers: Mapping[str, frozenset[str]]
    serial: int | None = None
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Signed:
    """One RRset and the RRSIGs over it."""

    rdatas: frozenset[bytes] = frozenset()
    signatures: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class ParentSeen:
    """What one server of the parent zone says. `failure` None: it answered both questions. No `nameservers`: it does
    not delegate the zone. `signed`: its answers carry signatures. `serves_child`: it is a server of the zone too, so
    that it tells the zone's own NS records and no glue."""

    server: Server
    failure: Failure | None = None
    nameservers: frozenset[str] = frozenset()
    glue: Mapping[str, frozenset[str]] = field(default_factory=dict)
    ns_ttl_s: int | None = None
    ds: frozenset[bytes] = frozenset()
    ds_ttl_s: int | None = None
    signed: bool = False
    serves_child: bool = False


@dataclass(frozen=True, slots=True)
class ChildSeen:
    """What one server of the zone says. `udp` and `tcp` None: it answered its SOA there. `edns` tells what is wrong
    with its EDNS, empty: nothing. `same_case`: the question came back octet for octet."""

    server: Server
    udp: Failure | None = None
    tcp: Failure | None = None
    serial: int | None = None
    nameservers: frozenset[str] = frozenset()
    soa: Signed = Signed()
    keys: Signed = Signed()
    edns: str = ""
    same_case: bool = True


@dataclass(frozen=True, slots=True)
class DelegationSeen:
    """Everything that was seen. `parent` is the parent zone, or why it was not found."""

    wanted: Wanted
    parent: str | Failure
    parents: tuple[ParentSeen, ...] = ()
    children: tuple[ChildSeen, ...] = ()


@dataclass(frozen=True, slots=True)
class DsObservation:
    """The DS records of a zone as its parent's servers tell them: `records` are those that every server that answered
    has, `partial` those that only some have. `ttl_s` is how long resolvers may keep them at most, or keep that there
    are none; None: nobody told. `servers` answered, `silent` did not."""

    records: frozenset[bytes]
    partial: frozenset[bytes]
    ttl_s: int | None
    servers: tuple[Server, ...]
    silent: tuple[Server, ...]
