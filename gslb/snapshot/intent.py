"""What operators want: a policy revision and the overrides on it. Written by control only; read by every role.

Pydantic models, because an Intent crosses processes and rests in the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from gslb.model.policy import Policy
from gslb.model.words import Name, Percent

__all__ = ["Drain", "Intent", "Overrides", "Provenance", "Shift"]


class Model(BaseModel):
    """Frozen and strict about keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Provenance(Model):
    """Who did it, when, why, and until when (`None`: until somebody undoes it). Times are Unix seconds."""

    author: str = ""
    reason: str = ""
    at_s: float
    expires_s: float | None = None


class Drain(Model):
    """A site taken out, of DNS and (unless `entry_only`) of its own edge's routing; for one app or for all."""

    site: Name
    app: Name | None = None
    entry_only: bool = False
    by: Provenance


class Shift(Model):
    """The split of one route, set by a person."""

    app: Name
    route: Name
    split: Mapping[Name, Percent]
    by: Provenance


class Overrides(Model):
    """`version` rises with every change."""

    version: Annotated[int, Field(ge=0)] = 0
    drains: tuple[Drain, ...] = ()
    shifts: tuple[Shift, ...] = ()


class Intent(Model):
    """`revision` numbers the policy, rising from 1 (u32, RFC 1982 is not needed before 4 billion changes)."""

    revision: Annotated[int, Field(ge=1, le=0xFFFFFFFF)]
    policy: Policy
    overrides: Overrides = Overrides()
