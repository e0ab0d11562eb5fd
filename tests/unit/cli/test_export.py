"""`gslb export`, as an operator runs it."""

from __future__ import annotations

import json

import pytest

from gslb.model.policy import Policy
from gslb.snapshot.intent import Intent
from tests.unit.control.world import MemoryPublisher, dns_state, verdict
from tests.unit.plan.world import BASE, changed, put

APEX = "gslb.example.com"
INNER = put("zones", [{"name": "example.org", "nameservers": {f"ns1.{APEX}": ["198.51.100.53"]}}])


@pytest.fixture
def publisher():
    return MemoryPublisher(Intent(revision=1, policy=Policy.model_validate(changed(INNER))))


def test_a_zone_as_it_is_answered_now(gslb, publisher):
    code, out, err = gslb("export --zone-file")
    assert code == 0
    assert out.startswith(f"; {APEX}, exported by gslb at ")
    assert f"shop.{APEX}. 30 IN A 192.0.2.10\n" in out
    assert f"shop.{APEX}: dc; left out: aws" in err
    publisher.hear(dns_state(publisher.snapshot, verdict("shop", "dc", "192.0.2.10", "down", "refused")))
    code, out, err = gslb("export --zone-file --ttl 1m")
    assert f"shop.{APEX}. 60 IN A 198.51.100.20\n" in out
    assert gslb("export")[0] == 2
    assert gslb("export --zone-file --zone example.net")[0] == 1


def test_every_zone_in_its_own_file_whole(gslb, tmp_path):
    code, out, _ = gslb("export --zone-file -o out/deep")
    assert (code, out) == (0, "")
    files = {path.name: path.read_text() for path in (tmp_path / "out" / "deep").iterdir()}
    assert files.keys() == {f"{APEX}.zone", "example.org.zone"}
    assert "example.org. 10 IN SOA" in files["example.org.zone"]
    code, out, _ = gslb("export --zone-file -o out/deep --zone example.org --json")
    (seen,) = json.loads(out)["zones"]
    assert (seen["zone"], seen["zones"]) == ("example.org", [APEX, "example.org"])
    (tmp_path / "file").touch()
    assert gslb("export --zone-file -o file/below")[0] == 2


def test_a_folder_without_anything_running(gslb, tmp_path, monkeypatch):
    monkeypatch.setenv("GSLB_RUNTIME", str(tmp_path / "nowhere"))
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "all.yaml").write_text(json.dumps(BASE))
    code, out, _ = gslb("export policies --zone-file")
    assert (code, f"blog.{APEX}. 30 IN A 192.0.2.10" in out) == (0, True)
    assert gslb("export --zone-file")[0] == 2
