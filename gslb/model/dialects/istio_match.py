"""One HTTPMatchRequest of a VirtualService as a match of ours."""

from __future__ import annotations

import re
from typing import Any

from gslb.model.dialects.fields import Fields, Told
from gslb.model.tree import Node

__all__ = ["match_of"]

_NO_IDENTITY = "edges do not know who a client is"
_FOREIGN = {
    "scheme": "http and https have the same routes", "authority": "routes belong to hosts",
    "port": "routes belong to hosts", "sourceLabels": _NO_IDENTITY, "sourceNamespace": _NO_IDENTITY,
    "gateways": "all edges have the same routes", "statPrefix": "counters have the names of routes",
}  # fmt: skip


def match_of(item: Fields, told: Told, *, segments: bool) -> dict[str, Any]:
    """`segments`: the prefix is replaced afterwards, so that it is one of whole segments, and a warning says so."""
    item.ignore("name")
    for field, why in _FOREIGN.items():
        item.refuse(field, why, "write it in our own words")
    match: dict[str, Any] = {}
    any_case = item.scalar("ignoreUriCase", bool, default=False)
    if uri := item.fields("uri"):
        match |= _uri(uri, told, any_case=any_case, segments=segments)
    if method := item.fields("method"):
        exact = method.take("exact")
        method.done()
        if exact is not None:
            match["method"] = exact
    for word, field in (("headers", "headers"), ("query", "queryParams")):
        tests = {key: _test(item, told, node, f"{field}.{key}") for key, node in item.mapping(field).items()}
        if tests:
            match[word] = tests
    for key, node in item.mapping("withoutHeaders").items():
        if isinstance(node.value, dict) and node.value:
            message = f"{item.named('withoutHeaders')}.{key}: only its absence can be asked for"
            told.error(node.place, "foreign-field", message, "write {} as its value")
        match["headers"] = {**match.get("headers", {}), key: {"present": False}}
    item.done()
    return match


def _uri(uri: Fields, told: Told, *, any_case: bool, segments: bool) -> dict[str, Any]:
    exact, prefix, regex = uri.take("exact"), uri.take("prefix"), uri.take("regex")
    uri.done()
    case = "(?i)" if any_case else ""
    if regex is not None:
        return {"regex": f"{case}{regex.value}" if case else regex}
    if exact is not None:
        return {"regex": f"{case}{re.escape(str(exact.value))}"} if case else {"exact": exact}
    if prefix is None or str(prefix.value) == "/":
        return {}
    if segments:
        if any_case:
            message = f"{uri.named('prefix')}: edges replace a prefix as it is written, in its case"
            told.error(prefix.place, "foreign-field", message, "take ignoreUriCase or rewrite.uri away")
        text = str(prefix.value)
        message = f"{uri.named('prefix')}: {text} takes {text.rstrip('/')} and what lies below, no longer names"
        told.warn(prefix.place, "prefix-segment", message, "that is what rewriting a prefix means here")
        return {"path": prefix}
    return {"regex": f"{case}{re.escape(str(prefix.value))}.*"}


def _test(item: Fields, told: Told, node: Node, name: str) -> Any:
    if not isinstance(node.value, dict) or not node.value:
        return {"present": True}
    fields = Fields(node, told, item.named(name))
    exact, prefix, regex = fields.take("exact"), fields.take("prefix"), fields.take("regex")
    fields.done()
    if exact is not None:
        return exact
    return {"regex": regex if regex is not None else f"{re.escape(str(prefix.value)) if prefix else ''}.*"}
