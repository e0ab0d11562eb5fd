"""The seam between the API and what carries a change to the other processes. Types only: no transport, no rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from gslb.control.checks import PushBoard
from gslb.control.compared import Compared
from gslb.control.followed import Followed
from gslb.control.installation.fleet import Fleet
from gslb.control.installation.waves import Wave
from gslb.control.protocol import Outcomes, RoleState
from gslb.control.registrar import Registrar
from gslb.model.given import Checker
from gslb.model.policy import Policy
from gslb.model.words import IpAddress
from gslb.snapshot.intent import Intent
from gslb.snapshot.networks import GeoMap
from gslb.snapshot.types import Snapshot, ZoneKey
from gslb.store import AuditEntry, AuditRecord

__all__ = ["Make", "Published", "Publisher"]

Make = Callable[[Intent | None], Intent]
"""The change itself: from the Intent in force (None: nothing yet) to the wanted one. Pure, so it may be called again.

Raises PolicyError or RefusedError. Returns the very Intent that it was given where nothing has to change."""


@dataclass(frozen=True, slots=True)
class Published:
    """A change that is in the store. `before` is None for the first policy.

    `unacknowledged` names the roles that have not said that it is in force, with the reason of each; they catch up
    by themselves. `wave`: it goes in waves, of which the first is in force.
    """

    before: Snapshot | None
    after: Snapshot
    unacknowledged: Mapping[str, str] = field(default_factory=dict)
    wave: Wave | None = None


class Publisher(Protocol):
    """What the API needs of the control role. `current`, `roles` and `ages_s` answer at once, from memory."""

    def current(self) -> tuple[Intent, Snapshot] | None:
        """What is in force; None before the first policy."""
        ...

    def compiled(self, intent: Intent, wall_s: float) -> Snapshot:
        """As compile_snapshot, of an Intent that is not in force: what it has in common with the one that is, is not
        compiled again. For threads, too."""
        ...

    def roles(self) -> Mapping[str, RoleState | None]:
        """Every role that should run, by name (`dns`, `edge-SITE`), and the last state it told; None: never reached."""
        ...

    def ages_s(self) -> Mapping[str, float | None]:
        """Seconds since each role last answered; None: never, or it did not answer the last change."""
        ...

    def places(self, client: IpAddress | None) -> GeoMap | None:
        """What the database of places says of one client; None where there is no database. Raises HostError."""
        ...

    def all_places(self) -> GeoMap | None:
        """The whole database of places, which takes seconds to read; None where there is none. Raises HostError."""
        ...

    def make_key(self, zone: str, role: Literal["ksk", "zsk"], algorithm: int) -> ZoneKey:
        """A new DNSSEC key of a zone, sealed and in no use yet. Raises HostError."""
        ...

    def followed(self) -> Followed | None:
        """The git repository that this control follows; None where it follows none."""
        ...

    @property
    def registrar(self) -> Registrar | None:
        """What keeps the installation's trust; None where it has no authority."""
        ...

    @property
    def checker(self) -> Checker:
        """What checks policies that are given over the API."""
        ...

    @property
    def pushed(self) -> PushBoard:
        """The states of checks that were pushed."""
        ...

    async def hand_pushed(self) -> list[str]:
        """Tells every node that looks at checks what was pushed; the names of those that have taken it."""
        ...

    async def comparisons(self, app: str, route: str) -> Mapping[str, Compared | None]:
        """By name of each edge that compares, what its comparer tells of APP/ROUTE; None: nothing. Bounded by a few
        seconds."""
        ...

    async def outcomes(self, app: str) -> Sequence[Outcomes]:
        """What every edge that answers says of the requests of `app` lately."""
        ...

    async def refresh(self) -> None:
        """Reads every role's state now, so that what is told next counts everything until now. Bounded by a second."""
        ...

    def fleet(self) -> Fleet:
        """What is known of the nodes beside their states. At once, from memory."""
        ...

    async def change(
        self, make: Make, audit: AuditEntry, bake_s: float | None = None, fence: int | None = None
    ) -> Published:
        """Prepares the change everywhere, stores it, publishes it, waits for every role. One change at a time. With
        `bake_s` a policy goes in waves, each baked so long, where there are nodes enough; without, to all at once.
        `fence` is the term in which this control leads, of what only the leader may change: rule `fenced` where it
        leads no more.

        Where `make` returns what it was given, nothing is written or sent, and `before` is `after`.
        Raises PolicyError, RefusedError or HostError: then nothing has changed anywhere.
        """
        ...

    async def policy(self, revision: int) -> Policy:
        """The policy that has this revision. Raises RefusedError, rule `unknown-revision`, or HostError."""
        ...

    async def history(self, limit: int) -> Sequence[AuditRecord]:
        """The last `limit` changes, newest first. Raises HostError."""
        ...
