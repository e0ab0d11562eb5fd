"""Following a policy folder: it is read once it has been quiet, and taken whole or not at all."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

__all__ = ["changes"]

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


async def changes(folder: Path) -> AsyncIterator[None]:
    """Yields each time that the folder has changed and has then been quiet. Ends only by being cancelled."""
    told = last = fingerprint(folder)
    quiet = 0
    while True:
        await asyncio.sleep(LOOK_S)
        now = fingerprint(folder)
        quiet = quiet + 1 if now == last else 0
        last = now
        if now != told and quiet >= QUIET_LOOKS:
            told = now
            yield
