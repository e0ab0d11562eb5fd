"""A tree to a validated policy, and what the models refuse in an operator's words at the right place.

What single values may be is decided by the models; what fits together is decided by `checks`. Here is neither.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gslb.errors import Problem
from gslb.model import check_words, comparing, listening, routing
from gslb.model import policy as words
from gslb.model.check_forms import CHECK_FORMS
from gslb.model.forms import FORMS
from gslb.model.tree import Node, Path, Value, find, locate, plain, without
from gslb.model.words import format_duration

__all__ = ["Shape", "closest", "dotted", "read_shape"]

_MAX_ERRORS = 500
_CLIPPED = 200

_MODELS: Mapping[tuple[str, ...], type[BaseModel]] = {
    (): words.Policy,
    ("zone",): words.Zone,
    ("zones", "*"): words.Zone,
    ("zone", "ttl"): words.TtlBounds,
    ("zones", "*", "ttl"): words.TtlBounds,
    ("zone", "dnssec"): words.Dnssec,
    ("zones", "*", "dnssec"): words.Dnssec,
    ("sites", "*"): words.Site,
    ("sites", "*", "edges", "*"): words.Edge,
    ("sites", "*", "listen"): listening.Listen,
    ("sites", "*", "location"): words.Location,
    ("apps", "*"): words.App,
    ("failback",): words.Failback,
    ("guard",): words.Guard,
    ("apps", "*", "failback"): words.Failback,
    ("apps", "*", "ttl"): words.TtlBounds,
    ("apps", "*", "https"): words.Https,
    ("apps", "*", "steer", "*", "healthy"): words.Threshold,
    ("apps", "*", "tls"): listening.ClientTls,
    ("apps", "*", "backends", "*", "tls"): listening.BackendTls,
    ("apps", "*", "steer", "*", "geo"): words.GeoRules,
    ("apps", "*", "steer", "*", "shed"): words.Marks,
    ("services", "*"): words.Backend,
    ("services", "*", "check"): check_words.Check,
    ("services", "*", "check", "expect"): check_words.BackendExpect,
    ("services", "*", "check", "grpc"): check_words.BackendGrpc,
    ("services", "*", "check", "tcp"): check_words.BackendTcp,
    ("services", "*", "check", "tls"): listening.BackendTls,
    ("services", "*", "tls"): listening.BackendTls,
    ("apps", "*", "backends", "*"): words.Backend,
    ("apps", "*", "backends", "*", "check"): check_words.Check,
    ("apps", "*", "backends", "*", "check", "expect"): check_words.BackendExpect,
    ("apps", "*", "backends", "*", "check", "grpc"): check_words.BackendGrpc,
    ("apps", "*", "backends", "*", "check", "tcp"): check_words.BackendTcp,
    ("apps", "*", "backends", "*", "check", "tls"): listening.BackendTls,
    ("checks", "*"): check_words.NamedCheck,
    **{("checks", "*", kind): known.model for kind, known in check_words.KINDS.items()},
    **{("checks", "*", kind, "tls"): check_words.TlsOptions for kind in ("http", "grpc", "prometheus")},
    ("checks", "*", "http", "expect"): check_words.Expect,
    ("apps", "*", "routes", "*"): routing.Route,
    ("apps", "*", "routes", "*", "match"): routing.Match,
    ("apps", "*", "routes", "*", "match", "*"): routing.Match,
    ("apps", "*", "routes", "*", "match", "headers", "*"): routing.ValueTest,
    ("apps", "*", "routes", "*", "match", "query", "*"): routing.ValueTest,
    ("apps", "*", "routes", "*", "match", "*", "headers", "*"): routing.ValueTest,
    ("apps", "*", "routes", "*", "match", "*", "query", "*"): routing.ValueTest,
    ("apps", "*", "routes", "*", "mirror", "*"): routing.Mirror,
    ("apps", "*", "routes", "*", "mirror", "*", "by"): routing.ByHeader,
    ("apps", "*", "routes", "*", "mirror", "*", "compare"): comparing.Compare,
    ("apps", "*", "routes", "*", "mirror", "*", "compare", "normalise", "*"): comparing.Normalise,
    ("apps", "*", "routes", "*", "redirect"): routing.Redirect,
    ("apps", "*", "routes", "*", "respond"): routing.Respond,
    ("apps", "*", "routes", "*", "rewrite"): routing.Rewrite,
    ("apps", "*", "routes", "*", "request"): routing.Edits,
    ("apps", "*", "routes", "*", "response"): routing.Edits,
    ("apps", "*", "routes", "*", "sides", "*"): routing.Side,
    ("apps", "*", "routes", "*", "sides", "*", "request"): routing.Edits,
    ("apps", "*", "routes", "*", "sides", "*", "response"): routing.Edits,
    ("apps", "*", "routes", "*", "cors"): routing.Cors,
    ("apps", "*", "routes", "*", "retries"): routing.Retries,
    ("apps", "*", "routes", "*", "rate"): routing.Rate,
    ("apps", "*", "routes", "*", "fault"): routing.Fault,
    ("apps", "*", "routes", "*", "fault", "delay"): routing.Delay,
    ("apps", "*", "routes", "*", "fault", "abort"): routing.Abort,
    ("apps", "*", "routes", "*", "auth"): routing.Auth,
}
_FILTERS: Mapping[str, type[BaseModel]] = {
    "healthy": words.Healthy,
    "only": words.Only,
    "geo": words.Geo,
    "priority": words.Priority,
    "weighted": words.Weighted,
    "first": words.First,
    "shed": words.Shed,
}
_TAGS = frozenset({"duration", "bounds", "switch", "how", "plain", "parts"})
"""Of what may be written in two ways; pydantic puts them between the steps of a path."""
_FILTER_WORDS = ("networks", "latency", *_FILTERS)

_EXPECTED = {
    "tuple_type": "a list",
    "mapping_type": "a mapping",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
}
_RANGES = {
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
}


@dataclass(frozen=True, slots=True)
class Shape:
    """`policy` is what could be understood, or None; where there were problems it lacks the routes and apps that had
    them. `root` is the tree that `policy` was made of."""

    policy: words.Policy | None
    root: Node
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class _Refused:
    """One refusal of the models: its path in the tree, with `detail` as pydantic gave it."""

    path: tuple[str | int, ...]
    is_key: bool
    detail: ErrorDetails


def closest(word: str, known: Iterable[str]) -> str | None:
    """The one of `known` that `word` was probably meant to be."""
    return next(iter(difflib.get_close_matches(word, list(itertools.islice(known, 1000)), n=1, cutoff=0.6)), None)


def dotted(path: Path) -> str:
    """`apps.shop.routes[0]`, as people write it."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".") or "the policy"


