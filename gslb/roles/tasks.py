"""Running what may fail alone: one wrapper that restarts a coroutine with back-off, so that it cannot cancel its
neighbours in the role's TaskGroup."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from gslb.errors import HostError

__all__ = ["FIRST_PAUSE_S", "LAST_PAUSE_S", "back_off_s", "keep_running"]

FIRST_PAUSE_S = 0.1
LAST_PAUSE_S = 10.0


def back_off_s(failures: int) -> float:
    """The pause before the try after `failures` failures in a row: doubling from 0.1 s to 10 s."""
    return min(FIRST_PAUSE_S * 2.0 ** min(failures, 16), LAST_PAUSE_S)


async def keep_running(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """Run `run` for ever; when it raises, log, pause and run it again. HostError is fatal and goes on up."""
    failures = 0
    while True:
        started = asyncio.get_running_loop().time()
        try:
            await run()
        except HostError:
            raise
        except Exception:  # noqa: BLE001 - whatever failed is logged, and must not end its neighbours
            structlog.get_logger().exception("task failed", task=name, failures=failures + 1)
        if asyncio.get_running_loop().time() - started > LAST_PAUSE_S:
            failures = 0
        await asyncio.sleep(back_off_s(failures))
        failures += 1
