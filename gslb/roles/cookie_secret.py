"""The secret that DNS cookies are made with: a file that the nameservers of a zone share, and its rolling.

One or two lines of 32 hex digits: the first makes cookies, both are accepted. To roll it, add the new one as the second
line on every node, then swap the lines everywhere, then delete the old one (RFC 9018 section 5).
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from pathlib import Path

from gslb.dns.cookies import SECRET_BYTES
from gslb.errors import HostError

__all__ = ["CookieSecret"]

_LINE = re.compile(rf"[0-9a-fA-F]{{{2 * SECRET_BYTES}}}")
_HOW = f"openssl rand -hex {SECRET_BYTES}"


class CookieSecret:
    """`path` None: a file in `folder`, made where it is missing, which is enough for a single nameserver."""

    def __init__(self, path: Path | None, folder: Path) -> None:
        self._path = path or folder / "cookie.secret"
        self._seen: tuple[int, int] | None = None
        if path is None and not self._path.exists():
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as file:
                file.write(secrets.token_hex(SECRET_BYTES) + "\n")

    def read(self) -> tuple[bytes, ...]:
        """One or two secrets. Raises HostError: not readable, readable by others, or not what a secret looks like."""
        try:
            found = self._path.stat()
            self._seen = found.st_mtime_ns, found.st_ino
            lines = self._path.read_text("ascii").split()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not text"
            raise HostError(f"cannot read the cookie secret {self._path}: {reason}", f"make one: {_HOW}") from None
        if stat.S_IMODE(found.st_mode) & 0o077:
            raise HostError(f"others may read the cookie secret {self._path}", f"chmod 600 {self._path}")
        if not 1 <= len(lines) <= 2 or not all(map(_LINE.fullmatch, lines)):
            raise HostError(
                f"the cookie secret {self._path} is not one or two lines of {2 * SECRET_BYTES} hex digits",
                f"make one line of it with: {_HOW}",
            )
        return tuple(map(bytes.fromhex, lines))

    def has_changed(self) -> bool:
        """Whether the file is another one than was read last. One that is gone has not changed: the last one holds."""
        try:
            found = self._path.stat()
        except OSError:
            return False
        return (found.st_mtime_ns, found.st_ino) != self._seen
