"""What the EDNS options of a query mean for its answer, and the OPT record that goes back.

Options are read in `query`; which answer is given is decided in `wire`. Nothing here looks a name up.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple

from gslb.dns.cookies import Stamp, stamp
from gslb.dns.protocol import Protocol
from gslb.dns.query import NO_OPTIONS, Edns, OptionCode, Options
from gslb.dns.subnet import Subnet, scope_bits
from gslb.dns.tables import Peer, Pool

__all__ = ["OPT_START", "UDP_LIMIT_BYTES", "ErrorCode", "Terms", "agree", "opt_record", "option", "options_for"]

UDP_LIMIT_BYTES = 1232
"""The largest UDP reply, and what we advertise: fits the IPv6 minimum MTU, so that nothing is fragmented."""

OPT_START = b"\x00\x00\x29"
"""How every OPT record of ours begins."""

_OPT = struct.Struct("!BHHBBHH")
_OPT_TYPE, _DNSSEC_OK = 41, 0x8000
_OPTION = struct.Struct("!HH")


class ErrorCode(IntEnum):
    """Why a query was refused (RFC 8914 sections 4.19 and 4.21)."""

    PROHIBITED = 18
    NOT_AUTHORITATIVE = 20


class Terms(NamedTuple):
    """`client` is the packed address that steering looks at: the subnet that the resolver named, or the resolver's own.
    `stamp` and `subnet` are None where they were not sent, or not wanted."""

    client: bytes
    stamp: Stamp | None = None
    subnet: Subnet | None = None


def agree(protocol: Protocol, edns: Edns | None, peer: Peer, wall_s: float) -> Terms:
    """Take up what a query from `peer` at `wall_s` (Unix seconds) offers, as far as `protocol` has it."""
    if edns is None or edns.options is NO_OPTIONS:
        return Terms(peer.address)
    cookie = edns.options.cookie
    made = stamp(protocol.cookie_secrets, cookie, peer.address, wall_s) if cookie and protocol.cookie_secrets else None
    subnet = edns.options.subnet if protocol.ecs else None
    return Terms((subnet and subnet.address) or peer.address, made, subnet)


def options_for(protocol: Protocol, options: Options, terms: Terms, pool: Pool | None, *, tcp: bool) -> bytes:
    """The options of a reply to `options`. `pool` is what the answer was drawn from; None: it is the same for all."""
    parts = []
    if terms.stamp:
        parts.append(option(OptionCode.COOKIE, terms.stamp.cookie))
    if terms.subnet:
        scope = 0
        if pool is not None and terms.subnet.address is not None:
            scope = scope_bits(pool.v4 if len(terms.client) == 4 else pool.v6, terms.client)
        parts.append(option(OptionCode.SUBNET, terms.subnet.echo(scope)))
    if options.nsid and protocol.identity:
        parts.append(option(OptionCode.NSID, protocol.identity))
    if options.keepalive and tcp and protocol.keepalive_ds:
        parts.append(option(OptionCode.KEEPALIVE, protocol.keepalive_ds.to_bytes(2)))
    return b"".join(parts)


def option(code: int, data: bytes) -> bytes:
    """One option of an OPT record (RFC 6891 section 6.1.2)."""
    return _OPTION.pack(code, len(data)) + data


def opt_record(edns: Edns, rcode: int, options: bytes = b"") -> bytes:
    """The OPT record of a reply: DO comes back, other flags are zero (RFC 6891 section 6.1.4)."""
    flags = _DNSSEC_OK if edns.dnssec_ok else 0
    return _OPT.pack(0, _OPT_TYPE, UDP_LIMIT_BYTES, rcode >> 4, 0, flags, len(options)) + options