def read_shape(root: Node, *, complete: bool) -> Shape:
    """Validate `root`. With `complete` False a part could not be read, and nothing at the top is missed."""
    try:
        return Shape(words.Policy.model_validate(plain(root)), root, ())
    except ValidationError as error:
        details = error.errors(include_url=False)
    refusals = _without_echoes([_refused(root, detail) for detail in details[:_MAX_ERRORS]])
    problems = [
        _problem(root, item) for item in refusals if complete or item.detail["type"] != "missing" or len(item.path) > 1
    ]
    pruned = _prune(root, refusals) if len(details) <= _MAX_ERRORS else None
    return Shape(_valid(pruned), pruned or root, tuple(dict.fromkeys(problems)))


def _valid(root: Node | None) -> words.Policy | None:
    try:
        return words.Policy.model_validate(plain(root)) if root else None
    except ValidationError:
        return None


def _prune(root: Node, refusals: Iterable[_Refused]) -> Node | None:
    """The tree less what was refused, so that the rest can be checked in the same run. None where what is left would
    be judged wrongly: a zone or a site that is half there."""
    cuts = set()
    for item in refusals:
        path = item.path
        if path[:1] == ("apps",) and len(path) > 1:
            cuts.add(path if _is_unknown(root, item) and not _is_meaningful(path) else path[: _unit(path)])
        elif _is_unknown(root, item):
            cuts.add(path)
        else:
            return None
    return without(root, cuts)


