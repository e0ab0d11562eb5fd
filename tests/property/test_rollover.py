"""Whatever happens in whatever order, every resolver can validate with whatever mixture its cache holds.

A small world: one zone, its parent, and resolvers that fetch DS records, DNSKEY records and signed data at any moment
and keep each for its TTL. Two versions are in a cache together if their lives overlap, so it is enough to compare the
lives of all versions that were ever served.
"""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from gslb.control.dnskeys import rollover
from gslb.control.dnskeys.rollover import PROPAGATION_S, Times
from gslb.errors import RefusedError
from gslb.snapshot import compile_snapshot
from gslb.snapshot.intent import Key, Overrides
from tests.support.examples import examples
from tests.unit.steering.world import intent, policy

EVER = float("inf")
BASE = intent(policy(zone={"dnssec": True}))


def uses_of(keys):
    """What a snapshot makes of the keys."""
    overrides = Overrides(keys={"gslb.example.com": tuple(keys)})
    return compile_snapshot(BASE.model_copy(update={"overrides": overrides}), 0.0).zone.keys


@dataclass
class Version:
    """What was served from `start_s` to `end_s`, and then stayed in caches for `ttl_s`."""

    content: object
    ttl_s: float
    start_s: float
    end_s: float = EVER

    def meets(self, other):
        return self.start_s < other.end_s + other.ttl_s and other.start_s < self.end_s + self.ttl_s


@dataclass
class World:
    ds_ttl_s: int
    parent_lag_s: int
    longest_ttl_s: int
    now_s: float = 0.0
    made: int = 0
    stuck: bool = False
    keys: tuple = ()
    ds: list = field(default_factory=list)
    dnskeys: list = field(default_factory=list)
    data: list = field(default_factory=list)

    def __post_init__(self):
        self.ds.append(Version(frozenset(), self.ds_ttl_s, -EVER))
        self.dnskeys.append(Version((None, frozenset()), rollover.DNSKEY_TTL_S, -EVER))
        self.data.append(Version(None, self.longest_ttl_s, -EVER))
        self.frozen = None
        self.keys = rollover.first(self.key("ksk"), self.key("zsk"), 0.0)
        self.serve()

    @property
    def times(self):
        return Times(max(self.longest_ttl_s, rollover.DNSKEY_TTL_S))

    def key(self, role):
        self.made += 1
        public = self.made.to_bytes(64)
        return Key(role=role, algorithm=13, public=public, private="v1:", state="active", since_s=self.now_s)

    def serve(self, *, signed=True):
        """What follows from the keys is served from now on, by the slowest nameserver a little later."""
        used = uses_of(self.keys) if signed else ()
        signing = {key.role: key.public for key in used if key.signs}
        assert len(signing) == len([key for key in used if key.signs]) == (2 if signed else 0)
        self.replace(self.dnskeys, (signing.get("ksk"), frozenset(k.public for k in used if k.published)))
        self.replace(self.data, signing.get("zsk"))
        self.announced = frozenset(key.public for key in used if key.announced)
        assert not self.announced or signing["ksk"] in self.announced, "a parent may take what is announced alone"

    def replace(self, versions, content, ttl_s=None, lag_s=PROPAGATION_S):
        last = versions[-1]
        ttl_s = ttl_s or (self.longest_ttl_s if versions is self.data else last.ttl_s)
        if (last.content, last.ttl_s) != (content, ttl_s):
            last.end_s = self.now_s + lag_s
            versions.append(Version(content, ttl_s, self.now_s))

    # What can happen ------------------------------------------------------------------------------------------------

    def wait(self, seconds):
        self.now_s += seconds

    def tick(self, _):
        if not self.stuck:
            self.keys = rollover.step(self.keys, self.now_s, self.times)
            self.serve()

    def roll(self, role):
        with contextlib.suppress(RefusedError):
            self.keys = rollover.roll(self.keys, self.key(role), self.now_s)
        self.serve()

    def adopt(self, _):
        """The parent acts on what CDS and CDNSKEY ask for."""
        if self.announced:
            self.replace(self.ds, self.announced, lag_s=self.parent_lag_s)

    def look(self, _):
        """Control asks all of the parent's servers."""
        served = [version.content for version in self.ds if version.start_s <= self.now_s <= version.end_s]
        everywhere, anywhere = frozenset.intersection(*served), frozenset.union(*served)
        for key in self.keys:
            if key.public in everywhere:
                self.keys = rollover.hear(self.keys, key, "ds-seen", self.now_s, self.ds_ttl_s)
            elif key.public not in anywhere:
                self.keys = rollover.hear(self.keys, key, "ds-gone", self.now_s, self.ds_ttl_s)
        self.serve()

    def change_ttl(self, seconds):
        if all(key.state != "new" for key in self.keys):
            self.longest_ttl_s = seconds
            self.serve()

    def stick(self, _):
        """A nameserver cannot be reached, and goes on with what it has; or it is back."""
        if not self.stuck:
            self.stuck, self.frozen = True, (self.dnskeys[-1], self.data[-1])
            return
        self.stuck = False
        for version in self.frozen:
            version.end_s = max(version.end_s, self.now_s)
        self.keys = rollover.restart(self.keys, self.now_s)
        self.serve()

    def unsign(self, seconds):
        """As the documents say: the DS records first, then their TTL, then the signatures; and back again later."""
        if not self.stuck:
            self.replace(self.ds, frozenset(), lag_s=self.parent_lag_s)
            self.wait(self.parent_lag_s + self.ds_ttl_s + 1)
            self.serve(signed=False)
            self.wait(seconds)
            self.keys = rollover.resume(self.keys, self.now_s)
            self.serve()

    # What must hold -------------------------------------------------------------------------------------------------

    def check(self):
        secure = [version for version in self.ds if version.content]
        for ds, dnskeys in itertools.product(secure, self.dnskeys):
            if not ds.meets(dnskeys):
                continue
            ksk, published = dnskeys.content
            assert ksk in ds.content, ("no DS for these DNSKEY records", ds, dnskeys)
            for data in self.data:
                if data.meets(dnskeys) and data.meets(ds):
                    assert data.content in published, ("no DNSKEY for this signature", ds, dnskeys, data)


