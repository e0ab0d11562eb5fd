"""Routes: virtual hosts, front-door probes, splits, sticky twins.

Guards of mirrors stand in `mirroring`, tries in `retries`, what else a route does in `actions` and `filters`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gslb.edge.render.actions import (
    edits_by_side,
    header_edits,
    names_no_port,
    redirect_action,
    respond_parts,
    rewrite_parts,
    side_parts,
)
from gslb.edge.render.checks import added_headers
from gslb.edge.render.clusters import has_local_probe, others_to_try
from gslb.edge.render.comparing import compared_mirror, compared_twins
from gslb.edge.render.config import (
    PROBE_HEADER,
    Resource,
    alias_name,
    duration,
    elsewhere_name,
    leaf_name,
    skip_prefix,
    variant_name,
)
from gslb.edge.render.filters import limit_name, limited_routes, route_filters, uncounted
from gslb.edge.render.listeners import SILENCE
from gslb.edge.render.matching import header_equals, method_in, preflight_match, route_match
from gslb.edge.render.mirroring import Variant, buffer_bytes, mirror_policies, variants
from gslb.edge.render.retries import retry_parts
from gslb.edge.render.shares import runtime_parts, written_weights
from gslb.edge.render.tls import alt_svc, misdirected, to_https
from gslb.edge.render.users import outside
from gslb.snapshot.checks import HealthCheck
from gslb.snapshot.routing import BackendName, Match, Route, ValueMatch
from gslb.snapshot.types import App, ClientTls, RouteId, Site, SiteName

__all__ = ["VARIANT_HEADER", "cookie_name", "virtual_host"]

VARIANT_HEADER = "x-gslb-variant"
"""Where a route has `variants`: the side that a tester wants."""

_PREFLIGHT = Variant((), safe=True)
"""Goes nowhere, as the filter for CORS answers it; but that looks at no route without a cluster."""

_WEBSOCKET = (ValueMatch("upgrade", "(?i)websocket", "regex"), ValueMatch("content-length", "", "absent"))
_COOKIE_MAX_AGE_S = 30 * 86_400


def virtual_host(app: App, site: Site, port: int, chains: Mapping[ClientTls, Sequence[str]]) -> dict[str, Any]:
    """Probes first, then the routes in the order of the policy: Envoy takes the first that matches. `port` is where
    clients come by http, `chains` the server names of the site by certificate."""
    probes = ({**probe, **uncounted(site)} for probe in _probes(app, site.name))
    routes = [*misdirected(app, chains), *probes, *to_https(app, site)]
    for route in app.routes:
        routes += _route(app, route, port, site.listening.https_port if site.serves_tls(app) else None)
    host: dict[str, Any] = {"name": app.name, "domains": [*app.hosts, *app.site_hosts], "routes": routes}
    host |= limited_routes(app)
    advertised = alt_svc(app, site)
    return {**host, "response_headers_to_add": [advertised]} if advertised else host


def cookie_name(app: App) -> str:
    return f"gslb_{app.name}"


# Front door -----------------------------------------------------------------------------------------------------------


def _probes(app: App, site: SiteName) -> Iterator[dict[str, Any]]:
    """One per needed backend with a check, straight to its pool: probes must not count in a split."""
    checked = [(name, check) for name in app.needed if (check := app.backends[name].check)]
    for name, check in checked:
        yield _backend_probe(app, name, check, site)
    if not checked:
        yield {
            "name": f"{app.name}~probe",
            "match": route_match(Match(exact="/", headers=(ValueMatch(PROBE_HEADER, "edge"),))),
            "direct_response": {"status": 200},
        }


def _backend_probe(app: App, name: BackendName, check: HealthCheck, site: SiteName) -> dict[str, Any]:
    local = has_local_probe(app.backends[name], site)
    # the mark before the method: Envoy tests in this order, and hardly any request has it
    asked = Match(exact=check.path.partition("?")[0], headers=(ValueMatch(PROBE_HEADER, name),))
    route: dict[str, Any] = {
        "cluster": leaf_name(app.name, name, site) if local else elsewhere_name(app.name, name),
        **SILENCE,
        "timeout": duration(check.timeout_s),
        "retry_policy": {"retry_on": "connect-failure,refused-stream,reset", "num_retries": 1},
    }
    if check.host is not None:
        route["host_rewrite_literal"] = check.host
    probe: dict[str, Any] = {
        "name": f"{app.name}/{name}~probe",
        "match": route_match(asked, [method_in((check.method,))]),
        "route": route,
    }
    if check.headers:
        probe["request_headers_to_add"] = added_headers(check.headers)
    return probe


# Actions --------------------------------------------------------------------------------------------------------------


def _route(app: App, route: Route, http_port: int, https_port: int | None) -> Iterator[dict[str, Any]]:
    """Every Envoy route that `route` needs, for each of its matches: requests that one of those takes end there."""
    on_all = {"name": str(RouteId(app.name, route.name)), **_extras(app, route)}
    for match in route.matches:
        taken = {"match": route_match(match)}
        if route.redirect is not None:
            if https_port is not None and names_no_port(route.redirect):
                by_https = route_match(match, [header_equals("x-forwarded-proto", "https")])
                action = redirect_action(route.redirect, match, https_port)
                yield {**on_all, "match": by_https, "redirect": action}
            yield {**on_all, **taken, "redirect": redirect_action(route.redirect, match, http_port)}
        elif route.respond is not None:
            yield _joined({**on_all, **taken}, respond_parts(route.respond))
        else:
            if route.cors is not None and match.methods and "OPTIONS" not in match.methods:
                yield {**on_all, "match": preflight_match(match), "route": _action(app, route, match, _PREFLIGHT)}
            if route.websocket and route.max_body_bytes is not None:
                yield from _unbounded(app, route, match)
            yield from _testers(app, route, match, on_all)
            yield from _split(app, route, match, on_all)


def _unbounded(app: App, route: Route, match: Match) -> Iterator[dict[str, Any]]:
    """What becomes a websocket has no body, and what its client says later is not counted as one."""
    upgrades = replace(match, headers=(*match.headers, *_WEBSOCKET))
    free = replace(route, max_body_bytes=None)
    on_all = {"name": str(RouteId(app.name, route.name)), **_extras(app, free)}
    yield from _testers(app, free, upgrades, on_all)
    yield from _split(app, free, upgrades, on_all)


def _extras(app: App, route: Route) -> dict[str, Any]:
    """What holds for all requests of a route, whatever becomes of them."""
    edits = {} if edits_by_side(route) else header_edits(route.request, route.response)
    parts = {**edits, **limit_name(route)}
    filters = route_filters(app, route)
    return {**parts, "typed_per_filter_config": filters} if filters else parts


def _joined(route: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """With the headers of both added to the answer."""
    added = [*route.get("response_headers_to_add", ()), *more.get("response_headers_to_add", ())]
    return {**route, **more, **({"response_headers_to_add": added} if added else {})}


def _testers(app: App, route: Route, match: Match, on_all: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Who names a side gets it, also at share 0, without mirrors, and uncounted."""
    route_id = RouteId(app.name, route.name)
    for share in route.split if route.variants else ():
        picked = header_equals(VARIANT_HEADER, share.backend)
        for variant in variants(()):
            cluster = {"name": variant_name(route_id, share.backend), "weight": 1, **_side(app, route, share.backend)}
            action = {
                "weighted_clusters": {"clusters": [cluster]},
                **_action_parts(app, route, match, safe=variant.safe),
            }
            yield {**on_all, "match": route_match(match, [picked, *variant.guards]), "route": action}


