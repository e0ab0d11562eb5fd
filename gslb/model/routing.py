"""What an operator may write about routes: which requests they take, and what becomes of them. Frozen models.

Attribute names are the words of the policy file. What fits together is checked in `checks/routes` and `checks/actions`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    StrictBool,
    Tag,
    WrapSerializer,
    model_validator,
)

from gslb.model.base import Methods, Model, OneOrMore, UrlPath, as_list, kind_of
from gslb.model.comparing import CompareOrSwitch
from gslb.model.words import DnsName, Name, Percent, Port, Seconds

__all__ = [
    "SAFE_METHODS",
    "Abort",
    "Auth",
    "ByHeader",
    "Cors",
    "Delay",
    "Edits",
    "Fault",
    "Match",
    "Mirror",
    "Rate",
    "Redirect",
    "Respond",
    "Retries",
    "Rewrite",
    "Route",
    "Side",
    "ValueTest",
]

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")  # RFC 9110 section 9.2.1, without TRACE

_Pattern = Annotated[str, Field(max_length=1024)]
_Status = Annotated[int, Field(ge=200, le=599, strict=True)]
_ErrorStatus = Annotated[int, Field(ge=400, le=599, strict=True)]
_HeaderName = Annotated[str, Field(min_length=1, max_length=256)]
_HeaderValue = Annotated[str, Field(max_length=8192)]
_HeaderNameList = Annotated[tuple[_HeaderName, ...], Field(max_length=64)]
HeaderNames = Annotated[_HeaderNameList, BeforeValidator(as_list, json_schema_input_type=_HeaderName | _HeaderNameList)]


class ValueTest(Model):
    """What a header or query parameter must be. Just one of these."""

    exact: str | None = None
    regex: _Pattern | None = Field(None, description="the whole value, RE2 syntax")
    present: StrictBool | None = Field(None, description="false: the request must not have it (headers only)")

    @model_validator(mode="after")
    def _one_test(self) -> ValueTest:
        if sum(value is not None for value in (self.exact, self.regex, self.present)) != 1:
            raise ValueError("exact, regex and present exclude each other; write one of them")
        return self


Test = Annotated[
    Annotated[str, Tag("plain")] | Annotated[ValueTest, Tag("parts")],
    Discriminator(kind_of),
]


class Match(Model):
    """Which requests a route takes. Everything that is given must hold."""

    path: UrlPath | None = Field(None, description="prefix, per segment")
    exact: UrlPath | None = Field(None, description="the whole path")
    regex: _Pattern | None = Field(None, description="the whole path, RE2 syntax")
    method: Methods | None = None
    headers: Mapping[str, Test] = Field({}, description="header name to exact value, {regex: ...} or {present: true}")
    query: Mapping[str, Test] = Field({}, description="query parameter to exact value, {regex: ...} or {present: true}")

    @model_validator(mode="after")
    def _one_path(self) -> Match:
        if sum(value is not None for value in (self.path, self.exact, self.regex)) > 1:
            raise ValueError("path, exact and regex exclude each other; keep one of them")
        return self


def _one_match(value: Any) -> Any:
    return (value,) if isinstance(value, dict | Match) else value


def _one_bare(matches: tuple[Match, ...], dump: SerializerFunctionWrapHandler) -> Any:
    """As it is written, so that differences of policies have the paths that people write."""
    dumped = dump(matches)
    return dumped[0] if len(dumped) == 1 else dumped


_MatchList = Annotated[tuple[Match, ...], OneOrMore, Field(max_length=64)]
Matches = Annotated[
    _MatchList,
    BeforeValidator(_one_match, json_schema_input_type=Match | _MatchList),
    WrapSerializer(_one_bare),
]


class ByHeader(Model):
    """Users as a header of their requests tells them apart."""

    header: _HeaderName


By = Annotated[
    Annotated[Literal["request", "user"], Tag("plain")] | Annotated[ByHeader, Tag("parts")],
    Discriminator(kind_of),
]


class Mirror(Model):
    """A copy of a share of a route's requests, sent to a backend whose answers are thrown away."""

    to: Name
    percent: Percent = Field(description="of all requests of the route (or of its users), whichever side answered")
    by: By = Field("request", description="user: all requests of a share of the users, told apart by the app's cookie")
    credentials: StrictBool | None = Field(
        None, description="true: copies keep authorization and cookie; default false, and check may warn of it"
    )
    remove: HeaderNames = Field((), description="more headers that copies do not get, such as x-api-key")
    methods: Methods = SAFE_METHODS
    max_body: Annotated[int, Field(ge=0, le=1_048_576, strict=True)] = Field(
        16_384, description="octets; a larger body is not mirrored, because a slow target would slow the client"
    )
    compare: CompareOrSwitch = Field(False, description="compare its answers with those of the old service")


