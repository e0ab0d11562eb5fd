"""What the policy and people say of whether a site is answered: how it comes back, what may go at once, what is forced
and what was approved. Frozen values; what is observed stands in `types`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NewType

__all__ = ["Approval", "Failback", "ForcedState", "Guard", "SiteName", "SlowStart"]

SiteName = NewType("SiteName", str)


@dataclass(frozen=True, slots=True)
class Failback:
    """How a site that was down comes back: after it has been well for `after_s` without a break, or only when a person
    says so (`manual`); its share then grows to the whole over `over_s` (0: at once)."""

    after_s: float = 30.0
    manual: bool = False
    over_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Guard:
    """Automation may take `most_ratio` (0 to 1) of an app's capacity out within `within_s`, and one site anyway."""

    most_ratio: float = 0.5
    within_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Approval:
    """A person's word, at `at_wall_s`, for what happened before: that a dead site may leave the answer (`failover`), or
    that one that is well again may come back (`resume`)."""

    site: SiteName
    what: Literal["failover", "resume"]
    at_wall_s: float


@dataclass(frozen=True, slots=True)
class SlowStart:
    """An undrained site whose share grows to the whole from `begins_wall_s` on, over `over_s`."""

    site: SiteName
    begins_wall_s: float
    over_s: float


@dataclass(frozen=True, slots=True)
class ForcedState:
    """What a person wants to be believed of a site, whatever is seen; `detail` says who, why and until when."""

    site: SiteName
    state: Literal["up", "down"]
    detail: str
