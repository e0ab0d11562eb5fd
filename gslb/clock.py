"""The only module that reads a clock. Pure modules take `mono_s` or `wall_s` as arguments instead."""

from __future__ import annotations

import time

__all__ = ["mono_s", "wall_s"]

mono_s = time.monotonic  # noqa: TID251 - this is the one place
wall_s = time.time  # noqa: TID251 - this is the one place
