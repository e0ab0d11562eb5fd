"""What happens in a game: which places look at which sites, what the policy says, and what breaks when. Pure.

A scenario follows from its seed alone. Nothing is played here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from gslb.simulate.dice import Dice

__all__ = ["FAULTS_S", "QUIET_S", "Fault", "Scenario", "make_scenario"]

FAULTS_S = 60.0
"""Until then things break; then all is well again for QUIET_S, long enough for everybody to be back."""
QUIET_S = 100.0

Kind = Literal["site-dead", "site-flaps", "place-cut", "link-cut", "observer-dies", "observer-lies"]
_KINDS: tuple[Kind, ...] = (
    "site-dead",
    "site-dead",
    "site-flaps",
    "place-cut",
    "link-cut",
    "observer-dies",
    "observer-lies",
)


@dataclass(frozen=True, slots=True)
class Fault:
    """From `start_s` to `end_s`. `who` is a site or a place, `whom` the other end of a link; `period_s` how fast it
    flaps, `lie` what a lying observer says."""

    kind: Kind
    start_s: float
    end_s: float
    who: str
    whom: str = ""
    period_s: float = 0.0
    lie: Literal["up", "down", "turns"] = "down"

    def holds(self, now_s: float) -> bool:
        return self.start_s <= now_s < self.end_s


@dataclass(frozen=True, slots=True)
class Scenario:
    """`places` maps each place to the site that it stands in, empty for one outside. Loss is a share of messages."""

    seed: int
    sites: tuple[str, ...]
    places: dict[str, str]
    app: dict[str, Any]
    faults: tuple[Fault, ...]
    message_loss: float
    delay_s: float
    double: float
    probe_loss: float

    @property
    def is_plain(self) -> bool:
        """Do sites die, and nothing else ever goes wrong?"""
        return self.message_loss == 0 == self.probe_loss and all(it.kind == "site-dead" for it in self.faults)


def make_scenario(seed: int) -> Scenario:
    """The game of `seed` (u64)."""
    dice = Dice(seed)
    sites = ("dc", "aws", "gcp")[: dice.whole(2, 3)]
    places = {site: site for site in sites[: dice.whole(1, len(sites))]}
    places |= {f"outside{number}": "" for number in range(dice.whole(0, 2))}
    faults = tuple(_fault(dice, sites, tuple(places)) for _ in range(dice.whole(0, 4)))
    lossy = dice.chance(0.6)
    return Scenario(
        seed=seed,
        sites=sites,
        places=places,
        app=_app(dice, sites),
        faults=faults,
        message_loss=dice.between(0, 0.3) if lossy else 0.0,
        delay_s=dice.between(0, 2.0) if lossy else 0.05,
        double=dice.between(0, 0.2) if lossy else 0.0,
        probe_loss=dice.between(0, 0.05) if lossy else 0.0,
    )


def _app(dice: Dice, sites: tuple[str, ...]) -> dict[str, Any]:
    weights = {site: float(dice.whole(1, 9)) for site in sites}
    if dice.chance(0.3):
        weights[sites[-1]] = 0.0
    order = [sites[-1], *sites[:-1]]
    chain = dice.one_of(
        (
            ["healthy", {"weighted": weights}],
            ["healthy", {"priority": order}, {"first": 1}],
            [{"healthy": {"threshold": dice.one_of((0, 50, 100))}}, {"first": 2}],
            [{"only": list(sites[:2])}, "healthy", {"first": 1}],
        )
    )
    failback = {"after": dice.one_of(("0s", "5s", "10s")), "over": dice.one_of(("0s", "0s", "20s"))}
    return {"steer": chain, "failback": failback, "failover": "manual" if dice.chance(0.15) else "auto"}


def _fault(dice: Dice, sites: tuple[str, ...], places: tuple[str, ...]) -> Fault:
    kind = dice.one_of(_KINDS)
    start_s = dice.between(5, FAULTS_S - 10)
    end_s = dice.between(start_s + 1, FAULTS_S)
    who = dice.one_of(sites if kind.startswith("site") else places)
    return Fault(
        kind,
        start_s,
        end_s,
        who,
        whom=dice.one_of((*sites, *places)),
        period_s=dice.between(0.5, 6),
        lie=dice.one_of(("up", "down", "turns")),
    )
