"""Prometheus: an instant query whose every sample must compare as the policy says."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from gslb.health.checks.connection import Connection
from gslb.health.checks.http import door_to, headers_of
from gslb.health.checks.tools import Tools
from gslb.health.http_answer import Answer
from gslb.health.request import Request, whole_answer
from gslb.health.target import Result
from gslb.snapshot.checks import PrometheusAsk

__all__ = ["ask_prometheus", "samples"]

_LIMIT_BYTES = 1_048_576
_SIGNS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
_SHOWN = 3


async def ask_prometheus(subject: str, ask: PrometheusAsk, connection: Connection, tools: Tools) -> Result:
    """Healthy when there are samples and each compares. The caller limits the time. Raises what asking does."""
    parts = urlsplit(ask.url)
    target = f"{parts.path.rstrip('/')}/api/v1/query?{urlencode({'query': ask.query})}"
    request = Request("GET", target, parts.netloc, headers_of((), ask.bearer, tools))
    assert tools.session is not None
    answer = await whole_answer(
        tools.session, door_to(ask.url, ask.tls, tools), request, _LIMIT_BYTES, connection.stands
    )
    try:
        found = list(samples(answer.body))
    except ValueError as error:
        return Result(ok=False, reason=f"{subject}: {error}{_status(answer)}")
    if not found:
        return Result(ok=False, reason=f"{subject}: the query gives no sample")
    wrong = [(labels, value) for labels, value in found if not _SIGNS[ask.sign](value, ask.number)]
    if not wrong:
        shown = f"{found[0][1]:g}" if len(found) == 1 else f"{len(found)} samples"
        return Result(ok=True, reason=f"{subject}: {shown}, {ask.sign} {ask.number:g}")
    told = ", ".join(f"{value:g}{labels}" for labels, value in wrong[:_SHOWN])
    told += f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    return Result(ok=False, reason=f"{subject}: {told}, not {ask.sign} {ask.number:g}")


def _status(answer: Answer) -> str:
    return "" if answer.status == 200 else f" (HTTP status {answer.status})"


def samples(body: bytes) -> Iterator[tuple[str, float]]:
    """Labels, as text, and value of each sample of a vector or scalar. Raises ValueError where it is no such answer
    (https://prometheus.io/docs/prometheus/latest/querying/api/)."""
    try:
        answer = json.loads(body)
        if answer["status"] != "success":
            raise ValueError(f"the query fails: {str(answer.get('error', ''))[:120]}")
        kind, result = answer["data"]["resultType"], answer["data"]["result"]
        if kind == "scalar":
            yield "", float(result[1])
        elif kind == "vector":
            yield from ((_labels(item["metric"]), float(item["value"][1])) for item in result)
        else:
            raise ValueError(f"the query gives a {str(kind)[:20]}, not a vector or scalar")
    except (KeyError, TypeError, IndexError, UnicodeDecodeError, json.JSONDecodeError, AttributeError):
        raise ValueError("the answer is not Prometheus's") from None


def _labels(metric: Mapping[str, Any]) -> str:
    shown = ", ".join(f'{name}="{value}"' for name, value in sorted(metric.items()) if name != "__name__")
    return f" {{{shown[:80]}}}" if shown else ""
