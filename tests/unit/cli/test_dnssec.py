"""`gslb dnssec` against a served API: what is printed, what is refused, and that nothing private is."""

from __future__ import annotations

import json

import pytest

from gslb import clock
from gslb.control import changes
from gslb.control.dnskeys import keyring
from gslb.control.dnskeys.rollover import Times
from gslb.control.scrape.metrics import exposition
from gslb.dns.dnssec.making import make_key
from tests.unit.control.world import POLICY, MemoryPublisher, dns_state, intent, policy

ZONE = "gslb.example.com"
OTHER = {"name": "other.example", "nameservers": {"ns1": ["198.51.100.53"]}}


def maker(zone, role, algorithm):
    return make_key(zone, role, algorithm, bytes(32))


def signed():
    wanted = policy(zone={**POLICY["zone"], "dnssec": True}, zones=[OTHER])
    return keyring.fit(intent(), changes.set_policy(intent(), wanted), maker, clock.wall_s())


@pytest.fixture
def publisher():
    return MemoryPublisher(signed())


def elapse(publisher, seconds):
    """What the clock brings."""
    at_s = clock.wall_s() + seconds
    publisher.intent = keyring.advance(publisher.intent, {ZONE: Times(3600)}, maker, at_s)


def tags(gslb):
    seen = json.loads(gslb("dnssec status --json")[1])
    return {(key["role"], key["state"]): key["tag"] for key in seen["zones"][0]["keys"]}


def test_a_new_zone_says_when_its_ds_record_may_be_published(gslb):
    code, out, err = gslb("dnssec status")
    assert (code, err) == (0, "")
    assert f"{ZONE}   ecdsa-p256   signatures good until unknown" in out
    assert "asks for its DS record 20" in out
    assert "publish its DS record when the wait is over" in out
    assert "other.example" not in out


def test_the_ds_record_is_pasted_into_the_parent_zone(gslb, publisher):
    dns = pytest.importorskip("dns.zone")
    code, out, _ = gslb(f"dnssec ds {ZONE}")
    assert code == 0
    assert "; ksk" in out
    zone = dns.from_text("$ORIGIN example.com.\n$TTL 3600\n@ SOA a. b. 1 1 1 1 1\n@ NS a.\n" + out)
    (record,) = zone.find_rdataset("gslb", "DS")
    assert record.key_tag == tags(gslb)["ksk", "new"]
    listed = json.loads(gslb("dnssec ds --json")[1])["records"]
    assert [(item["zone"], item["tag"]) for item in listed] == [(ZONE, record.key_tag)]
    assert f"; {listed[0]['cdnskey']}" in out


def test_a_roll_of_the_zone_signing_key(gslb, publisher):
    active = tags(gslb)["zsk", "active"]
    code, out, err = gslb("dnssec roll GSLB.example.com. zsk --reason quarter")
    new = tags(gslb)["zsk", "published"]
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == f"environment test: zsk of {ZONE}"
    assert lines[2].split() == ["zsk", str(active), "active"]
    assert lines[3].split() == ["zsk", str(new), "-", "->", "published"]
    assert any(line.startswith(f"next: zsk {new} signs at 20") for line in lines)
    entry = publisher.records[-1].entry
    assert (entry.author, entry.action, entry.detail, entry.reason) == ("ann", "dnssec-roll", f"{ZONE} zsk", "quarter")
    code, _, err = gslb(f"dnssec roll {ZONE} zsk")
    assert (code, err.splitlines()[0]) == (1, "[roll-under-way] a roll of the zsk is under way already")


