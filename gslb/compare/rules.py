"""What one comparison goes by, as the edge role writes it down for the comparer, and the patterns of field paths."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import re2

from gslb.snapshot.routing import Comparison, Normal, Route
from gslb.snapshot.types import App, Snapshot

__all__ = ["LIMIT_RULES", "Rules", "covers", "read_rules", "rules_of", "written_rules"]

LIMIT_RULES = 1000
"""Routes of one site that are compared; those beyond are not."""


@dataclass(frozen=True, slots=True)
class Rules:
    """`key` is APP/ROUTE. `target` is the mirror's backend, `reference` the old one; `noise`: safe requests have a
    second old answer. `own_headers` are written by the edge itself and prove nothing about a service."""

    key: str
    target: str
    reference: str
    noise: bool
    body_bytes: int
    ignore: tuple[str, ...] = ()
    normal: tuple[Normal, ...] = ()
    redact: tuple[str, ...] = ()
    own_headers: tuple[str, ...] = ()


def rules_of(snapshot: Snapshot) -> tuple[Rules, ...]:
    """Of every route of `snapshot` that compares, in the order of the policy; LIMIT_RULES at most."""
    found = [
        _rules(app, route, mirror.to, mirror.compare)
        for app in snapshot.apps.values()
        for route in app.routes
        for mirror in route.mirrors
        if mirror.compare is not None
    ]
    return tuple(found[:LIMIT_RULES])


def _rules(app: App, route: Route, target: str, compare: Comparison) -> Rules:
    edits = [route.response, *(side.response for side in route.sides)]
    edited = {name for one in edits for name, _ in (*one.set, *one.added)} | {
        name for one in edits for name in one.removed
    }
    if route.sticky:
        edited.add("set-cookie")
    if route.cors is not None:
        edited |= {"access-control-allow-origin", "access-control-allow-credentials", "access-control-expose-headers"}
    return Rules(
        key=f"{app.name}/{route.name}",
        target=target,
        reference=compare.reference,
        noise=compare.noise,
        body_bytes=compare.body_bytes,
        ignore=compare.ignore,
        normal=compare.normal,
        redact=compare.redact,
        own_headers=tuple(sorted(edited)),
    )


def written_rules(rules: Iterable[Rules]) -> bytes:
    """For a file that the comparer reads."""
    return json.dumps([asdict(one) for one in rules]).encode()


def read_rules(content: bytes) -> dict[str, Rules]:
    """By key. Raises ValueError, KeyError or TypeError where it is no such file."""
    found: list[Mapping[str, Any]] = json.loads(content)
    rules = [
        Rules(
            **{
                **item,
                "normal": tuple(Normal(**normal) for normal in item["normal"]),
                **{name: tuple(item[name]) for name in ("ignore", "redact", "own_headers")},
            }
        )
        for item in found[:LIMIT_RULES]
    ]
    return {one.key: one for one in rules}


def covers(patterns: tuple[str, ...], path: str) -> bool:
    """Whether one of `patterns` names `path` or what it lies in. `*` is a part of one name, `**` anything."""
    return any(_compiled(pattern).fullmatch(path) is not None for pattern in patterns)


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> Any:
    """RE2: linear in time, whatever the names in an answer are."""
    parts = (re2.escape(part).replace(r"\*", r"[^.\[\]]*") for part in pattern.split("**"))
    return re2.compile(f"(?s)(?:{'.*'.join(parts)})(?:[.\\[].*)?")
