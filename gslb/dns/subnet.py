"""EDNS Client Subnet (RFC 7871): what the option of a query says, and how far a reply holds.

Whom to prefer for a subnet is steering's word, compiled into ranges; nothing here knows a site.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from gslb.dns.tables import Ranges, Rcode
from gslb.errors import WireError

__all__ = ["Subnet", "parse_subnet", "scope_bits"]

_FIXED_BYTES = 4  # family, source, scope
_FAMILY_BYTES = {1: 4, 2: 16}
_NO_FAMILY = bytes(4)
_DRAW_BITS = {4: 24, 16: 56}
"""The prefix that draws by window and by client hash; see `draw`."""


class Subnet(NamedTuple):
    """`address` is packed and filled with zeros (4 or 16 octets), or None where nothing may be told apart: source 0."""

    address: bytes | None
    option: bytes

    def echo(self, scope_bits: int) -> bytes:
        """The data of the reply's option: everything as it was sent, with the scope (RFC 7871 section 7.2.1)."""
        return b"".join((self.option[:3], scope_bits.to_bytes(), self.option[4:]))


def parse_subnet(option: bytes) -> Subnet | None:
    """Read the data of an ECS option. None: it names no family, as `dig +subnet=0` does to opt out, and is answered as
    if it were not there, because many cannot read family 0 in a reply.

    Raises WireError with FORMERR (RFC 7871 sections 6 and 7.1.2): an unknown family, a source that is too long, an
    address that is longer or shorter than the source needs, bits behind the source, a scope in a query.
    """
    if option == _NO_FAMILY:
        return None
    if len(option) < _FIXED_BYTES:
        raise WireError(Rcode.FORMERR, "the subnet option ends too early")
    family, source_bits, scope = int.from_bytes(option[:2]), option[2], option[3]
    size = _FAMILY_BYTES.get(family)
    address = option[_FIXED_BYTES:]
    if size is None or source_bits > size * 8 or scope:
        raise WireError(Rcode.FORMERR, "the subnet option has an unknown family, too long a source, or a scope")
    if len(address) != (source_bits + 7) // 8:
        raise WireError(Rcode.FORMERR, "the address of the subnet option has not the length of its source")
    if source_bits % 8 and address[-1] & 0xFF >> source_bits % 8:
        raise WireError(Rcode.FORMERR, "the address of the subnet option goes on behind its source")
    return Subnet(address.ljust(size, b"\0") if source_bits else None, option)


def scope_bits(ranges: Ranges, address: bytes) -> int:
    """The length of the shortest prefix of `address` (packed, of the family of `ranges`) whose every member may be told
    what `address` is told: 0 where that is everybody.

    Such a prefix holds neither the last address before the class of `address` nor the first one behind it. Draws that
    hash a prefix tell the members of a class apart, where there is something to draw.
    """
    size = len(address)
    client = int.from_bytes(address)
    place = bisect_right(ranges.starts, address)
    strangers = [int.from_bytes(start) for start in ranges.starts[place : place + 1]]
    if place > 1:
        strangers.append(int.from_bytes(ranges.starts[place - 1]) - 1)
    bits = max((size * 8 + 1 - (client ^ stranger).bit_length() for stranger in strangers), default=0)
    choice = ranges.choices[place - 1]
    if len(choice.variants) > 1 and choice.by != "answer":
        return max(bits, _DRAW_BITS[size])
    return bits
