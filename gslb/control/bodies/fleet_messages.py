"""The bodies that tell of nodes. No rule of the product here."""

from __future__ import annotations

from typing import Literal

from gslb.control.bodies.body import Body
from gslb.control.bodies.status_messages import WaveSeen

__all__ = ["NodeSeen", "NodesSeen"]


class NodeSeen(Body):
    """One role process. `machine` is empty where control's own has no name. `in_sync`: it has what it is to have; while
    waves are under way, that is not the same for all. `taken_s`: since it took what it has; `lag_s`: since when there
    is something newer for it; `heard_s`: since it last answered; None: never."""

    machine: str
    process: str
    role: Literal["dns", "edge", "observer"]
    site: str | None
    state: Literal["ready", "starting", "unreachable"]
    revision: int | None
    overrides: int | None
    digest: str | None
    in_sync: bool
    taken_s: float | None
    lag_s: float | None
    heard_s: float | None
    certificate_ends: str | None
    notes: list[str]


class NodesSeen(Body):
    """`damaged`: documents of machines in the store that do not read."""

    nodes: list[NodeSeen]
    wave: WaveSeen | None
    damaged: list[str]
