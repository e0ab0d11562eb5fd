"""Whatever the policy and however health flips, a validator finds every answer of a signed zone secure."""

import dataclasses
from ipaddress import ip_address

import dns.message
import dns.name
import dns.rdatatype
from hypothesis import given, settings
from hypothesis import strategies as st

from gslb.dns.compose import compose, recompile
from gslb.dns.dnssec.ahead import bodies_ahead
from gslb.dns.dnssec.seal import open_signers, seal, seal_new
from gslb.dns.tables import Peer
from gslb.dns.wire import answer
from gslb.model.wire_name import from_text
from gslb.snapshot.types import AppName, LiveState, Verdict
from tests.support.examples import examples
from tests.support.signed_zone import NOW_S, SECRET, faults, keys_of
from tests.unit.dns.policies import APEX, app, snapshot, weighted

SITES = {
    "dc": {
        "edges": [{"public": ["192.0.2.10", "2001:db8:1::10"]}, {"public": ["192.0.2.11"]}],
        "networks": ["10.0.0.0/8"],
    },
    "aws": {"edges": [{"public": ["198.51.100.20", "2001:db8:2::20"]}]},
    "six": {"edges": [{"public": ["2001:db8:6::1"]}]},
}
ADDRESSES = [text for site in SITES.values() for edge in site["edges"] for text in edge["public"]]
CHAINS = st.sampled_from(
    [
        ("healthy", weighted(dc=1, aws=3, six=1)),
        ("healthy", weighted("answer", dc=1, aws=3)),
        ("networks", "healthy", {"first": 2}),
        ({"only": ["six"]}, "healthy", weighted("client", dc=1, six=1)),
        ({"only": ["dc"]}, weighted(dc=1, six=1)),
        (weighted(six=1),),
    ]
)
HOSTS = st.sampled_from([["shop"], ["shop", "deep.under"], ["@", "shop"], ["deep.under"]])
TTLS = st.sampled_from(["30s", {"min": "5s", "max": "60s"}])
LIVES = st.dictionaries(
    st.sampled_from(ADDRESSES), st.tuples(st.sampled_from(["up", "down"]), st.integers(0, 90)), max_size=6
)
TARGET = from_text(f"shop.{APEX}")
RECORDS = f"*.wild.{APEX}. 60 IN TYPE1 \\# 4 C0000263\nto.{APEX}. 60 IN TYPE5 \\# {len(TARGET)} {TARGET.hex()}"
NAMES = ["shop", "shop--dc", "", "deep.under", "under", "x.under", "no", "a.wild", "b.a.wild", "wild", "to", "ns1"]
NAMES += ["*.wild"]
ASKED = st.tuples(
    st.sampled_from(NAMES),
    st.sampled_from(["A", "AAAA", "TXT", "NS", "SOA", "DNSKEY", "CNAME", "ANY", "DS", "HTTPS"]),
    st.sampled_from([bytes((10, 0, 0, 1)), bytes((203, 0, 113, 1)), bytes(16)]),
)


def live_state(counter, states):
    verdicts = {
        (AppName("shop"), ip_address(text)): Verdict(state, "supposed", 0.0, float(flip_s))
        for text, (state, flip_s) in states.items()
    }
    return LiveState(counter, verdicts)


def dnskeys(tables):
    query = dns.message.make_query(APEX, "DNSKEY")
    reply = dns.message.from_wire(answer(tables, query.to_wire(), Peer(bytes(4), tcp=True), 0.0, 0))
    return {reply.answer[0].name: reply.answer[0]}


@settings(max_examples=examples(120), deadline=None)
@given(CHAINS, HOSTS, TTLS, st.lists(LIVES, min_size=1, max_size=3), st.lists(ASKED, min_size=4, max_size=12))
def test_every_answer_is_secure(chain, hosts, ttl, lives, asked):
    https = {"alpn": "h2"} if len(hosts) > 1 else None
    made = snapshot({"shop": app(*chain, hosts=hosts, ttl=ttl, families="mixed", https=https)}, sites=SITES)
    zone = dataclasses.replace(made.zone, keys=keys_of(APEX), records=RECORDS)
    made = dataclasses.replace(made, zone=zone)
    signers = open_signers(made, [SECRET])
    tables = compose(made, live_state(0, lives[0]))
    tables = seal(tables, signers, NOW_S, ahead=bodies_ahead(tables, made))
    keys = dnskeys(tables)
    for counter, states in enumerate(lives):
        tables = seal_new(recompile(tables, made, live_state(counter, states)), signers, NOW_S)
        for name, qtype, client in asked:
            query = dns.message.make_query(f"{name}.{APEX}" if name else APEX, qtype, want_dnssec=True)
            reply = dns.message.from_wire(answer(tables, query.to_wire(), Peer(client, tcp=True), 0.0, 0))
            question = reply.question[0]
            assert faults(reply, (question.name, question.rdtype), keys) == [], reply
