"""How problems look on a terminal and as JSON. Only text; nothing is decided or read here."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import click

from gslb.errors import Problem

__all__ = ["as_json", "counted", "problem_text", "status_word", "summary"]


def counted(count: int, noun: str) -> str:
    """`1 error`, `2 errors`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def problem_text(problem: Problem) -> str:
    """Two lines: where and what; what to do. Coloured; `click.echo` takes the colours out where nobody sees them."""
    where = f"{problem.file}:{problem.line}:{problem.column}" if problem.line else problem.file
    colour = "red" if problem.severity == "error" else "yellow"
    head = f"{click.style(where, bold=True)}: {click.style(problem.severity, fg=colour)}"
    return f"{head} [{problem.rule}] {problem.message}\n    {problem.remedy}"


def status_word(status: str | int) -> str:
    """An HTTP status as reports of mirrors have it: `0` is no answer, `-1` one of more statuses than are counted."""
    return {"0": "no answer", "-1": "another"}.get(str(status), str(status))


def summary(problems: Sequence[Problem]) -> str:
    """`3 errors, 1 warning`; empty where there is none."""
    errors = sum(problem.severity == "error" for problem in problems)
    counts = [(errors, "error"), (len(problems) - errors, "warning")]
    return ", ".join(counted(count, noun) for count, noun in counts if count)


def as_json(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    """Every problem as an object with the fields of `Problem`."""
    return [dataclasses.asdict(problem) for problem in problems]
