"""`gslb latency`: measured latencies from a machine that measures, without an edit of the policy. Arguments, reading of
the file, and printing."""

from __future__ import annotations

import json
from typing import Any

import click

from gslb.cli.operate import JSON, REASON, SERVER, Wish, author, taking, tell
from gslb.cli.tables import add_row, console, new_table
from gslb.errors import PolicyError, Problem

__all__ = ["latency"]

_PATH = "/v1/latency"


@click.group()
def latency() -> None:
    """Round-trip times from networks of clients to sites, for the filter `latency`.

    What is set here takes the place of the policy's `latency`, as a whole, until it is cleared; edits of the policy do
    not touch it.
    """


@latency.command("set")
@click.argument("file", metavar="FILE|-", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@taking(REASON, SERVER, JSON)
def set_latency(*, file: str, wish: Wish) -> None:
    """Steer by the latencies in FILE.

    FILE, or standard input, is YAML or JSON: from network to site to time. At most 8 MiB of JSON, about 100,000
    networks. A wrong network, a site that the policy does not have or a time without its unit changes nothing.

    \b
    Examples:
      gslb latency set measured.yaml --reason 'probes of this morning'
      echo '{"203.0.113.0/24": {"dc": "12ms", "aws": "80ms"}}' | gslb latency set -
    """
    with click.open_file(file, "rb") as opened:
        measured = _read("standard input" if file == "-" else file, opened.read())
    wanted = {"latency": measured, "reason": wish.reason, "author": author()}
    tell(wish.client.put(_PATH, wanted), "latencies", as_json=wish.as_json)


@latency.command(epilog="Example: gslb latency show --json")
@taking(SERVER, JSON)
def show(*, wish: Wish) -> None:
    """The latencies in force, and whose they are."""
    seen = wish.client.get(_PATH)
    if wish.as_json:
        click.echo(json.dumps(seen, indent=2))
        return
    sites = sorted({site for times in seen["latency"].values() for site in times})
    said = f"measured by {seen['author'] or 'unknown'} at {seen['at']}" if seen["source"] == "api" else "the policy's"
    table = new_table(f"Latencies: {said} {seen['reason']}".rstrip(), "network", *sites)
    for network, times in seen["latency"].items():
        add_row(table, network, *(times.get(site, "-") for site in sites))
    console().print(table)


@latency.command(epilog="Example: gslb latency clear --reason 'the probes are broken'")
@taking(REASON, SERVER, JSON)
def clear(*, wish: Wish) -> None:
    """Steer by the policy's latencies again."""
    answer = wish.client.delete(_PATH, {"author": author(), "reason": wish.reason})
    tell(answer, "latencies of the policy", as_json=wish.as_json)


def _read(name: str, data: bytes) -> Any:
    """One mapping. JSON is tried first: it is quick, and large maps come from machines. Raises PolicyError."""
    try:
        read = json.loads(data)
    except ValueError:
        read = _read_yaml(name, data)
    if not isinstance(read, dict):
        problem = (1, 1, "not-a-mapping", "this is no mapping", "write NETWORK: {SITE: 12ms}")
        raise PolicyError([Problem(name, *problem)])
    return read


def _read_yaml(name: str, data: bytes) -> Any:
    from gslb.model.tree import plain
    from gslb.model.yaml_reader import read_yaml

    documents = read_yaml(name, data)
    if documents.problems:
        raise PolicyError(documents.problems)
    return plain(documents.roots[0]) if len(documents.roots) == 1 else None
