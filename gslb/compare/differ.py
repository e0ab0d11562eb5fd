"""Where two answers differ: status, headers, body. JSON by its structure, text by its lines, the rest by size and hash.

A path names a field whatever its place in a list is: `body.items[].price`. Names in JSON that look like ids are `*`, or
a map of users would have a field for each.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gslb.compare.capture import Captured, content_of
from gslb.compare.normal import Normaliser
from gslb.compare.rules import Rules, covers

__all__ = ["MAX_DIFFERENCES", "Difference", "compare"]

MAX_DIFFERENCES = 64
"""Of one pair: whoever differs in more is different."""
_MAX_COMPARED = 20_000
"""Values of one body that are looked at."""
_MAX_NAME = 64
_MAX_SHOWN = 120
_PLAIN = re.compile(r"[A-Za-z_][\w-]*")
_ID = re.compile(r"\d+|[0-9a-fA-F]{16,}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NOT_THE_SERVICE = frozenset(
    {
        "date", "age", "server", "via", "x-request-id", "connection", "keep-alive", "transfer-encoding", "alt-svc",
        "content-length", "content-encoding", "traceparent", "tracestate", "x-envoy-upstream-service-time",
    }
)  # fmt: skip
"""Headers of the hop, of the server program, and of the moment; length and coding are seen with the body."""
_BODILESS = (204, 304)


@dataclass(frozen=True, slots=True)
class Difference:
    """`kind`: `value`, `type`, `missing` (the new answer lacks it), `extra` (only the new one has it), `length` of a
    list, `text`, `hash`; of a status both, as `200 to 500`. `old` and `new` are short."""

    path: str
    kind: str
    old: str
    new: str


def compare(old: Captured, new: Captured, rules: Rules) -> tuple[Difference, ...]:
    """What differs between two answers to one request, each path and kind once. Of an answer and an error that is the
    status alone: their bodies are not meant to be alike."""
    found: dict[tuple[str, str], Difference] = {}
    for difference in _all(old, new, rules):
        key = difference.path, difference.kind
        if key not in found and not covers(rules.ignore, difference.path):
            found[key] = difference
        if len(found) >= MAX_DIFFERENCES:
            break
    return tuple(found.values())


def _all(old: Captured, new: Captured, rules: Rules) -> Iterator[Difference]:
    if old.status != new.status:
        yield Difference("status", f"{old.status} to {new.status}", str(old.status), str(new.status))
        if old.status // 100 != new.status // 100:
            return
    normaliser = Normaliser(rules.normal)
    yield from _headers(old, new, rules, normaliser)
    yield from _bodies(old, new, normaliser)


def _headers(old: Captured, new: Captured, rules: Rules, normaliser: Normaliser) -> Iterator[Difference]:
    skipped = _NOT_THE_SERVICE.union(rules.own_headers)
    ours, theirs = _by_name(old, skipped), _by_name(new, skipped)
    for name in sorted(ours.keys() | theirs.keys()):
        path = f"header.{name}"
        if name not in theirs:
            yield Difference(path, "missing", _shown(ours[name]), "")
        elif name not in ours:
            yield Difference(path, "extra", "", _shown(theirs[name]))
        elif normaliser.text(path, ours[name]) != normaliser.text(path, theirs[name]):
            yield Difference(path, "value", _shown(ours[name]), _shown(theirs[name]))


def _by_name(captured: Captured, skipped: frozenset[str]) -> dict[str, str]:
    """Values of one name joined, as RFC 9110 section 5.3 allows."""
    joined: dict[str, str] = {}
    for name, value in captured.headers:
        if name not in skipped and not name.startswith((":", "x-envoy-")):
            joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


def _bodies(old: Captured, new: Captured, normaliser: Normaliser) -> Iterator[Difference]:
    if old.method == "HEAD" or old.status in _BODILESS or new.status in _BODILESS:
        return
    if (old.size_bytes, old.hash32, old.header("content-encoding")) == (
        new.size_bytes, new.hash32, new.header("content-encoding"),
    ):  # fmt: skip
        return
    ours, theirs = content_of(old), content_of(new)
    if "opaque" in (ours.kind, theirs.kind):
        yield Difference("body", "hash", _digest(old), _digest(new))
    elif ours.kind != theirs.kind:
        yield Difference("body", "type", ours.kind, theirs.kind)
    elif ours.kind == "json":
        yield from _Walk(normaliser).values("body", ours.value, theirs.value)
    else:
        yield from _texts(normaliser.text("body", ours.value), normaliser.text("body", theirs.value))


def _digest(captured: Captured) -> str:
    return f"{captured.size_bytes} octets, {captured.hash32 & 0xFFFFFFFF:08x}"


def _texts(old: str, new: str) -> Iterator[Difference]:
    """The first line that differs stands for all."""
    if old == new:
        return
    ours, theirs = old.splitlines(), new.splitlines()
    pairs = zip(ours, theirs, strict=False)
    first = next(((a, b) for a, b in pairs if a != b), None)
    if first is None:
        more = len(ours) > len(theirs)
        first = (ours[len(theirs)] if more else "", "" if more or len(ours) == len(theirs) else theirs[len(ours)])
    yield Difference("body", "text", _shown(first[0]), _shown(first[1]))


class _Walk:
    """Over two JSON values at once, as far as _MAX_COMPARED goes."""

    def __init__(self, normaliser: Normaliser) -> None:
        self._normaliser = normaliser
        self._left = _MAX_COMPARED

    def values(self, path: str, old: Any, new: Any) -> Iterator[Difference]:
        self._left -= 1
        if self._left < 0:
            return
        if _type(old) != _type(new):
            yield Difference(path, "type", _shown(old), _shown(new))
        elif isinstance(old, Mapping):
            yield from self._objects(path, old, new)
        elif isinstance(old, list):
            yield from self._lists(path, old, new)
        elif isinstance(old, str):
            if self._normaliser.text(path, old) != self._normaliser.text(path, new):
                yield Difference(path, "value", _shown(old), _shown(new))
        elif old != new and not self._normaliser.alike(path, old, new):
            yield Difference(path, "value", _shown(old), _shown(new))

    def _objects(self, path: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Difference]:
        for name in old:
            below = f"{path}{_step(name)}"
            if name in new:
                yield from self.values(below, old[name], new[name])
            else:
                yield Difference(below, "missing", _shown(old[name]), "")
        for name in new:
            if name not in old:
                yield Difference(f"{path}{_step(name)}", "extra", "", _shown(new[name]))

    def _lists(self, path: str, old: list[Any], new: list[Any]) -> Iterator[Difference]:
        if len(old) != len(new):
            yield Difference(path, "length", str(len(old)), str(len(new)))
        if self._normaliser.is_sorted(path):
            old, new = sorted(old, key=_order), sorted(new, key=_order)
        for one, other in zip(old, new, strict=False):
            yield from self.values(f"{path}[]", one, other)


def _type(value: Any) -> str:
    """As JSON calls it; 1 and 1.0 are one type."""
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else type(value).__name__


def _step(name: str) -> str:
    if _ID.fullmatch(name):
        return ".*"
    return f".{name}" if _PLAIN.fullmatch(name) and len(name) <= _MAX_NAME else f".{name[:_MAX_NAME]!r}"


def _order(value: Any) -> tuple[str, str]:
    """Some order that both sides share, whatever the types are."""
    return _type(value), repr(sorted(value.items()) if isinstance(value, dict) else value)


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else _json(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"


def _json(value: Any) -> str:
    """Containers are shown by their size: what is in them has paths of its own."""
    if isinstance(value, dict):
        return f"{{{len(value)} fields}}"
    if isinstance(value, list):
        return f"[{len(value)} items]"
    return json.dumps(value)
