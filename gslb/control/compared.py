"""What a machine's comparer tells of the comparisons of one site, to the edge role and by way of it to control.

No transport here, only the messages.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "COMPARER", "Compared", "ComparedCounts", "ComparedField", "ComparerLife", "ComparerState", "SideTraffic",
    "TrafficCounts",
]  # fmt: skip

COMPARER = "comparer"
"""The role process, its socket, and the folder in the runtime folder where edges write what is compared."""


class _Message(BaseModel):
    """Frozen. Unknown keys are ignored, so that neighbours of different versions understand each other."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ComparedField(_Message):
    """As tally.Field."""

    path: str
    kind: str
    seen: int = 0
    both: int = 0
    only_new: int = 0
    only_old: int = 0
    first_wall_s: float = 0.0
    last_wall_s: float = 0.0
    old: str = ""
    new: str = ""


class SideTraffic(_Message):
    """As traffic.SideCounts."""

    statuses: dict[int, int] = {}
    times: dict[int, int] = {}
    size_bytes: int = 0


class TrafficCounts(_Message):
    """As traffic.TrafficSpan. `changes` have `OLD NEW` for a name."""

    since_wall_s: float = 0.0
    pairs: int = 0
    by_target: int = 0
    alone: int = 0
    old: SideTraffic = SideTraffic()
    new: SideTraffic = SideTraffic()
    changes: dict[str, int] = {}


class Compared(_Message):
    """One comparison at one site, as tally.Span, with its samples."""

    app: str
    route: str
    site: str
    target: str
    reference: str
    noise: bool
    since_wall_s: float
    pairs: int = 0
    measured: int = 0
    different: int = 0
    by_target: int = 0
    refused: int = 0
    more_fields: int = 0
    fields: tuple[ComparedField, ...] = ()
    samples: tuple[dict[str, Any], ...] = ()
    traffic: TrafficCounts = TrafficCounts()


class ComparedCounts(_Message):
    """`verdicts`: how many fields are a difference, noise, unsettled or unmeasured. `fields`: a few of them, the worst
    first, by names and numbers alone: what they held is told to who may ask for the report."""

    app: str
    route: str
    target: str
    pairs: int = 0
    measured: int = 0
    different: int = 0
    verdicts: dict[str, int] = {}
    fields: tuple[ComparedField, ...] = ()


class ComparerLife(_Message):
    """What the supervisor of a machine tells of its comparer, also where that tells nothing itself: how often it was
    started again since the supervisor began, and why and when (Unix seconds) the last one had to go."""

    restarts: int = 0
    last_end: str = ""
    last_end_wall_s: float = 0.0


class ComparerState(_Message):
    """`captures` by what became of them."""

    pid: int
    waiting: int = 0
    captures: dict[str, int] = {}
    comparisons: tuple[ComparedCounts, ...] = Field((), description="of one site")
