"""Response rate limiting, and what it never does: silence, a reply longer than its query, a limit for those who have
proven their address."""

import socket
import time

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest

from gslb import clock
from gslb.dns.cookies import stamp
from tests.conformance.conftest import LIMIT_PER_S, SECRET
from tests.conformance.test_rfc7873_9018 import CLIENT, query
from tests.conformance.zone import APEX

MANY = 4 * LIMIT_PER_S


def burst(server, message, source="127.0.7.50", times=MANY):
    """Replies to `times` copies of one query, sent without waiting."""
    wire, replies = message.to_wire(), []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((source, 0))
        sock.connect((server.host, server.port))
        sock.settimeout(10)
        for _ in range(times):
            sock.send(wire)
            replies.append(sock.recv(65535))
    return [(reply, dns.message.from_wire(reply, ignore_trailing=False)) for reply in replies]


def plain(name, **more):
    return dns.message.make_query(f"{name}.{APEX}", "A", **more)


KINDS = {
    "positive": plain("shop"),
    "with EDNS": plain("shop", use_edns=0),
    "with options": plain(
        "shop", use_edns=0, options=[dns.edns.GenericOption(3, b""), dns.edns.GenericOption(10, CLIENT)]
    ),
    "NXDOMAIN": plain("nowhere"),
    "NODATA": dns.message.make_query(f"shop.{APEX}", "TXT"),
    "REFUSED": dns.message.make_query("www.example.org", "A", use_edns=0),
}


@pytest.mark.parametrize("message", KINDS.values(), ids=KINDS)
def test_over_the_limit_every_reply_is_tc_and_no_longer_than_its_query(limited_server, message):
    replies = burst(limited_server, message)
    cut = [(wire, reply) for wire, reply in replies if reply.flags & dns.flags.TC]
    assert MANY - 3 * LIMIT_PER_S <= len(cut) <= MANY - LIMIT_PER_S
    assert limited_server.counts()["limited"] == len(cut)
    for wire, reply in cut:
        assert len(wire) <= len(message.to_wire())
        assert (reply.answer, reply.authority, reply.additional, reply.rcode()) == ([], [], [], dns.rcode.NOERROR)
        assert message.is_response(reply)


def limited(replies):
    return sum(bool(reply.flags & dns.flags.TC) for _, reply in replies)


def test_tc_leads_to_tcp_which_is_not_limited(limited_server):
    assert limited(burst(limited_server, plain("shop")))
    for _ in range(MANY):
        assert len(limited_server.tcp(plain("shop")).answer) == 1


def test_a_good_cookie_is_not_limited(limited_server):
    address = socket.inet_aton("127.0.7.50")
    good = stamp((SECRET,), CLIENT, address, clock.wall_s()).cookie
    assert limited(burst(limited_server, plain("shop")))
    assert limited(burst(limited_server, query(good))) == 0
    assert limited_server.counts()["cookies_good"] == MANY


def test_a_bad_cookie_gets_badcookie_and_a_good_one_to_ask_again_with(limited_server):
    address = socket.inet_aton("127.0.7.50")
    bad = stamp((bytes(16),), CLIENT, address, clock.wall_s()).cookie
    replies = burst(limited_server, query(bad))
    refused = [(wire, reply) for wire, reply in replies if reply.rcode() == dns.rcode.BADCOOKIE]
    assert refused
    for wire, reply in refused:
        assert len(wire) <= len(query(bad).to_wire())
        assert not reply.flags & dns.flags.TC
        assert stamp((SECRET,), reply.options[0].client + reply.options[0].server, address, clock.wall_s()).good
    assert limited(replies) == 0
    assert limited_server.counts()["responses_badcookie"] == len(refused)


def test_networks_and_names_have_a_limit_each(limited_server):
    assert limited(burst(limited_server, plain("shop")))
    assert limited(burst(limited_server, plain("shop"), source="127.0.7.99"))
    assert limited(burst(limited_server, plain("legacy"), times=LIMIT_PER_S)) == 0
    assert limited(burst(limited_server, plain("shop"), source="127.0.9.1", times=LIMIT_PER_S)) == 0


def test_random_names_share_the_limit_of_their_zone(limited_server):
    replies = [burst(limited_server, plain(f"random{n}"), times=1)[0] for n in range(MANY)]
    assert limited(replies) >= MANY - 3 * LIMIT_PER_S


def test_exempt_networks(limited_server):
    assert limited(burst(limited_server, plain("shop"), source="127.0.8.1")) == 0


def test_it_ends_when_the_flood_does(limited_server):
    assert limited(burst(limited_server, plain("shop")))
    time.sleep(1.1)
    assert limited(burst(limited_server, plain("shop"), times=LIMIT_PER_S)) == 0
