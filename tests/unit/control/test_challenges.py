"""ACME challenges: what they do to an Intent and to the answers of DNS, through the API and the hook, and what is refused."""

import json

import pytest
from dnslib import DNSRecord

from gslb.cli.main import acme_hook, run
from gslb.control import changes
from gslb.control.challenges import MAX_CHALLENGES, cleanup, placed, present
from gslb.dns.compose import compose
from gslb.dns.tables import Peer
from gslb.dns.wire import answer
from gslb.errors import PolicyError
from gslb.snapshot import compile_snapshot, next_expiry_s
from gslb.snapshot.intent import Challenge, Intent
from gslb.snapshot.types import LiveState
from tests.unit.control.serving import served
from tests.unit.control.world import NOW_S, POLICY, MemoryPublisher, by, policy

ZONE = policy().zone.name.removesuffix(".")
NAME = f"_acme-challenge.shop.{ZONE}"
VALUE = "gfj9Xq-Rg85nM_x"


def challenge(name=NAME, value=VALUE, until_s=NOW_S + 60):
    return Challenge(name=name, value=value, by=by(expires_s=until_s))


def asked(intent, name=NAME, at_s=NOW_S):
    tables = compose(compile_snapshot(intent, at_s), LiveState())
    question = bytes(DNSRecord.question(name, "TXT").pack())
    return DNSRecord.parse(answer(tables, question, Peer(b"\xc0\0\2\1", tcp=True), 0.0, 0)).rr


def told(intent, name=NAME, at_s=NOW_S):
    return sorted(str(record.rdata).strip('"') for record in asked(intent, name, at_s))


def test_what_is_presented_is_answered_until_it_is_cleaned_up():
    before = Intent(revision=1, policy=policy())
    one = present(before, challenge())
    two = present(one, challenge(value="second"))
    assert (told(before), told(one), told(two)) == ([], [VALUE], sorted([VALUE, "second"]))
    assert told(cleanup(two, NAME, VALUE)) == ["second"]
    assert told(cleanup(two, NAME, None)) == []
    assert cleanup(before, NAME, None) is before
    assert [intent.overrides.version for intent in (one, two)] == [1, 2]


def test_no_resolver_keeps_it_until_the_next_one():
    """lego answers a host and its wildcard one after the other, at the same name, within seconds."""
    (record,) = asked(present(Intent(revision=1, policy=policy()), challenge()))
    assert record.ttl == 1


def test_it_ends_by_itself():
    made = present(Intent(revision=1, policy=policy()), challenge())
    assert next_expiry_s(made, NOW_S) == NOW_S + 60
    assert told(made, at_s=NOW_S + 60) == []
    assert changes.prune_expired(made, NOW_S + 60).overrides.challenges == ()


def test_the_same_again_takes_the_place_of_the_first():
    made = present(Intent(revision=1, policy=policy()), challenge())
    again = present(made, challenge(until_s=NOW_S + 600))
    assert [item.by.expires_s for item in again.overrides.challenges] == [NOW_S + 600]


@pytest.mark.parametrize(
    ("name", "rule"),
    [(f"shop.{ZONE}", "challenge-name"), ("_acme-challenge.example.net", "outside")],
)
def test_only_challenges_of_our_zones(name, rule):
    with pytest.raises(PolicyError) as caught:
        present(Intent(revision=1, policy=policy()), challenge(name=name))
    assert [problem.rule for problem in caught.value.problems] == [rule]


def test_there_is_an_end_to_them():
    intent = Intent(revision=1, policy=policy())
    many = tuple(challenge(value=f"v{number}") for number in range(MAX_CHALLENGES))
    full = intent.model_copy(update={"overrides": intent.overrides.model_copy(update={"challenges": many})})
    with pytest.raises(PolicyError):
        present(full, challenge(value="one-more"))


OUTSIDE = {**POLICY["apps"]["shop"], "hosts": ["shop.example.net", "*.shop.example.net", "shop"]}


def test_of_a_host_outside_the_zones_it_is_answered_where_the_name_outside_points_to():
    made = policy(apps={**POLICY["apps"], "shop": OUTSIDE})
    assert placed(made, "_acme-challenge.shop.example.net") == NAME
    assert placed(made, "_acme-challenge.any.shop.example.net.") == "_acme-challenge.any.shop.example.net."
    for name in (NAME, f"{NAME}.", f"_acme-challenge.other.{ZONE}", "_acme-challenge.other.example.net"):
        assert placed(made, name) == name


