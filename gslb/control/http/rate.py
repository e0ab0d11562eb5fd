"""How often somebody may change something: a bucket of allowances for each caller. Pure."""

from __future__ import annotations

import math

from gslb.errors import RefusedError

__all__ = ["Rate", "TooManyError"]

PER_S = 5.0
BURST = 30
"""A person or a pipeline never gets there; a loop that has gone wild does at once."""


class TooManyError(RefusedError):
    """Too many changes in a short time. `wait_s`, whole seconds, is when the next may come."""

    def __init__(self, name: str, wait_s: int) -> None:
        super().__init__("rate", f"{name} asks for more than {PER_S:g} changes a second", f"wait {wait_s} s")
        self.wait_s = wait_s


class Rate:
    """`BURST` changes at once, and `PER_S` more each second, for each name. Names are those of tokens, which are
    few."""

    def __init__(self) -> None:
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, name: str, mono_s: float) -> None:
        """One change. Raises TooManyError."""
        left, at_s = self._left.get(name, (float(BURST), mono_s))
        left = min(float(BURST), left + (mono_s - at_s) * PER_S)
        if left < 1:
            raise TooManyError(f"the token {name}", math.ceil((1 - left) / PER_S))
        self._left[name] = left - 1, mono_s
