"""What is made of options: taken up as far as the operator lets, answered octet for octet."""

from collections import Counter

import pytest

from gslb.dns.edns import Terms, agree, opt_record, options_for
from gslb.dns.meter import Meter
from gslb.dns.protocol import Protocol
from gslb.dns.query import Edns, Options
from gslb.dns.ratelimit import Limiter
from gslb.dns.subnet import parse_subnet
from gslb.dns.tables import Body, Choice, Peer, Pool, Ranges, Variant

SECRET = bytes.fromhex("e5e973e5a6b2a43f48e7dc849e37bfcf")
PEER = Peer(bytes((198, 51, 100, 100)))
CLIENT = bytes.fromhex("2464c4abcf10c957")
NOW_S = 1_559_731_985.0
SUBNET = parse_subnet(bytes.fromhex("0001 18 00 0a0102"))
SUBNET_6 = parse_subnet(bytes.fromhex("0002 20 00 20010db8"))
NO_SOURCE = parse_subnet(bytes.fromhex("0001 00 00"))
EVERYTHING = Options(CLIENT, SUBNET, nsid=True, keepalive=True)
FULL = Protocol.telling(b"ns1", b"", (SECRET,))
SAME = Choice("window", (Variant((), 1.0, 0, 2**32, Body()),))
POOL = Pool(
    0,
    1,
    Ranges((b"", bytes((10, 0, 0, 0)), bytes((11, 0, 0, 0))), (SAME, SAME, SAME)),
    Ranges((b"", b"\x20\x02" + bytes(14)), (SAME, SAME)),
)


def edns(options):
    return Edns(1232, 0, False, options)


@pytest.mark.parametrize("given", [None, edns(Options())])
def test_nothing_sent_nothing_agreed(given):
    assert agree(FULL, given, PEER, NOW_S) == Terms(PEER.address)


def test_everything_sent_and_wanted():
    terms = agree(FULL, edns(EVERYTHING), PEER, NOW_S)
    assert terms.client == bytes((10, 1, 2, 0))
    assert terms.stamp.cookie.hex() == "2464c4abcf10c957010000005cf79f111f8130c3eee29480"
    assert terms.subnet is SUBNET


def test_everything_sent_and_nothing_wanted():
    assert agree(Protocol(ecs=False), edns(EVERYTHING), PEER, NOW_S) == Terms(PEER.address)
    assert options_for(Protocol(ecs=False), EVERYTHING, Terms(PEER.address), None, tcp=True) == b""


def test_source_0_means_the_resolver_itself():
    assert agree(FULL, edns(Options(subnet=NO_SOURCE)), PEER, NOW_S) == Terms(PEER.address, None, NO_SOURCE)


@pytest.mark.parametrize(
    ("subnet", "pool", "echo"),
    [
        (SUBNET, POOL, "0001 18 08 0a0102"),
        (SUBNET, None, "0001 18 00 0a0102"),
        (SUBNET_6, POOL, "0002 20 0f 20010db8"),
        (NO_SOURCE, POOL, "0001 00 00"),
    ],
)
def test_the_subnet_comes_back_with_its_scope(subnet, pool, echo):
    terms = agree(FULL, edns(Options(subnet=subnet)), PEER, NOW_S)
    data = bytes.fromhex(echo)
    assert options_for(FULL, Options(subnet=subnet), terms, pool, tcp=False) == b"\0\x08\0" + bytes([len(data)]) + data


def test_the_rest_octet_for_octet():
    protocol = Protocol(identity=b"ns1", keepalive_ds=100)
    asked = Options(nsid=True, keepalive=True)
    assert options_for(protocol, asked, Terms(b""), None, tcp=True) == b"\0\x03\0\x03ns1" + b"\0\x0b\0\x02\0\x64"
    assert options_for(protocol, asked, Terms(b""), None, tcp=False) == b"\0\x03\0\x03ns1"
    assert options_for(Protocol(), asked, Terms(b""), None, tcp=True) == b""


def test_opt_records():
    assert opt_record(Edns(512, 0, True), 16).hex() == "000029" + "04d0" + "01" + "00" + "8000" + "0000"
    assert opt_record(Edns(512, 0, False), 3, b"data").hex() == "000029" + "04d0" + "00000000" + "0004" + b"data".hex()


def test_chaos_names_only_for_what_is_told():
    assert dict(Protocol.telling(b"", b"").chaos) == {}
    assert set(Protocol.telling(b"ns1", b"").chaos) == {b"\x02id\x06server\0", b"\x08hostname\x04bind\0"}
    told = Protocol.telling(b"", b"gslb 1").chaos
    assert set(told) == {b"\x07version\x04bind\0", b"\x07version\x06server\0"}
    assert set(told.values()) == {b"\xc0\x0c\0\x10\0\3" + bytes(4) + b"\0\7\6gslb 1"}


def test_what_is_counted():
    meter = Meter(Counter())
    for cookie in (CLIENT, CLIENT + bytes(16), agree(FULL, edns(EVERYTHING), PEER, NOW_S).stamp.cookie):
        options = Options(cookie, SUBNET)
        meter.note(options, agree(FULL, edns(options), PEER, NOW_S))
    meter.note(Options(nsid=True), Terms(PEER.address))
    assert meter.counts == {"cookies_new": 1, "cookies_bad": 1, "cookies_good": 1, "subnets": 3}


def test_who_is_limited():
    good = agree(FULL, edns(Options(agree(FULL, edns(EVERYTHING), PEER, NOW_S).stamp.cookie)), PEER, NOW_S)
    new, nothing = agree(FULL, edns(EVERYTHING), PEER, NOW_S), Terms(PEER.address)
    meter = Meter(Counter(), Limiter(1))
    assert [meter.admits(PEER, nothing, b"", 0.0), meter.admits(PEER, nothing, b"", 0.0)] == [True, False]
    assert not meter.admits(PEER, new, b"", 0.0)
    assert meter.admits(PEER, good, b"", 0.0)
    assert meter.admits(PEER._replace(proven=True), nothing, b"", 0.0)
    assert meter.counts == {"limited": 2}
    assert all(Meter(Counter()).admits(PEER, nothing, b"", 0.0) for _ in range(9))
