"""The content of discovery files: resources as text, each with a digest, kept for the next time.

Where one of thousands of resources changes, only that one is made text again. Whether a file is written, and what
Envoy says to it, is not known here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gslb.edge.render import EdgeConfig, Paths, Resource, discovery

__all__ = ["Document", "Encoder"]

_PARTS = "virtual_hosts"
"""Of a resource: a list of what is kept one by one."""


@dataclass(frozen=True, slots=True)
class Text:
    """A resource by its `name`, as JSON with sorted keys."""

    name: str
    json: str
    digest: str

    @classmethod
    def of(cls, name: str, text: str) -> Text:
        return cls(name, text, hashlib.sha256(text.encode()).hexdigest()[:16])


@dataclass(frozen=True, slots=True)
class Document:
    """One discovery file. `digest` is of the resources alone; `version` is what Envoy shows, and ends in it."""

    snapshot: str
    texts: tuple[Text, ...]
    digest: str

    @classmethod
    def of(cls, snapshot: str, resources: Iterable[Resource]) -> Document:
        """Raises KeyError and TypeError where something is no resource with a name."""
        return cls.holding(snapshot, [Text.of(item["name"], _dumped(item)) for item in resources])

    @classmethod
    def holding(cls, snapshot: str, texts: Iterable[Text]) -> Document:
        found = tuple(texts)
        return cls(snapshot, found, hashlib.sha256("".join(text.digest for text in found).encode()).hexdigest()[:16])

    @classmethod
    def read(cls, body: bytes) -> Document:
        """What `encode` made. Raises ValueError, KeyError and TypeError."""
        content: dict[str, Any] = json.loads(body)
        return cls.of(str(content["version_info"]).rpartition(" ")[0], content["resources"])

    @property
    def version(self) -> str:
        return f"{self.snapshot} {self.digest}"

    def resources(self) -> list[dict[str, Any]]:
        """Read from their texts."""
        return [json.loads(text.json) for text in self.texts]

    def encode(self) -> bytes:
        """envoy.service.discovery.v3.DiscoveryResponse in JSON."""
        resources = ",".join(text.json for text in self.texts)
        return f'{{"version_info":{json.dumps(self.version)},"resources":[{resources}]}}'.encode()


_Texts = dict[int, tuple[Resource, Text]]
"""By the identity of a resource, which stands beside its text so that no other can come to have it."""


@dataclass(frozen=True, slots=True)
class _Made:
    """A document with what it was made from."""

    resources: tuple[Resource, ...]
    document: Document
    texts: _Texts


class Encoder:
    """Makes documents of one configuration after the other. Not for several threads at once."""

    def __init__(self) -> None:
        self._made: Mapping[str, _Made] = {}

    def documents(self, config: EdgeConfig, paths: Paths) -> Mapping[str, Document]:
        """The documents of `config` by path."""
        self._made = {
            path: _made(self._made.get(path), config.version, kind, tuple(resources))
            for path, (kind, resources) in discovery(config, paths).items()
        }
        return {path: made.document for path, made in self._made.items()}


def _made(before: _Made | None, snapshot: str, kind: str, resources: tuple[Resource, ...]) -> _Made:
    if before is not None and _are_the_same(before.resources, resources):
        return replace(before, document=replace(before.document, snapshot=snapshot))
    old, texts = before.texts if before else {}, _Texts()
    found = [_text(item, kind, old, texts) for item in resources]
    return _Made(resources, Document.holding(snapshot, found), texts)


def _text(resource: Resource, kind: str, old: _Texts, texts: _Texts) -> Text:
    """The text of `resource`, taken over from `old` where it is the same object, into `texts`. `kind` empty: it is a
    part, which has no type of its own."""
    known = old.get(id(resource))
    if known is None or known[0] is not resource:
        typed = {"@type": kind, **resource} if kind else resource
        known = resource, Text.of(resource["name"], _composed(typed, old, texts))
    texts[id(resource)] = known
    return known[1]


def _composed(resource: Resource, old: _Texts, texts: _Texts) -> str:
    if _PARTS not in resource:
        return _dumped(resource)
    parts = ",".join(_text(item, "", old, texts).json for item in resource[_PARTS])
    fields = (
        f"{json.dumps(name)}:{f'[{parts}]' if name == _PARTS else _dumped(resource[name])}" for name in sorted(resource)
    )
    return f"{{{','.join(fields)}}}"


def _are_the_same(one: Sequence[Resource], other: Sequence[Resource]) -> bool:
    return len(one) == len(other) and all(map(lambda a, b: a is b, one, other))


def _dumped(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
