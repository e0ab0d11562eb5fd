"""What every store can do: keep one Intent and small documents, replace them by compare-and-swap, remember who changed
what.

A store knows no rule of precedence, never edits a bundle and verifies no signature: that is the caller's. What a
document holds is its writer's business alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gslb.model.policy import Policy
from gslb.snapshot.bundle import Bundle
from gslb.snapshot.types import Version

__all__ = ["TERM", "AuditEntry", "AuditRecord", "Document", "Store"]

TERM = "leader/term"
"""The document whose number is the fence: it rises whenever somebody else becomes the leader."""


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
    """One written change: its place in the history (rising from 1), the version that it made or found (0.0 before the
    first policy), and its entry."""

    number: int
    version: Version
    entry: AuditEntry


@dataclass(frozen=True, slots=True)
class Document:
    """A small named value that several machines share. `number` counts its writes (0: it was never written), `value`
    None: it was deleted, or never written. A deleted one keeps its number, so that nobody mistakes what comes later
    under its name for what he has seen."""

    name: str
    number: int
    value: bytes | None


class Store(Protocol):
    """Synchronous; asynchronous callers go through a thread. Safe to use from several threads and processes.

    Every method raises HostError where the machine is in the way.
    """

    def close(self) -> None:
        """What rests is whole on disk. Nothing else may be called afterwards."""
        ...

    def read(self) -> Bundle | None:
        """The Intent in force, as it was written; None where nobody has written one yet."""
        ...

    def write(self, expected: Version | None, bundle: Bundle, audit: AuditEntry, fence: int | None = None) -> None:
        """Replaces what has version `expected` (None: nothing yet) by `bundle`, and records `audit` with it.

        `fence`: what only the leader may write carries the number of TERM that it leads by; rule `fenced` where that
        is not its number any more. It is looked at in the same transaction.

        Raises RefusedError, rule `stale`, where somebody else wrote first or `bundle` is not newer than what it
        replaces; rule `immutable-revision` where a revision would come to mean another policy.
        """
        ...

    def append(self, audit: AuditEntry) -> None:
        """Records what somebody did that changes no Intent, such as letting a machine join: at the version in force."""
        ...

    def policy(self, revision: int) -> Policy:
        """The policy that has this revision, in force or not: revisions are kept for good.

        Raises RefusedError, rule `unknown-revision`, where there is none of that number.
        """
        ...

    def history(self, limit: int) -> Sequence[AuditRecord]:
        """The last `limit` entries (1 to 1000), newest first."""
        ...

    def changed(self, since: Version | None, timeout_s: float) -> bool:
        """Whether something else than `since`, which was read here before (None: nothing), is in force by now. Waits
        for it, `timeout_s` at most (0: not at all). True may be a false alarm: read, to know."""
        ...

    def document(self, name: str) -> Document:
        """The document of this name, as it is now; its number is 0 where nobody ever wrote it."""
        ...

    def documents(self, folder: str) -> Sequence[Document]:
        """Those below `folder/`, without the deleted ones, by name."""
        ...

    def put(self, name: str, number: int, value: bytes | None, fence: int | None = None) -> Document:
        """Writes the document that has `number` (0: was never written), which gets the next one; None deletes it.

        Names are 1 to 200 of letters, digits, and . _ - : @ in parts between / ; a value takes 512 KiB at most.
        Raises RefusedError: rule `stale` where it has another number, `fenced` as in `write`, `too-large`,
        `document-name`.
        """
        ...
