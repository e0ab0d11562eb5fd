"""`gslb identity`: the authority of an installation, and certificates that are not renewed by themselves. Arguments and
printing; the work is done on a control's machine, in its data folder and its store."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from gslb.cli.operate import JSON, REASON, ROLES, SERVER, Wish, author, taking
from gslb.cli.tables import add_row, console, new_table

__all__ = ["LIFE", "identity", "machine_name"]

_DATA = click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), default=Path("/var/lib/gslb"), show_default=True,
    help="The data folder of the control on this machine.",
)  # fmt: skip
_STORE = click.option(
    "--store", metavar="URL", help="Where the installation's store is.  [default: as its control was last run]"
)
_OUT = click.option(
    "-o", "folder", type=click.Path(path_type=Path, file_okay=False), required=True, metavar="DIR",
    help="Folder for cert.pem, key.pem and ca.pem; made where it is missing.",
)  # fmt: skip


def _life(_context: click.Context, _option: click.Parameter, value: str | None) -> float | None:
    from gslb.model.words import parse_duration

    try:
        return None if value is None else parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def LIFE(default: str, what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:  # noqa: N802 - an option
    """`--for TIME`, as seconds in `life_s`."""
    return click.option(
        "--for", "life_s", default=default, show_default=True, metavar="TIME", callback=_life, help=what
    )


def machine_name() -> str:
    """What this machine is called where nobody says it: the first label of its host name, as far as that is a name."""
    import socket

    label = socket.gethostname().partition(".")[0].lower()
    return re.sub(r"[^a-z0-9-]", "-", label).strip("-") or "machine"


@click.group()
def identity() -> None:
    """Who is who between machines: the authority, and its certificates.

    \b
    One machine needs it for via: edge alone:
      gslb identity init --policy policies       then start gslb run again
    For several, on the first control's machine:
      gslb identity init --policy policies --api https://10.0.0.4:8053 --address 10.0.0.4:8900
      gslb run policies --api 10.0.0.4:8053
      gslb node token --roles dns          then, on the other machine: gslb node join TOKEN ...
    """


@identity.command(
    epilog="""\b
Examples:
  gslb identity init --policy policies                      one machine, with the edges of every site
  gslb identity init --policy policies --roles control,dns --api https://10.0.0.4:8053 --address 10.0.0.4:8900"""
)
@click.option("--domain", metavar="NAME", help="The trust domain.  [default: the zone of the policy in --policy]")
@click.option("--policy", type=click.Path(path_type=Path, exists=True), metavar="DIR", help="Whose zone is the domain.")
@click.option("--name", metavar="NAME", default=machine_name, help="This machine.  [default: its host name]")
@click.option("--roles", default="control,dns,edge", show_default=True, help="The roles that run here, with commas.")
@click.option("--site", "sites", multiple=True, metavar="NAME", help="Whose edge runs here.  [default: every site's]")
@click.option("--api", metavar="URL", help="Where other machines reach this control: https://HOST:PORT."
              "  [default: as gslb run --api says]")  # fmt: skip
@click.option("--address", metavar="HOST:PORT", help="Where others reach its nodes: the first of consecutive ports."
              "  [default: as gslb run --node says]")  # fmt: skip
@click.option("--identity-life", "life_s", default="24h", show_default=True, metavar="TIME", callback=_life,
              help="How long the certificate of a role process is good; renewed at half of it.")  # fmt: skip
@click.option("--replace", is_flag=True, help="Begin anew, after a control was lost or the root has ended: every "
              "machine must join again. Move the folder trust away first.")  # fmt: skip
@_DATA
@_STORE
def init(*, policy: Path | None, domain: str | None, roles: str, **given: Any) -> None:
    """Begin an installation with identities: root, issuer, secrets, and certificates for this machine.

    Every role process of this machine gets its own, and renews it by itself; sites that the policy gets later too.

    Refuses where there is an authority already. Restart gslb run afterwards.
    """
    from gslb.roles.identities.authority_work import Beginning, begin

    if domain is None and policy is None:
        raise click.UsageError("say the trust domain: --domain NAME, or --policy DIR to take its zone")
    names = tuple(name.strip() for name in roles.split(",") if name.strip())
    every_site = "edge" in names and not given["sites"]
    if policy is not None:
        from gslb.model.folder import load_folder

        wanted = load_folder(policy).policy
        domain = domain or wanted.zone.name
        given["sites"] = tuple(wanted.sites) if every_site else given["sites"]
    assert domain is not None
    made = begin(Beginning(domain=domain.lower(), roles=names, every_site=every_site, **given))
    click.echo(f"trust domain {domain}: root until {made['root_ends']}, issuer until {made['issuer_ends']}")
    click.echo(
        f"root SHA-256 {made['root']}\nstart gslb run again: from then on its roles show and renew their certificates"
    )
    click.echo(f"""
The root's key is {made["root_key"]}. It is needed twice a year, and by nobody else: take it away from here.
  gslb identity export-root -o DIR     copies key and certificate, for a medium that you lock away
  shred -u {made["root_key"]}
While it lies here, control renews the issuer by itself. Without it: gslb identity renew-issuer --root-key FILE.""")


