"""`gslb dnssec`: the keys of signed zones, the records for their parents, and rolling. Arguments and printing only."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import click

from gslb.cli.operate import JSON, REASON, SERVER, Wish, author, require_acknowledged, taking
from gslb.cli.tables import add_row, console, new_table
from gslb.errors import RefusedError

__all__ = ["dnssec"]

_PATH = "/v1/dnssec"
_NONE = "No zone of the policy is signed; write dnssec: true in a zone to sign it."


@click.group()
def dnssec() -> None:
    """Keys of signed zones: how they stand, what the parent needs, and their rolls.

    \b
    A key-signing key (ksk) is rolled with the help of the parent zone, a zone-signing key (zsk) without it:
      gslb dnssec roll gslb.example.com zsk
      gslb dnssec status
    """


@dnssec.command(epilog="Example: gslb dnssec status gslb.example.com")
@click.argument("zone", metavar="[ZONE]", required=False)
@taking(SERVER, JSON)
def status(*, zone: str | None, wish: Wish) -> None:
    """Every key with its state, what it does next and when, and what you must see to."""
    seen = wish.client.get(_PATH, {"zone": zone})
    if wish.as_json:
        click.echo(json.dumps(seen, indent=2))
        return
    click.echo(f"environment {seen['environment']}")
    signed = _signed(seen, zone)
    for item in signed:
        expiry = item["signatures_expire"] or "unknown"
        title = f"{item['zone']}   {item['algorithm']}   signatures good until {expiry}"
        table = new_table(title, "key", "state", "since", "next", "you")
        for key in item["keys"]:
            name, todo = f"{key['role']} {key['tag']}", key["todo"] or "nothing"
            add_row(table, name, key["state"], key["since"], _next(key), todo)
        console().print(table)
    if not signed:
        click.echo(_NONE)


@dnssec.command(epilog="Example: gslb dnssec ds gslb.example.com")
@click.argument("zone", metavar="[ZONE]", required=False)
@taking(SERVER, JSON)
def ds(*, zone: str | None, wish: Wish) -> None:
    """The DS records that the parent zone should have, as lines of a zone file.

    The CDNSKEY form stands behind each as a comment, for registries that want the key itself.
    """
    seen = wish.client.get(_PATH, {"zone": zone})
    wanted = [
        {"zone": item["zone"], **{name: key[name] for name in ("tag", "state", "todo", "next_at", "ds", "cdnskey")}}
        for item in _signed(seen, zone)
        for key in item["keys"]
        if key["ds"] and key["state"] != "withdrawn"
    ]
    if wish.as_json:
        click.echo(json.dumps({"environment": seen["environment"], "records": wanted}, indent=2))
        return
    for record in wanted:
        wait = f" ({record['next_at']})" if record["state"] == "new" else ""
        if record["todo"]:
            click.echo(f"; ksk {record['tag']}: {record['todo']}{wait}")
        click.echo(record["ds"])
        click.echo(f"; {record['cdnskey']}")
    if not wanted:
        click.echo(f"; {_NONE}")


@dnssec.command()
@click.argument("zone", metavar="ZONE")
@click.argument("role", metavar="zsk|ksk", type=click.Choice(("zsk", "ksk")))
@click.option("--ds-seen", is_flag=True, help="You have seen the awaited DS record at every server of the parent.")
@click.option("--ds-gone", is_flag=True, help="You have seen that no server of the parent has the old DS record.")
@taking(REASON, SERVER, JSON)
def roll(*, zone: str, role: str, ds_seen: bool, ds_gone: bool, wish: Wish) -> None:
    """Put a new key in the place of the active one, step by step and by itself.

    A ksk waits twice for the parent. gslb asks its servers; where it cannot reach them, say what you have seen.

    \b
    Examples:
      gslb dnssec roll gslb.example.com zsk --reason 'every quarter'
      gslb dnssec roll gslb.example.com ksk
      gslb dnssec roll gslb.example.com ksk --ds-seen
      gslb dnssec roll gslb.example.com ksk --ds-gone
    """
    if ds_seen and ds_gone:
        raise click.UsageError("--ds-seen and --ds-gone exclude each other")
    if role == "zsk" and (ds_seen or ds_gone):
        raise click.UsageError("a zsk has no DS record; --ds-seen and --ds-gone are for a ksk")
    who = {"zone": zone, "reason": wish.reason, "author": author()}
    if ds_seen or ds_gone:
        answer = wish.client.post(f"{_PATH}/ds", {**who, "seen": ds_seen})
    else:
        answer = wish.client.post(f"{_PATH}/rolls", {**who, "role": role})
    if wish.as_json:
        click.echo(json.dumps(answer, indent=2))
    else:
        click.echo("\n".join(_change_lines(answer, role)))
    require_acknowledged(answer)


def _signed(seen: Mapping[str, Any], zone: str | None) -> list[Mapping[str, Any]]:
    """The signed zones. Raises RefusedError where one was asked for by name and is not."""
    signed = [item for item in seen["zones"] if item["signed"]]
    if zone is not None and not signed:
        raise RefusedError("not-signed", f"{zone} is not signed", "write dnssec: true in its zone of the policy")
    return signed


def _next(key: Mapping[str, Any]) -> str:
    return f"{key['next']} {key['next_at']}" if key["next"] else "-"


def _change_lines(answer: Mapping[str, Any], role: str) -> Iterator[str]:
    """What a change of keys did, and what happens next."""
    zone = answer["zone"]
    yield f"environment {answer['environment']}: {role} of {zone['zone']}"
    names = list(dict.fromkeys([*answer["before"], *answer["after"]]))
    width = max(map(len, names))
    for name in names:
        before, after = answer["before"].get(name, "-"), answer["after"].get(name, "removed")
        yield f"  {name:<{width}}  {before} -> {after}" if before != after else f"  {name:<{width}}  {after}"
    for key in zone["keys"]:
        name = f"{key['role']} {key['tag']}"
        if key["next"]:
            yield f"next: {name} {key['next']} at {key['next_at']}"
        if key["todo"]:
            yield f"you: {name}: {key['todo']}"
