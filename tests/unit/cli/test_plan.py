"""`gslb plan`, `apply`, `rollback` and `diff`, as an operator runs them."""

from __future__ import annotations

import json
import stat

import click
import pytest

from gslb.cli import plan as commands
from gslb.cli.main import run
from gslb.control.installation.waves import BAKE_S, begun
from gslb.model.policy import Policy
from gslb.snapshot.intent import Intent
from tests.unit.control.world import MemoryPublisher
from tests.unit.plan.world import BASE, changed, cut, put

WEIGHTS = put("apps.shop.steer.1.weighted", {"dc": 60, "aws": 40})
LARGE = put("apps.shop.steer.1.weighted", {"dc": 1, "aws": 99})


@pytest.fixture
def publisher():
    made = MemoryPublisher(Intent(revision=1, policy=Policy.model_validate(BASE)))
    made.states.clear()
    return made


@pytest.fixture
def write(tmp_path):
    """Writes the policy folder anew; JSON is YAML."""

    def policy(*steps):
        (tmp_path / "policies").mkdir(exist_ok=True)
        (tmp_path / "policies" / "policy.yaml").write_text(json.dumps(changed(*steps), indent=1))

    policy(WEIGHTS)
    return policy


@pytest.fixture
def answer(monkeypatch):
    """Somebody at a terminal, who says this."""

    def say(text):
        monkeypatch.setattr(commands.sys, "stdin", type("Terminal", (), {"isatty": lambda _: True})())
        monkeypatch.setattr(click.termui, "visible_prompt_func", lambda _: text)

    return say


def test_a_plan_shows_who_moves_and_changes_nothing(gslb, write, publisher):
    code, out, err = gslb("plan")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "environment test: revision 1 -> 2",
        "app shop changed",
        "  clients, everybody: 20 % move",
        "    dc   80 % -> 60 %",
        "    aws  20 % -> 40 %",
        "  a dead site is answered for at most: 17 s (check of monolith: 3 x 2 s + 1 s, TTL 10 s)",
        "differences of the policy",
        "  apps.shop.steer.1.weighted.dc: 80 -> 60",
        "  apps.shop.steer.1.weighted.aws: 20 -> 40",
    ]
    assert publisher.records == []
    code, out, _ = gslb("plan policies --json")
    assert (code, json.loads(out)["refused"]) == (0, False)
    code, out, _ = gslb("plan --markdown policies")
    assert (code, out.splitlines()[0]) == (0, "### environment test: revision 1 -\\> 2")
    assert gslb("plan --markdown --json")[0] == 2


def test_a_refused_plan_ends_with_1_and_names_the_way(gslb, write, publisher):
    write(LARGE)
    for line in ("plan", "plan --json", "plan --markdown"):
        code, out, _ = gslb(line)
        assert code == 1
        assert "--allow large-move --reason TEXT" in out
    for line in ("apply policies -m try --yes", "apply policies -m try --yes --json"):
        code, out, _ = gslb(line)
        assert code == 1
        assert "large-move" in out
    code, out, err = gslb("apply policies -m try --allow large-move")
    assert (code, out, "--reason TEXT" in err) == (1, "", True), "before anybody is asked"
    assert gslb("apply policies -m try --yes --allow everything --reason x")[0] == 1
    assert publisher.records == []
    code, out, _ = gslb("apply policies -m try --yes --allow large-move --reason load-test")
    assert code == 0
    assert publisher.records[0].entry.detail.endswith("--allow large-move (load-test)")


def test_a_wrong_policy_never_reaches_control(gslb, write, tmp_path):
    (tmp_path / "policies" / "policy.yaml").write_text("zone: {")
    for line in ("plan", "apply policies -m try --yes"):
        code, out, err = gslb(line)
        assert (code, out) == (1, "")
        assert "policies/policy.yaml:2:1: [yaml]" in err


def test_warnings_do_not_stop_and_go_to_standard_error(gslb, write):
    write(WEIGHTS, put("apps.shop.backends.monolith.check", {"path": "/", "interval": "1s", "timeout": "5s"}))
    code, out, err = gslb("plan --json")
    assert code == 0
    assert json.loads(out)
    assert "check-timeout" in err


