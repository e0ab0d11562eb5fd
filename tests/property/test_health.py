"""The verdict machine against a model that is written the other way round: it looks back over the whole history."""

import ipaddress
import random

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gslb.health.target import Result, lasts_s, step, untried
from gslb.health.verdict import Board
from gslb.snapshot.checks import HealthCheck
from gslb.snapshot.targets import ProbeTarget
from tests.support.examples import examples

ADDRESSES = [ipaddress.ip_address(f"192.0.2.{n}") for n in (1, 2)]
BACKENDS = ["monolith", "checkout", None]


def target(address, backend, rise=2, fall=3):
    check = HealthCheck("/", 1.0, 1.0, rise, fall)
    return ProbeTarget("shop", "dc", address, 80, "shop.gslb.test", backend, check)


def believed(history, rise, fall):
    """The phase that a whole history of results means."""
    if not history:
        return "unknown"
    phase, since = history[0], 0
    for end in range(1, len(history) + 1):
        needed = fall if phase else rise
        recent = history[max(since, end - needed) : end]
        if len(recent) == needed and all(result != phase for result in recent):
            phase, since = not phase, end
    return "up" if phase else "down"


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 5), st.integers(1, 5))
def test_step_means_what_looking_back_over_the_history_means(history, rise, fall):
    probed = target(ADDRESSES[0], "monolith", rise, fall)
    health = untried("x")
    for count, ok in enumerate(history, 1):
        health = step(health, Result(ok, str(ok)), probed.check)
        assert health.phase == believed(history[:count], rise, fall)
        assert health.reason == str(health.phase == "up")


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(2, 5))
def test_never_flips_with_fewer_in_a_row_than_asked(history, needed):
    probed = target(ADDRESSES[0], None, needed, needed)
    health, run, last = untried("x"), 0, None
    for ok in history:
        run, last = (run + 1 if ok == last else 1), ok
        before, health = health, step(health, Result(ok, ""), probed.check)
        if "unknown" not in (before.phase, health.phase) and before.phase != health.phase:
            assert run >= needed


class BoardMachine(RuleBasedStateMachine):
    """Any order of results, new targets and settling leaves the board with what each target's own history means."""

    @initialize()
    def start(self):
        self.board, self.now_s, self.histories, self.since = Board(), 0.0, {}, {}

    @rule(places=st.sets(st.tuples(st.sampled_from(ADDRESSES), st.sampled_from(BACKENDS))))
    def watch(self, places):
        targets = [target(*place) for place in sorted(places, key=str)]
        self.board.watch(targets)
        self.histories = {t: self.histories.get(t, []) for t in targets}

    @rule(data=st.data(), ok=st.booleans())
    def record(self, data, ok):
        if self.histories:
            probed = data.draw(st.sampled_from(sorted(self.histories, key=str)))
            self.board.record(probed.key, Result(ok, f"{probed.backend}: {ok}"))
            self.histories[probed].append(ok)

    @rule()
    def settle(self):
        self.now_s += 1.0
        before = self.board.live
        moved = self.board.settle(self.now_s)
        after = self.board.live
        assert after.verdicts.keys() == {("shop", t.address) for t in self.histories}
        expected_move = before.verdicts.keys() != after.verdicts.keys()
        for place, verdict in after.verdicts.items():
            phases = {believed(h, 2, 3) for t, h in self.histories.items() if t.address == place[1]}
            assert verdict.state == next(p for p in ("down", "unknown", "up") if p in phases)
            old = before.verdicts.get(place)
            same = old is not None and old.state == verdict.state
            assert verdict.since_wall_s == (old.since_wall_s if same else self.now_s)
            expected_move |= not same or old.flip_s != verdict.flip_s
        assert moved == expected_move
        assert after.counter - before.counter == (before.verdicts != after.verdicts)

    @invariant()
    def first_round(self):
        assert self.board.first_round_done == all(self.histories.values())


BoardMachine.TestCase.settings = settings(max_examples=examples(60), stateful_step_count=40, deadline=None)
test_board = BoardMachine.TestCase


@st.composite
def _sparse(draw):
    """Histories in which failures seldom come in a row, which `fall` never catches."""
    return [ok for _ in range(draw(st.integers(1, 15))) for ok in [False] + [True] * draw(st.integers(1, 8))]


@given(_sparse(), st.integers(2, 6))
def test_sparse_failures_take_it_down_exactly_when_no_run_of_successes_has_cleared_them(history, flaky):
    """Against a model that looks back: the failures since the last run of `flaky` successes."""
    check = HealthCheck("/", 1.0, 1.0, 1, 100, flaky)
    health = step(untried("x"), Result(True, ""), check)
    for end in range(1, len(history) + 1):
        health = step(health, Result(history[end - 1], ""), check)
        run = 0
        failures = 0
        for ok in history[:end]:
            run, failures = (run + 1, failures) if ok else (0, failures + 1)
            failures = 0 if run >= flaky else failures
        assert (health.phase == "down") == (failures >= flaky)


@given(st.lists(st.booleans(), max_size=80), st.integers(1, 4), st.integers(1, 4), st.integers(2, 8))
def test_no_health_ends_before_it_said_that_it_may(history, rise, fall, flaky):
    check = HealthCheck("/", 1.0, 1.0, rise, fall, flaky)
    health, promises = untried("x"), []
    for count, ok in enumerate(history):
        before, health = health, step(health, Result(ok, ""), check)
        assert 0 <= health.failures <= flaky
        assert 0 <= health.passes <= flaky
        if before.phase != health.phase:
            assert all(count >= until for until in promises)
            promises = []
        promises.append(count + lasts_s(health, check))


@given(st.integers(0, 10_000))
@settings(max_examples=examples(20))
def test_four_failures_in_ten_are_caught_and_one_in_a_hundred_is_not(seed):
    check = HealthCheck("/", 1.0, 1.0, 2, 3, 10)
    for share, probes, down in ((0.4, 600, True), (0.01, 2000, False)):
        draw, health, ever = random.Random(seed), step(untried("x"), Result(True, ""), check), False
        for _ in range(probes):
            # never three in a row, which `fall` would catch
            ok = draw.random() >= share or health.against == 2
            health = step(health, Result(ok, ""), check)
            ever |= health.phase == "down"
        assert ever == down
