"""Is a difference between old and new more than what the old service differs from itself?

A sampled request has three answers: two of the old service, A and B, and one of the new, C. If new were old, A and C
would differ in a field as often as A and B do; so of the requests in which just one of the two pairs differs, either
pair would have half. Every such request is a bet against that (an e-value, as in Ville 1939): where the new side really
differs `theta` times as often, for a grid of `theta`, how much likelier is what was seen? The average over the grid is
over 1000 by chance once in 1000 fields at most, however often one looks; then it is a difference.
"""

from __future__ import annotations

import math
from typing import Literal

__all__ = ["EVIDENCE", "Verdict", "evidence", "judge", "needed"]

EVIDENCE = 1000.0
"""Above it a difference is one. One field in so many would be called one wrongly, if all were noise."""
_THETAS = (1.5, 2.0, 3.0, 5.0, 8.0, 13.0, 25.0, 40.0)

Verdict = Literal["difference", "noise", "unsettled", "unmeasured"]
"""`unmeasured`: it was seen, and the noise of the old side was not looked at. `unsettled`: too few requests."""


def evidence(only_new: int, only_old: int) -> float:
    """How much speaks for a difference: `only_new` requests in which old and new differed and old and old did not,
    `only_old` the other way round. 1: nothing does."""
    logs = [only_new * math.log(2 * theta / (1 + theta)) + only_old * math.log(2 / (1 + theta)) for theta in _THETAS]
    highest = max(logs)
    total = highest + math.log(sum(math.exp(value - highest) for value in logs)) - math.log(len(logs))
    return math.exp(min(total, 700.0))


def judge(seen: int, both: int, only_new: int, only_old: int) -> Verdict:
    """`seen`: pairs of old and new that differed, measured or not; the others are of requests with a second old answer:
    both pairs differed, only one did."""
    if evidence(only_new, only_old) > EVIDENCE:
        return "difference"
    if both or only_old:
        return "noise"
    if only_new:
        return "unsettled"
    return "unmeasured" if seen else "noise"


def needed(only_new: int) -> int:
    """How many more requests like the `only_new` that were seen would settle it, if the old side never differs."""
    more = 0
    while evidence(only_new + more, 0) <= EVIDENCE:
        more += 1
    return more
