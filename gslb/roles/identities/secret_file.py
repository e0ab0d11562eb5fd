"""Secrets that rest in a file of their own, for their owner only: how they look, how they are made, read and rolled.

A secret is a line of hex digits. The first line makes what is new, every line is accepted. What a secret is good for
stands elsewhere.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from gslb.dns import cookies
from gslb.dns.dnssec import keys
from gslb.errors import HostError
from gslb.trust import envelope
from gslb.whole_file import write_whole

__all__ = ["SecretFile", "cookie_secret", "dnssec_secret", "installation_secret"]


@dataclass(frozen=True, slots=True)
class _Kind:
    """`limit` is how many lines a file may have."""

    name: str
    secret_bytes: int
    limit: int
    lines: str


_COOKIE = _Kind("cookie secret", cookies.SECRET_BYTES, 2, "one or two lines")
_DNSSEC = _Kind("DNSSEC secret", keys.SECRET_BYTES, 8, "one to eight lines")
_INSTALLATION = _Kind("secret of the installation", envelope.SECRET_BYTES, 8, "one to eight lines")


class SecretFile:
    """One file of secrets. What is made here has mode 0600; what others may read is refused."""

    def __init__(self, kind: _Kind, path: Path) -> None:
        self._kind = kind
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._how = f"openssl rand -hex {kind.secret_bytes}"

    def make_if_missing(self) -> None:
        """A file with one new secret, where there is none. Raises HostError where it cannot be written."""
        if not os.path.exists(self._path):  # noqa: PTH110 - a folder that nobody may look into is told of by the write
            write_whole(self._path, f"{secrets.token_hex(self._kind.secret_bytes)}\n".encode(), 0o600)

    def read(self) -> tuple[bytes, ...]:
        """The secrets. Raises HostError: not readable, readable by others, or not what a secret looks like."""
        what = f"the {self._kind.name} {self._path}"
        try:
            found = self._path.stat()
            self._seen = found.st_mtime_ns, found.st_ino
            lines = self._path.read_text("ascii").split()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not text"
            raise HostError(f"cannot read {what}: {reason}", f"make one: {self._how}") from None
        if stat.S_IMODE(found.st_mode) & 0o077:
            raise HostError(f"others may read {what}", f"chmod 600 {self._path}")
        digits = 2 * self._kind.secret_bytes
        looks_right = re.compile(f"[0-9a-fA-F]{{{digits}}}").fullmatch
        if not 1 <= len(lines) <= self._kind.limit or not all(map(looks_right, lines)):
            raise HostError(f"{what} is not {self._kind.lines} of {digits} hex digits",
                            f"make one line of it with: {self._how}")  # fmt: skip
        return tuple(map(bytes.fromhex, lines))

    def has_changed(self) -> bool:
        """Whether the file is another one than was read last. One that is gone has not changed: the last one holds."""
        try:
            found = self._path.stat()
        except OSError:
            return False
        return (found.st_mtime_ns, found.st_ino) != self._seen


def cookie_secret(path: Path | None, folder: Path) -> SecretFile:
    """What DNS cookies are made with, which all nameservers of a zone share (RFC 9018 section 5). `path` None: a file
    in `folder`, made where it is missing, which is enough for a single nameserver.

    To roll it, add the new one as the second line on every node, then swap the lines everywhere, then delete the old.
    """
    file = SecretFile(_COOKIE, path or folder / "cookie.secret")
    if path is None:
        file.make_if_missing()
    return file


def dnssec_secret(path: Path | None, data: Path) -> SecretFile:
    """What private DNSSEC keys are sealed under. `path` None: a file in the data folder.

    To roll it, put the new one above the old; control seals every key anew within a minute; then delete the old.
    """
    return SecretFile(_DNSSEC, path or data / "dnssec.secret")


def installation_secret(trust: Path) -> SecretFile:
    """What controls seal before they give it to the store, such as the issuer's key. In the folder `trust` of every
    control, and of no other machine."""
    return SecretFile(_INSTALLATION, trust / "installation.secret")
