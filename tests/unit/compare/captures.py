"""Captures as an edge sends them, and rules to compare them by."""

from __future__ import annotations

import json
import zlib

from gslb.compare.capture import Captured
from gslb.compare.joining import Joined
from gslb.compare.rules import Rules

RULES = Rules("shop/pay", target="new", reference="old", noise=True, body_bytes=65_536)


def hash_of(body: bytes) -> int:
    """Not the edge's: what is equal is equal, and what is not is not."""
    return zlib.crc32(body) & 0x7FFFFFFF


def captured(role="answer", side="old", body=b"", status=200, headers=None, **more) -> Captured:
    if not isinstance(body, bytes):
        headers, body = {"content-type": "application/json", **(headers or {})}, json.dumps(body).encode()
    given = {
        "site": "dc", "key": "shop/pay", "role": role, "side": side, "request_id": "r1", "method": "GET",
        "path": "/pay?a=1", "status": status, "headers": tuple((headers or {}).items()), "body": body,
        "size_bytes": len(body), "hash32": hash_of(body),
    }  # fmt: skip
    return Captured(**{**given, **more})


def message(one: Captured) -> bytes:
    """As the capture filter sends it."""
    head = [f"{one.site} {one.key}", f"{one.role} {one.side}", f"{one.request_id} {one.method} {one.path}"]
    head += [str(one.size_bytes), str(one.hash32), f":status:{one.status}"]
    head += [f"{name}:{value}" for name, value in one.headers]
    return "\n".join([*head, "", ""]).encode() + one.body


def triple(answer, copy, noise=None, side="old", **more) -> Joined:
    """What was captured of one request, by bodies."""
    found = {"answer": captured("answer", side, answer, **more), "copy": captured("copy", "new", copy, **more)}
    if noise is not None:
        found["noise"] = captured("noise", "old", noise, **more)
    return Joined(found)
