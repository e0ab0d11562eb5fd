"""Files that only their owner may read, or write: written whole or not at all, refused where others could."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from gslb.errors import HostError
from gslb.whole_file import sync_folder, write_whole

__all__ = ["FORBIDDEN_TO_WRITE", "make_folder", "read_private", "write_private"]

LIMIT_BYTES = 1024 * 1024
FORBIDDEN_TO_WRITE = 0o022


def make_folder(folder: Path) -> Path:
    """`folder`, for its owner only, made where it is missing, with those above it. Raises HostError."""
    try:
        for missing in reversed([item for item in (folder, *folder.parents) if not item.is_dir()]):
            missing.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise HostError(f"cannot make the folder {folder}: {error.strerror}", "name one that you may write") from None
    return folder


def write_private(path: Path, octets: bytes, mode: int = 0o600) -> None:
    """Replaces `path` by these octets in one step, on disk when it returns. Raises HostError."""
    write_whole(path, octets, mode)
    sync_folder(path.parent)


def read_private(path: Path, forbidden: int = 0o077) -> bytes:
    """Raises HostError: not readable, more than a megabyte, or with a mode that has something of `forbidden`: that
    others may read it or, where everybody may, write it."""
    try:
        with path.open("rb") as file:
            mode, octets = os.fstat(file.fileno()).st_mode, file.read(LIMIT_BYTES + 1)
    except OSError as error:
        raise HostError(f"cannot read {path}: {error.strerror}", "let the user that runs gslb read it") from None
    if stat.S_IMODE(mode) & forbidden:
        does = "write" if stat.S_IMODE(mode) & FORBIDDEN_TO_WRITE else "read"
        raise HostError(f"others may {does} {path}", f"chmod 600 {path}")
    if len(octets) > LIMIT_BYTES:
        raise HostError(f"{path} is larger than it can be", "put back the file that gslb wrote")
    return octets
