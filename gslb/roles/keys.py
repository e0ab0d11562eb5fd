"""Control's work on DNSSEC keys: making them under the secret, ending waits by the clock, asking parents, sealing anew.

What follows from time and from what a parent shows is `control.keyring`'s to say; nothing of that stands here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from gslb import clock
from gslb.control.changes import require
from gslb.control.dnskeys import keyring, rollover
from gslb.control.dnskeys.keyring import Role
from gslb.control.dnskeys.keys_seen import moves
from gslb.control.publishing import Publisher
from gslb.control.status import is_in_sync, role_state
from gslb.dns.dnssec import making
from gslb.errors import GslbError, HostError
from gslb.outside.delegation import parent_ds
from gslb.outside.delegation_seen import DsObservation
from gslb.roles.identities.secret_file import SecretFile
from gslb.roles.publishing.waving import Term
from gslb.snapshot.intent import Intent
from gslb.snapshot.types import Snapshot, ZoneKey
from gslb.store import AuditEntry

__all__ = ["KeyKeeper", "KeyVault"]

LOOK_S = 10.0
PARENT_S, PARENT_LATER_S = 60.0, 900.0
"""How often a parent is asked for the first hour of a wait, and after that: some are never given a DS record."""
EAGER_S = 3600.0

_OTHERWISE = {
    "seal": "keys are sealed under the first line of the secret",
    "wait": "waits start again: a nameserver was behind",
}
"""What the history says of steps that leave every key in its state."""

_log = structlog.get_logger(__name__)


class KeyVault:
    """Makes keys, and seals them again. `may_make`: the file is our own, made when a zone is first signed."""

    def __init__(self, file: SecretFile, *, may_make: bool) -> None:
        self._file = file
        self._may_make = may_make

    def make(self, zone: str, role: Role, algorithm: int) -> ZoneKey:
        """A new key, sealed. Raises HostError where the secret cannot be used."""
        if self._may_make:
            self._file.make_if_missing()
        return making.make_key(zone, role, algorithm, self._file.read()[0])

    def was_rolled(self) -> bool:
        """Whether the secret is another one than was read last."""
        return self._file.has_changed()

    def reseal(self, intent: Intent) -> Intent:
        """Every key under the first line of the secret. Raises HostError as `make` does."""
        secrets = self._file.read()
        return keyring.reseal(intent, lambda zone, key: making.reseal(zone, key, secrets))


class KeyKeeper:
    """Moves keys along, one look after the other, while this control leads: `term` tells in which term. `ask` is how a
    parent is asked for its DS records."""

    def __init__(
        self,
        publisher: Publisher,
        vault: KeyVault,
        term: Term,
        ask: Callable[[str], Awaitable[DsObservation]] = parent_ds,
    ) -> None:
        self._publisher = publisher
        self._vault = vault
        self._term = term
        self._ask = ask
        self._behind_since_s: float | None = None
        self._times: tuple[str, Mapping[str, rollover.Times]] = ("", {})
        self._asked_s: dict[str, float] = {}

    async def run(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            await self.look()
            await self.ask_parents()

    async def look(self) -> None:
        """Whatever is due by the clock now."""
        current = self._publisher.current()
        if self._term() is None or current is None or not current[0].overrides.keys:
            return
        if self._vault.was_rolled():
            await self._change("seal", self._vault.reseal)
        wall_s = clock.wall_s()
        late = self._late(current[1], wall_s)
        if late:
            await self._change("wait", lambda intent: keyring.restart(intent, wall_s))
        if self._behind_since_s is None:
            times = await self._times_of(*current)
            make_key = self._publisher.make_key
            await self._change("step", lambda intent: keyring.advance(intent, times, make_key, wall_s))

    async def ask_parents(self) -> None:
        """Ask the parents of zones that wait for them, all at once: a silent one holds up nobody."""
        current = self._publisher.current()
        if self._term() is None or current is None:
            return
        now_s = clock.wall_s()
        due = [zone for zone in keyring.ask_for(current[0]) if self._is_due(current[0], zone, now_s)]
        self._asked_s |= dict.fromkeys(due, now_s)
        await asyncio.gather(*(self._ask_parent(zone) for zone in due))

    def _is_due(self, intent: Intent, zone: str, now_s: float) -> bool:
        eager = any(now_s - key.since_s < EAGER_S for key in intent.overrides.keys[zone] if key.role == "ksk")
        return now_s - self._asked_s.get(zone, 0.0) >= (PARENT_S if eager else PARENT_LATER_S)

    async def _ask_parent(self, zone: str) -> None:
        try:
            seen = await self._ask(zone)
        except HostError as error:
            _log.info("the parent could not be asked for DS records", zone=zone, why=error.message)
            return
        if not seen.servers or seen.silent:
            told, asked = len(seen.servers), len(seen.servers) + len(seen.silent)
            _log.info("not every server of the parent told its DS records", zone=zone, told=told, asked=asked)
            return
        anywhere, at = seen.records | seen.partial, (clock.wall_s(), seen.ttl_s)
        await self._change("parent", lambda intent: keyring.observe(intent, zone, seen.records, anywhere, at))

    def _late(self, snapshot: Snapshot, wall_s: float) -> bool:
        """Whether a dns role is back that had been behind for longer than the waits allow for."""
        ages_s = self._publisher.ages_s()
        behind = any(
            state is None or role_state(state, ages_s.get(name)) == "unreachable" or not is_in_sync(state, snapshot)
            for name, state in self._publisher.roles().items()
            if name == "dns"
        )
        since_s = self._behind_since_s
        if behind:
            self._behind_since_s = wall_s if since_s is None else since_s
            return False
        self._behind_since_s = None
        return since_s is not None and wall_s - since_s > rollover.PROPAGATION_S

    async def _times_of(self, intent: Intent, snapshot: Snapshot) -> Mapping[str, rollover.Times]:
        """Kept while the snapshot stays: a large zone is not read every time."""
        if self._times[0] != snapshot.digest:
            signed = keyring.signed_zones(intent)
            zones = [zone for zone in (snapshot.zone, *snapshot.zones) if zone.name in signed]
            made = await asyncio.to_thread(lambda: {zone.name: rollover.times_of(snapshot, zone) for zone in zones})
            self._times = snapshot.digest, made
        return self._times[1]

    async def _change(self, step: str, make: Callable[[Intent], Intent]) -> None:
        """Publish what `make` makes of the Intent in force, if anything, and say in the history what that was."""
        current = self._publisher.current()
        assert current is not None
        before = current[0]
        try:
            wanted = make(before)
            if wanted is before:
                return
            detail = "; ".join(moves(before, wanted)) or _OTHERWISE[step]
            audit = AuditEntry(at_s=clock.wall_s(), author="gslb", action=f"dnssec-{step}", detail=detail)
            await self._publisher.change(
                lambda intent: wanted if intent is before else make(require(intent)), audit, fence=self._term()
            )
        except GslbError as error:
            _log.error("DNSSEC keys stay as they are", step=step, why=str(error))
