"""A second try beside the first, half the time later, so that one lost packet is not one failed look.

A connection that stands looks after its own losses: Linux sends data again after 200 ms (TCP_RTO_MIN, or a tail loss
probe). A SYN it sends again after a second only (RFC 6298 section 2), and a datagram never. So at half its time a look
that has heard nothing yet begins once more, on a connection of its own, and whichever try ends first decides, whatever
it says. A look whose time is too short for the kernel's repair tries again even where the first connection stands.

Who is asked pays: one more SYN where it is dead or slow to connect to, never a second request where it is merely slow
to answer. Whoever is dead is found as fast: the time is that of both together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from gslb.health.checks.connection import Connection

__all__ = ["REPAIR_S", "SECOND_LIMIT", "Tries"]

SECOND_LIMIT = 128
"""Second tries in flight. 1 % of lost packets at 5,000 looks a second are some 50; more are needed only where very much
is dead, and then they change nothing. With `schedule.LIMITS` they stay under 1,024 open files."""
REPAIR_S = 0.25
"""After so long the kernel's own repair of one lost segment has come or will not: 200 ms and the way there and back."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Ended(Generic[T]):
    """What came of a try: a value, or an error."""

    value: T | None = None
    error: Exception | None = None


class Tries:
    """`begun` counts the second tries ever. One of it for everything that shares its limit."""

    def __init__(self, limit: int = SECOND_LIMIT) -> None:
        self.begun = 0
        self._spare = limit

    async def ask(self, attempt: Callable[[], Awaitable[T]], timeout_s: float, connection: Connection) -> T:
        """What `attempt` returns or raises, of two where one was not heard by half of `timeout_s`. Raises TimeoutError
        after `timeout_s`. `connection` is that of both: it stands once either does."""
        race = _Race(self, attempt, connection, timeout_s / 2)
        try:
            async with asyncio.timeout(timeout_s) as limit, asyncio.TaskGroup() as tasks:
                ended = await race.first(limit, tasks)
        except TimeoutError:
            if (second := race.second_ended) is None:
                raise
            ended = second
        if ended.error is not None:
            raise ended.error
        return ended.value  # type: ignore[return-value]  # without an error there is a value

    def take(self) -> bool:
        """Whether one more may begin."""
        if self._spare <= 0:
            return False
        self._spare -= 1
        self.begun += 1
        return True

    def give_back(self) -> None:
        self._spare += 1


class _Race(Generic[T]):
    def __init__(
        self, tries: Tries, attempt: Callable[[], Awaitable[T]], connection: Connection, after_s: float
    ) -> None:
        self.second_ended: _Ended[T] | None = None
        self._tries, self._attempt, self._connection, self._after_s = tries, attempt, connection, after_s
        self._second: asyncio.Task[None] | None = None
        self._over = False

    async def first(self, limit: asyncio.Timeout, tasks: asyncio.TaskGroup) -> _Ended[T]:
        timer = asyncio.get_running_loop().call_later(self._after_s, self._begin_second, limit, tasks)
        try:
            return await self._tried()
        finally:
            self._over = True
            timer.cancel()
            if self._second is not None:
                self._second.cancel()

    async def _tried(self) -> _Ended[T]:
        try:
            return _Ended(value=await self._attempt())
        except Exception as error:  # noqa: BLE001 - raised again by `ask`, if this try decides
            return _Ended(error=error)

    def _begin_second(self, limit: asyncio.Timeout, tasks: asyncio.TaskGroup) -> None:
        repaired = self._connection.connected and self._after_s >= REPAIR_S
        if not (self._over or repaired) and self._tries.take():
            self._second = tasks.create_task(self._try_again(limit))

    async def _try_again(self, limit: asyncio.Timeout) -> None:
        try:
            self.second_ended = await self._tried()
        finally:
            self._tries.give_back()
        if not self._over:
            limit.reschedule(asyncio.get_running_loop().time())  # ends the first, as its time would
