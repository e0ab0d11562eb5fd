"""The table of `control.leader`, row by row."""

from __future__ import annotations

import pytest

from gslb.control.installation.leader import (
    BEAT_S,
    HOLD_S,
    LEASE_S,
    Action,
    Candidate,
    Look,
    Seen,
    beaten,
    looked,
    refused,
    term_of,
    ticked,
    took,
)

ME, OTHER = "berlin 1f", "munich 2e"
FOLLOWER = Candidate(ME, Seen(4, 9, OTHER), since_mono_s=100.0)
LEADER = Candidate(ME, Seen(5, 9, ME), leads=True, since_mono_s=100.0)


def at(state, seen, mono_s):
    return looked(state, seen, mono_s, mono_s)


def test_who_has_seen_nothing_looks_and_does_not_lead():
    state, action = ticked(Candidate(ME), 0.0)
    assert action == Look()
    assert state.term(0.0) is None


def test_where_nobody_ever_led_the_first_takes_over():
    _, action = at(Candidate(ME), Seen(0, 0), 0.0)
    assert action == Action("take", 0)


def test_where_the_leader_resigned_the_next_takes_over_at_once():
    assert at(FOLLOWER, Seen(5, 9, ""), 100.5)[1] == Action("take", 5)


def test_who_finds_himself_named_and_does_not_know_it_takes_over_again():
    """His answer got lost. Nobody else leads in a term that is his."""
    assert at(Candidate(ME), Seen(5, 9, ME), 0.0)[1] == Action("take", 5)


def test_the_lease_begins_with_the_first_look():
    state, action = at(Candidate(ME), Seen(4, 9, OTHER), 1000.0)
    assert (state.since_mono_s, action) == (1000.0, None)


@pytest.mark.parametrize("seen", [Seen(4, 10, OTHER), Seen(5, 9, OTHER), Seen(5, 10, "?")])
def test_whatever_changed_the_lease_begins_anew(seen):
    state, action = at(FOLLOWER, seen, 100.0 + 2 * LEASE_S)
    assert (state.seen, state.since_mono_s, action) == (seen, 100.0 + 2 * LEASE_S, None)


def test_who_sees_the_same_for_a_lease_takes_over():
    assert at(FOLLOWER, FOLLOWER.seen, 99.9 + LEASE_S) == (FOLLOWER, None)
    assert at(FOLLOWER, FOLLOWER.seen, 100.0 + LEASE_S) == (FOLLOWER, Action("take", 4))


def test_a_slow_answer_does_not_count_for_the_lease():
    assert looked(FOLLOWER, FOLLOWER.seen, 101.0, 200.0)[1] is None


def test_a_leader_holds_from_before_it_asked_to_a_moment_before_anybody_may_take_over():
    state = took(FOLLOWER, 5, 200.0)
    assert (state.leads, state.seen) == (True, Seen(5, 9, ME))
    assert [state.term(mono_s) for mono_s in (200.0, 199.9 + HOLD_S, 200.0 + HOLD_S)] == [5, 5, None]
    assert HOLD_S + BEAT_S < LEASE_S


def test_a_leader_beats_and_goes_on_while_its_beats_are_taken():
    assert ticked(LEADER, 102.0) == (LEADER, Action("beat", 9))
    state = beaten(LEADER, 10, 102.0)
    assert (state.seen.beat, state.term(102.0 + HOLD_S - 0.1)) == (10, 5)


def test_a_leader_that_could_not_beat_for_long_steps_down_and_looks():
    state, action = ticked(LEADER, 100.0 + HOLD_S)
    assert (state, action) == (Candidate(ME), Look())


def test_a_leader_that_is_refused_steps_down():
    assert refused(LEADER) == Candidate(ME)


def test_a_look_and_a_beat_that_come_too_late_change_nothing():
    assert at(LEADER, Seen(9, 9, OTHER), 500.0) == (LEADER, None)
    assert beaten(FOLLOWER, 10, 500.0) == FOLLOWER


@pytest.mark.parametrize(
    ("value", "holder"),
    [
        (None, ""),
        (b"", ""),
        (b'{"holder": "berlin 1f"}', ME),
        (b'{"holder": "berlin 1f", "more": 1}', ME),
        (b"{}", "?"),
        (b'{"holder": 7}', "?"),
        (b"[]", "?"),
        (b"\xff", "?"),
    ],
)
def test_who_leads_is_read_from_the_term(value, holder):
    assert term_of(value) == holder
