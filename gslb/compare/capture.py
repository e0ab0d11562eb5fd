"""One captured answer: the message that the edge's capture filter sends, read with limits, and its body as content.

The message: lines of key, role, side, id with method and path, size, hash; lines of headers; an empty line; the first
octets of the body. Bodies may be compressed as HTTP says (RFC 9110 section 8.4.1); nothing is unpacked beyond a limit.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import Any, Literal, cast

__all__ = ["MAX_CAPTURE_BYTES", "Captured", "Content", "Role", "content_of", "parse_capture"]

MAX_CAPTURE_BYTES = 65_536 + 32_768
"""The kept body, and its head."""
_MAX_UNPACKED_BYTES = 1_048_576
_MAX_HEAD_LINES = 256
_MAX_DEPTH = 64
_SURROGATE = rb"\ud"

Role = Literal["answer", "copy", "noise"]
"""What the client got; what the mirror's target said; what the old side said to a second copy."""
_ROLES = ("answer", "copy", "noise")


@dataclass(frozen=True, slots=True)
class Captured:
    """`site` and `key` (APP/ROUTE) say where, `side` which backend answered. `body` is the first of `size_bytes`
    octets; `hash32` is of the first MiB."""

    site: str
    key: str
    role: Role
    side: str
    request_id: str
    method: str
    path: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    size_bytes: int
    hash32: int

    @property
    def whole(self) -> bool:
        """Whether `body` is all of it."""
        return len(self.body) == self.size_bytes

    def header(self, name: str) -> str:
        """The first value of `name`, lower-case; empty where there is none."""
        return next((value for key, value in self.headers if key == name), "")


@dataclass(frozen=True, slots=True)
class Content:
    """A body as it is compared: `json` with its value, `text`, or `opaque` (compared by size and hash)."""

    kind: Literal["json", "text", "opaque"]
    value: Any = None


def parse_capture(message: bytes) -> Captured:
    """Raises ValueError where the message is not one that a capture filter sends."""
    head, separator, body = message.partition(b"\n\n")
    lines = head.decode("utf-8", "replace").split("\n")
    if not separator or not 5 <= len(lines) <= _MAX_HEAD_LINES + 5:
        raise ValueError("this is no capture")
    (place, role, asked, size, digest), rest = lines[:5], lines[5:]
    role, _, side = role.partition(" ")
    site, _, key = place.partition(" ")
    request_id, _, line = asked.partition(" ")
    method, _, path = line.partition(" ")
    headers = tuple((name, value) for name, _, value in (_split(item) for item in rest) if name != ":status")
    status = next((item.rpartition(":")[2] for item in rest if item.startswith(":status:")), "")
    try:
        size_bytes, hash32, code = int(size), int(digest), int(status)
    except ValueError as error:
        raise ValueError("this is no capture") from error
    if role not in _ROLES or not key or not request_id or not 0 <= len(body) <= size_bytes:
        raise ValueError("this is no capture")
    known = cast("Role", role)
    return Captured(site, key, known, side, request_id, method, path, code, headers, body, size_bytes, hash32)


def _split(line: str) -> tuple[str, str, str]:
    """A header whose name may begin with a colon."""
    name, colon, value = line[1:].partition(":")
    return line[:1] + name, colon, value


def content_of(captured: Captured) -> Content:
    """What is compared of the body. What was cut off, or cannot be read, is opaque."""
    body = _unpacked(captured)
    if body is None:
        return Content("opaque")
    kind = captured.header("content-type").partition(";")[0].strip().lower()
    if kind.endswith(("/json", "+json")) or (not kind and body[:1] in (b"{", b"[")):
        try:
            value = json.loads(body, parse_constant=_refuse)
            if _SURROGATE in body.lower():
                json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair is no text
            return Content("json", _bounded(value))
        except (ValueError, RecursionError):
            return _text(body)
    if kind.startswith("text/") or kind.endswith(("xml", "javascript", "x-www-form-urlencoded")):
        return _text(body)
    return Content("opaque") if body else Content("text", "")


def _text(body: bytes) -> Content:
    try:
        return Content("text", body.decode())
    except UnicodeDecodeError:
        return Content("opaque")


def _unpacked(captured: Captured) -> bytes | None:
    """None where the body is not whole, or is packed as nobody here can read."""
    if not captured.whole:
        return None
    coding = captured.header("content-encoding").strip().lower()
    if coding in ("", "identity"):
        return captured.body
    if coding not in ("gzip", "x-gzip", "deflate"):
        return None
    stream = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        unpacked = stream.decompress(captured.body, _MAX_UNPACKED_BYTES)
    except zlib.error:
        return None
    return unpacked if stream.eof else None


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def _bounded(value: Any) -> Any:
    """Raises ValueError where `value` is nested too deeply to be walked."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > _MAX_DEPTH:
            raise ValueError("too deep")
        children: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                children += item.values()
            elif isinstance(item, list):
                children += item
        level = children
    return value
