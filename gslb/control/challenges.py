"""Answers to ACME's DNS-01 challenges, put into an Intent and taken out of it. Pure; what they are stands in
`snapshot.challenges`."""

from __future__ import annotations

from collections.abc import Iterable

from gslb.control.changes import problem, require_future
from gslb.model.hosts import aliases, apexes, zone_of
from gslb.model.policy import Policy
from gslb.snapshot.intent import Challenge, Intent

__all__ = ["MAX_CHALLENGES", "cleanup", "placed", "present"]

MAX_CHALLENGES = 1000
_LABEL = "_acme-challenge."


def placed(policy: Policy, name: str) -> str:
    """Where the challenge `name` is answered: there, or, of a host outside our zones, at the app's first host in them,
    which the name outside is to be a CNAME to. `name` itself, where it lies outside and no app has the host."""
    if zone_of(name.removesuffix("."), apexes(policy)) is not None:
        return name
    outside, host = dict(aliases(policy)), name.removesuffix(".").removeprefix(_LABEL)
    target = outside.get(host) or outside.get(f"*.{host}")
    return f"{_LABEL}{target}" if target else name


def present(intent: Intent, wanted: Challenge) -> Intent:
    """With `wanted`, in place of the same name and value. Raises PolicyError for a name that is no challenge, or lies
    in no zone of the policy."""
    require_future(wanted.by)
    if not wanted.name.startswith(_LABEL):
        remedy = f"write {_LABEL}{wanted.name}"
        raise problem("challenge-name", f"{wanted.name} is no name of a challenge", remedy)
    if zone_of(wanted.name.removesuffix("."), apexes(intent.policy)) is None:
        zones = ", ".join(sorted(apexes(intent.policy)))
        message = f"{wanted.name} lies in no zone that is answered here, nor is it of an app's host"
        raise problem("outside", message, f"the zones are {zones}")
    kept = _without(intent, wanted.name, wanted.value)
    if len(kept) >= MAX_CHALLENGES:
        raise problem("too-many", f"{MAX_CHALLENGES:,} challenges wait already", "clean up: gslb acme cleanup NAME")
    return _with(intent, [*kept, wanted])


def cleanup(intent: Intent, name: str, value: str | None) -> Intent:
    """Without the challenges of `name` (with `value`: that one); unchanged where there is none."""
    kept = _without(intent, name, value)
    return intent if len(kept) == len(intent.overrides.challenges) else _with(intent, kept)


def _without(intent: Intent, name: str, value: str | None) -> list[Challenge]:
    return [
        item for item in intent.overrides.challenges if item.name != name or (value is not None and item.value != value)
    ]


def _with(intent: Intent, challenges: Iterable[Challenge]) -> Intent:
    update = {"version": intent.overrides.version + 1, "challenges": tuple(challenges)}
    return intent.model_copy(update={"overrides": intent.overrides.model_copy(update=update)})
