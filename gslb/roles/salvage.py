"""The last resort of a node that starts alone: no generation on its disk can be served as a whole, by a bug or because
it was written by another version of gslb. The apps that can be served are; the others are left out.

Never used where control is there to be told: a change that one app makes impossible is refused whole.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

from gslb.control.protocol import Offer

__all__ = ["app_names", "only", "sound"]


def app_names(body: bytes) -> tuple[str, ...]:
    """The apps of an offer, as far as it can be told; read without the models, which may be what fails."""
    try:
        return tuple(json.loads(body)["intent"]["policy"]["apps"])
    except (ValueError, KeyError, TypeError):
        return ()


def only(body: bytes, apps: Collection[str]) -> Offer:
    """The offer with `apps` alone, and the overrides that name no other. Raises ValidationError."""
    content: dict[str, Any] = json.loads(body)
    intent = content["intent"]
    intent["policy"]["apps"] = {name: app for name, app in intent["policy"]["apps"].items() if name in apps}
    overrides = intent.get("overrides", {})
    for kind in ("drains", "shifts"):
        overrides[kind] = [item for item in overrides.get(kind, ()) if item.get("app") in (None, *apps)]
    return Offer.model_validate(content)


async def sound(apps: Sequence[str], stands: Callable[[Sequence[str]], Awaitable[bool]]) -> tuple[str, ...]:
    """Those of `apps` that stand, found by halving: one bad one among a thousand costs some twenty tries."""
    if not apps or await stands(apps):
        return tuple(apps)
    if len(apps) == 1:
        return ()
    half = len(apps) // 2
    return (*await sound(apps[:half], stands), *await sound(apps[half:], stands))
