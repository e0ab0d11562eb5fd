"""The comparer: a process that takes captured answers from the edges of this machine and tells where they differ.

It is a leaf. It knows of no policy but the rules that edges write into a folder, asks nobody, keeps nothing on disk,
and its death loses comparisons and nothing else. It runs at a low priority: an answer of DNS or a request that waits is
worth more than a comparison. What is counted and how stands in `gslb/compare`.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

import structlog
from aiohttp import web

from gslb import clock
from gslb.compare.access_log import log_name, read_lines
from gslb.compare.capture import MAX_CAPTURE_BYTES, Captured, parse_capture
from gslb.compare.joining import Joined, Joiner
from gslb.compare.rules import Rules, read_rules
from gslb.compare.tally import Tally
from gslb.compare.traffic import Traffic
from gslb.control.compared import COMPARER, ComparerState
from gslb.edge.render.config import COPIED, LOG_SOCKET
from gslb.roles.comparisons.comparer_told import counts_of, told
from gslb.roles.comparisons.log_door import open_log_door
from gslb.roles.endpoint.node import serve_unix
from gslb.roles.process import Stop
from gslb.roles.settings import Settings
from gslb.roles.tasks import keep_running

__all__ = ["Comparer", "run"]

_LOOK_S = 1.0
_NICE = 15


class Comparer:
    """`folder` holds a file of rules for each site, `SITE.json`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stamps: dict[Path, tuple[int, int]] = {}
        self._rules: dict[str, dict[str, Rules]] = {}
        self._tallies: dict[tuple[str, str], Tally] = {}
        self._traffic: dict[tuple[str, str], Traffic] = {}
        self._joiner = Joiner()
        self.captures: Counter[str] = Counter()

    def app(self) -> web.Application:
        """What the edges and the edge roles of this machine ask."""
        app = web.Application(client_max_size=MAX_CAPTURE_BYTES)
        app.add_routes(
            [
                web.post("/captures", self._capture),
                web.get("/state", self._state),
                web.get("/comparison", self._comparison),
            ]
        )
        return app

    def look(self) -> None:
        """Read the rules that have changed, and give up what waited too long."""
        files = {path: _stamp(path) for path in self._folder.glob("*.json")}
        for path in self._stamps.keys() - files.keys():
            self._take_rules(path.stem, {})
        for path, stamp in files.items():
            if stamp != self._stamps.get(path):
                self._read(path)
        self._stamps = files
        for joined in self._joiner.expire(clock.mono_s()):
            self._count(joined)

    def take(self, message: bytes) -> None:
        """One capture. Raises ValueError where it is none."""
        captured = parse_capture(message)
        rules = self._rules.get(captured.site, {}).get(captured.key)
        if rules is None:
            self.captures["unknown"] += 1
            return
        self.captures["taken"] += 1
        joined = self._joiner.take(captured, rules, clock.mono_s())
        if joined is not None:
            self._count(joined)

    def take_log(self, site: str, message: bytes) -> None:
        """Lines of the access log of `site`. Raises ValueError where they are none."""
        mono_s, wall_s = clock.mono_s(), clock.wall_s()
        for line in read_lines(message):
            key = line.route.removesuffix(COPIED) or line.cluster.rpartition("/")[0]
            traffic = self._traffic.get((site, key))
            self.captures["lines"] += 1
            if traffic is not None:
                traffic.take(line, mono_s, wall_s)

    def log_stream(self) -> Callable[[bytes], None]:
        """What takes the messages of one stream, of which the first tells the site."""
        site = ""

        def take(message: bytes) -> None:
            nonlocal site
            site = log_name(message) or site
            self.take_log(site, message)

        return take

    def state(self, site: str) -> ComparerState:
        """With the comparisons of `site`."""
        mine = [tally for (where, _), tally in self._tallies.items() if where == site]
        return ComparerState(
            pid=os.getpid(),
            waiting=self._joiner.waiting,
            captures={**self.captures, **self._joiner.lost},
            comparisons=tuple(map(counts_of, mine)),
        )

    def _count(self, joined: Joined) -> None:
        first: Captured = next(iter(joined.captures.values()))
        tally = self._tallies.get((first.site, first.key))
        if tally is None:
            return
        try:
            tally.take(joined, clock.wall_s())
        except (ValueError, RecursionError) as error:
            self.captures["incomparable"] += 1
            structlog.get_logger().error("a request cannot be compared", route=first.key, why=repr(error))

    def _read(self, path: Path) -> None:
        try:
            self._take_rules(path.stem, read_rules(path.read_bytes()))
        except (OSError, ValueError, KeyError, TypeError) as error:
            structlog.get_logger().error("rules of comparison cannot be read", file=str(path), why=str(error))

    def _take_rules(self, site: str, rules: dict[str, Rules]) -> None:
        """What is compared in another way than before is counted anew."""
        self._rules[site] = rules
        for where, key in [place for place in self._tallies if place[0] == site]:
            if self._tallies[where, key].rules != rules.get(key):
                del self._tallies[where, key], self._traffic[where, key]
        for key, one in rules.items():
            self._tallies.setdefault((site, key), Tally(one, clock.wall_s()))
            self._traffic.setdefault((site, key), Traffic(one.target, clock.wall_s()))

    async def _capture(self, request: web.Request) -> web.Response:
        try:
            self.take(await request.read())
        except ValueError:
            self.captures["refused"] += 1
            return web.Response(status=HTTPStatus.BAD_REQUEST)
        return web.Response(status=HTTPStatus.NO_CONTENT)

    async def _state(self, request: web.Request) -> web.Response:
        state = self.state(request.query.get("site", ""))
        return web.Response(text=state.model_dump_json(), content_type="application/json")

    async def _comparison(self, request: web.Request) -> web.Response:
        site, key = request.query.get("site", ""), request.query.get("key", "")
        tally = self._tallies.get((site, key))
        if tally is None:
            raise web.HTTPNotFound
        text = told(site, tally, self._traffic[site, key], clock.wall_s()).model_dump_json()
        return web.Response(text=text, content_type="application/json")


async def run(settings: Settings, stop: asyncio.Future[Stop]) -> None:
    """Compare until `stop`. Raises HostError where the socket cannot be bound."""
    os.nice(_NICE)
    comparer = Comparer(settings.runtime / COMPARER)
    comparer.look()
    server = await serve_unix(comparer.app(), settings.socket(COMPARER))
    logs = await open_log_door(Path(f"{settings.socket(COMPARER)}{LOG_SOCKET}"), comparer.log_stream)
    try:
        async with asyncio.TaskGroup() as group:
            looking = group.create_task(keep_running("rules", lambda: _look(comparer)))
            await asyncio.shield(stop)
            looking.cancel()
    finally:
        logs.close()
        await server.cleanup()


async def _look(comparer: Comparer) -> None:
    while True:
        await asyncio.sleep(_LOOK_S)
        comparer.look()


def _stamp(path: Path) -> tuple[int, int]:
    """What changes when the file is replaced."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_ino
