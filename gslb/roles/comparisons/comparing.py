"""An edge role's side of comparing: it writes down what is compared at its site, and passes on what the comparer tells.

The supervisor runs a comparer as long as some edge of the machine has such a file. Nothing here waits for the comparer
but who asks for its report.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from pydantic import ValidationError

from gslb.compare.rules import rules_of, written_rules
from gslb.control.compared import COMPARER, ComparerState
from gslb.roles.settings import Settings
from gslb.snapshot.types import SiteName, Snapshot
from gslb.whole_file import write_whole

__all__ = ["ComparerDesk", "forget_comparisons", "is_wanted"]

_LOOK_S = 2.0
_STATE_LIMIT_S = 1.0
_REPORT_LIMIT_S = 3.0


def is_wanted(settings: Settings) -> bool:
    """Whether some edge of this machine compares anything."""
    return any((settings.runtime / COMPARER).glob("*.json"))


def forget_comparisons(settings: Settings) -> None:
    """What edges of an earlier run wrote down is no longer true; those that run now write it again."""
    for file in (settings.runtime / COMPARER).glob("*.json"):
        file.unlink(missing_ok=True)


class ComparerDesk:
    """Of the edge of `site`. `state` is what the comparer told last; None: it does not answer, or there is none."""

    def __init__(self, settings: Settings, site: SiteName) -> None:
        self._socket = settings.socket(COMPARER)
        self._file = settings.runtime / COMPARER / f"{site}.json"
        self._site = site
        self.state: ComparerState | None = None

    @property
    def wanted(self) -> bool:
        """Whether anything is compared at the site."""
        return self._file.exists()

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
            self.state = await self._read_state() if self._file.exists() else None
            await asyncio.sleep(_LOOK_S)

    async def comparison(self, key: str) -> bytes | None:
        """compared.Compared of the route `key` as JSON; None where nothing is known of it."""
        return await self._ask("/comparison", {"site": self._site, "key": key}, _REPORT_LIMIT_S)

    async def _read_state(self) -> ComparerState | None:
        told = await self._ask("/state", {"site": self._site}, _STATE_LIMIT_S)
        try:
            return ComparerState.model_validate_json(told) if told is not None else None
        except ValidationError:
            return None

    async def _ask(self, path: str, query: dict[str, str], limit_s: float) -> bytes | None:
        import aiohttp

        connector = aiohttp.UnixConnector(str(self._socket), force_close=True)
        timeout = aiohttp.ClientTimeout(total=limit_s)
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
                session.get(f"http://comparer{path}", params=query) as answer,
            ):
                return await answer.read() if answer.status == HTTPStatus.OK else None
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None
