"""Which of several controls does what must be done once: expiry, DNSSEC keys, waves. Pure: a table of events.

Two documents of the store tell it. TERM names the leader, and its number is the fence: it rises by compare-and-swap
whenever somebody else takes over, and the store refuses what is written with an older one. BEAT rises while the leader
lives. Who sees neither change for LEASE_S takes over. Each goes by its own monotonic clock, and no two clocks are
compared: a wrong clock can make two believe that they lead, never let both write. Answering and what people ask for
need no leader.

| event | follower | leader |
| --- | --- | --- |
| `ticked` | looks | beats; steps down when its last beat is older than HOLD_S |
| `looked`, something changed | waits anew | - |
| `looked`, the same for LEASE_S, or nobody leads | takes over | - |
| `took` | leads | - |
| `beaten` | - | goes on |
| `refused` | waits anew | steps down |
| silence | - | - |

A leader that a pause or a silent store kept from beating steps down by itself, before anybody can have taken over.
Reading and writing the documents is `roles.leading`'s.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, Literal

from gslb.model.words import iso

__all__ = [
    "BEAT", "BEAT_S", "HOLD_S", "LEASE_S", "Action", "Candidate", "Lead", "Look", "Seen", "beaten", "lead_seen",
    "looked", "refused", "since_of", "term_of", "ticked", "took",
]  # fmt: skip

BEAT = "leader/beat"
BEAT_S = 2.0
LEASE_S = 10.0
"""How long a leader must seem dead. An election of etcd takes one to two seconds, a silent member two more."""
HOLD_S = 7.0
"""How long a leader goes on without a beat that was taken: well below LEASE_S, for what it has begun to be over."""

HOLDER_LIMIT = 200
MOST_WALL_S = 1e11
"""The year 5138: what a clock says beyond is no time."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Both documents as they were read: their numbers, who leads (empty: nobody, or nobody ever did), and since when,
    by the leader's own clock (Unix seconds): for people, compared with nothing."""

    term: int
    beat: int
    holder: str = ""
    since_wall_s: float | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """One control. `me` is another text for each process. `since_mono_s`: a follower has seen the same since then; a
    leader sent its last beat that was taken then. `leads`: `seen.term` is its own."""

    me: str
    seen: Seen | None = None
    leads: bool = False
    since_mono_s: float = 0.0

    def term(self, mono_s: float) -> int | None:
        """The fence with which it may write now; None: it does not lead."""
        is_fresh = mono_s - self.since_mono_s < HOLD_S
        return self.seen.term if self.leads and self.seen is not None and is_fresh else None


@dataclass(frozen=True, slots=True)
class Look:
    """Read both documents."""


@dataclass(frozen=True, slots=True)
class Action:
    """Write a document that has `number`: TERM with the own name in it, or BEAT under the own term."""

    kind: Literal["take", "beat"]
    number: int


def ticked(state: Candidate, mono_s: float) -> tuple[Candidate, Look | Action]:
    """BEAT_S have passed."""
    if state.leads and state.term(mono_s) is None:
        state = _follower(state)
    if state.leads and state.seen is not None:
        return state, Action("beat", state.seen.beat)
    return state, Look()


def looked(state: Candidate, seen: Seen, asked_mono_s: float, mono_s: float) -> tuple[Candidate, Action | None]:
    """A follower has read both documents, between these two times."""
    if state.leads:
        return state, None
    is_same = state.seen is not None and (state.seen.term, state.seen.beat) == (seen.term, seen.beat)
    state = replace(state, seen=seen, since_mono_s=state.since_mono_s if is_same else mono_s)
    if seen.holder in {"", state.me} or asked_mono_s - state.since_mono_s >= LEASE_S:
        return state, Action("take", seen.term)
    return state, None


def took(state: Candidate, term: int, sent_mono_s: float, since_wall_s: float | None = None) -> Candidate:
    """It wrote TERM, which has this number now; `sent_mono_s` is before that."""
    seen = Seen(term, state.seen.beat if state.seen else 0, state.me, since_wall_s)
    return replace(state, seen=seen, leads=True, since_mono_s=sent_mono_s)


def beaten(state: Candidate, beat: int, sent_mono_s: float) -> Candidate:
    """The store took its beat, which was sent at `sent_mono_s`, and has this number now."""
    if not state.leads or state.seen is None:
        return state
    return replace(state, seen=replace(state.seen, beat=beat), since_mono_s=sent_mono_s)


def refused(state: Candidate) -> Candidate:
    """What it wrote was refused: somebody else did."""
    return _follower(state)


def term_of(value: bytes | None) -> str:
    """Who leads, by the value of TERM. What does not read is somebody: his lease must run out."""
    if not value:
        return ""
    try:
        holder = json.loads(value)["holder"]
    except (ValueError, LookupError, TypeError):
        return "?"
    return holder[:HOLDER_LIMIT] if isinstance(holder, str) else "?"


def since_of(value: bytes | None) -> float | None:
    """Since when, by the value of TERM; None where it does not say."""
    try:
        since = json.loads(value or b"")["since"]
    except (ValueError, LookupError, TypeError):
        return None
    return float(since) if isinstance(since, int | float) and 0 <= since < MOST_WALL_S else None


@dataclass(frozen=True, slots=True)
class Lead:
    """Who leads, as far as a control knows: the name of its machine (empty: nobody), the number of the term, whether
    it is this control itself, and since when (Unix seconds; None: there is but one control, or nobody knows).
    `settling`: it has just begun, so that not to know of anybody means nothing."""

    control: str = ""
    term: int = 0
    here: bool = False
    since_wall_s: float | None = None
    settling: bool = False


def lead_seen(lead: Lead) -> dict[str, Any]:
    """As status_messages.LeadSeen."""
    since = None if lead.since_wall_s is None else iso(lead.since_wall_s)
    return {
        "control": lead.control or None,
        "term": lead.term,
        "here": lead.here,
        "since": since,
        "settling": lead.settling,
    }


def _follower(state: Candidate) -> Candidate:
    """It has seen nothing yet that could have been there for long."""
    return Candidate(state.me)
