"""What the policy and people say of whether a site may be answered at all, beside drains: forced states, approvals, and
how a site that was down comes back. A part of `compile`, which alone says what beats what; no verdict is known here.
"""

from __future__ import annotations

from collections.abc import Iterable

from gslb.errors import Problem
from gslb.model import policy as written
from gslb.model.words import iso
from gslb.snapshot.concerning import is_active
from gslb.snapshot.intent import Forced, Intent, Provenance
from gslb.snapshot.types import AppName, Approval, Failback, ForcedState, Guard, SiteName, SlowStart

__all__ = ["approvals", "dangling", "failback", "forced", "guard", "said_by", "slow_starts"]


def guard(policy: written.Policy) -> Guard:
    """What automation may take out by itself."""
    return Guard(round(policy.guard.most / 100, 4), policy.guard.within)


def failback(policy: written.Policy, app: written.App) -> Failback:
    """The app's own words, or the policy's. Who wants to be asked before a site leaves, wants it before one comes back:
    that is where a database was moved by hand."""
    words = app.failback or policy.failback
    resume = words.resume or ("manual" if app.failover == "manual" else "auto")
    return Failback(words.after, resume == "manual", words.over)


def forced(app: AppName, intent: Intent, wall_s: float) -> tuple[ForcedState, ...]:
    """By site; what was forced for this app alone wins over what was forced for all."""
    found: dict[str, Forced] = {}
    for item in sorted(intent.overrides.forced, key=lambda item: item.app is not None):
        if item.app in (None, app) and is_active(item.by, wall_s):
            found[item.site] = item
    return tuple(ForcedState(SiteName(site), item.state, said_by(item.by)) for site, item in sorted(found.items()))


def approvals(app: AppName, intent: Intent) -> tuple[Approval, ...]:
    """What people have approved for this app. One for a site that has gone means nothing, and disturbs nobody."""
    return tuple(
        Approval(SiteName(item.site), item.what, item.by.at_s)
        for item in intent.overrides.approvals
        if item.app == app and item.site in intent.policy.sites
    )


def slow_starts(app: AppName, intent: Intent, wall_s: float) -> tuple[SlowStart, ...]:
    """Of this app, those that are not over."""
    return tuple(
        SlowStart(SiteName(item.site), item.by.at_s, item.by.expires_s - item.by.at_s)
        for item in intent.overrides.slow_starts
        if item.app in (None, app)
        and item.site in intent.policy.sites
        and item.by.expires_s is not None
        and is_active(item.by, wall_s)
    )


def dangling(intent: Intent, wall_s: float) -> Iterable[Problem]:
    """Forced states that name what the policy lacks: whoever forced them must take them back first."""
    policy = intent.policy
    for item in intent.overrides.forced:
        lacking = item.site not in policy.sites or (item.app is not None and item.app not in policy.apps)
        if lacking and is_active(item.by, wall_s):
            what = item.site + (f" --app {item.app}" if item.app else "")
            yield Problem("overrides", 0, 0, "override-dangling",
                          f"the forced state of {what} names what this policy lacks",
                          f"undo it first: gslb unforce {what}")  # fmt: skip


def said_by(by: Provenance) -> str:
    """`by NAME until TIME: REASON`."""
    words = [f"by {by.author or 'unknown'}", *([f"until {iso(by.expires_s)}"] if by.expires_s is not None else [])]
    return " ".join(words) + (f": {by.reason}" if by.reason else "")
