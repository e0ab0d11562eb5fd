"""An edge role's side of comparing: it writes down what is compared at its site, and passes on what the comparer tells.

The supervisor runs a comparer as long as some edge of the machine has such a file. Nothing here waits for the comparer
but who asks for its report.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from pathlib import Path

from pydantic import ValidationError

from gslb import clock
from gslb.compare.rules import rules_of, written_rules
from gslb.control.compared import COMPARER, ComparerLife, ComparerState
from gslb.roles.settings import Settings
from gslb.snapshot.types import SiteName, Snapshot
from gslb.whole_file import write_whole

__all__ = ["ComparerDesk", "ask_comparer", "forget_comparisons", "is_wanted", "read_life", "write_life"]

_LOOK_S = 2.0
_STATE_LIMIT_S = 1.0
_REPORT_LIMIT_S = 3.0


def is_wanted(settings: Settings) -> bool:
    """Whether some edge of this machine compares anything."""
    return any((settings.runtime / COMPARER).glob("*.json"))


def forget_comparisons(settings: Settings) -> None:
    """What edges and a supervisor wrote down in an earlier run is no longer true; those that run now write it again."""
    for file in (*(settings.runtime / COMPARER).glob("*.json"), _life_file(settings)):
        file.unlink(missing_ok=True)


def write_life(settings: Settings, life: ComparerLife) -> None:
    """The supervisor's word on the comparer, for the edges. Raises HostError."""
    write_whole(_life_file(settings), life.model_dump_json().encode(), 0o600)


def read_life(settings: Settings) -> ComparerLife:
    """What the supervisor wrote down last."""
    try:
        return ComparerLife.model_validate_json(_life_file(settings).read_bytes())
    except (OSError, ValidationError):
        return ComparerLife()


def _life_file(settings: Settings) -> Path:
    return settings.runtime / COMPARER / "life"


class ComparerDesk:
    """Of the edge of `site`. `state` is what the comparer told last; None: it does not answer, or there is none. `life`
    is what the supervisor tells of it."""

    def __init__(self, settings: Settings, site: SiteName) -> None:
        self._settings = settings
        self._socket = settings.socket(COMPARER)
        self._file = settings.runtime / COMPARER / f"{site}.json"
        self._site = site
        self.state: ComparerState | None = None
        self.life = ComparerLife()
        self._silent_since_s: float | None = None
        self._dropped: int | None = None
        self._dropped_at_s: float | None = None

    @property
    def wanted(self) -> bool:
        """Whether anything is compared at the site."""
        return self._file.exists()

    @property
    def silent_s(self) -> float | None:
        """How long the comparer has not answered; None: it does, or there is to be none."""
        return None if self._silent_since_s is None else clock.mono_s() - self._silent_since_s

    def dropped_ago_s(self, total: int) -> float | None:
        """How long ago the number of captures that were dropped was seen to grow, which is `total` now; None: never."""
        if self._dropped is not None and total > self._dropped:
            self._dropped_at_s = clock.mono_s()
        self._dropped = total
        return None if self._dropped_at_s is None else clock.mono_s() - self._dropped_at_s

    def publish(self, snapshot: Snapshot) -> None:
        """Write down what `snapshot` compares; nothing stays where it compares nothing."""
        rules = rules_of(snapshot)
        if not rules:
            self._file.unlink(missing_ok=True)
            self.state = None
            return
        content = written_rules(rules)
        if not self._file.exists() or self._file.read_bytes() != content:
            self._file.parent.mkdir(mode=0o700, exist_ok=True)
            write_whole(self._file, content, 0o600)

    async def run(self) -> None:
        """For ever: ask the comparer how it is, where there is to be one."""
        while True:
            await self.look()
            await asyncio.sleep(_LOOK_S)

    async def look(self) -> None:
        """Ask once."""
        self.state = await self._read_state() if self.wanted else None
        self.life = read_life(self._settings)
        if self.state is not None or not self.wanted:
            self._silent_since_s = None
        elif self._silent_since_s is None:
            self._silent_since_s = clock.mono_s()

    async def comparison(self, key: str) -> bytes | None:
        """compared.Compared of the route `key` as JSON; None where nothing is known of it."""
        return await ask_comparer(self._socket, "/comparison", {"site": self._site, "key": key}, _REPORT_LIMIT_S)

    async def _read_state(self) -> ComparerState | None:
        told = await ask_comparer(self._socket, "/state", {"site": self._site}, _STATE_LIMIT_S)
        try:
            return ComparerState.model_validate_json(told) if told is not None else None
        except ValidationError:
            return None


async def ask_comparer(socket: Path, path: str, query: dict[str, str], limit_s: float) -> bytes | None:
    """What the comparer behind `socket` answers; None: nothing within `limit_s`, or no."""
    import aiohttp

    connector = aiohttp.UnixConnector(str(socket), force_close=True)
    timeout = aiohttp.ClientTimeout(total=limit_s)
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.get(f"http://comparer{path}", params=query) as answer,
        ):
            return await answer.read() if answer.status == HTTPStatus.OK else None
    except (aiohttp.ClientError, TimeoutError, OSError):
        return None
