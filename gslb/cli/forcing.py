"""`gslb force`, `unforce`, `resume`, `failover`: what people say of whether a site is answered. Arguments and printing;
control decides."""

from __future__ import annotations

import json

import click

from gslb.cli.operate import FOR, JSON, REASON, SERVER, Wish, author, taking, tell
from gslb.cli.tables import add_row, console, new_table
from gslb.control.http.client import path_of

__all__ = ["failover", "force", "resume", "unforce"]


@click.command(epilog="Example: gslb force dc up --app shop --for 1h --reason 'the check is wrong, ticket 4711'")
@click.argument("site", metavar="SITE")
@click.argument("state", type=click.Choice(("up", "down")))
@click.option("--app", metavar="APP", help="For this app alone.")
@taking(FOR, REASON, SERVER, JSON)
def force(*, site: str, state: str, app: str | None, wish: Wish) -> None:
    """Believe a site to be up or down, whatever is seen of it. It needs a --reason.

    A drain wins over it, and it wins over every verdict. What is seen is still shown beside it; it stands as an alarm
    until it is taken back, or its time (--for) is over.
    """
    if not wish.reason.strip():
        raise click.UsageError("say why: --reason TEXT; a forced state hides what is seen")
    body = {"site": site, "state": state, "app": app, "expires_in_s": wish.lasting}
    answer = wish.client.post("/v1/forced", {**body, "reason": wish.reason, "author": author()})
    tell(answer, f"{site} is forced {state}", as_json=wish.as_json)


@click.command(epilog="Example: gslb unforce dc")
@click.argument("site", metavar="SITE")
@click.option("--app", metavar="APP", help="For this app alone; as it was forced.")
@taking(REASON, SERVER, JSON)
def unforce(*, site: str, app: str | None, wish: Wish) -> None:
    """Believe of a site what is seen again."""
    answer = wish.client.delete(path_of("forced", site), {"app": app, "author": author(), "reason": wish.reason})
    tell(answer, f"{site} is believed to be what is seen", as_json=wish.as_json)


@click.command(epilog="Example: gslb resume shop dc --reason 'the database is in step again'")
@click.argument("app", metavar="APP")
@click.argument("site", metavar="SITE")
@taking(REASON, SERVER, JSON)
def resume(*, app: str, site: str, wish: Wish) -> None:
    """Let a site come back into an app's answers: at once where it is well, else as soon as it is."""
    _approve(wish, app, site, "resume", f"{site} may come back for {app}")


@click.group()
def failover() -> None:
    """Failovers that wait for a person (failover: manual).

    \b
    A dead site stays in the answers until somebody says that it may go:
      gslb failover list
      gslb failover approve shop dc --reason 'the standby has all transactions'
    """


@failover.command(name="list", epilog="Example: gslb failover list --json")
@taking(SERVER, JSON)
def listing(*, wish: Wish) -> None:
    """What waits for a person, with the command that answers it."""
    seen = wish.client.get("/v1/status")
    waiting = [alarm for alarm in seen["alarms"] if alarm["rule"] in ("approval", "resume")]
    if wish.as_json:
        click.echo(json.dumps({"pending": waiting}, indent=2))
        return
    table = new_table("Waiting for a person", "what", "since", "why", "command")
    for alarm in waiting:
        add_row(table, alarm["subject"], alarm["since"], alarm["message"], alarm["remedy"])
    console().print(table if waiting else "nothing waits")


@failover.command(epilog="Example: gslb failover approve shop dc --reason 'the standby has all transactions'")
@click.argument("app", metavar="APP")
@click.argument("site", metavar="SITE")
@taking(REASON, SERVER, JSON)
def approve(*, app: str, site: str, wish: Wish) -> None:
    """Let a dead site leave an app's answers. It comes back only when somebody says so: gslb resume APP SITE."""
    _approve(wish, app, site, "failover", f"{site} may leave the answers of {app}")


def _approve(wish: Wish, app: str, site: str, what: str, told: str) -> None:
    body = {"app": app, "site": site, "what": what, "reason": wish.reason, "author": author()}
    tell(wish.client.post("/v1/approvals", body), told, as_json=wish.as_json)
