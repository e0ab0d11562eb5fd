"""What a check of the outside world finds wrong, and what to do about it. Only the form; each check knows its rules.

Pure, as the judges that make findings are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Finding", "as_json", "error", "is_bad", "merged", "note", "printable", "warning"]

_ORDER = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class Finding:
    """`rule` is a stable id, for scripts. `where` are the servers that show it, empty: all or none in particular."""

    severity: Literal["error", "warning", "note"]
    rule: str
    message: str
    remedy: str
    where: tuple[str, ...] = ()


def error(rule: str, message: str, remedy: str, *where: str) -> Finding:
    """What must be put right."""
    return Finding("error", rule, message, remedy, where)


def warning(rule: str, message: str, remedy: str, *where: str) -> Finding:
    """What works, and will hurt some day."""
    return Finding("warning", rule, message, remedy, where)


def note(rule: str, message: str, remedy: str, *where: str) -> Finding:
    """What could not be looked at, or is good to know."""
    return Finding("note", rule, message, remedy, where)


def merged(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Those that say the same in one, with all their servers; errors first, else in the order given."""
    places: dict[Finding, dict[str, None]] = {}
    for finding in findings:
        places.setdefault(dataclasses.replace(finding, where=()), {}).update(dict.fromkeys(finding.where))
    joined = [dataclasses.replace(finding, where=tuple(where)) for finding, where in places.items()]
    return tuple(sorted(joined, key=lambda finding: _ORDER.index(finding.severity)))


def is_bad(findings: Iterable[Finding]) -> bool:
    """Whether one of them must be put right before all is well."""
    return any(finding.severity == "error" for finding in findings)


def printable(text: str) -> str:
    """What others wrote, without what would reach somebody's terminal as a command."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def as_json(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Every finding as an object with the fields of `Finding`."""
    return [dataclasses.asdict(finding) | {"where": list(finding.where)} for finding in findings]
