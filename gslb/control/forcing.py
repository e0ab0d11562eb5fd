"""What people say of whether a site is answered, as pure functions from Intent to Intent: forced states, approvals, and
a slow way back after a drain.

Each raises PolicyError or RefusedError as those of `changes`, and returns the very Intent that it was given where
nothing changes. What is seen of a site comes in as what dns roles told lately.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from gslb.control.changes import problem, require_future, require_known
from gslb.control.protocol import RoleState, VerdictState
from gslb.errors import RefusedError
from gslb.snapshot.intent import Approval, Forced, Intent, Model, Provenance, SlowStart

__all__ = ["Pending", "approve", "dead_places", "force", "is_alive", "over", "pending", "slow_start", "unforce"]

What = Literal["failover", "resume"]


@dataclass(frozen=True, slots=True)
class Pending:
    """What waits for a person: that a dead site leaves an app's answers, or that one which is well again comes back."""

    app: str
    site: str
    what: What
    since_wall_s: float
    reason: str

    @property
    def command(self) -> str:
        return f"gslb {'failover approve' if self.what == 'failover' else 'resume'} {self.app} {self.site}"


def force(intent: Intent, wanted: Forced) -> Intent:
    """The site is believed to be up or down, whatever is seen of it, in place of what was forced of it before."""
    _require_places(intent, wanted.site, wanted.app)
    require_future(wanted.by)
    if not wanted.by.reason.strip():
        raise problem("reason", "a forced state hides what is seen, and nobody says why", "say why: --reason TEXT")
    forced = intent.overrides.forced
    same = next((item for item in forced if (item.site, item.app) == (wanted.site, wanted.app)), None)
    if same is not None and (same.state, same.by.reason, same.by.expires_s) == (
        wanted.state, wanted.by.reason, wanted.by.expires_s,
    ):  # fmt: skip
        return intent
    return _with(intent, forced=[*(item for item in forced if item is not same), wanted])


def unforce(intent: Intent, site: str, app: str | None) -> Intent:
    """What is seen counts again; unchanged where nothing is forced of the site.

    Raises PolicyError, rule `forced-otherwise`, where something is, but under another scope.
    """
    forced = intent.overrides.forced
    kept = [item for item in forced if (item.site, item.app) != (site, app)]
    if len(kept) < len(forced):
        return _with(intent, forced=kept)
    _require_places(intent, site, app)
    others = sorted(item.app or "" for item in forced if item.site == site)
    if others:
        commands = [f"gslb unforce {site}" + (f" --app {name}" if name else "") for name in others]
        raise problem("forced-otherwise", f"{site} is forced, but for other apps than that", "; ".join(commands))
    return intent


def approve(intent: Intent, wanted: Approval, seen: Sequence[VerdictState]) -> Intent:
    """A person's word in place of earlier ones about the same. `seen`: what dns roles told of the app at the site.

    Raises RefusedError, rule `nothing-pending`, where nothing waits for it: an approval is about what has happened, and
    nobody may give one in advance.
    """
    _require_places(intent, wanted.site, wanted.app)
    if not any(_waits(verdict, wanted.what) for verdict in seen):
        said = "; ".join(dict.fromkeys(f"{verdict.state}: {verdict.reason}" for verdict in seen)) or "nothing is known"
        waits = "no failover of it waits" if wanted.what == "failover" else "it is not out"
        raise RefusedError(
            "nothing-pending",
            f"{wanted.app} at {wanted.site} is {said}: {waits}",
            "gslb status shows what waits for a person; gslb force and gslb drain do not wait for anything",
        )
    kept = [item for item in intent.overrides.approvals if (item.app, item.site) != (wanted.app, wanted.site)]
    return _with(intent, approvals=[*kept, wanted])


def slow_start(before: Intent, after: Intent, wanted: SlowStart) -> Intent:
    """`after`, in which a site was put back that `before` had drained, with a share that grows from nothing. Unchanged
    where nothing was put back."""
    if after is before:
        return before
    kept = [it for it in after.overrides.slow_starts if (it.site, it.app) != (wanted.site, wanted.app)]
    overrides = after.overrides.model_copy(update={"slow_starts": (*kept, wanted)})
    return after.model_copy(update={"overrides": overrides})


def over(site: str, app: str | None, by: Provenance, over_s: float) -> SlowStart:
    """What makes a site grow to its share over `over_s` from `by.at_s` on."""
    return SlowStart(site=site, app=app, by=by.model_copy(update={"expires_s": by.at_s + over_s}))


def is_alive(verdict: VerdictState) -> bool:
    """Whether an address can serve: what is held is answered, and may be dead all the same."""
    return verdict.state in ("up", "unknown") or (verdict.state == "held" and verdict.seen != "down")


def dead_places(reached: Iterable[RoleState]) -> set[tuple[str, str]]:
    """The (app, site) of which no dns role knows an address that can serve, as each saw it a second ago."""
    told: dict[tuple[str, str], bool] = {}
    for verdict in (verdict for state in reached for verdict in state.verdicts):
        place = (verdict.app, verdict.site)
        told[place] = told.get(place, False) or is_alive(verdict)
    return {place for place, alive in told.items() if not alive}


def pending(reached: Iterable[RoleState]) -> list[Pending]:
    """What waits for a person, the longest first."""
    found: dict[tuple[str, str, What], Pending] = {}
    for verdict in (verdict for state in reached for verdict in state.verdicts):
        what: What | None = "failover" if _asks(verdict) else "resume" if verdict.waits else None
        if what is not None:
            key = (verdict.app, verdict.site, what)
            before = found.get(key)
            since_s = min(verdict.since_wall_s, before.since_wall_s if before else verdict.since_wall_s)
            found[key] = Pending(*key, since_s, before.reason if before else verdict.reason)
    return sorted(found.values(), key=lambda item: item.since_wall_s)


def _asks(verdict: VerdictState) -> bool:
    return verdict.state == "held" and verdict.seen == "down" and verdict.waits


def _waits(verdict: VerdictState, what: What) -> bool:
    """A site may be let back before it is well: then it comes back as soon as it is."""
    return _asks(verdict) if what == "failover" else verdict.state == "down"


def _require_places(intent: Intent, site: str, app: str | None) -> None:
    require_known("site", site, intent.policy.sites)
    if app is not None:
        require_known("app", app, intent.policy.apps)


def _with(intent: Intent, **fields: Sequence[Model]) -> Intent:
    update = {name: tuple(items) for name, items in fields.items()}
    overrides = intent.overrides.model_copy(update={"version": intent.overrides.version + 1, **update})
    return intent.model_copy(update={"overrides": overrides})
