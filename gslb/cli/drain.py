"""`gslb drain`, and waiting until nothing is left of what was drained. Arguments and printing alone."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import click

from gslb.cli.operate import FOR, JSON, REASON, SERVER, Wish, author, seconds, taking, tell
from gslb.cli.tables import tail_cells
from gslb.errors import HostError

__all__ = ["drain"]

WAIT_S = 1.0
DEADLINE = "5m"
CLOSING_S = 15.0
"""An edge takes some seconds to close what was open, and another ten to see that nobody stays."""


def _deadline(context: click.Context, option: click.Parameter, value: str) -> float | None:
    return None if value == "never" else seconds(context, option, value)


@click.command(epilog="Example: gslb drain dc --reason 'power work' --for 4h --deadline 10m --wait")
@click.argument("site", metavar="SITE")
@click.option("--app", metavar="APP", help="For this app alone.")
@click.option("--entry", is_flag=True, help="Leave DNS only: what still arrives is served as before.")
@click.option(
    "--deadline",
    default=DEADLINE,
    show_default=True,
    metavar="TIME|never",
    callback=_deadline,
    help="Connections that are told to go and stay are closed after this; of the whole site alone.",
)
@click.option("--wait", is_flag=True, help="Stay until nothing is left of it, or the deadline is over.")
@click.option("--allow", multiple=True, metavar="RULE", help="Overrule a refusal by its name, such as last-site.")
@taking(FOR, REASON, SERVER, JSON)
def drain(*, site: str, wait: bool, wish: Wish, **wanted: Any) -> None:
    """Take a site out: of DNS at once, and what still arrives goes to the other sites' backends.

    Open connections are told to go (connection: close, GOAWAY).
    """
    body = {
        "site": site, "app": wanted["app"], "entry_only": wanted["entry"], "deadline_in_s": wanted["deadline"],
        "expires_in_s": wish.lasting, "allow": list(wanted["allow"]), "reason": wish.reason, "author": author(),
    }  # fmt: skip
    answer = wish.client.post("/v1/drains", body)
    if not wait:
        tell(answer, f"drain of {site}", as_json=wish.as_json)
        return
    if not wish.as_json:
        tell(answer, f"drain of {site}", as_json=False)
    _wait(site, wish, answer)


def _wait(site: str, wish: Wish, answer: Mapping[str, Any]) -> None:
    """Raises HostError where the deadline is over and something is left."""
    last: Mapping[str, Any] | None = None
    for last in _tails(site, wish):
        if last["can_be_switched_off"] or _is_closed(last):
            break
    if wish.as_json:
        click.echo(json.dumps({"change": answer, "tail": last}, indent=2))
    if last is None:
        raise HostError(f"{site} is not drained any more", "gslb history shows who put it back")
    if not last["can_be_switched_off"]:
        sys.stdout.flush()
        raise HostError(
            f"the deadline is over, and something is left of {site}: {last['why']}",
            "look again with gslb status; who is left would see it go",
        )
    if not wish.as_json:
        click.echo(f"{site} can be switched off: {last['why']}")


def _tails(site: str, wish: Wish) -> Iterator[Mapping[str, Any]]:
    """Each second, with a line for people whenever something has changed; ends where the site is back."""
    told = ""
    while tail := wish.client.get("/v1/status")["sites"].get(site, {}).get("tail"):
        per_s, open_now, left, _ = tail_cells(tail)
        line = f"{per_s} requests/s, {open_now} open, left DNS {left}: {tail['why']}"
        if not wish.as_json and tail["why"] != told:
            click.echo(line, err=True)
        told = tail["why"]
        yield tail
        time.sleep(WAIT_S)


def _is_closed(tail: Mapping[str, Any]) -> bool:
    """The deadline is over, the edge has closed what was open, and no resolver has a reason to send anybody."""
    if tail["closes_at"] is None:
        return False
    from datetime import UTC, datetime, timedelta

    over = datetime.fromisoformat(tail["closes_at"]) + timedelta(seconds=CLOSING_S)
    return datetime.now(UTC) > over and tail["left_dns_s"] > tail["longest_ttl_s"]
