"""Games in the virtual world: some hundred seeds, and every seed that has ever found a bug."""

import dataclasses
import os
from pathlib import Path

import pytest

from gslb.health import guard, quorum, standing, standings
from gslb.simulate import play
from gslb.simulate.scenario import make_scenario
from gslb.steering import chain

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


def planted(monkeypatch, bug):
    """A bug in the parts that are played."""
    if bug == "one place's word is taken for a majority":
        monkeypatch.setattr(quorum, "needed", lambda _places: 1)
    elif bug == "silence counts as a death":
        agree = quorum.agree
        silent = quorum.View("down", "silent")
        monkeypatch.setattr(
            quorum, "agree", lambda votes, **how: agree({k: v or silent for k, v in votes.items()}, **how)
        )
    elif bug == "a word never gets too old":
        monkeypatch.setattr(quorum.Heard, "is_fresh", lambda heard, _now_s: heard.number >= 0)
    elif bug == "a late word counts":
        monkeypatch.setattr(quorum.Heard, "told", lambda _, life, number, now_s: quorum.Heard(life, number, now_s))
    elif bug == "nothing is held down":
        monkeypatch.setattr(standing, "hold_s", lambda *_: 0.0)
    elif bug == "the guard rail lets nobody go":
        monkeypatch.setattr(guard.GuardRail, "may_go", lambda *_: False)
    elif bug == "what is dead never leaves":
        step = standings.step
        deaf = {"dead": "doubt"}
        monkeypatch.setattr(standings, "step", lambda now, event, *more: step(now, deaf.get(event, event), *more))
    elif bug == "everything is down, and nobody is answered":
        healthy = chain._FILTERS["healthy"]

        def nobody(*asked):
            found = healthy(*asked)
            return dataclasses.replace(found, candidates=()) if found.all_down else found

        monkeypatch.setitem(chain._FILTERS, "healthy", nobody)


@pytest.mark.parametrize(
    "bug",
    [
        "one place's word is taken for a majority",
        "silence counts as a death",
        "a word never gets too old",
        "a late word counts",
        "nothing is held down",
        "the guard rail lets nobody go",
        "what is dead never leaves",
        "everything is down, and nobody is answered",
    ],
)
def test_games_find_what_is_planted(monkeypatch, bug):
    """An invariant that nothing can break proves nothing."""
    planted(monkeypatch, bug)
    assert any(play(seed).violations for seed in range(100))
