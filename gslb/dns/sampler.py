"""Which queries are remembered for the query log, and their bounded queue between the answers and the writer.

What a line says is `querylog`'s, where it goes the role's. Nothing here waits or writes, so that a log can never hold
up an answer: where the writer does not keep up, samples are dropped, and counted.
"""

from __future__ import annotations

from collections import deque

from gslb.dns.querylog import Sample

__all__ = ["Sampler"]

_QUEUE_LIMIT = 2048
"""Two seconds' worth of two million queries a second at the default of one in a thousand; a few megabytes."""


class Sampler:
    """Takes one query in `every` (at least 1), counted over those that it is asked about. `taken` and `dropped` count
    since the start; whoever writes adds to `dropped` what could not be written."""

    def __init__(self, every: int) -> None:
        assert every >= 1
        self.every = every
        self.taken = 0
        self.dropped = 0
        self._passed = 0
        self._queue: deque[Sample] = deque()

    def is_due(self) -> bool:
        """Whether this query is the one to take."""
        self._passed += 1
        if self._passed < self.every:
            return False
        self._passed = 0
        return True

    def put(self, sample: Sample) -> None:
        """Queue `sample`, if there is room."""
        if len(self._queue) >= _QUEUE_LIMIT:
            self.dropped += 1
        else:
            self.taken += 1
            self._queue.append(sample)

    def drain(self) -> list[Sample]:
        """What has queued up, oldest first; the queue is empty then."""
        samples = list(self._queue)
        self._queue.clear()
        return samples