class Edits(Model):
    """Changes of headers. Removed first, then set (replacing), then added (beside what is there)."""

    set: Mapping[_HeaderName, _HeaderValue] = {}
    add: Mapping[_HeaderName, _HeaderValue] = {}
    remove: HeaderNames = ()


class Side(Model):
    """What holds for one side of a split only."""

    request: Edits | None = None
    response: Edits | None = None
    host: DnsName | None = Field(None, description="the Host that this backend sees")


class Rewrite(Model):
    """What the backend sees instead of the request's own. `prefix` takes the place of the match's `path`."""

    path: UrlPath | None = Field(None, description="the whole path")
    prefix: UrlPath | None = Field(None, description="in place of the prefix that matched")
    host: DnsName | None = None

    @model_validator(mode="after")
    def _one_path(self) -> Rewrite:
        if self.path is not None and self.prefix is not None:
            raise ValueError("path and prefix exclude each other; keep one of them")
        return self


class Redirect(Model):
    """The client is sent elsewhere. What is not given stays as it was asked."""

    scheme: Literal["http", "https"] | None = None
    host: DnsName | None = None
    port: Port | None = Field(None, description="default: the scheme's where that is given, else as it was asked")
    path: UrlPath | None = Field(None, description="the whole path")
    prefix: UrlPath | None = Field(None, description="in place of the prefix that matched")
    status: Literal[301, 302, 303, 307, 308] = 302

    @model_validator(mode="after")
    def _one_path(self) -> Redirect:
        if self.path is not None and self.prefix is not None:
            raise ValueError("path and prefix exclude each other; keep one of them")
        return self


class Respond(Model):
    """The edge answers by itself."""

    status: _Status
    body: Annotated[str, Field(max_length=4096)] = ""
    type: Annotated[str, Field(pattern=r"^[!-~]+/[!-~]+(?:; ?[!-~]+)?$", max_length=128)] = "text/plain"


_Origin = Annotated[str, Field(pattern=r"^(?:\*|[a-z][a-z0-9+.-]*://[!-~]+)$", max_length=256)]
_OriginList = Annotated[tuple[_Origin, ...], OneOrMore, Field(max_length=64)]
Origins = Annotated[_OriginList, BeforeValidator(as_list, json_schema_input_type=_Origin | _OriginList)]
_CorsMethod = Annotated[str, Field(pattern=r"^(?:\*|[A-Z]{1,20})$")]
_CorsMethodList = tuple[_CorsMethod, ...]
CorsMethods = Annotated[_CorsMethodList, BeforeValidator(as_list, json_schema_input_type=_CorsMethod | _CorsMethodList)]


class Cors(Model):
    """Which pages of other origins may use the answers (Fetch Standard, section 3.2)."""

    origins: Origins = Field(description='"*" for every one; one * in the host, as in https://*.example.com')
    methods: CorsMethods = ("GET", "HEAD", "POST")
    headers: HeaderNames = Field((), description='"*": what the browser asks for')
    expose: HeaderNames = ()
    credentials: StrictBool = False
    max_age: Seconds | None = Field(None, ge=0, le=86_400, description="how long browsers keep a preflight's answer")


class Retries(Model):
    """Further tries. `on` adds statuses to what is tried again anyway."""

    tries: Annotated[int, Field(ge=0, le=10, strict=True)] = 2
    on: Annotated[tuple[_ErrorStatus, ...], Field(max_length=32)] = Field(
        (), description="statuses; given, only these (and lost connections) are tried again"
    )
    backoff: Seconds | None = Field(None, ge=0.001, le=60, description="before the first further try; then it doubles")
    methods: Literal["safe", "any"] = Field("safe", description="any: statuses count for POST and the like, too")


