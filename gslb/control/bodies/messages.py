"""The bodies of the HTTP API: what comes in, what goes out, and what an error looks like. No rule of the product here.

Unknown keys are errors: a misspelt word must not be silently ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gslb.control.bodies.body import Author, Body, Line
from gslb.model.base import METHOD_PATTERN
from gslb.model.words import Address, DnsName, Name, Network, Seconds

__all__ = [
    "DEADLINE_S", "Author", "Body", "Change", "DrainChange", "DrainKey", "DrainRequest", "ExplainQuery",
    "Explanation", "Healthz", "History", "HistoryItem", "HistoryQuery", "LatencyChange", "LatencyRequest",
    "LatencySeen", "Line", "PolicyInForce", "ProblemAnswer", "ShiftChange", "ShiftRequest", "Undoing",
    "VersionSeen",
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

    STRICT = False  # networks as keys do not read strictly; all else in it is text
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
    `split` and `mirrors` in percent; `side` is the backend of a sticky user, None where nobody can tell; `copies` says
    by target whether this request is mirrored."""

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
    copies: Mapping[str, str]


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
