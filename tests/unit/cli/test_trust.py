from __future__ import annotations

import contextlib
import json

import pytest

from gslb.cli.main import run
from gslb.control.changes import drain
from gslb.snapshot.bundle import Bundle
from gslb.store import AuditEntry
from gslb.store.embedded import EmbeddedStore
from gslb.trust.bundles import verified_by
from tests.support.trust import KEY, STRANGER, bundle, trust_in
from tests.unit.control.world import a_drain, intent

AUDIT = AuditEntry(1.0, "ann", "policy", "")


@pytest.fixture
def trusting(tmp_path):
    return trust_in(tmp_path)


def write(folder, made):
    with contextlib.closing(EmbeddedStore(folder)) as store:
        store.write(None, made, AUDIT)


def adopt(folder, *given):
    return run(["trust", "adopt", "--data", str(folder), "--store", "sqlite", *given])


@pytest.mark.parametrize(
    "made",
    [
        Bundle.of(drain(intent(), a_drain("dc"))),
        bundle(drain(intent(), a_drain("dc")), STRANGER),
        bundle(intent()).model_copy(
            update={"overrides": drain(intent(), a_drain("dc")).overrides.model_dump_json(), "overrides_version": 1}
        ),
    ],
)
def test_what_nobody_signed_is_shown_and_signed_as_a_newer_version(tmp_path, trusting, capsys, made):
    write(tmp_path, made)
    assert adopt(tmp_path, "--yes") == 0
    told = capsys.readouterr()
    assert "drains: dc" in told.err
    assert "environment test: it is in force as version 1.2" in told.out
    with contextlib.closing(EmbeddedStore(tmp_path)) as store:
        stored = store.read()
        assert verified_by(stored, trusting.signers()).name == "here"
        assert stored.intent().overrides.drains == drain(intent(), a_drain("dc")).overrides.drains
        assert store.history(1)[0].entry.action == "adopt"


def test_it_asks_and_no_is_no(tmp_path, trusting, monkeypatch, capsys):
    write(tmp_path, bundle(intent(), STRANGER))
    monkeypatch.setattr("click.confirm", lambda *_, **__: False)
    assert adopt(tmp_path) != 0
    with contextlib.closing(EmbeddedStore(tmp_path)) as store:
        assert len(store.history(10)) == 1


def test_what_is_believed_is_left_alone(tmp_path, trusting, capsys):
    write(tmp_path, bundle(intent()))
    assert adopt(tmp_path, "--yes") == 1
    assert "believed" in capsys.readouterr().err


def test_an_empty_store_and_no_folder(tmp_path, trusting, capsys):
    assert adopt(tmp_path, "--yes") == 1
    assert "no-policy" in capsys.readouterr().err
    assert adopt(tmp_path / "nowhere", "--yes") == 2


def test_the_signers_are_shown(tmp_path, trusting, capsys):
    assert run(["trust", "signers", "--data", str(tmp_path)]) == 0
    assert "here" in capsys.readouterr().out
    assert run(["trust", "signers", "--data", str(tmp_path), "--json"]) == 0
    (signer,) = json.loads(capsys.readouterr().out)["signers"]
    assert (signer["name"], signer["kind"]) == ("here", "publisher")
    assert KEY.private_bytes_raw().hex() not in json.dumps(signer)
