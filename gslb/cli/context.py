"""`gslb context`: names for installations that are asked over TCP. Arguments and printing only."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

import click

from gslb.cli.contexts import Context, contexts_file, read_contexts, require_context, write_contexts
from gslb.cli.operate import JSON
from gslb.cli.tables import add_row, console, new_table
from gslb.errors import RefusedError

__all__ = ["context"]

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True, resolve_path=True)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


@click.group()
def context() -> None:
    """Names for installations, so that --server, --token-file and a CA are given once.

    \b
      gslb context add prod --server https://gslb.example.com:8053 --ca ca.pem --token-file prod.token
      gslb --help             every command that asks control takes --context prod
      export GSLB_CONTEXT=lab for a whole session
    They stand in ~/.config/gslb/contexts.yaml (mode 0600). No context: this machine's gslb.
    """


@context.command(epilog="Example: gslb context add prod --server https://10.0.0.4:8053 --token-file ~/prod.token")
@click.argument("name", metavar="NAME")
@click.option("--server", required=True, metavar="URL", help="https://HOST:PORT, http://127.0.0.1:PORT or a socket.")
@click.option("--ca", type=_FILE, metavar="FILE", help="Believe these authorities (PEM), and no others.")
@click.option("--token-file", type=_FILE, metavar="FILE", help="The token to show; mode 0600.")
@click.option("--client-cert", type=_FILE, metavar="FILE", help="Your certificate (PEM), in place of a token.")
@click.option("--client-key", type=_FILE, metavar="FILE", help="Its key.")
@click.option("--replace", is_flag=True, help="In place of a context of that name.")
def add(*, name: str, replace: bool, server: str, **files: Path | None) -> None:
    """Keep an installation under a name."""
    if not _NAME.fullmatch(name):
        raise click.BadParameter(f"{name!r} is no name; use letters, digits and . _ -", param_hint="NAME")
    if (files["client_cert"] is None) != (files["client_key"] is None):
        raise click.UsageError("--client-cert and --client-key belong together")
    known = read_contexts()
    if name in known and not replace:
        raise RefusedError("known-context", f"{name} is {known[name].server} already", "insist: --replace")
    if "://" not in server:
        server = str(Path(server).expanduser().absolute())
    given = {key: None if path is None else str(path) for key, path in files.items()}
    write_contexts({**known, name: Context(server, **given)})
    click.echo(f"{name} is {server} from now on: gslb status --context {name}")
    click.echo(f"to undo: gslb context remove {name}")


@context.command("list", epilog="Example: gslb context list --json")
@JSON
def list_(*, as_json: bool) -> None:
    """Which there are."""
    known = read_contexts()
    if as_json:
        click.echo(json.dumps({name: asdict(item) for name, item in sorted(known.items())}, indent=2))
        return
    table = new_table(str(contexts_file()), "name", "server", "ca", "token or certificate")
    for name, item in sorted(known.items()):
        add_row(table, name, item.server, item.ca, item.token_file or item.client_cert)
    console().print(table)


@context.command(epilog="Example: gslb context remove lab")
@click.argument("name", metavar="NAME")
def remove(*, name: str) -> None:
    """Forget one. Its files stay."""
    gone = require_context(name)
    write_contexts({other: item for other, item in read_contexts().items() if other != name})
    click.echo(f"{name} ({gone.server}) is forgotten; its files stay")
