"""Keeps a dns role's tables in step with what is published, what is observed, and the time that signatures have left.

Composing and signing run in a thread, because a large zone takes seconds; a verdict is followed at once, as its answers
were signed ahead. No socket and no probe is touched here.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Mapping, Sequence

import structlog

from gslb import clock
from gslb.dns.compose import compose, recompile, recompose
from gslb.dns.dnssec.ahead import bodies_ahead
from gslb.dns.dnssec.seal import Signer, expiry_s, is_sealed, open_signers, seal, seal_new
from gslb.dns.tables import Tables
from gslb.errors import RefusedError
from gslb.model.wire_name import to_text
from gslb.snapshot.types import LiveState, Snapshot

__all__ = ["RENEWAL_CHECK_S", "Composer"]

RENEWAL_CHECK_S = 900.0
"""How often signatures are looked at: those whose time has come are made anew days before they expire."""

Signers = Mapping[bytes, Signer]


class Composer:
    """`serve` gets every new value of the tables; `live` is asked for what is observed now; `secrets` for what opens
    the private keys of signed zones."""

    def __init__(
        self,
        serve: Callable[[Tables], None],
        live: Callable[[], LiveState],
        secrets: Callable[[], Sequence[bytes]],
    ) -> None:
        self._serve = serve
        self._live = live
        self._secrets = secrets
        self._snapshot: Snapshot | None = None
        self._signers: Signers = {}
        self._prepared: tuple[Snapshot, Signers, Tables] | None = None
        self._unsigned = asyncio.Event()
        self._expiry_s: Mapping[str, float] = {}
        self.tables: Tables | None = None

    async def prepare(self, snapshot: Snapshot) -> None:
        """Make ready for `publish`; nothing is served. Raises RefusedError where keys cannot be opened."""
        self._prepared = await self._compose(snapshot)

    async def publish(self, snapshot: Snapshot) -> None:
        """Serve `snapshot`. What was prepared for it is not made twice. Raises RefusedError as `prepare` does."""
        made, self._prepared = self._prepared, None
        if made is None or (made[0].version, made[0].digest) != (snapshot.version, snapshot.digest):
            made = await self._compose(snapshot)
        _, signers, tables = made
        tables = recompile(tables, snapshot, self._live())  # what changed meanwhile, if anything
        tables = await asyncio.to_thread(seal_new, tables, signers, clock.wall_s())
        self._snapshot, self._signers = snapshot, signers
        self._expiry_s = _expiry_wall_s(tables)
        self._take(tables)
        self.observe()

    def observe(self) -> None:
        """Follow what is observed now. Where an answer of that has no signature yet, `run` makes it first."""
        if self._snapshot is None or self.tables is None:
            return
        tables = recompile(self.tables, self._snapshot, self._live())
        if is_sealed(tables, self._signers):
            self._take(tables)
        else:
            self._unsigned.set()

    async def run(self) -> None:
        """Sign what verdicts brought that was not thought of before, and renew what grows old."""
        while True:
            try:
                await asyncio.wait_for(self._unsigned.wait(), RENEWAL_CHECK_S)
            except TimeoutError:
                await self._renew()
                continue
            self._unsigned.clear()
            await self._sign_new()

    def expiry_wall_s(self) -> Mapping[str, float]:
        """By zone, when (Unix seconds) its first signature expires."""
        return self._expiry_s

    async def _sign_new(self) -> None:
        snapshot, before = self._snapshot, self.tables
        assert snapshot is not None
        assert before is not None
        tables = recompile(before, snapshot, self._live())
        sealed = await asyncio.to_thread(seal_new, tables, self._signers, clock.wall_s())
        if self._snapshot is snapshot and self.tables is before:
            self._take(sealed)
        self.observe()

    async def _renew(self) -> None:
        snapshot, before = self._snapshot, self.tables
        if snapshot is None or before is None or not self._signers:
            return
        try:
            renewed = await asyncio.to_thread(
                seal, before, self._signers, clock.wall_s(), ahead=before.sealed, previous=before
            )
        except RefusedError as error:
            structlog.get_logger().error("signatures could not be renewed", why=str(error))
            return
        if self._snapshot is snapshot and self.tables is not None:
            made = {name: getattr(renewed, name) for name in ("seals", "chains", "lacking", "sealed")}
            self.tables = dataclasses.replace(self.tables, **made)
            self._expiry_s = _expiry_wall_s(renewed)
            self.observe()

    def _take(self, tables: Tables) -> None:
        self.tables = tables
        self._serve(tables)

    async def _compose(self, snapshot: Snapshot) -> tuple[Snapshot, Signers, Tables]:
        is_signed = any(zone.keys for zone in (snapshot.zone, *snapshot.zones))
        signers = open_signers(snapshot, self._secrets()) if is_signed else {}
        tables = await asyncio.to_thread(self._whole, snapshot, signers)
        return snapshot, signers, tables

    def _whole(self, snapshot: Snapshot, signers: Signers) -> Tables:
        live, served, old = self._live(), self.tables, self._snapshot
        known = recompose(served, old, snapshot, live) if served is not None and old is not None else None
        tables = known or compose(snapshot, live)
        if not signers or (known is not None and served is not None and known.pools is served.pools):
            return tables
        ahead = bodies_ahead(tables, snapshot)
        return seal(tables, signers, clock.wall_s(), ahead=ahead, previous=self.tables)


def _expiry_wall_s(tables: Tables) -> Mapping[str, float]:
    return {to_text(apex): float(moment_s) for apex, moment_s in expiry_s(tables).items()}