RetriesOrCount = Annotated[
    Annotated[Annotated[int, Field(ge=0, le=10, strict=True)], Tag("plain")] | Annotated[Retries, Tag("parts")],
    Discriminator(kind_of),
]


class Rate(Model):
    """A limit that each edge keeps by itself; what is above it gets 429."""

    requests: Annotated[int, Field(ge=1, le=10_000_000, strict=True)]
    per: Seconds = Field(1.0, ge=0.05, le=3600)
    burst: Annotated[int, Field(ge=1, le=10_000_000, strict=True)] | None = Field(
        None, description="at most at once; default: as `requests`"
    )

    @model_validator(mode="after")
    def _burst_holds_a_refill(self) -> Rate:
        if self.burst is not None and self.burst < self.requests:
            raise ValueError("burst is less than requests; write it larger, or leave it out")
        return self


class Delay(Model):
    """Requests that wait first."""

    percent: Percent
    time: Seconds = Field(ge=0.001, le=300)


class Abort(Model):
    """Requests that fail without reaching a backend."""

    percent: Percent
    status: _ErrorStatus = 503


class Fault(Model):
    """Faults on purpose, for drills."""

    delay: Delay | None = None
    abort: Abort | None = None

    @model_validator(mode="after")
    def _some_fault(self) -> Fault:
        if self.delay is None and self.abort is None:
            raise ValueError("neither delay nor abort; write one of them")
        return self


class Auth(Model):
    """A service that is asked about each request first: 200 lets it through, any other answer goes to the client."""

    backend: Name
    path: UrlPath = Field("/", description="put before the path of the request")
    timeout: Seconds = Field(1.0, ge=0.01, le=60)
    send: HeaderNames = Field(("authorization", "cookie"), description="headers of the request that it sees")
    take: HeaderNames = Field((), description="headers of its 200 that the backend gets; clients cannot set them")
    fail: Literal["closed", "open"] = Field("closed", description="what happens when it does not answer")


class Route(Model):
    """Where the matching requests go. The first route that matches wins."""

    name: Name
    match: Matches = (Match(),)
    split: Mapping[Name, Percent] | None = Field(None, description="percent per backend; they add up to 100")
    redirect: Redirect | None = None
    respond: Respond | None = None
    sticky: Literal["cookie"] | None = None
    mirror: tuple[Mirror, ...] = Field((), max_length=8)
    timeout: Seconds = Field(15.0, ge=0, le=3600, description="of the whole request; 0s: none")
    try_timeout: Seconds | None = Field(None, ge=0.01, le=3600, description="of one try")
    retries: RetriesOrCount = 2
    rewrite: Rewrite | None = None
    request: Edits | None = Field(None, description="changes of the request's headers")
    response: Edits | None = Field(None, description="changes of the answer's headers")
    sides: Mapping[Name, Side] = Field({}, description="changes for single sides of the split")
    cors: Cors | None = None
    websocket: StrictBool = False
    max_body: Annotated[int, Field(ge=1, le=2**32 - 1, strict=True)] | None = Field(
        None, description="octets of a request's body; 413 beyond"
    )
    rate: Rate | None = None
    compress: StrictBool = Field(False, description="gzip what compresses well, for those who ask")
    fault: Fault | None = None
    variants: StrictBool = Field(False, description="testers pick a side by the header x-gslb-variant: BACKEND")
    auth: Auth | None = None

    @model_validator(mode="after")
    def _one_action(self) -> Route:
        given = [word for word in ("split", "redirect", "respond") if getattr(self, word) is not None]
        if not given:
            raise ValueError("a route without split, redirect and respond; write split: {web: 100}")
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} exclude each other; keep one of them")
        if self.split is not None and not self.split:
            raise ValueError("split is empty; write split: {web: 100}")
        return self

    @property
    def retrying(self) -> Retries:
        """Retries in their long form."""
        return self.retries if isinstance(self.retries, Retries) else Retries(tries=self.retries)