def _split(app: App, route: Route, match: Match, on_all: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for variant in variants(route.mirrors, upgrades=route.websocket):
        action = _action(app, route, match, variant)
        twin = dict(on_all)
        if variant.mirrors:
            twin["request_body_buffer_limit"] = max(buffer_bytes(route.mirrors[index]) for index in variant.mirrors)
        if variant.skip:
            twin["stat_prefix"] = skip_prefix(route.name, variant.skip, variant.missed)
        users = next((mirror.by for mirror in route.mirrors if mirror.by), None)
        guards = list(variant.guards)
        others = outside(app.name, variant.outside_bp) if variant.outside_bp is not None else None
        if others and users and users.header:
            guards.append({"name": users.header, "string_match": others, "treat_missing_header_as_empty": True})
            others = None
        if route.sticky or (users and users.header is None):
            taken = _Taken(match, guards, others)
            whole = list(_by_cookie(app, taken, twin, action, sticky=route.sticky))
        else:
            whole = [{**twin, "match": route_match(match, guards), "route": action}]
        index = compared_mirror(route, variant.mirrors)
        if index is not None:
            yield from compared_twins(whole, app, route, index, safe=variant.safe)
        yield from whole


def _action(app: App, route: Route, match: Match, variant: Variant) -> dict[str, Any]:
    route_id = RouteId(app.name, route.name)
    sides = [
        {"name": alias_name(route_id, backend), "weight": weight, **_side(app, route, backend)}
        for backend, weight in written_weights(route)
    ]
    split = {"clusters": sides, **runtime_parts(route)}
    action = {"weighted_clusters": split, **_action_parts(app, route, match, safe=variant.safe)}
    if variant.mirrors:
        action["request_mirror_policies"] = mirror_policies(app, route, variant.mirrors)
    return action


def _side(app: App, route: Route, backend: BackendName) -> dict[str, Any]:
    """What holds for one side of a split: the route's word for it before the backend's own."""
    parts = side_parts(route, backend)
    host = app.backends[backend].host
    rewritten = route.rewrite is not None and route.rewrite.host is not None
    return parts if host is None or rewritten else {"host_rewrite_literal": host, **parts}


def _action_parts(app: App, route: Route, match: Match, *, safe: bool) -> dict[str, Any]:
    """Of a RouteAction, all but where it goes."""
    parts: dict[str, Any] = {
        **SILENCE,
        "timeout": duration(route.timeout_s),
        **retry_parts(route, others_to_try(app, route), safe=safe),
    }
    if route.rewrite is not None:
        parts |= rewrite_parts(route.rewrite, match)
    if route.websocket:
        parts["upgrade_configs"] = [{"upgrade_type": "websocket"}]
    return parts


@dataclass(frozen=True, slots=True)
class _Taken:
    """What a twin takes. `others`: of users, those whom this StringMatcher takes."""

    match: Match
    guards: Sequence[Resource]
    others: Resource | None


def _by_cookie(
    app: App, taken: _Taken, twin: dict[str, Any], action: dict[str, Any], *, sticky: bool
) -> Iterator[dict[str, Any]]:
    """With a cookie, its hash says what becomes of a user. Without one, that of the request id does, and it becomes the
    cookie: the next request is treated alike. An empty cookie counts as none. `sticky`: it draws the side, too."""
    name = cookie_name(app)
    present = {"name": "cookie", "string_match": {"safe_regex": {"regex": f"(?:.*;\\s*)?{name}=[^;\\s][^;]*(?:;.*)?"}}}
    known = route_match(taken.match, [*taken.guards, present])
    new = list(taken.guards)
    if taken.others is not None:
        known["cookies"] = [{"name": name, "string_match": taken.others}]
        new += [{**present, "invert_match": True, "treat_missing_header_as_empty": True}]
        new += [{"name": "x-request-id", "string_match": taken.others}]
    by_cookie, by_id = {"cookie": {"name": name}}, {"header": {"header_name": "x-request-id"}}
    yield {**twin, "match": known, "route": _hashed(action, by_cookie) if sticky else action}
    value = f"{name}=%REQ(X-REQUEST-ID)%; Max-Age={_COOKIE_MAX_AGE_S}; Path=/; HttpOnly; SameSite=Lax"
    first = {**twin, "match": route_match(taken.match, new), "route": _hashed(action, by_id) if sticky else action}
    cookie = {"header": {"key": "set-cookie", "value": value}, "append_action": "APPEND_IF_EXISTS_OR_ADD"}
    yield _joined(first, {"response_headers_to_add": [cookie]})


def _hashed(action: dict[str, Any], policy: Resource) -> dict[str, Any]:
    split = {**action["weighted_clusters"], "use_hash_policy": True}
    return {**action, "weighted_clusters": split, "hash_policy": [policy]}
