"""What an operator can ask for, as pure functions from Intent to Intent.

Each raises PolicyError where the request does not fit the policy and RefusedError where it must not happen, and returns
the very Intent that it was given where nothing changes. What an Intent means is `compile_snapshot`'s to say.
"""

from __future__ import annotations

import difflib
import operator
from collections.abc import Collection, Iterable, Mapping

from gslb.errors import PolicyError, Problem, RefusedError
from gslb.model.base import says_alike
from gslb.model.policy import App, Policy, Route
from gslb.plan import serving_sites
from gslb.snapshot import Compiler, compile_app
from gslb.snapshot.intent import Drain, Intent, Provenance, Shift
from gslb.snapshot.types import WHOLE_BP, AppName, SiteName, Snapshot
from gslb.snapshot.types import App as CompiledApp

__all__ = [
    "AT_CONTROL", "drain", "kept_in", "problem", "prune_expired", "require", "require_future", "require_known",
    "set_policy", "shift", "undo_shift", "undrain",
]  # fmt: skip

LAST_SITE = "last-site"
AT_CONTROL = "gslb {}"
"""The words of a command that a remedy names: elsewhere than at control it begins, and ends, otherwise."""


def require(intent: Intent | None) -> Intent:
    """The Intent that an override needs below it. Raises RefusedError, rule `no-policy`, before the first policy."""
    if intent is None:
        raise RefusedError("no-policy", "no policy is in force yet", "give gslb run a folder with a policy first")
    return intent


def kept_in(before: Policy, policy: Policy) -> Policy:
    """`policy` with the very apps of `before` that it leaves as they are, so that nobody compares them again; `before`
    itself where it says the same."""
    old = before.apps
    apps = {name: old[name] if name in old and says_alike(old[name], app) else app for name, app in policy.apps.items()}
    is_same = list(apps) == list(old) and all(map(operator.is_, apps.values(), old.values()))
    if is_same and says_alike(before, policy, beside=("apps",)):
        return before
    return policy.model_copy(update={"apps": apps})


def set_policy(intent: Intent | None, policy: Policy) -> Intent:
    """`policy` under the next revision, overrides kept; unchanged where it says what is in force already. As `kept_in`
    for what stays."""
    if intent is None:
        return Intent(revision=1, policy=policy)
    kept = kept_in(intent.policy, policy)
    if kept is intent.policy:
        return intent
    return Intent(revision=intent.revision + 1, policy=kept, overrides=intent.overrides)


def shift(intent: Intent, app: str, route: str, wanted: Mapping[str, float], by: Provenance) -> Intent:
    """The named backends get these percentages of the route; the others keep their proportions among themselves.

    Exact to 0.01 %, by largest remainder. A single other backend takes the rest even from 0; several others at 0 have
    no proportions, so they must be named. The starting point is what is effective at `by.at_s`.
    """
    written = _route(intent.policy, app, route)
    problems = [*_bad_shares(intent.policy.apps[app], wanted), *_bad_expiry(by)]
    if written.split is None:
        problems.append(
            _request("no-split", f"{app}/{route} answers at the edge: it has no split", "name another route")
        )
    if problems or written.split is None:
        raise PolicyError(problems)
    compiled = compile_app(intent, AppName(app), by.at_s)
    shares_bp = dict.fromkeys(written.split, 0) | _split_bp(compiled, route)
    named_bp = {name: round(percent * 100) for name, percent in wanted.items()}
    others_bp = {name: share for name, share in shares_bp.items() if name not in named_bp}
    rest_bp = WHOLE_BP - sum(named_bp.values())
    split_bp = {**named_bp, **_rest(others_bp, rest_bp)}
    new = Shift(app=app, route=route, split={name: bp / 100 for name, bp in sorted(split_bp.items())}, by=by)
    kept = [item for item in intent.overrides.shifts if (item.app, item.route) != (app, route)]
    return _overridden(intent, intent.overrides.drains, [*kept, new])


def undo_shift(intent: Intent, app: str, route: str) -> Intent:
    """The route follows the policy again; unchanged where it does already."""
    kept = [item for item in intent.overrides.shifts if (item.app, item.route) != (app, route)]
    if len(kept) == len(intent.overrides.shifts):
        _route(intent.policy, app, route)
        return intent
    return _overridden(intent, intent.overrides.drains, kept)