def test_a_roll_of_the_key_signing_key_with_the_operators_eyes(gslb, publisher):
    code, _, err = gslb(f"dnssec roll {ZONE} ksk")
    assert code == 1
    assert "the first key-signing key has no DS record in the parent zone yet" in err
    assert gslb(f"dnssec roll {ZONE} ksk --ds-seen")[0] == 0
    old = tags(gslb)["ksk", "active"]
    _, out, _ = gslb(f"dnssec roll {ZONE} ksk")
    new = tags(gslb)["ksk", "announced"]
    assert f"you: ksk {new}: publish its DS record in the parent zone, beside the one that is there" in out
    assert gslb("dnssec ds")[1].count(" IN DS ") == 2
    assert gslb(f"dnssec roll {ZONE} ksk --ds-gone")[0] == 1
    _, out, _ = gslb(f"dnssec roll {ZONE} ksk --ds-seen")
    assert ["ksk", str(new), "announced", "->", "confirmed"] in [line.split() for line in out.splitlines()]
    assert f"next: ksk {new} takes the place of the active one at 20" in out
    elapse(publisher, 200_000)
    elapse(publisher, 300_000)
    assert tags(gslb)["ksk", "withdrawn"] == old
    assert gslb("dnssec ds")[1].count(" IN DS ") == 1
    assert f"ksk {old}" in gslb("dnssec status")[1]
    assert "take its DS record out of the parent zone" in gslb("dnssec status")[1]
    _, out, _ = gslb(f"dnssec roll {ZONE} ksk --ds-gone")
    assert "withdrawn -> removed" in out
    assert tags(gslb)["ksk", "active"] == new


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        ("dnssec status gslb.example.org", 1, "[unknown-zone] there is no zone 'gslb.example.org'"),
        ("dnssec status other.example", 1, "[not-signed] other.example is not signed"),
        ("dnssec ds other.example", 1, "[not-signed] other.example is not signed"),
        ("dnssec roll other.example zsk", 1, "[not-signed] other.example is not signed"),
        (f"dnssec roll {ZONE} zsk --ds-seen", 2, "a zsk has no DS record"),
        (f"dnssec roll {ZONE} ksk --ds-seen --ds-gone", 2, "exclude each other"),
        (f"dnssec roll {ZONE} csk", 2, "'csk' is not one of"),
    ],
)
def test_what_is_refused(gslb, publisher, line, code, told):
    before = publisher.intent
    found, out, err = gslb(line)
    assert (found, told in err) == (code, True), err
    assert publisher.intent is before
    assert "Traceback" not in out + err


def test_nothing_is_signed(gslb, publisher):
    publisher.__init__(intent())
    assert "No zone of the policy is signed" in gslb("dnssec status")[1]
    assert gslb("dnssec ds")[1].startswith("; No zone of the policy is signed")


def test_before_the_first_policy(gslb, publisher):
    publisher.__init__()
    code, _, err = gslb("dnssec status")
    assert (code, "no policy is in force yet" in err) == (1, True)


def test_a_nameserver_that_has_not_taken_it_is_told(gslb, publisher):
    publisher.unacknowledged = {"dns": "cannot be reached"}
    code, out, err = gslb(f"dnssec roll {ZONE} zsk")
    assert (code, "published" in out, "not in force everywhere: dns" in err) == (2, True, True)


def test_how_long_signatures_are_good(gslb, publisher):
    state = dns_state(publisher.snapshot, signature_expires_wall_s={ZONE: 1_700_000_000.0})
    publisher.hear(state, state.model_copy(update={"name": "dns-2", "signature_expires_wall_s": {ZONE: 1.7e9 + 5}}))
    assert "signatures good until 2023-11-14T22:13:20Z" in gslb("dnssec status")[1]


def test_metrics_of_keys_and_signatures(publisher):
    soon_s = clock.wall_s() + 1000
    publisher.hear(dns_state(publisher.snapshot, signature_expires_wall_s={ZONE: soon_s}))
    lines = exposition(publisher).decode().splitlines()
    assert f'gslb_dnssec_keys{{role="ksk",state="new",zone="{ZONE}"}} 1.0' in lines
    assert f'gslb_dnssec_keys{{role="zsk",state="active",zone="{ZONE}"}} 1.0' in lines
    (left,) = [line for line in lines if line.startswith("gslb_dnssec_signature_expiry_seconds{")]
    assert f'zone="{ZONE}"' in left
    assert 900 < float(left.split()[-1]) <= 1000


def test_nothing_private_is_printed_or_told(gslb, publisher):
    gslb(f"dnssec roll {ZONE} zsk")
    sealed = [key.private for key in publisher.intent.overrides.keys[ZONE]]
    assert all(text.startswith("v1:") for text in sealed)
    for line in ("dnssec status", "dnssec status --json", "dnssec ds", "dnssec ds --json", "status --json", "history",
                 "history --json", f"dnssec roll {ZONE} ksk --ds-seen --json"):  # fmt: skip
        code, out, err = gslb(line)
        assert code == 0, err
        assert not any(text in out + err or text[3:40] in out + err for text in sealed), line
    assert "v1:" not in exposition(publisher).decode()
