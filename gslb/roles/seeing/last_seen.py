"""What a dns role believed last, kept on disk, so that it answers at once after a restart instead of probing first.

A dead edge is silent: finding that out takes a whole timeout, in which nobody would be answered. What was believed a
moment ago is better than that, and probes correct it within their first round. It is used until then, and never when it
is older than OLDEST_S. What is believed, and why, is not decided here.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from pathlib import Path

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gslb import clock
from gslb.errors import HostError
from gslb.model.words import IpAddress
from gslb.snapshot.types import AppName, LiveState, Verdict, VerdictWord
from gslb.whole_file import write_whole

__all__ = ["KEEP_S", "OLDEST_S", "LastSeen"]

OLDEST_S = 600.0
"""A crash, an upgrade, a reboot: what was so longer ago is looked at anew before anybody is answered."""
KEEP_S = 2.0
"""How often it is looked whether something has to be kept."""
REFRESH_S = 60.0
"""How often what has not changed is kept again, because it is believed by its age."""
MAX_BYTES = 32 * 1024 * 1024

Key = tuple[AppName, IpAddress]

_log = structlog.get_logger(__name__)


class _Seen(BaseModel):
    model_config = ConfigDict(extra="ignore")

    app: str
    address: str
    state: VerdictWord
    reason: str
    since_wall_s: float
    flip_s: float = Field(0.0, ge=0)


class _File(BaseModel):
    """`kept_wall_s`: Unix seconds."""

    kept_wall_s: float
    verdicts: tuple[_Seen, ...] = ()


class LastSeen:
    """`folder` is the role's own. What does not read there is as good as nothing."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "last-seen.json"
        self._kept: Mapping[Key, Verdict] = {}
        self._kept_mono_s = float("-inf")
        self._believed = self._read()

    def covers(self, keys: set[Key]) -> bool:
        """Whether something is believed of each of these, so that answers need not wait for probes."""
        return bool(self._believed) and keys <= self._believed.keys()

    def forget(self) -> None:
        """Everything has been looked at by now."""
        self._believed = {}

    def under(self, live: LiveState) -> LiveState:
        """`live`, with what was believed last where nothing is known yet."""
        if not self._believed:
            return live
        known = {key: verdict for key, verdict in live.verdicts.items() if verdict.state != "unknown"}
        unknown = live.verdicts.keys() - known.keys()
        remembered = {key: verdict for key, verdict in self._believed.items() if key in unknown}
        return dataclasses.replace(live, verdicts={**live.verdicts, **remembered})

    async def keep(self, live: Callable[[], LiveState]) -> None:
        """For ever: what is believed now, whenever it has changed. Nothing is kept while nothing is known."""
        while True:
            await asyncio.sleep(KEEP_S)
            verdicts, now_s = live().verdicts, clock.mono_s()
            if all(verdict.state == "unknown" for verdict in verdicts.values()):
                continue
            if _states(verdicts) != _states(self._kept) or now_s - self._kept_mono_s > REFRESH_S:
                self._kept, self._kept_mono_s = verdicts, now_s
                await asyncio.to_thread(self._write, verdicts)

    def _write(self, verdicts: Mapping[Key, Verdict]) -> None:
        seen = tuple(
            _Seen(
                app=app,
                address=str(address),
                state=verdict.state,
                reason=verdict.reason,
                since_wall_s=verdict.since_wall_s,
                flip_s=verdict.flip_s,
            )
            for (app, address), verdict in verdicts.items()
        )
        file = _File(kept_wall_s=clock.wall_s(), verdicts=seen)
        try:
            write_whole(self._path, file.model_dump_json().encode())
        except HostError as error:
            _log.error("a restart would have to probe before it answers", why=str(error))

    def _read(self) -> Mapping[Key, Verdict]:
        try:
            if self._path.stat().st_size > MAX_BYTES:
                return {}
            file = _File.model_validate_json(self._path.read_bytes())
            if not 0 <= clock.wall_s() - file.kept_wall_s <= OLDEST_S:
                return {}
            return {
                (AppName(item.app), ip_address(item.address)): Verdict(
                    item.state, item.reason, item.since_wall_s, item.flip_s
                )
                for item in file.verdicts
                if item.state != "unknown"
            }
        except FileNotFoundError:
            return {}
        except (OSError, ValidationError, ValueError) as error:
            _log.warning("what was believed last does not read; everything is probed first", why=str(error))
            return {}


def _states(verdicts: Mapping[Key, Verdict]) -> Mapping[Key, str]:
    return {key: verdict.state for key, verdict in verdicts.items()}