WAITS_S = st.sampled_from([1, 60, PROPAGATION_S, 3600, 3600 + PROPAGATION_S, 30_000, 86_400, 86_400 + PROPAGATION_S])
OFTEN = st.sampled_from([True, True, True, False])
RARE = st.one_of(
    st.tuples(st.just("change_ttl"), st.sampled_from([10, 3600, 86_400])),
    st.tuples(st.just("stick"), st.none()),
    st.tuples(st.just("unsign"), WAITS_S),
)
ROLLS = st.tuples(st.just("roll"), st.sampled_from(["ksk", "zsk"]))
NOTHING = st.just(("wait", 1))


SECURE = [("wait", 90_000), ("tick", None), ("adopt", None), ("wait", 700), ("look", None)]
ROLLING = [*SECURE, ("wait", 90_000), ("roll", "zsk"), ("roll", "ksk")]
CHANGING = [*ROLLING, ("adopt", None), ("wait", 700), ("look", None), ("wait", 90_000), ("tick", None)]
BEHIND = [*SECURE, ("stick", None), ("roll", "zsk"), ("wait", 86_400), ("stick", None)]


@st.composite
def events(draw):
    """Time passes, and control, the parent and operators do something, or miss their turn."""
    made = list(draw(st.sampled_from([[], SECURE, ROLLING, CHANGING, BEHIND])))
    for wait_s in draw(st.lists(WAITS_S, min_size=1, max_size=25)):
        made.append(("wait", wait_s))
        made += [(name, None) for name in draw(st.permutations(["tick", "adopt", "look"])) if draw(OFTEN)]
        made.append(draw(st.one_of(NOTHING, ROLLS, ROLLS, RARE)))
    return made


WORLDS = st.builds(
    World,
    ds_ttl_s=st.sampled_from([60, 3600, 86_400]),
    parent_lag_s=st.sampled_from([0, 600]),
    longest_ttl_s=st.sampled_from([10, 3600, 86_400]),
)


@settings(max_examples=examples(300), deadline=None)
@given(WORLDS, events())
def test_every_mixture_that_a_cache_can_hold_validates(world, happening):
    for name, argument in happening:
        getattr(world, name)(argument)
    world.check()


PATIENT = [
    *ROLLING, ("wait", 90_000), ("tick", None), ("adopt", None), ("wait", 700), ("look", None), ("wait", 90_000),
    ("tick", None), ("wait", 90_000), ("tick", None), ("adopt", None), ("wait", 700), ("look", None),
]  # fmt: skip


@settings(max_examples=examples(20), deadline=None)
@given(WORLDS)
def test_with_patience_every_roll_comes_to_its_end(world):
    for name, argument in PATIENT:
        getattr(world, name)(argument)
    world.check()
    assert sorted((key.role, key.state) for key in world.keys) == [("ksk", "active"), ("zsk", "active")]
    assert {key.public for key in world.keys} == {(3).to_bytes(64), (4).to_bytes(64)}
