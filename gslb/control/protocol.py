"""What control and the other roles say to each other over the roles' node endpoints (HTTP on a unix socket).

A change reaches a role in two steps: `POST /prepare` (can you take this? nothing changes) and `POST /publish` (take it,
and answer when it is in force). `GET /state` is what the role has and sees, `?since=` in the form of
`telling.mark_text` what has changed of it, and with `&wait_ms=` not before anything has (status 304: nothing did);
`PUT /roster` tells it who the others are;
`GET /observations` is what one place sees, for the others to count; `GET /comparisons/APP/ROUTE` what was compared;
`PUT /pushed` tells it the states of checks that were pushed, `PUT /signers` whose signatures the installation believes.
No transport here, only the messages.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from gslb.control.compared import ComparerLife, ComparerState
from gslb.snapshot.bundle import Bundle
from gslb.snapshot.intent import Drain, MirrorStop, Provenance

__all__ = [
    "CALLER", "Applied", "BrokenGlass", "CertificateSeen", "CheckState", "Deed", "EdgeState", "EnvoyState", "HopState",
    "Observations", "Offer", "Peer", "ProbingState", "Pushed", "PushedStates", "Refusal", "RoleState", "Roster",
    "RosterHeld", "RouteState", "SignersHeld", "StateChange", "StateMark", "VerdictState", "role_name",
]  # fmt: skip

CALLER = "Gslb-Caller"
"""The header that says who asks: a node tells the silence of `control` from the questions of others."""


class Message(BaseModel):
    """Frozen. Unknown keys are ignored, so that neighbours of different versions understand each other."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Offer(Message):
    """The body of prepare and publish. Every role compiles for itself, at the same `wall_s`, to the same digest."""

    bundle: Bundle
    wall_s: float


class Applied(Message):
    """What a role has in force (answer to publish), or has made ready (answer to prepare)."""

    revision: int
    overrides: int
    digest: str


class Refusal(Message):
    """Status 422 to prepare, 409 to publish: nothing has changed."""

    reasons: tuple[str, ...]


class Peer(Message):
    """A role process that the others may read. `address`: `unix:PATH` or `https://HOST:PORT`, where it must show the
    SPIFFE id `spiffe`. `name` is `dns` or `edge-SITE`, with `MACHINE/` before it where it runs elsewhere."""

    name: str
    role: Literal["dns", "edge", "observer"]
    site: str | None = None
    address: str
    spiffe: str = ""


class Roster(Message):
    """The body of `PUT /roster`: every role process of the installation, and the names of the machines, with a control
    or without, that were `removed` from it. A node takes a higher `number` only."""

    number: int = Field(0, ge=0)
    peers: tuple[Peer, ...] = ()
    removed: tuple[str, ...] = ()

    @cached_property
    def digest(self) -> str:
        """Of who stands in it, whatever its number. Without anybody removed it is as before there were such."""
        lines = [*(peer.model_dump_json() for peer in self.peers), *(f"removed {name}" for name in self.removed)]
        text = "\n".join(sorted(lines))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class RosterHeld(Message):
    """Which roster a node has (in its state, and as the answer to one that it took)."""

    number: int = 0
    digest: str = ""


class SignersHeld(Message):
    """The number of the list of believed keys that a node's machine has, as the answer to one."""

    number: int = 0


class Deed(Message):
    """What somebody did at the node itself, such as `drain dc`, while control could not be asked."""

    did: str
    by: Provenance


class BrokenGlass(Message):
    """`drains` and `mirror_stops` hold in place of those of the offer that gave `over`, until control publishes a newer
    one. `mirror_stops` None: an older gslb wrote it, and those of the offer hold."""

    over: Applied
    drains: tuple[Drain, ...]
    mirror_stops: tuple[MirrorStop, ...] | None = None
    deeds: tuple[Deed, ...]


class VerdictState(Message):
    app: str
    site: str
    address: str
    state: Literal["up", "down", "unknown", "held"]
    reason: str
    since_wall_s: float
    flip_s: float = Field(0.0, description="how many seconds the state lasts at least")
    seen: Literal["up", "down", "unknown", "disputed", ""] = Field("", description="where that is not the state itself")
    waits: bool = Field(False, description="only a person can end it")
    views: dict[str, str] = Field({}, description="by place, what it sees: up, down, unknown or silent")


class StateChange(Message):
    at_wall_s: float
    state: Literal["up", "down", "unknown"]
    reason: str


class CheckState(Message):
    """A named check as one node knows it. `last`: what the last look found; `cannot`: why the last try was no look."""

    name: str
    kind: str
    state: Literal["up", "down", "unknown"]
    reason: str
    last: str = ""
    warning: bool = False
    cannot: str = ""
    since_wall_s: float | None = None
    looked_wall_s: float | None = None
    duration_s: float | None = None
    changes: tuple[StateChange, ...] = ()


class ProbingState(Message):
    """How the prober of a role is. `age_s`: since it last turned; `behind_s`: how long what waits longest has been
    due; `counts`: looks by what came of them; `second_tries`: those begun once more, as nothing was heard."""

    running: bool
    age_s: float
    behind_s: float
    targets: int
    in_flight: int
    counts: dict[str, int] = {}
    second_tries: int = 0


class Pushed(Message):
    """What somebody said of a check. `left_s`: for how much longer it holds."""

    ok: bool
    reason: str
    left_s: float


