"""Hosts that Gateways serve by http and by https, often with a redirect from one to the other: one app of ours."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from gslb.model.dialects.assembly import HostRules, Rule
from gslb.model.dialects.fields import Told
from gslb.model.tree import Node, Place, plain

__all__ = ["with_one_app_a_host"]

_MOVED = {"redirect": {"scheme": "https", "status": 301}}
_SCHEME = "x-forwarded-proto"
_Guarded = dict[tuple[int, str], Rule]


def with_one_app_a_host(found: Iterable[HostRules], told: Told) -> list[HostRules]:
    """`found`, with the rules of a listener without TLS and of one with it in one where both have a host at the sites'
    own ports. Where only the latter has it, that is told: an app with TLS is served in the clear, too."""
    doors: dict[tuple[str, int | None], list[HostRules]] = {}
    for item in found:
        doors.setdefault((item.host, item.port), []).append(item)
    guarded: _Guarded = {}
    _warn_of_clear(doors.values(), told)
    return [item for items in doors.values() for item in _joined(items, guarded)]


def _warn_of_clear(doors: Iterable[Sequence[HostRules]], told: Told) -> None:
    clear: dict[Place, list[str]] = {}
    for items in doors:
        if all(item.tls is not None for item in items) and any(rule.backends for item in items for rule in item.rules):
            clear.setdefault(items[0].place, []).append(items[0].host)
    for place, hosts in clear.items():
        message = f"{', '.join(hosts)}: no listener of HTTP has it, and edges serve it there, too"
        told.warn(place, "listener-clear", message, "attach an HTTPRoute that redirects to a listener of HTTP")


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