def _unit(path: Path) -> int:
    """How many steps of a path in an app lead to the smallest part that can be left out: route, chain or app."""
    part = path[2] if len(path) > 3 else None
    return {"routes": 4, "steer": 3}.get(str(part), 2)


def _is_meaningful(path: Path) -> bool:
    """Whether what holds the unknown key would mean something else without it."""
    return path[2] == "steer" or (len(path) > 5 and path[4] == "match")


def _refused(root: Node, detail: ErrorDetails) -> _Refused:
    """Drop from pydantic's `loc` what is no key of the document: the tag of a filter or of what may be written in two
    ways, the mark of a key."""
    path = _in_tree(root, detail["loc"])
    is_key = path[-1:] == ("[key]",) and find(root, path) is None
    if is_key:
        path = path[:-1]
    if path[:1] == ("apps",) and path[2:3] == ("steer",):
        path = (*path[:4], *path[5:])
    return _Refused(path, is_key, detail)


def _in_tree(root: Node, loc: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """`loc` without the tags of what may be written in two ways, and without the index of a value that stands for a
    list of one."""
    kept: list[str | int] = []
    node: Node | None = root
    for step in loc:
        child = find(node, (step,)) if node else None
        extra = step in _TAGS or (isinstance(step, int) and node is not None and not isinstance(node.value, list))
        if child is None and extra:
            continue
        kept.append(step)
        node = child
    return tuple(kept)


def _without_echoes(refusals: list[_Refused]) -> list[_Refused]:
    """A list whose items were refused is also called too short, and a misspelt key is also missed: once is enough."""
    inner = {item.path[:length] for item in refusals for length in range(len(item.path))}
    inner |= {item.path for item in refusals if item.detail["type"] != "too_short"}
    meant = {
        (*item.path[:-1], closest(str(item.path[-1]), _allowed(item.path[:-1], None)))
        for item in refusals
        if item.detail["type"] == "extra_forbidden"
    }
    return [
        item
        for item in refusals
        if not (item.detail["type"] == "too_short" and item.path in inner)
        and not (item.detail["type"] == "missing" and item.path in meant)
    ]


def _is_unknown(root: Node, item: _Refused) -> bool:
    """An unknown key; in a backend, where sites are keys, one that is neither its own word nor a site."""
    if item.detail["type"] == "extra_forbidden":
        return True
    path = item.path
    in_backend = len(path) == 5 and path[0] == "apps" and path[2] == "backends"
    return in_backend and path[4] not in words.Backend.model_fields and find(root, ("sites", path[4])) is None


def _allowed(path: Path, node: Node | None) -> tuple[str, ...]:
    if len(path) == 4 and path[2] == "steer":
        model = _FILTERS.get(next(iter(node.keys), "")) if node else None
    else:
        shape = tuple("*" if place in _free_steps(path) else str(step) for place, step in enumerate(path))
        model = _MODELS.get(shape)
    return tuple(model.model_fields) if model else ()


def _free_steps(path: Path) -> set[int]:
    """Which steps of a path are names that the operator chose, or indices."""
    free = {place for place, step in enumerate(path) if isinstance(step, int)}
    if path and path[0] in ("sites", "apps", "checks", "services"):
        free.add(1)
    if len(path) > 3 and path[2] == "backends":
        free.add(3)
    named = ("headers", "query", "sides")
    free.update(place + 1 for place, step in enumerate(path[:-1]) if place > 3 and step in named)
    return free


def _problem(root: Node, item: _Refused) -> Problem:
    kind = item.detail["type"]
    node = find(root, item.path)
    if kind == "missing":
        place = locate(root, item.path, key=True)
        rule, message, remedy = _missing(item.path)
    elif _is_unknown(root, item):
        place = locate(root, item.path, key=True)
        rule, message, remedy = _unknown(root, item.path)
    else:
        place = locate(root, item.path, key=item.is_key)
        rule, message, remedy = _bad_value(item, node.value if node else None)
    return Problem(*place, rule, message, remedy)


def _missing(path: Path) -> tuple[str, str, str]:
    key = str(path[-1])
    return "missing-key", f"{dotted(path[:-1])} has no {key}", f"write {_form(path) or key + ': ...'}"


def _unknown(root: Node, path: Path) -> tuple[str, str, str]:
    key, parent = str(path[-1]), path[:-1]
    allowed = _allowed(parent, find(root, parent))
    if len(parent) == 4 and parent[2] == "steer" and key in _FILTER_WORDS:
        return "unknown-key", f"{key} stands in another filter", "write each filter as an item of its own"
    if len(parent) == 4 and parent[2] == "backends":
        sites = find(root, ("sites",))
        allowed = (*allowed, *(sites.keys if sites else ()))
    guess = closest(key, allowed)
    hint = f"write {guess}; " if guess else ""
    return "unknown-key", f"{key} is not a key of {dotted(parent)}", f"{hint}the keys are {', '.join(allowed)}"


def _bad_value(item: _Refused, value: Value) -> tuple[str, str, str]:  # noqa: PLR0911 - one return a kind of refusal
    kind, context = item.detail["type"], item.detail.get("ctx", {})
    where, form = dotted(item.path), _form(item.path)
    write = f"write {form}" if form else "correct the value"
    if kind == "value_error":
        message, _, remedy = str(context["error"]).rpartition("; ")
        return "value", f"{where}: {_clip(message)}", remedy
    if kind == "steer_filter" or (kind == "literal_error" and item.path[2:3] == ("steer",) and len(item.path) == 4):
        return _bad_filter(value, where)
    if item.is_key:
        return "value", f"{where}: {_clip(str(item.path[-1]))} cannot be a name here", write
    if kind in _RANGES:
        limits = {name: format_duration(n) if isinstance(value, str) else f"{n:,}" for name, n in context.items()}
        message = _RANGES[kind].format(**limits)
        return "range", f"{where} is {_show(value)}, and {message}", f"write a value that is {message[8:]}"
    if kind in _EXPECTED:
        return "type", f"{where} is {_show(value)}, not {_EXPECTED[kind]}", _quoted(kind, value) or write
    if kind == "too_short":
        return "length", f"{where} is empty", write
    if kind == "too_long":
        return "length", f"{where} has more than {context['max_length']} items", "write fewer"
    if kind == "literal_error":
        write = f"write {str(context['expected']).replace(chr(39), '')}"
    return "value", f"{where} cannot be {_show(value)}", write


def _quoted(kind: str, value: Value) -> str:
    if kind == "string_type" and isinstance(value, bool | int | float):
        return f'put it in quotes: "{_show(value)}"'
    return ""


def _bad_filter(value: Value, where: str) -> tuple[str, str, str]:
    name = value if isinstance(value, str) else next(iter(value), "") if isinstance(value, dict) else ""
    guess = closest(name, _FILTER_WORDS)
    if guess == name:
        return "unknown-filter", f"{where}: {name} needs its value", f"write {FORMS[name]}"
    forms = "healthy, networks, geo, latency, only: [SITE], priority: [SITE], weighted: {SITE: WEIGHT}, first: N, shed"
    hint = f"write {guess}; " if guess else ""
    return (
        "unknown-filter",
        f"{where} is {_clip(name) or _show(value)}, which is no filter",
        f"{hint}the filters are {forms}",
    )


def _form(path: Path) -> str | None:
    """How to write what stands at `path`; for a name that the operator chose, what it stands in."""
    names = [step for step in path if isinstance(step, str)]
    if names[:2] and names[0] in ("sites", "apps") and len(names) == 2:
        return FORMS["edges" if names[0] == "sites" else "hosts"]
    forms = {**FORMS, **CHECK_FORMS} if names[:1] == ["checks"] or "check" in names[4:5] else FORMS
    return next((forms[name] for name in reversed(names) if name in forms), None)


def _show(value: Value) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    return "empty" if value is None else _clip(str(value))


def _clip(text: str) -> str:
    return text if len(text) <= _CLIPPED else text[: _CLIPPED - 3] + "..."
