"""What a dns role believes: its own probes and what others see, counted, and followed with the policy's patience.

Time and files are brought here to `health.standings`, which decides; verdicts are steering's from then on. What people
did not ask for and should know is logged, once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_address
from pathlib import Path

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from gslb import clock
from gslb.control.protocol import VerdictState
from gslb.errors import HostError
from gslb.health.quorum import Key, Sight, Tally
from gslb.health.standing import Phase
from gslb.health.standings import Remembered, Standings
from gslb.model.words import IpAddress
from gslb.roles.seeing.exchange import Exchange, sight_of
from gslb.snapshot.types import AppName, LiveState, SiteName, Snapshot, Verdict, VerdictWord
from gslb.whole_file import write_whole

__all__ = ["LOOK_S", "Judge"]

LOOK_S = 0.25
"""How often time and the words of others are looked at; what the own probes find is followed at once."""

_log = structlog.get_logger(__name__)
_SAID = {
    "left": "a site is out of the answers",
    "returned": "a site is back in the answers",
    "held": "a site looks dead and is kept in the answers",
    "waits": "a site is well again and waits for a person",
}


class _Record(BaseModel):
    """One Remembered on disk. Times are Unix seconds."""

    model_config = ConfigDict(extra="ignore")

    app: str
    address: str
    phase: Phase
    falls: int
    back_wall_s: float | None
    fell_wall_s: float | None
    state: VerdictWord
    reason: str
    since_wall_s: float
    waits: bool = False


class _Memory(BaseModel):
    records: tuple[_Record, ...] = ()


class Judge:
    """`observed` is what the own probes found, `looking` whether they are made; `on_change` is called when what
    steering takes of it has changed. `folder` is the role's own."""

    def __init__(
        self,
        observed: Callable[[], LiveState],
        looking: Callable[[], bool],
        exchange: Exchange,
        folder: Path,
        on_change: Callable[[], None],
    ) -> None:
        self._observed, self._looking, self._exchange = observed, looking, exchange
        self._path = folder / "standings.json"
        self._on_change = on_change
        self._standings = Standings()
        self._tally = Tally()
        self._sites: Mapping[Key, SiteName] = {}
        self._sight: tuple[LiveState | None, Sight] = (None, {})
        self._restored = False
        exchange.on_news = self.look
        self._unkept = False
        self._told: dict[Key, tuple[Verdict, VerdictState]] = {}
        self.live = LiveState()

    def follow(self, snapshot: Snapshot) -> None:
        """Judge what this snapshot has, from the next look on."""
        addresses = {
            address: site.name for site in snapshot.sites.values() for edge in site.edges for address in edge.public
        }
        self._sites = {(app, address): site for app in snapshot.apps for address, site in addresses.items()}
        self._exchange.expect({str(address): address for address in addresses})
        self._standings.follow(snapshot)
        if not self._restored:
            self._restored = True
            self._standings.restore(self._read(), clock.mono_s(), clock.wall_s())

    def look(self) -> None:
        """Follow what is seen now. Nothing happens before the first snapshot."""
        if not self._restored:
            return
        self._tally.count(self._exchange.sights(self._own_sight()), self._sites, self._exchange.lives())
        moved = self._standings.look(self._tally.seen, clock.mono_s(), clock.wall_s())
        for change in self._standings.changes:
            app, address = change.key
            say = _log.info if change.action == "returned" else _log.warning
            say(_SAID[change.action], app=app, site=change.site, address=str(address), why=change.reason)
        self._unkept |= bool(self._standings.changes)
        live = self._standings.live
        if live != self.live:
            self.live = live
        if moved:
            self._on_change()

    async def run(self) -> None:
        """Look for ever, and keep what a restart must not forget."""
        while True:
            self.look()
            if self._unkept:
                self._unkept = False
                await asyncio.to_thread(self._keep, self._standings.memory(clock.mono_s(), clock.wall_s()))
            await asyncio.sleep(LOOK_S)

    def places(self) -> dict[str, bool]:
        """The places that look, and whether each is heard."""
        return {place: bool(some) for place, some in self._exchange.sights(self._own_sight()).items()}

    def told(self) -> Iterable[VerdictState]:
        """Every verdict with what each place sees. What says the same as the last time is the same object."""
        before, self._told = self._told, {}
        for key, verdict in self.live.verdicts.items():
            votes = self._tally.votes.get(key, {})
            views = {place: view.state if view is not None else "silent" for place, view in votes.items()}
            known, site = before.get(key), self._sites[key]
            if known is None or known[0] is not verdict or (known[1].views, known[1].site) != (views, site):
                known = verdict, _message(key, site, verdict, views)
            self._told[key] = known
            yield known[1]

    def _own_sight(self) -> Sight | None:
        live = self._observed()
        if self._sight[0] is not live:
            self._sight = live, sight_of(live)
        return self._sight[1] if self._looking() else None

    # Memory -------------------------------------------------------------------------------------------------------

    def _keep(self, remembered: Iterable[Remembered]) -> None:
        records = tuple(_record(item) for item in remembered)
        try:
            write_whole(self._path, _Memory(records=records).model_dump_json().encode())
        except HostError as error:
            _log.error("a restart would forget which sites are out", why=str(error))

    def _read(self) -> list[Remembered]:
        try:
            memory = _Memory.model_validate_json(self._path.read_bytes())
            return [_remembered(record) for record in memory.records]
        except FileNotFoundError:
            return []
        except (OSError, ValidationError, ValueError) as error:
            _log.error("which sites were out does not read; they are looked at anew", why=str(error))
            return []


def _message(key: Key, site: SiteName, verdict: Verdict, views: Mapping[str, str]) -> VerdictState:
    return VerdictState(
        app=key[0],
        site=site,
        address=str(key[1]),
        state=verdict.state,
        reason=verdict.reason,
        since_wall_s=verdict.since_wall_s,
        flip_s=verdict.flip_s,
        seen=verdict.seen,
        waits=verdict.waits,
        views=dict(views),
    )


def _record(item: Remembered) -> _Record:
    app, address = item.key
    return _Record(
        app=app,
        address=str(address),
        phase=item.phase,
        falls=item.falls,
        back_wall_s=_finite(item.back_wall_s),
        fell_wall_s=_finite(item.fell_wall_s),
        state=item.verdict.state,
        reason=item.verdict.reason,
        since_wall_s=item.verdict.since_wall_s,
        waits=item.verdict.waits,
    )


def _remembered(record: _Record) -> Remembered:
    key: tuple[AppName, IpAddress] = (AppName(record.app), ip_address(record.address))
    never = float("-inf")
    back_wall_s = never if record.back_wall_s is None else record.back_wall_s
    fell_wall_s = never if record.fell_wall_s is None else record.fell_wall_s
    verdict = Verdict(record.state, record.reason, record.since_wall_s, waits=record.waits)
    return Remembered(key, record.phase, record.falls, back_wall_s, fell_wall_s, verdict)


def _finite(wall_s: float) -> float | None:
    return wall_s if wall_s > float("-inf") else None
