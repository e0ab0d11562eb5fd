from __future__ import annotations

import json

import pytest

from gslb.cli.main import run
from gslb.control.compared import ComparerLife
from gslb.control.followed import Commit, Followed
from gslb.control.installation.leader import Lead
from gslb.control.installation.waves import begun
from gslb.control.protocol import BrokenGlass, EdgeState, EnvoyState
from gslb.snapshot.intent import MirrorStop
from tests.unit.control.world import (
    NOW_S,
    applied,
    by,
    dns_state,
    edge_state,
    pay,
    verdict,
)  # fmt: skip


def test_a_shift_prints_before_after_and_undo(gslb, publisher):
    code, out, err = gslb("shift shop/pay checkout=25 --for 1h --reason try")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "environment test: shift of shop/pay",
        "  checkout  5 % -> 25 %",
        "  monolith  95 % -> 75 %",
        "to undo: gslb shift shop/pay --undo",
    ]
    made = publisher.intent.overrides.shifts[0].by
    assert (made.author, made.reason, made.expires_s - made.at_s) == ("ann", "try", 3600)


def test_what_is_printed_as_undo_undoes(gslb, publisher):
    before = publisher.snapshot.digest
    for line in (
        "shift shop/pay checkout=25%",
        "drain dc",
        "drain dc --app shop",
        "drain aws --entry --allow last-site",
    ):
        _, out, _ = gslb(line)
        undo = out.splitlines()[-1].removeprefix("to undo: gslb ")
        assert gslb(undo)[0] == 0
        assert publisher.snapshot.digest == before, line


def test_the_way_back_from_a_second_drain_leaves_the_first(gslb, publisher):
    """It said to drain what was to be put back."""
    gslb("drain dc")
    for line, undo in (("drain dc --app shop", "undrain dc --app shop"), ("drain dc --entry", "drain dc")):
        _, out, _ = gslb(line)
        assert out.splitlines()[-1] == f"to undo: gslb {undo}"
        assert gslb(undo)[0] == 0
        assert [(item.app, item.entry_only) for item in publisher.intent.overrides.drains] == [(None, False)]


def test_the_way_back_from_a_second_shift_is_the_first(gslb, publisher):
    gslb("shift shop/find search=60")
    first = publisher.snapshot.apps["shop"].routes[1].split
    _, out, _ = gslb("shift shop/find monolith=0")
    gslb(out.splitlines()[-1].removeprefix("to undo: gslb "))
    assert publisher.snapshot.apps["shop"].routes[1].split == first


def test_json_is_the_answer_itself(gslb):
    code, out, _ = gslb("drain dc --app shop --entry --json")
    answer = json.loads(out)
    assert (code, answer["environment"], answer["undo"]) == (0, "test", "gslb undrain dc --app shop")
    assert (answer["before"], answer["after"]) == ({"shop": "in service"}, {"shop": "entry drained"})
    code, out, _ = gslb("undrain dc --app shop --json")
    assert json.loads(out)["after"] == {"shop": "in service"}


def test_a_change_that_changes_nothing_says_so(gslb):
    gslb("drain dc")
    code, out, _ = gslb("drain dc")
    assert (code, out.splitlines()[-1]) == (0, "nothing had to change")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("shift shpo/pay checkout=25", "did you mean shop?"),
        ("shift shop/pay checkout=25 monolith=25", "add up to 100"),
        ("shift shop/pay checkout=101", "less than or equal to 100"),
        ("drain dcc", "did you mean dc?"),
        ("undrain dcc", "did you mean dc?"),
        ("drain dc --allow everything", "last-site"),
    ],
)
def test_a_wrong_request_ends_with_1_and_says_what_to_write(gslb, line, words):
    code, out, err = gslb(line)
    assert (code, out) == (1, "")
    assert words in err
    assert "Traceback" not in err


def test_the_last_site_is_refused_and_can_be_insisted_on(gslb):
    gslb("drain dc")
    code, _, err = gslb("drain aws")
    assert code == 1
    assert "--allow last-site" in err
    assert gslb("drain aws --allow last-site")[0] == 0


