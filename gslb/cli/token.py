"""`gslb token`: who may use the API over TCP. Arguments and printing only."""

from __future__ import annotations

import json

import click

from gslb.cli.operate import FOR, JSON, REASON, ROLES, SERVER, Wish, author, require_acknowledged, taking
from gslb.cli.tables import add_row, console, new_table
from gslb.control.http.client import path_of

__all__ = ["token"]

_PATH = "/v1/tokens"


@click.group()
def token() -> None:
    """Tokens, by which people and programs show over TCP who they are.

    \b
    viewer    reads
    acme      reads, and answers challenges: for a machine that gets certificates
    operator  shifts, drains, applies policies, sets latencies
    admin     everything, tokens and DNSSEC keys too

    Nobody needs one on gslb's own machine, over the unix socket.
    """


@token.command()
@click.argument("name", metavar="NAME")
@click.option("--role", type=click.Choice(ROLES), required=True, help="What it may do.")
@click.option("--app", "apps", multiple=True, metavar="APP", help="Of an operator: change this app alone. Repeatable.")
@taking(FOR, REASON, SERVER, JSON)
def create(*, name: str, role: str, apps: tuple[str, ...], wish: Wish) -> None:
    """Make a token and print it, once: nobody can read it again.

    \b
    Examples:
      gslb token create prometheus --role viewer
      gslb token create deploy-shop --role operator --app shop --for 30d
      (umask 077; gslb token create ann --role admin --for 12h > ann.token)
    """
    wanted = {"name": name, "role": role, "apps": list(apps), "expires_in_s": wish.lasting}
    made = wish.client.post(_PATH, {**wanted, "reason": wish.reason, "author": author()})
    if wish.as_json:
        click.echo(json.dumps(made, indent=2))
    else:
        click.echo(f"environment {made['environment']}: token {name}, {role}", err=True)
        click.echo(made["token"])
        click.echo(f"this is the only time that it is told\nto undo: {made['undo']}", err=True)
    require_acknowledged(made)


@token.command("list", epilog="Example: gslb token list --json")
@taking(SERVER, JSON)
def list_tokens(*, wish: Wish) -> None:
    """Every token: who made it, for what, and until when."""
    seen = wish.client.get(_PATH)
    if wish.as_json:
        click.echo(json.dumps(seen, indent=2))
        return
    table = new_table(f"Tokens of {seen['environment']}", "name", "role", "apps", "created", "by", "expires", "reason")
    for item in seen["tokens"]:
        expires = "never" if item["expires"] is None else f"{item['expires']}{' (over)' if item['expired'] else ''}"
        apps = ", ".join(item["apps"]) or "all"
        add_row(table, item["name"], item["role"], apps, item["created"], item["author"], expires, item["reason"])
    console().print(table)


@token.command(epilog="Example: gslb token revoke deploy-shop --reason 'left in a log'")
@click.argument("name", metavar="NAME")
@taking(REASON, SERVER, JSON)
def revoke(*, name: str, wish: Wish) -> None:
    """Take a token back. It is refused from now on."""
    answer = wish.client.delete(path_of("tokens", name), {"author": author(), "reason": wish.reason})
    if wish.as_json:
        click.echo(json.dumps(answer, indent=2))
    else:
        click.echo(f"environment {answer['environment']}: token {name} is revoked")
    require_acknowledged(answer)
