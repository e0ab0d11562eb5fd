"""How far a policy has got: one edge first, then half of them, then all; then the name servers likewise. Pure.

Each wave is baked: nodes that crash, refuse, fall silent, answer SERVFAIL or see sites go down that nobody else sees
are an alarm, and then the policy from before goes everywhere, as a newer revision. Name servers follow the edges, so
that no answer names an edge that does not know the host yet; the last wave of edges is the first of name servers.

    reaching --every node that can be reached has it--> baking --bake over--> reaching the next, or done
    reaching, baking --alarm--> back          reaching --REACH_S over--> back

The position is a document that every control reads: the leader alone moves it, and a leader that is lost leaves it to
the next one, who bakes that wave anew. Only policies go in waves. What a drain or shift changes meanwhile goes to every
node at once, beyond the wave over the policy from before. Reading states and publishing belong to roles.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from gslb.control.protocol import Message, RoleState

__all__ = [
    "BAKE_S", "DOCUMENT", "FEWEST", "REACH_S", "SERVFAILS", "Baseline", "Event", "Reading", "Wave", "alarms",
    "baseline_of", "begun", "event_of", "next_stage", "overtaken", "stages", "step",
    "superseding", "taken_back", "title", "wave_seen",
]  # fmt: skip

DOCUMENT = "wave"
"""The name of the document that holds the position."""
BAKE_S = 30.0
"""What a bad policy does, it mostly does at once; a role that crashes is back, and crashes again, within this."""
FEWEST = 3
"""Fewer nodes than this are no crowd that a few could go ahead of."""
REACH_S = 60.0
"""How long a wave may take to be in force where its nodes can be reached: an edge of 1,000 apps takes 7 s."""
QUIET_S = 5.0
"""How long a node of the wave may be silent, or not ready, without an alarm: three reads may be lost to a pause."""
SERVFAILS = 5
"""More than this since the wave began, on a node of it. A single one may be an odd packet's."""

_NAMED = 4
"""How many of what went down are named: the rest is like them."""

Phase = Literal["reaching", "baking", "done", "back", "over"]


class Baseline(Message):
    """What a node was like before its wave."""

    started_wall_s: float = 0.0
    envoy_restarts: int = 0
    servfails: int = 0


class Wave(Message):
    """The position of `revision`. `stages` are names of nodes, `MACHINE/dns` or `MACHINE/edge-SITE`, each wave without
    those before it; `position` is the wave that is under way. Nodes beyond it keep the policy of `before`. `phase`
    `done`: everybody has it; `back`: the policy of `before` was put back, for `why`; `over`: something newer came.
    `down`: what was down when the wave began, `APP SITE ADDRESS`."""

    revision: int
    before: int
    stages: tuple[tuple[str, ...], ...]
    position: int = 0
    phase: Phase = "reaching"
    bake_s: float = Field(BAKE_S, ge=0)
    baselines: Mapping[str, Baseline] = {}
    down: tuple[str, ...] = ()
    why: str = ""

    @property
    def is_on(self) -> bool:
        return self.phase in ("reaching", "baking")

    @property
    def here(self) -> tuple[str, ...]:
        """The nodes of the wave that is under way."""
        return self.stages[self.position]

    @property
    def reached(self) -> frozenset[str]:
        """The nodes that are to have the revision by now."""
        return frozenset(name for stage in self.stages[: self.position + 1] for name in stage)

    def is_beyond(self, node: str, revision: int) -> bool:
        """Whether `node` is to keep the policy from before, while `revision` is in force."""
        return self.is_on and self.revision == revision and node not in self.reached


@dataclass(frozen=True, slots=True)
class Reading:
    """A node as it is now. `silent_s`: since it last answered. `refused`: why it does not take the revision; empty: it
    did not say so."""

    state: RoleState | None
    silent_s: float
    refused: str = ""


Event = Literal["waiting", "in force", "alarm"]
"""What the nodes of the wave are like: some do not have it yet, all that can be reached do, or something is wrong."""


def stages(nodes: Iterable[str], machines: int) -> tuple[tuple[str, ...], ...]:
    """The waves for `nodes`, by name; empty where going in waves makes no sense."""
    names = sorted(nodes)
    if len(names) < FEWEST or machines < 2:
        return ()
    servers = [name for name in names if _is_dns(name)]
    edges = _thirds([name for name in names if not _is_dns(name)])
    dns = _thirds(servers)
    return (*edges[:-1], (*edges[-1], *dns[0]), *dns[1:]) if edges and dns else (*edges, *dns)


