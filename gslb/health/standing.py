"""Whether an app is answered at an edge address: from what is seen of it to what follows, with the patience of the
policy between the two.

No clock, no network: `quorum` says what is seen, `standings` keeps one of these for each address and asks the guard.

Theory. What is seen (`alive`, `dead`, `doubt` where the places that look do not agree, `silence` where nobody knows)
moves an address along `_TABLE`. Two moves are not made by what is seen alone. A `fall` takes it out at once, unless a
person must approve that or the guard rail holds it. A `return` needs it to be well without a break for the hold-down,
and then, where the policy says so, a person's word.

    unknown --alive--> up        up, doubted, unknown --dead--> fall: down, or held until approved or freed
    up --doubt--> doubted        doubted, held --alive--> up
    held --freed--> down         unknown, up, doubted, held --approved--> down
    down --alive--> returning    returning --dead, doubt, silence--> down
    returning --elapsed--> return: up, or waiting until resumed     returning, waiting --resumed--> up
    waiting --dead--> down

What falls again soon after it came back waits twice as long the next time (RFC 2439 damps routes for the same reason):
a site that flaps faster than the hold-down leaves once, and stays away until it has stopped.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Literal

from gslb.snapshot.types import Failback, VerdictWord

__all__ = [
    "CALM_S", "LONGEST_HOLD_S", "Action", "Event", "Phase", "Rules", "Standing", "hold_s", "left_s", "step", "word",
]  # fmt: skip

Phase = Literal["unknown", "up", "doubted", "held", "down", "returning", "waiting"]
Event = Literal["alive", "dead", "doubt", "silence", "approved", "freed", "elapsed", "resumed"]
Action = Literal["left", "held", "returned", "waits"]
"""What changed for the answers, or wants a person: `left` and `returned` change them, `held` and `waits` ask."""

CALM_S = 600.0
"""Who falls within this time of coming back is flapping."""
LONGEST_HOLD_S = 3600.0
_LEAST_DOUBLED_S = 10.0
"""What a hold-down of less is doubled from."""
_DOUBLINGS = 9


@dataclass(frozen=True, slots=True)
class Rules:
    """The policy's words, and what is decided for an address from outside: `ask`: a person must approve that it leaves,
    `may_fall`: the guard rail lets it."""

    failback: Failback
    ask: bool = False
    may_fall: bool = True


@dataclass(frozen=True, slots=True)
class Standing:
    """`since_s` (monotonic seconds) is when it came into its phase, `back_s` when it last came back, `falls` how often
    it fell soon after that."""

    phase: Phase = "unknown"
    since_s: float = 0.0
    back_s: float = -inf
    falls: int = 0


_Move = Literal["fall", "return"]

_TABLE: Mapping[tuple[Phase, Event], Phase | _Move] = {
    ("unknown", "alive"): "up",
    ("unknown", "dead"): "fall",
    ("up", "dead"): "fall",
    ("up", "doubt"): "doubted",
    ("doubted", "alive"): "up",
    ("doubted", "silence"): "up",
    ("doubted", "dead"): "fall",
    ("held", "alive"): "up",
    ("held", "doubt"): "doubted",
    ("unknown", "approved"): "down",
    ("up", "approved"): "down",
    ("doubted", "approved"): "down",
    ("held", "approved"): "down",
    ("held", "freed"): "down",
    ("down", "alive"): "returning",
    ("returning", "dead"): "down",
    ("returning", "doubt"): "down",
    ("returning", "silence"): "down",
    ("returning", "elapsed"): "return",
    ("returning", "resumed"): "up",
    ("waiting", "dead"): "down",
    ("waiting", "resumed"): "up",
}
"""Every pair that is missing leaves the phase as it is."""

_WORDS: Mapping[Phase, VerdictWord] = {
    "unknown": "unknown",
    "up": "up",
    "doubted": "held",
    "held": "held",
    "down": "down",
    "returning": "down",
    "waiting": "down",
}


def word(phase: Phase) -> VerdictWord:
    """What a phase is called as a verdict: is it answered, and does it look well?"""
    return _WORDS[phase]


def step(standing: Standing, event: Event, rules: Rules, mono_s: float) -> tuple[Standing, tuple[Action, ...]]:
    """What `event` makes of a standing at `mono_s`, and what that means for answers and people."""
    target = _TABLE.get((standing.phase, event), standing.phase)
    if target == "fall":
        target = "held" if rules.ask or not rules.may_fall else "down"
    elif target == "return":
        if mono_s - standing.since_s < hold_s(standing, rules.failback):
            return standing, ()
        target = "waiting" if rules.failback.manual else "up"
    if target == standing.phase:
        return standing, ()
    return _moved(standing, target, mono_s), _actions(standing.phase, target)


def hold_s(standing: Standing, failback: Failback) -> float:
    """How long it must be well, without a break, before it comes back."""
    if standing.falls == 0:
        return failback.after_s
    doubled = max(failback.after_s, _LEAST_DOUBLED_S) * 2.0 ** min(standing.falls, _DOUBLINGS)
    return max(failback.after_s, min(doubled, LONGEST_HOLD_S))


def left_s(standing: Standing, failback: Failback, mono_s: float) -> float:
    """How long (seconds) a hold-down still lasts; the whole where it has not begun, nothing where none is due."""
    if standing.phase == "returning":
        return max(0.0, standing.since_s + hold_s(standing, failback) - mono_s)
    return hold_s(standing, failback) if standing.phase == "down" else 0.0


def _moved(standing: Standing, target: Phase, mono_s: float) -> Standing:
    moved = dataclasses.replace(standing, phase=target, since_s=mono_s)
    if target == "up" and standing.phase in ("returning", "waiting"):
        return dataclasses.replace(moved, back_s=mono_s)
    if target == "down" and standing.phase in ("up", "doubted", "held", "unknown"):
        soon = mono_s - standing.back_s < CALM_S
        return dataclasses.replace(moved, falls=standing.falls + 1 if soon else 0)
    return moved


def _actions(before: Phase, after: Phase) -> tuple[Action, ...]:
    was, now = word(before), word(after)
    if (was == "down") != (now == "down"):
        return ("left",) if now == "down" else ("returned",)
    return ("held",) if after == "held" else ("waits",) if after == "waiting" else ()
