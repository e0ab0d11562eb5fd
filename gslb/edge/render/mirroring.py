"""Which requests of a route may be mirrored, as guards of twin routes, and the mirror policies themselves.

Envoy streams a body to the primary and to the mirror at the same pace: a mirror that stops reading stops the client.
So only requests that fit into buffers are mirrored, those without a body or with a short enough `content-length`; all
others take a twin of the route that has no mirror, and are counted there by reason. A method that is not safe usually
has a body, and HTTP/2 does not say so in a header: such a request must state its `content-length` to be mirrored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gslb.edge.render.config import MIRROR_RUNTIME, Resource, shadow_name
from gslb.edge.render.matching import method_in
from gslb.model.policy import SAFE_METHODS
from gslb.snapshot.types import App, Mirror, Route, RouteId

__all__ = ["CODING_HEADER", "SHADOW_HEADER", "Variant", "mirror_policies", "variants"]

SHADOW_HEADER = "x-gslb-shadow"
"""Set to `1` on mirrored copies only, so that a backend can tell (and not send that mail twice)."""

CODING_HEADER = "x-gslb-transfer-encoding"
"""The client's `transfer-encoding`, which Envoy takes away before it looks for a route. Never sent on."""

_SECRETS = ("authorization", "cookie", "proxy-authorization")
_ENDLESS = 2**62
_NOT_CHUNKED = {"name": CODING_HEADER, "present_match": True, "invert_match": True}
_HAS_LENGTH = {"name": "content-length", "present_match": True}


@dataclass(frozen=True, slots=True)
class Variant:
    """One twin of a route: taken when all `guards` hold and no earlier twin was. `mirrors` are indices into the
    route's; `skip` says why the other mirrors do not get the request. `safe`: its methods may be tried again."""

    guards: tuple[Resource, ...]
    safe: bool
    mirrors: tuple[int, ...] = ()
    skip: str | None = None


def variants(mirrors: Sequence[Mirror]) -> Iterator[Variant]:
    """The twins that `mirrors` and retries need, first match first; the last has no guards and takes what is left."""
    for methods, interested in _by_methods(mirrors):
        yield from _by_body(methods, interested, mirrors)
    skip = "method" if mirrors else None
    yield Variant((method_in(SAFE_METHODS),), safe=True, skip=skip)
    yield Variant((), safe=False, skip=skip)


def _by_methods(mirrors: Sequence[Mirror]) -> list[tuple[tuple[str, ...], tuple[int, ...]]]:
    """Methods (safe ones apart from others) that the same mirrors want, with those mirrors."""
    groups: dict[tuple[bool, tuple[int, ...]], list[str]] = {}
    for method in sorted({method for mirror in mirrors for method in mirror.methods}):
        interested = tuple(index for index, mirror in enumerate(mirrors) if method in mirror.methods)
        groups.setdefault((method in SAFE_METHODS, interested), []).append(method)
    return [(tuple(methods), interested) for (_, interested), methods in groups.items()]


def _by_body(methods: tuple[str, ...], interested: tuple[int, ...], mirrors: Sequence[Mirror]) -> Iterator[Variant]:
    missing = "method" if len(interested) < len(mirrors) else None
    method = method_in(methods)
    safe = methods[0] in SAFE_METHODS
    for limit_bytes in sorted({mirrors[index].max_body_bytes for index in interested}):
        fitting = tuple(index for index in interested if mirrors[index].max_body_bytes >= limit_bytes)
        reason = missing if len(fitting) == len(interested) else "body_too_large"
        guards = (method, *_body_guards(limit_bytes, bodiless_allowed=safe))
        yield Variant(guards, safe, fitting, reason)
    yield Variant((method, _NOT_CHUNKED, _HAS_LENGTH), safe, skip="body_too_large")
    yield Variant((method,), safe, skip="body_unknown_length")


def _body_guards(limit_bytes: int, *, bodiless_allowed: bool) -> tuple[Resource, ...]:
    if not bodiless_allowed:
        length = {"name": "content-length", "range_match": {"start": 0, "end": limit_bytes + 1}}
        return (_NOT_CHUNKED, length)
    too_long = {
        "name": "content-length",
        "range_match": {"start": limit_bytes + 1, "end": _ENDLESS},
        "treat_missing_header_as_empty": True,
        "invert_match": True,
    }
    return (_NOT_CHUNKED, too_long)


def mirror_policies(app: App, route: Route, chosen: Sequence[int]) -> list[dict[str, Any]]:
    """RouteAction.request_mirror_policies of the mirrors `chosen`."""
    route_id = RouteId(app.name, route.name)
    policies = [(_policy(route_id, index, route.mirrors[index]), route.mirrors[index]) for index in chosen]
    hosts = {mirror.to: app.backends[mirror.to].host for _, mirror in policies}
    return [
        {**policy, "host_rewrite_literal": host} if (host := hosts[mirror.to]) else policy
        for policy, mirror in policies
    ]


def _policy(route_id: RouteId, index: int, mirror: Mirror) -> dict[str, Any]:
    return {
        "cluster": shadow_name(route_id, index, mirror.to),
        "runtime_fraction": {
            "default_value": {"numerator": mirror.share_bp * 100, "denominator": "MILLION"},
            "runtime_key": f"{MIRROR_RUNTIME}.{route_id.app}.{route_id.route}.{index}",
        },
        "trace_sampled": False,
        "disable_shadow_host_suffix_append": True,
        "request_headers_mutations": [
            *({"remove": name} for name in _SECRETS),
            {
                "append": {
                    "header": {"key": SHADOW_HEADER, "value": "1"},
                    "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
                }
            },
        ],
    }
