"""Files read up to a limit, and written whole or not at all: aside, to the disk, and renamed. Every file that a process
leaves for its next start, or for Envoy, is written here; who may read it, and what it holds, is for those who write it
to say.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from gslb.errors import HostError

__all__ = ["read_limited", "sync_folder", "write_whole"]

PLAIN_MODE = 0o666
"""As umask leaves it."""


def write_whole(path: Path, octets: bytes, mode: int = PLAIN_MODE) -> None:
    """`path` holds all of `octets` or what it held before, also after a power cut, and whoever else writes it. That it
    is the new content after a power cut takes `sync_folder`, too. Raises HostError."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(octets)
                file.flush()
                os.fsync(handle)
            aside.replace(path)
        except OSError:
            aside.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise HostError(
            f"{path} cannot be written: {error.strerror}", "free space, or let the user that runs gslb write there"
        ) from None


def read_limited(path: Path, limit_bytes: int, remedy: str = "check its name and its mode") -> bytes:
    """What lies there; `limit_bytes` + 1 octets where it is more than may be. Raises HostError, with `remedy`."""
    try:
        with path.open("rb") as file:
            return file.read(limit_bytes + 1)
    except OSError as error:
        raise HostError(f"{path} cannot be read: {error.strerror}", remedy) from None


def sync_folder(folder: Path) -> None:
    """What was renamed in it stays renamed. Raises HostError."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise HostError(
            f"{folder} cannot be written: {error.strerror}", "free space, or let the user that runs gslb write there"
        ) from None
