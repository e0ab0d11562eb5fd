"""Routes as the system runs on them: which requests they take and what becomes of those. Frozen values, no behaviour.

Units stand last in names; `share_bp` is in basis points, hundredths of a percent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NewType

__all__ = [
    "Auth",
    "BackendName",
    "Comparison",
    "Cors",
    "Edits",
    "Fault",
    "Match",
    "Mirror",
    "Normal",
    "Rate",
    "Redirect",
    "Respond",
    "Retry",
    "Rewrite",
    "Route",
    "Share",
    "Side",
    "Source",
    "Users",
    "ValueMatch",
]

BackendName = NewType("BackendName", str)


@dataclass(frozen=True, slots=True)
class Share:
    """One side of a split. Shares of a route stand in the order of backend names, whatever their weights: a sticky
    draw is a point on a line, and the sides must keep their places on it."""

    backend: BackendName
    share_bp: int


@dataclass(frozen=True, slots=True)
class Source:
    """Where an effective value comes from: the policy, or an override with who, when and why."""

    kind: Literal["policy", "shift", "rollout", "stop"]
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Users:
    """What tells the users of an app apart: this header (lower-case) of their requests; None: the app's cookie."""

    header: str | None = None


@dataclass(frozen=True, slots=True)
class Normal:
    """What counts as equal where `path` (a pattern) holds: `timestamps`, `ids`, what `pattern` (RE2) matches, or the
    order of a list (`sorted`)."""

    kind: Literal["timestamps", "ids", "regex", "sorted"]
    path: str = "**"
    pattern: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a mirror's answers are compared with those of `reference`, of which sampled safe requests get a second copy
    where `noise` is wanted. `ignore` and `redact` are patterns of field paths."""

    reference: BackendName
    sample_bp: int
    noise: bool
    body_bytes: int
    ignore: tuple[str, ...] = ()
    normal: tuple[Normal, ...] = ()
    redact: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mirror:
    """`share_bp` of the requests (or, with `by`, of the users) are due for copying; of those, none are copied while a
    person has `stopped` it, which says who. `credentials`: copies keep what shows who somebody is; `removed` are more
    headers (lower-case) that they do not get."""

    to: BackendName
    share_bp: int
    methods: tuple[str, ...]
    max_body_bytes: int
    by: Users | None = None
    credentials: bool = False
    removed: tuple[str, ...] = ()
    stopped: Source | None = None
    compare: Comparison | None = None

    @property
    def effective_bp(self) -> int:
        """What is copied now."""
        return 0 if self.stopped else self.share_bp


@dataclass(frozen=True, slots=True)
class ValueMatch:
    """What a header (lower-case) or a query parameter must be: `value` exactly, like the whole of `value` (RE2), or
    just there, or not."""

    name: str
    value: str
    kind: Literal["exact", "regex", "present", "absent"] = "exact"


@dataclass(frozen=True, slots=True)
class Match:
    """At most one of `prefix` (per segment), `exact`, `regex` (RE2, whole path) is set; none: every path. All of the
    rest must hold as well."""

    prefix: str | None = None
    exact: str | None = None
    regex: str | None = None
    methods: tuple[str, ...] = ()
    headers: tuple[ValueMatch, ...] = ()
    query: tuple[ValueMatch, ...] = ()


@dataclass(frozen=True, slots=True)
class Edits:
    """Changes of headers, names lower-case: first those of `removed` go, then `set` replaces, then `added` joins."""

    set: tuple[tuple[str, str], ...] = ()
    added: tuple[tuple[str, str], ...] = ()
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Side:
    """What holds for the requests of one side only."""

    backend: BackendName
    request: Edits
    response: Edits
    host: str | None


@dataclass(frozen=True, slots=True)
class Rewrite:
    """At most one of `path` (the whole) and `prefix` (in place of the matched prefix)."""

    path: str | None
    prefix: str | None
    host: str | None


@dataclass(frozen=True, slots=True)
class Redirect:
    """None: as it was asked. At most one of `path` and `prefix`."""

    scheme: str | None
    host: str | None
    port: int | None
    path: str | None
    prefix: str | None
    status: int


@dataclass(frozen=True, slots=True)
class Respond:
    status: int
    body: str
    content_type: str


@dataclass(frozen=True, slots=True)
class Cors:
    """`*` alone means every origin, method or header. `max_age_s` None: browsers choose."""

    origins: tuple[str, ...]
    methods: tuple[str, ...]
    headers: tuple[str, ...]
    expose: tuple[str, ...]
    credentials: bool
    max_age_s: int | None


@dataclass(frozen=True, slots=True)
class Retry:
    """`count` further tries. With `statuses`, those and lost connections are what is tried again; without, what says
    that nobody answered. `any_method`: statuses count for unsafe methods, too. `backoff_s` None: the edge's own."""

    count: int
    statuses: tuple[int, ...] = ()
    backoff_s: float | None = None
    any_method: bool = False


@dataclass(frozen=True, slots=True)
class Rate:
    """Requests that each edge lets through: `requests` more every `per_s`, `burst` at once at most."""

    requests: int
    per_s: float
    burst: int


@dataclass(frozen=True, slots=True)
class Fault:
    delay_bp: int
    delay_s: float
    abort_bp: int
    abort_status: int


@dataclass(frozen=True, slots=True)
class Auth:
    """Who is asked about each request. `send` and `take` are names of headers, lower-case."""

    backend: BackendName
    path: str
    timeout_s: float
    send: tuple[str, ...]
    take: tuple[str, ...]
    fail_open: bool


@dataclass(frozen=True, slots=True)
class Route:
    """A request takes it if any of `matches` holds. `split` includes backends at share 0 that the policy or an override
    names, so that a shift keeps their pools; it is empty where the edge answers by itself (`redirect`, `respond`).
    `written` are the same backends with the shares of the policy alone. `timeout_s` 0: none."""

    name: str
    matches: tuple[Match, ...]
    split: tuple[Share, ...]
    written: tuple[Share, ...]
    source: Source
    sticky: bool
    mirrors: tuple[Mirror, ...]
    timeout_s: float
    retry: Retry
    try_timeout_s: float | None = None
    redirect: Redirect | None = None
    respond: Respond | None = None
    rewrite: Rewrite | None = None
    request: Edits = Edits()
    response: Edits = Edits()
    sides: tuple[Side, ...] = ()
    cors: Cors | None = None
    websocket: bool = False
    max_body_bytes: int | None = None
    rate: Rate | None = None
    compress: bool = False
    fault: Fault | None = None
    variants: bool = False
    auth: Auth | None = None
