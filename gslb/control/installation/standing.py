"""Where a node stands: whether it has what control has in force. Pure."""

from __future__ import annotations

from gslb.control.protocol import RoleState
from gslb.snapshot.types import Snapshot

__all__ = ["is_in_sync"]


def is_in_sync(state: RoleState, snapshot: Snapshot | None) -> bool:
    """Has the role the very snapshot in force that control has, and nothing of its own over it?"""
    applied = state.applied
    if state.broken_glass is not None:
        return False
    if applied is None or snapshot is None:
        return applied is None and snapshot is None
    version = snapshot.version
    return (applied.revision, applied.overrides, applied.digest) == (
        version.revision, version.overrides, snapshot.digest,
    )  # fmt: skip
