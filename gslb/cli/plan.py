"""`gslb plan`, `apply`, `rollback` and `diff`: seeing what a policy would do, and bringing exactly that into force.
Arguments, questions, files and printing; control plans and applies."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gslb.cli.check import default_folder
from gslb.cli.operate import JSON, SERVER, Wish, author, require_acknowledged, taking
from gslb.cli.plan_file import read_plan_file, write_plan_file
from gslb.cli.printing import problem_text
from gslb.cli.waves import Pace, pacing, say_wave, wait_for_waves
from gslb.control.http.client import Client
from gslb.errors import RefusedError

if TYPE_CHECKING:
    from gslb.plan.text import Line
    from gslb.plan.types import Plan, VersionPlanned

__all__ = ["apply", "diff", "plan", "rollback"]

_COLOURS: Mapping[str, Mapping[str, Any]] = {
    "head": {"bold": True},
    "added": {"fg": "green"},
    "removed": {"fg": "red"},
    "warning": {"fg": "yellow"},
    "refused": {"fg": "red", "bold": True},
}
_REFUSED = 1

_PATH = click.Path(path_type=Path)
_ALLOW = click.option(
    "--allow",
    multiple=True,
    metavar="RULE",
    help="Overrule a guard rail by its name, such as large-move; with --reason.",
)
_REASON = click.option(
    "--reason", default="", metavar="TEXT", help="Why a guard rail is overruled; kept in the history."
)
_YES = click.option("--yes", is_flag=True, help="Do not ask.")
_APP = click.option("--app", metavar="APP", help="Take this app alone; everything else stays as it is in force.")
_MESSAGE = click.option("-m", "--message", metavar="TEXT", help="What it is for; kept with the revision.")


@dataclass(frozen=True, slots=True)
class _Consent:
    """What somebody said beforehand about a change."""

    message: str
    yes: bool
    allow: tuple[str, ...]
    reason: str
    pace: Pace = field(default_factory=Pace)


@click.command()
@click.argument("directory", metavar="[DIR]", type=_PATH, required=False)
@click.option("-o", "--output", metavar="FILE", type=_PATH, help="Write the plan there, for gslb apply.")
@click.option("--markdown", is_flag=True, help="Print Markdown, for a pull request.")
@_APP
@taking(SERVER, JSON)
def plan(*, directory: Path | None, output: Path | None, markdown: bool, app: str | None, wish: Wish) -> None:
    """Show what the policy in DIR would change; nothing changes.

    Per app, group of clients, route and site: which share moves where, what becomes unreachable, how long a dead site
    would be answered, which overrides disagree, and which guard rails refuse it. DIR as for gslb check. Exit code 0:
    nothing refuses it; 1: it is refused, or the policy is wrong; 2: control cannot be asked.

    \b
    Examples:
      gslb plan
      gslb plan policies -o friday.plan
      gslb plan policies --app shop
      gslb plan --markdown > comment.md
    """
    if markdown and wish.as_json:
        raise click.UsageError("--markdown and --json exclude each other")
    policy = _policy_of(directory or default_folder())
    seen, made = _planned(wish.client, {"policy": policy, "app": app})
    if output is not None:
        write_plan_file(output, policy, made)
    if markdown:
        from gslb.plan import markdown as as_markdown

        click.echo(as_markdown(made), nl=False)
    else:
        _show(seen, made, as_json=wish.as_json)
    if made.is_refused:
        raise click.exceptions.Exit(_REFUSED)


@click.command()
@click.argument("source", metavar="DIR|FILE", type=_PATH)
@_MESSAGE
@_YES
@_ALLOW
@_APP
@pacing
@taking(_REASON, SERVER, JSON)
def apply(*, source: Path, app: str | None, pace: Pace, wish: Wish, **said: Any) -> None:
    """Bring the policy in DIR, or the plan in FILE, into force: plan, show, ask, apply exactly that.

    What has changed since the plan was made makes it stale: it is refused (rule stale-plan), and nothing changes. A
    guard rail that refuses is named, and can be overruled by --allow RULE --reason TEXT.

    With several machines the policy goes in waves: one edge, half, all, then name servers likewise. Each bakes; one
    that alarms takes the policy back. The command returns when the first wave is in force.

    \b
    Examples:
      gslb apply policies -m 'checkout to the cloud, first tenth'
      gslb apply friday.plan -m 'as reviewed' --yes
      gslb apply --app shop policies -m 'our new hosts'
      gslb apply policies -m 'new edges' --bake 5m --wait
      gslb apply policies -m 'all of it' --allow large-move --reason 'load test of Tuesday'
    """
    if not said["message"]:
        raise click.UsageError("say what it is for: -m TEXT")
    if pace.all_at_once and not wish.reason:
        raise RefusedError("reason", "the waves are left out without a reason", "say why: --reason TEXT")
    if source.is_file():
        file = read_plan_file(source)
        if app not in (None, file.app):
            raise _other_app(source, file.app)
        wanted, base = {"policy": file.policy, "app": file.app}, (file.base, file.digest)
    else:
        wanted, base = {"policy": _policy_of(source), "app": app}, None
    _bring(wanted, _Consent(reason=wish.reason, pace=pace, **said), wish, base)


@click.command()
@click.argument("revision", metavar="[REV]", type=click.IntRange(1, 0xFFFFFFFF), required=False)
@_MESSAGE
@_YES
@_ALLOW
@_APP
@taking(_REASON, SERVER, JSON)
def rollback(
    *, revision: int | None, message: str | None, yes: bool, allow: tuple[str, ...], app: str | None, wish: Wish
) -> None:
    """Go back to the policy of an earlier revision; default: the one before the present.

    It becomes a new revision. Drains, shifts and measured latencies stay. Going back is always allowed, however much
    moves: of the guard rails only last-site and dnssec-off hold it up. gslb history tells the revisions.

    \b
    Examples:
      gslb rollback
      gslb rollback 41 --yes -m 'errors on /checkout'
      gslb rollback 41 --app shop
    """
    if app is not None and revision is None:
        raise click.UsageError("the revision before may be another app's: say which one, gslb history tells them")
    revision = revision or _previous(wish.client)
    consent = _Consent(message or f"back to revision {revision}", yes, allow, wish.reason)
    _bring({"revision": revision, "app": app}, consent, wish, None)


@click.command()
@click.argument("before", metavar="A", type=click.IntRange(1, 0xFFFFFFFF))
@click.argument("after", metavar="[B]", type=click.IntRange(1, 0xFFFFFFFF), required=False)
@taking(SERVER, JSON)
def diff(*, before: int, after: int | None, wish: Wish) -> None:
    """What lies between the policies of two revisions; default for B: the one in force.

    Who moves, then every difference as a path with the value before and after. Overrides are left aside.

    \b
    Examples:
      gslb diff 41
      gslb diff 38 41 --json
    """
    from gslb.plan import Plan, text_lines

    query = {"before": str(before), "after": None if after is None else str(after)}
    seen = wish.client.get("/v1/diff", query)
    if wish.as_json:
        click.echo(json.dumps(seen, indent=2))
        return
    made = Plan.model_validate(seen["plan"])
    _print(text_lines(made, changes_shown=len(made.changes)))


def _policy_of(folder: Path) -> Mapping[str, Any]:
    """Raises PolicyError; warnings go to standard error."""
    from gslb.model.folder import load_folder

    loaded = load_folder(folder)
    for warning in loaded.warnings:
        click.echo(problem_text(warning), err=True)
    return loaded.policy.model_dump(mode="json")


def _planned(client: Client, wanted: Mapping[str, Any]) -> tuple[Mapping[str, Any], Plan]:
    from gslb.plan import Plan

    seen = client.post("/v1/plan", wanted)
    return seen, Plan.model_validate(seen["plan"])


def _bring(
    wanted: Mapping[str, Any], consent: _Consent, wish: Wish, base: tuple[VersionPlanned | None, str] | None
) -> None:
    """Plan, show, ask, apply. `base` is what a plan in a file was made on, with the digest that it led to."""
    if consent.allow and not consent.reason:
        raise RefusedError("reason", "a guard rail is overruled without a reason", "say why: --reason TEXT")
    client = wish.client
    wanted = {**wanted, "allow": list(consent.allow)}
    seen, made = _planned(client, wanted)
    if base is not None and base != (made.before, made.after.digest):
        raise _stale(client, base[0])
    if made.is_refused or made.is_empty:
        _show(seen, made, as_json=wish.as_json)
        raise click.exceptions.Exit(_REFUSED if made.is_refused else 0)
    if not wish.as_json:
        _show(seen, made, as_json=False)
    _ask(consent)
    answer = client.post(
        "/v1/apply",
        {
            **wanted,
            "base": made.before.model_dump() if made.before else None,
            "digest": made.after.digest,
            "message": consent.message,
            "reason": consent.reason,
            "author": author(),
            **consent.pace.asked(),
        },
    )
    _tell(answer, as_json=wish.as_json)
    if consent.pace.wait and answer["wave"] is not None:
        wait_for_waves(client, answer["wave"])


def _ask(consent: _Consent) -> None:
    if consent.yes:
        return
    if not sys.stdin.isatty():
        raise RefusedError("nobody-to-ask", "this is no terminal, so nobody can say yes", "say it beforehand: --yes")
    if not click.confirm("Apply this?", err=True):
        click.echo("nothing has changed", err=True)
        raise click.exceptions.Exit(_REFUSED)


def _other_app(file: Path, app: str | None) -> RefusedError:
    of = f"the app {app}" if app else "the whole policy"
    remedy = "apply it without --app, or make another one: gslb plan DIR --app APP -o FILE"
    return RefusedError("other-app", f"{file} is a plan of {of}", remedy)


def _stale(client: Client, base: VersionPlanned | None) -> RefusedError:
    """With what has happened since."""
    was = (base.revision, base.overrides) if base else (0, 0)
    since = [
        f"{item['author'] or 'unknown'}: {item['action']} {item['detail']}"
        for item in client.get("/v1/history", {"limit": "20"})["changes"]
        if (item["revision"], item["overrides"]) > was
    ]
    told = "; ".join(reversed(since)) or "an override has ended"
    return RefusedError(
        "stale-plan", f"the plan is not of today, because of what came after it: {told}", "look at a new one: gslb plan"
    )


def _previous(client: Client) -> int:
    snapshot = client.get("/v1/status")["snapshot"]
    if snapshot is None or snapshot["revision"] == 1:
        raise RefusedError("no-earlier", "there is no earlier policy to go back to", "see gslb history")
    return int(snapshot["revision"]) - 1


def _show(seen: Mapping[str, Any], made: Plan, *, as_json: bool) -> None:
    from gslb.plan import text_lines

    if as_json:
        click.echo(json.dumps(seen, indent=2))
    else:
        _print(text_lines(made))


def _print(lines: Iterable[Line]) -> None:
    for line in lines:
        click.echo(click.style(line.text, **_COLOURS.get(line.kind, {})))


def _tell(answer: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(answer, indent=2))
    else:
        was = f" (before: {answer['revision_before']})" if answer["revision_before"] else ""
        click.echo(f"environment {answer['environment']}: revision {answer['snapshot']['revision']} is in force{was}")
        say_wave(answer["wave"])
        if answer["undo"]:
            click.echo(f"to undo: {answer['undo']}")
    require_acknowledged(answer)
