"""Whether RE2, the engine of the edge, would take a pattern: as far as that can be told without it."""

from __future__ import annotations

import re
import warnings

__all__ = ["re2_refusal"]

_TOKENS = re.compile(
    r"\\(?P<escape>.)"
    r"|\[\^?\]?(?:\[:\w+:\]|\\.|[^\]\\])*\]"
    r"|(?P<group>\(\?(?:<?[=!]|[>(]|P=))"
    r"|\{(?P<count>\d+)"
    r"|(?P<possessive>[*+?}]\+)",
    re.DOTALL,
)
_ONLY_RE2 = re.compile(r"\\[pPzQEC]|\(\?[imsU]+[-)]|\(\?[imsU-]+:|\[\[:|\(\?<\w")
_MAX_COUNT = 1000
_GROUPS = {"(?>": "atomic groups", "(?(": "conditions", "(?P=": "back-references"}


def re2_refusal(pattern: str) -> str | None:
    """Why RE2 would refuse `pattern`; None where it takes it, or where only the edge can tell.

    The source is RE2's own syntax page: no look-around, back-references, atomic or possessive forms, conditions, and no
    count above 1,000. Python's `re` judges the rest, except for the forms that only RE2 has.
    """
    for token in _TOKENS.finditer(pattern):
        refusal = _token_refusal(token)
        if refusal:
            return refusal
    if _ONLY_RE2.search(pattern):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(pattern)
    except re.error as error:
        return str(error)
    except (RecursionError, OverflowError):
        return "it is too complex"
    return None


def _token_refusal(token: re.Match[str]) -> str | None:
    if token["escape"] and token["escape"] in "123456789":
        return "it has no back-references"
    if token["group"]:
        return f"it has no {_GROUPS.get(token['group'], 'look-around')}"
    if token["possessive"]:
        return "it has no possessive repeats"
    if token["count"] and int(token["count"]) > _MAX_COUNT:
        return f"it repeats {_MAX_COUNT:,} times at most"
    return None
