"""Named installations: which one a command asks, whom it believes and what it shows there."""

from __future__ import annotations

import json
import ssl
import stat

import pytest

from gslb.cli.contexts import contexts_file
from gslb.cli.main import run
from gslb.cli.server import client_of
from tests.support.authority import Authority
from tests.unit.control.serving import served
from tests.unit.control.world import MemoryPublisher, intent


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    for name in ("GSLB_SERVER", "GSLB_CONTEXT", "GSLB_TOKEN", "GSLB_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("GSLB_RUNTIME", str(tmp_path / "nowhere"))
    return tmp_path


@pytest.fixture
def gslb(capsys):
    def command(line):
        code = run(line.split())
        return code, *capsys.readouterr()

    return command


@pytest.fixture
def asked(monkeypatch):
    """What the last command's client would ask, without asking."""
    made = []

    def keep(server):
        made.append(client_of(server))
        return made[-1]

    monkeypatch.setattr("gslb.cli.operate.client_of", keep)
    monkeypatch.setattr("gslb.control.http.client.Client._call", lambda *_: {"changes": []})
    return lambda: (made[-1].server, made[-1]._token, made[-1]._tls)


def test_a_context_is_kept_private_and_asked_by_its_name(gslb, home):
    with served(MemoryPublisher(intent()), home) as (socket, _):
        code, out, _ = gslb(f"context add lab --server {socket}")
        assert (code, out.splitlines()[-1]) == (0, "to undo: gslb context remove lab")
        assert stat.S_IMODE(contexts_file().stat().st_mode) == 0o600
        assert gslb("status --json")[0] == 2
        code, out, _ = gslb("status --json --context lab")
        assert (code, json.loads(out)["environment"]) == (0, "test")
        code, out, _ = gslb("context list --json")
        assert json.loads(out)["lab"]["server"] == str(socket)
        assert "lab" in gslb("context list")[1]
        assert gslb("context remove lab")[0] == 0
        code, _, err = gslb("status --context lab")
        assert (code, "[unknown-context]" in err) == (1, True)


def test_a_name_is_not_taken_twice_by_accident(gslb):
    assert gslb("context add prod --server https://192.0.2.1:8053")[0] == 0
    code, _, err = gslb("context add prod --server https://192.0.2.2:8053")
    assert (code, "[known-context] prod is https://192.0.2.1:8053 already" in err) == (1, True)
    assert gslb("context add prod --server https://192.0.2.2:8053 --replace")[0] == 0
    assert gslb("context add ../prod --server https://192.0.2.2:8053")[0] == 2
    assert gslb("context add x --server https://192.0.2.2:8053 --ca /nowhere/ca.pem")[0] == 2


def test_what_is_said_on_the_command_line_wins(gslb, home, monkeypatch, asked):
    for name in ("prod", "lab", "other"):
        token = home / f"{name}.token"
        token.touch(0o600)
        token.write_text(f"token-of-{name}")
        gslb(f"context add {name} --server https://{name}.example:8053 --token-file {token}")

    def goes(line):
        assert gslb(f"history {line}")[0] == 0
        return asked()[:2]

    assert goes("--context prod") == ("https://prod.example:8053", "token-of-prod")
    monkeypatch.setenv("GSLB_TOKEN", "of-somebody-else")
    monkeypatch.setenv("GSLB_TOKEN_FILE", str(home / "other.token"))
    assert goes("--context prod") == ("https://prod.example:8053", "token-of-prod")
    assert goes(f"--context prod --token-file {home / 'lab.token'}")[1] == "token-of-lab"
    monkeypatch.setenv("GSLB_CONTEXT", "lab")
    assert goes("")[0] == "https://lab.example:8053"
    assert goes("--server http://127.0.0.1:8053") == ("http://127.0.0.1:8053", "token-of-other")
    monkeypatch.setenv("GSLB_SERVER", "http://127.0.0.1:8054")
    assert goes("")[0] == "http://127.0.0.1:8054"
    assert goes("--context prod")[0] == "https://prod.example:8053"
    code, _, err = gslb("history --context prod --server http://127.0.0.1:1")
    assert (code, "exclude each other" in err) == (2, True)


def test_authorities_and_certificates_of_a_context(gslb, home, asked):
    authority = Authority(home / "ca")
    certificate, key = authority.issue("ann")
    files = f"--ca {authority.ca} --client-cert {certificate} --client-key {key}"
    assert gslb(f"context add prod --server https://prod.example {files}")[0] == 0
    assert gslb("history --context prod")[0] == 0
    tls = asked()[2]
    context = tls.context()
    assert isinstance(context, ssl.SSLContext)
    assert len(context.get_ca_certs()) == 1, "nobody else is believed"
    assert gslb(f"context add odd --server https://odd.example --client-cert {certificate}")[0] == 2
    gslb(f"context add odd --server https://odd.example --ca {key}")
    gslb("history --context odd")
    with pytest.raises(Exception, match="cannot be used for TLS"):
        asked()[2].context()


@pytest.mark.parametrize(
    "content", ["[", "contexts: [a]", "contexts: {a: {server: 3}}", "contexts: {a: {url: x}}", "\0"]
)
def test_a_file_that_holds_none_is_refused_with_what_to_write(gslb, content):
    contexts_file().parent.mkdir(parents=True)
    contexts_file().touch(0o600)
    contexts_file().write_text(content)
    code, _, err = gslb("context list")
    assert (code, "[contexts] these are no contexts" in err) == (1, True)


def test_a_file_that_others_may_write_is_not_believed(gslb):
    gslb("context add prod --server https://prod.example")
    contexts_file().chmod(0o620)
    code, _, err = gslb("context list")
    assert (code, "others may write" in err) == (2, True)
