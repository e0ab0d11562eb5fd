"""Files that only their owner may read, or write: written whole or not at all, refused where others could."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from gslb.errors import HostError

__all__ = ["FORBIDDEN_TO_WRITE", "make_folder", "read_private", "write_private"]

LIMIT_BYTES = 1024 * 1024
FORBIDDEN_TO_WRITE = 0o022


def make_folder(folder: Path) -> Path:
    """`folder`, for its owner only, made where it is missing. Raises HostError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise HostError(f"cannot make the folder {folder}: {error.strerror}", "name one that you may write") from None
    return folder


def write_private(path: Path, octets: bytes, mode: int = 0o600) -> None:
    """Replaces `path` by these octets in one step, on disk when it returns. Raises HostError."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(handle)
        aside.rename(path)
        sync_folder(path.parent)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise HostError(f"cannot write {path}: {error.strerror}", "let the user that runs gslb write there") from None


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


def sync_folder(folder: Path) -> None:
    """What was renamed in it stays renamed. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
