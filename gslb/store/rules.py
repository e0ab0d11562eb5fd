"""What every store refuses, whatever it rests on. Pure: no file, no network."""

from __future__ import annotations

import re

from gslb.errors import RefusedError
from gslb.snapshot.types import Version

__all__ = [
    "DOCUMENT_LIMIT_BYTES", "LIMIT_BYTES", "refuse_bad_document", "refuse_fenced", "refuse_other_policy",
    "refuse_stale", "refuse_stale_document", "refuse_too_large", "unknown_revision",
]  # fmt: skip

LIMIT_BYTES = 16 * 1024 * 1024
"""A policy of 2,000 endpoints is under 1 MiB. What is larger than this is a mistake, and would be one everywhere."""
DOCUMENT_LIMIT_BYTES = 512 * 1024
"""The largest document there is, the rings of trust of a hundred machines, is a tenth of it."""

_NAME = re.compile(r"[A-Za-z0-9._:@-]+(/[A-Za-z0-9._:@-]+)*")
_NAME_LIMIT = 200


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


def refuse_fenced(fence: int | None, term: int) -> None:
    """RefusedError, rule `fenced`: whoever writes led once, and another one (`term`) has taken over."""
    if fence is not None and fence != term:
        raise RefusedError(
            "fenced",
            f"this control led in term {fence}, and the store is in term {term}",
            "nothing has to be done: the control that leads now does this work",
        )


def refuse_bad_document(name: str, value: bytes | None) -> None:
    """RefusedError, rule `document-name` or `too-large`."""
    if len(name) > _NAME_LIMIT or not _NAME.fullmatch(name):
        raise RefusedError(
            "document-name",
            f"'{name[:_NAME_LIMIT]}' cannot name a document of the store",
            f"use letters, digits and . _ - : @, {_NAME_LIMIT} at most",
        )
    refuse_too_large(len(value or b""), DOCUMENT_LIMIT_BYTES, f"{name} takes")


def refuse_stale_document(name: str, number: int, found: int) -> None:
    """RefusedError, rule `stale`: somebody else wrote the document after it had `number`."""
    if number != found:
        raise RefusedError(
            "stale",
            f"{name} is at its write {found}, and the change was made on {number}",
            "somebody else was faster: look at what is there now, and ask again",
        )


def unknown_revision(revision: int) -> RefusedError:
    return RefusedError(
        "unknown-revision", f"no policy has the revision {revision}", "gslb history shows which there are"
    )
