"""SMI: TrafficSplit and HTTPRouteGroup (v1alpha1 to v1alpha4); TrafficTarget is known, and refused.

The root service of a split is a host; requests that none of its route groups takes go to the root service itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

from gslb.model.dialects.assembly import HostRules, Own, Rule, Services, percentages, to_name
from gslb.model.dialects.fields import Fields, Told
from gslb.model.tree import Node, Place
from gslb.model.words import absolute

__all__ = ["KINDS", "Smi"]

_SPLIT, _SPECS, _ACCESS = "split.smi-spec.io", "specs.smi-spec.io", "access.smi-spec.io"
KINDS = {(_SPLIT, "TrafficSplit"), (_SPECS, "HTTPRouteGroup"), (_ACCESS, "TrafficTarget")}
_SUFFIXES = {"m": Decimal("0.001"), "k": Decimal(1000), "": Decimal(1)}


class Smi:
    """`add` every document, then `hosts`."""

    def __init__(self, own: Own, services: Services, told: Told) -> None:
        self._own, self._services, self._told = own, services, told
        self._groups: dict[tuple[str, str], list[tuple[Place, dict[str, Any]]]] = {}
        self._splits: list[tuple[Fields, str, str]] = []

    def add(self, kind: str, document: Fields) -> None:
        metadata = document.fields("metadata") or document
        namespace, name = metadata.text("namespace", "default"), metadata.need("name")
        if kind == "HTTPRouteGroup":
            spec = document if "matches" in document.node.keys else document.fields("spec") or document
            self._groups[(namespace, name)] = [self._match(item) for item in spec.each("matches")]
            if spec is not document:
                spec.done()
        elif kind == "TrafficSplit":
            self._splits.append((document, namespace, name))
            document.ignore("spec")
        else:
            self._target(document)
        document.done()

    def hosts(self) -> Iterator[HostRules]:
        for document, namespace, name in self._splits:
            spec = document.fields("spec")
            if spec is not None:
                yield self._split(spec, namespace, name)

    def _target(self, document: Fields) -> None:
        """Who may call is said by service accounts, and clients of an edge have none."""
        spec = document.fields("spec") if "spec" in document.node.keys else document
        if spec is None:
            return
        remedy = "let a route ask a service (auth:), or keep the TrafficTarget in its mesh"
        if "sources" in spec.node.keys:
            spec.refuse("sources", "clients of an edge have no service account", remedy)
        else:
            message = f"{spec.path or 'this document'}: without sources nobody may call, and edges are called"
            self._told.error(spec.place, "foreign-field", message, remedy)
        spec.ignore("destination", "rules", "specs")
        if spec is not document:
            spec.done()

    def _match(self, item: Fields) -> tuple[Place, dict[str, Any]]:
        match: dict[str, Any] = {"name": item.need("name")}
        path = item.take("pathRegex")
        if path is not None:
            match["regex"] = path
        methods = [node for node in item.items("methods") if node.value != "*"]
        if methods and len(methods) == len(item.items("methods")):
            match["method"] = methods
        tests = {key: {"regex": value} for key, value in _pairs(item.take("headers")).items()}
        if tests:
            match["headers"] = tests
        item.done()
        return item.place, match

    def _split(self, spec: Fields, namespace: str, name: str) -> HostRules:
        service, backends = spec.need("service"), list(spec.each("backends"))
        weights = [self._weight(item) for item in backends]
        split: dict[str, float] = {}
        known: dict[str, Node] = {}
        scale = Decimal(1_000_000) / (max(weights, default=Decimal(1)) or 1)
        for item, percent in zip(backends, percentages([int(w * scale) for w in weights]), strict=True):
            place, target = item.key_place("service"), item.need("service")
            item.done()
            found = self._services.backend(place, namespace, target.partition(".")[0], None)
            if found is not None:
                known[found[0]] = found[1]
                split[found[0]] = round(split.get(found[0], 0.0) + percent, 2)
        action = {"split": split} if any(split.values()) else {"respond": {"status": 503}}
        rules = [
            Rule((index,), to_name(name), place, match, action, known)
            for index, (place, match) in enumerate(self._matches(spec, namespace))
        ]
        if not rules:
            rules = [Rule((0,), to_name(name), spec.place, {}, action, known)]
        else:
            rules += self._rest(spec, namespace, service)
        spec.done()
        host = absolute(service, self._own.zone)
        return HostRules(host, to_name(name), spec.key_place("service"), tuple(rules))

    def _matches(self, spec: Fields, namespace: str) -> Iterator[tuple[Place, dict[str, Any]]]:
        for ref in spec.each("matches"):
            ref.ignore("apiGroup")
            kind, name = ref.text("kind", "HTTPRouteGroup"), ref.need("name")
            ref.done()
            if kind != "HTTPRouteGroup":
                ref.refuse("kind", f"edges route HTTP, not by {kind}", "write kind: HTTPRouteGroup")
            elif (namespace, name) not in self._groups:
                message = f"{ref.named('name')}: there is no HTTPRouteGroup {namespace}/{name} in this folder"
                self._told.error(ref.key_place("name"), "unknown-group", message, "add it, or name another")
            for place, match in self._groups.get((namespace, name), ()):
                yield place, {key: value for key, value in match.items() if key != "name"}

    def _rest(self, spec: Fields, namespace: str, service: str) -> list[Rule]:
        name = service.partition(".")[0]
        found = self._services.backend(spec.key_place("service"), namespace, name, None)
        if found is None:
            return []
        return [Rule((1_000_000,), to_name(name, "rest"), spec.place, {}, {"split": {found[0]: 100}}, dict([found]))]

    def _weight(self, item: Fields) -> Decimal:
        """A whole number, or (v1alpha1) a Kubernetes quantity such as 500m."""
        node = item.take("weight")
        text = "0" if node is None else str(node.value)
        suffix = text[-1:] if text[-1:].isalpha() else ""
        try:
            weight = Decimal(text.removesuffix(suffix)) * _SUFFIXES[suffix]
        except (InvalidOperation, KeyError):
            weight = Decimal(-1)
        if weight < 0 or not weight.is_finite():
            place = node.place if node else item.place
            self._told.error(
                place, "foreign-type", f"{item.named('weight')}: {text} is no weight", "write a whole number"
            )
            return Decimal(0)
        return weight


def _pairs(node: Node | None) -> dict[str, Node]:
    """Headers as one mapping, or as a list of them."""
    if node is None:
        return {}
    parts = node.value if isinstance(node.value, list) else [node]
    return {key: child for part in parts if isinstance(part.value, dict) for key, child in part.value.items()}
