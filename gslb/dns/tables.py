"""What the responder answers from: frozen values, looked up and never computed while a query waits.

A `Tables` maps a lower-case wire name to an entry, and an entry maps a record type to a body (static records) or to a
pool, which holds the body of every answer that may be given. Bodies never hold the name that they belong to, only a
pointer to the question, so that one pool serves all names of an app, a wildcard serves every name that it covers, and a
new verdict recompiles pools, not names.

Building tables is `compose`'s work, choosing from them `draw`'s; nothing here knows a policy, a packet or a socket.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal, NamedTuple, NewType

from gslb.dns.protocol import Protocol
from gslb.model.words import IpAddress
from gslb.snapshot.types import AppName, Filter, LiveState, SiteName, Version

__all__ = [
    "EMPTY", "OWNER", "Body", "Chain", "Choice", "ClassMap", "Classes", "Denial", "Entry", "Peer", "Places", "Pool",
    "PoolIndex", "Qtype", "Ranges", "Rcode", "Tables", "Variant",
]  # fmt: skip

PoolIndex = NewType("PoolIndex", int)

OWNER = 0xC00C
"""A pointer to the name in the question, which always starts after the header (RFC 1035 section 4.1.4)."""


class Qtype(IntEnum):
    """The query types that mean something here; any other number is a type that no name has."""

    A = 1
    NS = 2
    CNAME = 5
    SOA = 6
    HINFO = 13
    MX = 15
    TXT = 16
    AAAA = 28
    SRV = 33
    DNAME = 39
    DS = 43
    RRSIG = 46
    NSEC = 47
    DNSKEY = 48
    CDS = 59
    CDNSKEY = 60
    SVCB = 64
    HTTPS = 65
    ANY = 255


class Rcode(IntEnum):
    """RFC 6895 section 2.3. BADVERS and BADCOOKIE do not fit the header: their upper bits travel in the OPT record."""

    NOERROR = 0
    FORMERR = 1
    SERVFAIL = 2
    NXDOMAIN = 3
    NOTIMP = 4
    REFUSED = 5
    YXDOMAIN = 6
    BADVERS = 16
    BADCOOKIE = 23


class Peer(NamedTuple):
    """Who asked. `address` is packed: 4 octets for IPv4, 16 for IPv6 (IPv4-mapped addresses do not occur). `tcp` is how
    the reply travels; `proven`: the address is not forged, because its packets went both ways."""

    address: bytes
    tcp: bool = False
    proven: bool = False


class Body(NamedTuple):
    """Records as they follow the question: `answers`, `authorities` and `extras` count them. `extra` may be left out
    where it does not fit, but not the glue of a `referral`, whose answer, too, is not authoritative. `mark` is what the
    signature of `records` is found by in a signed zone: the type of a static RRset, above 65,535 for a steered one."""

    answers: int = 0
    records: bytes = b""
    extras: int = 0
    extra: bytes = b""
    authorities: int = 0
    authority: bytes = b""
    referral: bool = False
    mark: int = 0


EMPTY = Body()


@dataclass(frozen=True, slots=True)
class Variant:
    """One possible answer. `weight` is positive; `key` (u64) stands for its sites in draws and is the same on every
    node; `upto` (1 to 2**32) is its upper end among its siblings on the line of 32-bit random numbers."""

    sites: tuple[SiteName, ...]
    weight: float
    key: int
    upto: int
    body: Body


@dataclass(frozen=True, slots=True)
class Choice:
    """What clients of one class may be told, at least one variant, and how one of them is drawn."""

    by: Literal["window", "client", "answer"]
    variants: tuple[Variant, ...]


@dataclass(frozen=True, slots=True)
class Ranges:
    """Classes of clients of one address family: `choices[i]` holds from packed address `starts[i]` up to the next
    start. The first start is empty, which is below every address."""

    starts: tuple[bytes, ...]
    choices: tuple[Choice, ...]

    def choice(self, address: bytes) -> Choice:
        """The class of a packed address of this family."""
        return self.choices[bisect_right(self.starts, address) - 1]


@dataclass(frozen=True, slots=True)
class Pool:
    """All answers of an app for one query type. `key` (u64) stands for the app in draws, whatever the type."""

    key: int
    ttl_s: int
    v4: Ranges
    v6: Ranges


Entry = Mapping[int, PoolIndex | Body]
"""What one name has, by type."""

Places = Mapping[AppName, Mapping[int, PoolIndex]]
"""The pools of each app, by type."""


class Denial(NamedTuple):
    """What a name does not have, and that nothing lies between it and the next (RFC 4034 section 4). `labels` are those
    of the name before the apex of its zone; `record` and `seal` are its NSEC record and the RRSIG of that, each from
    the type on."""

    labels: bytes
    record: bytes
    seal: bytes


class Chain(NamedTuple):
    """All denials of a zone: that of a name is the last whose key is not above the key of the name (`denial.sort_key`),
    whether or not the name exists. The apex is first."""

    keys: tuple[bytes, ...]
    denials: tuple[Denial, ...]


@dataclass(frozen=True, slots=True)
class Classes:
    """Clients of one address family: from packed address `starts[i]` (the first is empty) up to the next start they are
    of class `classes[i]`, of which `members` holds one address each."""

    starts: tuple[bytes, ...]
    classes: tuple[int, ...]
    members: tuple[IpAddress, ...]


ClassMap = Mapping[tuple[tuple[Filter, ...], int], Classes]
"""By the filters that look at addresses, and the family of the clients (4 or 6)."""


@dataclass(frozen=True, slots=True)
class Tables:
    """All that a server answers. Replaced whole. `version`, `digest` and `live` are what it was compiled from.

    `zones` holds the apex of each zone with its SOA record for negative answers, from the type on. `names` holds every
    name that exists, empty non-terminals with an empty entry; of what is delegated only the cut itself, with no more
    than its DS records. `cuts` holds the NS records of each cut as answers, and its glue. Wall time is
    `mono_s + wall_offset_s`: the one field that its holder refreshes. `protocol` is put in by the holder, too.
    `classes` and `places` are not for answers but for the next recompilation: no verdict changes them, and classes are
    costly.

    A zone that has a chain is signed. `seals` holds, by owner (a wildcard by its own name) and `mark` of a body, the
    RRSIG of its records, whose owner is the name in the question; its TTL is to be that of the records. `lacking`
    holds, by name and type, what proves that a type which the name may have is missing now. `sealed` holds, by place of
    a pool and mark, every body that has been signed for the names of that pool.
    """

    version: Version
    digest: str
    live: LiveState
    zones: Mapping[bytes, bytes]
    names: Mapping[bytes, Entry]
    cuts: Mapping[bytes, Body]
    pools: tuple[Pool, ...]
    wall_offset_s: float = 0.0
    protocol: Protocol = field(default_factory=Protocol)
    classes: ClassMap = field(default_factory=dict)
    places: Places = field(default_factory=dict)
    seals: Mapping[bytes, Mapping[int, bytes]] = field(default_factory=dict)
    chains: Mapping[bytes, Chain] = field(default_factory=dict)
    lacking: Mapping[tuple[bytes, int], Denial] = field(default_factory=dict)
    sealed: Mapping[int, Mapping[int, Body]] = field(default_factory=dict)
