"""`gslb node`: the nodes of this machine, asked without control: what they hold, and overrides in an emergency.

Arguments and printing only; which override may be made is the node's to say.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from gslb.cli.at_nodes import ALL, Nodes, at_nodes, raise_first, require_choice, tell, texts
from gslb.cli.joining import join, remove, token
from gslb.cli.node_mirror import mirror
from gslb.cli.operate import FOR, REASON, author
from gslb.cli.tables import add_row, change_lines, console, new_table, node_note
from gslb.control.http.client import Client, TlsFiles, path_of
from gslb.errors import GslbError

__all__ = ["node"]


@click.group()
def node() -> None:
    """The nodes of this machine, asked without control; and machines that join or leave.

    \b
    For when control or the store is gone and a site must leave now, or mirrors must stop:
      gslb node status
      gslb node drain dc --all --reason 'fire in the data centre'
      gslb node mirror stop --all --reason 'the new service is flooded'
    Each node keeps it, over its own restarts, until control publishes something newer.

    \b
    For other machines (gslb identity init first):
      gslb node token --roles dns          on a control's machine
      gslb node join - --control URL ...   on the one that joins
      gslb node remove NAME
    """


node.add_command(token)
node.add_command(join)
node.add_command(remove)
node.add_command(mirror)


@node.command(epilog="Example: gslb node status --json")
@at_nodes
def status(*, nodes: Nodes) -> None:
    """What each node has in force, how old it is, since when control is silent, and what it does by itself."""
    answers, errors = nodes.ask(lambda client: client.get("/state"))
    if nodes.as_json:
        click.echo(json.dumps({"nodes": answers, "errors": texts(errors)}, indent=2))
    else:
        table = new_table("Nodes", "node", "serving", "version", "taken", "control heard", "good on disk", "note")
        for name, state in answers.items():
            add_row(table, name, *_row(state))
        console().print(table)
    raise_first(errors)


def _row(state: Mapping[str, Any]) -> tuple[object, ...]:
    applied, age_s = state["applied"], state["snapshot_age_s"]
    glass, back = state["broken_glass"], state["stepped_back_from"]
    own = {
        "stepped_back_from": back and _version(back),
        "broken_glass": [_deed(deed) for deed in glass["deeds"]] if glass else [],
        "left_out": state["left_out"],
    }
    return (
        "yes" if state["ready"] else "no",
        _version(applied) if applied else "-",
        "-" if age_s is None else f"{age_s:.0f} s ago",
        f"{state['control_silence_s']:.0f} s ago",
        state["good_generations"],
        node_note(own),
    )


def _deed(deed: Mapping[str, Any]) -> str:
    from gslb.model.words import iso  # slow to import, and a drain must be quick

    by = deed["by"]
    until = "" if by["expires_s"] is None else f" until {iso(by['expires_s'])}"
    return f"{deed['did']} by {by['author'] or 'somebody'}{until}"


def _version(applied: Mapping[str, Any]) -> str:
    return f"{applied['revision']}.{applied['overrides']}"


@node.command(epilog="Example: gslb node drain dc --all --for 4h --reason 'fire in the data centre'")
@click.argument("site", metavar="SITE")
@click.option("--app", metavar="APP", help="For this app alone.")
@click.option("--entry", "entry_only", is_flag=True, help="Leave DNS only: what still arrives is served as before.")
@click.option("--allow", multiple=True, metavar="RULE", help="Overrule a refusal by its name, such as last-site.")
@FOR
@REASON
@ALL
@at_nodes
def drain(*, site: str, lasting: float | None, nodes: Nodes, **wanted: Any) -> None:
    """Take a site out at the nodes themselves, with control dead.

    They show it as broken glass, and drop it when control publishes something newer: then drain with control, too.
    """
    require_choice(nodes)
    body = {"site": site, **wanted, "expires_in_s": lasting, "author": author()}
    answers, errors = nodes.ask(lambda client: client.post("/v1/drains", body))
    tell(nodes, answers, f"drain of {site}", f"gslb node undrain {_scope(site, wanted['app'])}")
    if answers and not nodes.as_json:
        click.echo(f"it holds until control publishes; once control is back: gslb drain {_scope(site, wanted['app'])}")
    raise_first(errors)


@node.command(epilog="Example: gslb node undrain dc --all")
@click.argument("site", metavar="SITE")
@click.option("--app", metavar="APP", help="For this app alone; as it was drained.")
@REASON
@ALL
@at_nodes
def undrain(*, site: str, app: str | None, reason: str, nodes: Nodes) -> None:
    """Put a site back at the nodes themselves, whoever drained it."""
    require_choice(nodes)
    said = {"author": author(), "reason": reason, **({"app": app} if app else {})}
    answers, errors = nodes.ask(lambda client: client.delete(path_of("drains", site), said))
    tell(nodes, answers, f"{site} is back", f"gslb node drain {_scope(site, app)}")
    raise_first(errors)


@node.command(epilog="Example: gslb node override drain.json --all")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--node", "url", metavar="https://HOST:PORT", help="One node elsewhere, by its node endpoint.")
@click.option("--ca", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Whose nodes; for --node.")
@ALL
@at_nodes
def override(*, file: Path, url: str | None, ca: Path | None, nodes: Nodes) -> None:
    """Hand a signed override (gslb override sign) to nodes, where it is about mirrors to the edges among them.

    Its signature is its authority: anybody may bring it.
    """
    from gslb.cli.override import is_about_mirrors, read_signed

    signed = read_signed(file)
    if url is not None:
        if nodes.everyone or nodes.socket is not None or ca is None:
            raise click.UsageError("--node needs --ca (trust/ca.pem of any machine), and neither --all nor --socket")
        answers = {url: _over_tls(url, ca).post("/v1/override", signed)}
        errors: Mapping[str, GslbError] = {}
    else:
        require_choice(nodes)
        alone = is_about_mirrors(signed)
        answers, errors = nodes.ask(lambda client: client.post("/v1/override", signed), edges_alone=alone)
    if nodes.as_json:
        click.echo(json.dumps({"nodes": answers, "errors": texts(errors)}, indent=2))
    for name, answer in answers.items() if not nodes.as_json else ():
        click.echo("\n".join(change_lines({**answer, "undo": "gslb override sign, the other way"}, f"at {name}")))
    raise_first(errors)


def _over_tls(url: str, ca: Path) -> Client:
    """Nodes have certificates of the installation's own roots and are no hosts by name; what is handed over is no
    secret, and is signed."""
    return Client(url, tls=TlsFiles(ca=str(ca), any_name=True))


def _scope(site: str, app: str | None) -> str:
    return site if app is None else f"{site} --app {app}"
