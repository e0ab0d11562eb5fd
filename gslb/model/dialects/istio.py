"""Istio: the routing part of VirtualService and DestinationRule (v1, v1beta1, v1alpha3).

The first rule that matches wins, as here. A destination `HOST` is the service of that name, a subset of it the entry
`NAMESPACE/NAME@SUBSET` of our `services`, once a DestinationRule has declared it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gslb.model.dialects.assembly import HostRules, Own, Rule, Services, duration, percentages, to_name
from gslb.model.dialects.fields import Fields, Told
from gslb.model.dialects.istio_match import match_of
from gslb.model.tree import Node
from gslb.model.words import absolute

__all__ = ["KINDS", "Istio"]

GROUP = "networking.istio.io"
KINDS = {(GROUP, "VirtualService"), (GROUP, "DestinationRule")}
_STATUSES = {"5xx": (500, 502, 503, 504), "gateway-error": (502, 503, 504)}
_ALWAYS = {"connect-failure", "refused-stream", "reset", "reset-before-request", "retriable-status-codes"}
_OWN_WORDS = "write it in our own words"


class Istio:
    """`add` every document, then `hosts`."""

    def __init__(self, own: Own, services: Services, told: Told) -> None:
        self._own, self._services, self._told = own, services, told
        self._subsets: set[tuple[str, str, str]] = set()
        self._virtual: list[tuple[Fields, str, str]] = []

    def add(self, kind: str, document: Fields) -> None:
        metadata = document.fields("metadata") or document
        namespace, name = metadata.text("namespace", "default"), metadata.need("name")
        document.ignore("status")
        if kind == "VirtualService":
            self._virtual.append((document, namespace, name))
            document.ignore("spec")
        elif spec := document.fields("spec"):
            self._destination_rule(spec, namespace)
        document.done()

    def hosts(self) -> Iterator[HostRules]:
        for document, namespace, name in self._virtual:
            spec = document.fields("spec")
            if spec is not None:
                yield from self._service(spec, namespace, name)

    def _destination_rule(self, spec: Fields, namespace: str) -> None:
        spec.ignore("exportTo", "workloadSelector")
        where, host = _service_of(spec.need("host"), namespace)
        spec.refuse("trafficPolicy", "how edges speak to a backend is said by its entry of `services`", _OWN_WORDS)
        for item in spec.each("subsets"):
            self._subsets.add((where, host, item.need("name")))
            item.ignore("labels")  # which endpoints they are stands in the entry of `services`
            item.refuse("trafficPolicy", "how edges speak to a backend is said by its entry of `services`", _OWN_WORDS)
            item.done()
        spec.done()

    def _service(self, spec: Fields, namespace: str, name: str) -> Iterator[HostRules]:
        spec.ignore("exportTo")
        for gateway in spec.items("gateways"):
            known = {"mesh", *(self._own.gateways or ())}
            if str(gateway.value) not in known:
                message = f"{spec.named('gateways')}: {gateway.value} is none that the edges are"
                self._told.error(
                    gateway.place, "unknown-gateway", message, f"write gateways: [{gateway.value}] at the top"
                )
        for word in ("tls", "tcp"):
            spec.refuse(word, "edges route HTTP", "write http:")
        rules: list[Rule] = []
        several = len(spec.items("http")) > 1
        for index, item in enumerate(spec.each("http")):
            own = item.text("name") or (str(index) if several else "")
            rules += self._rules(item, to_name(name, own), index, namespace)
        hosts = spec.items("hosts")
        spec.done()
        for host in hosts:
            text = str(host.value).lower()
            full = text if text == "*" else absolute(text, self._own.zone)
            yield HostRules(full, to_name(name), host.place, tuple(rules))

    def _rules(self, item: Fields, name: str, index: int, namespace: str) -> list[Rule]:
        backends: dict[str, Node] = {}
        action = self._action(item, namespace, backends)
        rewritten = "prefix" in action.get("rewrite", {})
        matches = [match_of(match, self._told, segments=rewritten) for match in item.each("match")] or [{}]
        whole = _of_whole_path(action) if rewritten else action
        item.refuse("delegate", "a VirtualService cannot be a part of another here", "write its routes here")
        item.done()
        return [
            Rule((index, n), name, item.place, match, whole if {"exact", "regex"} & {*match} else action, backends)
            for n, match in enumerate(matches)
        ]

    def _action(self, item: Fields, namespace: str, backends: dict[str, Node]) -> dict[str, Any]:
        action: dict[str, Any] = {}
        if redirect := item.fields("redirect"):
            action["redirect"] = self._redirect(redirect)
        elif direct := item.fields("directResponse"):
            action["respond"] = _respond(direct)
        else:
            self._destinations(item, namespace, action, backends)
        if rewrite := item.fields("rewrite"):
            action["rewrite"] = _rewrite(rewrite)
        timeout = item.take("timeout")
        if timeout is not None:
            action["timeout"] = duration(str(timeout.value)) or timeout
        elif "split" in action:
            action["timeout"] = "0s"  # "Timeout for HTTP requests, default is disabled"
        if retries := item.fields("retries"):
            self._retries(retries, action)
        if fault := item.fields("fault"):
            action["fault"] = self._fault(fault)
        if headers := item.fields("headers"):
            action |= _headers(headers)
        if cors := item.fields("corsPolicy"):
            action["cors"] = _cors(cors)
        self._mirrors(item, namespace, action, backends)
        return action

    def _destinations(self, item: Fields, namespace: str, action: dict[str, Any], backends: dict[str, Node]) -> None:
        routes = list(item.each("route"))
        given = [route.scalar("weight", int) for route in routes]
        weights = [weight if weight is not None else int(len(routes) == 1) for weight in given]
        split: dict[str, float] = {}
        for route, percent in zip(routes, percentages(weights), strict=True):
            found = self._destination(route.fields("destination"), namespace)
            headers = route.fields("headers")
            route.done()
            if found is None:
                continue
            backends[found[0]] = found[1]
            split[found[0]] = round(split.get(found[0], 0.0) + percent, 2)
            if headers is not None:
                action["sides"] = {**action.get("sides", {}), found[0]: _headers(headers)}
        action |= {"split": split} if split else {"respond": {"status": 500}}
        if not routes:
            message = f"{item.path} has no route, redirect or directResponse"
            self._told.error(item.place, "foreign-missing", message, "write one of them")

    def _destination(self, fields: Fields | None, namespace: str) -> tuple[str, Node] | None:
        if fields is None:
            return None
        where, host = _service_of(fields.need("host"), namespace)
        subset, port = fields.text("subset"), fields.fields("port")
        number = port.scalar("number", int) if port is not None else None
        fields.done()
        place = fields.key_place("subset" if subset else "host")
        if subset and (where, host, subset) not in self._subsets:
            message = f"{fields.named('subset')}: no DestinationRule of {host} has the subset {subset}"
            self._told.error(place, "unknown-subset", message, "add it to a DestinationRule")
            return None
        return self._services.backend(place, where, f"{host}@{subset}" if subset else host, number)

    def _redirect(self, fields: Fields) -> dict[str, Any]:
        redirect: dict[str, Any] = {"status": 301}
        words = (
            ("path", "uri"),
            ("host", "authority"),
            ("port", "port"),
            ("scheme", "scheme"),
            ("status", "redirectCode"),
        )
        for word, field in words:
            node = fields.take(field)
            if node is not None:
                redirect[word] = node
        fields.refuse("derivePort", "the port stays, or is the scheme's", "write port:")
        fields.done()
        return redirect

    def _retries(self, fields: Fields, action: dict[str, Any]) -> None:
        retries: dict[str, Any] = {"tries": fields.take("attempts") or 2}
        per_try, backoff = fields.take("perTryTimeout"), fields.take("backoff")
        if per_try is not None:
            action["try_timeout"] = duration(str(per_try.value)) or per_try
        if backoff is not None:
            retries["backoff"] = duration(str(backoff.value)) or backoff
        statuses: list[int] = []
        node = fields.take("retryOn")
        for word in filter(None, str(node.value).replace(" ", "").split(",") if node else ()):
            if word.isdigit():
                statuses.append(int(word))
            elif word in _STATUSES:
                statuses += _STATUSES[word]
            elif word not in _ALWAYS and node is not None:
                message = f"{fields.named('retryOn')}: {word} cannot be honoured"
                self._told.error(node.place, "foreign-field", message, "write statuses, 5xx or gateway-error")
        if statuses:
            retries |= {"on": sorted(set(statuses)), "methods": "any"}
        fields.refuse("retryRemoteLocalities", "tries go to other sites anyway", "delete it")
        fields.ignore("retryIgnorePreviousHosts")
        fields.done()
        action["retries"] = retries

    def _fault(self, fields: Fields) -> dict[str, Any]:
        fault: dict[str, Any] = {}
        if delay := fields.fields("delay"):
            time = delay.take("fixedDelay")
            fault["delay"] = {"percent": _percentage(delay), "time": duration(str(time.value)) if time else None}
            delay.done()
        if abort := fields.fields("abort"):
            fault["abort"] = {"percent": _percentage(abort), "status": abort.take("httpStatus") or 503}
            abort.done()
        fields.done()
        return fault

    def _mirrors(self, item: Fields, namespace: str, action: dict[str, Any], backends: dict[str, Node]) -> None:
        wanted: list[tuple[Fields | None, Any]] = []
        mirror = item.fields("mirror")
        percent = item.fields("mirrorPercentage")
        value: Any = percent.take("value") if percent is not None else 100
        if mirror is not None:
            wanted.append((mirror, value))
        for one in item.each("mirrors"):
            share = one.fields("percentage")
            wanted.append((one.fields("destination"), share.take("value") if share is not None else 100))
            one.done()
        for fields, share in wanted:
            found = self._destination(fields, namespace)
            if found is not None:
                backends[found[0]] = found[1]
                action["mirror"] = [*action.get("mirror", ()), {"to": found[0], "percent": share}]


def _service_of(host: str, namespace: str) -> tuple[str, str]:
    """Namespace and name; a name that is no service of a cluster stands for itself, in `default`."""
    parts = host.split(".")
    if len(parts) == 1:
        return namespace, host
    if parts[2:3] == ["svc"] or len(parts) == 2:
        return parts[1], parts[0]
    return "default", host


def _respond(fields: Fields) -> dict[str, Any]:
    respond: dict[str, Any] = {"status": fields.take("status") or 200}
    body = fields.fields("body")
    if body is not None:
        text = body.take("string")
        body.refuse("bytes", "an answer is text here", "write string:")
        body.done()
        if text is not None:
            respond["body"] = text
    fields.done()
    return respond


def _of_whole_path(action: dict[str, Any]) -> dict[str, Any]:
    """`action` where the whole path matches: `rewrite.uri` takes the place of what matched."""
    return {**action, "rewrite": {"path" if key == "prefix" else key: to for key, to in action["rewrite"].items()}}


def _rewrite(fields: Fields) -> dict[str, Any]:
    rewrite: dict[str, Any] = {}
    for word, field in (("prefix", "uri"), ("host", "authority")):
        node = fields.take(field)
        if node is not None:
            rewrite[word] = node
    fields.refuse("uriRegexRewrite", "paths are rewritten as a whole or by prefix", "write uri:")
    fields.done()
    return rewrite


def _headers(fields: Fields) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for word in ("request", "response"):
        edits = fields.fields(word)
        if edits is None:
            continue
        made = {key: edits.mapping(key) for key in ("set", "add") if edits.take(key) is not None}
        removed = edits.items("remove")
        found[word] = {**made, **({"remove": removed} if removed else {})}
        edits.done()
    fields.done()
    return found


def _cors(fields: Fields) -> dict[str, Any]:
    cors: dict[str, Any] = {}
    origins: list[Any] = []
    for item in fields.each("allowOrigins"):
        exact, regex = item.take("exact"), item.take("regex")
        if exact is not None:
            origins.append(exact)
        elif regex is not None and regex.value == ".*":
            origins.append("*")
        else:
            item.refuse("regex", "origins are exact, or have one *. in front", "write exact:")
            item.refuse("prefix", "origins are exact, or have one *. in front", "write exact:")
        item.done()
    for word, field in (("methods", "allowMethods"), ("headers", "allowHeaders"), ("expose", "exposeHeaders"),
                        ("credentials", "allowCredentials")):  # fmt: skip
        node = fields.take(field)
        if node is not None:
            cors[word] = node
    age = fields.take("maxAge")
    if age is not None:
        cors["max_age"] = duration(str(age.value)) or age
    fields.refuse("unmatchedPreflights", "preflights of other origins are answered at the edge", "delete it")
    fields.done()
    return {"origins": origins, **cors}


def _percentage(fields: Fields) -> Any:
    """Without one no request is delayed or aborted."""
    percentage = fields.fields("percentage")
    fields.refuse("percent", "it has been replaced", "write percentage: {value: 10}")
    return (percentage.take("value") if percentage is not None else None) or 0
