"""A validating resolver as strict as unbound can be (0x20, qname minimisation, aggressive NSEC, everything hardened)
finds every answer secure and none denied that exists, also while health flips and keys roll."""

import itertools
import random
from ipaddress import ip_address

import dns.flags
import dns.rcode
import dns.rdatatype
import pytest

from gslb.snapshot.types import AppName, LiveState, Verdict
from tests.interop import zones
from tests.interop.house import with_broken_seals
from tests.interop.life import by_name, states
from tests.interop.questions import FEW, MADE, SAMPLE, TYPES, existing, is_insecure, is_odd, neighbours

SECURE = [state.name for state in states() if state.ds]
SITES = {"dc": ("192.0.2.10", "2001:db8:1::10"), "aws": ("198.51.100.20", "2001:db8:2::20"), "old": ("203.0.113.30",)}
TO_INSECURE = {f"to-{name}.{zones.APEX}" for name in ("plain", "bare")}


def verdicts(counter, *down):
    """Of every app: these sites are down."""
    addresses = [ip_address(text) for site in down for text in SITES[site]]
    apps = ("shop", "home", "both", "bound", "four")
    return LiveState(counter, {(AppName(app), ip): Verdict("down", "refused", 0.0) for app in apps for ip in addresses})


def told(reply, qtype):
    has = any(rrset.rdtype == dns.rdatatype.from_text(qtype) for rrset in reply.answer)
    return dns.rcode.to_text(reply.rcode()), has


def questions(house, types=FEW, names=None):
    asked = itertools.product(names or existing(house.tables) + MADE, types)
    return [question for question in asked if not is_odd(*question)]


def ends_insecure(name, qtype):
    return is_insecure(name, qtype) or (name in TO_INSECURE and qtype != "CNAME")


def faults(house, replies, *, ad=True):
    """What is wrong with `replies` by (name, type). `ad` None: whether they are called secure does not matter."""
    found = {}
    for question, reply in replies.items():
        truth, answered = house.truth(*question), told(reply, question[1])
        secure = bool(reply.flags & dns.flags.AD)
        if answered != truth:
            found[question] = f"{answered} and not {truth}"
        elif ad is not None and secure != (ad and not ends_insecure(*question)):
            found[question] = f"AD is {secure}"
    return found


@pytest.fixture
def secure(house, resolver):
    house.publish(by_name("secure"))
    resolver.forget()
    return resolver


def test_every_type_of_every_name_is_secure(house, secure):
    asked = questions(house, TYPES)
    assert faults(house, secure.ask(asked)) == {}
    assert any(ends_insecure(*question) for question in asked)


def test_what_is_not_there_is_denied_securely(house, secure):
    assert faults(house, secure.ask(questions(house, ("A", "TXT"), neighbours(existing(house.tables))))) == {}


@pytest.mark.parametrize(("qtype", "secure_too"), [("ANY", True), ("NSEC", True), ("RRSIG", False)])
def test_questions_about_the_name_itself_are_answered(house, secure, qtype, secure_too):
    """Not of aliases, which unbound follows even then. A signature alone proves nothing, so it is never called secure."""
    names = [name for name in existing(house.tables) if house.truth(name, "NSEC") == ("NOERROR", True)]
    names = [name for name in names if not house.truth(name, "CNAME")[1]]
    replies = secure.ask([(name, qtype) for name in names])
    assert {reply.rcode() for reply in replies.values()} == {dns.rcode.NOERROR}
    assert all(reply.answer for reply in replies.values())
    assert {bool(reply.flags & dns.flags.AD) for reply in replies.values()} == {secure_too}


@pytest.mark.parametrize("seed", range(2))
def test_denials_in_the_cache_deny_nothing_that_exists(house, secure, seed):
    """Aggressive use of NSEC (RFC 8198): what was learned from denials answers for other names."""
    beside = questions(house, ("A", "TYPE65281"), neighbours(existing(house.tables)))
    absent = questions(house, ("TYPE65281", "SRV"))
    all_of_them = questions(house, TYPES)
    for some in (beside, absent, all_of_them):
        random.Random(seed).shuffle(some)
    assert faults(house, secure.ask(beside[:200])) == {}
    assert faults(house, secure.ask(absent)) == {}
    assert faults(house, secure.ask(all_of_them)) == {}


def test_denials_were_used(house, secure):
    """The test before would prove nothing with a resolver that asks anew for every name."""
    secure.ask([(f"0{number}.{zones.APEX}", "A") for number in range(50)])
    before = house.queries()
    secure.ask([(f"1{number}.{zones.APEX}", "A") for number in range(50)])
    assert house.queries() - before < 25


