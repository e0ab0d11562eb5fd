"""The last resort of a node that starts alone: no generation on its disk can be served as a whole, by a bug or because
it was written by another version of gslb. The apps that can be served are; the others are left out.

Never used where control is there to be told: a change that one app makes impossible is refused whole. What is taken
apart here was verified as a whole before.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

from gslb.snapshot.bundle import Bundle
from gslb.snapshot.concerning import KINDS
from gslb.snapshot.intent import Intent

__all__ = ["app_names", "only", "sound"]


def app_names(bundle: Bundle) -> tuple[str, ...]:
    """The apps of a bundle, as far as it can be told; read without the models, which may be what fails."""
    try:
        return tuple(json.loads(bundle.policy)["apps"])
    except (ValueError, KeyError, TypeError):
        return ()


def only(bundle: Bundle, apps: Collection[str]) -> Intent:
    """What `bundle` says of `apps` alone, and the overrides that name no other. Raises ValueError."""
    policy: dict[str, Any] = json.loads(bundle.policy)
    policy["apps"] = {name: app for name, app in policy["apps"].items() if name in apps}
    overrides: dict[str, Any] = json.loads(bundle.overrides)
    for kind in KINDS:
        overrides[kind] = [item for item in overrides.get(kind, ()) if item.get("app") in (None, *apps)]
    update = {"policy": json.dumps(policy), "overrides": json.dumps(overrides)}
    return bundle.model_copy(update=update).intent()


async def sound(apps: Sequence[str], stands: Callable[[Sequence[str]], Awaitable[bool]]) -> tuple[str, ...]:
    """Those of `apps` that stand, found by halving: one bad one among a thousand costs some twenty tries."""
    if not apps or await stands(apps):
        return tuple(apps)
    if len(apps) == 1:
        return ()
    half = len(apps) // 2
    return (*await sound(apps[:half], stands), *await sound(apps[half:], stands))
