"""`gslb check-delegation` as an operator runs it, against a parent and a zone that a real Knot DNS serves."""

import json

import pytest

from gslb.snapshot.intent import Intent
from tests.support.knot import Knot, needs_knot
from tests.support.ports import free_port
from tests.unit.control.world import MemoryPublisher, policy

ZONE, PARENT, NS1, NS2 = "gslb.example.test", "127.0.7.35", "127.0.7.36", "127.0.7.37"
SERVERS = {"ns1": [NS1], "ns2": [NS2]}
PARENT_ZONE = f"""$ORIGIN example.test.
@ 300 SOA ns1 hostmaster 1 3600 600 604800 60
@ 300 NS ns1
ns1 300 A {PARENT}
gslb 300 NS ns1.gslb
gslb 300 NS ns2.gslb
ns1.gslb 300 A {NS1}
ns2.gslb 300 A {NS2}
"""
OWN_ZONE = f"""$ORIGIN {ZONE}.
@ 300 SOA ns1 hostmaster 4 3600 600 604800 60
@ 300 NS ns1
@ 300 NS ns2
ns1 300 A {NS1}
ns2 300 A {NS2}
"""


@pytest.fixture
def outside(tmp_path):
    """Starts a Knot for everything, with the parent as given; gives the port."""
    running = []

    def start(parent=PARENT_ZONE):
        port = free_port(PARENT, NS1, NS2)
        running.append(Knot(tmp_path / "knot", {"example.test": parent}, [PARENT], port))
        running.append(Knot(tmp_path / "own", {ZONE: OWN_ZONE}, [NS1, NS2], port))
        return port

    yield start
    for server in running:
        server.close()


@pytest.fixture
def publisher():
    given = policy(zone={"name": ZONE, "nameservers": SERVERS})
    return MemoryPublisher(Intent(revision=4, policy=given))


@needs_knot
def test_a_good_delegation_exits_with_0(gslb, outside):
    port = outside()
    code, out, err = gslb(f"check-delegation --resolver {PARENT}:{port} --port {port}")
    assert (code, err) == (0, "")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "Parent example.test" in lines
    assert f"ns1.{ZONE} {NS1} ok ok 4 no" in lines
    assert f"{ZONE}: the delegation is good" in lines
    assert any(line.startswith("Resolvers keep NS records for 300 s, DS records for 60 s") for line in lines)


@needs_knot
def test_what_is_wrong_is_told_with_the_remedy_and_exits_with_1(gslb, outside):
    port = outside(
        PARENT_ZONE.replace("gslb 300 NS ns2.gslb\n", "").replace(f"ns1.gslb 300 A {NS1}", f"ns1.gslb 300 A {NS2}")
    )
    code, out, _ = gslb(f"check-delegation {ZONE} --resolver {PARENT}:{port} --port {port}")
    assert code == 1
    assert out.partition("error ")[2] == (
        f"[ns-missing] the parent does not list ns2.{ZONE}, which the policy has\n    at ns1.example.test ({PARENT})\n"
        f"    add at the parent: {ZONE}. IN NS ns2.{ZONE}.\n"
        f"error [glue-differs] the parent says that ns1.{ZONE} is at {NS2}; the policy says {NS1}\n"
        f"    at ns1.example.test ({PARENT})\n    replace it at the parent with: ns1.{ZONE}. IN A {NS1}\n"
        f"{ZONE}: 2 errors\n\n"
    )


@needs_knot
def test_json_and_a_policy_from_a_folder(gslb, outside, tmp_path):
    port = outside()
    folder = tmp_path / "policy"
    folder.mkdir()
    (folder / "p.yaml").write_text(
        f"zone: {{name: {ZONE}, nameservers: {{ns1: [{NS1}]}}}}\nsites: {{dc: {{edges: [{{public: [192.0.2.1]}}]}}}}\n"
    )
    code, out, _ = gslb(f"check-delegation --policy {folder} --json --resolver {PARENT}:{port} --port {port}")
    told = json.loads(out)
    (zone,) = told["zones"]
    assert (code, told["ok"], zone["zone"], zone["ok"], zone["parent"]) == (1, False, ZONE, False, "example.test")
    assert {finding["rule"] for finding in zone["findings"]} == {"ns-extra", "ns-child"}
    assert zone["servers"][0] == {
        "name": f"ns1.{ZONE}",
        "address": NS1,
        "udp": "ok",
        "tcp": "ok",
        "serial": 4,
        "signed": False,
    }


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("check-delegation example.org", 1, "[no-zone] example.org is no zone of this policy"),
        ("check-delegation --resolver here", 2, "'here' is not a resolver; write an address"),
        ("check-delegation --resolver 192.0.2.1:0", 2, "is not a resolver"),
        ("check-delegation --port 0", 2, "--port"),
        ("check-delegation --policy /nowhere", 1, "/nowhere"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_words(gslb, line, code, said):
    got, out, err = gslb(line)
    assert (got, out) == (code, "")
    assert said in err
    assert "Traceback" not in err


def test_without_a_resolver_the_machine_is_at_fault(gslb):
    code, out, err = gslb(f"check-delegation --resolver 127.0.7.38:{free_port('127.0.7.38')}")
    assert (code, out) == (2, "")
    assert err == "no DNS resolver answers: 127.0.7.38\n    name one that does: --resolver ADDRESS[:PORT]\n"
