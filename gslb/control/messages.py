"""The bodies of the HTTP API: what comes in, what goes out, and what an error looks like. No rule of the product here.

Unknown keys are errors: a misspelt word must not be silently ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gslb.control.body import Author, Body, Line
from gslb.control.check_messages import CheckSeen
from gslb.model.base import METHOD_PATTERN
from gslb.model.words import Address, DnsName, Name, Network, Seconds

__all__ = [
    "DEADLINE_S", "AlarmSeen", "AppSeen", "Author", "Body", "Change", "DrainChange", "DrainKey", "DrainRequest",
    "EdgeSeen", "ExplainQuery", "Explanation", "ForcedSeen", "Healthz", "History", "HistoryItem", "HistoryQuery",
    "LatencyChange", "LatencyRequest", "LatencySeen", "Line", "MirrorSeen", "PolicyInForce", "ProblemAnswer",
    "RoleSeen", "ShiftChange", "ShiftRequest", "SiteSeen", "SplitSeen", "Status", "TailSeen", "Undoing",
    "VersionSeen", "WaveSeen",
]  # fmt: skip

Share = Annotated[float, Field(ge=0, le=100, description="percent, with at most two decimals")]
Lasting = Annotated[float, Field(gt=0, le=10 * 365 * 86400)]
DEADLINE_S = 300.0
"""When a drained site closes what is still open, unless told otherwise; load balancers of clouds wait as long."""
Allow = Literal["last-site"]


class ShiftRequest(Body):
    """The named backends get these percentages; the others of the route keep their proportions."""

    app: Name
    route: Name
    split: Annotated[dict[Name, Share], Field(min_length=1, max_length=64)]
    expires_in_s: Lasting | None = None
    reason: Line = ""
    author: Author = ""


class DrainRequest(Body):
    """`app` None: the whole site. `entry_only`: out of DNS, but still serving what arrives. `deadline_in_s`: when the
    edge closes what is still open (null: never); it means nothing where `app` or `entry_only` is given, because those
    connections are others' too."""

    site: Name
    app: Name | None = None
    entry_only: bool = False
    deadline_in_s: Annotated[float, Field(ge=0, le=30 * 86400)] | None = DEADLINE_S
    expires_in_s: Lasting | None = None
    reason: Line = ""
    author: Author = ""
    allow: list[Allow] = Field([], max_length=8)

    @property
    def deadline_s(self) -> float | None:
        """The deadline where it means something."""
        return self.deadline_in_s if self.app is None and not self.entry_only else None


class LatencyRequest(Body):
    """Round-trip times, by network of clients and by site; together they take the place of those in force."""

    latency: Annotated[Mapping[Network, Annotated[Mapping[Name, Seconds], Field(min_length=1)]], Field(min_length=1)]
    reason: Line = ""
    author: Author = ""


class Undoing(Body):
    """The query of what takes something back: who, and why."""

    author: Author = ""
    reason: Line = ""


class DrainKey(Undoing):
    """The query of undrain: which drain of the site. `over_s`: its share grows to the whole over so many seconds."""

    app: Name | None = None
    over_s: Annotated[float, Field(gt=0, le=86400)] | None = None


class HistoryQuery(Body):
    limit: Annotated[int, Field(ge=1, le=1000)] = 50


class ExplainQuery(Body):
    """One question. `host` without a dot stands in the zone; `client` is who asks DNS; `path`, `method`, `headers` (one
    `NAME: VALUE` a line) and `user` (the value of the app's cookie) are of a request that follows."""

    host: DnsName
    client: Address | None = None
    type: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,16}$")] = "A"
    path: Annotated[str, Field(pattern=r"^/[!-~]*$", max_length=2048)] | None = None
    method: Annotated[str, Field(pattern=METHOD_PATTERN)] = "GET"
    headers: Annotated[str, Field(pattern=r"^(?:[!#-'*+.^-z|~0-9A-Z-]+:[ -~]*\n?)*$", max_length=4096)] = ""
    user: Annotated[str, Field(pattern=r"^[!#-:<-~]{1,256}$")] | None = None


class VersionSeen(Body):
    revision: int
    overrides: int
    digest: str


class Change(Body):
    """What every change answers. `undo` is the command that takes it back, None where nothing has changed.
    `unacknowledged` names the roles that do not have it in force yet, with the reason of each."""

    environment: str
    undo: str | None
    snapshot: VersionSeen
    unacknowledged: Mapping[str, str]


