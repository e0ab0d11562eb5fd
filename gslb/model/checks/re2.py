"""Whether RE2, the engine of the edge, takes a pattern: it is asked itself."""

from __future__ import annotations

import re2

__all__ = ["PROGRAM_LIMIT", "REMEDY", "re2_refusal"]

PROGRAM_LIMIT = 4_000
"""Instructions of a compiled pattern as Envoy counts them (its runtime key re2.max_program_size.error_level, 100 unless
it is told). A UUID takes 72, a choice of a hundred words some 600; a match takes time by the text times this."""

REMEDY = "write it in RE2 syntax, and repeat less in it where it is too large"

_QUIET = re2.Options()
_QUIET.log_errors = False
_HINTS = {
    "(?=": "it has no look-around",
    "(?!": "it has no look-around",
    "(?<": "it has no look-around",
    "(?>": "it has no atomic groups",
    "(?(": "it has no conditions",
    "operator: (?P": "it has no back-references",
    "sequence: \\": "it has no back-references",
    "operator: ++": "it has no possessive repeats",
    "operator: *+": "it has no possessive repeats",
    "operator: ?+": "it has no possessive repeats",
    "}+": "it has no possessive repeats",
    "repetition size": "it repeats 1,000 times at most",
}
"""What RE2 says of forms that other engines have, and why."""


def re2_refusal(pattern: str) -> str | None:
    """Why RE2, or the edge's bound on it, would refuse `pattern`; None where it is taken."""
    try:
        size = re2.compile(pattern, _QUIET).programsize
    except UnicodeEncodeError:
        return "it holds half a character"
    except re2.error as error:
        said = error.args[0].decode(errors="replace")
        hint = next((hint for sign, hint in _HINTS.items() if sign in said), "")
        return f"{said} ({hint})" if hint else said
    if size > PROGRAM_LIMIT:
        return f"it is too large: {size:,} instructions, and {PROGRAM_LIMIT:,} are the limit"
    return None
