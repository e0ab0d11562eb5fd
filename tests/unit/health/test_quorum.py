"""What several places agree on: the rule row by row, and k8gb's table of split brains."""

from ipaddress import ip_address

import pytest

from gslb.health.quorum import Tally, View, agree, place_view

WORDS = {"U": "up", "D": "down", "?": "unknown"}


def votes(marks):
    """`UD-`: the first place sees it up, the second down, the third is silent; `?`: it has not looked."""
    views = [None if mark == "-" else View(WORDS[mark], f"{mark}{place}", 3.0) for place, mark in enumerate(marks)]
    return {f"place{place}": view for place, view in enumerate(views)}


@pytest.mark.parametrize(
    ("marks", "edge_lives", "state"),
    [
        # alone: it is believed
        ("U", False, "up"), ("D", False, "down"), ("D", True, "down"), ("?", True, "unknown"), ("-", True, "unknown"),
        # two: both, or one and the edge's own silence
        ("UU", True, "up"), ("DD", True, "down"), ("UD", False, "disputed"), ("UD", True, "disputed"),
        ("D-", False, "down"), ("D-", True, "disputed"), ("D?", False, "down"), ("U-", False, "up"),
        ("--", True, "unknown"),
        # three: more than half of all, whoever is heard
        ("UUU", True, "up"), ("DDD", False, "down"), ("DDU", False, "down"), ("DDU", True, "down"),
        ("UUD", False, "up"), ("DD-", False, "down"), ("D--", False, "disputed"), ("UD-", False, "disputed"),
        ("UU-", True, "up"), ("U--", True, "unknown"), ("D??", False, "disputed"), ("UU?", True, "up"),
        # four and five
        ("DDUU", False, "disputed"), ("DDDU", False, "down"), ("DD--", False, "disputed"), ("DDD--", False, "down"),
        ("DDUUU", False, "up"), ("DDUU-", False, "disputed"),
    ],
)  # fmt: skip
def test_the_rule(marks, edge_lives, state):
    assert agree(votes(marks), edge_lives=edge_lives).state == state


def test_who_has_nothing_to_say_adds_no_words():
    assert agree({"dc": View("up", "web: 200"), "aws": View("up")}, edge_lives=True).reason == "web: 200"


def test_a_dispute_says_who_says_what():
    seen = agree({"dc": View("up"), "aws": View("down", "edge: connect refused"), "office": None}, edge_lives=True)
    assert seen.reason == (
        "seen dead from aws (edge: connect refused); well from dc; nothing heard from office: "
        "1 of 3 places are not enough"
    )


@pytest.mark.parametrize(
    ("views", "flip_s"),
    [
        ([View("up", "", 3)], 3),
        ([View("up", "", 3), View("up", "", 9)], 3),
        ([View("up", "", 3), View("up", "", 9), View("up", "", 6)], 6),
        ([View("up", "", 3), View("up", "", 9), None], 3),
        ([View("up", "", 3), View("up", "", 9), View("down", "", 6)], 3),
        ([View("up", "", 4), None, None], 0),
        ([View("up", "", 4), None], 4),
        ([View("up", "", n) for n in (1, 2, 3, 4, 5)], 3),
        ([View("down", "", 3), View("down", "", 9), View("down", "", 6)], 6),
    ],
)
def test_it_lasts_until_so_many_may_have_turned_that_the_others_win(views, flip_s):
    told = {str(place): view for place, view in enumerate(views)}
    assert agree(told, edge_lives=True).flip_s == flip_s


def test_observers_of_one_place_have_one_vote():
    up, down, new = View("up", "a", 3), View("down", "b", 2), View("unknown", "c")
    assert place_view([up]) is up
    assert place_view([new]) is new
    assert place_view([up, down]) is None, "they do not agree"
    assert place_view([up, down, down]) == View("down", "b", 2)
    assert place_view([down, new]) == View("down", "b", 2)
    assert place_view([]) is None
    assert place_view([new, new]) is None


