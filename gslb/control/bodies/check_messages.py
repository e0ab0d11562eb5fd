"""The bodies of the API about named checks. No rule of the product here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from gslb.control.bodies.body import Author, Body, Line

__all__ = ["CheckPush", "CheckPushed", "CheckSeen", "ChecksSeen"]


class CheckChange(Body):
    at: str
    state: Literal["up", "down", "unknown"]
    reason: str


class CheckOnNode(Body):
    """`last` is what the last look found; `cannot` why this node cannot look. Times are ISO 8601."""

    state: Literal["up", "down", "unknown"]
    reason: str
    last: str
    warning: bool
    cannot: str
    since: str | None
    looked: str | None
    duration_ms: float | None
    history: list[CheckChange]


class CheckSeen(Body):
    """`decides`: the apps and sites that are not served without it."""

    kind: str
    monitor: bool
    decides: list[str]
    state: Literal["up", "down", "unknown", "disputed"]
    reason: str
    warning: bool
    nodes: Mapping[str, CheckOnNode]


class ChecksSeen(Body):
    environment: str | None
    checks: Mapping[str, CheckSeen]


class CheckPush(Body):
    """The state of a check that is told. It holds for as long as the policy says (`expires`)."""

    state: Literal["up", "down"]
    reason: Line = ""
    author: Author = ""


class CheckPushed(Body):
    """`nodes` have it already; the others get it with the next reading."""

    environment: str
    check: str
    state: Literal["up", "down"]
    holds_s: float
    nodes: list[str]