def test_answers_stay_secure_while_health_flips(house, secure):
    asked = questions(house, FEW, SAMPLE)
    secure.ask(questions(house, ("A", "TYPE65281"), neighbours(SAMPLE)))
    downs = [("dc",), ("dc", "aws"), ("aws", "old"), (), ("dc", "aws", "old"), ("old",)]
    for counter, down in enumerate(downs):
        house.flip(verdicts(counter + 1, *down))
        assert faults(house, secure.ask(asked)) == {}, f"{down} down, with what was in the cache"
        secure.forget(zones.APEX)
        assert faults(house, secure.ask(asked)) == {}, f"{down} down"


def test_a_type_that_is_missing_for_now_denies_no_other(house, secure):
    """Residency: with the only site drained, addresses are denied, one type after the other, and nothing else is."""
    asked = questions(house)
    house.publish(by_name("secure"), drained=["aws"])
    assert house.truth(f"bound.{zones.APEX}", "A") == house.truth(f"bound.{zones.APEX}", "HTTPS") == ("NOERROR", False)
    beside = [(f"bound.{zones.APEX}", qtype) for qtype in ("A", "HTTPS", "AAAA", "TXT", "DS")]
    assert faults(house, secure.ask(beside)) == {}
    assert faults(house, secure.ask(asked)) == {}
    house.publish(by_name("secure"))
    replies = secure.ask(asked)
    denied = {question for question in replies if question[0] == f"bound.{zones.APEX}"}
    rest = {question: reply for question, reply in replies.items() if question not in denied}
    assert faults(house, rest) == {}
    secure.forget(f"bound.{zones.APEX}")
    assert faults(house, secure.ask(denied)) == {}


# Keys that roll ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SECURE)
def test_every_state_of_the_keys_is_secure(house, resolver, name):
    house.publish(by_name(name))
    for live in (verdicts(1), verdicts(2, "dc"), verdicts(3, "dc", "aws", "old")):
        house.flip(live)
        resolver.forget()
        assert faults(house, resolver.ask(questions(house, FEW, SAMPLE))) == {}


@pytest.mark.parametrize("name", [state.name for state in states() if not state.ds])
def test_without_a_ds_record_answers_are_insecure(house, resolver, name):
    house.publish(by_name(name))
    resolver.forget()
    asked = [question for question in questions(house, FEW, SAMPLE) if question != (zones.APEX, "DS")]
    assert faults(house, resolver.ask(asked), ad=False) == {}


PAIRS = [pytest.param(*pair, id=f"{pair[0].name} - {pair[1].name}") for pair in itertools.pairwise(states())]


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_a_cache_from_the_state_before_fits_the_state_after(house, resolver, behind, before, after):
    """Each of DS records, DNSKEY records and data may still be that of the state before, in any combination: so it is
    in the cache that `behind` asks. Half of the data was asked for before, the other half only after."""
    secure = True if before.ds and after.ds else None
    for renewed in ((), ("DS",), ("DNSKEY",), ("DS", "DNSKEY")):
        house.publish(before)
        resolver.forget()
        asked = questions(house, ("A", "TXT"), SAMPLE[::2])
        assert faults(house, resolver.ask([*asked, (zones.APEX, "DNSKEY")]), ad=None) == {}
        house.publish(after)
        for qtype in renewed:
            resolver.forget(zones.APEX, qtype)
        behind.forget()
        asked += questions(house, ("A", "TXT", "HTTPS"), SAMPLE[1::2])
        assert faults(house, behind.ask(asked), ad=secure) == {}, f"renewed: {renewed}"
        assert faults(house, resolver.ask(asked), ad=secure) == {}, f"renewed: {renewed}"


# What must fail ---------------------------------------------------------------------------------------------------------


def test_a_broken_signature_is_no_answer(house, secure):
    house.replace(with_broken_seals(house.tables, f"shop.{zones.APEX}"))
    replies = secure.ask([(f"shop.{zones.APEX}", "A"), (f"both.{zones.APEX}", "A")])
    assert [reply.rcode() for reply in replies.values()] == [dns.rcode.SERVFAIL, dns.rcode.NOERROR]


def test_a_roll_that_does_not_wait_is_no_answer(house, resolver):
    """The new key signs while caches hold DNSKEY records without it: the tests of rolls can fail."""
    house.publish(by_name("secure"))
    resolver.forget()
    resolver.ask([(f"both.{zones.APEX}", "A")])
    house.publish(by_name("zsk gone"))
    reply = resolver.ask([(f"home.{zones.APEX}", "A")])[f"home.{zones.APEX}", "A"]
    assert reply.rcode() == dns.rcode.SERVFAIL
