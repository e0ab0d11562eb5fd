"""Named checks wherever a person or a machine looks, and pushing the state of one."""

import io
import json

import pytest
from aiohttp.test_utils import TestClient, TestServer
from rich.console import Console

from gslb.cli.main import run
from gslb.cli.tables import status_page
from gslb.control.alarms import alarms
from gslb.control.bodies import check_messages, status_messages
from gslb.control.checks import PushBoard, checks_seen, prober_trouble, pushed_check
from gslb.control.http.api import build_app
from gslb.control.protocol import CheckState, ProbingState, StateChange
from gslb.control.scrape.metrics import exposition
from gslb.control.status import status
from gslb.errors import RefusedError
from gslb.snapshot import compile_snapshot
from gslb.snapshot.intent import Intent
from tests.unit.control.serving import served
from tests.unit.control.world import NOW_S, POLICY, MemoryPublisher, dns_state, policy

CHECKS = {
    "db": {"tcp": {"to": "10.1.0.20:5432"}},
    "hand": {"pushed": {"expires": "60s"}},
    "cert": {"tls": {"to": "10.1.0.20:443"}, "monitor": True},
}
SHOP = POLICY["apps"]["shop"] | {"ready": {"dc": ["db", "hand"]}}
RUNNING = ProbingState(running=True, age_s=0.1, behind_s=0.0, targets=7, in_flight=1, counts={"ok": 5, "failed": 2})


def made():
    return Intent(revision=1, policy=policy(checks=CHECKS, apps={"shop": SHOP}))


def check(name="db", kind="tcp", state="up", **more):
    given = {"reason": f"{name}: connected", "last": f"{name}: connected", "since_wall_s": NOW_S, "looked_wall_s": NOW_S,
             "duration_s": 0.0123, "changes": (StateChange(at_wall_s=NOW_S, state=state, reason="why"),)}  # fmt: skip
    return CheckState(name=name, kind=kind, state=state, **{**given, **more})


def world(*checks, probing=RUNNING, **nodes):
    publisher = MemoryPublisher(made())
    publisher.hear(dns_state(publisher.snapshot, checks=checks, probing=probing))
    for name, others in nodes.items():
        publisher.hear(dns_state(publisher.snapshot, name=name, checks=others, probing=probing))
    return publisher


def seen(publisher):
    got = status(publisher.current(), publisher.roles(), publisher.ages_s(), NOW_S)
    status_messages.Status.model_validate(got)
    return got


def test_status_has_every_check_also_those_that_nobody_has_told_of():
    got = seen(world(check()))["checks"]
    assert list(got) == ["cert", "db", "hand"]
    assert (got["db"]["state"], got["db"]["reason"], got["db"]["decides"]) == ("up", "db: connected", ["shop at dc"])
    assert got["db"]["nodes"]["dns"]["duration_ms"] == 12.3
    assert got["db"]["nodes"]["dns"]["history"][0]["reason"] == "why"
    assert (got["hand"]["state"], got["hand"]["reason"]) == ("unknown", "no node has told of it yet")
    assert (got["cert"]["monitor"], got["cert"]["decides"]) == (True, [])


@pytest.mark.parametrize(
    ("here", "there", "state"),
    [("up", "up", "up"), ("up", "down", "disputed"), ("up", "unknown", "up"), ("unknown", "unknown", "unknown"),
     ("unknown", "down", "down")],
)  # fmt: skip
def test_what_nodes_see_together(here, there, state):
    got = seen(world(check(state=here), other=(check(state=there, reason="db: over there"),)))["checks"]["db"]
    assert got["state"] == state


def test_a_node_that_cannot_look_says_why():
    got = seen(world(check(state="unknown", cannot="there is no file ca.pem in /x")))["checks"]["db"]
    assert got["reason"] == "there is no file ca.pem in /x"


def test_before_the_first_policy_there_are_none():
    assert checks_seen(None, []) == {}


@pytest.mark.parametrize(
    ("probing", "trouble"),
    [
        (RUNNING, ""),
        (None, ""),
        (RUNNING.model_copy(update={"running": False}), "the prober does not run"),
        (RUNNING.model_copy(update={"age_s": 9.0}), "the prober has not turned for 9 s"),
        (RUNNING.model_copy(update={"behind_s": 31.0}), "the prober is 31 s behind its schedule"),
    ],
)
def test_a_prober_in_trouble_stands_beside_its_role(probing, trouble):
    publisher = world(probing=probing)
    assert seen(publisher)["roles"]["dns"]["prober"] == trouble
    assert prober_trouble(publisher.roles()["dns"]) == trouble
    out = io.StringIO()
    Console(width=200, file=out).print(status_page(seen(publisher)))
    assert trouble in out.getvalue()
    assert "Checks" in out.getvalue()
    good = [line for line in exposition(publisher).decode().splitlines() if line.startswith("gslb_prober_up")]
    assert good == ([f'gslb_prober_up{{role="dns"}} {0.0 if trouble else 1.0}'] if probing else [])


