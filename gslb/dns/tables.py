"""What the responder answers from: frozen values, looked up and never computed while a query waits.

A `Tables` maps a lower-case wire name to an entry, an entry maps a query type to a pool, and a pool holds the record
bytes of every answer that may be given. Record bytes never hold the name that was asked for, only a pointer to the
question, so that one pool serves all names of an app and a new verdict recompiles pools, not names.

Building tables is `compose`'s work, choosing from them `draw`'s; nothing here knows a policy, a packet or a socket.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, NamedTuple, NewType

from gslb.snapshot.types import LiveState, SiteName, Version

__all__ = ["EMPTY", "Body", "Choice", "Peer", "Pool", "PoolIndex", "Qtype", "Ranges", "Rcode", "Tables", "Variant"]

PoolIndex = NewType("PoolIndex", int)


class Qtype(IntEnum):
    """The query types that mean something here; any other number is a type that no name has."""

    A = 1
    NS = 2
    SOA = 6
    HINFO = 13
    AAAA = 28
    ANY = 255


class Rcode(IntEnum):
    """RFC 6895 section 2.3. BADVERS does not fit the header: its upper bits travel in the OPT record."""

    NOERROR = 0
    FORMERR = 1
    SERVFAIL = 2
    NXDOMAIN = 3
    NOTIMP = 4
    REFUSED = 5
    BADVERS = 16


class Peer(NamedTuple):
    """Who asked. `address` is packed: 4 octets for IPv4, 16 for IPv6 (IPv4-mapped addresses do not occur)."""

    address: bytes
    tcp: bool = False


@dataclass(frozen=True, slots=True)
class Body:
    """The records of a positive answer, ready to follow the question. `extra` is glue that may be left out.

    No answers means NODATA: the SOA record is added when the reply is put together.
    """

    answers: int = 0
    records: bytes = b""
    extras: int = 0
    extra: bytes = b""


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


@dataclass(frozen=True, slots=True)
class Tables:
    """All that one zone answers. Replaced whole. `version`, `digest` and `live` are what it was compiled from.

    `names` holds every name that exists, empty non-terminals with an empty entry. `soa` is the SOA record of negative
    answers without its owner. Wall time is `mono_s + wall_offset_s`: the one field that its holder refreshes.
    """

    version: Version
    digest: str
    live: LiveState
    apex: bytes
    names: Mapping[bytes, Mapping[int, PoolIndex]]
    pools: tuple[Pool, ...]
    soa: bytes
    wall_offset_s: float = 0.0
