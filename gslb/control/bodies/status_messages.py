"""The bodies of the API about everything that runs: the answer of the status, and its parts. No rule of the product
here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from gslb.control.bodies.body import Body
from gslb.control.bodies.check_messages import CheckSeen
from gslb.control.bodies.messages import VersionSeen

__all__ = [
    "AlarmSeen", "AppSeen", "CertificateShown", "CommitRefused", "EdgeSeen", "ForcedSeen", "GitSeen", "LeadSeen",
    "MirrorSeen", "RoleSeen", "SiteSeen", "SplitSeen", "Status", "TailSeen", "WaveSeen",
]  # fmt: skip


class RoleSeen(Body):
    """`stepped_back_from`: the version that a crash loop made it give up. `broken_glass`: what was done at the node
    itself. `left_out`: apps that it cannot serve."""

    state: Literal["ready", "starting", "unreachable"]
    pid: int | None
    revision: int | None
    overrides: int | None
    digest: str | None
    age_s: float | None
    in_sync: bool
    stepped_back_from: str | None
    broken_glass: list[str]
    left_out: list[str]
    prober: str = Field("", description="what is wrong with its prober; empty: nothing")


class AppSeen(Body):
    """`held`: it looks dead and is answered all the same. `seen` is what the places that look agree on, beside what is
    answered; `forced` says what a person wants to be believed. `at_nodes`: by role, where somebody said otherwise of
    drains at the node itself: `drained by ...`, or `in service`."""

    verdict: Literal["up", "down", "unknown", "held"]
    reason: str
    since: str | None
    drained: bool
    at_nodes: Mapping[str, str]
    seen: Literal["up", "down", "unknown", "disputed"]
    forced: ForcedSeen | None
    share_percent: Annotated[float, Field(description="of what it would have, while it comes back slowly")]
    views: Mapping[str, Mapping[str, str]] = Field(description="by address and place: up, down, unknown or silent")


class ForcedSeen(Body):
    state: Literal["up", "down"]
    detail: str


class AlarmSeen(Body):
    """Something that an operator must know now. `rule` is a stable id, `subject` what it is about."""

    rule: str
    severity: Literal["critical", "warning"]
    subject: str
    message: str
    remedy: str
    since: str | None


class TailSeen(Body):
    """What is left of a drained site, of the apps that it is drained for. `connections` None: its edge does not answer.
    `closes_at` is when its edge closes what is still open, None: never."""

    arriving_per_s: Mapping[str, float]
    connections: int | None
    left_dns_s: float
    longest_ttl_s: int
    closes_at: str | None
    can_be_switched_off: bool
    why: str


class SiteSeen(Body):
    """`tail` None: it is not drained. `load_percent` is of the capacity (requests a second, mirrored copies included);
    None: nobody knows it."""

    verdict: Literal["up", "down", "unknown", "held"]
    reason: str
    since: str | None
    drained: bool
    apps: Mapping[str, AppSeen]
    capacity_per_s: int | None
    load_percent: float | None
    tail: TailSeen | None


class SplitSeen(Body):
    """Percent by backend; `observed` is empty where nothing was requested since the split last changed."""

    intended: Mapping[str, float]
    observed: Mapping[str, float]
    requests: int
    source: Literal["policy", "shift", "rollout"]
    detail: str


class ComparedFieldSeen(Body):
    """A field that differed in `seen` pairs. Parts of its path that may be data are `*`."""

    path: str
    kind: str
    verdict: Literal["difference", "unmeasured", "unsettled", "noise"]
    seen: int


class ComparedSeen(Body):
    """Of the pairs of answers that were compared over the last 12 to 24 hours, those that were `equal`, and those
    `different` somehow, be it noise. `verdicts`: numbers of fields, at the edge that compared most. `fields`: five at
    most, the worst first. GET /v1/mirrors/APP/ROUTE/report has all of it."""

    target: str
    reference: str
    pairs: int
    equal: int
    different: int
    verdicts: Mapping[str, int]
    fields: list[ComparedFieldSeen]


class MirrorSeen(Body):
    """`intended`: percent by target, as the policy has it; `stopped`: who lets nothing be copied, None: nobody.
    `at_nodes`: by role, where somebody said otherwise at the node itself: `stopped by ...`, or `copies`.
    `sent` and `skipped` are sums over the edges, the second by reason. `compared` None: nothing is."""

    intended: Mapping[str, float]
    stopped: str | None
    at_nodes: Mapping[str, str]
    sent: int
    skipped: Mapping[str, int]
    compared: ComparedSeen | None


class CertificateShown(Body):
    """A pair of files that an edge shows to clients of `hosts`; `problem`: why they would refuse it."""

    hosts: list[str]
    ends: str | None
    problem: str | None


class ComparerSeen(Body):
    """The comparer of an edge's machine: whether it answers this edge, how often it was started again since its
    supervisor began, and why and when the last one had to go."""

    answers: bool
    restarts: int
    last_end: str
    last_ended: str | None


class EdgeSeen(Body):
    """The Envoy of a site. `unreachable`: its edge role does not answer; Envoy itself may well serve.
    `refused`: requests beyond the capacity. `peer_requests`: what it answered for other edges, by APP/BACKEND.
    `comparer` None: nothing is compared there."""

    state: Literal["live", "starting", "backing_off", "unreachable"]
    pid: int | None
    since: str | None
    restarts: int | None
    adopted: bool | None
    last_end: str | None
    refused: int | None
    peer_requests: Mapping[str, int]
    certificates: Mapping[str, CertificateShown]
    comparer: ComparerSeen | None


class CommitRefused(Body):
    commit: str
    author: str
    subject: str
    why: str


class GitSeen(Body):
    """The repository that is followed. `commit` is the newest that was taken, None: none yet; `in_force` is false where
    somebody has applied something after it. `error`: why the repository cannot be read, empty where it can; `looked`:
    when it was read last."""

    source: str
    commit: str | None
    author: str | None
    subject: str | None
    revision: int | None
    in_force: bool
    refused: CommitRefused | None
    error: str
    looked: str | None


class WaveSeen(Body):
    """The policy `revision` goes from wave to wave: `here` are the nodes of the present one, `beyond` those that still
    keep the policy of `before`. `phase` `done`: all have it; `back`: it was taken back, for `why`; `over`: something
    newer came."""

    revision: int
    before: int
    phase: Literal["reaching", "baking", "done", "back", "over"]
    wave: int
    waves: int
    here: list[str]
    beyond: list[str]
    bake_s: float
    why: str


class LeadSeen(Body):
    """Which control does what is done once, such as moving waves and DNSSEC keys: the name of its machine (None: nobody
    leads), the number of the term, and whether it is the one that answers. `since`: by the leader's clock; None where
    there is but one control. `settling`: the control that answers has just begun and may not have heard yet."""

    control: str | None
    term: int
    here: bool
    since: str | None = None
    settling: bool = False


class Status(Body):
    """Everything that runs; `environment` and `snapshot` are None before the first policy, `git` where no repository is
    followed."""

    environment: str | None
    snapshot: VersionSeen | None
    roles: Mapping[str, RoleSeen]
    sites: Mapping[str, SiteSeen]
    splits: Mapping[str, SplitSeen]
    mirrors: Mapping[str, MirrorSeen]
    edges: Mapping[str, EdgeSeen]
    alarms: list[AlarmSeen] = Field([])
    places: Mapping[str, bool] = Field(description="the places that look at edges, and whether each is heard")
    checks: Mapping[str, CheckSeen] = {}
    git: GitSeen | None = None
    wave: WaveSeen | None = None
    leader: LeadSeen | None = None