class ShiftChange(Change):
    """Percent by backend."""

    before: Mapping[str, float]
    after: Mapping[str, float]


class DrainChange(Change):
    """By app: `in service`, `entry drained` or `drained`."""

    before: Mapping[str, str]
    after: Mapping[str, str]


class LatencyChange(Change):
    """Whose map is in force, and how large it is, under the key `latency`."""

    before: Mapping[str, str]
    after: Mapping[str, str]


class LatencySeen(Body):
    """The map in force, from network to site to time with its unit. `at`, `author` and `reason` are of one that was set
    through the API."""

    source: Literal["policy", "api"]
    at: str | None
    author: str
    reason: str
    latency: Mapping[str, Mapping[str, str]]


class HistoryItem(Body):
    number: int
    at: str
    author: str
    action: str
    detail: str
    reason: str
    revision: int
    overrides: int


class History(Body):
    """Newest first."""

    changes: list[HistoryItem]


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
    answered; `forced` says what a person wants to be believed."""

    verdict: Literal["up", "down", "unknown", "held"]
    reason: str
    since: str | None
    drained: bool
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


class MirrorSeen(Body):
    sent: int
    skipped: Mapping[str, int]


class CertificateShown(Body):
    """A pair of files that an edge shows to clients of `hosts`; `problem`: why they would refuse it."""

    hosts: list[str]
    ends: str | None
    problem: str | None


class EdgeSeen(Body):
    """The Envoy of a site. `unreachable`: its edge role does not answer; Envoy itself may well serve.
    `refused`: requests beyond the capacity. `peer_requests`: what it answered for other edges, by APP/BACKEND."""

    state: Literal["live", "starting", "backing_off", "unreachable"]
    pid: int | None
    since: str | None
    restarts: int | None
    adopted: bool | None
    last_end: str | None
    refused: int | None
    peer_requests: Mapping[str, int]
    certificates: Mapping[str, CertificateShown]


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
    leads), the number of the term, and whether it is the one that answers."""

    control: str | None
    term: int
    here: bool


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


class PolicyInForce(Body):
    """The policy as it was written, without the static records of its zones; overrides are told by the status."""

    revision: int
    policy: Annotated[Mapping[str, Any], Field(description="as `gslb schema` describes it")]


class StepExplained(Body):
    """One filter of a chain: the sites it kept, and why."""

    filter: str
    kept: list[str]
    reason: str


class ChoiceExplained(Body):
    sites: list[str]
    addresses: list[str]


class OutcomeExplained(ChoiceExplained):
    probability: float


class RouteExplained(Body):
    route: str
    takes: bool
    reason: str


class RequestExplained(Body):
    """A request at an edge. `path` as the edges compare it, None: they refuse it. `action` says what becomes of it.
    `split` and `mirrors` in percent; `side` is the backend of a sticky user, None where nobody can tell."""

    method: str
    path: str | None
    steps: list[RouteExplained]
    route: str | None
    why: str
    action: str
    split: Mapping[str, float]
    source: str
    sticky: bool
    side: str | None
    side_why: str
    mirrors: Mapping[str, float]


class Explanation(Body):
    """One question: the answer that the client gets, and why. `clients` is the network whose members are all told the
    same, None: everybody; `scope_bits` its length. `drawn` is None, and `answer` empty, where nobody can tell which
    outcome is next. `answer` holds records in the form of a zone file; `ttl_s` is how long it may be kept."""

    host: str
    type: str
    client: str | None
    app: str | None
    rcode: str
    why: str
    steps: list[StepExplained]
    clients: str | None
    scope_bits: int
    outcomes: list[OutcomeExplained]
    draw: str
    drawn: ChoiceExplained | None
    ttl_s: int | None
    ttl_why: str
    answer: list[str]
    notes: list[str]
    request: RequestExplained | None


class Healthz(Body):
    status: Literal["ok"]
    version: str


class ProblemAnswer(BaseModel):
    """RFC 9457, with `rule` (a stable id), `remedy` (what to do), and `problems` where several things are wrong."""

    model_config = ConfigDict(extra="allow")

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    rule: str
    remedy: str
    problems: list[dict[str, Any]] = []
