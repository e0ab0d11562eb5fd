"""A commit whose policy is to be in force, and what became of it: values and rules. Pure; git itself stands in `roles`.

Nobody is asked when a commit comes: the guard rails hold it up unless its message says otherwise, by the trailer
`gslb-allow: RULE reason`, which the review of the repository has seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gslb.errors import RefusedError
from gslb.model.words import iso
from gslb.plan import RULES
from gslb.snapshot.intent import Intent
from gslb.store import AuditRecord

__all__ = ["ACTION", "TRAILER", "Commit", "Followed", "allowed_by", "detail_of", "git_seen", "was_taken"]

ACTION = "git"
TRAILER = "gslb-allow"
_COMMIT = "commit "


@dataclass(frozen=True, slots=True)
class Commit:
    """`id` is the whole hash; `subject` the first line of its message; `trailers` the values of each `gslb-allow`;
    `signer` the fingerprint of who signed it, where that was verified. Texts hold no control characters."""

    id: str
    author: str
    subject: str
    trailers: tuple[str, ...] = ()
    signer: str = ""


@dataclass(frozen=True, slots=True)
class Followed:
    """Where a repository that is followed stands. `taken` is the newest commit that was put in force, which made
    `revision`; `refused` a newer one that was not, and why. `error`: why the repository cannot be read; empty: it can.
    `looked_wall_s` is when it was read last, None: never."""

    source: str
    taken: Commit | None = None
    revision: int | None = None
    refused: Commit | None = None
    why: str = ""
    error: str = ""
    looked_wall_s: float | None = field(default=None, compare=False)


def allowed_by(trailers: Iterable[str]) -> Mapping[str, str]:
    """The guard rails that trailers overrule, with the reason of each. Raises RefusedError, rule `trailer`."""
    allowed: dict[str, str] = {}
    for text in trailers:
        rule, _, reason = text.strip().partition(" ")
        if rule not in RULES or not reason.strip():
            raise RefusedError(
                "trailer",
                f"{TRAILER}: {text.strip()} overrules nothing",
                f"write a rule and why, such as {TRAILER}: large-move agreed in review; rules: {', '.join(RULES)}",
            )
        allowed[rule] = reason.strip()
    return allowed


def detail_of(commit: Commit, what: str) -> str:
    """What the history says that a commit did."""
    signed = f", signed by {commit.signer}" if commit.signer else ""
    allowed = "".join(f" --allow {text.strip()}" for text in commit.trailers)
    return f"{_COMMIT}{commit.id}: {what}{allowed}{signed}"


def was_taken(commit_id: str, history: Sequence[AuditRecord]) -> int | None:
    """The revision that the commit made, by whichever control, if no other was taken after it; else None. So a rollback
    is not undone because a process has started, and a branch that is put back to an older commit is followed."""
    taken = [record for record in history if record.entry.action == ACTION]
    newest = max(taken, key=lambda record: record.number, default=None)
    if newest is None or not newest.entry.detail.startswith(f"{_COMMIT}{commit_id}: "):
        return None
    return newest.version.revision


def git_seen(followed: Followed | None, intent: Intent | None) -> dict[str, Any] | None:
    """As status_messages.GitSeen. `intent` is what is in force: something else than the commit, if somebody went back
    or applied something after it."""
    if followed is None:
        return None
    taken, refused = followed.taken, followed.refused
    return {
        "source": followed.source,
        "commit": taken.id if taken else None,
        "author": taken.author if taken else None,
        "subject": taken.subject if taken else None,
        "revision": followed.revision,
        "in_force": intent is not None and intent.revision == followed.revision,
        "refused": {"commit": refused.id, "author": refused.author, "subject": refused.subject, "why": followed.why}
        if refused
        else None,
        "error": followed.error,
        "looked": None if followed.looked_wall_s is None else iso(followed.looked_wall_s),
    }
