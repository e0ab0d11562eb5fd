"""Who waits for the native wire's datagrams: threads with a socket of each listener for themselves, or the event loop.

A thread waits and answers without the GIL, so that neither a long compilation nor another thread holds it up. What is
not for C comes back to the event loop. Nothing is answered or bound here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

import structlog

from gslb import clock
from gslb.dns.listening import Listener

if TYPE_CHECKING:
    from gslb.dns._wire import Datagrams

__all__ = ["Lanes"]

_log = structlog.get_logger(__name__)


class Lanes:
    """Has `datagrams` serve listeners: with `threads` threads, or with 0 in the event loop, which is also what becomes
    of the sockets of a thread that ends before it should. `count`: the sockets that each listener needs."""

    def __init__(self, datagrams: Datagrams, threads: int) -> None:
        self._datagrams = datagrams
        self._threads: list[threading.Thread] = []
        self._sockets: list[list[socket.socket]] = [[] for _ in range(max(threads, 1))]
        self._wanted = threads
        self.count = len(self._sockets)
        self._lost: set[int] = set()
        self._opened = False

    def open(self, listeners: Sequence[Listener]) -> None:
        """Serve `listeners`, which have a UDP socket for each thread, from the running loop on."""
        loop = asyncio.get_running_loop()
        self._sockets = [[listener.udp[lane] for listener in listeners] for lane in range(self.count)]
        loop.add_reader(self._datagrams.handed_fd, self._drain)
        self._opened = True
        if not self._wanted:
            self._serve_in_loop(loop, 0)
        for lane in range(self._wanted):
            thread = threading.Thread(target=self._attend, args=(loop, lane), name=f"dns-{lane}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def counts(self) -> dict[str, int]:
        """`threads_lost`: threads that ended before they should."""
        counts = self._datagrams.counts()
        return {**counts, "threads_lost": len(self._lost)} if self._lost else counts

    def close(self) -> None:
        """End the threads; the sockets stay open. Closing twice does nothing."""
        if not self._opened:
            return
        self._opened = False
        self._datagrams.stop()
        for thread in self._threads:
            thread.join()
        loop = asyncio.get_running_loop()
        for sockets in self._sockets:
            for sock in sockets:
                loop.remove_reader(sock)
        self._drain()
        loop.remove_reader(self._datagrams.handed_fd)

    def _attend(self, loop: asyncio.AbstractEventLoop, lane: int) -> None:
        """The life of one thread."""
        try:
            error = self._datagrams.attend(lane, [sock.fileno() for sock in self._sockets[lane]])
            reason = os.strerror(error) if error else ""
        except Exception as exception:  # noqa: BLE001 - told to the loop, which logs it
            reason = repr(exception)
        if reason:
            with contextlib.suppress(RuntimeError):  # the loop is closed: so is everything
                loop.call_soon_threadsafe(self._take_over, loop, lane, reason)

    def _take_over(self, loop: asyncio.AbstractEventLoop, lane: int, reason: str) -> None:
        self._lost.add(lane)
        _log.error("a DNS thread ended; the event loop serves its sockets, more slowly", lane=lane, reason=reason)
        if self._opened:
            self._serve_in_loop(loop, lane)

    def _serve_in_loop(self, loop: asyncio.AbstractEventLoop, lane: int) -> None:
        for sock in self._sockets[lane]:
            loop.add_reader(sock, self._serve, lane, sock.fileno())

    def _serve(self, lane: int, fd: int) -> None:
        self._datagrams.serve(lane, fd, clock.mono_s())

    def _drain(self) -> None:
        self._datagrams.drain(clock.mono_s())
