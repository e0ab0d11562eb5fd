"""What a route does besides splitting, as parts of Envoy's Route: rewrites, redirects, own answers, header edits.

No filters (see `filters`) and no splits (see `routes`) here.
"""

from __future__ import annotations

import re
from typing import Any

from gslb.snapshot.routing import BackendName, Edits, Match, Redirect, Respond, Rewrite, Route, Side

__all__ = [
    "edits_by_side",
    "header_edits",
    "names_no_port",
    "redirect_action",
    "respond_parts",
    "rewrite_parts",
    "side_parts",
]

_REDIRECT_CODES = {
    301: "MOVED_PERMANENTLY",
    302: "FOUND",
    303: "SEE_OTHER",
    307: "TEMPORARY_REDIRECT",
    308: "PERMANENT_REDIRECT",
}
_SCHEME_PORTS = {"http": 80, "https": 443}


def header_edits(request: Edits, response: Edits) -> dict[str, Any]:
    """`*_headers_to_add` and `*_headers_to_remove` of a Route, virtual host or weighted cluster; it removes first."""
    parts: dict[str, Any] = {}
    for what, edits in (("request", request), ("response", response)):
        values = [_value(name, value, "OVERWRITE_IF_EXISTS_OR_ADD") for name, value in edits.set]
        values += [_value(name, value, "APPEND_IF_EXISTS_OR_ADD") for name, value in edits.added]
        if values:
            parts[f"{what}_headers_to_add"] = values
        if edits.removed:
            parts[f"{what}_headers_to_remove"] = list(edits.removed)
    return parts


def _value(name: str, value: str, how: str) -> dict[str, Any]:
    """`%` begins a command of Envoy's formatter; doubled it is itself. An empty value is a value, too."""
    item = {"header": {"key": name, "value": value.replace("%", "%%")}, "append_action": how}
    return item if value else {**item, "keep_empty_value": True}


def edits_by_side(route: Route) -> bool:
    """Whether sides of `route` edit headers. Then the edits of the route stand there, too: Envoy does those of a
    weighted cluster first, whatever `most_specific_header_mutations_wins` says, and the route would have the last word.
    """
    return any(side.request != Edits() or side.response != Edits() for side in route.sides)


def side_parts(route: Route, backend: BackendName) -> dict[str, Any]:
    """What a weighted cluster gets for its side."""
    found = next((side for side in route.sides if side.backend == backend), None)
    host = {"host_rewrite_literal": found.host} if found and found.host else {}
    if not edits_by_side(route):
        return host
    own = found or Side(backend, Edits(), Edits(), None)
    return {**header_edits(_followed(route.request, own.request), _followed(route.response, own.response)), **host}


def _followed(first: Edits, then: Edits) -> Edits:
    """Both in one: what `then` removes or sets is not left of what `first` has written."""
    gone = {*then.removed, *(name for name, _ in then.set)}
    return Edits(
        set=(*(item for item in first.set if item[0] not in gone), *then.set),
        added=(*(item for item in first.added if item[0] not in gone), *then.added),
        removed=tuple(dict.fromkeys((*first.removed, *then.removed))),
    )


def rewrite_parts(rewrite: Rewrite, match: Match) -> dict[str, Any]:
    """Fields of a RouteAction. The query stays."""
    parts: dict[str, Any] = {"host_rewrite_literal": rewrite.host} if rewrite.host else {}
    if rewrite.path is not None:
        parts["regex_rewrite"] = {"pattern": {"regex": "^/.*$"}, "substitution": _literal(rewrite.path)}
    elif rewrite.prefix is not None:
        parts["regex_rewrite"] = _swapped_prefix(match, rewrite.prefix)
    return parts


def names_no_port(redirect: Redirect) -> bool:
    """Whether another host keeps the scheme and port that the client came by."""
    return redirect.host is not None and redirect.scheme is None and redirect.port is None


def redirect_action(redirect: Redirect, match: Match, listening: int) -> dict[str, Any]:
    """RedirectAction at an edge whose clients come to the port `listening`."""
    action: dict[str, Any] = {"response_code": _REDIRECT_CODES[redirect.status]}
    if redirect.scheme is not None:
        action["scheme_redirect"] = redirect.scheme
    if redirect.host is not None:
        action["host_redirect"] = redirect.host
    port = _port(redirect, listening)
    if port is not None:
        action["port_redirect"] = port
    if redirect.path is not None:
        action["path_redirect"] = redirect.path
    elif redirect.prefix is not None:
        action["regex_rewrite"] = _swapped_prefix(match, redirect.prefix)
    return action


def _port(redirect: Redirect, listening: int) -> int | None:
    """What the location must name. A scheme without a port means the scheme's own (Gateway API,
    HTTPRequestRedirectFilter), which is left out where nothing else would stand there: Envoy takes the request's host
    with its port, and a host of the policy without."""
    usual = listening in _SCHEME_PORTS.values()
    if redirect.scheme is None:
        return redirect.port or (listening if redirect.host and not usual else None)
    own = _SCHEME_PORTS[redirect.scheme]
    port = redirect.port or own
    return None if port == own and (redirect.host or usual) else port


def _swapped_prefix(match: Match, new: str) -> dict[str, Any]:
    """Envoy's `prefix_rewrite` would make `//x` or `/newx` where one of the two ends in a slash: written by segment."""
    old, target = (match.prefix or "/").rstrip("/"), new.rstrip("/")
    if not target:
        return {"pattern": {"regex": f"^{re.escape(old)}/*"}, "substitution": "/"}
    if not old:
        return {"pattern": {"regex": "^/"}, "substitution": f"{_literal(target)}/"}
    return {"pattern": {"regex": f"^{re.escape(old)}"}, "substitution": _literal(target)}


def _literal(text: str) -> str:
    """RE2 reads a backslash in a substitution; a policy's path has none, and this keeps it so."""
    return text.replace("\\", "\\\\")


def respond_parts(respond: Respond) -> dict[str, Any]:
    """`direct_response` and its type, as parts of a Route."""
    action: dict[str, Any] = {"status": respond.status}
    if not respond.body:
        return {"direct_response": action}
    content_type = _value("content-type", respond.content_type, "OVERWRITE_IF_EXISTS_OR_ADD")
    return {
        "direct_response": {**action, "body": {"inline_string": respond.body}},
        "response_headers_to_add": [content_type],
    }
