"""Which overrides concern an app, so that an app whom none does that changed need not be compiled again. Pure.

Whatever an app is compiled from stands here or in the policy: `compile` gives it nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gslb.snapshot.intent import Intent, Overrides, Provenance

__all__ = ["KINDS", "Concerning", "concerning", "is_active"]

KINDS = ("shifts", "drains", "forced", "approvals", "slow_starts", "mirror_stops")
"""Of Overrides: what is about one app, or (`app` None) about every one."""


@dataclass(frozen=True, slots=True)
class Concerning:
    """The overrides that are not over, by the apps that they name; every other app has those `of_all`."""

    of_all: Overrides
    by_app: Mapping[str, Overrides]

    def of(self, app: str) -> Overrides:
        return self.by_app.get(app, self.of_all)


def is_active(by: Provenance, wall_s: float) -> bool:
    """Is its time not over at `wall_s` (Unix seconds)?"""
    return by.expires_s is None or by.expires_s > wall_s


def concerning(intent: Intent, wall_s: float) -> Concerning:
    """What concerns each app at `wall_s` (Unix seconds), in the order of the Intent."""
    active: dict[str, list[Any]] = {
        kind: [item for item in getattr(intent.overrides, kind) if is_active(item.by, wall_s)] for kind in KINDS
    }
    of_all = {kind: tuple(item for item in items if item.app is None) for kind, items in active.items()}
    named: dict[str, dict[str, list[Any]]] = {}
    for kind, items in active.items():
        for item in items:
            if item.app is not None:
                named.setdefault(item.app, {}).setdefault(kind, []).append(item)
    return Concerning(
        Overrides().model_copy(update=of_all),
        {app: Overrides().model_copy(update=_merged(app, own, active, of_all)) for app, own in named.items()},
    )


def _merged(
    app: str, own: Mapping[str, list[Any]], active: Mapping[str, list[Any]], of_all: Mapping[str, tuple[Any, ...]]
) -> dict[str, tuple[Any, ...]]:
    """Without looking through the overrides of all apps for each, where none is of all."""
    merged = dict(of_all)
    for kind, items in own.items():
        merged[kind] = tuple(item for item in active[kind] if item.app in (None, app)) if of_all[kind] else tuple(items)
    return merged
