"""Overrides that were put at a node itself, with control dead: how they lie over control's Intent, and their file.

Pure but for the file. Whether one may be made is control's rules to say (`changes`); publishing it is `holding`'s.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import structlog
from pydantic import ValidationError

from gslb.control.protocol import Applied, BrokenGlass, Deed
from gslb.errors import HostError
from gslb.model.policy import Policy
from gslb.snapshot.concerning import is_active
from gslb.snapshot.intent import Drain, Intent, MirrorStop, Overrides
from gslb.snapshot.mirror_stops import is_known
from gslb.whole_file import write_whole

__all__ = ["DEEDS_KEPT", "GlassFile", "glass_over", "over", "pruned", "still_stands"]

DEEDS_KEPT = 20
_KINDS = ("drains", "mirror_stops")
"""Of Overrides and of BrokenGlass: what can be put at a node itself. Each kind is replaced as a whole."""


def over(base: Intent, glass: BrokenGlass | None) -> Intent:
    """`base` with what `glass` has in place of its own, but for what names something that `base` lacks: after a step
    back that may be so, and must not be in the way of the rest."""
    if glass is None:
        return base
    update = {kind: tuple(item for item in items if _has_place(base.policy, item)) for kind, items in _held(glass)}
    version = base.overrides.version + len(glass.deeds)
    return base.model_copy(update={"overrides": base.overrides.model_copy(update={"version": version, **update})})


def glass_over(
    base: Intent, applied: Applied, before: BrokenGlass | None, after: Overrides, deed: Deed | None
) -> BrokenGlass | None:
    """What is broken once `after` are the overrides in effect; None where they are control's own again."""
    if all(getattr(after, kind) == getattr(base.overrides, kind) for kind in _KINDS):
        return None
    deeds = (*(before.deeds if before else ()), *([deed] if deed else []))
    return BrokenGlass(over=applied, drains=after.drains, mirror_stops=after.mirror_stops, deeds=deeds[-DEEDS_KEPT:])


def still_stands(glass: BrokenGlass, applied: Applied) -> bool:
    """Whether nothing newer than what it was laid over is in force."""
    below = glass.over
    return (applied.revision, applied.overrides) <= (below.revision, below.overrides)


def pruned(base: Intent, glass: BrokenGlass, wall_s: float) -> BrokenGlass | None:
    """Without what is its own and whose time is over at `wall_s`; unchanged where nothing is."""
    held = dict(_held(glass))
    kept = {
        kind: tuple(item for item in items if item in getattr(base.overrides, kind) or is_active(item.by, wall_s))
        for kind, items in held.items()
    }
    if kept == held:
        return glass
    return glass_over(base, glass.over, glass, base.overrides.model_copy(update=kept), None)


def _held(glass: BrokenGlass) -> Iterable[tuple[str, tuple[Drain | MirrorStop, ...]]]:
    return ((kind, items) for kind in _KINDS if (items := getattr(glass, kind)) is not None)


def _has_place(policy: Policy, item: Drain | MirrorStop) -> bool:
    if isinstance(item, Drain):
        return item.site in policy.sites and (item.app is None or item.app in policy.apps)
    return item.app is None or is_known(policy, item.app, item.route)


class GlassFile:
    """In `folder`, the role's own."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "broken-glass.json"

    def read(self) -> BrokenGlass | None:
        """None where there is none, or none that can be read, which is logged."""
        try:
            return BrokenGlass.model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            structlog.get_logger().error("the broken glass does not read", file=str(self._path), why=str(error))
            return None

    def write(self, glass: BrokenGlass | None) -> None:
        """Raises HostError."""
        if glass is not None:
            write_whole(self._path, glass.model_dump_json(indent=1).encode())
            return
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            raise HostError(f"{self._path} cannot be deleted: {error.strerror}", "fix its owner") from error
