"""The PROXY protocol, version 2: who really asked, in the words of a proxy that stands in front of us.

HAProxy, "The PROXY protocol, versions 1 and 2", section 2.2. Whom to believe is for the caller to know.
"""

from __future__ import annotations

from ipaddress import IPv6Address
from typing import NamedTuple

from gslb.dns.tables import Peer

__all__ = ["PREAMBLE_BYTES", "Preamble", "parse_preamble", "parse_source"]

PREAMBLE_BYTES = 16
_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_LOCAL, _PROXY = 0x20, 0x21
_ADDRESS_BYTES = {0x1: 4, 0x2: 16}
_STREAM, _DATAGRAM = 0x1, 0x2
_UNKNOWN = 0x00
_MAPPED_PREFIX_BYTES = 12


class Preamble(NamedTuple):
    """The part of fixed size. `rest_bytes` (0 to 65535) of addresses and extensions follow it."""

    command: int
    protocol: int
    rest_bytes: int


def parse_preamble(octets: bytes) -> Preamble | None:
    """Read the first `PREAMBLE_BYTES` of a datagram or connection. None: this is no version 2 of the protocol."""
    if len(octets) < PREAMBLE_BYTES or not octets.startswith(_SIGNATURE) or octets[12] not in (_LOCAL, _PROXY):
        return None
    return Preamble(octets[12], octets[13], int.from_bytes(octets[14:16]))


def parse_source(preamble: Preamble, rest: bytes, proxy: Peer) -> Peer | None:
    """Who asked, by the `rest` of the header; None where it makes no sense. `proxy` is the peer that sent it.

    The proxy itself asked where it says so (LOCAL, its health checks) or does not know whom it speaks for. A client
    that came to the proxy by a stream has proven its address.
    """
    if len(rest) != preamble.rest_bytes:
        return None
    if preamble.command == _LOCAL or preamble.protocol == _UNKNOWN:
        return proxy
    size, transport = _ADDRESS_BYTES.get(preamble.protocol >> 4), preamble.protocol & 0xF
    if size is None or transport not in (_STREAM, _DATAGRAM) or len(rest) < 2 * size + 4:
        return None
    return Peer(_unmapped(rest[:size]), proxy.tcp, proven=transport == _STREAM)


def _unmapped(address: bytes) -> bytes:
    """IPv4 that came in through a socket for both families is IPv4."""
    if len(address) == 16 and IPv6Address(address).ipv4_mapped is not None:
        return address[_MAPPED_PREFIX_BYTES:]
    return address