@pytest.fixture
def publisher(tmp_path, monkeypatch):
    for name in ("GSLB_SERVER", "GSLB_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GSLB_RUNTIME", str(tmp_path))
    made = MemoryPublisher(Intent(revision=1, policy=policy(apps={**POLICY["apps"], "shop": OUTSIDE})))
    with served(made, tmp_path):
        yield made


def values(publisher):
    return [(item.name, item.value) for item in publisher.intent.overrides.challenges]


def test_the_hook_of_an_acme_client(publisher, capsys):
    assert run(["acme", "present", f"*.shop.{ZONE}", VALUE, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["after"] == {NAME: VALUE}
    assert told(publisher.intent, at_s=publisher.intent.overrides.challenges[0].by.at_s) == [VALUE]
    assert run(["acme", "cleanup", f"shop.{ZONE}", VALUE]) == 0
    assert "nothing had to change" not in capsys.readouterr().out
    assert values(publisher) == []
    assert run(["acme", "cleanup", f"shop.{ZONE}", VALUE]) == 0
    assert "nothing had to change" in capsys.readouterr().out
    assert run(["acme", "present", "other.example.net", VALUE]) == 1
    assert run(["acme", "present", f"shop.{ZONE}", "not base64url!"]) == 1


def test_the_hook_of_a_host_outside(publisher):
    assert run(["acme", "present", "shop.example.net", VALUE]) == 0
    assert values(publisher) == [(NAME, VALUE)]
    assert run(["acme", "cleanup", "shop.example.net", VALUE]) == 0
    assert values(publisher) == []


@pytest.mark.parametrize("begins", ["-", "--", "-h", "--json", "-1"])
def test_a_value_that_looks_like_an_option(publisher, begins, capsys):
    """As clients write it: without `--`."""
    value = begins + (43 - len(begins)) * "x"
    assert run(["acme", "present", f"{NAME}.", value, "--reason", "why", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["after"] == {NAME: value}
    assert run([*made["undo"].split()[1:], "--json"]) == 0
    assert run(["acme", "present", "--", NAME, value]) == 0
    assert run(["acme", "cleanup", NAME, value]) == 0
    assert values(publisher) == []


def test_the_hook_as_a_program_of_its_own(publisher, monkeypatch):
    """lego calls `PROGRAM present FQDN VALUE`."""
    monkeypatch.setattr("sys.argv", ["gslb-acme", "present", f"{NAME}.", VALUE])
    with pytest.raises(SystemExit) as caught:
        acme_hook()
    assert caught.value.code == 0
    assert values(publisher) == [(NAME, VALUE)]


def test_the_hook_in_whose_environment_certbot_says_what_to_answer(publisher, monkeypatch):
    monkeypatch.setenv("CERTBOT_DOMAIN", f"shop.{ZONE}")
    monkeypatch.setenv("CERTBOT_VALIDATION", VALUE)
    assert run(["acme", "present"]) == 0
    assert values(publisher) == [(NAME, VALUE)]
    assert run(["acme", "present", f"blog.{ZONE}", "second"]) == 0
    assert run(["acme", "cleanup"]) == 0
    assert values(publisher) == [(f"_acme-challenge.blog.{ZONE}", "second")]


def test_a_name_server_that_cannot_be_reached_is_named_and_holds_up_no_certificate(publisher, capsys):
    publisher.states |= {"far/dns": None, "far/edge-aws": None}
    publisher.unacknowledged = {"far/dns": "cannot be reached", "far/edge-aws": "cannot be reached"}
    assert run(["acme", "present", f"shop.{ZONE}", VALUE]) == 0
    said = capsys.readouterr()
    assert "cannot be reached, and gets it later: far/dns\n" in said.err
    publisher.unacknowledged["dns"] = "cannot be reached"
    assert run(["acme", "cleanup", f"shop.{ZONE}", VALUE]) == 0
    assert run(["acme", "present", f"shop.{ZONE}", VALUE]) == 2
    assert "not in force everywhere" in capsys.readouterr().err
