"""What an operator chose about the protocol, as one frozen value that travels with the tables.

Reading settings, files and the command line is the role's work; nothing here is looked up, counted or changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

__all__ = ["IDENTITY_LIMIT_BYTES", "Protocol"]

IDENTITY_LIMIT_BYTES = 64
"""A longer name would not fit beside the longest question, a cookie and a subnet into 512 octets."""

_TXT, _CHAOS = b"\x00\x10", b"\x00\x03"
_OWNER, _NO_TTL = b"\xc0\x0c", bytes(4)
_IDENTITY_NAMES = (b"\x02id\x06server\x00", b"\x08hostname\x04bind\x00")
_VERSION_NAMES = (b"\x07version\x04bind\x00", b"\x07version\x06server\x00")


@dataclass(frozen=True, slots=True)
class Protocol:
    """`cookie_secrets`: 16 octets each, the first makes cookies and all are accepted; none: no cookies (RFC 7873).

    `ecs`: steer by EDNS Client Subnet (RFC 7871). `identity`: what NSID tells (RFC 5001); empty: nothing. `chaos`: TXT
    records by the name that class CHAOS may be asked for; other names are refused. `keepalive_ds`: how long an idle TCP
    connection lives, in tenths of a second (RFC 7828 section 3.1); 0: not told.
    """

    cookie_secrets: tuple[bytes, ...] = ()
    ecs: bool = True
    identity: bytes = b""
    chaos: Mapping[bytes, bytes] = field(default_factory=dict)
    keepalive_ds: int = 0

    @classmethod
    def telling(
        cls, identity: bytes, version: bytes, cookie_secrets: tuple[bytes, ...] = (), *, ecs: bool = True
    ) -> Self:
        """With names of RFC 4892 for `identity`, and for `version`, where they are not empty.

        Neither is longer than `IDENTITY_LIMIT_BYTES`.
        """
        texts = [*((name, identity) for name in _IDENTITY_NAMES), *((name, version) for name in _VERSION_NAMES)]
        chaos = {name: _txt(text) for name, text in texts if text}
        return cls(cookie_secrets, ecs, identity, chaos)


def _txt(text: bytes) -> bytes:
    """A TXT record of class CHAOS whose owner is the question."""
    data = len(text).to_bytes() + text
    return b"".join((_OWNER, _TXT, _CHAOS, _NO_TTL, len(data).to_bytes(2), data))
