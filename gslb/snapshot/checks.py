"""How health is asked for: what a check does and how many results decide. Frozen values; nothing is asked here.

Names of files (`ca`, `client`, `bearer`) stand for files on the machine that asks, never for what is in them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NewType, Protocol

from gslb.snapshot.listening import BackendTls

__all__ = [
    "Ask",
    "CalculatedAsk",
    "CheckName",
    "CommandAsk",
    "DnsAsk",
    "GrpcAsk",
    "Headers",
    "HealthCheck",
    "HttpAsk",
    "HttpExpect",
    "IcmpAsk",
    "NamedCheck",
    "PrometheusAsk",
    "PushedAsk",
    "Rounds",
    "StatusRange",
    "TcpAsk",
    "TcpTalk",
    "Tls",
    "TlsAsk",
]

CheckName = NewType("CheckName", str)
Headers = tuple[tuple[str, str], ...]
StatusRange = tuple[int, int]
"""The first and the last status of a range."""
_OK: tuple[StatusRange, ...] = ((200, 200),)


class Rounds(Protocol):
    """When something is looked at, and how many results decide. `rise` successes and `fall` failures in a row; `flaky`
    failures in all, which only as many successes in a row clear (0: not counted)."""

    @property
    def interval_s(self) -> float: ...
    @property
    def timeout_s(self) -> float: ...
    @property
    def rise(self) -> int: ...
    @property
    def fall(self) -> int: ...
    @property
    def flaky(self) -> int: ...


@dataclass(frozen=True, slots=True)
class HttpExpect:
    """What an answer must be: a status of one of the ranges; `headers` with exact values, by lower-case name; `body` as
    a part of the body, `regex` (RE2) found in it."""

    status: tuple[StatusRange, ...] = _OK
    headers: Headers = ()
    body: str | None = None
    regex: str | None = None

    @property
    def needs_body(self) -> bool:
        return self.body is not None or self.regex is not None


@dataclass(frozen=True, slots=True)
class TcpTalk:
    """What is said on a connection, and the text that must come back; None: nothing."""

    send: str | None = None
    expect: str | None = None


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """The check of a backend: Rounds, what its endpoints are asked, and what they must answer. `host` None: the app's
    first host. `grpc` is a service of grpc.health.v1 (empty: the server), `tcp` a connection: then path, method and
    expect say what the front door is asked. `http2` None: as the backend. `tls`: other than the backend's."""

    path: str
    interval_s: float
    timeout_s: float
    rise: int
    fall: int
    flaky: int = 0
    method: str = "GET"
    host: str | None = None
    headers: Headers = ()
    expect: HttpExpect = field(default_factory=HttpExpect)
    grpc: str | None = None
    tcp: TcpTalk | None = None
    http2: bool | None = None
    tls: BackendTls | Literal["none"] | None = None


@dataclass(frozen=True, slots=True)
class Tls:
    """`sni` None: the host that is asked. `ca` None: the authorities that the machine believes."""

    sni: str | None = None
    ca: str | None = None
    client: str | None = None


@dataclass(frozen=True, slots=True)
class HttpAsk:
    url: str
    method: str
    host: str | None
    headers: Headers
    http2: bool
    tls: Tls
    bearer: str | None
    expect: HttpExpect


@dataclass(frozen=True, slots=True)
class TcpAsk:
    host: str
    port: int
    send: str | None
    expect: str | None


@dataclass(frozen=True, slots=True)
class TlsAsk:
    """A certificate with less than `warn_s` left is warned of, with less than `fail_s` it has failed."""

    host: str
    port: int
    tls: Tls
    warn_s: float
    fail_s: float


@dataclass(frozen=True, slots=True)
class GrpcAsk:
    """`service` empty: the server as a whole. `tls` None: without."""

    host: str
    port: int
    service: str
    tls: Tls | None


@dataclass(frozen=True, slots=True)
class DnsAsk:
    """`expect` are values that must stand in the answer, as zone files write them; empty: any answer will do."""

    host: str
    port: int
    name: str
    type: str
    expect: tuple[str, ...]
    tcp: bool


@dataclass(frozen=True, slots=True)
class IcmpAsk:
    host: str


@dataclass(frozen=True, slots=True)
class CommandAsk:
    """`argv[0]` is the plain name of a file in the folder of commands."""

    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PushedAsk:
    expires_s: float
    then: Literal["unknown", "down"]


@dataclass(frozen=True, slots=True)
class PrometheusAsk:
    """Every sample of the answer must be `sign` `number`."""

    url: str
    query: str
    sign: str
    number: float
    tls: Tls
    bearer: str | None


@dataclass(frozen=True, slots=True)
class CalculatedAsk:
    """Up when `at_least` of `of` and all of `critical` (some of `of`) are."""

    of: tuple[CheckName, ...]
    at_least: int
    critical: tuple[CheckName, ...]


Ask = (
    HttpAsk | TcpAsk | TlsAsk | GrpcAsk | DnsAsk | IcmpAsk | CommandAsk | PushedAsk | PrometheusAsk | CalculatedAsk
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class NamedCheck:
    """Rounds, and what is asked. `kind` is the word of the policy. `invert`: healthy is what fails. `monitor`: it never
    steers."""

    name: CheckName
    kind: str
    ask: Ask
    interval_s: float
    timeout_s: float
    rise: int
    fall: int
    flaky: int = 0
    invert: bool = False
    monitor: bool = False
