"""What every store refuses, whatever it rests on. Pure: no file, no network."""

from __future__ import annotations

from gslb.errors import RefusedError
from gslb.snapshot.types import Version

__all__ = ["LIMIT_BYTES", "refuse_other_policy", "refuse_stale", "refuse_too_large", "unknown_revision"]

LIMIT_BYTES = 16 * 1024 * 1024
"""A policy of 2,000 endpoints is under 1 MiB. What is larger than this is a mistake, and would be one everywhere."""


def refuse_stale(expected: Version | None, current: Version | None, new: Version) -> None:
    """RefusedError, rule `stale`: not made on what is in force, or not newer than that."""
    if current != expected:
        raise RefusedError(
            "stale",
            f"version {current or 'none'} is in force, and the change was made on {expected or 'none'}",
            "somebody else was faster: look at what is in force now, and ask again",
        )
    if current is not None and new <= current:
        raise RefusedError(
            "stale",
            f"version {new} is not newer than {current}, which is in force",
            "look at what is in force now, and ask again",
        )


def refuse_other_policy(revision: int, known: str | None, digest: str) -> None:
    """RefusedError, rule `immutable-revision`: the revision has a digest already (`known`), and it is another one."""
    if known is not None and known != digest:
        raise RefusedError(
            "immutable-revision",
            f"revision {revision} stands for another policy already",
            "give the changed policy the next revision",
        )


def refuse_too_large(size_bytes: int, limit_bytes: int, what: str) -> None:
    """RefusedError, rule `too-large`."""
    if size_bytes > limit_bytes:
        raise RefusedError(
            "too-large",
            f"{what} {size_bytes} octets; the store takes {limit_bytes}",
            "remove what is not needed, or split the policy over several installations",
        )


def unknown_revision(revision: int) -> RefusedError:
    return RefusedError(
        "unknown-revision", f"no policy has the revision {revision}", "gslb history shows which there are"
    )
