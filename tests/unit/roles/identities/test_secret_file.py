"""Files with secrets: made, read, refused, rolled."""

import os
import re

import pytest

from gslb.errors import HostError
from gslb.roles.identities.secret_file import cookie_secret, dnssec_secret

ONE, OTHER = "e5e973e5a6b2a43f48e7dc849e37bfcf", "DD3BDF9344B678B185A6F5CB60FCA715"


def written(tmp_path, text, mode=0o600):
    path = tmp_path / "secret"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return cookie_secret(path, tmp_path / "nowhere")


def test_one_of_our_own_is_made_once_and_for_its_owner_only(tmp_path):
    (secret,) = cookie_secret(None, tmp_path).read()
    assert len(secret) == 16
    assert cookie_secret(None, tmp_path).read() == (secret,)
    (path,) = tmp_path.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", [ONE, f"{ONE}\n", f"\n  {ONE} \r\n\n"])
def test_one_line(tmp_path, text):
    assert written(tmp_path, text).read() == (bytes.fromhex(ONE),)


def test_two_lines_in_their_order(tmp_path):
    assert written(tmp_path, f"{OTHER}\n{ONE}\n").read() == (bytes.fromhex(OTHER), bytes.fromhex(ONE))


@pytest.mark.parametrize(
    "text", ["", "\n", ONE[:-1], ONE + "0", "x" * 32, f"{ONE}\n{OTHER}\n{ONE}", f"{ONE}\nshort", b"\xff\xfe"]
)
def test_what_is_no_secret(tmp_path, text):
    with pytest.raises(HostError) as caught:
        written(tmp_path, text).read()
    assert str(tmp_path / "secret") in caught.value.message
    assert "openssl rand -hex 16" in caught.value.remedy
    assert not re.search("[0-9a-f]{16}", caught.value.message.removeprefix(str(tmp_path))), "it is not shown"


def test_a_file_that_is_missing(tmp_path):
    with pytest.raises(HostError, match="No such file") as caught:
        cookie_secret(tmp_path / "missing", tmp_path).read()
    assert "openssl rand -hex 16" in caught.value.remedy
    assert list(tmp_path.iterdir()) == [], "a file that was named is not made: other nodes would not have it"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_may_read(tmp_path, mode):
    with pytest.raises(HostError, match="others may read") as caught:
        written(tmp_path, ONE, mode).read()
    assert caught.value.remedy == f"chmod 600 {tmp_path / 'secret'}"


def test_rolling(tmp_path):
    secret = written(tmp_path, ONE)
    assert secret.has_changed()
    secret.read()
    assert not secret.has_changed()
    successor = tmp_path / "next"
    successor.write_text(f"{ONE}\n{OTHER}\n")
    successor.chmod(0o600)
    os.replace(successor, tmp_path / "secret")
    assert secret.has_changed()
    assert len(secret.read()) == 2
    assert not secret.has_changed()
    (tmp_path / "secret").unlink()
    assert not secret.has_changed(), "the last one holds"


def test_a_mistake_is_complained_of_once(tmp_path):
    secret = written(tmp_path, "wrong")
    with pytest.raises(HostError):
        secret.read()
    assert not secret.has_changed()


def test_a_dnssec_secret_is_made_when_it_is_first_needed(tmp_path):
    secret = dnssec_secret(None, tmp_path)
    assert list(tmp_path.iterdir()) == [], "only control makes it, and only for a zone that is signed"
    secret.make_if_missing()
    secret.make_if_missing()
    (made,) = secret.read()
    assert len(made) == 32
    (path,) = tmp_path.iterdir()
    assert (path.name, path.stat().st_mode & 0o777) == ("dnssec.secret", 0o600)
    assert dnssec_secret(path, tmp_path / "nowhere").read() == (made,)


def test_a_dnssec_secret_has_longer_and_more_lines(tmp_path):
    path = tmp_path / "secret"
    path.write_text("\n".join(f"{number:064x}" for number in range(8)))
    path.chmod(0o600)
    assert [int.from_bytes(line) for line in dnssec_secret(path, tmp_path).read()] == list(range(8))
    for text in (ONE, "\n".join(["0" * 64] * 9)):
        path.write_text(text)
        with pytest.raises(HostError, match="is not one to eight lines of 64 hex digits") as caught:
            dnssec_secret(path, tmp_path).read()
        assert "openssl rand -hex 32" in caught.value.remedy


def test_a_folder_that_cannot_be_written(tmp_path):
    with pytest.raises(HostError, match="secret cannot be written"):
        dnssec_secret(tmp_path / "missing" / "secret", tmp_path).make_if_missing()
