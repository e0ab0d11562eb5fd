"""Which gslb a command asks, and with whose token: the options that most commands have, and the client they make."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from gslb.control.client import Client
from gslb.errors import HostError

__all__ = ["SERVER", "client_of"]

_TOKEN = "gslb.token_file"  # noqa: S105 - where the name of a file is kept
_LIMIT_BYTES = 4096


def _keep(context: click.Context, _option: click.Parameter, file: Path | None) -> None:
    context.meta[_TOKEN] = file


_SERVER = click.option(
    "--server",
    envvar="GSLB_SERVER",
    metavar="SERVER",
    help="Which gslb: a control socket's path, or http(s)://ADDRESS:PORT. Default: this machine's.",
)
_TOKEN_FILE = click.option(
    "--token-file",
    envvar="GSLB_TOKEN_FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    callback=_keep,
    expose_value=False,
    help="Whose token to show to a server that is asked over TCP. Default: $GSLB_TOKEN.",
)


def SERVER(command: Callable[..., Any]) -> Callable[..., Any]:  # noqa: N802 - stands beside the other options
    """Gives a command `--server`, which it gets, and `--token-file`, which `client_of` finds."""
    return _SERVER(_TOKEN_FILE(command))


def client_of(server: str | None) -> Client:
    """Raises HostError where the file with the token cannot be used."""
    context = click.get_current_context(silent=True)
    file = context.meta.get(_TOKEN) if context else None
    return Client(server, _token_in(file) if file else os.environ.get("GSLB_TOKEN"))


def _token_in(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            mode, data = os.fstat(opened.fileno()).st_mode, opened.read(_LIMIT_BYTES)
    except OSError as error:
        raise HostError(f"the token file {file} cannot be read: {error.strerror}", "check --token-file") from error
    if stat.S_ISREG(mode) and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise HostError(f"others may read the token file {file}", f"make it yours alone: chmod 600 {file}")
    return data.decode("ascii", "replace").strip()
