"""`gslb acme`: the hook by which ACME clients answer DNS-01 from our zones. Arguments and printing; control decides.

Clients call hooks in two ways: with name and value as arguments (lego, as `gslb-acme`), or in the environment
(certbot).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import click

from gslb.cli.operate import FOR, JSON, REASON, SERVER, Wish, author, require_acknowledged, taking
from gslb.cli.tables import change_lines
from gslb.control.http.client import path_of

__all__ = ["acme"]

_LABEL = "_acme-challenge."
_DASHED = re.compile(r"-[A-Za-z0-9_-]{42}")
"""A SHA-256 in base64url (RFC 8555 section 8.4) that looks like an option, as one in 64 does."""


class _Hook(click.Command):
    """Takes a value that begins with a dash for what it is: clients do not write `--` in front of it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        values = [arg for arg in args if _DASHED.fullmatch(arg)]
        if values and "--" not in args:
            args = [*(arg for arg in args if arg not in values), "--", *values]
        return super().parse_args(ctx, args)


@click.group()
def acme() -> None:
    """Answer DNS-01 challenges of ACME from our zones: the hook of certbot, lego and others.

    \b
    certbot certonly --manual --preferred-challenges dns -d shop.gslb.example.com \\
      --manual-auth-hook 'gslb acme present' --manual-cleanup-hook 'gslb acme cleanup'
    EXEC_PATH=gslb-acme lego --dns exec --dns.disable-cp -d shop.gslb.example.com ... run

    Over TCP it needs a token with the role acme. docs/recipes/acme.md has the whole way.
    """


@acme.command(cls=_Hook, epilog="Example: gslb acme present shop.gslb.example.com gfj9Xq...Rg85nM --for 10m")
@click.argument("name", metavar="NAME", envvar="CERTBOT_DOMAIN")
@click.argument("value", metavar="VALUE", envvar="CERTBOT_VALIDATION")
@taking(FOR, REASON, SERVER, JSON)
def present(*, name: str, value: str, wish: Wish) -> None:
    """Serve VALUE as TXT record of NAME (a host, or its _acme-challenge name), for one hour or --for.

    It returns when every name server that can be reached answers with it, so that the challenge may be asked at once.
    Those that cannot be reached are named, and are an error only where there is no other. Where NAME is a host of an
    app outside our zones, the record stands at the app's first host in them. certbot gives both in its environment.
    """
    body = {"name": _challenge(name), "value": value, "reason": wish.reason, "author": author()}
    lasting = {} if wish.lasting is None else {"expires_in_s": wish.lasting}
    answer = wish.client.post("/v1/acme", {**body, **lasting})
    _tell(answer, "is answered", as_json=wish.as_json)
    if not any(answer["nameservers"].values()):
        require_acknowledged(answer)


@acme.command(cls=_Hook, epilog="Example: gslb acme cleanup shop.gslb.example.com gfj9Xq...Rg85nM")
@click.argument("name", metavar="NAME", envvar="CERTBOT_DOMAIN")
@click.argument("value", metavar="[VALUE]", required=False, envvar="CERTBOT_VALIDATION")
@taking(REASON, SERVER, JSON)
def cleanup(*, name: str, value: str | None, wish: Wish) -> None:
    """Take the record away again; without VALUE every one of NAME."""
    query = {"value": value, "author": author(), "reason": wish.reason}
    answer = wish.client.delete(path_of("acme", _challenge(name)), query)
    _tell(answer, "is gone", as_json=wish.as_json)


def _tell(answer: Mapping[str, Any], what: str, *, as_json: bool) -> None:
    """Prints a change, and who does not have it yet."""
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    (name,) = answer["after"]
    lines = list(change_lines(answer, f"{name} {what}"))
    click.echo("\n".join(lines[:-1] if answer["before"] != answer["after"] and answer["undo"] is None else lines))
    silent = [server for server, has_it in answer["nameservers"].items() if not has_it]
    if silent:
        click.echo(f"cannot be reached, and gets it later: {', '.join(silent)}", err=True)


def _challenge(name: str) -> str:
    """Of a host, of `*.HOST`, or as it is; lower-case, without the last dot."""
    host = name.lower().removesuffix(".").removeprefix("*.")
    return host if host.startswith(_LABEL) else f"{_LABEL}{host}"
