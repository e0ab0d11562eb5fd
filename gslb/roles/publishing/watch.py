"""Following a policy folder: it is read once it has been quiet, and taken whole or not at all.

What this `gslb run` has taken is written down beside its sockets: a control that is started again after a crash goes on
with what is in force. The folder may hold what nobody has applied yet, or what somebody has just gone back from.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

from gslb.whole_file import write_whole

__all__ = ["Fingerprint", "changes", "fingerprint", "forget_taken", "is_taken", "write_taken"]

LOOK_S = 0.1
QUIET_LOOKS = 2
"""An editor's save and a copy of several files are over when two looks in a row see the same."""

Fingerprint = tuple[tuple[str, int, int, int], ...]


def fingerprint(folder: Path) -> Fingerprint:
    """Name, inode, size and change time of every file that could be policy; empty where the folder cannot be read.

    `stat` follows links, so that a mounted folder whose links are swapped as a whole is seen too.
    """
    seen = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith((".yaml", ".zone")) and not entry.name.startswith("."):
                    try:
                        stat = entry.stat()
                    except OSError:
                        continue
                    seen.append((entry.name, stat.st_ino, stat.st_size, stat.st_mtime_ns))
    except OSError:
        return ()
    return tuple(sorted(seen))


def forget_taken(runtime: Path) -> None:
    """A new `gslb run` takes its folder."""
    _taken_file(runtime).unlink(missing_ok=True)


def write_taken(runtime: Path, seen: Fingerprint) -> None:
    """The folder was taken, or refused, as it was when `seen` was read. Raises HostError."""
    write_whole(_taken_file(runtime), _name(seen), 0o600)


def is_taken(runtime: Path, seen: Fingerprint | None = None) -> bool:
    """Whether this `gslb run` has taken its folder, at all or as it is in `seen`."""
    try:
        found = _taken_file(runtime).read_bytes()
    except OSError:
        return False
    return seen is None or found == _name(seen)


def _taken_file(runtime: Path) -> Path:
    return runtime / "folder.taken"


def _name(seen: Fingerprint) -> bytes:
    return hashlib.sha256(repr(seen).encode()).hexdigest().encode()


async def changes(folder: Path, told: Fingerprint) -> AsyncIterator[None]:
    """Yields each time that the folder has changed and has then been quiet; the first time where it is not as `told`.
    Ends only by being cancelled."""
    last = fingerprint(folder)
    quiet = 0
    while True:
        await asyncio.sleep(LOOK_S)
        now = fingerprint(folder)
        quiet = quiet + 1 if now == last else 0
        last = now
        if now != told and quiet >= QUIET_LOOKS:
            told = now
            yield
