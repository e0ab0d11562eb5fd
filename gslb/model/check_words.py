"""What an operator may write about checks: those of backends, and named ones (`checks`). Only words; see `policy`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, StrictBool, Tag, model_validator

from gslb.model.base import Model, UrlPath, kind_of
from gslb.model.listening import BackendTls
from gslb.model.words import EndpointText, HostName, Name, Seconds, parse_comparison, parse_status

__all__ = [
    "KINDS",
    "BackendExpect",
    "BackendGrpc",
    "BackendTcp",
    "Calculated",
    "Check",
    "Command",
    "DnsQuestion",
    "Expect",
    "Grpc",
    "Http",
    "Icmp",
    "NamedCheck",
    "Prometheus",
    "Pushed",
    "Tcp",
    "Tls",
    "TlsOptions",
]

_Url = Annotated[str, Field(pattern=r"^https?://[!-~]+$", max_length=2048)]
_FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$")]
_Method = Literal["GET", "HEAD", "OPTIONS", "POST"]
_Text = Annotated[str, Field(min_length=1, max_length=1024)]
_Host = Annotated[str, Field(pattern=r"^[!-~]{1,255}$")]
_Headers = Annotated[Mapping[str, str], Field(max_length=32)]


def _status(value: Any) -> Any:
    """200 as well as "200-299"."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _as_list(value: Any) -> Any:
    return (value,) if isinstance(value, str | int) and not isinstance(value, bool) else value


def _good_status(text: str) -> str:
    parse_status(text)
    return text


def _good_comparison(text: str) -> str:
    parse_comparison(text)
    return text


_Status = Annotated[str, BeforeValidator(_status, json_schema_input_type=int | str), AfterValidator(_good_status)]
_StatusList = Annotated[tuple[_Status, ...], Field(min_length=1, max_length=32)]
Statuses = Annotated[_StatusList, BeforeValidator(_as_list, json_schema_input_type=int | str | _StatusList)]
_Values = Annotated[tuple[_Text, ...], Field(max_length=64)]


class Rounds(Model):
    """When something is looked at, and how many results decide."""

    interval: Seconds = Field(2.0, ge=0.1, le=3600)
    timeout: Seconds = Field(1.0, ge=0.05, le=300)
    rise: Annotated[int, Field(ge=1, le=100, strict=True)] = 2
    fall: Annotated[int, Field(ge=1, le=100, strict=True)] = 3
    flaky: Annotated[int, Field(ge=2, le=100, strict=True)] | None = Field(
        None, description="failures in all that take it down, too; only as many successes in a row clear them"
    )


class BackendExpect(Model):
    """What the answer of an endpoint must be: of what edges and front-door probes can both look at."""

    status: Statuses = ("200",)
    body: _Text | None = Field(None, description="text that stands in the first 16 KiB of the body")


_CheckTls = Annotated[
    Annotated[Literal[False], Tag("plain")] | Annotated[BackendTls, Tag("parts")],
    Discriminator(kind_of),
]


class BackendGrpc(Model):
    """grpc.health.v1 of the endpoints: SERVING is healthy. Takes `protocol: http2`."""

    service: Annotated[str, Field(pattern=r"^[!-~]{0,255}$")] = Field("", description="default: the server as a whole")


class BackendTcp(Model):
    """A connection to the endpoints, and what is said on it."""

    send: _Text | None = None
    expect: _Text | None = Field(None, description="text that comes back")


class Check(Rounds):
    """The active check of a backend's endpoints: an HTTP request (`path`), `grpc` or `tcp`."""

    path: UrlPath | None = None
    grpc: BackendGrpc | None = None
    tcp: BackendTcp | None = None
    method: Literal["GET", "HEAD", "OPTIONS"] = "GET"
    host: HostName | None = Field(None, description="the Host of the request; default: the app's first host")
    headers: _Headers = Field({}, description="headers of the request")
    expect: BackendExpect = BackendExpect()
    http2: StrictBool | None = Field(None, description="speak HTTP/2; default: as `protocol` of the backend says")
    tls: _CheckTls | None = Field(None, description="how checks speak TLS; false: without; default: as the backend")

    @model_validator(mode="after")
    def _one_question(self) -> Check:
        given = [word for word in ("path", "grpc", "tcp") if getattr(self, word) is not None]
        if len(given) != 1:
            what = f"it is {' and '.join(given)} at once" if given else "it does not say what it asks"
            raise ValueError(f"{what}; write one of path: /healthz, grpc: {{}}, tcp: {{}}")
        if self.path is None and (alien := self.model_fields_set & {"method", "host", "headers", "expect", "http2"}):
            raise ValueError(f"{min(alien)} is a word of HTTP checks; leave it out beside {given[0]}")
        return self


class TlsOptions(Model):
    """How the other side is known, and who asks. Files stand in the folder of `gslb run --check-secrets`."""

    sni: _Host | None = Field(
        None, description="the name asked for and looked for in the certificate; default: the host"
    )
    ca: _FileName | None = Field(None, description="file with the authorities to believe; default: the machine's")
    client: _FileName | None = Field(None, description="file with the client certificate and its key")


class Expect(Model):
    """What an HTTP answer must be. Everything that is given must hold."""

    status: Statuses = ("200",)
    headers: _Headers = Field({}, description="header name to exact value")
    body: _Text | None = Field(None, description="text that stands in the first 64 KiB of the body")
    regex: _Text | None = Field(None, description="RE2 expression found in the first 64 KiB of the body")


