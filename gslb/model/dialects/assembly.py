"""What all dialects have in common: services become backends, weights percentages, and rules the routes of apps.

An app is a set of hosts with the same rules. Where an app of our own documents has these hosts and no routes, the rules
become its routes, so that it may say how it is steered. No dialect's own words here.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gslb.model.dialects.fields import Told, made
from gslb.model.tree import Node, Place, find
from gslb.model.words import absolute, format_duration, parse_duration

__all__ = ["HostRules", "Own", "Rule", "Services", "assemble", "duration", "percentages", "to_name"]

_BAD = re.compile(r"[^a-z0-9-]+")


def to_name(*parts: str) -> str:
    """A name of ours from foreign ones."""
    return _BAD.sub("-", "-".join(filter(None, parts)).lower()).strip("-")[:63].strip("-") or "app"


def percentages(weights: Sequence[int]) -> list[float]:
    """Of 100, to 0.01, by largest remainder; all 0 where the weights are."""
    total = sum(weights)
    if not total:
        return [0.0] * len(weights)
    shares = [weight * 10_000 // total for weight in weights]
    order = sorted(range(len(weights)), key=lambda i: (-(weights[i] * 10_000 % total), i))
    for index in order[: 10_000 - sum(shares)]:
        shares[index] += 1
    return [share / 100 for share in shares]


def duration(text: str) -> str | None:
    """As we write it; None where it is none. Foreign ones may be `0s` and `1h2m3s` alike."""
    try:
        return format_duration(parse_duration(text)) if text.strip("0hms.") else "0s"
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Own:
    """What our own documents say that dialects need: the zone, services, apps, and where sites listen."""

    zone: str = ""
    services: Mapping[str, Node] = field(default_factory=dict)
    apps: Mapping[str, Node] = field(default_factory=dict)
    gateways: tuple[str, ...] | None = None
    http: frozenset[int] = frozenset()
    https: frozenset[int] = frozenset()
    also: frozenset[int] = frozenset()

    @classmethod
    def of(cls, root: Node | None) -> Own:
        """From the merged tree of our own documents, which nobody has checked yet."""
        if root is None:
            return cls()
        zone = find(root, ("zone", "name"))
        sites = _children(find(root, ("sites",))).values()
        listens = [_children(find(site, ("listen",))) for site in sites]
        also = [_ports(listen.get("also")) for listen in listens]
        chosen = find(root, ("gateways",))
        return cls(
            zone=str(zone.value) if zone else "",
            services=_children(find(root, ("services",))),
            apps=_children(find(root, ("apps",))),
            gateways=tuple(_texts(chosen)) if chosen else None,
            http=frozenset().union(*(_ports(listen.get("http")) or {80} for listen in listens)),
            https=frozenset().union(*(_ports(listen.get("https")) for listen in listens)),
            also=frozenset.intersection(*also) if also else frozenset(),
        )


def _children(node: Node | None) -> dict[str, Node]:
    return node.value if node is not None and isinstance(node.value, dict) else {}


def _ports(node: Node | None) -> frozenset[int]:
    values = [] if node is None else [i.value for i in node.value] if isinstance(node.value, list) else [node.value]
    return frozenset(value for value in values if isinstance(value, int))


def _texts(node: Node) -> list[str]:
    return [str(item.value) for item in node.value] if isinstance(node.value, list) else [str(node.value)]


class Services:
    """Backends for the services that documents name: the entry `NAMESPACE/NAME:PORT` of our `services`, or
    `NAMESPACE/NAME`, or (for the namespace `default`) `NAME`."""

    def __init__(self, own: Own, told: Told) -> None:
        self._own, self._told = own, told
        self.protocols: dict[tuple[str, str, int], str] = {}

    def backend(self, place: Place, namespace: str, name: str, port: int | None) -> tuple[str, Node] | None:
        """Name and backend; None, and told, where our documents do not have it."""
        full = f"{namespace}/{name}"
        keys = [f"{full}:{port}", full, *([f"{name}:{port}", name] if namespace == "default" else [])]
        key = next((key for key in keys if key in self._own.services), None)
        if key is None:
            message = f"the service {full} is not known: nobody says where its endpoints are"
            remedy = f"write services: {{{full}: {{SITE: [HOST:PORT]}}}}"
            self._told.error(place, "unknown-service", message, remedy)
            return None
        backend, ours = self._own.services[key], name if namespace == "default" else f"{namespace}-{name}"
        if self.protocols.get((namespace, name, port or 0)) == "http2" and "protocol" not in backend.keys:
            entries = {**_children(backend), "protocol": made(backend.place, "http2")}
            keys_ = {**backend.keys, "protocol": backend.place}
            backend = dataclasses.replace(backend, value=entries, keys=keys_)
            return to_name(ours, str(port)), backend
        return to_name(ours, str(port) if ":" in key else ""), backend


@dataclass(frozen=True, slots=True)
class Rule:
    """One match with its action. `order` sorts rules (less: first); rules with the same `name` that stay together
    become one route. `backends` are those that `action` names."""

    order: tuple[Any, ...]
    name: str
    place: Place
    match: Mapping[str, Any]
    action: Mapping[str, Any]
    backends: Mapping[str, Node]


@dataclass(frozen=True, slots=True)
class HostRules:
    """The rules of one host (or wildcard) at one port (None: those of the sites), in order. `tls` as our own word."""

    host: str
    name: str
    place: Place
    rules: tuple[Rule, ...]
    port: int | None = None
    tls: Mapping[str, Any] | None = None


def assemble(found: Iterable[HostRules], own: Own, told: Told) -> dict[str, Node]:
    """Apps by name, those of our own documents that got routes among them."""
    groups: dict[tuple[Any, ...], list[HostRules]] = {}
    for item in found:
        key = (item.port, str(item.tls), tuple(id(rule) for rule in item.rules), _owner(item, own))
        groups.setdefault(key, []).append(item)
    apps: dict[str, Node] = {}
    for (*_, owner), items in groups.items():
        if owner is not None and owner in apps:
            message = f"the hosts of the app {owner} have different rules, and it has one list of routes"
            told.error(items[0].place, "foreign-hosts", message, "give each host an app of its own")
        elif owner is not None:
            apps[owner] = _joined(own.apps[owner], items)
        else:
            apps[_free_name(items[0].name, {*apps, *own.apps})] = _app(items)
    return apps


def _owner(item: HostRules, own: Own) -> str | None:
    for name, app in own.apps.items():
        hosts = find(app, ("hosts",))
        known = [absolute(host, own.zone) for host in _texts(hosts)] if hosts else []
        if item.host in known and "routes" not in app.keys:
            return name
    return None


def _joined(app: Node, items: Sequence[HostRules]) -> Node:
    more = _app(items)
    added = {key: node for key, node in _children(more).items() if key != "hosts" and key not in app.keys}
    backends = {**_children(added.get("backends")), **_children(find(app, ("backends",)))}
    if backends:
        added["backends"] = made(items[0].place, backends)
    keys = {**app.keys, **{key: node.place for key, node in added.items()}}
    return dataclasses.replace(app, value={**_children(app), **added}, keys=keys)


def _app(items: Sequence[HostRules]) -> Node:
    first = items[0]
    backends: dict[str, Node] = {}
    for rule in first.rules:
        backends.update(rule.backends)
    app: dict[str, Any] = {"hosts": [item.host for item in items], "backends": backends, "routes": _routes(first)}
    if first.port is not None:
        app["ports"] = [first.port]
    if first.tls is not None:
        app["tls"] = first.tls
    return made(first.place, app)


def _routes(item: HostRules) -> list[Node]:
    """Rules that stay together under one name are one route; one that comes back later gets a number."""
    runs: list[tuple[str, list[Rule]]] = []
    for rule in item.rules:
        if runs and runs[-1][0] == rule.name and runs[-1][1][-1].action is rule.action:
            runs[-1][1].append(rule)
        else:
            runs.append((rule.name, [rule]))
    taken: set[str] = set()
    routes = []
    for name, rules in runs:
        free = _free_name(name, taken)
        taken.add(free)
        matches = [made(rule.place, rule.match) for rule in rules]
        match = matches[0] if len(matches) == 1 else matches
        routes.append(made(rules[0].place, {"name": free, "match": match, **rules[0].action}))
    return routes


def _free_name(name: str, taken: Iterable[str]) -> str:
    known, number = set(taken), 2
    free = name
    while free in known:
        free = f"{name[:58]}-{number}"
        number += 1
    return free
