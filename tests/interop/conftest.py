"""One house for all of the tests, and the key of its root in the forms that validators read."""

import shutil

import dns.rdata
import pytest

from gslb.dns.dnssec.keys import dnskey_rdata
from tests.interop import zones
from tests.interop.house import can_serve, open_house
from tests.interop.unbound import Unbound
from tests.support.signed_zone import keys_of


@pytest.fixture(scope="session")
def house():
    if not can_serve():
        pytest.skip("port 53 of loopback addresses cannot be had here")
    with open_house() as house:
        yield house


@pytest.fixture(scope="session")
def anchor(tmp_path_factory):
    """A zone file with the DNSKEY record of the root's key-signing key."""
    rdata = dnskey_rdata(keys_of("")[0])
    path = tmp_path_factory.mktemp("anchor") / "root.key"
    path.write_text(f". 3600 IN DNSKEY {dns.rdata.from_wire('IN', 'DNSKEY', rdata, 0, len(rdata))}\n")
    return path


@pytest.fixture(scope="session")
def resolver(house, anchor, tmp_path_factory):
    """An unbound that starts at our root."""
    if shutil.which("unbound") is None:
        pytest.skip("needs unbound: sh .ci/debian-packages")
    unbound = Unbound(tmp_path_factory.mktemp("unbound") / "first", zones.RESOLVER_AT, anchor)
    yield unbound
    unbound.close()


@pytest.fixture(scope="session")
def behind(resolver, anchor, tmp_path_factory):
    """An unbound that validates what `resolver` has in its cache."""
    unbound = Unbound(tmp_path_factory.mktemp("unbound") / "behind", zones.BEHIND_AT, anchor, forward=resolver)
    yield unbound
    unbound.close()
