"""What commands that look at the outside world share: their options, their policy, their progress, their findings."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from gslb.cli.printing import counted
from gslb.cli.server import SERVER, client_of
from gslb.model.policy import Policy

__all__ = ["JSON", "POLICY", "PORT", "RESOLVER", "SERVER", "finding_lines", "policy_of", "progress", "verdict"]

POLICY = click.option(
    "--policy",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Compare with the policy in this folder, instead of the one in force.",
)
PORT = click.option(
    "--port",
    metavar="N",
    type=click.IntRange(1, 65535),
    default=53,
    show_default=True,
    help="Where authoritative servers listen; a lab's may differ.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")

_COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}


def _resolver(_context: click.Context, _option: click.Parameter, value: str | None) -> tuple[str, int] | None:
    from gslb.outside.asking import parse_resolver

    try:
        return None if value is None else parse_resolver(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


RESOLVER = click.option(
    "--resolver",
    metavar="ADDRESS[:PORT]",
    callback=_resolver,
    help="The recursive resolver to find things with. Default: this machine's.",
)


def policy_of(folder: Path | None, server: str | None) -> tuple[Policy, int | None]:
    """The policy in `folder`, or the one in force with its revision. Raises PolicyError, RefusedError, HostError."""
    if folder is not None:
        from gslb.model.folder import load_folder

        return load_folder(folder).policy, None
    told = client_of(server).get("/v1/policy")
    return Policy.model_validate(told["policy"]), int(told["revision"])


@contextlib.contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Shows what is being done, where a person looks at standard error."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True).status("asking") as status:
        yield lambda text: status.update(escape(text))


def finding_lines(finding: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong, where, and what to do."""
    head = click.style(finding["severity"], fg=_COLOURS[finding["severity"]])
    yield f"{head} [{finding['rule']}] {finding['message']}"
    if finding["where"]:
        yield f"    at {', '.join(finding['where'])}"
    yield f"    {finding['remedy']}"


def verdict(findings: Iterable[Mapping[str, Any]], good: str) -> str:
    """`2 errors, 1 note`; `good` where there are no errors, with the rest behind it."""
    severities = [finding["severity"] for finding in findings]
    kinds = [(severities.count(kind), kind) for kind in _COLOURS]
    counts = ", ".join(counted(count, kind) for count, kind in kinds if count)
    if "error" in severities:
        return click.style(counts, fg="red")
    return click.style(good, fg="green") + (f" ({counts})" if counts else "")