def test_apply_shows_asks_and_tells_how_to_undo(gslb, write, publisher, answer):
    answer("n")
    code, out, err = gslb("apply policies -m", "first tenth")
    assert code == 1
    assert "20 % move" in out
    assert "Apply this?" in err or "nothing has changed" in err
    assert publisher.records == []
    answer("y")
    code, out, _ = gslb("apply policies -m", "first tenth")
    assert code == 0
    assert out.splitlines()[-2:] == ["environment test: revision 2 is in force (before: 1)", "to undo: gslb rollback 1"]
    entry = publisher.records[0].entry
    assert (entry.author, entry.reason) == ("ann", "first tenth")
    code, out, _ = gslb("apply policies -m again")
    assert (code, out.splitlines()[-1]) == (0, "nothing would change: the policies are the same")
    code, out, _ = gslb("history")
    assert "first tenth" in out


def test_where_nobody_can_be_asked_nothing_is_applied(gslb, write, publisher, monkeypatch):
    monkeypatch.setattr(commands.sys, "stdin", type("Pipe", (), {"isatty": lambda _: False})())
    code, _, err = gslb("apply policies -m try")
    assert (code, publisher.records) == (1, [])
    assert "--yes" in err
    assert gslb("apply policies")[0] == 2


def test_apply_as_json_is_the_answer_itself(gslb, write):
    code, out, _ = gslb("apply policies -m try --yes --json")
    assert (code, json.loads(out)["undo"]) == (0, "gslb rollback 1")


def test_roles_that_do_not_follow_end_with_2_after_the_answer(gslb, write, publisher):
    publisher.unacknowledged = {"edge-aws": "cannot be reached"}
    code, out, err = gslb("apply policies -m try --yes")
    assert (code, out.splitlines()[-1]) == (2, "to undo: gslb rollback 1")
    assert "edge-aws: cannot be reached" in err


def test_a_plan_in_a_file_is_private_and_applied_as_it_is(gslb, write, publisher, tmp_path):
    path = tmp_path / "friday.plan"
    path.touch(0o644)
    path.write_text("x" * 100_000)
    assert gslb("plan -o friday.plan")[0] == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    write(LARGE)  # what the folder says by now does not count
    code, out, _ = gslb("apply friday.plan -m reviewed --yes")
    assert code == 0
    assert "20 % move" in out
    assert publisher.snapshot.digest == json.loads(path.read_text())["digest"]
    code, _, err = gslb("apply friday.plan -m again --yes")
    assert code == 1
    assert "[stale-plan]" in err
    assert "ann: apply 2 differences" in err


def test_what_is_no_plan_is_refused_with_what_to_write(gslb, write, tmp_path):
    for content in (b"", b"{}", b"\xff", b'{"format": "gslb-plan-9"}'):
        (tmp_path / "odd.plan").write_bytes(content)
        code, out, err = gslb("apply odd.plan -m try --yes")
        assert (code, out) == (1, "")
        assert "odd.plan: [no-plan]" in err
    code, _, err = gslb("apply nowhere -m try --yes")
    assert (code, "there is no such folder" in err) == (1, True)
    code, _, err = gslb("plan -o nowhere/friday.plan")
    assert (code, "cannot be written" in err) == (2, True)


def test_a_file_that_is_too_large_is_no_plan(gslb, write, tmp_path, monkeypatch):
    monkeypatch.setattr("gslb.cli.plan_file._LIMIT_BYTES", 10)
    (tmp_path / "odd.plan").write_text("{" * 100)
    assert "it is too large" in gslb("apply odd.plan -m try --yes")[2]


def test_rollback_goes_to_the_one_before_and_moves_whatever_it_must(gslb, write, publisher):
    code, _, err = gslb("rollback --yes")
    assert (code, "[no-earlier]" in err) == (1, True)
    write(LARGE)
    gslb("apply policies -m all --yes --allow large-move --reason test")
    code, out, _ = gslb("rollback --yes")
    assert code == 0
    assert "    allowed: rolling back is always allowed" in out.splitlines()
    assert out.splitlines()[-1] == "to undo: gslb rollback 2"
    assert publisher.intent.policy == Policy.model_validate(BASE)
    assert publisher.records[-1].entry.reason == "back to revision 1"
    code, out, _ = gslb("rollback 2 --yes --json -m forth")
    assert (code, json.loads(out)["snapshot"]["revision"], publisher.records[-1].entry.reason) == (0, 4, "forth")
    assert gslb("rollback 99 --yes")[0] == 1
    assert gslb("rollback 0")[0] == 2


