"""Signed tables: what is signed ahead, what is taken over, what is renewed, and what is refused. That every answer of
them is secure, another validator says."""

import dataclasses
from ipaddress import ip_address

import dns.dnssec
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from gslb.dns.compose import compose, recompile
from gslb.dns.dnssec import seal as sealing
from gslb.dns.dnssec.ahead import bodies_ahead
from gslb.dns.dnssec.seal import expiry_s, is_sealed, open_signers, seal, seal_new
from gslb.dns.dnssec.signing import Validity
from gslb.dns.tables import Peer
from gslb.dns.wire import answer
from gslb.errors import RefusedError
from gslb.model.wire_name import from_text
from gslb.snapshot.types import AppName, LiveState, Verdict, Zone
from tests.support.signed_zone import NOW_S, SECRET, faults, keys_of
from tests.unit.dns.policies import APEX, app, down, snapshot, weighted

APEX_WIRE = from_text(APEX)
SHOP = from_text(f"shop.{APEX}")
DC = ("192.0.2.10", "2001:db8:1::10")
AWS = ("198.51.100.20", "2001:db8:2::20")
HERE, ELSEWHERE = bytes((10, 1, 2, 3)), bytes((203, 0, 113, 1))


def signed_snapshot(apps=None, algorithm=13, **more):
    made = snapshot(apps or {"shop": app("healthy", weighted(dc=50, aws=50))}, **more)
    return with_keys(made, algorithm)


def with_keys(made, algorithm=13):
    return dataclasses.replace(made, zone=dataclasses.replace(made.zone, keys=keys_of(APEX, algorithm)))


def sealed(made, live=None, now_s=NOW_S, **more):
    tables = compose(made, live or LiveState(), wall_offset_s=now_s)
    return seal(tables, open_signers(made, [SECRET]), now_s, **more)


def ask(tables, name, qtype, client=ELSEWHERE, *, do=True):
    query = dns.message.make_query(f"{name}.{APEX}" if name else APEX, qtype, want_dnssec=do)
    return dns.message.from_wire(answer(tables, query.to_wire(), Peer(client, tcp=True), 0.0, 0))


def dnskeys(tables):
    reply = ask(tables, "", "DNSKEY")
    return {dns.name.from_text(APEX): reply.find_rrset(reply.answer, dns.name.from_text(APEX), "IN", "DNSKEY")}


def problems(tables, name, qtype, client=ELSEWHERE):
    reply = ask(tables, name, qtype, client)
    return faults(reply, (reply.question[0].name, reply.question[0].rdtype), dnskeys(tables))


@pytest.mark.parametrize("algorithm", [13, 15])
@pytest.mark.parametrize(
    ("name", "qtype"),
    [("shop", "A"), ("shop", "AAAA"), ("shop", "TXT"), ("shop", "NSEC"), ("", "SOA"), ("", "NS"), ("", "DNSKEY"),
     ("", "CDS"), ("", "CDNSKEY"), ("", "DS"), ("", "A"), ("ns1", "A"), ("none", "A"), ("a.b.none", "A"),
     ("below.shop", "A")],
)  # fmt: skip
def test_answers_are_secure(name, qtype, algorithm):
    assert problems(sealed(signed_snapshot(algorithm=algorithm)), name, qtype) == []


def test_without_the_bit_nothing_is_told_about_signatures():
    reply = ask(sealed(signed_snapshot()), "shop", "A", do=False)
    assert [rrset.rdtype for rrset in reply.answer] == [dns.rdatatype.A]
    assert [rrset.rdtype for rrset in ask(sealed(signed_snapshot()), "no", "A", do=False).authority] == [6]


def test_any_is_one_type_of_the_name_and_rrsig_one_signature():
    tables = sealed(signed_snapshot())
    assert {rrset.rdtype for rrset in ask(tables, "shop", "ANY").answer} == {dns.rdatatype.A, dns.rdatatype.RRSIG}
    assert {rrset.rdtype for rrset in ask(tables, "shop", "RRSIG").answer} == {dns.rdatatype.RRSIG}
    assert problems(tables, "shop", "ANY") == []


def test_an_unsigned_zone_is_answered_as_before():
    plain = compose(snapshot({"shop": app("healthy", weighted(dc=1))}), LiveState())
    assert seal(plain, {}, NOW_S) == plain
    assert [rrset.rdtype for rrset in ask(plain, "shop", "A").answer] == [dns.rdatatype.A]


def test_what_other_verdicts_bring_was_signed_ahead():
    made = signed_snapshot()
    plain = compose(made, LiveState())
    signers = open_signers(made, [SECRET])
    tables = seal(plain, signers, NOW_S, ahead=bodies_ahead(plain, made))
    for lost in (DC, AWS, DC + AWS):
        after = recompile(tables, made, down(*lost))
        assert is_sealed(after, signers)
        assert problems(after, "shop", "A") == problems(after, "shop", "AAAA") == []
        assert after.seals is tables.seals


