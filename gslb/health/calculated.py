"""What several checks add up to (`calculated`). Pure; their own healths come from `target`.

Lack of evidence decides nothing: as long as those that nobody knows of could make up the number, or are critical, the
sum is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping

from gslb.health.target import Health, Phase
from gslb.snapshot.checks import CalculatedAsk, CheckName, NamedCheck

__all__ = ["add_up"]

_OPPOSITE: Mapping[Phase, Phase] = {"up": "down", "down": "up", "unknown": "unknown"}
_SHOWN = 3
"""How many members a reason names."""


def add_up(check: NamedCheck, members: Mapping[CheckName, Health]) -> Health:
    """The health of a calculated check. `members` has every check that it is calculated from."""
    ask = check.ask
    assert isinstance(ask, CalculatedAsk)
    phases = {name: members[name].phase for name in ask.of}
    up = sum(phase == "up" for phase in phases.values())
    unknown = sum(phase == "unknown" for phase in phases.values())
    critical = {phases[name] for name in ask.critical}
    if "down" in critical or up + unknown < ask.at_least:
        phase: Phase = "down"
    else:
        phase = "unknown" if "unknown" in critical or up < ask.at_least else "up"
    reason = f"{check.name}: {up} of {len(ask.of)} up, {ask.at_least} needed"
    lacking = [name for name in ask.of if phases[name] != "up"]
    told = [f"{'critical ' if name in ask.critical else ''}{members[name].reason}" for name in lacking[:_SHOWN]]
    told += [f"{len(lacking) - _SHOWN} more"] * (len(lacking) > _SHOWN)
    if told and phase != "up":
        reason += f" ({'; '.join(told)})"
    if check.invert:
        return Health(_OPPOSITE[phase], f"{reason}, inverted")
    return Health(phase, reason)