def test_diff_tells_who_moves_and_every_difference(gslb, write):
    write(WEIGHTS, cut("apps.blog"))
    gslb("apply policies -m try --yes --allow app-removed --reason test")
    code, out, err = gslb("diff 1")
    assert (code, err) == (0, "")
    assert "  clients, everybody: 20 % move" in out.splitlines()
    assert "  apps.shop.steer.1.weighted.dc: 80 -> 60" in out.splitlines()
    assert "app-removed" not in out
    code, out, _ = gslb("diff 2 1 --json")
    assert (code, json.loads(out)["after"]) == (0, 1)
    assert gslb("diff 1 1")[1].splitlines()[-1] == "nothing would change: the policies are the same"
    assert gslb("diff 9")[0] == 1
    assert gslb("diff")[0] == 2


def test_without_control_the_environment_is_to_blame(write, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GSLB_RUNTIME", str(tmp_path / "nowhere"))
    monkeypatch.chdir(tmp_path)
    for line in ("plan", "apply policies -m try --yes", "rollback", "diff 1"):
        assert run(line.split()) == 2
        assert "is gslb running?" in capsys.readouterr().err


def test_one_app_alone(gslb, write, publisher, tmp_path):
    write(WEIGHTS, put("apps.blog.hosts", ["log"]))
    code, out, _ = gslb("plan --app shop -o shop.plan")
    assert code == 0
    assert "left aside, because the plan takes shop alone: the policy differs at apps.blog.hosts, too" in out
    code, _, err = gslb("apply shop.plan --app blog -m try --yes")
    assert (code, "[other-app] shop.plan is a plan of the app shop" in err) == (1, True)
    code, out, _ = gslb("apply shop.plan -m try --yes")
    assert (code, out.splitlines()[-1]) == (0, "to undo: gslb rollback 1 --app shop")
    assert publisher.intent.policy == Policy.model_validate(changed(WEIGHTS))
    code, out, _ = gslb("apply policies --app blog -m next --yes --allow host-removed --reason test")
    assert (code, publisher.intent.revision) == (0, 3)
    assert gslb("rollback --app shop --yes")[0] == 2
    code, out, _ = gslb("rollback 1 --app shop --yes")
    assert (code, publisher.records[-1].entry.action) == (0, "rollback")
    assert publisher.intent.policy == Policy.model_validate(changed(put("apps.blog.hosts", ["log"])))


WAVE = begun(2, 1, (("m1/edge-dc",), ("m2/dns",)), 300, {})
ALLOWED = ("--yes", "--allow", "large-move", "--reason", "as agreed")


def test_an_apply_in_waves_says_that_the_first_is_in_force(gslb, write, publisher):
    publisher.wave = WAVE.model_copy(update={"phase": "baking"})
    code, out, _ = gslb("apply policies -m m --bake 5m", *ALLOWED)
    assert code == 0
    assert "wave 1 of 2 (m1/edge-dc) bakes for 300 s; 1 nodes wait" in out
    assert publisher.baked_s == [300]


@pytest.mark.parametrize(
    ("line", "baked_s"), [("apply policies -m m", BAKE_S), ("apply policies -m m --all-at-once", None)]
)
def test_a_policy_goes_in_waves_unless_somebody_says_why_not(gslb, write, publisher, line, baked_s):
    assert gslb(line, *ALLOWED)[0] == 0
    assert publisher.baked_s == [baked_s]
    assert ("--all-at-once" in publisher.records[-1].entry.detail) == (baked_s is None)


def test_all_at_once_needs_a_reason_and_going_back_goes_to_all_at_once(gslb, write, publisher):
    code, _, err = gslb("apply policies -m m --all-at-once --yes")
    assert (code, "reason" in err, publisher.baked_s) == (1, True, [])
    gslb("apply policies -m m", *ALLOWED)
    assert gslb("rollback 1 --yes")[0] == 0
    assert publisher.baked_s == [BAKE_S, None]


@pytest.mark.parametrize(("phase", "code"), [("done", 0), ("back", 1), ("over", 1)])
def test_waiting_ends_with_the_waves(gslb, write, publisher, phase, code):
    publisher.wave = WAVE.model_copy(update={"phase": phase, "why": "m1/edge-dc: silent"})
    ended, _, err = gslb("apply policies -m m --wait", *ALLOWED)
    assert ended == code
    assert ("wave-" in err) == (code == 1)
