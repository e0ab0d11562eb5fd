"""Games in the virtual world: some hundred seeds, and every seed that has ever found a bug."""

import os
from pathlib import Path

import pytest

from gslb.simulate import play
from gslb.simulate.scenario import make_scenario

FOUND = [
    int(line.split()[0])
    for line in (Path(__file__).parent / "seeds.txt").read_text().splitlines()
    if line[:1].isdigit()
]
GAMES = int(os.environ.get("GAMES", "200"))
"""`make simulate` plays 10,000."""
AT_ONCE = 20


@pytest.mark.parametrize("seed", FOUND)
def test_what_once_went_wrong_goes_well(seed):
    assert play(seed).violations == ()


@pytest.mark.parametrize("first", range(0, GAMES, AT_ONCE))
def test_no_game_goes_against_the_invariants(first):
    reports = [play(seed) for seed in range(first, first + AT_ONCE)]
    assert {report.seed: report.violations for report in reports if report.violations} == {}


def test_a_seed_is_a_game():
    assert make_scenario(7) == make_scenario(7)
    assert play(7) == play(7)
    assert make_scenario(7) != make_scenario(8)


def test_the_games_are_not_idle():
    """They have every kind of fault, cut and lossy networks, one place and many, and answers that change."""
    games = [make_scenario(seed) for seed in range(300)]
    assert {fault.kind for game in games for fault in game.faults} == {
        "site-dead", "site-flaps", "place-cut", "link-cut", "observer-dies", "observer-lies",
    }  # fmt: skip
    assert {len(game.places) for game in games} == {1, 2, 3, 4, 5}
    assert 20 < sum(game.is_plain for game in games) < 200
    assert sum(game.message_loss > 0.1 for game in games) > 50
    assert sum(play(seed).changes > 0 for seed in range(12)) >= 3


def test_the_judge_of_games_sees_what_is_wrong(monkeypatch):
    """An invariant that nothing can break proves nothing: with one place's word taken for a majority, some game breaks."""
    monkeypatch.setattr("gslb.health.quorum.needed", lambda places: 1)
    broken = [seed for seed in range(60) if play(seed).violations]
    assert broken
