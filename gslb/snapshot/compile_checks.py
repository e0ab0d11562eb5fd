"""Checks as the policy writes them to checks as they are made. Pure; precedence stands in `compile`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from gslb.model import check_words as written
from gslb.model.listening import BackendTls as WrittenTls
from gslb.model.words import parse_comparison, parse_endpoint, parse_status
from gslb.snapshot.checks import (
    Ask,
    CalculatedAsk,
    CheckName,
    CommandAsk,
    DnsAsk,
    GrpcAsk,
    Headers,
    HealthCheck,
    HttpAsk,
    HttpExpect,
    IcmpAsk,
    NamedCheck,
    PrometheusAsk,
    PushedAsk,
    TcpAsk,
    TcpTalk,
    Tls,
    TlsAsk,
)
from gslb.snapshot.listening import BackendTls

__all__ = ["GRPC_PATH", "backend_check", "backend_tls", "named_checks"]

GRPC_PATH = "/grpc.health.v1.Health/Check"
_SOMEBODY = ((200, 502), (505, 599))
"""What an edge answers for a backend that it reaches: 503 and 504 are its own words for one that it does not."""
TOLD_S = 1.0
"""How often a check that is told, not asked, is looked at: by then what was pushed may be out of date."""


def backend_check(check: written.Check) -> HealthCheck:
    return HealthCheck(
        **_asked(check),
        interval_s=check.interval,
        timeout_s=check.timeout,
        rise=check.rise,
        fall=check.fall,
        flaky=check.flaky or 0,
        http2=check.http2,
        tls=_check_tls(check),
    )


def _asked(check: written.Check) -> dict[str, Any]:
    if check.grpc is not None:
        return {"path": GRPC_PATH, "method": "POST", "grpc": check.grpc.service}
    if check.tcp is not None:
        talk = TcpTalk(check.tcp.send, check.tcp.expect)
        return {"path": "/", "method": "HEAD", "expect": HttpExpect(_SOMEBODY), "tcp": talk}
    return {
        "path": check.path,
        "method": check.method,
        "host": check.host,
        "headers": _headers(check.headers),
        "expect": HttpExpect(_statuses(check.expect.status), body=check.expect.body),
    }


def _check_tls(check: written.Check) -> BackendTls | Literal["none"] | None:
    if check.tls is False:
        return "none"
    return backend_tls(check.tls)


def backend_tls(tls: WrittenTls | None) -> BackendTls | None:
    return BackendTls(tls.sni, None if tls.ca == "system" else tls.ca) if tls else None


def named_checks(checks: Mapping[str, written.NamedCheck]) -> dict[CheckName, NamedCheck]:
    return {CheckName(name): _named(CheckName(name), check) for name, check in checks.items()}


def _named(name: CheckName, check: written.NamedCheck) -> NamedCheck:
    kind, word = check.kind, getattr(check, check.kind)
    if not written.KINDS[kind].asked:
        return NamedCheck(name, kind, _ask(word), TOLD_S, TOLD_S, 1, 1, 0, check.invert, check.monitor)
    return NamedCheck(
        name=name,
        kind=kind,
        ask=_ask(word),
        interval_s=check.interval,
        timeout_s=check.timeout,
        rise=check.rise,
        fall=check.fall,
        flaky=check.flaky or 0,
        invert=check.invert,
        monitor=check.monitor,
    )


def _ask(word: object) -> Ask:
    match word:
        case written.Http():
            return _http(word)
        case written.Tcp():
            return TcpAsk(*parse_endpoint(word.to), word.send, word.expect)
        case written.Tls():
            tls = Tls(word.sni, word.ca, word.client)
            return TlsAsk(*parse_endpoint(word.to), tls, word.warn, word.fail)
        case written.Grpc():
            return GrpcAsk(*parse_endpoint(word.to), word.service, _tls(word.tls) if word.tls else None)
        case written.DnsQuestion():
            return DnsAsk(*parse_endpoint(word.server), word.name, word.type, word.expect, word.tcp)
    return _other(word)


def _other(word: object) -> Ask:
    match word:
        case written.Icmp():
            return IcmpAsk(word.to)
        case written.Command():
            return CommandAsk(word.run)
        case written.Pushed():
            return PushedAsk(word.expires, word.then)
        case written.Prometheus():
            return PrometheusAsk(word.url, word.query, *parse_comparison(word.healthy), _tls(word.tls), word.bearer)
        case written.Calculated():
            of = tuple(map(CheckName, word.of))
            return CalculatedAsk(of, word.at_least or len(of), tuple(map(CheckName, word.critical)))
    raise AssertionError(word)


def _http(word: written.Http) -> HttpAsk:
    expect = word.expect
    return HttpAsk(
        url=word.url,
        method=word.method,
        host=word.host,
        headers=_headers(word.headers),
        http2=word.http2,
        tls=_tls(word.tls),
        bearer=word.bearer,
        expect=HttpExpect(_statuses(expect.status), _headers(expect.headers), expect.body, expect.regex),
    )


def _tls(word: written.TlsOptions) -> Tls:
    return Tls(word.sni, word.ca, word.client)


def _headers(headers: Mapping[str, str]) -> Headers:
    return tuple(sorted((name.lower(), value) for name, value in headers.items()))


def _statuses(texts: Iterable[str]) -> tuple[tuple[int, int], ...]:
    return tuple(parse_status(text) for text in texts)