def test_what_was_not_thought_of_is_signed_when_it_comes():
    two = {"dc": {"edges": [{"public": ["192.0.2.10"]}, {"public": ["192.0.2.11"]}]}}
    made = signed_snapshot({"shop": app("healthy", weighted(dc=1), hosts=["shop", "many"])}, sites=two)
    plain = compose(made, LiveState())
    signers = open_signers(made, [SECRET])
    tables = seal(plain, signers, NOW_S, ahead=bodies_ahead(plain, made))
    after = recompile(tables, made, down("192.0.2.11"))
    assert not is_sealed(after, signers)
    after = seal_new(after, signers, NOW_S)
    assert is_sealed(after, signers)
    assert problems(after, "shop", "A") == problems(after, "", "SOA") == []
    assert [rdata.address for rdata in ask(after, "shop", "A").answer[0]] == ["192.0.2.10"]
    assert problems(recompile(after, made, LiveState(2)), "shop", "A") == []
    assert seal_new(after, signers, NOW_S) is after


def test_a_missing_type_is_denied_to_those_who_do_not_get_it():
    sites = {"dc": {"edges": [{"public": ["192.0.2.10"]}]}, "six": {"edges": [{"public": ["2001:db8:6::1"]}]}}
    made = signed_snapshot(
        {
            "shop": app("healthy", {"only": ["dc"]}, weighted(dc=1, six=1), families="mixed"),
        },
        sites=sites,
    )
    tables = sealed(made)
    assert ask(tables, "shop", "AAAA").answer == []
    assert problems(tables, "shop", "AAAA") == problems(tables, "shop", "A") == problems(tables, "shop", "TXT") == []


def test_a_bounded_ttl_needs_one_signature_whatever_it_is():
    made = signed_snapshot({"shop": app("healthy", weighted(dc=1), ttl={"min": "5s", "max": "60s"})})
    tables = sealed(made)
    verdict = Verdict("up", "answers", 0.0, flip_s=17.0)
    live = LiveState(1, {(AppName("shop"), ip_address(text)): verdict for text in DC})
    after = recompile(tables, made, live)
    assert is_sealed(after, open_signers(made, [SECRET]))
    assert ask(after, "shop", "A").answer[0].ttl == 17
    assert problems(after, "shop", "A") == []


def test_a_signed_child_has_its_ds_in_the_zone_above():
    child = Zone(f"inner.{APEX}", ((f"ns1.{APEX}", ()),), f"hostmaster.{APEX}", 10, keys=keys_of(f"inner.{APEX}"))
    plain_child = Zone(f"plain.{APEX}", ((f"ns1.{APEX}", ()),), f"hostmaster.{APEX}", 10)
    made = dataclasses.replace(signed_snapshot(), zones=(child, plain_child))
    tables = sealed(made)
    assert problems(tables, "inner", "DS") == problems(tables, "plain", "DS") == []
    name = dns.name.from_text(child.name)
    ds = ask(tables, "inner", "DS").answer[0]
    reply = ask(tables, "inner", "DNSKEY")
    keys = reply.find_rrset(reply.answer, name, "IN", "DNSKEY")
    assert ds[0] in [dns.dnssec.make_ds(name, key, "SHA256") for key in keys]
    assert faults(reply, (name, dns.rdatatype.DNSKEY), {name: keys}) == []
    assert faults(ask(tables, "none.inner", "A"), (dns.name.from_text("none", name), 1), {name: keys}) == []
    assert [rrset.rdtype for rrset in ask(tables, "none.plain", "A").authority] == [dns.rdatatype.SOA]


def test_signatures_are_taken_over_until_they_are_renewed():
    made = signed_snapshot()
    first = sealed(made)
    again = sealed(made, previous=first)
    assert all(again.seals[SHOP][mark] is made for mark, made in first.seals[SHOP].items())
    chains = again.chains[APEX_WIRE], first.chains[APEX_WIRE]
    assert all(one is other for one, other in zip(*(chain.denials for chain in chains), strict=True))
    validity = Validity()
    now_s = NOW_S
    oldest_s = min(expiry_s(first).values())
    for _ in range(6):
        now_s += validity.renewal_s
        first = sealed(made, now_s=now_s, previous=first)
        assert min(expiry_s(first).values()) - now_s >= validity.lifetime_s - validity.renewal_s
    assert min(expiry_s(first).values()) > oldest_s
    reply = ask(first, "shop", "A")
    assert faults(reply, (reply.question[0].name, 1), dnskeys(first), now_s) == []


def test_other_records_get_other_signatures():
    first = sealed(signed_snapshot())
    changed = sealed(signed_snapshot({"shop": app("healthy", weighted(gcp=1))}, revision=8), previous=first)
    assert problems(changed, "shop", "A") == problems(changed, "", "SOA") == problems(changed, "no", "A") == []


def test_two_nodes_give_the_same_octets():
    made = signed_snapshot()
    assert sealed(made).seals == sealed(made).seals


def test_a_key_that_is_not_published_signs_nothing():
    made = signed_snapshot()
    ksk, zsk = made.zone.keys
    hidden = dataclasses.replace(zsk, published=False)
    made = dataclasses.replace(made, zone=dataclasses.replace(made.zone, keys=(ksk, hidden)))
    with pytest.raises(RefusedError, match="not among the DNSKEY records"):
        sealed(made)


def test_a_signature_that_does_not_verify_is_not_served(monkeypatch):
    made = sealing.signing.sign
    monkeypatch.setattr(sealing.signing, "sign", lambda *args: made(*args)[:-1] + b"!")
    with pytest.raises(RefusedError, match="does not verify"):
        sealed(signed_snapshot())


def test_a_secret_that_does_not_fit_is_told():
    with pytest.raises(RefusedError, match="no line of the DNSSEC secret opens"):
        open_signers(signed_snapshot(), [bytes(32)])
