"""How little a forged query brings to the victim: octets of replies against octets of queries, as docs/reliability.md
tells them, and what is left once the rate limit bites. All over UDP; a stream proves its address."""

from collections import Counter
from itertools import product

import pytest

from bench.amplification import IPV4_BYTES, IPV6_BYTES, KINDS, queries, ratio, reply, table, zone
from gslb.dns import native
from gslb.dns.meter import Meter
from gslb.dns.ratelimit import Limiter
from gslb.dns.tables import Peer
from gslb.dns.wire import answer as pure_answer
from tests.support.running_demo import ROOT

UNSIGNED, SIGNED = zone(signed=False), zone(signed=True)
TABLES = {"unsigned": UNSIGNED, "signed": SIGNED}

UNSIGNED_LIMIT, SIGNED_LIMIT = 2.5, 7.0
ABOVE_UNSIGNED = {"NS": 5.0, "referral": 3.5}
"""They hold the addresses of nameservers, for which others would have to ask again."""
ABOVE_SIGNED = {"NXDOMAIN": 8.0, "NXDOMAIN, one letter": 8.0}
"""Over IPv4: two NSEC records and an SOA record, each with its signature."""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("header_bytes", [IPV4_BYTES, IPV6_BYTES])
def test_unsigned_packets(kind, header_bytes):
    assert ratio(UNSIGNED, kind, header_bytes=header_bytes) <= ABOVE_UNSIGNED.get(kind, UNSIGNED_LIMIT)


@pytest.mark.parametrize("kind", KINDS)
def test_signed_packets_where_signatures_are_asked_for(kind):
    assert ratio(SIGNED, kind, dnssec_ok=True, header_bytes=IPV4_BYTES) <= ABOVE_SIGNED.get(kind, SIGNED_LIMIT)
    assert ratio(SIGNED, kind, dnssec_ok=True, header_bytes=IPV6_BYTES) <= SIGNED_LIMIT


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"ANY", "ANY of the zone", "DNSKEY", "CDS", "RRSIG"}))
def test_who_does_not_ask_for_signatures_gets_the_same_of_a_signed_zone(kind):
    for query in queries(kind, dnssec_ok=False):
        assert len(reply(SIGNED, query)) == len(reply(UNSIGNED, query))


def test_the_table_of_the_document_is_true():
    shown = [line for line in (ROOT / "docs" / "reliability.md").read_text().splitlines() if line in set(table())]
    assert shown == list(table())


# Once limited ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("signing", "kind"), list(product(TABLES, KINDS)))
def test_once_limited_no_reply_is_longer_than_its_query(signing, kind):
    """Not even with the headers of its packet: they are the same on both sides."""
    for dnssec_ok in (False, True):
        for query in queries(kind, dnssec_ok=dnssec_ok):
            meter = Meter(Counter(), Limiter(1))
            first = reply(TABLES[signing], query, meter)
            later = [reply(TABLES[signing], query, meter) for _ in range(3)]
            assert meter.counts["limited"] == 3
            assert len(first) >= len(query)
            assert all(len(each) <= len(query) for each in later)


LIKE_ANSWERS_PER_S, QUERIES_PER_S, SECONDS = 200, 10_000, 2
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def random_names(count):
    """Of many lengths, and all over the alphabet: between any two names that exist."""
    return [LETTERS[number % 26] * (1 + number % 20) + f"-{number}" for number in range(count)]


def flood(kind):
    """Queries of a kind, each with another first label."""
    *_, query = queries(kind, dnssec_ok=True)
    label = KINDS[kind][0].partition(".")[0].encode()
    for name in random_names(QUERIES_PER_S):
        yield query.replace(bytes([len(label)]) + label, bytes([len(name)]) + name.encode(), 1)


@pytest.mark.parametrize("wire", ["python", *(["native"] if native.available() else [])])
@pytest.mark.parametrize("signing", TABLES)
@pytest.mark.parametrize("kind", ["NXDOMAIN", "referral"])
def test_a_spoofed_flood_from_one_network_brings_it_the_limit_and_no_more(signing, kind, wire):
    """Forged sources all over a /24. In each second after the first burst it gets back what it was sent, octet for
    octet, and the few whole answers that the limit lets through."""
    meter = Meter(Counter(), Limiter(LIKE_ANSWERS_PER_S))
    asked, answer, tables = list(flood(kind)), pure_answer, TABLES[signing]
    if wire == "native":
        from gslb.dns._wire import Prepared, answer

        tables = Prepared(tables)
    for second in range(SECONDS):
        replies = [
            answer(tables, query, Peer(bytes((203, 0, 113, number % 256))), second + number / QUERIES_PER_S, 0, meter)
            for number, query in enumerate(asked)
        ]
        whole = [(len(out), len(query)) for out, query in zip(replies, asked, strict=True) if len(out) > len(query)]
        assert len(whole) <= LIKE_ANSWERS_PER_S * (2 if second == 0 else 1) + 1
        assert sum(map(len, replies)) <= sum(map(len, asked)) + sum(out - into for out, into in whole)
