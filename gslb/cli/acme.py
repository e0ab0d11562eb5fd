"""`gslb acme`: the hook by which ACME clients answer DNS-01 from our zones. Arguments and printing; control decides."""

from __future__ import annotations

import click

from gslb.cli.operate import FOR, JSON, REASON, SERVER, Wish, author, taking, tell
from gslb.control.http.client import path_of

__all__ = ["acme"]

_LABEL = "_acme-challenge."


@click.group()
def acme() -> None:
    """Answer DNS-01 challenges of ACME from our zones: the hook of certbot, lego and others.

    \b
    certbot certonly --manual --preferred-challenges dns -d shop.gslb.example.com \\
      --manual-auth-hook 'gslb acme present $CERTBOT_DOMAIN $CERTBOT_VALIDATION' \\
      --manual-cleanup-hook 'gslb acme cleanup $CERTBOT_DOMAIN $CERTBOT_VALIDATION'
    lego --dns exec with EXEC_PATH set to a script that calls: gslb acme "$@"
    """


@acme.command(epilog="Example: gslb acme present shop.gslb.example.com gfj9Xq...Rg85nM --for 10m")
@click.argument("name", metavar="NAME")
@click.argument("value", metavar="VALUE")
@taking(FOR, REASON, SERVER, JSON)
def present(*, name: str, value: str, wish: Wish) -> None:
    """Serve VALUE as TXT record of NAME (a host, or its _acme-challenge name), for one hour or --for.

    It returns when every name server that can be reached answers with it, so that the challenge may be asked at once.
    """
    body = {"name": _challenge(name), "value": value, "reason": wish.reason, "author": author()}
    lasting = {} if wish.lasting is None else {"expires_in_s": wish.lasting}
    answer = wish.client.post("/v1/acme", {**body, **lasting})
    tell(answer, f"{_challenge(name)} is answered", as_json=wish.as_json)


@acme.command(epilog="Example: gslb acme cleanup shop.gslb.example.com gfj9Xq...Rg85nM")
@click.argument("name", metavar="NAME")
@click.argument("value", metavar="[VALUE]", required=False)
@taking(REASON, SERVER, JSON)
def cleanup(*, name: str, value: str | None, wish: Wish) -> None:
    """Take the record away again; without VALUE every one of NAME."""
    query = {"value": value, "author": author(), "reason": wish.reason}
    answer = wish.client.delete(path_of("acme", _challenge(name)), query)
    tell(answer, f"{_challenge(name)} is gone", as_json=wish.as_json)


def _challenge(name: str) -> str:
    """Of a host, of `*.HOST`, or as it is; lower-case, without the last dot."""
    host = name.lower().removesuffix(".").removeprefix("*.")
    return host if host.startswith(_LABEL) else f"{_LABEL}{host}"
