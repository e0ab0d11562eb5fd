"""Every node of the installation as an operator sees it: what it has, how far behind it is, and what it does by itself.

Pure; times come in, nothing is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gslb.control.installation.leader import Lead
from gslb.control.installation.registry import Registry
from gslb.control.installation.waves import Wave, title, wave_seen
from gslb.control.protocol import Applied, RoleState
from gslb.control.status import deed_line, is_in_sync, role_state
from gslb.model.words import iso
from gslb.snapshot.types import Snapshot, Version

__all__ = ["Fleet", "Trail", "followed", "lag_s", "nodes_seen"]

Trail = tuple[tuple[Version, float], ...]
"""The last versions in force, oldest first, each with when (by the monotonic clock) it came into force."""
TRAIL = 256
"""How many are remembered: a node that lacks more than these is behind at least since the oldest."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """What control knows of its nodes beside their states. `machine` is its own, empty where it has no name. `wanted`
    is what each node is to have, by name; those beyond a wave have something else than the others. `lead` is
    who does what is done once. `signers_trouble`: why this control cannot take the list of believed keys that stands in
    the store."""

    machine: str = ""
    registry: Registry = field(default_factory=Registry)
    trail: Trail = ()
    wanted: Mapping[str, Snapshot | None] = field(default_factory=dict)
    wave: Wave | None = None
    lead: Lead = field(default_factory=Lead)
    signers_trouble: str = ""


def followed(trail: Trail, version: Version, mono_s: float) -> Trail:
    """The trail when `version` comes into force."""
    return (*trail, (version, mono_s))[-TRAIL:]


def lag_s(applied: Applied | None, trail: Trail, mono_s: float) -> float:
    """For how long there has been something newer than what a node has in force."""
    has = Version(applied.revision, applied.overrides) if applied else None
    lacking = [since_s for version, since_s in trail if has is None or has < version]
    return max(0.0, mono_s - lacking[0]) if lacking else 0.0


def nodes_seen(
    fleet: Fleet, roles: Mapping[str, RoleState | None], ages_s: Mapping[str, float | None], mono_s: float
) -> dict[str, Any]:
    """As messages.NodesSeen. `roles` and `ages_s` as the publisher has them."""
    rows = [_row(fleet, name, state, ages_s.get(name), mono_s) for name, state in roles.items()]
    known = {(row["machine"], row["process"]) for row in rows}
    rows += [_unknown(machine, process) for machine, process in _registered(fleet) if (machine, process) not in known]
    return {
        "nodes": sorted(rows, key=lambda row: (row["machine"], row["role"] != "edge", row["process"])),
        "wave": wave_seen(fleet.wave),
        "damaged": list(fleet.registry.damaged),
    }


def _registered(fleet: Fleet) -> Iterable[tuple[str, str]]:
    return ((machine.name, process) for machine in fleet.registry.active() for process in machine.processes)


def _row(fleet: Fleet, name: str, state: RoleState | None, age_s: float | None, mono_s: float) -> dict[str, Any]:
    machine, slash, process = name.rpartition("/")
    wanted = fleet.wanted.get(name)
    how = role_state(state, age_s)
    in_sync = state is not None and how != "unreachable" and is_in_sync(state, wanted)
    applied, ends_s = (state.applied, state.identity_ends_wall_s) if state else (None, None)
    trail = tuple(item for item in fleet.trail if wanted is None or item[0] <= wanted.version)
    return {
        "machine": machine if slash else fleet.machine,
        "process": process,
        "role": state.role if state else "edge" if process.startswith("edge-") else process,
        "site": state.site if state else process.removeprefix("edge-") if process.startswith("edge-") else None,
        "state": how,
        "revision": applied.revision if applied else None,
        "overrides": applied.overrides if applied else None,
        "digest": applied.digest if applied else None,
        "in_sync": in_sync,
        "taken_s": state.snapshot_age_s if state else None,
        "lag_s": 0.0 if in_sync else round(lag_s(applied, trail, mono_s), 1),
        "heard_s": None if age_s is None else round(age_s, 1),
        "certificate_ends": None if ends_s is None else iso(ends_s),
        "notes": _notes(fleet, name, state),
    }


def _unknown(machine: str, process: str) -> dict[str, Any]:
    is_edge = process.startswith("edge-")
    return {
        "machine": machine, "process": process, "role": "edge" if is_edge else process,
        "site": process.removeprefix("edge-") if is_edge else None, "state": "unreachable", "revision": None,
        "overrides": None, "digest": None, "in_sync": False, "taken_s": None, "lag_s": None, "heard_s": None,
        "certificate_ends": None, "notes": ["this control has no identity to reach it with: gslb identity"],
    }  # fmt: skip


def _notes(fleet: Fleet, name: str, state: RoleState | None) -> Sequence[str]:
    """What a node decided by itself, was told where it runs, or waits for."""
    notes = []
    wave, qualified = fleet.wave, name if "/" in name else f"{fleet.machine}/{name}"
    if wave is not None and wave.is_on:
        if qualified in wave.here:
            notes.append(f"{title(wave)}: {wave.phase}")
        elif wave.is_beyond(qualified, wave.revision):
            notes.append(f"waits for {wave.revision}")
    if state is None:
        return notes
    if back := state.stepped_back_from:
        notes.append(f"crashed with {back.revision}.{back.overrides} and stepped back")
    if state.broken_glass:
        notes.append("broken glass: " + ", ".join(deed_line(deed) for deed in state.broken_glass.deeds))
    if state.left_out:
        notes.append("cannot serve " + ", ".join(state.left_out))
    return notes
