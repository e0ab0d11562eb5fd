"""Passphrases for files that leave the machine: from a file, from the environment, or asked at the terminal; never from
the command line, which everybody on the machine can read. What they open is not known here."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from gslb.errors import HostError, RefusedError

__all__ = ["PASSPHRASE_FILE", "passphrase"]

_VARIABLE = "GSLB_PASSPHRASE"
_LIMIT_BYTES = 4096

PASSPHRASE_FILE: Callable[[Any], Any] = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help=f"Whose first line is the passphrase; mode 0600.  [default: ${_VARIABLE}, or it is asked for]",
)


def passphrase(file: Path | None, *, confirm: bool = False) -> str:
    """`confirm`: asked twice, for what is sealed with it. Raises HostError and RefusedError."""
    if file is not None:
        return _in_file(file)
    if given := os.environ.get(_VARIABLE):
        return given
    if not sys.stdin.isatty():
        raise RefusedError(
            "nobody-to-ask", "this is no terminal, so nobody can be asked", f"--passphrase-file FILE, or ${_VARIABLE}"
        )
    return str(click.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm, err=True))


def _in_file(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            mode, data = os.fstat(opened.fileno()).st_mode, opened.read(_LIMIT_BYTES)
        lines = data.decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise HostError(f"the passphrase file {file} cannot be read: {reason}", "check --passphrase-file") from None
    if stat.S_ISREG(mode) and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise HostError(f"others may read the passphrase file {file}", f"make it yours alone: chmod 600 {file}")
    if not lines or not lines[0]:
        raise HostError(f"the first line of {file} is empty", "write the passphrase there")
    return lines[0]
