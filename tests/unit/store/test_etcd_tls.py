"""The store over TLS, to a real etcd that wants client certificates."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading

import pytest

from gslb.errors import HostError
from gslb.store import etcd_client
from gslb.store.etcd_client import EtcdClient
from gslb.store.etcd_url import parse_url
from tests.support.authority import Authority
from tests.support.etcd import Etcd, needs_etcd
from tests.support.intents import EtcdStore
from tests.unit.control.world import intent


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(etcd_client, "PATIENCE_S", 0.0)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def secured(authority, tmp_path_factory):
    server = authority.issue("etcd", "127.0.7.1")
    with contextlib.closing(Etcd(tmp_path_factory.mktemp("secured"), tls=(authority.ca, *server))) as cluster:
        yield cluster.members[0]


def store(member, ca, pair=None, address=None):
    shown = f"&cert={pair[0]}&key={pair[1]}" if pair else ""
    return EtcdStore(f"etcds://{address or member.endpoint}/x?ca={ca}{shown}")


@needs_etcd
def test_both_sides_show_certificates(secured, authority, entry):
    client = store(secured, authority.ca, authority.issue("control"))
    client.write(None, intent(), entry())
    assert client.read() == intent()
    assert not client.changed(client._last.version, 0.05)


@needs_etcd
def test_who_shows_none_or_a_foreign_one_is_let_in_nowhere(secured, authority, tmp_path, entry, impatient):
    for pair in (None, Authority(tmp_path / "others").issue("control")):
        client = store(secured, authority.ca, pair)
        for ask in (client.read, lambda client=client: client.write(None, intent(), entry())):
            with pytest.raises(HostError, match=r"TLS fails|reset|broken pipe") as caught:
                ask()
        if "TLS fails" in caught.value.message:
            assert "or not" not in caught.value.message, "it was refused"


def test_an_answer_that_breaks_leaves_a_change_in_doubt(authority, impatient):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.issue("etcd", "127.0.7.1"))

    def break_off(listener):
        while True:
            try:
                raw, _ = listener.accept()
            except OSError:
                return
            with raw, context.wrap_socket(raw.dup(), server_side=True) as connection, contextlib.suppress(OSError):
                while connection.recv(65_536):
                    raw.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))  # a record that nobody encrypted

    with socket.create_server(("127.0.7.1", 0)) as listener:
        thread = threading.Thread(target=break_off, args=(listener,))
        thread.start()
        client = EtcdClient(parse_url(f"etcds://127.0.7.1:{listener.getsockname()[1]}/x?ca={authority.ca}"))
        with pytest.raises(HostError, match="TLS fails") as caught:
            client.get("a")
        assert "or not" not in caught.value.message, "a question changes nothing"
        with pytest.raises(HostError, match=r"TLS fails: .*; the change may be in the store or not"):
            client.replace({"a": 0}, {"a": b"1"}, ())
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


@needs_etcd
def test_a_member_that_cannot_prove_itself_is_told_nothing(secured, authority, tmp_path, impatient):
    pair = authority.issue("control")
    foreign = Authority(tmp_path / "others", "others")
    with pytest.raises(HostError, match="TLS fails: unable to get local issuer certificate"):
        store(secured, foreign.ca, pair).read()
    with pytest.raises(HostError, match=r"certificate is not valid for '127\.0\.1793'"):  # as inet_aton reads 127.0.7.1
        store(secured, authority.ca, pair, f"127.0.1793:{secured.port}").read()


@needs_etcd
def test_one_side_without_tls(secured, authority, etcd, impatient):
    with pytest.raises(HostError, match=r"closed|reset|no etcd|HTTP"):
        EtcdStore(f"etcd://{secured.endpoint}/x").read()
    with pytest.raises(HostError, match=r"TLS fails|reset|closed"):
        store(etcd.members[0], authority.ca).read()


@pytest.mark.parametrize("missing", ["ca", "cert", "key"])
def test_certificates_that_cannot_be_used(authority, tmp_path, missing):
    certificate, key = authority.issue("control")
    files = {"ca": authority.ca, "cert": certificate, "key": key}
    options = "&".join(f"{name}={path}" for name, path in (files | {missing: tmp_path / "none.pem"}).items())
    with pytest.raises(HostError, match="No such file"):
        EtcdStore(f"etcds://127.0.7.1/x?{options}")
    (tmp_path / "none.pem").write_text("not PEM")
    with pytest.raises(HostError, match="cannot be used"):
        EtcdStore(f"etcds://127.0.7.1/x?{options}")
