"""What an Envoy asks the endpoints of a backend, as its health checks write it. Only the question; see `clusters`."""

from __future__ import annotations

from typing import Any

from gslb.edge.render.config import duration
from gslb.snapshot.checks import Headers, HealthCheck, HttpExpect

__all__ = ["added_headers", "health_check"]

BODY_BYTES = 16_384
"""How much of an answer is looked at for the text that a check expects."""


def health_check(check: HealthCheck, host: str) -> dict[str, Any]:
    """What is not expected counts towards `fall` like a timeout; without `retriable_statuses` Envoy would take an
    endpoint out at the first one. An idle cluster is checked as often as a busy one."""
    interval = duration(check.interval_s)
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
    return {
        "timeout": duration(check.timeout_s),
        "interval": interval,
        "no_traffic_interval": interval,
        "no_traffic_healthy_interval": interval,
        "healthy_threshold": check.rise,
        "unhealthy_threshold": check.fall,
        "http_health_check": asked,
    }


def added_headers(headers: Headers) -> list[dict[str, Any]]:
    """As Envoy's HeaderValueOption; what the request had of these names goes."""
    return [
        {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        for name, value in headers
    ]
