"""Shares in basis points to Envoy weights. Nothing but arithmetic.

Envoy draws a route's split (`random % total weight`) and its mirrors (`random % 1,000,000`) from the same random
number. With a total that is coprime with a million the two remainders are independent (Chinese remainder theorem), at
every percentage: a 10 % mirror gets 10 % of either side.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["TOTAL_WEIGHT", "to_weights"]

TOTAL_WEIGHT = 1_000_003
"""A prime. Constant, so that a sticky draw (`hash % total`) keeps its place on the line when shares change."""


def to_weights(shares_bp: Sequence[int]) -> tuple[int, ...]:
    """Weights in the order of `shares_bp` that add up to exactly TOTAL_WEIGHT (largest remainders); 0 stays 0. At
    least one share is positive."""
    whole = sum(shares_bp)
    weights = [share * TOTAL_WEIGHT // whole for share in shares_bp]
    by_remainder = sorted(range(len(shares_bp)), key=lambda i: (-(shares_bp[i] * TOTAL_WEIGHT % whole), i))
    for index in by_remainder[: TOTAL_WEIGHT - sum(weights)]:
        weights[index] += 1
    return tuple(weights)
