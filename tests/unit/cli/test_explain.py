"""`gslb explain` against the served API, as an operator runs it."""

from __future__ import annotations

import json

import pytest

from gslb.cli.main import run
from gslb.control import messages
from tests.unit.control.serving import served
from tests.unit.control.world import MemoryPublisher, dns_state, intent, verdict


@pytest.fixture
def publisher():
    return MemoryPublisher(intent())


@pytest.fixture
def gslb(publisher, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("GSLB_SERVER", raising=False)
    monkeypatch.setenv("GSLB_RUNTIME", str(tmp_path))

    def command(line):
        code = run(line.split())
        return code, *capsys.readouterr()

    with served(publisher, tmp_path):
        yield command


def test_it_says_the_answer_and_why(gslb, publisher):
    down = [verdict("shop", "dc", a, "down", "checkout: 503 [x]") for a in ("192.0.2.10", "2001:db8:1::10")]
    publisher.hear(dns_state(publisher.snapshot, *down))
    code, out, err = gslb("explain shop --client 203.0.113.7 --path /checkout/cart")
    assert (code, err) == (0, "")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    for line in (
        "shop.gslb.example.com A for 203.0.113.7: NOERROR, shop.gslb.example.com is a host of shop",
        "healthy aws down: dc",
        "aws 198.51.100.20 100 % <- this client, now",
        "clients everybody is told the same (scope 0)",
        "ttl 10 s: fixed by the policy",
        "answer shop.gslb.example.com. 10 IN A 198.51.100.20",
        "route shop/pay: the first route that matches",
        "split checkout 5 %, monolith 95 % (source: policy)",
        "mirror checkout 10 %",
    ):
        assert line in lines, out


def test_names_that_do_not_exist_and_paths_that_nobody_takes_print_too(gslb):
    code, out, _ = gslb("explain nowhere")
    assert (code, out.splitlines()[0]) == (
        0,
        "nowhere.gslb.example.com A: NXDOMAIN, neither an app nor the zone gslb.example.com has this name",
    )
    code, out, _ = gslb("explain blog --path /a%2fb")
    assert code == 0
    assert "route    none: the edges refuse the path with 400" in out


def test_json_is_the_answer_itself(gslb):
    code, out, _ = gslb("explain shop --client 203.0.113.7 --type AAAA --json")
    said = json.loads(out)
    messages.Explanation.model_validate(said)
    assert (code, said["type"], said["request"]) == (0, "AAAA", None)


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("explain shop --client here", 1, "client: "),
        ("explain a..b", 1, "host: "),
        ("explain shop --type WRONG", 1, "WRONG is no type"),
        ("explain shop --path checkout", 1, "path: "),
        ("explain shop --path / --user a;b", 1, "user: "),
        ("explain shop --user ann", 2, "--path"),
        ("explain", 2, "HOST"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_words(gslb, line, code, said):
    got, out, err = gslb(line)
    assert (got, out) == (code, "")
    assert said in err
    assert "Traceback" not in err
