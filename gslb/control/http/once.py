"""What makes a repeated request harmless: answers kept by the key that came with them (Idempotency-Key). Pure.

Kept in memory alone: after a restart of control a key is new again. Only what succeeded is kept, because a request that
was refused has changed nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from gslb.errors import RefusedError

__all__ = ["BusyKeyError", "Kept", "Once", "OtherRequestError"]

LASTING_S = 86_400.0
LIMIT = 1000
"""Answers of a few KiB each. When there are more, the oldest is forgotten."""

Key = tuple[str, str]
"""Who asked, and the key: callers do not see each other's."""


class BusyKeyError(RefusedError):
    """The first request with the key is still under way."""


class OtherRequestError(RefusedError):
    """The key came with another request before."""


@dataclass(slots=True)
class Kept:
    """`content` None: under way. `tag` is the answer's ETag."""

    request: bytes
    since_s: float
    content: bytes | None = None
    tag: str = ""


class Once:
    """The answers of `LASTING_S`, at most `LIMIT` of them."""

    def __init__(self) -> None:
        self._kept: dict[Key, Kept] = {}

    def begin(self, key: Key, request: bytes, mono_s: float) -> Kept | None:
        """The answer that the same request had; None: it is new, and must be ended by `done` or `failed`. `request`
        tells requests apart, such as a hash.

        Raises OtherRequestError and BusyKeyError.
        """
        self._forget(mono_s)
        kept = self._kept.get(key)
        if kept is None:
            self._kept[key] = Kept(request, mono_s)
            return None
        if kept.request != request:
            raise OtherRequestError(
                "idempotency-key", "this Idempotency-Key came with another request before", "use a new key"
            )
        if kept.content is None:
            raise BusyKeyError(
                "idempotency-key", "the first request with this Idempotency-Key is still under way", "ask again later"
            )
        return kept

    def done(self, key: Key, content: bytes, tag: str) -> None:
        """The request succeeded with this answer."""
        self._kept[key].content, self._kept[key].tag = content, tag

    def failed(self, key: Key) -> None:
        """The request changed nothing, and may be tried again."""
        del self._kept[key]

    def _forget(self, mono_s: float) -> None:
        """Those that are over, and the oldest where there are too many; what is under way stays."""
        ended = [key for key, kept in self._kept.items() if kept.content is not None]
        over = [key for key in ended if mono_s - self._kept[key].since_s >= LASTING_S]
        for key in over or ended[: max(0, len(self._kept) - LIMIT + 1)]:
            del self._kept[key]