@pytest.mark.parametrize(
    "line",
    [
        "shift shop checkout=25",
        "shift shop/pay",
        "shift shop/pay/x checkout=1",
        "shift shop/pay checkout",
        "shift shop/pay checkout=",
        "shift shop/pay checkout=nan",
        "shift shop/pay checkout=1 checkout=2",
        "shift shop/pay checkout=1 --undo",
        "shift shop/pay --undo --for 1h",
        "shift shop/pay checkout=1 --for 1",
        "drain",
        "status --watch --json",
    ],
)
def test_a_wrong_command_line_is_told_before_anybody_is_asked(gslb, publisher, line):
    before = publisher.intent
    code, out, err = gslb(line)
    assert (code, out) == (2, "")
    assert err
    assert publisher.intent is before


def test_roles_that_do_not_follow_end_with_2_after_the_answer(gslb, publisher):
    publisher.unacknowledged = {"edge-aws": "cannot be reached"}
    code, out, err = gslb("shift shop/pay checkout=25")
    assert code == 2
    assert out.splitlines()[-1] == "to undo: gslb shift shop/pay --undo"
    assert "edge-aws: cannot be reached" in err
    code, out, _ = gslb("drain dc --json")
    assert (code, json.loads(out)["unacknowledged"]) == (2, {"edge-aws": "cannot be reached"})


def test_status_says_how_often_a_comparer_was_started_again(gslb, publisher):
    state = edge_state(publisher.snapshot, "dc")
    told = {"comparing": True, "comparer_life": ComparerLife(restarts=2, last_end="the comparer ended")}
    publisher.hear(state.model_copy(update={"edge": state.edge.model_copy(update=told)}))
    _, out, _ = gslb("status")
    assert "dc: the comparer does not answer; it was started again 2 ×, the last time at 1970" in " ".join(out.split())


def test_status_shows_beside_the_mirror_what_was_said_at_a_node(gslb, publisher):
    stop = MirrorStop(by=by(reason="full"))
    glass = BrokenGlass(over=applied(publisher.snapshot), drains=(), mirror_stops=(stop,), deeds=())
    publisher.hear(edge_state(publisher.snapshot, "dc", broken_glass=glass))
    _, out, _ = gslb("status")
    assert "checkout 10 %; at edge-dc: stopped by ann: full" in " ".join(out.split())


def test_status_shows_intended_beside_observed_and_why(gslb, publisher):
    died = EdgeState(envoy=EnvoyState(state="backing_off", restarts=3))
    publisher.hear(
        dns_state(
            publisher.snapshot,
            verdict("shop", "dc", "192.0.2.10", "down", "connection refused [bold]"),
            verdict("shop", "aws", "198.51.100.20"),
        ),
        edge_state(publisher.snapshot, "dc", pay({"monolith": 9, "checkout": 1}, 7, body=2)),
        edge_state(publisher.snapshot, "aws", edge=died),
    )
    gslb("drain dc --reason power")
    code, out, _ = gslb("status")
    assert code == 0
    lines = {line.split()[0]: line.strip() for line in reversed(out.splitlines()) if line.strip()}
    assert "test" in lines["environment"]
    assert "Tails" in lines
    assert "connection refused [bold]" in lines["dc"], "what comes from far away is no markup"
    assert "drained by ann: power" in lines["dc"]
    assert "backing_off" in lines["aws"]
    split = next(line.split() for line in out.splitlines() if line.split()[:2] == ["shop/pay", "checkout"])
    assert split == ["shop/pay", "checkout", "5", "%", "10", "%", "10", "policy"]
    assert "2 body" in out
    assert "unreachable" not in lines["dns"]


def test_history_tells_who_did_what_and_why_newest_first(gslb):
    gslb("shift shop/pay checkout=25 --reason [bold]try")
    gslb("drain dc")
    code, out, err = gslb("history")
    assert (code, err) == (0, "")
    first, second = (line for line in out.splitlines() if "ann" in line)
    assert "drain dc" in first
    assert "shift shop/pay checkout=25" in second
    assert "[bold]try" in second
    code, out, _ = gslb("history -n 1 --json")
    assert [item["action"] for item in json.loads(out)["changes"]] == ["drain"]


