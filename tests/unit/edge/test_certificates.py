"""What an edge tells of the files that operators put on its machine, and when Envoy gets them."""

import json

import pytest

from gslb.edge.certificates import Certificates
from tests.support.certificates import Authority, put

NAME, HOSTS = "shop.crt+shop.key", ("shop.gslb.test", "shop--dc.gslb.test")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "certificates"


@pytest.fixture
def state(folder, tmp_path):
    """Looks at the files once more."""
    certificates = Certificates(folder, tmp_path / "secrets")

    def look():
        certificates.hand_over({NAME: HOSTS})
        (found,) = certificates.states
        return found

    return look


def secret(tmp_path):
    return json.loads((tmp_path / "secrets" / NAME / "secret.json").read_text())["resources"][0]["tls_certificate"]


def test_a_good_pair_is_told_with_its_life(folder, state):
    put(folder, "shop", Authority().leaf(*HOSTS, days=10, since_days=-1))
    found = state()
    assert (found.problem, found.unnamed) == (None, ())
    assert found.ends_s - found.begins_s == 11 * 86400


@pytest.mark.parametrize(
    ("names", "days", "since_days", "problem", "unnamed"),
    [
        (["shop.gslb.test"], 10, -1, "the certificate does not name shop--dc.gslb.test", ("shop--dc.gslb.test",)),
        (["*.gslb.test"], 10, -1, None, ()),
        (["other.gslb.test"], 10, -1, "the certificate does not name shop.gslb.test", HOSTS),
        (["other.gslb.test"], -1, -10, "the certificate is over", ()),
        (["other.gslb.test"], 10, 1, "the certificate is not in force yet", ()),
    ],
)
def test_names_are_missed_in_a_certificate_that_is_in_force(folder, state, names, days, since_days, problem, unnamed):
    put(folder, "shop", Authority().leaf(*names, days=days, since_days=since_days))
    found = state()
    assert (found.problem, found.unnamed) == (problem, unnamed)


def test_files_of_an_acme_client_that_are_links_are_followed_to_the_newest(folder, state, tmp_path):
    """As certbot keeps them: `live/NAME/fullchain.pem` points to the newest of `archive/NAME`."""
    authority, live = Authority(), tmp_path / "live"
    for number in (1, 2):
        put(tmp_path / f"archive{number}", "shop", authority.leaf(*HOSTS, days=10 * number))
    folder.mkdir()
    live.symlink_to("archive1")
    for file in ("shop.crt", "shop.key"):
        (folder / file).symlink_to(live / file)
    first, handed = state(), secret(tmp_path)
    live.unlink()
    live.symlink_to("archive2")
    assert state().ends_s > first.ends_s
    assert secret(tmp_path) != handed


def test_a_pair_that_does_not_fit_leaves_what_envoy_has(folder, state, tmp_path):
    put(folder, "shop", Authority().leaf(*HOSTS))
    state()
    handed = secret(tmp_path)
    (folder / "shop.key").write_bytes(Authority().leaf(*HOSTS)[1])
    found = state()
    assert found.problem == "the key is not that of the certificate"
    assert (found.begins_s, found.ends_s) == (None, None)
    assert secret(tmp_path) == handed