@identity.command(epilog="Example: gslb identity status --json")
@taking(SERVER, JSON)
def status(*, wish: Wish) -> None:
    """Who has which certificate until when. Exit 1 where something must worry you."""
    seen = wish.client.get("/v1/identity")
    if wish.as_json:
        click.echo(json.dumps(seen, indent=2))
    else:
        _print(seen)
    if seen["alarms"]:
        click.get_current_context().exit(1)


def _print(seen: Mapping[str, Any]) -> None:
    page = console()
    page.print(f"trust domain {seen['domain']}: root until {seen['root_ends']}, issuer until {seen['issuer_ends']}")
    table = new_table("Machines", "machine", "state", "joined", "by", "certificate of", "until")
    for machine in seen["machines"]:
        for number, one in enumerate(machine["certificates"]):
            head = (
                (machine["name"], machine["state"], machine["joined"], machine["joined_by"])
                if number == 0
                else [""] * 4
            )
            add_row(table, *head, one["name"], one["ends"] or "not told")
    page.print(table)
    if seen["operators"]:
        people = new_table("People", "name", "role", "apps", "until")
        for one in seen["operators"]:
            add_row(people, one["name"], one["role"], ", ".join(one["apps"]) or "all", one["ends"])
        page.print(people)
    for alarm in seen["alarms"]:
        click.echo(f"ALARM: {alarm['what']}\n    {alarm['remedy']}", err=True)


@identity.command("renew-issuer", epilog="Example: gslb identity renew-issuer --root-key /media/usb/root.key")
@click.option("--root-key", type=click.Path(path_type=Path, dir_okay=False), required=True, metavar="FILE",
              help="The root's key; it is read, and not kept.")  # fmt: skip
@_DATA
@_STORE
def renew_issuer(*, root_key: Path, data: Path, store: str | None) -> None:
    """Put a new issuer in the place of the old one. What the old one has signed stays good.

    Running controls take it within seconds.
    """
    from gslb.roles.identities.authority_work import renew

    click.echo(f"a new issuer signs, until {renew(data, store, root_key, author())}")


@identity.command("export-root", epilog="Example: gslb identity export-root -o /media/usb")
@click.option("-o", "folder", type=click.Path(path_type=Path, file_okay=False), required=True, metavar="DIR")
@_DATA
def export_root(*, folder: Path, data: Path) -> None:
    """Copy the root's key and certificate to DIR, and say how to take the key away from here."""
    from gslb.roles.identities.authority_work import export

    key = export(data, folder)
    click.echo(f"{folder}/root.key and {folder}/root.pem are written, and read back\nnow take it away: shred -u {key}")


@identity.group()
def issue() -> None:
    """Certificates for people, and for servers that gslb talks to."""


@issue.command(epilog="Example: gslb identity issue operator ann --role operator --app shop --for 30d -o ann")
@click.argument("name", metavar="NAME")
@click.option("--role", type=click.Choice(ROLES), required=True, help="What they may do.")
@click.option("--app", "apps", multiple=True, metavar="APP", help="Of an operator: change this app alone. Repeatable.")
@LIFE("30d", "How long it is good; at most as long as the issuer.")
@REASON
@_OUT
@_DATA
@_STORE
def operator(*, name: str, role: Any, apps: tuple[str, ...], **given: Any) -> None:
    """A client certificate for a person, to be used beside tokens. A former one of that name is believed no more."""
    from gslb.roles.identities.authority_work import Person, issue_operator

    if apps and role != "operator":
        raise click.UsageError("--app is for the role operator: the others are for all apps")
    told = issue_operator(Person(name=name, role=role, apps=apps, author=author(), **given))
    click.echo(f"certificate of {name}, {role}, until {told} in {given['folder']}")
    click.echo("to take it back: gslb identity revoke " + name)


@issue.command(epilog="Example: gslb identity issue server etcd-1 --ip 10.0.0.1 --dns etcd-1.internal -o etcd-1")
@click.argument("name", metavar="NAME")
@click.option("--dns", "hosts", multiple=True, metavar="NAME", help="A name that it is reached by.")
@click.option("--ip", "addresses", multiple=True, metavar="ADDRESS", help="An address that it is reached by.")
@LIFE("90d", "How long it is good; at most as long as the issuer.")
@_OUT
@_DATA
@_STORE
def server(
    *, name: str, hosts: tuple[str, ...], addresses: tuple[str, ...], data: Path, store: str | None, **given: Any
) -> None:
    """A certificate for a server, such as a member of etcd. It is for both ends of TLS, as etcd's gateway needs it."""
    from gslb.roles.identities.authority_work import issue_server
    from gslb.roles.identities.trust_home import home_at

    if not hosts and not addresses:
        raise click.UsageError("say what it is reached by: --dns NAME, --ip ADDRESS")
    told = issue_server(home_at(data, store), name, (*hosts, *addresses), author=author(), **given)
    click.echo(f"certificate of the server {name} until {told} in {given['folder']}")


@identity.command(epilog="Example: gslb identity revoke ann")
@click.argument("name", metavar="NAME")
@_DATA
@_STORE
def revoke(*, name: str, data: Path, store: str | None) -> None:
    """Believe the client certificate of a person no more. Running controls know within seconds."""
    from gslb.roles.identities.authority_work import revoke_operator

    revoke_operator(data, store, name, author())
    click.echo(f"the certificate of {name} is believed no more")
