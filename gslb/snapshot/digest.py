"""The digest of a snapshot's content, from those of its parts: what stayed the same object is not read again. Pure.

Each part in its order: the order of the sites means something (`first`, failover between edges), as does that of apps.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gslb.snapshot.types import App, AppName, Snapshot

__all__ = ["Digests", "digests"]

_PARTS = ("environment", "zone", "sites", "zones", "latency", "checks", "guard")


@dataclass(frozen=True, slots=True)
class Digests:
    """Of each part and app, with what it is of, and of all of them."""

    parts: Mapping[str, tuple[Any, bytes]]
    apps: Mapping[AppName, tuple[App, bytes]]
    whole: str


def digests(snapshot: Snapshot, before: Digests | None = None) -> Digests:
    """Of everything but the version. The same for equal contents, whatever `before` is."""
    old_parts = before.parts if before else {}
    old_apps = before.apps if before else {}
    parts = {name: _known(getattr(snapshot, name), old_parts.get(name)) for name in _PARTS}
    apps = {name: _known(app, old_apps.get(name)) for name, app in snapshot.apps.items()}
    whole = hashlib.sha256()
    for name, (_, digest) in (*parts.items(), *apps.items()):
        whole.update(name.encode() + b"\0" + digest)
    return Digests(parts, apps, whole.hexdigest()[:16])


def _known(value: Any, before: tuple[Any, bytes] | None) -> tuple[Any, bytes]:
    if before is not None and before[0] is value:
        return before
    return value, hashlib.sha256(_text(value).encode()).digest()


def _text(value: Any) -> str:
    return json.dumps(value, default=_shown, check_circular=False, separators=(",", ":"))


def _shown(value: Any) -> Any:
    """What JSON does not know, one level deep: the encoder goes on from there by itself, which dataclasses.asdict does
    at the speed of Python."""
    if fields := getattr(type(value), "__dataclass_fields__", None):
        return {name: getattr(value, name) for name in fields}
    return dict(value) if isinstance(value, Mapping) else str(value)
