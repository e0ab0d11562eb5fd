"""Hosts that Gateways serve by http and by https, often with a redirect from one to the other: one app of ours."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from gslb.model.dialects.assembly import HostRules, Rule
from gslb.model.tree import Node, plain

__all__ = ["with_one_app_a_host"]

_MOVED = {"redirect": {"scheme": "https", "status": 301}}
_SCHEME = "x-forwarded-proto"
_Guarded = dict[tuple[int, str], Rule]


def with_one_app_a_host(found: Iterable[HostRules]) -> list[HostRules]:
    """`found`, with the rules of a listener without TLS and of one with it in one where both have a host at the sites'
    own ports."""
    doors: dict[tuple[str, int | None], list[HostRules]] = {}
    for item in found:
        doors.setdefault((item.host, item.port), []).append(item)
    guarded: _Guarded = {}
    return [item for items in doors.values() for item in _joined(items, guarded)]


def _joined(items: Sequence[HostRules], guarded: _Guarded) -> Sequence[HostRules]:
    clear = [item for item in items if item.tls is None]
    closed = [item for item in items if item.tls is not None]
    if len(clear) != 1 or len(closed) != 1:
        return items
    (http,), (https,) = clear, closed
    if http.rules == https.rules:
        return [https]
    if len(http.rules) == 1 and not http.rules[0].match and _is_moved(http.rules[0]):
        return [dataclasses.replace(https, tls={**(https.tls or {}), "redirect": True})]
    rules = [_only(rule, scheme, guarded) for scheme, item in (("http", http), ("https", https)) for rule in item.rules]
    return [dataclasses.replace(https, rules=tuple(rules))]


def _is_moved(rule: Rule) -> bool:
    def bare(value: object) -> object:
        if isinstance(value, Node):
            return plain(value)
        return {key: bare(item) for key, item in value.items()} if isinstance(value, dict) else value

    return bare(dict(rule.action)) == _MOVED


def _only(rule: Rule, scheme: str, guarded: _Guarded) -> Rule:
    """`rule` for those who came by `scheme`; the same object each time, as hosts with the same rules are one app."""
    key = (id(rule), scheme)
    if key not in guarded:
        headers = {**rule.match.get("headers", {}), _SCHEME: scheme}
        guarded[key] = dataclasses.replace(rule, match={**rule.match, "headers": headers})
    return guarded[key]
