"""What a node holds, and how it comes to hold something else: control's offer, the generations on disk behind it, and
what was done at the node itself while control was away.

A newer offer, a restart, the clock and broken glass are the only ways by which anything changes. Which generation is
good is `generations`' to say; what a role does with a snapshot is the role's own; HTTP stands in `node`.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog

from gslb import clock
from gslb.control.protocol import Applied, BrokenGlass, Deed, Offer, RoleState
from gslb.errors import GslbError, HostError, RefusedError
from gslb.roles.keeping import generations, salvage
from gslb.roles.keeping.broken_glass import GlassFile, glass_over, over, pruned, still_stands
from gslb.roles.keeping.generation_files import GenerationFiles
from gslb.roles.keeping.generations import Generation, Record
from gslb.roles.keeping.offers import OfferReader, Opened, kept_offer
from gslb.snapshot import compile_snapshot
from gslb.snapshot.intent import Intent
from gslb.snapshot.types import Snapshot
from gslb.trust.signer_files import TrustFolder
from gslb.trust.signing import is_foreign

__all__ = ["Holding", "NodeRole"]

AGAIN_S = 30.0
"""When to try again to take back what was done for a limited time."""

_log = structlog.get_logger(__name__)


class NodeRole(Protocol):
    """What a role does with a snapshot. Both raise RefusedError or HostError; `prepare` changes nothing."""

    async def prepare(self, snapshot: Snapshot) -> None: ...
    async def publish(self, snapshot: Snapshot) -> None: ...
    async def state(self) -> RoleState: ...


@dataclass(frozen=True, slots=True)
class _InForce:
    """Control's offer as it was taken. `left_out`: apps without which it had to be served."""

    opened: Opened
    wall_s: float
    taken_wall_s: float
    left_out: tuple[str, ...] = ()