def test_alarms():
    late = RUNNING.model_copy(update={"running": False})
    states = (check(state="down", reason="db: connect refused"), check("cert", "tls", warning=True),
              check("hand", "pushed", "unknown", cannot="nobody can"))  # fmt: skip
    publisher = world(*states, probing=late)
    found = alarms(publisher.current()[1], publisher.roles(), publisher.ages_s(), NOW_S)
    told = {(alarm.rule, alarm.severity, alarm.subject, alarm.message) for alarm in found}
    assert told >= {
        ("check", "critical", "db", "db: connect refused"),
        ("check-warning", "warning", "cert", "cert: connected"),
        ("check-cannot", "warning", "hand", "dns: nobody can"),
        ("prober", "critical", "dns", "the prober does not run: what it says of sites may be old"),
    }
    publisher = world(check(), check("cert", "tls", "down"))
    found = alarms(publisher.current()[1], publisher.roles(), publisher.ages_s(), NOW_S)
    about = [(alarm.severity, alarm.subject) for alarm in found if alarm.rule.startswith("check")]
    assert about == [("warning", "cert")], "what is only watched is no emergency"


def test_metrics():
    text = exposition(world(check(), check("cert", "tls", warning=True), check("hand", "pushed", "unknown"))).decode()
    for line in (
        'gslb_check_up{check="db",kind="tcp",role="dns"} 1.0',
        'gslb_check_warning{check="cert",kind="tls",role="dns"} 1.0',
        'gslb_check_warning{check="db",kind="tcp",role="dns"} 0.0',
        'gslb_check_duration_seconds{check="db",kind="tcp",role="dns"} 0.0123',
        'gslb_probes_total{result="failed",role="dns"} 2.0',
        'gslb_prober_targets{role="dns"} 7.0',
    ):
        assert line in text
    assert 'gslb_check_up{check="hand"' not in text


# Pushing --------------------------------------------------------------------------------------------------------------


def test_a_pushed_state_holds_as_long_as_the_policy_says_and_the_last_word_counts():
    board, hand = PushBoard(), pushed_check(compile_snapshot(made(), NOW_S), "hand")
    assert board.push(hand, "a", 100.0, ok=True) == 60.0
    board.push(hand, "b", 110.0, ok=False)
    (told,) = board.living(150.0).states.values()
    assert (told.ok, told.reason, told.left_s) == (False, "b", 20.0)
    assert board.living(170.0).states == {}
    assert board.living(0.0).states == {}, "what is over is forgotten"


@pytest.mark.parametrize(("name", "rule"), [("nobody", "unknown-check"), ("db", "check-kind")])
def test_what_nothing_can_be_pushed_for(name, rule):
    with pytest.raises(RefusedError) as caught:
        pushed_check(compile_snapshot(made(), NOW_S), name)
    assert caught.value.rule == rule


@pytest.fixture
async def api():
    publisher = world(check())
    async with TestClient(TestServer(build_app(publisher, "local"))) as client:
        client.publisher = publisher
        yield client


async def test_over_the_api(api):
    got = await (await api.get("/v1/checks")).json()
    check_messages.ChecksSeen.model_validate(got)
    assert got["checks"]["db"]["state"] == "up"
    body = {"state": "down", "reason": "nightly load", "author": "ann"}
    answer = await (await api.put("/v1/checks/hand/state", json=body)).json()
    assert answer == {"environment": "test", "check": "hand", "state": "down", "holds_s": 60.0, "nodes": ["dns"]}
    (told,) = api.publisher.pushed.living(0.0).states.values()
    assert (told.ok, told.reason) == (False, "nightly load (pushed by ann)")
    refused = await api.put("/v1/checks/db/state", json={"state": "up"})
    assert (refused.status, (await refused.json())["rule"]) == (409, "check-kind")
    wrong = await api.put("/v1/checks/hand/state", json={"state": "maybe"})
    assert wrong.status == 422
    assert api.publisher.records == [], "a pushed state is no change of the policy"


def test_on_the_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    with served(world(check()), tmp_path) as (socket, _):
        monkeypatch.setenv("GSLB_RUNTIME", str(socket.parent))
        assert run(["checks", "show"]) == 0
        assert "shop at dc" in capsys.readouterr().out
        assert run(["checks", "show", "db"]) == 0
        out = capsys.readouterr().out
        assert "12.3 ms" in out
        assert "why" in out
        assert run(["checks", "show", "db", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["state"] == "up"
        assert run(["checks", "show", "nobody"]) == 1
        assert "[unknown-check]" in capsys.readouterr().err
        assert run(["checks", "push", "hand", "down", "--reason", "load"]) == 0
        assert "hand is down for 60 s\ntold: dns" in capsys.readouterr().out
        assert run(["checks", "push", "db", "up"]) == 1
        assert "[check-kind]" in capsys.readouterr().err
