"""The edge's part of comparing a mirror's answers: sampled requests take a twin of the route, which is captured.

Envoy decides by one random number whether a route's `runtime_fraction` holds and whether a mirror gets its copy, each
modulo a million: a twin for the first part of the mirror's share has only requests that are mirrored for sure. On the
twin a Lua filter captures what the client got; the copies go to pools of their own, in which the same filter, upstream,
captures what their target said. A third copy of safe requests goes to the old side. Routes and mirrors that compare
nothing have none of this.

A filter looks at a body as it passes by and holds nothing up. What it kept goes to the comparer over a unix socket,
without waiting: the pool has a few connections and a short queue, beyond which captures are dropped, so that a comparer
that is dead, slow or stopped costs this much memory and no time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gslb.edge.render.config import (
    COMPARE_RUNTIME,
    COMPARER,
    COMPARER_LOG,
    COPIED,
    LOG_SOCKET,
    Resource,
    compared_name,
    noise_name,
    shadow_name,
)
from gslb.edge.render.mirroring import SHADOW_HEADER, copied_host, copied_millionths, copy_edits, mirror_runtime_key
from gslb.snapshot.routing import Comparison, Mirror, Route
from gslb.snapshot.types import WHOLE_BP, App, RouteId, SiteName

__all__ = [
    "CAPTURE_FILTER",
    "answer_logs",
    "capture_filters",
    "captured_pool",
    "compared_mirror",
    "compared_twins",
    "comparer_cluster",
    "compares",
    "copy_logs",
    "overriding_samples",
    "sampled_millionths",
]

CAPTURE_FILTER = "gslb.capture"
_LUA = "type.googleapis.com/envoy.extensions.filters.http.lua.v3"
_CODEC = "type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"
_FILTER_CONFIG = "type.googleapis.com/envoy.config.route.v3.FilterConfig"
_CONNECTIONS = 4
_QUEUE = 64
"""Captures that wait for a connection: 64 KiB each."""
_TIMEOUT_MS = 1000
_LOG_BUFFER_BYTES = 65_536
_LOG_FLUSH_BYTES = 16_384
_LOGGERS = "type.googleapis.com/envoy.extensions.access_loggers"
_HTTP_OPTIONS = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

_COMMON = """
local HEAD_BYTES, HASHED_BYTES = 16384, 1048576

local function hashed(hash, text)
  for i = 1, #text do
    hash = bit.bxor(bit.rol(hash, 5), string.byte(text, i))
    hash = bit.tobit(hash + bit.lshift(hash, 7))
  end
  return hash
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local id = headers:get("x-request-id")
  if id == nil then return end
  local path = string.sub(headers:get(":path") or "", 1, 2048)
  local asked = id .. " " .. headers:get(":method") .. " " .. path
  handle:streamInfo():dynamicMetadata():set("gslb.capture", "asked", asked)
end

