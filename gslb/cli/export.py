"""`gslb export`: zones as files for somebody else's DNS servers. Arguments, files and printing only."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from gslb.cli.operate import JSON, SERVER, Wish, taking
from gslb.errors import HostError

__all__ = ["export"]

Ask = Callable[[str | None], Mapping[str, Any]]
"""The export of a zone, by its name; None: the one that bare hosts stand in."""


def _ttl(_context: click.Context, _option: click.Parameter, text: str | None) -> int | None:
    from gslb.model.words import parse_duration

    try:
        return None if text is None else max(1, round(parse_duration(text)))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command()
@click.argument("directory", metavar="[DIR]", type=click.Path(path_type=Path), required=False)
@click.option("--zone-file", is_flag=True, help="A standard zone file (RFC 1035), which every DNS server reads.")
@click.option("--zone", metavar="NAME", help="Which zone.  [default: the policy's zone; with -o all]")
@click.option("-o", "--output", metavar="FOLDER", type=click.Path(path_type=Path, file_okay=False),
              help="Write NAME.zone there, each file whole in the place of the one before.")  # fmt: skip
@click.option("--ttl", "ttl_s", metavar="TIME", callback=_ttl, help="Of steered names.  [default: theirs, 30s to 300s]")
@click.option("--unsigned", is_flag=True, help="Also a zone that is signed here; the file is not.")
@taking(SERVER, JSON)
def export(
    *, directory: Path | None, zone_file: bool, output: Path | None, zone: str | None, wish: Wish, **how: Any
) -> None:
    """Print zones as they are answered now, for a second DNS provider that cannot steer.

    A file says the same to everybody: where clients are drawn by weight it has the sites with at least half of the
    largest share, and says which ones it leaves out. With DIR: of the policy in that folder, with every site healthy.

    \b
    Examples:
      gslb export --zone-file
      gslb export --zone-file -o /var/lib/provider --ttl 60s
      gslb export policies --zone-file --zone gslb.example.com
    """
    if not zone_file:
        raise click.UsageError("say as what: --zone-file")
    ask = _of_folder(directory, how) if directory else _of_server(wish, how)
    first = ask(zone)
    names = [first["zone"]] if zone or output is None else first["zones"]
    made = [first if name == first["zone"] else ask(name) for name in names]
    for seen in made:
        if output is not None:
            _write(output, seen)
        elif not wish.as_json:
            click.echo(seen["text"], nl=False)
        _note(seen)
    if wish.as_json:
        click.echo(json.dumps({"zones": made}, indent=2))


def _of_server(wish: Wish, how: Mapping[str, Any]) -> Ask:
    client = wish.client
    common = {"ttl_s": how["ttl_s"] and str(how["ttl_s"]), "unsigned": "true" if how["unsigned"] else None}
    return lambda zone: client.get("/v1/zone-file", {"zone": zone, **common})


def _of_folder(folder: Path, how: Mapping[str, Any]) -> Ask:
    from gslb import clock
    from gslb.control.bodies.export_messages import ZoneFileQuery
    from gslb.control.zone_export import zone_file
    from gslb.model.folder import load_folder
    from gslb.snapshot import compile_snapshot
    from gslb.snapshot.intent import Intent
    from gslb.snapshot.types import LiveState

    wall_s = clock.wall_s()
    snapshot = compile_snapshot(Intent(revision=1, policy=load_folder(folder).policy), wall_s)
    return lambda zone: zone_file(snapshot, LiveState(), ZoneFileQuery(zone=zone, **how), wall_s)


def _write(folder: Path, seen: Mapping[str, Any]) -> None:
    """A server that reads it meanwhile sees the one before or this one."""
    path = folder / f"{seen['zone']}.zone"
    beside = path.with_suffix(".zone.new")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with beside.open("w") as file:
            file.write(seen["text"])
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise HostError(f"{path} cannot be written: {error.strerror}", "name a folder that you may write: -o") from None


def _note(seen: Mapping[str, Any]) -> None:
    for item in seen["flattened"]:
        sites, left = ", ".join(item["sites"]) or "none", ", ".join(item["left_out"])
        click.echo(f"{item['name']}: {sites}; left out: {left}", err=True)
