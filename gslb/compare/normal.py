"""What is made alike before two answers are compared: times, ids, what a pattern matches, the order of lists."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import re2

from gslb.compare.rules import covers
from gslb.snapshot.routing import Normal

__all__ = ["Normaliser"]

_TIMES = re.compile(
    r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?(?:Z|[+-]\d{2}:?\d{2}))?)?"  # RFC 3339
    r"|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4}"
    r" \d{2}:\d{2}:\d{2} GMT"  # RFC 9110 section 5.6.7
    r"|\b1\d{9}(?:\d{3}){0,3}(?:\.\d+)?\b"  # Unix seconds, and smaller units, from 2001 to 2033
)
_IDS = re.compile(
    r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"  # RFC 9562
    r"|\b[0-9a-fA-F]{16,}\b"  # trace ids, digests
    r"|\b[0-7][0-9A-HJKMNP-TV-Z]{25}\b"  # ULIDs
)
_EPOCHS = ((1e9, 2e9), (1e12, 2e12), (1e15, 2e15), (1e18, 2e18))
_BLANK = "\N{BULLET}"


class Normaliser:
    """By the rules of one comparison."""

    def __init__(self, rules: Sequence[Normal]) -> None:
        self._rules = rules

    def text(self, path: str, text: str) -> str:
        """`text` without what may differ at `path`."""
        for rule in self._rules:
            if rule.kind == "sorted" or not covers((rule.path,), path):
                continue
            pattern = {"timestamps": _TIMES, "ids": _IDS}.get(rule.kind) or _compiled(rule.pattern)
            text = pattern.sub(_BLANK, text)
        return text

    def alike(self, path: str, old: Any, new: Any) -> bool:
        """Whether two different numbers at `path` count as equal."""
        return any(
            (rule.kind == "timestamps" and _is_time(old) and _is_time(new))
            or (
                rule.kind == "regex"
                and bool(_compiled(rule.pattern).fullmatch(str(old)))
                and bool(_compiled(rule.pattern).fullmatch(str(new)))
            )
            for rule in self._rules
            if covers((rule.path,), path)
        )

    def is_sorted(self, path: str) -> bool:
        """Whether the order of the list at `path` does not count."""
        return any(rule.kind == "sorted" and covers((rule.path,), path) for rule in self._rules)


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and any(low <= value < high for low, high in _EPOCHS)


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> Any:
    """Linear in time, whatever an answer holds: RE2."""
    return re2.compile(pattern)