function envoy_on_response(handle)
  local known = handle:streamInfo():dynamicMetadata():get("gslb.capture")
  local headers = handle:headers()
  if known == nil or headers:get(":status") == "101" then return end
  local key, side, limit = context(handle)
  local head, head_size = {}, 0
  for name, value in pairs(headers) do
    head_size = head_size + #name + #value
    if #head < 200 and head_size <= HEAD_BYTES then head[#head + 1] = name .. ":" .. value end
  end
  local body, kept, size, hash = {}, 0, 0, 0
  for chunk in handle:bodyChunks() do
    local length = chunk:length()
    if length > 0 and size < HASHED_BYTES then
      local text = chunk:getBytes(0, math.min(length, HASHED_BYTES - size))
      hash = hashed(hash, text)
      if kept < limit then
        body[#body + 1] = string.sub(text, 1, limit - kept)
        kept = math.min(kept + #text, limit)
      end
    end
    size = size + length
  end
  for name, value in pairs(handle:trailers() or {}) do
    head_size = head_size + #name + #value
    if #head < 200 and head_size <= HEAD_BYTES then head[#head + 1] = name .. ":" .. value end
  end
  local lines = table.concat(head, "\\n")
  local message = {SITE .. " " .. key, side, known["asked"], size, hash, lines, "", table.concat(body)}
  handle:httpCall("%CLUSTER%", {[":method"] = "POST", [":path"] = "/captures", [":authority"] = "comparer"},
    table.concat(message, "\\n"), {asynchronous = true, timeout_ms = %TIMEOUT_MS%, trace_sampled = false})
end
""".replace("%CLUSTER%", COMPARER).replace("%TIMEOUT_MS%", str(_TIMEOUT_MS))

_BY_ROUTE = """local function context(handle)
  local given = handle:filterContext()
  return given:get("key"), given:get("side"), given:get("limit")
end"""


def compares(mirror: Mirror) -> bool:
    """Whether the policy compares any of its answers."""
    return mirror.compare is not None and sampled_millionths(mirror) > 0


def sampled_millionths(mirror: Mirror) -> int:
    """Of a million requests that the mirror may copy, those whose answers are captured, as the policy says."""
    share_bp = mirror.compare.sample_bp if mirror.compare is not None else 0
    return copied_millionths(mirror, mirror.share_bp) * share_bp // WHOLE_BP


def overriding_samples(app: App) -> Iterator[tuple[str, dict[str, Any]]]:
    """The runtime of comparisons whose mirror copies nothing now, by key."""
    for route in app.routes:
        for index, mirror in enumerate(route.mirrors):
            if compares(mirror) and not mirror.effective_bp:
                yield _runtime_key(RouteId(app.name, route.name), index), _share(0)


def _runtime_key(route: RouteId, index: int) -> str:
    return f"{COMPARE_RUNTIME}.{route.app}.{route.route}.{index}"


def _share(millionths: int) -> dict[str, Any]:
    return {"numerator": millionths, "denominator": "MILLION"}


def compared_mirror(route: Route, chosen: Sequence[int]) -> int | None:
    """Which of the mirrors `chosen` is compared; a route has one at most."""
    return next((index for index in chosen if compares(route.mirrors[index])), None)


def compared_twins(
    whole: Sequence[Resource], app: App, route: Route, index: int, *, safe: bool
) -> Iterator[dict[str, Any]]:
    """The Envoy routes `whole`, of requests that the mirror `index` may copy, as its sampled requests take them, and as
    the others do that are copied: both are known by their name, which the access log has. `safe`: a third copy, as like
    the second as can be, acts upon nothing."""
    mirror, route_id = route.mirrors[index], RouteId(app.name, route.name)
    named = [{**item, "name": f"{route_id}{COPIED}"} for item in whole]
    yield from (_sampled(item, app, route, index, safe) for item in named)
    copied = copied_millionths(mirror, mirror.share_bp)
    if sampled_millionths(mirror) < copied:
        share = {"default_value": _share(copied), "runtime_key": mirror_runtime_key(route_id, index)}
        yield from ({**item, "match": {**item["match"], "runtime_fraction": share}} for item in named)


def _sampled(whole: Resource, app: App, route: Route, index: int, safe: bool) -> dict[str, Any]:
    mirror, route_id = route.mirrors[index], RouteId(app.name, route.name)
    assert mirror.compare is not None
    share = {"default_value": _share(sampled_millionths(mirror)), "runtime_key": _runtime_key(route_id, index)}
    action = whole["route"]
    sides = [
        {**side, "typed_per_filter_config": _captured(mirror.compare, route_id, side["name"])}
        for side in action["weighted_clusters"]["clusters"]
    ]
    plain = shadow_name(route_id, index, mirror.to)
    policies = []
    for policy in action["request_mirror_policies"]:
        if policy["cluster"] != plain:
            policies.append(policy)
            continue
        policies.append({**policy, "cluster": compared_name(route_id, index, mirror.to)})
        if mirror.compare.noise and safe:
            policies.append(_to_old_side(policy, app, route, index, mirror.compare))
    return {
        **whole,
        "match": {**whole["match"], "runtime_fraction": share},
        "route": {
            **action,
            "weighted_clusters": {**action["weighted_clusters"], "clusters": sides},
            "request_mirror_policies": policies,
        },
    }


def _captured(compare: Comparison, route_id: RouteId, alias: str) -> dict[str, Any]:
    """`typed_per_filter_config` of one side of the twin's split: the filter is on, and knows who answers."""
    side = alias.removeprefix(f"{route_id}/")
    given = {"key": str(route_id), "side": f"answer {side}", "limit": compare.body_bytes}
    config = {"@type": f"{_LUA}.LuaPerRoute", "filter_context": given}
    return {CAPTURE_FILTER: {"@type": _FILTER_CONFIG, "config": config}}


def _to_old_side(policy: Resource, app: App, route: Route, index: int, compare: Comparison) -> dict[str, Any]:
    """`policy`, of the mirror `index`, as that of a copy to the old side, under the host that this one is asked by."""
    old = compare.reference
    copy = {key: value for key, value in policy.items() if key != "host_rewrite_literal"}
    copy["cluster"] = noise_name(RouteId(app.name, route.name), index, old)
    copy["request_headers_mutations"] = copy_edits(route, route.mirrors[index], old)
    host = copied_host(app, route, old)
    return {**copy, "host_rewrite_literal": host} if host else copy


# Filters and clusters -------------------------------------------------------------------------------------------------


def capture_filters(apps: Iterable[App], site: SiteName) -> list[Resource]:
    """The filter of the doors, off but on twins; none where nothing is compared. It must be the last before the router:
    it then sees what the backend said before others change it."""
    if not _capturing(apps):
        return []
    return [{"name": CAPTURE_FILTER, "disabled": True, "typed_config": _script(_BY_ROUTE, site)}]


def captured_pool(
    pool: dict[str, Any], route_id: RouteId, side: str, limit_bytes: int, site: SiteName
) -> dict[str, Any]:
    """`pool` with the filter upstream (envoy.extensions.upstreams.http.v3.HttpProtocolOptions.http_filters). `side` is
    role and backend."""
    given = f"{json.dumps(str(route_id))}, {json.dumps(side)}, {limit_bytes}"
    (options,) = pool["typed_extension_protocol_options"].values()
    options["http_filters"] = [
        {"name": CAPTURE_FILTER, "typed_config": _script(f"local function context(handle) return {given} end", site)},
        {"name": "envoy.filters.http.upstream_codec", "typed_config": {"@type": _CODEC}},
    ]
    return pool


def comparer_cluster(apps: Iterable[App], socket: str) -> Iterator[Resource]:
    """Where captures go; none where nothing is compared."""
    if not _capturing(apps):
        return
    endpoint = {"endpoint": {"address": {"pipe": {"path": socket}}}}
    limits = {"max_connections": _CONNECTIONS, "max_pending_requests": _QUEUE, "max_requests": _CONNECTIONS + _QUEUE}
    common = {"type": "STATIC", "connect_timeout": "0.250s"}
    yield {
        **common,
        "name": COMPARER,
        "circuit_breakers": {"thresholds": [{**limits, "max_retries": 0}]},
        "load_assignment": {"cluster_name": COMPARER, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    logs = {"endpoint": {"address": {"pipe": {"path": f"{socket}{LOG_SOCKET}"}}}}
    yield {
        **common,
        "name": COMPARER_LOG,
        "per_connection_buffer_limit_bytes": _LOG_BUFFER_BYTES,
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": _HTTP_OPTIONS,
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        },
        "load_assignment": {"cluster_name": COMPARER_LOG, "endpoints": [{"lb_endpoints": [logs]}]},
    }


# Access logs ----------------------------------------------------------------------------------------------------------


def answer_logs(apps: Iterable[App], site: SiteName) -> list[Resource]:
    """For the doors: a line for each answer to a request that was copied on a route that compares."""
    if not _capturing(apps):
        return []
    return [_log(site, _cel(f"xds.route_name.endsWith('{COPIED}')"))]


def copy_logs(apps: Iterable[App], site: SiteName) -> dict[str, Any]:
    """For the router, as part of envoy.extensions.filters.http.router.v3.Router: a line for each copy's answer."""
    names = [
        name(RouteId(app.name, route.name), index, mirror.to)
        for app in apps
        for route in app.routes
        for index, mirror in enumerate(route.mirrors)
        if compares(mirror)
        for name in (shadow_name, compared_name)
    ]
    if not names:
        return {}
    marked = {"header_filter": {"header": {"name": SHADOW_HEADER, "present_match": True}}}
    listed = _cel(f"xds.cluster_name in {json.dumps(names)}")
    return {"upstream_log": [_log(site, {"and_filter": {"filters": [marked, listed]}})]}


def _cel(expression: str) -> dict[str, Any]:
    config = {"@type": f"{_LOGGERS}.filters.cel.v3.ExpressionFilter", "expression": expression}
    return {"extension_filter": {"name": "envoy.access_loggers.extension_filters.cel", "typed_config": config}}


def _log(site: SiteName, which: dict[str, Any]) -> dict[str, Any]:
    """envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig. What the comparer does not read in time is
    dropped by Envoy."""
    return {
        "name": "envoy.access_loggers.http_grpc",
        "filter": which,
        "typed_config": {
            "@type": f"{_LOGGERS}.grpc.v3.HttpGrpcAccessLogConfig",
            "common_config": {
                "log_name": site,
                "transport_api_version": "V3",
                "buffer_flush_interval": "1s",
                "buffer_size_bytes": _LOG_FLUSH_BYTES,
                "grpc_service": {"envoy_grpc": {"cluster_name": COMPARER_LOG}},
            },
        },
    }


def _capturing(apps: Iterable[App]) -> bool:
    return any(compares(mirror) for app in apps for route in app.routes for mirror in route.mirrors)


def _script(context: str, site: SiteName) -> Mapping[str, Any]:
    code = f"local SITE = {json.dumps(site)}\n{context}\n{_COMMON}"
    return {"@type": f"{_LUA}.Lua", "default_source_code": {"inline_string": code}}