class Holding:
    """Of one role process; making it counts as a start of that process. `folder` is the role's own; what nobody signed
    whom `trust` believes is not taken."""

    def __init__(self, role: NodeRole, folder: Path, trust: TrustFolder) -> None:
        self._role = role
        self._reader = OfferReader(trust)
        self._files = GenerationFiles(folder)
        self._glass_file = GlassFile(folder)
        self._legacy = folder / "last-good.json"
        self._lock = asyncio.Lock()
        self._in_force: _InForce | None = None
        self._glass: BrokenGlass | None = None
        self._again_mono_s = 0.0
        before = self._files.load()
        self._record = generations.started(before)
        self._keep(self._record)
        if self._record.stepped_back_from != before.stepped_back_from:
            _log.error(
                "this role crashed again and again with an offer; it goes back to the one before",
                stepped_back_from=_version(self._record.stepped_back_from),
                to=_version(self._record.generations[0].applied),
                remedy="it takes the next newer version; until then it serves what it had",
            )

    @property
    def applied(self) -> Applied | None:
        """What of control's is in force."""
        return self._in_force.opened.applied if self._in_force else None

    @property
    def environment(self) -> str | None:
        """Of the policy in force; None: nothing is."""
        return self._in_force.opened.intent.policy.environment if self._in_force else None

    # From control -----------------------------------------------------------------------------------------------------

    async def prepare(self, body: bytes) -> Applied:
        """Could this offer be taken? Raises GslbError and ValidationError."""
        opened = await asyncio.to_thread(self._reader.offered, body)
        async with self._lock:
            await self._role.prepare(opened.snapshot)
        return opened.applied

    async def take(self, body: bytes) -> Applied:
        """Put an offer in force. Raises GslbError and ValidationError; then what was in force still is."""
        opened = await asyncio.to_thread(self._reader.offered, body)
        async with self._lock:
            self._require_newer(opened.applied)
            if opened.applied != self.applied:
                await self._take(body, opened)
        return opened.applied

    def _require_newer(self, applied: Applied) -> None:
        rule = generations.refuses(self._record, applied)
        if rule == "older":
            raise RefusedError(
                rule,
                f"{_version(applied)} is older than what this node had",
                "read the state again; where the store was put back to an older copy, give it a higher revision: gslb "
                "backup, then gslb restore --allow not-empty",
            )
        if rule is not None:
            raise RefusedError(
                rule,
                f"this node crashed again and again with {_version(applied)} and serves {_version(self.applied)}",
                "see the role's log for the crash, then publish something newer, such as the policy before",
            )

    async def _take(self, body: bytes, opened: Opened) -> None:
        """The offer is on disk before it is tried: a crash while it is put in force must count against it."""
        before, applied, wall_s = generations.pruned(self._record), opened.applied, clock.wall_s()
        try:
            await asyncio.to_thread(self._keep_offer, body, applied, wall_s, before)
        except HostError as error:
            _log.error("an offer cannot be kept on disk; a restart goes back to the one before", why=str(error))
            highest = max(before.highest, (applied.revision, applied.overrides))
            self._record = before.model_copy(update={"highest": highest})
        try:
            await self._role.publish(opened.snapshot)
        except Exception:
            await asyncio.to_thread(self._keep, before)
            raise
        self._in_force = _InForce(opened, wall_s, wall_s)
        if self._glass is not None:
            _log.warning("control published; what was done at this node is void", deeds=_deeds(self._glass))
            self._set_glass(None)

    # From disk --------------------------------------------------------------------------------------------------------

    async def resume(self) -> None:
        """Serve what was served before the restart, if anything was and control was not quicker. Raises HostError."""
        async with self._lock:
            if self._in_force is not None:
                return
            try:
                offers = await self._serve_newest()
                if self._in_force is None and offers:
                    await self._serve_sound_apps(offers[0])
            except HostError:
                self._record = generations.stopped(self._record)  # the machine's fault, not the offer's
                raise
            finally:
                self._keep(self._record)

    async def _serve_newest(self) -> Sequence[Offer]:
        """Put the newest generation in force that can be: of those that are believed, or else of those whose signer is
        believed no more, because no answers are worse. All that were tried, in that order."""
        tried: list[Offer] = []
        foreign: list[tuple[Generation, Offer]] = []
        for item in self._record.generations:
            offer = await self._read(item)
            if offer is None:
                continue
            try:
                self._reader.verify(offer)
            except RefusedError as error:
                if is_foreign(error):
                    foreign.append((item, offer))
                _log.error("a generation on disk is not believed", version=_version(item.applied), why=str(error))
                continue
            tried.append(offer)
            if await self._serve_generation(item, offer):
                return tried
        for item, offer in foreign:
            tried.append(offer)
            if await self._serve_generation(item, offer):
                _log.error("nothing on disk is believed; what was taken last is served", version=_version(item.applied))
                return tried
        if not self._record.generations and self._legacy.exists():
            await self._adopt_legacy()
        return tried

    async def _read(self, item: Generation) -> Offer | None:
        body = await asyncio.to_thread(self._files.read, item)
        if body is None:
            self._record = generations.lost(self._record, item.file)
            return None
        try:
            return kept_offer(body)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            _log.error("a generation on disk does not read", version=_version(item.applied), why=_why(error))
            return None

    async def _serve_generation(self, item: Generation, offer: Offer) -> bool:
        is_served = await self._serve(lambda: self._reader.open(offer), item.taken_wall_s)
        if is_served:
            self._record = generations.serving(self._record, item.file, clock.mono_s())
        return is_served

    async def _serve(self, read: Callable[[], Opened], taken_wall_s: float) -> bool:
        glass, is_standing = self._glass_file.read(), False
        try:
            opened = read()
            is_standing = glass is not None and still_stands(glass, opened.applied)
            if glass is None or not is_standing or not await self._serve_under(glass, opened):
                await self._role.publish(opened.snapshot)
        except HostError:
            raise
        except Exception as error:  # noqa: BLE001 - a bug must not leave the node without answers: there are others
            _log.error("a generation on disk cannot be served", why=_why(error), exc_info=_unexpected(error))
            return False
        self._in_force = _InForce(opened, clock.wall_s(), taken_wall_s or clock.wall_s())
        if glass is not None and not is_standing:
            self._set_glass(None)
        return True

    async def _serve_under(self, glass: BrokenGlass, opened: Opened) -> bool:
        """What was done at this node before it was restarted holds from the first moment on, or not at all."""
        try:
            await self._publish_over(opened, glass)
        except HostError:
            raise
        except Exception as error:  # noqa: BLE001 - control's own offer is served instead
            _log.error("what was done at this node cannot be done again", deeds=_deeds(glass), why=_why(error))
            return False
        _log.warning("broken glass: what was done at this node is in force again", deeds=_deeds(glass))
        return True

    async def _adopt_legacy(self) -> None:
        """What gslb 0.1 kept. What does not read is left alone."""
        try:
            body = self._legacy.read_bytes()
            await self._take(body, self._reader.open(kept_offer(body)))
            self._legacy.unlink()
        except HostError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, control has a whole one
            _log.warning("the last good snapshot cannot be served", file=str(self._legacy), why=_why(error))

    async def _serve_sound_apps(self, offer: Offer) -> None:
        """Nothing on disk can be served whole: leave out the apps that are in the way."""
        apps = salvage.app_names(offer.bundle)

        def without_others(some: Sequence[str]) -> Opened:
            intent = salvage.only(offer.bundle, some)
            return Opened(offer, intent, compile_snapshot(intent, offer.wall_s))

        async def stands(some: Sequence[str]) -> bool:
            try:
                await self._role.prepare(without_others(some).snapshot)
            except HostError:
                raise
            except Exception as error:  # noqa: BLE001 - it is looked for what raises
                if len(some) == 1:
                    _log.error("an app cannot be served", app=some[0], why=_why(error), exc_info=_unexpected(error))
                return False
            return True

        kept = await salvage.sound(apps, stands)
        if kept and await self._serve(lambda: without_others(kept), 0.0):
            assert self._in_force is not None
            left_out = tuple(name for name in apps if name not in kept)
            self._in_force = dataclasses.replace(self._in_force, left_out=left_out)
            _log.error("apps are left out until control publishes something that can be served", apps=left_out)

    # At the node itself -----------------------------------------------------------------------------------------------

    async def override(self, deed: Deed, make: Callable[[Intent], Intent]) -> tuple[Snapshot, Snapshot]:
        """Change the overrides in effect that can be put at a node, until control publishes something newer; what was
        and what is. Raises GslbError as `make` does."""
        async with self._lock:
            if self._in_force is None:
                raise RefusedError("no-policy", "this node has nothing in force yet", "wait until it has")
            opened = self._in_force.opened
            base = opened.intent
            intent = over(base, self._glass)
            wanted = make(intent)
            before = self._reader.preview(intent, deed.by.at_s)
            if wanted is intent:
                return before, before
            glass = glass_over(base, opened.applied, self._glass, wanted.overrides, deed)
            after = await self._publish_over(opened, glass)
            _log.warning("broken glass", did=deed.did, author=deed.by.author, reason=deed.by.reason)
            try:
                self._glass_file.write(glass)
            except HostError as error:
                raise HostError(f"it is in force, but a restart would lose it: {error.message}", error.remedy) from None
            return before, after

    async def _publish_over(self, opened: Opened, glass: BrokenGlass | None) -> Snapshot:
        """Put control's offer in force under `glass`."""
        wall_s = clock.wall_s() if glass else opened.offer.wall_s
        snapshot = self._reader.preview(over(opened.intent, glass), wall_s)
        await self._role.prepare(snapshot)
        await self._role.publish(snapshot)
        self._glass = glass
        return snapshot

    def _set_glass(self, glass: BrokenGlass | None) -> None:
        self._glass = glass
        try:
            self._glass_file.write(glass)
        except HostError as error:
            _log.error("the broken glass cannot be kept as it is", why=str(error))

    # Time -------------------------------------------------------------------------------------------------------------

    async def look(self) -> None:
        """What the clock brings: a bake that is over, something that was done for a limited time."""
        async with self._lock:
            record = generations.looked(self._record, clock.mono_s())
            if record is not self._record:
                await asyncio.to_thread(self._keep, record)
            if self._glass is None or self._in_force is None or clock.mono_s() < self._again_mono_s:
                return
            glass = pruned(self._in_force.opened.intent, self._glass, clock.wall_s())
            if glass is self._glass:
                return
            try:
                await self._publish_over(self._in_force.opened, glass)
            except GslbError as error:
                _log.error("what was done at this node cannot be taken back yet", why=str(error))
                self._again_mono_s = clock.mono_s() + AGAIN_S
                return
            _log.warning("the time of something that was done at this node is over", all_is_over=glass is None)
            self._set_glass(glass)

    def stop(self) -> None:
        """The process is told to end: its next start is not one after a crash."""
        self._keep(generations.stopped(self._record))

    def told(self, state: RoleState) -> RoleState:
        """`state` with what is held."""
        held, record = self._in_force, self._record
        return state.model_copy(
            update={
                "applied": self.applied,
                "applied_wall_s": held.wall_s if held else None,
                "snapshot_age_s": max(0.0, clock.wall_s() - held.taken_wall_s) if held else None,
                "good_generations": record.good,
                "stepped_back_from": record.stepped_back_from,
                "broken_glass": self._glass,
                "left_out": held.left_out if held else (),
            }
        )

    def _keep_offer(self, body: bytes, applied: Applied, wall_s: float, before: Record) -> None:
        """Raises HostError."""
        new = self._files.add(body, applied, wall_s)
        record = generations.took(before, new, clock.mono_s())
        self._files.save(record)
        self._record = record

    def _keep(self, record: Record) -> None:
        """A disk that takes nothing must not end a role that can serve."""
        self._record = record
        try:
            self._files.save(record)
        except HostError as error:
            _log.error("the record of generations cannot be kept", why=str(error))


def _version(applied: Applied | None) -> str:
    return f"{applied.revision}.{applied.overrides}" if applied else "nothing"


def _deeds(glass: BrokenGlass | None) -> list[str]:
    return [deed.did for deed in glass.deeds] if glass else []


def _unexpected(error: Exception) -> bool:
    return not isinstance(error, GslbError)


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, GslbError) else f"{type(error).__name__}: {error}"
