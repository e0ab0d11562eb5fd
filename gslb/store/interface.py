"""What every store can do: keep one Intent, replace it by compare-and-swap, remember who changed what.

A store knows no rule of precedence and never edits an Intent: deciding what to write is the caller's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gslb.model.policy import Policy
from gslb.snapshot.intent import Intent
from gslb.snapshot.types import Version

__all__ = ["AuditEntry", "AuditRecord", "Store", "version_of"]


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what, and why. `action` is one word (`policy`, `shift`, `drain`), `detail` what it did in words.

    `at_s` is Unix seconds.
    """

    at_s: float
    author: str
    action: str
    detail: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One written change: its place in the history (rising from 1), the version that it made, and its entry."""

    number: int
    version: Version
    entry: AuditEntry


class Store(Protocol):
    """Synchronous; asynchronous callers go through a thread. Safe to use from several threads and processes.

    Every method raises HostError where the machine is in the way.
    """

    def read(self) -> Intent | None:
        """The Intent in force; None where nobody has written one yet."""
        ...

    def write(self, expected: Version | None, intent: Intent, audit: AuditEntry) -> None:
        """Replaces what has version `expected` (None: nothing yet) by `intent`, and records `audit` with it.

        Raises RefusedError, rule `stale`, where somebody else wrote first or `intent` is not newer than what it
        replaces; rule `immutable-revision` where a revision would come to mean another policy.
        """
        ...

    def policy(self, revision: int) -> Policy:
        """The policy that has this revision, in force or not: revisions are kept for good.

        Raises RefusedError, rule `unknown-revision`, where there is none of that number.
        """
        ...

    def history(self, limit: int) -> Sequence[AuditRecord]:
        """The last `limit` changes (1 to 1000), newest first."""
        ...

    def changed(self, since: Version | None, timeout_s: float) -> bool:
        """Whether something else than `since`, which was read here before (None: nothing), is in force by now. Waits
        for it, `timeout_s` at most (0: not at all). True may be a false alarm: read, to know."""
        ...


def version_of(intent: Intent) -> Version:
    """The version that a snapshot of `intent` carries."""
    return Version(intent.revision, intent.overrides.version)
