"""Which users a mirror is due for: a point on a line for each, as a number and as a guard of routes. Nothing of bodies.

A share of the users are those whose point lies below it, so that a rising share only adds users, the shares of all
routes of an app nest, and every edge decides alike. The point is a hash of its own (FNV-1a, then the end of Murmur3,
32 bits each), seeded with the app: it has nothing to do with the side of a split that a user has, nor with other apps.
"""

from __future__ import annotations

from typing import Any

from gslb.snapshot.types import WHOLE_BP, AppName

__all__ = ["outside", "user_point"]

_LUA = "type.googleapis.com/envoy.extensions.string_matcher.lua.v3.Lua"
_LIMIT_BYTES = 256
"""What is read of a name: nobody shall make an edge hash 60 KiB with every request."""
_BASIS, _PRIME = 0x811C9DC5, 0x01000193
_MIX_1, _MIX_2 = 0x85EBCA6B, 0xC2B2AE35
_MASK = 0xFFFFFFFF


def user_point(app: AppName, value: str) -> int:
    """Where the user `value` (of a cookie or a header) of `app` stands, 0 to 9999."""
    mixed = _fnv(_seed(app), value.encode()[:_LIMIT_BYTES])
    mixed = (mixed ^ mixed >> 16) * _MIX_1 & _MASK
    mixed = (mixed ^ mixed >> 13) * _MIX_2 & _MASK
    return (mixed ^ mixed >> 16) % WHOLE_BP


def outside(app: AppName, share_bp: int) -> dict[str, Any]:
    """A StringMatcher (envoy.type.matcher.v3) that takes the users who are not in the share: `user_point` in the Lua of
    LuaJIT, whose numbers are doubles, so that products are made of halves."""
    code = f"""
local bit = require("bit")
local tobit, bxor, lshift, rshift = bit.tobit, bit.bxor, bit.lshift, bit.rshift
local function times(h, high, low)
  return tobit(h * low + lshift(tobit(h * high), 16))
end
function envoy_match(value)
  local h = tobit({_seed(app)})
  for i = 1, math.min(#value, {_LIMIT_BYTES}) do
    h = times(bxor(h, value:byte(i)), {_halves(_PRIME)})
  end
  h = times(bxor(h, rshift(h, 16)), {_halves(_MIX_1)})
  h = times(bxor(h, rshift(h, 13)), {_halves(_MIX_2)})
  h = bxor(h, rshift(h, 16))
  return h % 4294967296 % {WHOLE_BP} >= {share_bp}
end
"""
    typed = {"@type": _LUA, "source_code": {"inline_string": code}}
    return {"custom": {"name": "envoy.string_matcher.lua", "typed_config": typed}}


def _seed(app: AppName) -> int:
    return _fnv(_BASIS, f"{app}\0".encode())


def _fnv(state: int, octets: bytes) -> int:
    for octet in octets:
        state = (state ^ octet) * _PRIME & _MASK
    return state


def _halves(number: int) -> str:
    return f"{number >> 16}, {number & 0xFFFF}"
