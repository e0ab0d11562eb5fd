"""An etcd that lets in our own certificates alone, as operations.md tells to run it, and a control whose certificate is
renewed beneath its store."""

from __future__ import annotations

import contextlib

import pytest

from gslb import clock
from gslb.errors import HostError
from gslb.roles.identities.authority_work import Beginning, begin, issue_server
from gslb.roles.identities.trust_home import home_at, new_key, new_serial
from gslb.store import etcd_client
from gslb.store.etcd import EtcdStore
from gslb.trust.authority import Subject, make_leaf, pem_of
from gslb.trust.identity_files import IdentityFolder
from gslb.trust.spiffe import parse_spiffe
from tests.support.etcd import Etcd, needs_etcd

DAY_S = 86400.0
ADDRESS = "127.0.7.1"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """(data folder of the first control, an etcd member with a certificate of the installation)."""
    data = tmp_path_factory.mktemp("m1")
    begin(Beginning("gslb.example.com", "m1", ("control", "dns"), (), "https://192.0.2.1:8053", "192.0.2.1:8900", data))
    folder = data / "etcd"
    issue_server(home_at(data), "etcd-1", (ADDRESS,), life_s=DAY_S, folder=folder, author="ann")
    tls = folder / "ca.pem", folder / "cert.pem", folder / "key.pem"
    with contextlib.closing(Etcd(tmp_path_factory.mktemp("etcd"), tls=tls)) as cluster:
        yield data, cluster.members[0]


def url(data, member, process):
    trust = data / "trust"
    identity = trust / "identities" / process
    return f"etcds://{member.endpoint}/x?ca={trust / 'ca.pem'}&cert={identity / 'cert.pem'}&key={identity / 'key.pem'}"


@needs_etcd
def test_control_is_let_in_by_its_identity_and_another_installation_is_not(installed, monkeypatch, tmp_path):
    monkeypatch.setattr(etcd_client, "PATIENCE_S", 0.0)
    data, member = installed
    store = EtcdStore(url(data, member, "control"))
    assert store.put("machines/m1", store.document("machines/m1").number, b"x").value == b"x"
    begin(Beginning("gslb.example.com", "m1", ("control",), (), "https://192.0.2.1:8053", None, tmp_path))
    (tmp_path / "trust" / "ca.pem").write_text((data / "trust" / "ca.pem").read_text())
    with pytest.raises(HostError, match=r"TLS fails|reset|closed|broken"):
        EtcdStore(url(tmp_path, member, "control")).document("machines/m1")


@needs_etcd
def test_a_renewed_certificate_is_shown_without_a_restart(installed, monkeypatch):
    monkeypatch.setattr(etcd_client, "PATIENCE_S", 0.0)
    data, member = installed
    files = IdentityFolder(data / "trust", "control")
    good = files.read()
    from gslb.roles.identities.trust_home import TrustHome

    home = TrustHome(data, None)
    issuer, key = home.signing(home.read()), new_key()
    spiffe = parse_spiffe("spiffe://gslb.example.com/m1/control")
    ended = make_leaf(
        issuer, key.public_key(), Subject(spiffe, ("control.gslb.internal",)), new_serial(), clock.wall_s() - 2, 1.0
    )
    files.write(key, pem_of(ended, issuer.certificate))
    store = EtcdStore(url(data, member, "control"))
    with pytest.raises(HostError, match=r"TLS fails|reset|closed|broken"):
        store.document("trust")
    files.write(good.key, pem_of(*good.chain))
    assert store.document("trust").number == 0
    (data / "trust" / "ca.pem").write_text("not PEM")
    try:
        assert store.document("trust").number == 0, "what cannot be read changes nothing"
    finally:
        (data / "trust" / "ca.pem").write_text(home.read().bundle)
