"""`gslb drain`: its deadline, and waiting until nothing is left."""

from __future__ import annotations

import json

import pytest

from gslb.cli.main import run
from gslb.control.protocol import EdgeState, EnvoyState
from gslb.snapshot.intent import Intent
from tests.unit.control.serving import served
from tests.unit.control.world import POLICY, MemoryPublisher, dns_state, edge_state, policy

SHOP = POLICY["apps"]["shop"] | {"ttl": "1s"}


class Watched(MemoryPublisher):
    """Its edge shows one connection fewer at each look."""

    def __init__(self, connections):
        super().__init__(Intent(revision=1, policy=policy(apps={"shop": SHOP})))
        self.connections = connections

    async def refresh(self):
        await super().refresh()
        seen = EdgeState(
            envoy=EnvoyState(state="live"), arriving_per_s={"shop": 0.0}, connections=max(0, self.connections)
        )
        self.connections -= 1
        self.hear(dns_state(self.snapshot), edge_state(self.snapshot, "dc", edge=seen))


@pytest.fixture
def gslb(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("GSLB_SERVER", raising=False)
    monkeypatch.setenv("GSLB_RUNTIME", str(tmp_path))
    monkeypatch.setattr("gslb.cli.drain.WAIT_S", 0.02)

    def command(publisher, line):
        with served(publisher, tmp_path):
            code = run(line.split())
        return code, *capsys.readouterr()

    return command


@pytest.mark.parametrize(
    ("line", "deadline_s"),
    [
        ("drain dc", 300),
        ("drain dc --deadline 90s", 90),
        ("drain dc --deadline 0s", 0),
        ("drain dc --deadline never", None),
        ("drain dc --app shop", None),
        ("drain dc --entry --deadline 1m", None),
    ],
)
def test_a_deadline_is_of_the_whole_site(gslb, line, deadline_s):
    publisher = Watched(0)
    assert gslb(publisher, line)[0] == 0
    (drain,) = publisher.intent.overrides.drains
    assert drain.deadline_s == deadline_s
    closing = publisher.snapshot.sites["dc"].closing_wall_s
    assert closing == (None if deadline_s is None else drain.by.at_s + deadline_s)
    told = publisher.records[0].entry.detail
    assert ("--deadline" in told) is (deadline_s in (0, 90) or "never" in line), told


def test_a_bad_deadline_is_told(gslb):
    code, _, err = gslb(Watched(0), "drain dc --deadline soon")
    assert code == 2
    assert "soon" in err


def test_waiting_shows_what_is_left_and_ends_when_nothing_is(gslb):
    code, out, err = gslb(Watched(6), "drain dc --wait")
    assert code == 0
    assert out.splitlines()[0] == "environment test: drain of dc"
    assert out.splitlines()[-1].startswith("dc can be switched off: nothing arrives")
    assert "connections are open" in err
    assert "resolvers may keep its addresses" in err


def test_waiting_in_json_is_one_document(gslb):
    code, out, _ = gslb(Watched(0), "drain dc --wait --json")
    told = json.loads(out)
    assert (code, told["tail"]["can_be_switched_off"], told["change"]["environment"]) == (0, True, "test")


def test_waiting_ends_with_the_deadline_and_says_what_is_left(gslb, monkeypatch):
    monkeypatch.setattr("gslb.cli.drain.CLOSING_S", 0.0)
    code, _, err = gslb(Watched(10**6), "drain dc --wait --deadline 1s")
    assert code == 2
    assert "the deadline is over, and something is left of dc" in err


def test_waiting_for_a_site_that_somebody_puts_back_says_so(gslb):
    class Impatient(Watched):
        async def refresh(self):
            await super().refresh()
            self.intent = self.intent.model_copy(update={"overrides": self.intent.overrides.model_copy(update={"drains": ()})})  # fmt: skip

    code, _, err = gslb(Impatient(5), "drain dc --wait")
    assert code == 2
    assert "dc is not drained any more" in err
