"""Which mirrors a person has stopped. A part of `compile`, which alone says what beats what."""

from __future__ import annotations

from collections.abc import Iterable

from gslb.errors import Problem
from gslb.model import policy as written
from gslb.snapshot.concerning import is_active
from gslb.snapshot.intent import Intent, MirrorStop

__all__ = ["dangling_stops", "is_known", "mirror_stop", "narrowest"]


def mirror_stop(intent: Intent, app: str, route: str, wall_s: float) -> MirrorStop | None:
    """What stops the mirrors of this route at `wall_s` (Unix seconds): the narrowest, where several do."""
    return narrowest(intent.overrides.mirror_stops, app, route, wall_s)


def narrowest(stops: Iterable[MirrorStop], app: str, route: str, wall_s: float) -> MirrorStop | None:
    """Of `stops`, as `mirror_stop`."""
    found = [
        stop for stop in stops if stop.app in (None, app) and stop.route in (None, route) and is_active(stop.by, wall_s)
    ]
    return max(found, key=lambda stop: (stop.app is not None, stop.route is not None), default=None)


def dangling_stops(intent: Intent, wall_s: float) -> Iterable[Problem]:
    """Stops that name what the policy lacks: whoever stopped must start first, nothing is dropped."""
    for stop in intent.overrides.mirror_stops:
        if stop.app is not None and is_active(stop.by, wall_s) and not is_known(intent.policy, stop.app, stop.route):
            what = stop.app + (f"/{stop.route}" if stop.route else "")
            yield Problem("overrides", 0, 0, "override-dangling",
                          f"the stop of the mirrors of {what} names what this policy lacks",
                          f"undo it first: gslb mirror start {what}")  # fmt: skip


def is_known(policy: written.Policy, app: str, route: str | None) -> bool:
    """Whether the policy has the app, and the route of it where one is named."""
    found = policy.apps.get(app)
    return found is not None and (route is None or any(item.name == route for item in found.routes))
