"""RFC 6891: EDNS(0), with the probes of RFC 8906 section 8.2."""

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest

from tests.conformance.test_rfc1034_1035 import GOOD, exchange
from tests.conformance.zone import APEX

OPT = b"\0\0\x29\x04\xd0\0\0\0\0\0\0"


def with_records(*records):
    return GOOD[:10] + len(records).to_bytes(2) + GOOD[12:] + b"".join(records)


def test_6_1_1_opt_only_if_asked(server):
    assert server.ask("shop", "A").edns == -1
    reply = server.ask("shop", "A", use_edns=0)
    assert (reply.edns, reply.payload, reply.options) == (0, 1232, ())


@pytest.mark.parametrize("name", ["nowhere", "here", "shop"])
def test_6_1_1_opt_comes_back_whatever_the_answer(server, name):
    assert server.ask(name, "A", use_edns=0).edns == 0
    assert server.udp(dns.message.make_query("www.example.org", "A", use_edns=0)).edns == 0


@pytest.mark.parametrize("version", [1, 2, 255])
def test_6_1_3_a_later_version_is_answered_with_badvers_and_ours(server, version):
    reply = server.ask("shop", "A", use_edns=version)
    assert (reply.rcode(), reply.edns, reply.answer, reply.authority) == (dns.rcode.BADVERS, 0, [], [])


@pytest.mark.parametrize("dnssec_ok", [False, True])
def test_6_1_4_do_is_echoed_and_other_flags_are_zero(server, dnssec_ok):
    flags = 0x7FFF | (dns.flags.DO if dnssec_ok else 0)
    reply = server.ask("shop", "A", ednsflags=flags)
    assert reply.ednsflags == (dns.flags.DO if dnssec_ok else 0)


def test_6_1_2_unknown_options_are_ignored(server):
    options = [dns.edns.GenericOption(100, b"x" * 40), dns.edns.GenericOption(65001, b"")]
    reply = server.ask("shop", "A", options=options)
    assert (reply.rcode(), reply.options, len(reply.answer)) == (dns.rcode.NOERROR, (), 1)


@pytest.mark.parametrize("payload", [0, 1, 511, 512, 1231, 1232, 1233, 4096, 65535])
@pytest.mark.parametrize(("name", "qtype", "size"), [("big", "A", 689), ("big", "AAAA", 1729)])
def test_6_2_3_size_is_between_512_and_1232(server, payload, name, qtype, size):
    query = dns.message.make_query(f"{name}.{APEX}", qtype, payload=payload, use_edns=0)
    packet = exchange(server, query.to_wire())
    limit = min(max(payload, 512), 1232)
    assert len(packet) <= limit
    assert bool(dns.message.from_wire(packet).flags & dns.flags.TC) == (size > limit)
    assert dns.message.from_wire(packet).edns == 0, "OPT stays in a truncated reply"


def test_6_2_6_a_record_before_the_opt_does_not_hide_it(server):
    additional = b"\xc0\x0c" + b"\0\1\0\1" + bytes(4) + b"\0\4" + b"\xc0\0\2\1"
    reply = dns.message.from_wire(exchange(server, with_records(additional, OPT)))
    assert (reply.rcode(), reply.edns) == (dns.rcode.NOERROR, 0)


BROKEN = {
    "two": with_records(OPT, OPT),
    "with a name": with_records(b"\1x" + OPT),
    "as an answer": GOOD[:6] + b"\0\1" + GOOD[8:] + OPT,
    "option longer than the record": with_records(OPT[:-2] + b"\0\4" + b"\0\x0a\0\1"),
    "half an option": with_records(OPT[:-2] + b"\0\3" + b"\0\x0a\0"),
    "longer than the packet": with_records(OPT[:-2] + b"\0\x08"),
    "octets left over": with_records(OPT) + b"\0",
}


@pytest.mark.parametrize("packet", BROKEN.values(), ids=BROKEN)
def test_6_1_1_a_broken_opt_is_a_format_error(server, packet):
    assert exchange(server, packet)[3] & 0xF == dns.rcode.FORMERR


def test_6_1_1_more_records_than_any_query_needs_are_a_format_error(server):
    record = b"\0\0\1\0\1" + bytes(6)
    assert exchange(server, with_records(*[record] * 16))[3] & 0xF == dns.rcode.NOERROR
    assert exchange(server, with_records(*[record] * 17))[3] & 0xF == dns.rcode.FORMERR
