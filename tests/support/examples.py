"""How many examples a property is tried with."""

from __future__ import annotations

import os

EFFORT = float(os.environ.get("PROPERTY_EFFORT", "0.25"))
"""1 is the whole of it (`make properties`), which draws anew each time. Less is quick and draws the same each time."""


def examples(whole: int) -> int:
    """The number of examples at this effort, 10 at least."""
    return max(10, round(whole * EFFORT))
