"""What a plan says, as values that cross processes and rest in files. No behaviour beyond looking things up.

Percentages are 0 to 100, rounded to 0.01. Everything is bounded: what a plan does not list it counts in `left_out`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from gslb.snapshot.intent import Intent
from gslb.snapshot.types import Snapshot

__all__ = [
    "AppChange", "Conflict", "Exposure", "Group", "Item", "Kind", "Model", "Pair", "PathChange", "Plan", "Refusal",
    "RouteChange", "Side", "Unreachable", "VersionPlanned",
]  # fmt: skip

Kind = Literal["added", "removed", "changed"]


class Side(NamedTuple):
    """What is wanted, and the snapshot that it means."""

    intent: Intent
    snapshot: Snapshot


class Model(BaseModel):
    """Frozen and strict about keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class VersionPlanned(Model):
    """`digest` is the content's. Keys that a newly signed zone will get are not in it: they are made when it is
    applied."""

    revision: int
    overrides: int
    digest: str


class Pair(Model):
    """None: not there."""

    before: str | None
    after: str | None


class PathChange(Pair):
    """One difference of two policies, at a path such as `apps.shop.routes.pay.split.checkout`. Values are JSON, long
    ones cut."""

    path: str


class Group(Model):
    """Clients that nothing in the app's chain tells apart, the percentage of them at each site, and how many of them
    move to another one. An empty mapping: they are told no site."""

    clients: str
    before: Mapping[str, float]
    after: Mapping[str, float]
    moved_percent: float


class RouteChange(Model):
    """Percent by backend. `moved_percent` is the share of the route's requests that another backend gets from then on;
    `source` is where the split after it comes from; `mirrors` say which begin, end or change;
    `is_matched_anew`: it takes other requests than before."""

    route: str
    kind: Kind
    before: Mapping[str, float]
    after: Mapping[str, float]
    moved_percent: float
    source: str
    mirrors: tuple[str, ...] = ()
    is_matched_anew: bool = False


class Exposure(Model):
    """How long clients may be sent to a site that has just died: until it is seen, and as long again as resolvers may
    keep the answer. None: until a person acts, because failover is manual."""

    detection_s: float | None
    ttl_s: int
    total_s: float | None
    terms: str


class AppChange(Model):
    """`groups` is empty where no client is told anything else."""

    app: str
    kind: Kind
    hosts_added: tuple[str, ...]
    hosts_removed: tuple[str, ...]
    groups: tuple[Group, ...]
    routes: tuple[RouteChange, ...]
    ttl: Pair | None
    exposure: Exposure | None


class Item(Model):
    """A site or a zone, and what follows for it."""

    name: str
    kind: Kind
    note: str


class Unreachable(Model):
    what: str
    why: str


class Conflict(Model):
    """An override that stays and disagrees with the policy. `blocks`: it names what the policy lacks, and must be
    undone first."""

    message: str
    remedy: str
    blocks: bool


class Refusal(Model):
    """A guard rail that the change runs into. `allowed` says why it does not hold the change up; empty: it does."""

    rule: str
    message: str
    remedy: str
    allowed: str = ""


class Plan(Model):
    """What would change. `before` is None where no policy is in force yet. `changes` are the differences of the two
    policies as they are written, the rest is what follows from them with health as it is now.

    `app`: the plan takes this app alone, and `aside` are the other differences of what was given, which stay as they
    are in force.
    """

    environment: str
    before: VersionPlanned | None
    after: VersionPlanned
    apps: tuple[AppChange, ...] = ()
    sites: tuple[Item, ...] = ()
    zones: tuple[Item, ...] = ()
    unreachable: tuple[Unreachable, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    changes: tuple[PathChange, ...] = ()
    app: str = ""
    aside: tuple[PathChange, ...] = ()
    left_out: int = Field(0, description="how many routes, groups of clients and differences are not listed")

    @property
    def is_empty(self) -> bool:
        """Whether the policy is the one in force."""
        return not (self.apps or self.sites or self.zones or self.changes)

    @property
    def holding(self) -> tuple[Refusal, ...]:
        """The refusals that hold it up."""
        return tuple(refusal for refusal in self.refusals if not refusal.allowed)

    @property
    def is_refused(self) -> bool:
        return bool(self.holding) or any(conflict.blocks for conflict in self.conflicts)
