"""Gateway API: Gateway, HTTPRoute and ReferenceGrant (v1, v1beta1), with the Namespaces and Services that they name.

A listener is a door: a port of the sites, and the hosts that it takes. A request belongs to the most specific listener
of its port, whatever other listeners would take it (listener isolation). Precedence within a host is the
specification's: host, exact path, longest prefix, regular expression, method, headers, query, age, name, place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gslb.model.dialects.assembly import HostRules, Own, Rule, Services, to_name
from gslb.model.dialects.fields import Fields, Told
from gslb.model.dialects.http_rule import RuleReader
from gslb.model.dialects.two_doors import with_one_app_a_host
from gslb.model.tree import Place

__all__ = ["KINDS", "GatewayApi"]

GROUP = "gateway.networking.k8s.io"
KINDS = {
    (GROUP, "Gateway"), (GROUP, "GatewayClass"), (GROUP, "HTTPRoute"), (GROUP, "ReferenceGrant"),
    ("", "Namespace"), ("", "Service"),
}  # fmt: skip
_NAMESPACE_LABEL = "kubernetes.io/metadata.name"


@dataclass(frozen=True, slots=True, eq=False)
class _Listener:
    gateway: str
    namespace: str
    name: str
    port: int
    host: str
    place: Place
    tls: Mapping[str, Any] | None
    allows: _Allows


@dataclass(frozen=True, slots=True)
class _Allows:
    """Which namespaces may attach."""

    how: str
    selector: tuple[tuple[str, str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class _Attached:
    """A route at a listener, for one host."""

    listener: _Listener
    host: str
    rules: tuple[Rule, ...]


class GatewayApi:
    """`add` every document, then `hosts`."""

    def __init__(self, own: Own, services: Services, told: Told) -> None:
        self._own, self._services, self._told = own, services, told
        self._listeners: list[_Listener] = []
        self._labels: dict[str, dict[str, str]] = {}
        self._grants: list[tuple[str, str, str, str]] = []
        self._routes: list[tuple[Fields, Fields]] = []
        self._gateways: set[str] = set()

    def add(self, kind: str, document: Fields) -> None:
        metadata = document.fields("metadata") or document
        namespace, name = metadata.text("namespace", "default"), metadata.need("name")
        document.ignore("status")
        if kind == "Namespace":
            labels = {key: str(node.value) for key, node in metadata.mapping("labels").items()}
            self._labels[name] = {**labels, _NAMESPACE_LABEL: name}
            document.ignore("spec")
        elif kind == "Service":
            self._service(document, namespace, name)
        elif kind == "Gateway":
            self._gateway(document, namespace, name)
        elif kind == "ReferenceGrant":
            self._grant(document, namespace)
        elif kind == "HTTPRoute":
            self._routes.append((document, metadata))
            document.ignore("spec")
        else:
            document.ignore("spec")
        document.done()

    def hosts(self) -> Iterable[HostRules]:
        """What the routes come to. Everything must have been added."""
        self._refuse_overlaps()
        return with_one_app_a_host(self._of_listeners(), self._told)

    def _of_listeners(self) -> Iterator[HostRules]:
        attached = [item for document, metadata in self._routes for item in self._route(document, metadata)]
        for listener in self._listeners:
            mine = [item for item in attached if item.listener is listener]
            others = [other for other in self._listeners if other.port == listener.port and other is not listener]
            hosts = dict.fromkeys(item.host for item in mine)
            if listener.host:
                hosts.setdefault(listener.host)
            for host in hosts:
                if any(_covers(o.host, host) and _is_narrower(o.host, listener.host) for o in others):
                    continue
                yield self._host_rules(listener, host, mine)

    def _host_rules(self, listener: _Listener, host: str, mine: Sequence[_Attached]) -> HostRules:
        fitting = [item for item in mine if _covers(item.host, host)]
        ranked = [
            (*_specific(item.host), rule.order, index) for index, item in enumerate(fitting) for rule in item.rules
        ]
        rules = [rule for item in fitting for rule in item.rules]
        rules = [rule for _, rule in sorted(zip(ranked, rules, strict=True), key=lambda pair: pair[0])]
        name = rules[0].name if len(rules) == 1 else to_name(listener.gateway, host.replace("*", "any"))
        port = None if listener.port in self._own.http | self._own.https else listener.port
        if not rules:
            rules = [Rule((), "nothing", listener.place, {}, {"respond": {"status": 404}}, {})]
        return HostRules(host, name, listener.place, tuple(rules), port, listener.tls)

    # Documents --------------------------------------------------------------------------------------------------------

    def _service(self, document: Fields, namespace: str, name: str) -> None:
        spec = document.fields("spec")
        for port in spec.each("ports") if spec else ():
            number, protocol = port.scalar("port", int, 0), port.text("appProtocol")
            if protocol in ("kubernetes.io/h2c", "grpc", "kubernetes.io/ws", "kubernetes.io/wss"):
                self._services.protocols[(namespace, name, number)] = "ws" if "/ws" in protocol else "http2"

    def _grant(self, document: Fields, namespace: str) -> None:
        spec = document.fields("spec")
        if spec is None:
            return
        sources = [(item.text("kind"), item.text("namespace")) for item in spec.each("from")]
        targets = [(item.text("kind"), item.text("name")) for item in spec.each("to")]
        spec.done()
        self._grants += [
            (source, namespace, target[0], target[1])
            for kind, source in sources
            if kind == "HTTPRoute"
            for target in targets
        ]

    def granted(self, source: str, namespace: str, kind: str, name: str) -> bool:
        """Whether an HTTPRoute of `source` may name the `kind` `namespace/name`."""
        return source == namespace or any(
            (source, namespace, kind) == grant[:3] and grant[3] in ("", name) for grant in self._grants
        )

    def _gateway(self, document: Fields, namespace: str, name: str) -> None:
        full = f"{namespace}/{name}"
        self._gateways.add(full)
        spec = document.fields("spec")
        if spec is None:
            return
        if self._own.gateways is not None and full not in self._own.gateways:
            return
        spec.ignore("gatewayClassName", "addresses")
        for listener in spec.each("listeners"):
            self._listener(listener, namespace, name)
        spec.done()

    def _listener(self, item: Fields, namespace: str, gateway: str) -> None:
        name, port, protocol = item.need("name"), item.scalar("port", int, 0), item.need("protocol")
        host = item.text("hostname").lower()
        tls = item.fields("tls")
        made = self._tls(tls) if tls else None
        allowed = item.fields("allowedRoutes")
        allows = self._allows(allowed) if allowed else _Allows("Same")
        item.done()
        place = item.key_place("port")
        if protocol not in ("HTTP", "HTTPS"):
            remedy = "write HTTP or HTTPS"
            self._told.error(
                item.key_place("protocol"), "foreign-field", f"{item.named('protocol')}: {protocol}", remedy
            )
            return
        known = self._own.https if protocol == "HTTPS" else self._own.http | self._own.also
        if port not in known:
            message = f"{item.named('port')}: the edges of the sites do not all listen on {port} for {protocol}"
            remedy = (
                f"write listen: {{{'https: ' if protocol == 'HTTPS' else 'also: ['}{port}{']' * (protocol == 'HTTP')}}}"
            )
            self._told.error(place, "unknown-port", message, remedy)
            return
        self._listeners.append(_Listener(gateway, namespace, name, port, host, place, made, allows))

    def _tls(self, tls: Fields) -> dict[str, Any] | None:
        if tls.text("mode", "Terminate") != "Terminate":
            tls.refuse("mode", "edges end TLS themselves", "write mode: Terminate")
        names = []
        for ref in tls.each("certificateRefs"):
            names.append(ref.need("name"))
            ref.ignore("group", "namespace")
            if ref.text("kind", "Secret") != "Secret":
                ref.refuse("kind", "certificates are files, named like Secrets", "write kind: Secret")
            ref.done()
        tls.done()
        if len(names) > 1:
            tls.refuse("certificateRefs", "a listener shows one certificate", "keep one")
        if not names:
            return None
        return {"cert": f"{names[0]}.crt", "key": f"{names[0]}.key", "own_connections": True}

    def _allows(self, allowed: Fields) -> _Allows:
        allowed.ignore("kinds")
        namespaces = allowed.fields("namespaces")
        allowed.done()
        if namespaces is None:
            return _Allows("Same")
        how, selector = namespaces.text("from", "Same"), namespaces.fields("selector")
        namespaces.done()
        terms: list[tuple[str, str, tuple[str, ...]]] = []
        if selector is not None:
            terms += [(key, "In", (str(node.value),)) for key, node in selector.mapping("matchLabels").items()]
            for item in selector.each("matchExpressions"):
                terms.append((item.need("key"), item.need("operator"), tuple(item.texts("values"))))
                item.done()
            selector.done()
        return _Allows(how, tuple(terms))

    def _refuse_overlaps(self) -> None:
        """Two gateways would have an address each; our edges have the same for both."""
        seen: dict[tuple[int, str], _Listener] = {}
        for item in self._listeners:
            first = seen.setdefault((item.port, item.host), item)
            if first.gateway != item.gateway or first.namespace != item.namespace:
                message = (
                    f"the Gateway {item.namespace}/{item.gateway} takes the same port and hosts as"
                    f" {first.namespace}/{first.gateway}, and all edges are both"
                )
                remedy = f"say which of them the edges are: gateways: [{first.namespace}/{first.gateway}]"
                self._told.error(item.place, "gateway-overlap", message, remedy)

    # Routes -----------------------------------------------------------------------------------------------------------

    def _route(self, document: Fields, metadata: Fields) -> Iterator[_Attached]:
        namespace, name = metadata.text("namespace", "default"), metadata.text("name")
        age = metadata.text("creationTimestamp", "9999")
        spec = document.fields("spec")
        if spec is None:
            return
        parents = list(spec.each("parentRefs"))
        hostnames = [text.lower() for text in spec.texts("hostnames")]
        listeners = [item for parent in parents for item in self._parents(parent, namespace)]
        spec.ignore("useDefaultGateways")
        if not listeners:
            spec.ignore("rules")
            spec.done()
            return
        reader = RuleReader(self, self._services, self._told, namespace)
        door = listeners[0].port
        usual = door in self._own.http | self._own.https
        rules: list[Rule] = []
        several = len(spec.items("rules")) > 1
        for index, rule in enumerate(spec.each("rules")):
            own = rule.text("name") or (str(index) if several else "")
            reader.names = (to_name(name, own), (age, namespace, name, index), None if usual else door)
            rules += reader.read(rule)
        if not spec.items("rules"):
            message = f"{spec.named('rules')}: a route without rules"
            self._told.error(spec.place, "foreign-missing", message, "write at least one rule")
        spec.done()
        for listener in dict.fromkeys(listeners):
            for host in _intersections(listener.host, hostnames):
                yield _Attached(listener, host, tuple(rules))

    def _parents(self, parent: Fields, namespace: str) -> Iterator[_Listener]:
        parent.ignore("group")
        kind = parent.text("kind", "Gateway")
        where, name = parent.text("namespace", namespace), parent.need("name")
        section, port = parent.text("sectionName"), parent.scalar("port", int)
        parent.done()
        if kind != "Gateway":
            parent.refuse("kind", f"routes attach to Gateways, not to a {kind}", "name a Gateway")
            return
        if f"{where}/{name}" not in self._gateways:
            message = f"{parent.named('name')}: there is no Gateway {where}/{name} in this folder"
            self._told.error(parent.key_place("name"), "unknown-gateway", message, "add it, or name another")
        for listener in self._listeners:
            if (listener.namespace, listener.gateway) != (where, name):
                continue
            if section not in ("", listener.name) or (port is not None and port != listener.port):
                continue
            if self._may_attach(listener, namespace):
                yield listener

    def _may_attach(self, listener: _Listener, namespace: str) -> bool:
        if listener.allows.how in ("All", "None"):
            return listener.allows.how == "All"
        if listener.allows.how == "Same":
            return listener.namespace == namespace
        labels = self._labels.get(namespace, {_NAMESPACE_LABEL: namespace})
        return all(_selects(labels, *term) for term in listener.allows.selector)


def _selects(labels: Mapping[str, str], key: str, operator: str, values: Sequence[str]) -> bool:
    if operator in ("Exists", "DoesNotExist"):
        return (key in labels) == (operator == "Exists")
    return (labels.get(key) in values) == (operator == "In")


# Hosts ----------------------------------------------------------------------------------------------------------------


def _intersections(listener: str, hostnames: Iterable[str]) -> list[str]:
    """The hosts of a route at a listener (empty: every host)."""
    given = list(hostnames)
    if not given:
        return [listener or "*"]
    found = [listener if _covers(host, listener) and listener else host for host in given if _meet(listener, host)]
    return list(dict.fromkeys(found))


def _meet(listener: str, host: str) -> bool:
    return not listener or _covers(listener, host) or _covers(host, listener)


def _covers(wide: str, narrow: str) -> bool:
    """Whether `wide` takes every host that `narrow` does. A wildcard stands for one label or more."""
    if wide in ("", "*") or wide == narrow:
        return True
    return wide.startswith("*.") and narrow.endswith(wide[1:]) and narrow != wide[2:]


def _is_narrower(one: str, other: str) -> bool:
    return one != other and _covers(other, one)


def _specific(host: str) -> tuple[int, int]:
    """Less: first. Exact hosts before wildcards, longer before shorter."""
    return (int(host.startswith("*")), -len(host))
