"""Who has which certificate until when, and what about that must worry an operator. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gslb.control.alarms import authority_alarms
from gslb.control.installation.enrolment import processes_in
from gslb.control.installation.registry import Machine
from gslb.model.words import iso
from gslb.trust.authority import lifetime_s
from gslb.trust.state import TrustState

__all__ = ["identity_seen"]

LEFT = 4
"""A certificate is renewed when half of its life is over; with a quarter left, something is in the way."""


def identity_seen(
    state: TrustState, machines: Iterable[Machine], ends_wall_s: Mapping[str, float], own: str, wall_s: float
) -> dict[str, Any]:
    """As join_messages.IdentitySeen. `ends_wall_s` is by role process as control names them: those of the machine `own`
    without its name."""
    listed = sorted(machines, key=lambda machine: machine.name)
    ends = {(name if "/" in name else f"{own}/{name}"): at_s for name, at_s in ends_wall_s.items()}
    authorities = {"root": lifetime_s(state.root_certificates[0])[1], "issuer": state.issuer_ends_s()}
    return {
        "domain": state.domain,
        "root_ends": iso(authorities["root"]),
        "issuer_ends": iso(authorities["issuer"]),
        "machines": [_machine(machine, ends) for machine in listed],
        "operators": [
            {"name": name, "role": one.role, "apps": sorted(one.apps), "ends": iso(one.by.expires_s or 0.0)}
            for name, one in sorted(state.operators.items())
        ],
        "alarms": [
            *(_alarm(one.message, one.remedy) for one in authority_alarms(authorities, wall_s)),
            *(alarm for machine in listed for alarm in _alarms(machine, ends, state.life_s, wall_s)),
        ],
    }


def _machine(machine: Machine, ends: Mapping[str, float]) -> dict[str, Any]:
    names = [f"{machine.name}/{process}" for process in processes_in(machine)]
    return {
        "name": machine.name,
        "state": machine.state,
        "joined": iso(machine.joined_at),
        "joined_by": machine.joined_by,
        "certificates": [{"name": name, "ends": iso(ends[name]) if name in ends else None} for name in names],
    }


def _alarms(machine: Machine, ends: Mapping[str, float], life_s: float, wall_s: float) -> Iterable[dict[str, str]]:
    if machine.state != "active":
        return
    for process in processes_in(machine):
        name = f"{machine.name}/{process}"
        left_s = ends[name] - wall_s if name in ends else None
        if left_s is not None and left_s < life_s / LEFT:
            said = "has ended" if left_s < 0 else f"ends in {left_s / 3600:.1f} hours"
            yield _alarm(f"the certificate of {name} {said}", f"see the log of {name}: why can it not renew it?")


def _alarm(what: str, remedy: str) -> dict[str, str]:
    return {"what": what, "remedy": remedy}
