"""Which requests of a route may be mirrored, as guards of twin routes, and the mirror policies themselves.

Envoy streams a body to the primary and to the mirror at the same pace: a mirror that stops reading stops the client.
So only requests that fit into buffers are mirrored, those without a body or with a short enough `content-length`; all
others take a twin of the route that has no mirror, and are counted there by reason. The buffers are as large as the
largest body: where they were not, a copy that waited for one of the few connections of a stalled target held its client
for five seconds. A method that is not safe usually
has a body, and HTTP/2 does not say so in a header: such a request must state its `content-length` to be mirrored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gslb.edge.render.actions import header_edits
from gslb.edge.render.config import MIRROR_RUNTIME, Resource, shadow_name
from gslb.edge.render.matching import method_in
from gslb.model.policy import SAFE_METHODS
from gslb.snapshot.routing import BackendName, Edits
from gslb.snapshot.types import WHOLE_BP, App, Mirror, Route, RouteId

__all__ = [
    "CODING_HEADER",
    "SHADOW_HEADER",
    "Variant",
    "buffer_bytes",
    "copied_host",
    "copied_millionths",
    "copy_edits",
    "mirror_policies",
    "mirror_runtime_key",
    "overriding_fractions",
    "variants",
]

SHADOW_HEADER = "x-gslb-shadow"
"""Set to `1` on mirrored copies only, so that a backend can tell (and not send that mail twice)."""

CODING_HEADER = "x-gslb-transfer-encoding"
"""The client's `transfer-encoding`, which Envoy takes away before it looks for a route. Never sent on."""

_CREDENTIALS = ("authorization", "cookie")
_NEVER_COPIED = ("proxy-authorization",)
_ENDLESS = 2**62
_AROUND_BYTES = 65_536
_NOT_CHUNKED = {"name": CODING_HEADER, "present_match": True, "invert_match": True}
_UPGRADE = {"name": "upgrade", "present_match": True}
_HAS_LENGTH = {"name": "content-length", "present_match": True}


@dataclass(frozen=True, slots=True)
class Variant:
    """One twin of a route: taken when all `guards` hold and no earlier twin was. `mirrors` are indices into the
    route's; `skip` says why `missed` others do not get the request. `safe`: its methods may be tried again.
    `outside_bp`: taken by those users alone who are not in this share."""

    guards: tuple[Resource, ...]
    safe: bool
    mirrors: tuple[int, ...] = ()
    skip: str | None = None
    missed: int = 0
    outside_bp: int | None = None


def variants(mirrors: Sequence[Mirror], *, upgrades: bool = False) -> Iterator[Variant]:
    """The twins that `mirrors` and retries need, first match first; the last has no guards and takes what is left.
    `upgrades`: requests of the route may become websockets, whose every octet would be copied.

    Users outside the largest share come first, and those in the smallest last, who need no guard any more.
    """
    if mirrors and upgrades:
        yield Variant((_UPGRADE,), safe=True, skip="upgrade", missed=len(mirrors))
    shares_bp = sorted({mirror.share_bp for mirror in mirrors if mirror.by}, reverse=True)
    for share_bp in shares_bp:
        if share_bp < WHOLE_BP:
            due = [i for i, mirror in enumerate(mirrors) if mirror.by is None or mirror.share_bp > share_bp]
            yield from (replace(one, outside_bp=share_bp or None) for one in _of_due(mirrors, due))
        if share_bp == 0:
            return
    yield from _of_due(mirrors, range(len(mirrors)))


def _of_due(mirrors: Sequence[Mirror], due: Sequence[int]) -> Iterator[Variant]:
    """The twins of a request that the mirrors `due` get, if it is fit for them."""
    for methods, interested in _by_methods(mirrors, due):
        yield from _by_body(methods, interested, mirrors, len(due))
    skip = "method" if due else None
    yield Variant((method_in(SAFE_METHODS),), safe=True, skip=skip, missed=len(due))
    yield Variant((), safe=False, skip=skip, missed=len(due))


def _by_methods(mirrors: Sequence[Mirror], due: Sequence[int]) -> list[tuple[tuple[str, ...], tuple[int, ...]]]:
    """Methods (safe ones apart from others) that the same mirrors want, with those mirrors."""
    groups: dict[tuple[bool, tuple[int, ...]], list[str]] = {}
    for method in sorted({method for index in due for method in mirrors[index].methods}):
        interested = tuple(index for index in due if method in mirrors[index].methods)
        groups.setdefault((method in SAFE_METHODS, interested), []).append(method)
    return [(tuple(methods), interested) for (_, interested), methods in groups.items()]


