"""One rule of an HTTPRoute: its matches with their precedence, its filters, and the backends that it names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from gslb.model.dialects.assembly import Rule, Services, duration, percentages
from gslb.model.dialects.fields import Fields, Told
from gslb.model.tree import Node

__all__ = ["RuleReader"]

_NO_PERMISSION = {"respond": {"status": 500}}


class _Grants(Protocol):
    def granted(self, source: str, namespace: str, kind: str, name: str) -> bool: ...


class RuleReader:
    """`names` are set before each rule: its name, what decides between rules alike, and the port of its listener where
    that is not the sites' own."""

    names: tuple[str, tuple[Any, ...], int | None]

    def __init__(self, grants: _Grants, services: Services, told: Told, namespace: str) -> None:
        self._grants, self._services, self._told, self._namespace = grants, services, told, namespace

    def read(self, rule: Fields) -> list[Rule]:
        """A Rule for each match."""
        name, tie, _ = self.names
        matches = [self._match(item) for item in rule.each("matches")] or [({}, _order({}))]
        backends: dict[str, Node] = {}
        action: dict[str, Any] = {}
        for item in rule.each("filters"):
            self._filter(item, action, backends)
        self._timeouts(rule, action)
        refs = list(rule.each("backendRefs"))
        if "redirect" not in action:
            self._backends(refs, action, backends)
        if retry := rule.fields("retry"):
            action["retries"] = _retry(retry)
        rule.refuse("sessionPersistence", "a session stays on a side of a split, not on a pod", "write sticky: cookie")
        rule.ignore("name")
        rule.done()
        if "respond" in action:
            action = {key: action[key] for key in ("respond", "response") if key in action}
        return [
            Rule((*order, *tie, index), name, rule.place, match, action, backends)
            for index, (match, order) in enumerate(matches)
        ]

    def _match(self, item: Fields) -> tuple[dict[str, Any], tuple[Any, ...]]:
        match: dict[str, Any] = {}
        path = item.fields("path")
        if path is not None:
            kind, value = path.text("type", "PathPrefix"), path.take("value")
            word = {"Exact": "exact", "PathPrefix": "path", "RegularExpression": "regex"}.get(kind)
            if word is None:
                path.refuse("type", f"{kind} is no type of path", "write Exact, PathPrefix or RegularExpression")
            elif value is not None and (word != "path" or value.value != "/"):
                match[word] = value
            path.done()
        method = item.take("method")
        if method is not None:
            match["method"] = method
        for word, field in (("headers", "headers"), ("query", "queryParams")):
            tests: dict[str, Any] = {}
            for test in item.each(field):
                key, kind, value = test.need("name"), test.text("type", "Exact"), test.take("value")
                tests.setdefault(key, value if kind == "Exact" else {"regex": value})
                test.done()
            if tests:
                match[word] = tests
        item.done()
        return match, _order(match)

    # Filters ----------------------------------------------------------------------------------------------------------

    def _filter(self, item: Fields, action: dict[str, Any], backends: dict[str, Node]) -> None:
        kind = item.need("type")
        if kind in ("RequestHeaderModifier", "ResponseHeaderModifier"):
            word = kind.removesuffix("HeaderModifier").lower()
            edits = item.fields(kind[0].lower() + kind[1:])
            if edits is not None:
                action[word] = _edits(edits)
        elif kind == "RequestRedirect" and (redirect := item.fields("requestRedirect")):
            action["redirect"] = self._redirect(redirect)
        elif kind == "URLRewrite" and (rewrite := item.fields("urlRewrite")):
            action["rewrite"] = _rewrite(rewrite)
        elif kind == "CORS" and (cors := item.fields("cors")):
            action["cors"] = _cors(cors)
        elif kind == "RequestMirror" and (mirror := item.fields("requestMirror")):
            self._mirror(mirror, action, backends)
        else:
            item.refuse("type", f"{kind} is no filter that edges have", "delete it, or write it in our own words")
            item.ignore(*item.node.keys)
        item.done()

    def _mirror(self, mirror: Fields, action: dict[str, Any], backends: dict[str, Node]) -> None:
        ref = mirror.fields("backendRef")
        percent: Any = mirror.take("percent") or 100
        fraction = mirror.fields("fraction")
        if fraction is not None:
            whole = fraction.scalar("denominator", int, 100) or 100
            percent = round(100 * fraction.scalar("numerator", int, 0) / whole, 2)
            fraction.done()
        mirror.done()
        found = self._backend(ref) if ref is not None else None
        if found is not None:
            backends[found[0]] = found[1]
            action["mirror"] = [*action.get("mirror", ()), {"to": found[0], "percent": percent}]

    def _redirect(self, fields: Fields) -> dict[str, Any]:
        redirect: dict[str, Any] = {}
        for word, field in (("scheme", "scheme"), ("host", "hostname"), ("port", "port"), ("status", "statusCode")):
            node = fields.take(field)
            if node is not None:
                redirect[word] = node
        redirect |= _new_path(fields)
        fields.done()
        listening = self.names[2]
        if listening is not None and not redirect.keys() & {"scheme", "port"}:
            redirect["port"] = listening
        return redirect

    # Backends ---------------------------------------------------------------------------------------------------------

    def _timeouts(self, rule: Fields, action: dict[str, Any]) -> None:
        timeouts = rule.fields("timeouts")
        for field, word in (("request", "timeout"), ("backendRequest", "try_timeout")):
            node = timeouts.take(field) if timeouts is not None else None
            if node is not None:
                text = duration(str(node.value))
                if text is None:
                    self._told.error(node.place, "foreign-type", f"{node.value} is no duration", "write 500ms or 2s")
                elif word == "timeout" or text != "0s":
                    action[word] = text
        if timeouts is not None:
            timeouts.done()

    def _backends(self, refs: list[Fields], action: dict[str, Any], backends: dict[str, Node]) -> None:
        weights = [ref.scalar("weight", int, 1) for ref in refs]
        found = [self._permitted(ref) for ref in refs]
        lost = sum(weight for weight, item in zip(weights, found, strict=True) if item is None)
        good = [(ref, w, item) for ref, w, item in zip(refs, weights, found, strict=True) if item is not None]
        if not sum(weight for _, weight, _ in good):
            action |= _NO_PERMISSION
            return
        if lost:
            share = round(100 * lost / sum(weights), 2)
            action["fault"] = {"abort": {"percent": share, "status": 500}}
        split: dict[str, float] = {}
        for (ref, _, (name, backend)), percent in zip(good, percentages([w for _, w, _ in good]), strict=True):
            split[name] = round(split.get(name, 0.0) + percent, 2)
            backends[name] = backend
            self._side(ref, name, action, alone=len(good) == 1)
        action["split"] = split
        if any(self._is_websocket(ref) for ref, _, _ in good):
            action["websocket"] = True
        for ref in refs:
            ref.done()

    def _permitted(self, ref: Fields) -> tuple[str, Node] | None:
        """None where its share gets 500: nobody granted the reference."""
        namespace, name = ref.text("namespace", self._namespace), ref.need("name")
        if not self._grants.granted(self._namespace, namespace, "Service", name):
            message = f"{ref.path}: no ReferenceGrant lets {self._namespace} use {namespace}/{name}; its share gets 500"
            self._told.warn(ref.key_place("name"), "no-grant", message, f"add a ReferenceGrant to {namespace}")
            ref.ignore(*ref.node.keys)
            return None
        return self._backend(ref)

    def _backend(self, ref: Fields) -> tuple[str, Node] | None:
        ref.ignore("group", "weight")
        if ref.text("kind", "Service") != "Service":
            ref.refuse("kind", "backends are Services", "write kind: Service")
        namespace, name = ref.text("namespace", self._namespace), ref.need("name")
        return self._services.backend(ref.key_place("name"), namespace, name, ref.scalar("port", int))

    def _is_websocket(self, ref: Fields) -> bool:
        key = (ref.text("namespace", self._namespace), ref.text("name"), ref.scalar("port", int, 0))
        return self._services.protocols.get(key) == "ws"

    def _side(self, ref: Fields, name: str, action: dict[str, Any], *, alone: bool) -> None:
        """Filters of one backend."""
        own: dict[str, Any] = {}
        for item in ref.each("filters"):
            self._filter(item, own, {})
        rewrite = own.pop("rewrite", None)
        if rewrite is not None and alone:
            action.setdefault("rewrite", rewrite)
        elif rewrite is not None and set(rewrite) == {"host"}:
            own["host"] = rewrite["host"]
        elif rewrite is not None:
            ref.refuse("filters", "one side of a split cannot have a path of its own", "rewrite in a rule of its own")
        if unknown := own.keys() - {"request", "response", "host"}:
            word = ", ".join(sorted(unknown))
            ref.refuse("filters", f"{word} is for a whole rule", "write the filter under filters: of the rule")
        if own:
            action["sides"] = {**action.get("sides", {}), name: own}