# k8gb's table: "Split-Brain Scenarios and System Behavior", strategy failover. There each cluster asks the other by way
# of a shared DNS zone; here every place looks at the edges itself, and tells the others. `cut` are the places that hear
# nobody and see no edge but their own.

PRIMARY, SECONDARY, OUTSIDE = "primary", "secondary", "outside"


def seen_by(me, cut, primary_dead, places=(PRIMARY, SECONDARY, OUTSIDE)):
    """What the node at `me` agrees to of the primary's edge."""

    def sees(place):
        if primary_dead:
            return View("down", "edge: connect timeout")
        reaches = place == PRIMARY or not {place, PRIMARY} & set(cut)
        return View("up") if reaches else View("down", "edge: connect timeout")

    def hears(place):
        return place == me or not {me, place} & set(cut)

    told = {place: sees(place) if hears(place) else None for place in places}
    return agree(told, edge_lives=hears(PRIMARY) and not primary_dead).state


@pytest.mark.parametrize(
    ("cut", "primary_dead", "at_primary", "at_secondary"),
    [
        ((), False, "up", "up"),
        ((), True, "down", "down"),
        # k8gb: a premature failover at the secondary. Here the two that see each other outvote the one that is cut off:
        # nobody outside can reach it, so that it leaves; at the primary itself nothing follows
        ((PRIMARY,), False, "unknown", "down"),
        # k8gb: empty targets at the primary. Here it is not sure, and keeps what it had
        ((PRIMARY,), True, "disputed", "down"),
        # k8gb: a premature failover at the secondary. Here one of three decides nothing
        ((SECONDARY,), False, "up", "disputed"),
        # k8gb: each its own way. Here each by itself is one of three, and keeps what it had
        ((PRIMARY, SECONDARY, OUTSIDE), False, "unknown", "disputed"),
    ],
    ids=["well", "primary dead", "primary cut off", "primary dead and cut off", "secondary cut off", "all cut off"],
)
def test_the_six_rows_of_k8gbs_split_brains(cut, primary_dead, at_primary, at_secondary):
    assert seen_by(PRIMARY, cut, primary_dead) == at_primary
    assert seen_by(SECONDARY, cut, primary_dead) == at_secondary


def test_nodes_that_are_cut_off_from_each_other_but_not_from_the_edges_fail_nothing_over():
    for places in (3, 2):
        told = {"me": View("up"), **{f"other{n}": None for n in range(1, places)}}
        assert agree(told, edge_lives=False).state == ("up" if places == 2 else "unknown"), "and so nothing follows"


# counting ------------------------------------------------------------------------------------------------------------

DC = ("shop", ip_address("192.0.2.10"))
AWS = ("shop", ip_address("198.51.100.20"))
SITES = {DC: "dc", AWS: "aws"}


def test_a_tally_keeps_what_has_not_changed():
    tally = Tally()
    one, other = {DC: View("up"), AWS: View("up")}, {DC: View("up"), AWS: View("up")}
    assert tally.count({"a": [one], "b": [other]}, SITES, {"dc"})
    before = dict(tally.seen)
    assert not tally.count({"a": [one], "b": [other]}, SITES, {"dc"}), "the same objects"
    dead = {DC: View("down", "x"), AWS: View("up")}
    assert tally.count({"a": [dead], "b": [dict(dead)]}, SITES, {"dc"})
    assert tally.seen[AWS] is before[AWS]
    assert tally.seen[DC].state == "down"
    assert tally.votes[DC] == {"a": View("down", "x"), "b": View("down", "x")}


def test_what_nobody_speaks_of_is_unknown_and_what_is_not_asked_for_is_left_out():
    tally = Tally()
    tally.count({"a": [{DC: View("up")}]}, {AWS: "aws"}, ())
    assert {key: seen.state for key, seen in tally.seen.items()} == {AWS: "unknown"}
