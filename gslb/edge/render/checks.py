"""What an Envoy asks the endpoints of a backend, as its health checks write it. Only the question; see `clusters`."""

from __future__ import annotations

from typing import Any

from gslb.edge.render.config import PROBE_HEADER, duration
from gslb.snapshot.checks import Headers, HealthCheck, HttpExpect

__all__ = ["CHECK_SOCKET", "added_headers", "health_check", "peer_check"]

CHECK_SOCKET = {"gslb-check": True}
"""Which of a cluster's transport sockets checks take where theirs is another than that of requests."""
_IS_CHECK = {"header": {"key": PROBE_HEADER, "value": "peer"}}

BODY_BYTES = 16_384
"""How much of an answer is looked at for the text that a check expects."""


def health_check(check: HealthCheck, host: str, *, http2: bool) -> dict[str, Any]:
    """What the endpoints themselves are asked; `http2`: as the backend is spoken to."""
    asked = {**_rounds(check), **_question(check, host)}
    speaks_http2 = http2 if check.http2 is None else check.http2
    if "http_health_check" in asked and speaks_http2:
        asked["http_health_check"]["codec_client_type"] = "HTTP2"
    if speaks_http2 != http2:
        asked["tls_options"] = {"alpn_protocols": ["h2" if speaks_http2 else "http/1.1"]}
    if check.tls is not None:
        asked["transport_socket_match_criteria"] = CHECK_SOCKET
    return asked


def peer_check(check: HealthCheck, host: str) -> dict[str, Any]:
    """What is asked through the edge beside the endpoints, which hands on requests: a connection to it alone would say
    nothing of them."""
    if check.grpc is not None:
        asked = _question(check, host)
        asked["grpc_health_check"]["initial_metadata"] = [_IS_CHECK]
        return {**_rounds(check), **asked}
    http = _http(check, host)
    http |= {
        "codec_client_type": "HTTP2",
        "request_headers_to_add": [*http.get("request_headers_to_add", ()), _IS_CHECK],
    }
    return {**_rounds(check), "http_health_check": http}


def _rounds(check: HealthCheck) -> dict[str, Any]:
    """An idle cluster is checked as often as a busy one."""
    interval = duration(check.interval_s)
    return {
        "timeout": duration(check.timeout_s),
        "interval": interval,
        "no_traffic_interval": interval,
        "no_traffic_healthy_interval": interval,
        "healthy_threshold": check.rise,
        "unhealthy_threshold": check.fall,
    }


def _question(check: HealthCheck, host: str) -> dict[str, Any]:
    if check.grpc is not None:
        return {"grpc_health_check": {"service_name": check.grpc, "authority": host}}
    if check.tcp is not None:
        talk: dict[str, Any] = {}
        if check.tcp.send is not None:
            talk["send"] = {"text": check.tcp.send.encode().hex()}
        if check.tcp.expect is not None:
            talk["receive"] = [{"text": check.tcp.expect.encode().hex()}]
        return {"tcp_health_check": talk}
    return {"http_health_check": _http(check, host)}


def _http(check: HealthCheck, host: str) -> dict[str, Any]:
    """What is not expected counts towards `fall` like a timeout; without `retriable_statuses` Envoy would take an
    endpoint out at the first one."""
    asked: dict[str, Any] = {
        "host": check.host or host,
        "path": check.path,
        "retriable_statuses": [{"start": 100, "end": 600}],
    }
    if check.method != "GET":
        asked["method"] = check.method
    if check.headers:
        asked["request_headers_to_add"] = added_headers(check.headers)
    if check.expect.status != HttpExpect().status:
        asked["expected_statuses"] = [{"start": first, "end": last + 1} for first, last in check.expect.status]
    if check.expect.body is not None:
        asked["receive"] = [{"text": check.expect.body.encode().hex()}]
        asked["response_buffer_size"] = BODY_BYTES
    return asked


def added_headers(headers: Headers) -> list[dict[str, Any]]:
    """As Envoy's HeaderValueOption, where % begins a command; what the request had of these names goes."""
    return [
        {"header": {"key": name, "value": value.replace("%", "%%")}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        for name, value in headers
    ]