def _order(match: Mapping[str, Any]) -> tuple[Any, ...]:
    """Less: first."""
    path = match.get("path")
    length = len(str(path.value).rstrip("/")) if isinstance(path, Node) else 0
    kind = 0 if "exact" in match else 1 if "regex" in match else 2
    return (kind, -length, "method" not in match, -len(match.get("headers", ())), -len(match.get("query", ())))


def _edits(fields: Fields) -> dict[str, Any]:
    edits: dict[str, Any] = {}
    for word in ("set", "add"):
        values: dict[str, Any] = {}
        for item in fields.each(word):
            values.setdefault(item.need("name"), item.take("value"))
            item.done()
        if values:
            edits[word] = values
    removed = fields.items("remove")
    if removed:
        edits["remove"] = removed
    fields.done()
    return edits


def _new_path(fields: Fields) -> dict[str, Any]:
    path = fields.fields("path")
    if path is None:
        return {}
    kind, full, prefix = path.need("type"), path.take("replaceFullPath"), path.take("replacePrefixMatch")
    path.done()
    if kind == "ReplaceFullPath" and full is not None:
        return {"path": full}
    return {"prefix": prefix} if prefix is not None and prefix.value else {"prefix": "/"}


def _rewrite(fields: Fields) -> dict[str, Any]:
    host = fields.take("hostname")
    rewrite = {**({"host": host} if host is not None else {}), **_new_path(fields)}
    fields.done()
    return rewrite


def _cors(fields: Fields) -> dict[str, Any]:
    cors: dict[str, Any] = {}
    for word, field in (
        ("origins", "allowOrigins"),
        ("methods", "allowMethods"),
        ("headers", "allowHeaders"),
        ("expose", "exposeHeaders"),
        ("credentials", "allowCredentials"),
    ):
        node = fields.take(field)
        if node is not None:
            cors[word] = node
    age = fields.scalar("maxAge", int, 5)
    fields.done()
    return {"origins": ["*"], **cors, "max_age": f"{age}s"}


def _retry(fields: Fields) -> dict[str, Any]:
    retries: dict[str, Any] = {}
    codes, attempts, backoff = fields.items("codes"), fields.take("attempts"), fields.take("backoff")
    if codes:
        retries |= {"on": codes, "methods": "any"}
    if attempts is not None:
        retries["tries"] = attempts
    if backoff is not None:
        retries["backoff"] = duration(str(backoff.value)) or backoff
    fields.done()
    return retries
