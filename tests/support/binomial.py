"""Exact bounds for counts of a binomial draw, so that a test of a share fails by chance once in a billion runs."""

from __future__ import annotations

import math

ONCE_IN = 1e-9


def bounds(n: int, p: float, alpha: float = ONCE_IN) -> tuple[int, int]:
    """The smallest and largest k between which a Binomial(n, p) count falls with probability 1 - alpha."""
    if p in (0.0, 1.0):
        return round(n * p), round(n * p)
    weights = [
        math.exp(
            math.lgamma(n + 1)
            - math.lgamma(k + 1)
            - math.lgamma(n - k + 1)
            + k * math.log(p)
            + (n - k) * math.log1p(-p)
        )
        for k in range(n + 1)
    ]
    low, tail = 0, weights[0]
    while tail < alpha / 2:
        low += 1
        tail += weights[low]
    high, tail = n, weights[n]
    while tail < alpha / 2:
        high -= 1
        tail += weights[high]
    return low, high


def assert_share(count: int, n: int, p: float) -> None:
    low, high = bounds(n, p)
    assert low <= count <= high, f"{count} of {n} is {count / n:.3%}, outside {low}..{high} of a share of {p:.2%}"