def drain(intent: Intent, wanted: Drain, allow: Collection[str] = (), dead: Collection[tuple[str, str]] = ()) -> Intent:
    """Takes a site out, for one app or for all, in place of an earlier drain of the same.

    Unchanged where the same drain (but for who and when) is in force. Raises RefusedError, rule `last-site`, where an
    app would be left with no site that serves it, or only with such as are forced down or among `dead` (app, site),
    unless `allow` names the rule.
    """
    require_known("site", wanted.site, intent.policy.sites)
    if wanted.app is not None:
        require_known("app", wanted.app, intent.policy.apps)
    require_future(wanted.by)
    key = (wanted.site, wanted.app)
    kept = [item for item in intent.overrides.drains if (item.site, item.app) != key]
    same = next((item for item in intent.overrides.drains if (item.site, item.app) == key), None)
    if same is not None and _alike(same, wanted):
        return intent
    new = _overridden(intent, [*kept, wanted], intent.overrides.shifts)
    if LAST_SITE not in allow:
        _refuse_last_site(intent, new, wanted, dead)
    return new


def undrain(intent: Intent, site: str, app: str | None, command: str = AT_CONTROL) -> Intent:
    """Puts back what `drain` with the same site and app took out; unchanged where nothing of the site is drained.

    Raises PolicyError, rule `drained-otherwise`, where the site is drained, but under another scope.
    """
    drains = intent.overrides.drains
    kept = [item for item in drains if (item.site, item.app) != (site, app)]
    if len(kept) < len(drains):
        return _overridden(intent, kept, intent.overrides.shifts)
    require_known("site", site, intent.policy.sites)
    if app is not None:
        require_known("app", app, intent.policy.apps)
    whole = any(item.site == site and item.app is None for item in drains)
    apps = sorted(item.app for item in drains if item.site == site and item.app is not None)
    if whole and app is not None:
        raise problem("drained-otherwise", f"{site} is drained for every app, not for {app} alone",
                       f"put the whole site back: {command.format(f'undrain {site}')}")  # fmt: skip
    if apps and app is None:
        raise problem("drained-otherwise", f"{site} as a whole is not drained; it is for {', '.join(apps)}",
                       "; ".join(command.format(f"undrain {site} --app {name}") for name in apps))  # fmt: skip
    return intent


def prune_expired(intent: Intent, wall_s: float) -> Intent:
    """Without the overrides whose time is over at `wall_s`; unchanged where there are none."""

    def live(by: Provenance) -> bool:
        return by.expires_s is None or by.expires_s > wall_s

    overrides = intent.overrides
    kept = {
        "drains": tuple(item for item in overrides.drains if live(item.by)),
        "challenges": tuple(item for item in overrides.challenges if live(item.by)),
        "shifts": tuple(item for item in overrides.shifts if live(item.by)),
        "forced": tuple(item for item in overrides.forced if live(item.by)),
        "slow_starts": tuple(item for item in overrides.slow_starts if live(item.by)),
        "mirror_stops": tuple(item for item in overrides.mirror_stops if live(item.by)),
    }
    if all(len(items) == len(getattr(overrides, name)) for name, items in kept.items()):
        return intent
    return intent.model_copy(
        update={"overrides": overrides.model_copy(update={"version": overrides.version + 1, **kept})}
    )


def _overridden(intent: Intent, drains: Iterable[Drain], shifts: Iterable[Shift]) -> Intent:
    overrides = intent.overrides.model_copy(
        update={"version": intent.overrides.version + 1, "drains": tuple(drains), "shifts": tuple(shifts)}
    )
    return intent.model_copy(update={"overrides": overrides})


def require_future(by: Provenance) -> None:
    """Raises PolicyError, rule `expiry`, for what would be over before it began."""
    if problems := list(_bad_expiry(by)):
        raise PolicyError(problems)


def problem(rule: str, message: str, remedy: str) -> PolicyError:
    """A request that does not fit."""
    return PolicyError([_request(rule, message, remedy)])


def _request(rule: str, message: str, remedy: str) -> Problem:
    return Problem("request", 0, 0, rule, message, remedy)


def _unknown(kind: str, name: str, known: Iterable[str]) -> Problem:
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return _request(f"unknown-{kind}", f"there is no {kind} {name!r}", f"{hint}known: {', '.join(names) or 'none'}")


def require_known(kind: str, name: str, known: Collection[str]) -> None:
    """Raises PolicyError, rule `unknown-KIND`, where `name` is none of `known`."""
    if name not in known:
        raise PolicyError([_unknown(kind, name, known)])


