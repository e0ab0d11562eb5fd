"""`gslb override` and `gslb node override`, against nodes with no control anywhere."""

from __future__ import annotations

import contextlib
import json

import pytest

from gslb import clock
from gslb.cli.main import run
from gslb.store.embedded import EmbeddedStore
from tests.unit.cli.test_node import nodes


@pytest.fixture
def gslb(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GSLB_RUNTIME", str(tmp_path))
    monkeypatch.setenv("SUDO_USER", "ann")
    monkeypatch.setenv("GSLB_PASSPHRASE", "correct horse battery")
    monkeypatch.chdir(tmp_path)

    def command(line):
        code = run(line.split())
        return code, *capsys.readouterr()

    return command


def drained(role):
    return {name for name, app in role.snapshot.apps.items() if "dc" in app.no_entry}


def test_from_the_key_to_every_node_of_a_machine(gslb, tmp_path):
    code, out, _ = gslb("override key ann -o ann.key")
    assert (code, "gslb override believe ann.key.pub" in out) == (0, True)
    assert (tmp_path / "ann.key").stat().st_mode & 0o777 == 0o600
    assert gslb("override key ann -o ann.key")[0] == 1, "a key is never replaced"
    with nodes(tmp_path, "dns", "edge-dc") as roles:
        sign = "override sign drain dc --environment test --for 4h --reason fire --key ann.key -o drain.json"
        assert gslb(sign)[0] == 0
        code, _, err = gslb("node override drain.json --all")
        assert (code, "[unknown-signer]" in err) == (1, True)
        assert gslb(f"override believe ann.key.pub --data {tmp_path}")[0] == 0
        code, out, _ = gslb("node override drain.json --all --json")
        assert (code, set(json.loads(out[out.index("{\n") :])["nodes"])) == (0, {"dns", "edge-dc"})
        assert all(drained(role) == {"shop", "blog"} for role in roles.values())
        assert gslb("node override drain.json --all")[0] == 1, "once"
        code, out, _ = gslb("node status")
        assert "drain dc by ann (signed: ann)" in " ".join(out.split())
        assert gslb("override sign undrain dc --environment test --key ann.key -o back.json")[0] == 0
        code, out, _ = gslb(f"node override back.json --socket {tmp_path}/dns.sock")
        assert (code, drained(roles["dns"]), drained(roles["edge-dc"])) == (0, set(), {"shop", "blog"})
        signer = json.loads((tmp_path / "ann.key.pub").read_text())["id"]
        assert gslb(f"override forget {signer} --data {tmp_path}")[0] == 0
        gslb("override sign drain dc --environment test --key ann.key -o again.json")
        assert "[unknown-signer]" in gslb("node override again.json --all")[2]
        assert gslb(f"override forget {signer} --data {tmp_path}")[0] == 1


def test_signed_stops_of_mirrors_go_to_the_edges_of_a_machine(gslb, tmp_path):
    gslb("override key ann -o ann.key")
    with nodes(tmp_path, "dns", "edge-dc") as roles:
        gslb(f"override believe ann.key.pub --data {tmp_path}")
        signing = "--environment test --key ann.key"
        code, out, _ = gslb(f"override sign mirror stop shop/pay {signing} --for 4h --reason full -o stop.json")
        assert (code, "stop of mirrors of shop/pay, signed by" in out) == (0, True)
        assert "on a machine with an edge: gslb node override stop.json --all" in out
        code, out, _ = gslb("node override stop.json --all --json")
        assert (code, set(json.loads(out[out.index("{\n") :])["nodes"])) == (0, {"edge-dc"})

        def mirror():
            return roles["edge-dc"].snapshot.apps["shop"].routes[0].mirrors[0]

        assert "by ann (signed: ann)" in mirror().stopped.detail
        code, _, err = gslb("node override stop.json --all")
        assert (code, "[replayed]" in err) == (1, True)
        assert gslb(f"override sign mirror start shop/pay {signing} -o start.json")[0] == 0
        assert (gslb("node override start.json --all")[0], mirror().stopped) == (0, None)
        gslb(f"override sign mirror stop shop/pya {signing} -o odd.json")
        code, _, err = gslb("node override odd.json --all")
        assert (code, "did you mean pay?" in err, mirror().stopped) == (1, True, None)


def test_whose_keys_are_believed_is_in_the_history(gslb, tmp_path):
    with contextlib.closing(EmbeddedStore(tmp_path)) as store:
        gslb("override key ann -o ann.key")
        signer = json.loads((tmp_path / "ann.key.pub").read_text())["id"]
        assert gslb(f"override believe ann.key.pub --data {tmp_path}")[0] == 0
        assert gslb(f"override forget {signer} --data {tmp_path}")[0] == 0
        assert [(item.entry.action, item.entry.detail) for item in store.history(5)] == [
            ("forget-key", f"{signer} of ann"),
            ("believe-key", f"{signer} of ann"),
        ]


def test_what_is_wrong_is_said(gslb, tmp_path, monkeypatch):
    gslb("override key ann -o ann.key")
    assert gslb("override sign drain DC! --environment test --key ann.key -o x.json")[0] == 2
    assert gslb("override sign mirror stop shop/ --environment test --key ann.key -o x.json")[0] == 2
    assert gslb("override sign mirror stop A!/b --environment test --key ann.key -o x.json")[0] == 2
    assert gslb("override sign drain dc --environment test --good-for 60d --key ann.key -o x.json")[0] == 1
    assert gslb("override sign drain dc --environment test --key nowhere.key -o x.json")[0] == 2
    assert gslb("override believe ann.key --data .")[0] == 1
    assert gslb("override believe ann.key.pub --data nowhere")[0] == 2
    (tmp_path / "odd.json").write_text("[]")
    assert gslb("node override odd.json --all")[0] == 1
    assert gslb("node override odd.json --node https://127.0.0.1:1")[0] in (1, 2)
    monkeypatch.setenv("GSLB_PASSPHRASE", "another one that fits")
    assert "[passphrase]" in gslb("override sign drain dc --environment test --key ann.key -o x.json")[2]
    assert not (tmp_path / "x.json").exists()
    assert clock.wall_s() > 0
