"""`gslb cutover check` as an operator runs it, against names that a real Knot DNS serves."""

import json

import pytest

from gslb.snapshot.intent import Intent
from tests.support.knot import Knot, needs_knot
from tests.support.ports import free_port
from tests.unit.control.world import POLICY, MemoryPublisher, policy

DNS, OLD, EDGE = "127.0.7.45", "127.0.7.46", "127.0.7.47"
NAME, ZONE = "shop.example.test", "gslb.example.test"
PARENT_ZONE = f"""$ORIGIN example.test.
@ 300 SOA ns1 hostmaster 1 3600 600 604800 60
@ 300 NS ns1
ns1 300 A {DNS}
shop 7200 A {OLD}
gslb 300 NS ns1.gslb
ns1.gslb 300 A {DNS}
"""
OWN_ZONE = f"""$ORIGIN {ZONE}.
@ 300 SOA ns1 hostmaster 4 3600 600 604800 60
@ 300 NS ns1
ns1 300 A {DNS}
shop 10 A {EDGE}
"""


@pytest.fixture
def dns_port(tmp_path):
    port = free_port(DNS)
    server = Knot(tmp_path / "knot", {"example.test": PARENT_ZONE, ZONE: OWN_ZONE}, [DNS], port)
    yield port
    server.close()


@pytest.fixture
def publisher():
    listen = {"http": free_port(EDGE)}
    given = policy(
        zone={"name": ZONE, "nameservers": {"ns1": [DNS]}},
        sites={"dc": {"edges": [{"public": [EDGE]}], "listen": listen}},
        apps={"shop": {**POLICY["apps"]["shop"], "steer": ["healthy"], "backends": {"monolith": {}},
                       "routes": [{"name": "all", "split": {"monolith": 100}}]}},
    )  # fmt: skip
    return MemoryPublisher(Intent(revision=4, policy=given))


@needs_knot
def test_what_stands_in_the_way_the_record_to_write_and_the_way_back(gslb, dns_port):
    code, out, err = gslb(f"cutover check {NAME} --to shop --resolver {DNS}:{dns_port} --port {dns_port}")
    assert (code, err) == (1, "")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    for line in (
        f"{NAME} is in the zone example.test (not signed); then {ZONE} (not signed) answers, by CNAME",
        f"A 7200 {OLD}",
        f"error [unknown-host] {NAME} is no host of shop: the edges would answer 404",
        f"write hosts: [shop.{ZONE}, {NAME}] in apps.shop",
        "error [old-ttl] resolvers keep what it is today for up to 7,200 s (A 7,200 s)",
        f"{NAME}: 3 errors",
        f"{NAME}. 60 IN CNAME shop.{ZONE}.",
        f"{NAME}. 7200 IN A {OLD}",
        "going back takes 70 s at most",
    ):
        assert line in lines, out
    assert any(
        line.startswith("error [edge-silent] the new side does not answer: nobody listens on port ") for line in lines
    )


@needs_knot
def test_json_is_the_whole_report(gslb, dns_port):
    code, out, _ = gslb(f"cutover check {NAME} --json --resolver {DNS}:{dns_port} --port {dns_port}")
    told = json.loads(out)
    assert (code, told["ready"], told["app"], told["write"]) == (1, False, None, [])
    assert told["records_today"] == {"A": {"ttl_s": 7200, "data": [OLD]}}
    assert {finding["rule"] for finding in told["findings"]} == {"no-app", "old-ttl"}


@needs_knot
def test_a_name_that_has_moved_has_only_a_note(gslb, dns_port):
    code, out, _ = gslb(f"cutover check shop.{ZONE} --resolver {DNS}:{dns_port} --port {dns_port} --json")
    told = json.loads(out)
    assert (told["how"], told["zone_today"], told["zone_then"]) == ("delegation", ZONE, ZONE)
    assert [finding["rule"] for finding in told["findings"]] == ["edge-silent", "moved"]
    assert code == 1


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("cutover check", 2, "NAME"),
        ("cutover check shop..example", 2, "is not a DNS name; use labels"),
        ("cutover check shop.example.test --to nobody", 1, f"[no-host] nobody.{ZONE} is no host of an app"),
        ("cutover check shop.example.test --resolver x", 2, "'x' is not a resolver"),
        ("cutover check shop.example.test --resolver 127.0.7.48:9", 2, "no DNS resolver answers: 127.0.7.48"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_words(gslb, line, code, said):
    got, out, err = gslb(line)
    assert (got, out) == (code, "")
    assert said in err
    assert "Traceback" not in err
