"""gslb identity, and gslb node token, join, remove, as a user types them."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import pytest
from cryptography import x509

from gslb.cli.main import run
from gslb.errors import RefusedError
from gslb.roles.identities.trust_home import TrustHome
from gslb.trust.authority import certificates_of, identity_of, lifetime_s
from gslb.trust.join import parse_token
from tests.unit.control.serving import served
from tests.unit.control.world import MemoryPublisher, intent
from tests.unit.roles.installation import Installation

API = "https://192.0.2.1:8053"


@pytest.fixture
def data(tmp_path, capsys):
    folder = tmp_path / "m1"
    assert (
        run(["identity", "init", "--domain", "gslb.example.com", "--name", "m1", "--api", API, "--data", str(folder)])
        == 0
    )
    capsys.readouterr()
    return folder


@pytest.fixture
def control(tmp_path, monkeypatch):
    """A control that is asked over its socket."""
    publisher = MemoryPublisher(intent())
    (tmp_path / "control").mkdir()
    installation = Installation(tmp_path / "control")
    publisher.registrar = installation.registrar
    with contextlib.closing(installation), served(publisher, tmp_path) as (path, _url):
        monkeypatch.setenv("GSLB_SERVER", str(path))
        yield installation


def only(pem):
    return certificates_of(pem.read_text())[0]


def test_an_installation_begins_once(data, capsys):
    before = (data / "trust" / "authority.json").read_bytes()
    assert run(["identity", "init", "--domain", "x.example", "--name", "m1", "--api", API, "--data", str(data)]) == 1
    assert "identity-exists" in capsys.readouterr().err
    assert (data / "trust" / "authority.json").read_bytes() == before
    for name in ("root.key", "authority.json", "installation.secret", "signing.key", "machine.json"):
        assert (data / "trust" / name).stat().st_mode & 0o077 == 0
    for process in ("control", "dns"):
        assert identity_of(only(data / "trust" / "identities" / process / "cert.pem")).process == process


def test_one_machine_needs_no_address_and_has_a_certificate_for_every_edge(tmp_path, capsys):
    policy = Path(__file__).parents[3] / "policies" / "private-networks"
    given = ["--policy", str(policy), "--name", "m1", "--data", str(tmp_path / "m1")]
    assert run(["identity", "init", *given]) == 0
    assert "trust domain gslb.example.com" in capsys.readouterr().out
    found = {path.name for path in (tmp_path / "m1" / "trust" / "identities").iterdir()}
    assert found == {"control", "dns", "edge-dc", "edge-aws"}
    machine = json.loads((tmp_path / "m1" / "trust" / "machine.json").read_text())
    assert (machine["every_site"], machine["api"], machine["controls"]) == (True, None, [])


def test_a_lost_authority_is_replaced_in_the_store_too(tmp_path, capsys):
    first = Installation(tmp_path)
    (tmp_path / "trust").rename(tmp_path / "old")
    given = ["--domain", "gslb.example.com", "--name", "m1", "--api", API, "--data", str(tmp_path)]
    assert run(["identity", "init", *given]) == 0
    with pytest.raises(RefusedError, match="other-trust"):
        TrustHome(tmp_path, first.store).read()
    (tmp_path / "trust").rename(tmp_path / "mistaken")
    assert run(["identity", "init", *given, "--replace"]) == 0
    state = TrustHome(tmp_path, first.store).read()
    assert state.roots != first.registrar.state.roots
    assert first.store.document("trust").number == 2
    first.close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--domain NAME"),
        (("--domain", "d.example", "--roles", "dns"), "needs a control"),
        (("--domain", "d.example", "--roles", "control,dns", "--site", "dc"), "an edge needs a site"),
        (("--domain", "d.example", "--name", "operator"), "machine-name"),
        (("--domain", "d/e"), "spiffe-id"),
        (("--domain", "d.example", "--address", "x"), "join-address"),
        (("--domain", "d.example", "--identity-life", "x"), "identity-life"),
    ],
)
def test_a_wrong_beginning_leaves_nothing(tmp_path, capsys, arguments, said):
    folder = tmp_path / "m1"
    given = ["--name", "m1"] if "--name" not in arguments else []
    assert run(["identity", "init", *given, *arguments, "--api", API, "--data", str(folder)]) in (1, 2)
    assert said in capsys.readouterr().err
    assert not (folder / "trust").exists()


def test_an_api_that_is_no_url(tmp_path, capsys):
    given = ["--domain", "d.example", "--name", "m1", "--data", str(tmp_path / "m1")]
    assert run(["identity", "init", *given, "--api", "http://192.0.2.1:8053"]) == 1
    assert "--api https://HOST:PORT" in capsys.readouterr().err


def test_the_root_is_taken_away_and_comes_back_for_a_new_issuer(data, tmp_path, capsys):
    usb, before = tmp_path / "usb", TrustHome(data, None).read()
    assert run(["identity", "export-root", "-o", str(usb), "--data", str(data)]) == 0
    assert "shred" in capsys.readouterr().out
    (data / "trust" / "root.key").unlink()
    assert run(["identity", "export-root", "-o", str(usb), "--data", str(data)]) == 2
    assert "taken away" in capsys.readouterr().err
    assert run(["identity", "renew-issuer", "--root-key", str(usb / "root.key"), "--data", str(data)]) == 0
    after = TrustHome(data, None).read()
    assert (len(after.issuers), after.issuers[1], after.roots) == (2, before.issuers[0], before.roots)
    other = tmp_path / "m2"
    run(["identity", "init", "--domain", "x.example", "--name", "m1", "--api", API, "--data", str(other)])
    assert run(["identity", "renew-issuer", "--root-key", str(other / "trust" / "root.key"), "--data", str(data)]) == 1
    assert "root-key" in capsys.readouterr().err
    (usb / "root.key").chmod(0o644)
    assert run(["identity", "renew-issuer", "--root-key", str(usb / "root.key"), "--data", str(data)]) == 2
    assert "chmod 600" in capsys.readouterr().err


def test_certificates_for_servers_and_people(data, tmp_path, capsys):
    etcd, ann = tmp_path / "etcd", tmp_path / "ann"
    given = ["--data", str(data)]
    hosts = ["--ip", "10.0.0.1", "--dns", "etcd-1.internal"]
    assert run(["identity", "issue", "server", "etcd-1", *hosts, "--for", "30d", "-o", str(etcd), *given]) == 0
    certificate = only(etcd / "cert.pem")
    assert identity_of(certificate).uri == "spiffe://gslb.example.com/server/etcd-1"
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["etcd-1.internal"]
    from_s, until_s = lifetime_s(certificate)
    assert until_s - from_s == pytest.approx(30 * 86400 + 300, abs=2)
    assert (etcd / "key.pem").stat().st_mode & 0o077 == 0
    issue = ["identity", "issue", "operator", "ann", "-o", str(ann), *given]
    assert run([*issue, "--role", "operator", "--app", "shop", "--for", "365d"]) == 0
    person = TrustHome(data, None).read().operators["ann"]
    assert (person.role, person.apps) == ("operator", ("shop",))
    assert person.by.expires_s <= TrustHome(data, None).read().issuer_ends_s()
    assert run(["identity", "revoke", "ann", *given]) == 0
    assert TrustHome(data, None).read().operators == {}
    capsys.readouterr()
    for arguments, code, said in (
        (["identity", "revoke", "ann", *given], 1, "unknown-operator"),
        ([*issue, "--role", "admin", "--app", "shop"], 2, "--app is for"),
        (["identity", "issue", "server", "x", "-o", str(etcd), *given], 2, "--dns NAME"),
        (["identity", "issue", "operator", "a/b", "--role", "viewer", "-o", str(ann), *given], 1, "spiffe-id"),
        (["identity", "issue", "server", "x", *hosts, "-o", str(etcd), "--data", str(tmp_path)], 1, "no-identity"),
    ):
        assert run(arguments) == code
        assert said in capsys.readouterr().err


def test_a_token_is_printed_alone_and_a_machine_is_removed(control, capsys):
    assert run(["node", "token", "--roles", "dns,edge", "--site", "dc", "--for", "30m"]) == 0
    printed = capsys.readouterr()
    (line,) = (line for line in printed.out.splitlines() if line.startswith("gslbjoin."))
    token = parse_token(line)
    assert token.processes == ("dns", "edge-dc")
    assert token.secret_text not in printed.err
    assert run(["node", "token", "--rejoin", "m1", "--json"]) == 0
    assert '"roles": [\n    "control",\n    "dns"\n  ]' in capsys.readouterr().out
    for arguments, code, said in (
        (["node", "token"], 2, "--roles"),
        (["node", "token", "--roles", "dns", "--rejoin", "m1"], 2, "--rejoin"),
        (["node", "token", "--roles", "edge"], 1, "--site NAME"),
        (["node", "token", "--roles", "dns", "--for", "30d"], 1, "604800"),
        (["node", "remove", "m9"], 1, "unknown-machine"),
        (["node", "remove", "m1"], 1, "machine-own"),
    ):
        assert run(arguments) == code, arguments
        assert said in capsys.readouterr().err


def test_status_shows_certificates_and_alarms(control, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert run(["identity", "status"]) == 0
    printed = capsys.readouterr()
    assert "m1/control" in printed.out
    assert "not told" in printed.out
    control.registrar.own_ends_s = lambda: 1.0
    assert run(["identity", "status", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["alarms"]
    assert run(["identity", "status"]) == 1
    assert "ALARM: the certificate of m1/control has ended" in capsys.readouterr().err


@pytest.mark.parametrize("given", ["", "no token", "gslbjoin.x"])
def test_what_is_no_token_is_not_repeated(tmp_path, capsys, monkeypatch, given):
    monkeypatch.setattr("sys.stdin", io.StringIO(given + "\n"))
    join = ["node", "join", "-", "--control", API, "--name", "m2", "--data", str(tmp_path / "m2")]
    assert run(join) == 1
    assert "what gslb node token has printed" in capsys.readouterr().err
    monkeypatch.delenv("GSLB_JOIN_TOKEN", raising=False)
    assert run(["node", "join", "--control", API]) == 2
    assert "$GSLB_JOIN_TOKEN" in capsys.readouterr().err
    assert not (tmp_path / "m2").exists()


def test_a_machine_without_a_control_that_joined_none_does_not_start(tmp_path, capsys):
    given = ["--data", str(tmp_path / "data"), "--runtime", str(tmp_path / "run")]
    assert run(["run", "--roles", "dns", *given]) == 2
    assert "gslb node join" in capsys.readouterr().err
