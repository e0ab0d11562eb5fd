"""What kinds of checks need of the machine they run on: folders of commands and secrets, TLS contexts, what was pushed.

Files are named plainly in the policy and looked up here, so that no policy can reach another file. What is missing or
unsafe is a HostError: it says nothing about whoever is asked.
"""

from __future__ import annotations

import os
import ssl
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gslb import clock
from gslb.errors import HostError
from gslb.health.tries import Tries
from gslb.snapshot.checks import CheckName, Tls

if TYPE_CHECKING:
    import aiohttp  # a process that looks at nothing yet starts without it

__all__ = ["PushedState", "Tools"]

_TOKEN_LIMIT_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class PushedState:
    """`until_mono_s` is when it is out of date, by this machine's own clock."""

    ok: bool
    reason: str
    until_mono_s: float


@dataclass(slots=True)
class Tools:
    """`commands` and `secrets` None: this machine runs no commands, and has no secrets. `session` is there while the
    prober runs."""

    commands: Path | None = None
    secrets: Path | None = None
    session: aiohttp.ClientSession | None = None
    pushed: Mapping[CheckName, PushedState] = field(default_factory=dict)
    tries: Tries = field(default_factory=Tries)
    wall_s: Callable[[], float] = clock.wall_s
    mono_s: Callable[[], float] = clock.mono_s
    _contexts: dict[tuple[object, ...], ssl.SSLContext] = field(default_factory=dict)

    def command(self, name: str) -> Path:
        """The program of this name. Raises HostError where there is none that may be run."""
        if self.commands is None:
            raise HostError(
                f"commands are not run here, so that {name} is not", "allow them: gslb run --check-commands DIR"
            )
        path = _inside(self.commands, name, "--check-commands")
        info = path.stat()
        if not os.access(path, os.X_OK):
            raise HostError(f"{path} cannot be run", f"make it executable: chmod 0755 {path}")
        if info.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or self.commands.stat().st_mode & stat.S_IWOTH:
            raise HostError(f"others may write to {path} or its folder", f"chmod go-w {path} {self.commands}")
        return path

    def token(self, name: str) -> str:
        """The text of a secret file, without space at its ends. Raises HostError."""
        path = self._secret(name)
        text = path.read_text(encoding="utf-8", errors="replace")[:_TOKEN_LIMIT_BYTES].strip()
        if not text or not text.isascii() or not text.isprintable():
            raise HostError(f"{path} holds no token", "write the token into it, as one line of printable ASCII")
        return text

    def context(self, tls: Tls, alpn: tuple[str, ...] = ()) -> ssl.SSLContext:
        """A context to ask with; made once for the same files. Raises HostError where one of them cannot be used."""
        files = [(name, self._secret(name)) for name in (tls.ca, tls.client) if name is not None]
        key = (tls.ca, tls.client, alpn, *(path.stat().st_mtime_ns for _, path in files))
        if key not in self._contexts:
            paths = dict(files)
            self._contexts = {
                known: made for known, made in self._contexts.items() if known[:3] != key[:3]
            }  # the files are others now
            self._contexts[key] = _context(paths.get(tls.ca or ""), paths.get(tls.client or ""), alpn)
        return self._contexts[key]

    def _secret(self, name: str) -> Path:
        if self.secrets is None:
            raise HostError(f"there is no folder with the file {name}", "give it: gslb run --check-secrets DIR")
        return _inside(self.secrets, name, "--check-secrets")


def _inside(folder: Path, name: str, option: str) -> Path:
    path = folder / name
    if "/" in name or name.startswith(".") or not path.is_file():
        raise HostError(f"there is no file {name} in {folder}", f"put it there, or give another folder: {option}")
    return path


def _context(ca: Path | None, client: Path | None, alpn: tuple[str, ...]) -> ssl.SSLContext:
    context = ssl.create_default_context()
    try:
        if ca is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(cafile=str(ca))
        if client is not None:
            context.load_cert_chain(str(client))
    except (OSError, ssl.SSLError) as error:
        raise HostError(
            f"{ca or client} cannot be used: {getattr(error, 'reason', None) or error.strerror}",
            "ca: one or more certificates in PEM; client: a certificate and its key in PEM",
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context
