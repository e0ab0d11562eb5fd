"""Cookies: the vectors of RFC 9018 appendix A and of SipHash's paper, ages, secrets, clients."""

import socket

import pytest

from gslb.dns.cookies import Stamp, siphash, stamp

SECRET = bytes.fromhex("e5e973e5a6b2a43f48e7dc849e37bfcf")
ROLLED = tuple(bytes.fromhex(text) for text in ("445536bcd2513298075a5d379663c962", "dd3bdf9344b678b185a6f5cb60fca715"))
CLIENT = "2464c4abcf10c957"
ADDRESS = socket.inet_aton("198.51.100.100")
NOW_S = 1_559_731_985.0


def made(cookie, address, wall_s, *secrets):
    packed = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    reply, good = stamp(secrets or (SECRET,), bytes.fromhex(cookie), packed, wall_s)
    assert reply[:8].hex() == cookie[:16]
    return reply[8:].hex(), good


def test_siphash_of_its_paper():
    assert siphash(bytes(range(16)), bytes(range(15))) == 0xA129CA6149BE45E5


@pytest.mark.parametrize(("length", "digest"), [(0, "310e0edd47db6f72"), (8, "622493 9a79f5f593".replace(" ", ""))])
def test_siphash_of_whole_words(length, digest):
    """From the reference implementation's table of 64 vectors, in its order of octets."""
    assert siphash(bytes(range(16)), bytes(range(length))).to_bytes(8, "little").hex() == digest


def test_9018_a_1_learning_a_new_server_cookie():
    assert made(CLIENT, "198.51.100.100", NOW_S) == ("010000005cf79f111f8130c3eee29480", False)


def test_9018_a_2_the_same_client_learning_a_renewed_server_cookie():
    sent = CLIENT + "010000005cf79f111f8130c3eee29480"
    assert made(sent, "198.51.100.100", 1_559_734_385) == ("010000005cf7a871d4a564a1442aca77", True)


def test_9018_a_3_another_client_learning_a_renewed_server_cookie():
    """The reserved octets of the old one are not zero, and count in its hash."""
    sent = "fc93fc62807ddb86" + "01abcdef5cf78f71a314227b6679ebf5"
    assert made(sent, "203.0.113.203", 1_559_734_700) == ("010000005cf7a9acf73a7810aca2381e", False), "too old"
    assert made(sent, "203.0.113.203", 0x5CF78F71 + 60) == ("01abcdef5cf78f71a314227b6679ebf5", True)


def test_9018_a_4_ipv6_query_with_rolled_over_secret():
    sent = "22681ab97d52c298" + "010000005cf7c57926556bd0934c72f8"
    address, wall_s = "2001:db8:220:1:59de:d0f4:8769:82b8", 1_559_741_961
    assert made(sent, address, wall_s, *ROLLED) == ("010000005cf7c609a6bb79d16625507a", True)
    assert made(sent, address, wall_s, ROLLED[0])[1] is False


def shown(age_s, *, cookie=None, address=ADDRESS, secrets=(SECRET,)):
    """A cookie that we made `age_s` ago, judged now."""
    cookie = cookie or stamp((SECRET,), bytes.fromhex(CLIENT), ADDRESS, NOW_S - age_s).cookie
    return cookie, stamp(secrets, cookie, address, NOW_S)


@pytest.mark.parametrize("age_s", [-300, 0, 1, 1799])
def test_a_young_cookie_comes_back_as_it_is(age_s):
    cookie, result = shown(age_s)
    assert result == Stamp(cookie, True)


@pytest.mark.parametrize(("age_s", "good"), [(1800, True), (3600, True), (3601, False), (-301, False), (2**31, False)])
def test_an_old_cookie_is_made_anew(age_s, good):
    cookie, result = shown(age_s)
    assert result == Stamp(stamp((SECRET,), cookie[:8], ADDRESS, NOW_S).cookie, good)


def test_seconds_wrap_around():
    """RFC 9018 section 4.3 compares by RFC 1982."""
    before, after = 2**32 - 10.0, 2**32 + 10.0
    cookie = stamp((SECRET,), bytes(8), ADDRESS, before).cookie
    assert stamp((SECRET,), cookie, ADDRESS, after) == Stamp(cookie, True)


@pytest.mark.parametrize("place", [0, 8, 9, 16, 23])
def test_a_changed_octet_is_not_ours(place):
    cookie = bytearray(shown(0)[0])
    cookie[place] ^= 2
    result = stamp((SECRET,), bytes(cookie), ADDRESS, NOW_S)
    assert not result.good
    assert result.cookie == stamp((SECRET,), bytes(cookie[:8]), ADDRESS, NOW_S).cookie


def test_another_address_or_secret_is_not_ours():
    assert not shown(0, address=socket.inet_aton("198.51.100.101"))[1].good
    assert not shown(0, secrets=(bytes(16), bytes(15) + b"\1"))[1].good


@pytest.mark.parametrize("length", [8, 16, 23, 25, 40])
def test_other_lengths_are_other_servers(length):
    cookie = shown(0)[0].ljust(40, b"\0")[:length]
    assert not stamp((SECRET,), cookie, ADDRESS, NOW_S).good


def test_old_and_new_secrets_during_a_roll():
    new = bytes(range(16))
    cookie, _ = shown(0)
    assert stamp((SECRET, new), cookie, ADDRESS, NOW_S) == Stamp(cookie, True), "the new one is known before it is used"
    renewed = stamp((new, SECRET), cookie, ADDRESS, NOW_S)
    assert renewed.good
    assert renewed.cookie != cookie
    assert stamp((new,), renewed.cookie, ADDRESS, NOW_S).good
    assert not stamp((new,), cookie, ADDRESS, NOW_S).good