def test_status_as_json_is_the_whole_status(gslb):
    code, out, _ = gslb("status --json")
    assert code == 0
    parts = {
        "environment",
        "snapshot",
        "roles",
        "sites",
        "splits",
        "mirrors",
        "edges",
        "git",
        "wave",
        "alarms",
        "places",
        "checks",
        "leader",
    }
    assert set(json.loads(out)) == parts


@pytest.mark.parametrize(
    ("lead", "told"),
    [
        (Lead("berlin", 3, here=False, since_wall_s=NOW_S), "berlin leads the controls since 2023-11-14T22:13:20Z"),
        (Lead(), "no control is known to lead"),
        (Lead(settling=True), ""),
        (Lead("berlin", 1, here=True), ""),
    ],
)
def test_status_says_who_leads_where_there_are_several_controls(gslb, publisher, lead, told):
    publisher.lead = lead
    code, out, _ = gslb("status")
    assert code == 0
    assert [line.strip() for line in out.splitlines() if "lead" in line] == [told] * bool(told)


def test_status_before_the_first_policy(gslb, publisher):
    publisher.intent = publisher.snapshot = None
    code, out, _ = gslb("status")
    assert code == 0
    assert "No policy is in force yet" in out


def test_nobody_there_ends_with_2(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GSLB_SERVER", str(tmp_path / "nothing.sock"))
    assert run(["status"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "is gslb running?" in err


def test_the_status_says_which_commit_is_in_force_and_which_is_refused(gslb, publisher):
    taken, refused = Commit("ab" * 20, "git: Ann", "sixty"), Commit("cd" * 20, "git: Bob", "oops [bold]")
    publisher.git = Followed("https://git.example/p#main", taken, 1, refused, "[large-move] too much\n    split it")
    code, out, _ = gslb("status")
    lines = out.splitlines()
    assert code == 0
    at = lines.index("git https://git.example/p#main, read never")
    assert lines[at + 1 :] == [
        "  commit abababababab by git: Ann: sixty: revision 1, in force",
        "  refused: commit cdcdcdcdcdcd by git: Bob: oops [bold]",
        "    [large-move] too much",
        "        split it",
    ]
    publisher.git = Followed("https://git.example/p#main", taken, 9, error="git says: gone", looked_wall_s=0.0)
    out = gslb("status")[1]
    assert "revision 9, not in force any more" in out
    assert "cannot be read: git says: gone" in out
    assert json.loads(gslb("status --json")[1])["git"]["looked"] == "1970-01-01T00:00:00Z"


WAVE = begun(2, 1, (("m1/edge-dc",), ("m2/dns", "m3/dns")), 30, {})


def test_nodes_as_a_table_and_as_json(gslb, publisher):
    publisher.hear(dns_state(publisher.snapshot, name="m2/dns", left_out=("shop",)))
    code, out, _ = gslb("nodes")
    assert code == 0
    assert "cannot serve shop" in out
    assert [line.split()[:2] for line in out.splitlines() if " dns " in line] == [["here", "dns"], ["m2", "dns"]]
    seen = json.loads(gslb("nodes --json")[1])
    assert [node["machine"] for node in seen["nodes"]] == ["", "", "m2"]
    assert seen["wave"] is None


def test_watching_json_is_refused(gslb):
    assert gslb("nodes --watch --json")[0] == 2


@pytest.mark.parametrize(
    ("phase", "why", "said"),
    [
        ("reaching", "", "wave 1 of 2 (m1/edge-dc) is being published; 2 nodes wait"),
        ("baking", "", "wave 1 of 2 (m1/edge-dc) bakes for 30 s; 2 nodes wait"),
        ("back", "m1/edge-dc: silent", "wave 1 of 2 was taken back: m1/edge-dc: silent"),
        ("done", "", "went through all 2 waves"),
        ("over", "revision 3 came", "ended: revision 3 came"),
    ],
)
def test_where_the_waves_are_is_shown(gslb, publisher, phase, why, said):
    publisher.wave = WAVE.model_copy(update={"phase": phase, "why": why})
    assert said in " ".join(gslb("nodes")[1].split())
    assert json.loads(gslb("status --json")[1])["wave"]["phase"] == phase


def test_a_heading_is_whole_over_a_narrow_table(gslb):
    """It was broken between letters, three lines deep."""
    assert gslb("latency", "show")[1].splitlines()[0].rstrip() == "Latencies: the policy's"