def _is_dns(name: str) -> bool:
    return name.rpartition("/")[2] == "dns"


def _thirds(names: Sequence[str]) -> list[tuple[str, ...]]:
    """One, as many as make half of them, the rest."""
    half = max(1, (len(names) + 1) // 2)
    return [part for part in (tuple(names[:1]), tuple(names[1:half]), tuple(names[half:])) if part]


def begun(
    revision: int, before: int, parts: tuple[tuple[str, ...], ...], bake_s: float, seen: Mapping[str, RoleState | None]
) -> Wave:
    """The first wave of `revision` is about to be published."""
    wave = Wave(revision=revision, before=before, stages=parts, bake_s=bake_s)
    return _entered(wave, seen)


def superseding(wave: Wave | None, parts: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
    """`parts` for a revision that comes while `wave` is under way: the nodes that have the unbaked one get it first."""
    if wave is None or not wave.is_on or not parts:
        return parts
    ahead = {name for stage in parts for name in stage} & wave.reached
    first = tuple(sorted(ahead | set(parts[0])))
    rest = (tuple(name for name in stage if name not in first) for stage in parts[1:])
    return (first, *(stage for stage in rest if stage))


def next_stage(wave: Wave, seen: Mapping[str, RoleState | None]) -> Wave:
    """The wave after a bake that went well: the next part of the nodes, or done."""
    if wave.position + 1 == len(wave.stages):
        return wave.model_copy(update={"phase": "done", "baselines": {}})
    moved = wave.model_copy(update={"position": wave.position + 1, "phase": "reaching"})
    return _entered(moved, seen)


def taken_back(wave: Wave, why: str) -> Wave:
    return wave.model_copy(update={"phase": "back", "why": why[:500], "baselines": {}})


def overtaken(wave: Wave, revision: int) -> Wave:
    """A later `revision` is in force, for everybody or in waves of its own."""
    return wave.model_copy(update={"phase": "over", "why": f"revision {revision} came", "baselines": {}})


def step(wave: Wave, event: Event, why: str, in_phase_s: float, seen: Mapping[str, RoleState | None]) -> Wave:
    """The wave after a look at its nodes; the very one where nothing follows. `in_phase_s`: how long its phase has
    lasted by the caller's monotonic clock, who may have taken it over meanwhile.

    A node that was silent or ill when its wave began and is well now is watched from now on; the phase begins anew."""
    if event == "alarm":
        return taken_back(wave, why)
    late = _watched(wave, wave.reached - wave.baselines.keys(), seen)
    if late is not wave:
        return late
    if wave.phase == "reaching":
        if event == "in force":
            return wave.model_copy(update={"phase": "baking"})
        return taken_back(wave, f"it was not in force within {REACH_S:g} s: {why}") if in_phase_s > REACH_S else wave
    if wave.phase == "baking" and in_phase_s >= wave.bake_s:
        return next_stage(wave, seen)
    return wave


def event_of(wave: Wave, readings: Mapping[str, Reading]) -> tuple[Event, str]:
    """What the nodes that have been reached are like, and which of them for what reason."""
    said = alarms(wave, readings)
    if said:
        return "alarm", "; ".join(said)
    lacking = [name for name in wave.here if name in wave.baselines and not _has(wave, readings.get(name))]
    return ("waiting", ", ".join(lacking)) if lacking else ("in force", "")


def alarms(wave: Wave, readings: Mapping[str, Reading]) -> list[str]:
    """What is wrong since the waves began, with nodes that they have reached. Of those that were ill before it counts
    only what they say of this very policy."""
    said: list[str] = []
    for name in sorted(wave.reached):
        reading, before = readings.get(name), wave.baselines.get(name)
        if reading is None:
            why = "it is gone" if before is not None else ""
        else:
            why = _verdict(wave, reading) or (_trouble(wave, before, reading) if before is not None else "")
        if why:
            said.append(f"{name}: {why}")
    return [*said, *_fallen(wave, readings)]


def _verdict(wave: Wave, now: Reading) -> str:
    """What the node says against the policy itself; empty: nothing."""
    back = now.state.stepped_back_from if now.state is not None else None
    if back is not None and back.revision == wave.revision:
        return "crashed with it and stepped back"
    return now.refused


def _trouble(wave: Wave, before: Baseline, now: Reading) -> str:
    """What is wrong with a node by itself; empty: nothing."""
    state = now.state
    if state is None or now.silent_s > QUIET_S:
        return f"silent for {now.silent_s:.0f} s"
    envoy = state.edge.envoy if state.edge else None
    ended = envoy is not None and envoy.restarts > before.envoy_restarts
    servfails = _servfails(state) - before.servfails
    found = (
        (state.started_wall_s != before.started_wall_s, "its process ended and started again"),
        (ended, f"its Envoy ended: {envoy.last_end if envoy else ''}"),
        (bool(state.left_out), f"cannot serve {', '.join(state.left_out)}"),
        (_has(wave, now) and not state.ready, "not ready"),
        (servfails > SERVFAILS, f"{servfails} times SERVFAIL since"),
    )
    return next((why for is_so, why in found if is_so), "")


def _fallen(wave: Wave, readings: Mapping[str, Reading]) -> list[str]:
    """What has gone down with this wave, and nowhere else: sites of its edges, by anybody's word, while the same app
    stays up at the others; anything that its name servers see and others do not."""
    states = {name: item.state for name, item in readings.items() if item.state and item.silent_s <= QUIET_S}
    servers = {name: set(_down(state)) - set(wave.down) for name, state in states.items() if state.role == "dns"}
    said: list[str] = []
    others = [down for name, down in servers.items() if name not in wave.here]
    for name, down in servers.items():
        alone = down.difference(*others) if others and name in wave.here and name in wave.baselines else set()
        said += [f"{name} alone sees {item} down" for item in sorted(alone)[:_NAMED]]
    sites = {state.site for name, state in states.items() if name in wave.here and state.role == "edge"}
    new = {tuple(item.split()) for item in set().union(*servers.values())}
    elsewhere = {app for app, site, _ in new if site not in sites}
    own = sorted(item for item in new if item[1] in sites and item[0] not in elsewhere)
    return [*said, *(f"{app} went down at {site} ({address})" for app, site, address in own[:_NAMED])]


def baseline_of(state: RoleState) -> Baseline:
    """What to compare with later."""
    restarts = state.edge.envoy.restarts if state.edge else 0
    return Baseline(
        started_wall_s=state.started_wall_s,
        envoy_restarts=restarts,
        servfails=_servfails(state),
    )


def title(wave: Wave) -> str:
    """Which wave it is, for people: `wave 2 of 5`."""
    return f"wave {wave.position + 1} of {len(wave.stages)}"


def wave_seen(wave: Wave | None) -> dict[str, Any] | None:
    """As status_messages.WaveSeen; None where no policy ever went in waves."""
    if wave is None:
        return None
    return {
        "revision": wave.revision,
        "before": wave.before,
        "phase": wave.phase,
        "wave": wave.position + 1,
        "waves": len(wave.stages),
        "here": list(wave.here),
        "beyond": sorted(name for stage in wave.stages[wave.position + 1 :] for name in stage) if wave.is_on else [],
        "bake_s": wave.bake_s,
        "why": wave.why,
    }


def _entered(wave: Wave, seen: Mapping[str, RoleState | None]) -> Wave:
    """The wave under way, with what its nodes and the sites are like before they get the revision."""
    down = {item for state in seen.values() if state is not None for item in _down(state)}
    return _watched(wave.model_copy(update={"down": tuple(sorted(down))}), wave.here, seen)


def _watched(wave: Wave, nodes: Iterable[str], seen: Mapping[str, RoleState | None]) -> Wave:
    """With baselines of those of `nodes` that are well; the very one where none is. Who is silent or ill holds nobody
    up, and only what it says of the policy itself counts."""
    new = {name: baseline_of(state) for name in nodes if (state := seen.get(name)) is not None and state.ready}
    return wave.model_copy(update={"baselines": {**wave.baselines, **new}}) if new else wave


def _has(wave: Wave, reading: Reading | None) -> bool:
    applied = reading.state.applied if reading is not None and reading.state is not None else None
    return applied is not None and applied.revision >= wave.revision


def _servfails(state: RoleState) -> int:
    return state.dns_counts.get("responses_servfail", 0)


def _down(state: RoleState) -> list[str]:
    return [f"{item.app} {item.site} {item.address}" for item in state.verdicts if item.state == "down"]
