"""The commands of mirrors, over the API that control serves."""

import pytest

from gslb.cli.main import run
from tests.unit.control.serving import served
from tests.unit.control.world import MemoryPublisher, intent


@pytest.fixture
def publisher():
    return MemoryPublisher(intent())


@pytest.fixture
def gslb(publisher, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("GSLB_SERVER", raising=False)
    monkeypatch.setenv("GSLB_RUNTIME", str(tmp_path))
    monkeypatch.setenv("SUDO_USER", "ann")

    def command(*words):
        code = run(list(words))
        return code, *capsys.readouterr()

    with served(publisher, tmp_path):
        yield command


def test_a_stop_says_what_it_did_and_how_to_undo_it(gslb, publisher):
    code, out, err = gslb("mirror", "stop", "shop/pay", "--for", "1h", "--reason", "full")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "environment test: mirrors of shop/pay stopped",
        "  shop/pay  checkout 10 % -> checkout stopped",
        "to undo: gslb mirror start shop/pay",
    ]
    made = publisher.intent.overrides.mirror_stops[0]
    assert (made.app, made.route, made.by.author, made.by.expires_s - made.by.at_s) == ("shop", "pay", "ann", 3600)
    assert "stopped by ann full (policy: checkout 10 %)" in " ".join(gslb("status")[1].split())
    code, out, _ = gslb("mirror", "start", "shop/pay")
    assert (code, out.splitlines()[-1]) == (0, "to undo: gslb mirror stop shop/pay")
    assert publisher.intent.overrides.mirror_stops == ()


def test_without_a_scope_every_mirror_is_meant(gslb, publisher):
    assert gslb("mirror", "stop")[1].splitlines()[0] == "environment test: every mirror stopped"
    assert publisher.intent.overrides.mirror_stops[0].app is None
    assert gslb("mirror", "stop")[1].splitlines()[-1] == "nothing had to change"
    code, _, err = gslb("mirror", "start", "shop")
    assert code == 1
    assert "gslb mirror start" in err


@pytest.mark.parametrize("scope", ["shop/", "/pay", "a/b/c"])
def test_what_is_no_scope(gslb, scope):
    code, _, err = gslb("mirror", "stop", scope)
    assert code == 2
    assert "APP/ROUTE" in err
