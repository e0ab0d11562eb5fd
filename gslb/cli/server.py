"""Which gslb a command asks, and with whose token: the options that most commands have, and the client they make."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from gslb.cli.contexts import require_context
from gslb.control.http.client import Client, TlsFiles
from gslb.errors import HostError

__all__ = ["SERVER", "client_of"]

_TOKEN = "gslb.token_file"  # noqa: S105 - where the name of a file is kept
_CONTEXT = "gslb.context"
_CERTIFICATE = "gslb.certificate"
_LIMIT_BYTES = 4096


def _keep_context(context: click.Context, _option: click.Parameter, name: str | None) -> None:
    context.meta[_CONTEXT] = name


def _keep(context: click.Context, _option: click.Parameter, file: Path | None) -> None:
    context.meta[_TOKEN] = file


def _keep_certificate(context: click.Context, _option: click.Parameter, folder: Path | None) -> None:
    context.meta[_CERTIFICATE] = folder


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


_CONTEXT_OPTION = click.option(
    "--context",
    "context_name",
    envvar="GSLB_CONTEXT",
    metavar="NAME",
    callback=_keep_context,
    expose_value=False,
    help="Which gslb, by its name: see gslb context.",
)

_CERT = click.option(
    "--cert",
    envvar="GSLB_CERT",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    callback=_keep_certificate,
    expose_value=False,
    help="Whose certificate to show to a server that is asked over https, as gslb identity issue operator made it.",
)


def SERVER(command: Callable[..., Any]) -> Callable[..., Any]:  # noqa: N802 - stands beside the other options
    """Gives a command `--server`, which it gets, and `--context`, `--token-file` and `--cert`, which `client_of`
    finds."""
    return _SERVER(_CONTEXT_OPTION(_TOKEN_FILE(_CERT(command))))


def client_of(server: str | None) -> Client:
    """What is said on the command line wins over the environment, and there a server over a context. Raises HostError,
    PolicyError and RefusedError where a context or a file cannot be used."""
    asked = click.get_current_context(silent=True)
    name, file = (asked.meta.get(_CONTEXT), asked.meta.get(_TOKEN)) if asked else (None, None)
    if server is not None and name is not None:
        said = _said(asked, "server"), _said(asked, "context_name")
        if all(said):
            raise click.UsageError("--server and --context exclude each other")
        server, name = (server, None) if said[0] or not said[1] else (None, name)
    folder = asked.meta.get(_CERTIFICATE) if asked else None
    if name is None:
        return Client(server, _token_in(file) if file else os.environ.get("GSLB_TOKEN"), _shown(folder))
    context = require_context(name)
    if context.token_file and not (file and _said(asked, "token_file")):
        file = Path(context.token_file)
    tls = _shown(folder) or TlsFiles(context.ca, context.client_cert, context.client_key)
    return Client(context.server, _token_in(file) if file else os.environ.get("GSLB_TOKEN"), tls)


def _said(asked: click.Context | None, parameter: str) -> bool:
    """On the command line itself."""
    return asked is not None and asked.get_parameter_source(parameter) is ParameterSource.COMMANDLINE


def _shown(folder: Path | None) -> TlsFiles | None:
    """What gslb identity issue operator has put in `folder`."""
    if folder is None:
        return None
    return TlsFiles(str(folder / "ca.pem"), str(folder / "cert.pem"), str(folder / "key.pem"))


def _token_in(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            mode, data = os.fstat(opened.fileno()).st_mode, opened.read(_LIMIT_BYTES)
    except OSError as error:
        raise HostError(f"the token file {file} cannot be read: {error.strerror}", "check --token-file") from error
    if stat.S_ISREG(mode) and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise HostError(f"others may read the token file {file}", f"make it yours alone: chmod 600 {file}")
    return data.decode("ascii", "replace").strip()
