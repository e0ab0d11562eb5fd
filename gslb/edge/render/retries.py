"""Further tries of a route, as parts of Envoy's RouteAction. Safe methods are tried again more freely than others."""

from __future__ import annotations

from typing import Any

from gslb.edge.render.clusters import OthersToTry
from gslb.edge.render.config import duration
from gslb.snapshot.routing import Route

__all__ = ["retry_parts"]

_RETRY = "type.googleapis.com/envoy.extensions.retry"
_TRY_MAX_S = 1.0
_SAFE = "gateway-error,reset,connect-failure,refused-stream"
_UNSENT = "connect-failure,refused-stream,reset-before-request"
"""What may be tried again for every method: nothing of the request had reached a backend."""
_STATUSES = "retriable-status-codes,reset,connect-failure,refused-stream"
_BACK_OFF = {"base_interval": "0.010s", "max_interval": "0.050s"}
_LONGEST_BACK_OFF = 10
"""How many times the first pause the longest is."""


def retry_parts(route: Route, others: OthersToTry, *, safe: bool) -> dict[str, Any]:
    """`safe`: for the methods that may be repeated. What chooses among `others` is there only where there are some."""
    if not route.retry.count:
        return {"retry_policy": {"per_try_timeout": duration(route.try_timeout_s)}} if route.try_timeout_s else {}
    freely = safe or (route.retry.any_method and bool(route.retry.statuses))
    if not freely:
        return _with_try_timeout(route, {"retry_policy": _policy(route, _UNSENT, others)})
    policy = _policy(route, _STATUSES if route.retry.statuses else _SAFE, others)
    if route.retry.statuses:
        policy["retriable_status_codes"] = list(route.retry.statuses)
    return _hedged(route, {"retry_policy": policy})


def _hedged(route: Route, parts: dict[str, Any]) -> dict[str, Any]:
    """It is tried again also when a try takes too long; the slow try goes on (hedging), so that a service that is
    merely slow still answers within the route's timeout. Where the policy says how long a try may take, it ends."""
    if route.try_timeout_s is not None or not route.timeout_s:
        return _with_try_timeout(route, parts)
    per_try = duration(min(_TRY_MAX_S, route.timeout_s / (route.retry.count + 1)))
    return {
        "retry_policy": {**parts["retry_policy"], "per_try_timeout": per_try},
        "hedge_policy": {"hedge_on_per_try_timeout": True},
    }


def _with_try_timeout(route: Route, parts: dict[str, Any]) -> dict[str, Any]:
    if route.try_timeout_s is None:
        return parts
    return {"retry_policy": {**parts["retry_policy"], "per_try_timeout": duration(route.try_timeout_s)}}


def _policy(route: Route, conditions: str, others: OthersToTry) -> dict[str, Any]:
    back_off = _BACK_OFF
    if route.retry.backoff_s is not None:
        longest = duration(_LONGEST_BACK_OFF * route.retry.backoff_s)
        back_off = {"base_interval": duration(route.retry.backoff_s), "max_interval": longest}
    policy = {"retry_on": conditions, "num_retries": route.retry.count, "retry_back_off": back_off}
    return policy | (_ANOTHER_POOL if others.pools else {}) | (_ANOTHER_ENDPOINT if others.endpoints else {})


_ANOTHER_POOL = {
    "retry_priority": {
        "name": "envoy.retry_priorities.previous_priorities",
        "typed_config": {
            "@type": f"{_RETRY}.priority.previous_priorities.v3.PreviousPrioritiesConfig",
            "update_frequency": 1,
        },
    },
}
"""Each try goes to another site (or, behind a canary, side)."""

_ANOTHER_ENDPOINT = {
    "retry_host_predicate": [
        {
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": {"@type": f"{_RETRY}.host.previous_hosts.v3.PreviousHostsPredicate"},
        }
    ],
    "host_selection_retry_max_attempts": 3,
}