def _by_body(
    methods: tuple[str, ...], interested: tuple[int, ...], mirrors: Sequence[Mirror], due: int
) -> Iterator[Variant]:
    missing = "method" if len(interested) < due else None
    method = method_in(methods)
    safe = methods[0] in SAFE_METHODS
    for limit_bytes in sorted({mirrors[index].max_body_bytes for index in interested}):
        fitting = tuple(index for index in interested if mirrors[index].max_body_bytes >= limit_bytes)
        reason = missing if len(fitting) == len(interested) else "body_too_large"
        guards = (method, *_body_guards(limit_bytes, bodiless_allowed=safe))
        yield Variant(guards, safe, fitting, reason, due - len(fitting))
    yield Variant((method, _NOT_CHUNKED, _HAS_LENGTH), safe, skip="body_too_large", missed=due)
    yield Variant((method,), safe, skip="body_unknown_length", missed=due)


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
    policies = [(_policy(route_id, index, route), route.mirrors[index]) for index in chosen]
    hosts = {mirror.to: copied_host(app, route, mirror.to) for _, mirror in policies}
    return [
        {**policy, "host_rewrite_literal": host} if (host := hosts[mirror.to]) else policy
        for policy, mirror in policies
    ]


def _without(mirror: Mirror) -> tuple[str, ...]:
    names = _NEVER_COPIED if mirror.credentials else (*_CREDENTIALS, *_NEVER_COPIED)
    return tuple(dict.fromkeys((*names, *mirror.removed)))


def buffer_bytes(mirror: Mirror) -> int:
    """What must be able to wait for a connection, or for a target that does not read, so that the client never does:
    the largest body that is mirrored, and what is around it."""
    return mirror.max_body_bytes + _AROUND_BYTES


def overriding_fractions(app: App) -> Iterator[tuple[str, dict[str, Any]]]:
    """The runtime of the mirrors of `app` that do not copy what the policy says, by key."""
    for route in app.routes:
        route_id = RouteId(app.name, route.name)
        for index, mirror in enumerate(route.mirrors):
            if mirror.effective_bp != mirror.share_bp:
                yield mirror_runtime_key(route_id, index), _millionths(mirror, mirror.effective_bp)


def copied_millionths(mirror: Mirror, share_bp: int) -> int:
    """How many of a million requests that are fit, and whose user is due, are copied at this share."""
    return 1_000_000 if mirror.by is not None and share_bp else share_bp * 100


def _millionths(mirror: Mirror, share_bp: int) -> dict[str, Any]:
    return {"numerator": copied_millionths(mirror, share_bp), "denominator": "MILLION"}


def mirror_runtime_key(route: RouteId, index: int) -> str:
    return f"{MIRROR_RUNTIME}.{route.app}.{route.route}.{index}"


def copied_host(app: App, route: Route, to: BackendName) -> str | None:
    """The host that copies to the backend `to` are asked by; None: the request's own."""
    return next((side.host for side in route.sides if side.backend == to and side.host), app.backends[to].host)


def _policy(route_id: RouteId, index: int, route: Route) -> dict[str, Any]:
    mirror = route.mirrors[index]
    return {
        "cluster": shadow_name(route_id, index, mirror.to),
        "runtime_fraction": {
            "default_value": _millionths(mirror, mirror.share_bp),
            "runtime_key": mirror_runtime_key(route_id, index),
        },
        "trace_sampled": False,
        "disable_shadow_host_suffix_append": True,
        "request_headers_mutations": copy_edits(route, mirror, mirror.to),
    }


def copy_edits(route: Route, mirror: Mirror, to: BackendName) -> list[dict[str, Any]]:
    """`request_headers_mutations` of a copy to the backend `to`. It is made of the request as the side that was drawn
    gets it: what other sides have written goes, and what the target's own side says of requests holds."""
    own = next((side.request for side in route.sides if side.backend == to), Edits())
    written = [
        name for side in route.sides if side.backend != to for name, _ in (*side.request.set, *side.request.added)
    ]
    removed = dict.fromkeys((*written, *own.removed))
    return [
        *({"remove": name} for name in removed),
        *({"append": value} for value in header_edits(own, Edits()).get("request_headers_to_add", ())),
        *({"remove": name} for name in _without(mirror)),
        {
            "append": {
                "header": {"key": SHADOW_HEADER, "value": "1"},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }
        },
    ]
