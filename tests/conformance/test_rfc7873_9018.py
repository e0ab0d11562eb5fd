"""RFC 7873 and 9018: DNS cookies. Their values are tested in tests/unit/dns/test_cookies.py."""

import os

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest

from gslb import clock
from gslb.dns.cookies import stamp
from tests.conformance.conftest import SECRET
from tests.conformance.test_rfc1034_1035 import exchange
from tests.conformance.zone import APEX

CLIENT = bytes.fromhex("2464c4abcf10c957")
LOOPBACK = bytes((127, 0, 0, 1))


def made(age_s=0, address=LOOPBACK, secret=SECRET, client=CLIENT):
    """A cookie as this server, or a stranger's, would have made it `age_s` ago."""
    return stamp((secret,), client, address, clock.wall_s() - age_s).cookie


def query(cookie, name=f"shop.{APEX}", **more):
    return dns.message.make_query(name, "A", use_edns=0, options=[dns.edns.GenericOption(10, cookie)], **more)


def cookie_of(reply):
    (option,) = reply.options
    assert option.otype == dns.edns.COOKIE
    assert option.client == CLIENT
    return option.client + option.server


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_7873_5_2_3_a_client_cookie_alone_gets_an_answer_and_a_server_cookie(server, transport):
    reply = getattr(server, transport)(query(CLIENT))
    assert (reply.rcode(), len(reply.answer)) == (dns.rcode.NOERROR, 1)
    assert stamp((SECRET,), cookie_of(reply), LOOPBACK, clock.wall_s()).good


def test_7873_5_2_5_a_good_server_cookie_comes_back(server):
    learned = cookie_of(server.udp(query(CLIENT)))
    assert cookie_of(server.udp(query(learned))) == learned


def test_9018_4_3_after_half_an_hour_it_is_renewed(server):
    old = made(age_s=1900)
    renewed = cookie_of(server.udp(query(old)))
    assert renewed != old
    assert stamp((SECRET,), renewed, LOOPBACK, clock.wall_s()).good


BAD = {
    "too old": lambda: made(age_s=3700),
    "from the future": lambda: made(age_s=-400),
    "of another client": lambda: made(address=bytes((192, 0, 2, 1))),
    "of another secret": lambda: made(secret=bytes(16)),
    "random": lambda: CLIENT + os.urandom(16),
    "of another length": lambda: CLIENT + os.urandom(8),
    "of the greatest length": lambda: CLIENT + os.urandom(32),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_7873_5_2_4_a_bad_server_cookie_is_answered_with_a_good_one(server, bad, transport):
    reply = getattr(server, transport)(query(bad()))
    assert (reply.rcode(), len(reply.answer)) == (dns.rcode.NOERROR, 1)
    assert stamp((SECRET,), cookie_of(reply), LOOPBACK, clock.wall_s()).good


@pytest.mark.parametrize("length", [0, 1, 7, 9, 15, 41, 64])
def test_7873_5_2_2_a_malformed_length_is_a_format_error(server, length):
    assert exchange(server, query(bytes(length)).to_wire())[3] & 0xF == dns.rcode.FORMERR


def test_7873_5_2_the_first_of_several_counts(server):
    message = query(CLIENT)
    message.use_edns(0, options=[dns.edns.GenericOption(10, CLIENT), dns.edns.GenericOption(10, bytes(3))])
    assert cookie_of(server.udp(message))


@pytest.mark.parametrize("name", [f"nowhere.{APEX}", "www.example.org"])
def test_7873_5_2_whatever_the_answer_the_cookie_is_in_it(server, name):
    options = {option.otype for option in server.udp(query(CLIENT, name)).options}
    assert dns.edns.COOKIE in options


def test_7873_5_2_1_no_cookie_for_a_query_without(server):
    assert server.ask("shop", "A", use_edns=0).options == ()


def without_question(server, cookie):
    """One exchange with QDCOUNT 0; the rcode in full, and the cookie."""
    packet = query(cookie).to_wire()
    packet = packet[:4] + bytes(2) + packet[6:12] + packet[-(15 + len(cookie)) :]
    reply = dns.message.from_wire(exchange(server, packet))
    assert (reply.question, reply.answer, reply.authority) == ([], [], [])
    assert not reply.flags & dns.flags.AA
    return reply.rcode(), cookie_of(reply)


@pytest.mark.parametrize(
    ("cookie", "rcode"),
    [(lambda: CLIENT, dns.rcode.NOERROR), (made, dns.rcode.NOERROR), (BAD["random"], dns.rcode.BADCOOKIE)],
    ids=["client alone", "good", "bad"],
)
def test_7873_5_4_a_query_for_a_cookie_alone(server, cookie, rcode):
    got, learned = without_question(server, cookie())
    assert got == rcode
    assert stamp((SECRET,), learned, LOOPBACK, clock.wall_s()).good


def test_7873_5_4_without_a_cookie_there_must_be_a_question(server):
    packet = dns.message.make_query(".", "A", use_edns=0).to_wire()
    packet = packet[:4] + bytes(2) + packet[6:12] + packet[17:]
    assert exchange(server, packet)[3] & 0xF == dns.rcode.FORMERR


def test_7873_5_2_1_a_server_without_cookies_ignores_them(silent_server):
    reply = silent_server.udp(query(CLIENT))
    assert (reply.rcode(), reply.options) == (dns.rcode.NOERROR, ())
    packet = query(CLIENT).to_wire()
    alone = packet[:4] + bytes(2) + packet[6:12] + packet[-(15 + len(CLIENT)) :]
    assert exchange(silent_server, alone)[3] & 0xF == dns.rcode.FORMERR
