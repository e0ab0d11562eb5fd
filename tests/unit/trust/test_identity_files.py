"""Certificates and keys on disk: both change at once, and what cannot be used is told."""

from __future__ import annotations

import ssl
import stat

import pytest

from gslb.errors import HostError
from gslb.trust import tls
from gslb.trust.authority import pem_of
from gslb.trust.identity_files import (
    IdentityFolder,
    MachineFile,
    read_machine,
    write_files,
    write_machine,
)
from gslb.trust.private_files import make_folder, write_private
from tests.unit.trust.certificates import issuer, key, leaf, root


@pytest.fixture
def files(tmp_path):
    return IdentityFolder(tmp_path, "dns")


def chain(**given):
    return pem_of(leaf(**given), issuer().certificate)


def test_what_is_written_is_read_and_only_the_pair_before_is_kept(files):
    assert files.read() is None
    for number in (2, 3, 4, 5):
        files.write(key(number), chain(number=number))
        pair = files.read()
        assert pair.key.public_key() == pair.chain[0].public_key() == key(number).public_key()
        assert (pair.identity.process, len(pair.chain)) == ("dns", 2)
    assert len([path for path in files.folder.iterdir() if path.is_dir() and not path.is_symlink()]) == 2
    assert {path.name for path in files.folder.iterdir() if path.is_symlink()} == {"cert.pem", "key.pem", "current"}
    assert files.key.resolve().stat().st_mode & 0o077 == 0
    assert "PRIVATE" not in repr(pair)


def test_one_link_turns_both(files):
    """Whoever watches the folder for moves, as Envoy does, sees one; the names themselves stay."""
    files.write(key(2), chain(number=2))
    before = {path.name: path.lstat().st_ino for path in files.folder.iterdir()}
    files.write(key(3), chain(number=3))
    after = {path.name: path.lstat().st_ino for path in files.folder.iterdir()}
    assert (before["cert.pem"], before["key.pem"]) == (after["cert.pem"], after["key.pem"])
    assert before["current"] != after["current"]


def test_files_that_a_backup_made_of_links_are_turned_again(files):
    make_folder(files.folder)
    write_private(files.certificate, chain(number=2).encode())
    write_private(files.key, b"x")
    files.write(key(2), chain(number=2))
    assert files.read().identity.process == "dns"
    assert files.certificate.is_symlink()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda files: files.certificate.resolve().write_text("x"), "cannot be used"),
        (lambda files: files.certificate.resolve().write_bytes(b"\xff"), "cannot be used"),
        (lambda files: files.key.resolve().write_text("x"), "P-256"),
        (lambda files: files.key.resolve().unlink(), "cannot"),
        (lambda files: files.key.resolve().chmod(0o644), "chmod 600"),
        (lambda files: files.certificate.resolve().write_text(pem_of(root().certificate)), "SPIFFE"),
        (lambda files: files.certificate.resolve().write_text(chain(number=3)), "another certificate"),
    ],
)
def test_what_cannot_be_used_is_told_without_the_key(files, damage, said):
    files.write(key(2), chain(number=2))
    damage(files)
    with pytest.raises(HostError, match=said) as told:
        files.read()
    assert "PRIVATE" not in str(told.value)


def test_contexts_of_what_cannot_be_used(files, tmp_path):
    with pytest.raises(HostError, match="cannot be used"):
        tls.server_context(files, required=True)
    with pytest.raises(HostError, match="cannot be used"):
        tls.only_trusting(tmp_path / "none.pem")
    with pytest.raises(HostError, match="cannot be used"):
        tls.only_trusting("x")
    files.write(key(2), chain(number=2))
    write_private(files.ca, pem_of(root().certificate).encode())
    served = tls.server_context(files, required=True)
    assert (served.verify_mode, served.minimum_version) == (ssl.CERT_REQUIRED, ssl.TLSVersion.TLSv1_3)
    assert served.num_tickets == 0
    asking = tls.client_context(files)
    assert (asking.verify_mode, asking.check_hostname) == (ssl.CERT_REQUIRED, False)


@pytest.mark.parametrize(
    ("certificate", "uri"),
    [
        (None, None),
        ({}, None),
        ({"subjectAltName": (("DNS", "x"), ("URI", "spiffe://d/m1/dns"))}, "spiffe://d/m1/dns"),
        ({"subjectAltName": (("URI", "a"), ("URI", "b"))}, None),
    ],
)
def test_the_one_uri_of_a_peer(certificate, uri):
    assert tls.peer_uri(certificate) == uri


def test_what_a_machine_knows_of_itself(tmp_path):
    assert read_machine(tmp_path) is None
    machine = MachineFile(machine="m1", domain="d", roles=("dns",), address=("x", 1))
    write_machine(tmp_path, machine)
    assert read_machine(tmp_path) == machine
    (tmp_path / "machine.json").write_text("{}")
    with pytest.raises(HostError, match="--rejoin NAME"):
        read_machine(tmp_path)


def test_files_are_written_into_their_folders(tmp_path):
    write_files(tmp_path, {"a/b": b"1", "c": b"2"})
    assert ((tmp_path / "a" / "b").read_bytes(), (tmp_path / "c").read_bytes()) == (b"1", b"2")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o077 == 0


def test_a_folder_and_those_above_it_that_were_missing_are_for_their_owner_only(tmp_path):
    made = make_folder(tmp_path / "data" / "trust")
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in (made, made.parent)] == [0o700, 0o700]
    make_folder(made)
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match="cannot make the folder"):
        make_folder(tmp_path / "file" / "trust")
