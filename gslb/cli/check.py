"""`gslb init`, `gslb check` and `gslb schema`: writing a policy. Arguments and printing only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from gslb.cli.printing import as_json, counted, problem_text, summary
from gslb.errors import HostError, PolicyError, Problem, RefusedError
from gslb.model.folder import load_folder
from gslb.model.hosts import aliases
from gslb.model.policy import Policy
from gslb.model.reader import Loaded
from gslb.model.schema import policy_schema
from gslb.model.starter import STARTER

__all__ = ["check", "default_folder", "init", "schema"]

_DEFAULT = "policies"
_FOLDER = click.Path(path_type=Path)


def default_folder() -> Path:
    """The folder that is meant where none is named: this one if it holds *.yaml files, else ./policies."""
    here = Path()
    return here if any(here.glob("*.yaml")) else Path(_DEFAULT)


@click.command()
@click.argument("directory", metavar="[DIR]", type=_FOLDER, required=False)
@click.option("--json", "json_output", is_flag=True, help="Print {ok, problems, digest, aliases} instead of text.")
def check(directory: Path | None, json_output: bool) -> None:
    """Say whether the policy in DIR is good, and what to correct.

    Every *.yaml directly in DIR is read as one policy. DIR is the current folder where that holds *.yaml files, else
    ./policies. All problems are shown at once, each as FILE:LINE:COLUMN with what to write instead. Exit code 0: good,
    perhaps with warnings; 1: not good.

    For each host of an app that lies in none of the zones, the CNAME record to write in its own zone is told.

    \b
    Examples:
      gslb check
      gslb check policies/blue-green
      gslb check --json policies | jq .problems
    """
    folder = directory or default_folder()
    loaded: Loaded | None = None
    try:
        loaded = load_folder(folder)
        problems = loaded.warnings
    except PolicyError as error:
        problems = tuple(error.problems)
    if json_output:
        click.echo(json.dumps(_as_json(loaded, problems), indent=2))
    else:
        for problem in problems:
            click.echo(problem_text(problem))
        click.echo(_verdict(folder, loaded, summary(problems)))
        for name, target in aliases(loaded.policy) if loaded else ():
            click.echo(f"{name} lies in no zone here; write in its own zone: {name}. CNAME {target}.")
    if loaded is None:
        raise click.exceptions.Exit(1)


def _as_json(loaded: Loaded | None, problems: Sequence[Problem]) -> dict[str, Any]:
    return {
        "ok": loaded is not None,
        "problems": as_json(problems),
        "digest": loaded.digest if loaded else None,
        "aliases": dict(aliases(loaded.policy)) if loaded else {},
    }


def _verdict(folder: Path, loaded: Loaded | None, found: str) -> str:
    if loaded is None:
        return click.style(f"{found} in {folder}", fg="red")
    warned = f" ({found})" if found else ""
    return f"{folder}: {click.style('good', fg='green')}{warned}. {_contents(loaded.policy)}"


def _contents(policy: Policy) -> str:
    routes = sum(len(app.routes) for app in policy.apps.values())
    zones = 1 + len(policy.zones)
    counts = ((zones, "zone"), (len(policy.sites), "site"), (len(policy.apps), "app"), (routes, "route"))
    return ", ".join(counted(count, noun) for count, noun in counts)


@click.command()
@click.argument("directory", metavar="[DIR]", type=_FOLDER, default=Path(_DEFAULT))
def init(directory: Path) -> None:
    """Write a commented starter policy to DIR/policy.yaml (default: ./policies).

    Nothing is overwritten: a folder that already holds a policy is refused.

    \b
    Examples:
      gslb init
      gslb init policies/staging
    """
    path = directory / "policy.yaml"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        present = sorted(directory.glob("*.yaml"))
        if present:
            raise RefusedError("exists", f"{present[0]} is already there", "name another folder: gslb init DIR")
        with path.open("x", encoding="utf-8") as file:
            file.write(STARTER)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise HostError(
            f"{path} cannot be written: {reason}", "name a folder that you can write: gslb init DIR"
        ) from None
    click.echo(f"Wrote {path}.\n\nNext:\n  edit {path}\n  gslb check {directory}\n  gslb run {directory}")


@click.command()
def schema() -> None:
    """Print the JSON Schema (draft 2020-12) of a policy.

    Editors that know the YAML language server take it from a first line such as
    `# yaml-language-server: $schema=gslb.schema.json`.

    \b
    Example:
      gslb schema > gslb.schema.json
    """
    click.echo(json.dumps(policy_schema(), indent=2))
