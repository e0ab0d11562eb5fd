"""What a command says without asking anybody: from a policy folder, or from what a node keeps on its disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from pydantic import ValidationError

from gslb import clock
from gslb.errors import HostError

if TYPE_CHECKING:
    from gslb.snapshot.intent import Intent

__all__ = ["OFFLINE", "explain_offline"]

OFFLINE = click.option(
    "--offline",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Ask nobody: from the policy in DIR, or from what a node keeps, such as /var/lib/gslb/edge-dc.",
)


def explain_offline(folder: Path, asked: Mapping[str, Any]) -> dict[str, Any]:
    """As `GET /v1/explain` would answer, with verdicts and loads unknown. Raises GslbError."""
    from gslb.control.bodies.messages import ExplainQuery
    from gslb.control.explain import explain
    from gslb.snapshot import compile_snapshot

    try:
        query = ExplainQuery.model_validate({name: value for name, value in asked.items() if value is not None})
    except ValidationError as error:
        item = error.errors()[0]
        raise click.UsageError(f"{'.'.join(map(str, item['loc']))}: {item['msg']}") from None
    wall_s = clock.wall_s()
    intent, note = _intent(folder)
    seen = explain((intent, compile_snapshot(intent, wall_s)), {}, {}, query, wall_s)
    return {**seen, "notes": [f"offline, {note}; verdicts and loads are unknown"]}


def _intent(folder: Path) -> tuple[Intent, str]:
    """What is meant by `folder`, and where it comes from."""
    if (folder / "generations").is_dir():
        return _kept(folder)
    from gslb.model.folder import load_folder
    from gslb.snapshot.intent import Intent

    return Intent(revision=1, policy=load_folder(folder).policy), f"by the policy in {folder} without overrides"


def _kept(folder: Path) -> tuple[Intent, str]:
    """The newest generation that reads, and over it what was done at the node itself. That the one was signed is the
    node's to look at, before it serves it."""
    from gslb.roles.keeping.broken_glass import GlassFile, over, still_stands
    from gslb.roles.keeping.generation_files import GenerationFiles
    from gslb.roles.keeping.offers import kept_offer

    files = GenerationFiles(folder)
    for generation in files.load().generations:
        body = files.read(generation)
        if body is None:
            continue
        try:
            intent = kept_offer(body).bundle.intent()
        except (ValueError, LookupError, TypeError, AttributeError):
            continue
        where = f"by revision {intent.revision}.{intent.overrides.version} as {folder.name} keeps it"
        glass = GlassFile(folder).read()
        if glass is None or not still_stands(glass, generation.applied):
            return intent, where
        return over(intent, glass), f"{where}, with what was done there: {', '.join(d.did for d in glass.deeds)}"
    raise HostError(f"{folder} holds no generation that can be read", "name another node's folder, or a policy folder")