class PushedStates(Message):
    """The body of `PUT /pushed`: every pushed state that a control has, by name of the check."""

    states: dict[str, Pushed] = {}


class Observations(Message):
    """What a role process sees, the same amount always. `life` (Unix seconds, when it started) and `number` rise, so
    that what comes late or twice is known as such. `views` by app and address: state, seconds that it lasts at least,
    and the reason where it is not up. `looking`: it probes. An edge adds its own word: the site, and whether it serves.
    """

    life: float
    number: int
    looking: bool = False
    views: dict[str, dict[str, tuple[Literal["up", "down", "unknown"], float, str]]] = {}
    site: str | None = None
    serves: bool = False


class EnvoyState(Message):
    """The Envoy of an edge role. `state`: live, starting, or backing_off after it died."""

    state: Literal["live", "starting", "backing_off"]
    pid: int | None = None
    since_wall_s: float = 0.0
    restarts: int = 0
    adopted: bool = False
    last_end: str = Field("", description="why the previous Envoy ended")


class RouteState(Message):
    app: str
    route: str
    requests: dict[str, int] = {}
    mirrored: int = 0
    skipped: dict[str, int] = {}


class HopState(Message):
    """Requests that an edge answered for other edges."""

    app: str
    backend: str
    requests: int


class CertificateSeen(Message):
    """A certificate that an edge shows to clients of `hosts`. `ends_wall_s` None: there is none that can be read;
    `begins_wall_s` None: that, or an older gslb tells it. `problem` says why clients would refuse it;
    `unnamed` are the hosts that it does not name, while it is in force."""

    name: str
    hosts: tuple[str, ...] = ()
    unnamed: tuple[str, ...] = ()
    begins_wall_s: float | None = None
    ends_wall_s: float | None = None
    problem: str | None = None


class SideOutcome(Message):
    """What one side of a split answered: how often, how often with 5xx, and a histogram of its time (lower bound and
    width in ms, number)."""

    route: str
    backend: str
    answered: int
    failed: int
    bins: tuple[tuple[float, float, int], ...] = ()


class Outcomes(Message):
    """What became of the requests of one app at one edge, in the last `window_s` seconds."""

    window_s: float
    sides: tuple[SideOutcome, ...] = ()


class EdgeState(Message):
    envoy: EnvoyState
    certificates: tuple[CertificateSeen, ...] = ()
    routes: tuple[RouteState, ...] = ()
    hops: tuple[HopState, ...] = ()
    arriving_per_s: dict[str, float] = Field({}, description="requests of clients by app, over the last ten seconds")
    connections: int = Field(0, description="of clients, that stay open")
    refused: int = Field(0, description="requests beyond the capacity")
    comparing: bool = Field(False, description="some mirror's answers are compared here")
    comparer: ComparerState | None = Field(None, description="None: there is none, or it does not answer")
    comparer_life: ComparerLife = ComparerLife()
    comparer_silent_s: float | None = Field(None, description="since it last answered; None: it does, or there is none")
    captures_dropped: int = Field(0, description="captured answers that the comparer did not take in time")
    captures_dropped_ago_s: float | None = Field(None, description="since the last of them; None: none was seen")


class StateMark(Message):
    """Which telling of its state a node's is: the `number`-th of the process `life`. `since`: its long lists hold the
    entries alone that have changed after that telling; None: all of them."""

    life: str
    number: int
    since: int | None = None


class RoleState(Message):
    """`applied` is None until the first snapshot. Only the part that belongs to the role is filled.

    `snapshot_age_s` counts from when control's offer was taken, over restarts; `control_silence_s` from the last
    word of control, or the start of the process. `good_generations` are on disk. `left_out` are apps that this version
    of gslb cannot serve.
    """

    name: str
    role: Literal["dns", "edge", "observer"]
    site: str | None = None
    pid: int
    started_wall_s: float
    applied: Applied | None = None
    applied_wall_s: float | None = None
    snapshot_age_s: float | None = None
    control_silence_s: float | None = None
    good_generations: int = 0
    stepped_back_from: Applied | None = None
    broken_glass: BrokenGlass | None = None
    left_out: tuple[str, ...] = ()
    roster: RosterHeld = RosterHeld()
    signers: int = Field(0, description="the number of the list of keys that its machine believes")
    ready: bool = Field(False, description="serving traffic")
    verdicts: tuple[VerdictState, ...] = ()
    ramps: dict[str, dict[str, float]] = Field({}, description="by app and site, shares of those that come back slowly")
    places: dict[str, bool] = Field({}, description="the places that look, and whether each is heard, as a dns role is")
    loads: dict[str, float] = Field({}, description="by site, shares of capacity that a dns role steers by")
    dns_counts: dict[str, int] = {}
    wire: str | None = Field(None, description="native or python, of a dns role")
    signature_expires_wall_s: dict[str, float] = Field({}, description="by signed zone, of the first that expires")
    checks: tuple[CheckState, ...] = ()
    probing: ProbingState | None = Field(None, description="of a role that looks at anything")
    edge: EdgeState | None = None
    identity_ends_wall_s: float | None = Field(None, description="of its certificate; None: it has none")
    mark: StateMark | None = Field(None, description="None: a node of an older gslb, which tells all of it each time")


def role_name(role: str, site: str | None = None) -> str:
    """`dns`, `control` or `edge-SITE`: names the process, its socket and its folder."""
    return f"{role}-{site}" if site else role
