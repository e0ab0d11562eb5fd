"""The bodies of the API about what a comparison found. No rule of the product here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from gslb.control.bodies.body import Body

__all__ = ["FieldCompared", "MirrorReport", "SampleKept"]


class FieldCompared(Body):
    """One field that differed in `seen` of the pairs. Of the requests with a second answer of one side: `both` old and
    new, and that side with itself, differed, `only_new` the former, `only_old` the latter."""

    path: str
    kind: str
    verdict: Annotated[
        Literal["difference", "unmeasured", "unsettled", "noise"],
        Field(description="unmeasured: without the noise of the old side; unsettled: seen too few times"),
    ]
    seen: int
    percent: float
    both: int
    only_new: int
    only_old: int
    evidence: Annotated[float, Field(description="above 1000 it is a difference")]
    needed: Annotated[int, Field(description="how many more would settle it")]
    first: str
    last: str
    old: str
    new: str


class SampleDifference(Body):
    path: str
    kind: str
    old: str
    new: str


class SampleAnswer(Body):
    """`role`: what the client got, the mirror's copy, or the second one of the old side."""

    role: Literal["answer", "copy", "noise"]
    side: str
    status: int
    size_bytes: int
    headers: Mapping[str, str]
    body: str


class SampleKept(Body):
    """One request, redacted."""

    at: str
    site: str
    request_id: str
    method: str
    path: str
    differences: list[SampleDifference]
    answers: list[SampleAnswer]


class SideAnswered(Body):
    """What one side answered to the requests that both got. Times in milliseconds, until the last octet, right to 9 %;
    null without any."""

    statuses: Annotated[Mapping[str, int], Field(description="status 0: no answer")]
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    mean_bytes: float | None


class StatusChange(Body):
    old: int
    new: int
    count: int


class TrafficSeen(Body):
    """Of everything that was mirrored, sampled or not: `pairs` requests that the old side answered and of which the
    target had a copy. `changes`: where the status was not the same. `alone`: lines of a log without the other one."""

    pairs: int
    by_target: int
    alone: int
    old: SideAnswered
    new: SideAnswered
    changes: list[StatusChange]


class MirrorReport(Body):
    """`pairs` of answers of `reference` (old) and `target` (new) were compared, `measured` with the noise of one side;
    `different` of them somehow. `by_target`: requests that the target itself answered. `edges`: by name, the pairs of
    each; null: its comparer said nothing."""

    environment: str
    app: str
    route: str
    target: str
    reference: str
    since: str | None
    pairs: int
    measured: int
    different: int
    by_target: int
    refused: int
    more_fields: int
    traffic: TrafficSeen
    fields: list[FieldCompared]
    hints: list[str]
    samples: list[SampleKept]
    edges: Mapping[str, int | None]