def _route(policy: Policy, app: str, route: str) -> Route:
    require_known("app", app, policy.apps)
    routes = {item.name: item for item in policy.apps[app].routes}
    require_known("route", route, routes)
    return routes[route]


def _bad_expiry(by: Provenance) -> Iterable[Problem]:
    if by.expires_s is not None and by.expires_s <= by.at_s:
        yield _request("expiry", "it would be over before it began", "give a time in the future, such as --for 1h")


def _bad_shares(app: App, wanted: Mapping[str, float]) -> Iterable[Problem]:
    if not wanted:
        yield _request("split-empty", "no backend is named", "name at least one, such as checkout=25")
    for name, percent in wanted.items():
        if name not in app.backends:
            yield _unknown("backend", name, app.backends)
        elif not 0 <= percent <= 100 or abs(percent * 100 - round(percent * 100)) > 1e-6:
            yield _request("percent", f"{name}={percent:g} is not a percentage of a split",
                           "write a number from 0 to 100 with at most two decimals")  # fmt: skip
        elif percent > 0 and not any(app.backends[name].endpoints.values()):
            yield _request("no-endpoints", f"{name} has no endpoint at any site",
                           "give it endpoints in the policy first, or shift to another backend")  # fmt: skip


def _split_bp(app: CompiledApp, route: str) -> dict[str, int]:
    compiled = next(item for item in app.routes if item.name == route)
    return {str(share.backend): share.share_bp for share in compiled.split}


def _rest(others_bp: Mapping[str, int], rest_bp: int) -> Mapping[str, int]:
    """`rest_bp` over the others, in the proportions that they have, by largest remainder (ties by name)."""
    if rest_bp < 0 or (rest_bp > 0 and not others_bp):
        raise problem("split-sum", f"the named backends add up to {(WHOLE_BP - rest_bp) / 100:g} %",
                       "percentages of a route add up to 100")  # fmt: skip
    if rest_bp == 0:
        return dict.fromkeys(others_bp, 0)
    total_bp = sum(others_bp.values())
    if total_bp == 0 and len(others_bp) == 1:
        return dict.fromkeys(others_bp, rest_bp)
    if total_bp == 0:
        names = ", ".join(sorted(others_bp))
        raise problem("split-sum", f"{rest_bp / 100:g} % would go to nobody: no other backend has a share",
                       f"say where the rest goes, so that it adds up to 100 (others: {names})")  # fmt: skip
    whole = {name: rest_bp * share // total_bp for name, share in others_bp.items()}
    by_remainder = sorted(others_bp, key=lambda name: (-(rest_bp * others_bp[name] % total_bp), name))
    missing = rest_bp - sum(whole.values())
    return {name: share + (name in by_remainder[:missing]) for name, share in whole.items()}


def _alike(one: Drain, other: Drain) -> bool:
    return (one.entry_only, one.deadline_s, one.by.reason, one.by.expires_s) == (
        other.entry_only, other.deadline_s, other.by.reason, other.by.expires_s,
    )  # fmt: skip


def _refuse_last_site(before: Intent, after: Intent, wanted: Drain, dead: Collection[tuple[str, str]]) -> None:
    compiler = Compiler()
    old, new = (compiler.compile(intent, wanted.by.at_s) for intent in (before, after))
    left, doomed = [], []
    for name, app in new.apps.items():
        was, now = _in_service(old, old.apps[name]), _in_service(new, app)
        if was and not now:
            left.append(name)
        elif _any_lives(old.apps[name], was, dead) and not _any_lives(app, now, dead):
            doomed.append(name)
    if left:
        raise RefusedError(
            LAST_SITE,
            f"{wanted.site} is the last site in service for {', '.join(left)}",
            f"put another site back first, or insist: --allow {LAST_SITE}",
        )
    if doomed:
        raise RefusedError(
            LAST_SITE,
            f"{wanted.site} is the last site that is up for {', '.join(doomed)}",
            f"wait until another site is up, which gslb status tells, or insist: --allow {LAST_SITE}",
        )


def _in_service(snapshot: Snapshot, app: CompiledApp) -> list[SiteName]:
    return [site for site in serving_sites(snapshot, app) if site not in app.no_entry]


def _any_lives(app: CompiledApp, sites: Iterable[SiteName], dead: Collection[tuple[str, str]]) -> bool:
    """What people force counts before what is seen, as in the answers."""
    for site in sites:
        forced = app.forced_state(site)
        if forced.state == "up" if forced else (app.name, site) not in dead:
            return True
    return False