class Http(Model):
    """An HTTP or HTTPS request."""

    url: _Url
    method: _Method = "GET"
    host: _Host | None = Field(None, description="the Host of the request; default: that of the URL")
    headers: _Headers = Field({}, description="headers of the request")
    http2: StrictBool = Field(False, description="speak HTTP/2: by ALPN over TLS, with prior knowledge without")
    tls: TlsOptions = TlsOptions()
    bearer: _FileName | None = Field(None, description="file with a token, sent as authorization")
    expect: Expect = Expect()


class Tcp(Model):
    """A TCP connection, and what is said on it."""

    to: EndpointText
    send: _Text | None = None
    expect: _Text | None = Field(None, description="text that stands in the first 16 KiB of what comes back")


class Tls(Model):
    """A TLS handshake, and how long the certificate is still good."""

    to: EndpointText
    sni: _Host | None = Field(
        None, description="the name asked for and looked for in the certificate; default: the host"
    )
    ca: _FileName | None = None
    client: _FileName | None = None
    warn: Seconds = Field(14 * 86400.0, ge=0, le=3650 * 86400, description="less than this to its end: a warning")
    fail: Seconds = Field(0.0, ge=0, le=3650 * 86400, description="less than this to its end: a failure")


class Grpc(Model):
    """grpc.health.v1: SERVING is healthy."""

    to: EndpointText
    service: Annotated[str, Field(pattern=r"^[!-~]{0,255}$")] = Field("", description="default: the server as a whole")
    tls: TlsOptions | None = Field(None, description="default: without TLS")


class DnsQuestion(Model):
    """A question to a DNS server."""

    server: EndpointText
    name: HostName
    type: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9]{0,15}$")] = "A"
    expect: Annotated[
        _Values, BeforeValidator(_as_list, json_schema_input_type=str | _Values)
    ] = Field((), description="values that the answer must have; default: any answer that is not empty")  # fmt: skip
    tcp: StrictBool = False


class Icmp(Model):
    """An echo request (ping), where the kernel allows it to an unprivileged process."""

    to: _Host


class Command(Model):
    """A program in the folder of `gslb run --check-commands`, without a shell. 0 is healthy, 1 healthy with a
    warning, anything else not: as monitoring plugins do."""

    run: Annotated[tuple[Annotated[str, Field(max_length=4096)], ...], Field(min_length=1, max_length=64)]


class Pushed(Model):
    """A state that somebody pushes over the API (`gslb checks push`)."""

    expires: Seconds = Field(60.0, ge=1, le=30 * 86400, description="how long a pushed state holds")
    then: Literal["unknown", "down"] = Field("unknown", description="what it is when nothing was pushed for so long")


class Prometheus(Model):
    """An instant query. Every sample must fit; no sample is a failure."""

    url: _Url = Field(description="of the server, without /api/v1/query")
    query: Annotated[str, Field(min_length=1, max_length=4096)]
    healthy: Annotated[str, AfterValidator(_good_comparison)] = Field(description='such as "< 30" or "== 1"')
    tls: TlsOptions = TlsOptions()
    bearer: _FileName | None = Field(None, description="file with a token, sent as authorization")


class Calculated(Model):
    """The state that other checks add up to."""

    of: Annotated[tuple[Name, ...], Field(min_length=1, max_length=64)]
    at_least: Annotated[int, Field(ge=1, le=64, strict=True)] | None = Field(
        None, description="how many of them must be up; default: all"
    )
    critical: tuple[Name, ...] = Field((), description="those of them that must be up whatever the others are")


class Kind(NamedTuple):
    """`asked`: somebody is asked at the interval, so that interval, timeout, rise and fall mean something."""

    model: type[Model]
    asked: bool = True


KINDS: Mapping[str, Kind] = {
    "http": Kind(Http),
    "tcp": Kind(Tcp),
    "tls": Kind(Tls),
    "grpc": Kind(Grpc),
    "dns": Kind(DnsQuestion),
    "icmp": Kind(Icmp),
    "command": Kind(Command),
    "prometheus": Kind(Prometheus),
    "pushed": Kind(Pushed, asked=False),
    "calculated": Kind(Calculated, asked=False),
}
"""The words of which a named check has exactly one."""


class NamedCheck(Rounds):
    """A check that apps refer to by its name (`ready`), or that is only watched (`monitor`)."""

    http: Http | None = None
    tcp: Tcp | None = None
    tls: Tls | None = None
    grpc: Grpc | None = None
    dns: DnsQuestion | None = None
    icmp: Icmp | None = None
    command: Command | None = None
    prometheus: Prometheus | None = None
    pushed: Pushed | None = None
    calculated: Calculated | None = None
    invert: StrictBool = Field(False, description="healthy is what fails")
    monitor: StrictBool = Field(False, description="shown and alarmed, never steers")

    @model_validator(mode="after")
    def _one_kind(self) -> NamedCheck:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            what = f"it is {' and '.join(given)} at once" if given else "it does not say what it looks at"
            raise ValueError(f"{what}; write one of {', '.join(KINDS)}")
        return self

    @property
    def kind(self) -> str:
        """Which of KINDS it is."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)
