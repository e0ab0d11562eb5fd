"""The bodies of planning, applying and comparing policies. No rule of the product here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from gslb.control.bodies.messages import Author, Body, Change, Line
from gslb.control.bodies.status_messages import WaveSeen
from gslb.control.installation.waves import BAKE_S
from gslb.model.words import Name
from gslb.plan import Plan
from gslb.plan.types import VersionPlanned

__all__ = ["ApplyChange", "ApplyRequest", "DiffQuery", "DiffSeen", "PlanFile", "PlanRequest", "PlanSeen", "Rule"]

Revision = Annotated[int, Field(ge=1, le=0xFFFFFFFF)]
Rule = Literal["last-site", "app-removed", "host-removed", "large-move", "zone-removed", "dnssec-off"]


class PlanRequest(Body):
    """Either a `policy`, as `gslb schema` describes it but with the lines of zone files in place of their names; or the
    `revision` whose policy is to be in force again. `app`: only this app of it, and everything else as it is in force.
    `allow` names guard rails that shall not hold it up."""

    policy: Annotated[Mapping[str, Any], Field(description="a whole policy")] | None = None
    revision: Revision | None = None
    app: Name | None = None
    allow: Annotated[tuple[Rule, ...], Field(max_length=16)] = ()

    @model_validator(mode="after")
    def _one_of_both(self) -> PlanRequest:
        if (self.policy is None) == (self.revision is None):
            raise ValueError("give either a policy or a revision")
        return self


class ApplyRequest(PlanRequest):
    """`base` is the version that the plan was made on (None: no policy was in force), `digest` that of the content it
    led to. `reason` says why `allow`, or `all_at_once`, is right. Where there are nodes enough, a policy goes in waves,
    each baked for `bake_s` seconds; going back to a `revision` goes to all at once."""

    base: VersionPlanned | None
    digest: Annotated[str, Field(max_length=64)]
    message: Annotated[Line, Field(min_length=1)]
    reason: Line = ""
    author: Author = ""
    bake_s: Annotated[float, Field(ge=0, le=86400)] = BAKE_S
    all_at_once: bool = False


class PlanSeen(Body):
    """`refused`: applying it would be."""

    refused: bool
    summary: str
    plan: Plan


class PlanFile(Body):
    """A plan that is kept until it is applied, with the policy that it is of."""

    format: Literal["gslb-plan-1"] = "gslb-plan-1"
    base: VersionPlanned | None
    digest: str
    policy: Mapping[str, Any]
    app: str | None = None
    plan: Plan


class ApplyChange(Change):
    """`revision_before` is None for the first policy. `wave`: it goes in waves, of which the first is in force."""

    revision_before: int | None
    summary: str
    wave: WaveSeen | None


class DiffQuery(Body):
    """Two revisions. `after` None: the one in force."""

    before: Revision
    after: Revision | None = None


class DiffSeen(Body):
    """What lies between the policies of two revisions, with health as it is now. Overrides are left aside, and nothing
    is refused."""

    before: int
    after: int
    plan: Plan
