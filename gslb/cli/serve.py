"""`gslb run` and `gslb demo`: starting an installation. Arguments and printing only."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import click

from gslb.cli.dns_options import ADDRESS, dns_options, take_dns_options
from gslb.cli.operate import seconds
from gslb.control.http.client import runtime_folder
from gslb.errors import HostError

__all__ = ["demo", "run"]


_runtime = click.option(
    "--runtime",
    type=click.Path(path_type=Path, file_okay=False),
    default=runtime_folder,
    help="Folder of the sockets and locks.  [default: /run/gslb, or $GSLB_RUNTIME]",
)
_envoy = click.option("--envoy", metavar="FILE", help="Envoy binary to run.  [default: the one that came with gslb]")
_logs = click.option(
    "--log-format", type=click.Choice(("text", "json")), default=None, help="On stderr.  [default: text on a terminal]"
)


def _store(_context: click.Context, _option: click.Parameter, url: str) -> str:
    """Where the store is, if that can be understood."""
    from gslb.store import SQLITE
    from gslb.store.etcd_url import parse_url

    if url != SQLITE:
        try:
            parse_url(url)
        except HostError as error:
            raise click.BadParameter(f"{error.message}; {error.remedy}") from None
    return url


_FILE = click.Path(path_type=Path, dir_okay=False, resolve_path=True)
_FOLDER = click.Path(path_type=Path, file_okay=False, exists=True, resolve_path=True)


def _reachable(context: click.Context, _option: click.Parameter, address: tuple[str, int]) -> tuple[str, int]:
    """Where the API is to be served. Whether it may be shows once the data folder is known."""
    certificate, key = context.params.get("api_cert"), context.params.get("api_key")
    if (certificate is None) != (key is None):
        raise click.UsageError("--api-cert and --api-key belong together")
    return address


def _git(_context: click.Context, _option: click.Parameter, text: str | None) -> str | None:
    from gslb.roles.publishing.git import parse_source

    if text is None:
        return None
    try:
        source = parse_source(text)
    except HostError as error:
        raise click.BadParameter(f"{error.message}; {error.remedy}") from None
    here = Path(source.repository)
    return text if not here.is_dir() else str(dataclasses.replace(source, repository=str(here.absolute())))


def _interval(_context: click.Context, _option: click.Parameter, text: str) -> float:
    from gslb.model.words import parse_duration

    try:
        return max(1.0, parse_duration(text))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _log_format(given: str | None) -> str:
    return given or ("text" if sys.stderr.isatty() else "json")


@click.command()
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="Keep the data here.  [default: fresh]")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON on stdout when everything is ready.")
@_runtime
@_envoy
@_logs
def demo(**options: Any) -> None:
    """Run everything on loopback: DNS, two Envoy edges and tiny backends.

    DIR is a policy folder to run instead of the demo's own; it is watched, so that an edit is live in a second.

    \b
    Examples:
      gslb demo
      gslb demo policies/demo --data /tmp/gslb-data
    """
    from gslb.demo.run import Demo, demo_policy

    folder = options["folder"] or demo_policy()
    settings = Demo(folder, options["runtime"], options["data"], options["envoy"], _log_format(options["log_format"]))

    def tell(facts: dict[str, Any]) -> None:
        click.echo(json.dumps(facts) if options["as_json"] else _what_to_try(facts))

    asyncio.run(settings.run(tell))


@click.command()
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@click.option("--roles", metavar="ROLES", help="Which roles to run here, with commas.  "
              "[default: control,dns,edge, or as this machine joined]")  # fmt: skip
@click.option("--site", "sites", multiple=True, metavar="NAME", help="Whose edge to run here.  [default: every site's]")
@click.option("--watch", is_flag=True, help="Follow DIR: publish every change that is whole and valid.")
@click.option("--git", metavar="REPO[#[BRANCH][:DIR]]", callback=_git, help="Follow the policy in a git repository: "
              "each new commit is in force, or is refused as a whole.")  # fmt: skip
@click.option("--git-verify", type=_FILE, metavar="FILE", help="Take only commits that these keys have signed: OpenPGP "
              "public keys, or ssh's allowed signers.")  # fmt: skip
@click.option("--git-interval", metavar="TIME", default="60s", show_default=True, callback=_interval,
              help="How often to ask the repository.")  # fmt: skip
@click.option("--dns", multiple=True, type=ADDRESS, help="Where to answer DNS.  [default: 0.0.0.0:53 and [::]:53]")
@click.option("--api", type=ADDRESS, default="127.0.0.1:8053", show_default=True, callback=_reachable,
              help="Where to serve the API. Beyond loopback it needs a certificate, and from all a token.")  # fmt: skip
@click.option("--node", type=ADDRESS, help="Where other machines reach the nodes here: the first of consecutive ports. "
              "[default: as this machine joined]")  # fmt: skip
@click.option("--api-cert", type=_FILE, metavar="FILE", is_eager=True, help="The API's certificate, with its chain.")
@click.option("--api-key", type=_FILE, metavar="FILE", is_eager=True, help="The key of that certificate.")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), default="/var/lib/gslb", show_default=True,
              help="Folder of everything that must survive a restart.")  # fmt: skip
@click.option("--store", metavar="URL", default="sqlite", show_default=True, callback=_store,
              help="Where policies, overrides and history rest: a file in the data folder, or an etcd.")  # fmt: skip
@click.option("--bake", "bake_s", metavar="TIME", default="30s", show_default=True, callback=seconds,
              help="How long each wave of a followed policy is watched, with several machines.")  # fmt: skip
@dns_options
@click.option("--geo", type=click.Path(path_type=Path, dir_okay=False, resolve_path=True), metavar="FILE",
              help="Database of places (.mmdb) for the filter geo; read anew when it is replaced.")  # fmt: skip
@click.option("--check-commands", type=_FOLDER, metavar="DIR",
              help="Where programs stand that checks may run.  [default: none is ever run]")  # fmt: skip
@click.option("--check-secrets", type=_FOLDER, metavar="DIR",
              help="Where the certificates, keys and tokens stand that checks name.")  # fmt: skip
@click.option("--dnssec-secret", type=click.Path(path_type=Path, dir_okay=False, resolve_path=True), metavar="FILE",
              help="What DNSSEC keys are sealed under.  [default: dnssec.secret in the data folder]")  # fmt: skip
@click.option("--certificates", type=click.Path(path_type=Path, file_okay=False, resolve_path=True), metavar="DIR",
              help="Certificates and keys for clients; read anew when they are replaced."
              "  [default: certificates in the data folder]")  # fmt: skip
@click.option("--concurrency", type=click.IntRange(1, 256), help="Worker threads of an Envoy.  [default: one per core]")
@_runtime
@_envoy
@_logs
def run(**options: Any) -> None:
    """Run an installation on this machine with the policy in DIR.

    Without DIR the policy in the data folder goes on. SIGTERM stops gslb and leaves the Envoys serving, to be adopted
    by the next start; Ctrl-C ends them too.

    \b
    Examples:
      gslb run policies --watch
      gslb run --git https://git.example.com/traffic.git#main:policies
      gslb run policies --dns 127.0.0.1:5300 --data ./data --runtime ./run
      gslb run policies --api 10.0.0.4:8053 --api-cert api.pem --api-key api.key
      gslb run policies --site dc --store etcd://10.0.0.1:2379,10.0.0.2:2379,10.0.0.3:2379/gslb
    """
    from gslb.control.http.access import require_guarded
    from gslb.roles.installation import run_installation
    from gslb.trust.identity_files import read_machine, trust_folder

    machine = read_machine(trust_folder(options["data"]))
    if options["roles"] is None and machine is not None:
        options["roles"] = ",".join(machine.roles)
        options["sites"] = options["sites"] or (() if machine.every_site else machine.sites)
    roles = options["roles"] if options["roles"] is not None else "control,dns,edge"
    names = tuple(name.strip() for name in roles.split(",") if name.strip())
    require_guarded(options["api"][0], tls=options["api_cert"] is not None or machine is not None)
    unknown = sorted(set(names) - {"control", "dns", "edge", "observer"})
    if unknown or not names:
        raise click.BadParameter(
            f"{', '.join(unknown) or 'nothing'} is no role; write some of control,dns,edge,observer",
            param_hint="--roles",
        )
    if options["watch"] and not options["folder"]:
        raise click.UsageError("--watch needs the folder to follow: gslb run DIR --watch")
    if options["git"] and options["folder"]:
        raise click.UsageError("--git takes the place of the folder: give one of both")
    if options["git_verify"] and not options["git"]:
        raise click.UsageError("--git-verify belongs to --git")
    taken = (
        "runtime",
        "data",
        "watch",
        "sites",
        "store",
        "geo",
        "check_commands",
        "check_secrets",
        "dnssec_secret",
        "certificates",
        "envoy",
        "git",
        "git_verify",
        "bake_s",
    )
    given = {key: options[key] for key in (*taken, "api", "api_cert", "api_key", "node")}
    given |= {"git_interval_s": options["git_interval"], "bake_s": options["bake_s"]}
    if options["dns"]:
        given["dns"] = options["dns"]
    asyncio.run(
        run_installation(
            folder=options["folder"],
            roles=names,
            envoy_concurrency=options["concurrency"],
            log_format=_log_format(options["log_format"]),
            dns_protocol=take_dns_options(options),
            **given,
        )
    )


def _what_to_try(facts: dict[str, Any]) -> str:
    """The first screen of somebody who has just typed `make run`."""
    dns_host, dns_port = facts["dns"].rsplit(":", 1)
    edges = list(facts["edges"].items())
    host = f"shop.{facts['zone']}"
    edge_lines = "\n".join(f"    edge {name:<8} {', '.join(addresses)}" for name, addresses in edges)
    backend_lines = "\n".join(
        f"    {b['service']} in {b['site']:<8} {b['address']}  (pid {b['pid']})" for b in facts["backends"]
    )
    first_edge = edges[0][1][0] if edges else ""
    gslb = "gslb" if shutil.which("gslb") else os.path.relpath(sys.argv[0])
    tries = [
        (f"dig +short @{dns_host} -p {dns_port} {host}", "a site, by weight"),
        (f"curl -s -H 'Host: {host}' http://{first_edge}/checkout/cart", "a path, by share"),
        (f"{gslb} status", "intended beside observed"),
        (f"{gslb} shift shop/checkout checkout=25", "a quarter to the new service"),
        (f"{gslb} drain dc", "take the data centre out"),
        (f"{gslb} undrain dc", "and put it back"),
        (f"$EDITOR {os.path.relpath(facts['policy'])}/*.yaml", "an edit is live in a second"),
    ]
    return f"""
gslb demo: zone {facts["zone"]} is served, traffic moves.

    DNS           {facts["dns"]} (UDP and TCP)
    API           {facts["api"]}
{edge_lines}
{backend_lines}

Try, in a second terminal:

{_aligned(tries)}

Ctrl-C ends everything.
"""


def _aligned(tries: list[tuple[str, str]]) -> str:
    width = max(len(command) for command, _ in tries)
    return "\n".join(f"    {command:<{width}}   # {why}" for command, why in tries)
