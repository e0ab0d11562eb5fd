"""Latencies through the API: what they do to an Intent, how they are told, and what is refused."""

import io
import json
import sys

import pytest
from aiohttp.test_utils import TestClient, TestServer

from gslb.cli.main import run
from gslb.control import changes
from gslb.control.bodies import messages
from gslb.control.http.api import build_app
from gslb.control.http.routes import LATENCY_LIMIT_BYTES
from gslb.control.latency import clear_latency, latency_seen, latency_source, set_latency
from gslb.errors import PolicyError
from gslb.snapshot import compile_snapshot
from gslb.snapshot.intent import Intent
from tests.unit.control.serving import served
from tests.unit.control.world import NOW_S, MemoryPublisher, a_drain, by, policy
from tests.unit.steering.world import ip

OWN = {"10.0.0.0/8": {"dc": "12ms", "aws": "80ms"}}
OTHER = {"203.0.113.0/24": {"dc": "5ms"}, "2001:db8:7::/48": {"aws": "20ms"}}


def world():
    return Intent(revision=1, policy=policy(latency=OWN))


def measured(given=OTHER):
    return messages.LatencyRequest(latency=given).latency


def found(intent, client):
    return compile_snapshot(intent, NOW_S).latency.find(ip(client))[0]


def test_what_is_set_takes_the_place_of_the_policys_as_a_whole_and_clearing_takes_it_back():
    before = world()
    made = set_latency(before, measured(), by())
    assert made.overrides.version == before.overrides.version + 1
    assert (found(before, "10.1.1.1"), found(before, "203.0.113.9")) == ((("dc", 12.0), ("aws", 80.0)), None)
    assert (found(made, "10.1.1.1"), found(made, "203.0.113.9")) == (None, (("dc", 5.0),))
    assert found(made, "2001:db8:7::1") == (("aws", 20.0),)
    back = clear_latency(made)
    assert compile_snapshot(back, NOW_S).digest == compile_snapshot(before, NOW_S).digest
    assert back.overrides.version == 2


def test_nothing_changes_where_nothing_would():
    made = set_latency(world(), measured(), by())
    assert set_latency(made, measured(), by(author="bob")) is made
    assert clear_latency(world()).overrides.version == 0


def test_other_changes_leave_it_alone():
    made = set_latency(world(), measured(), by())
    drained = changes.drain(made, a_drain("dc"))
    edited = changes.set_policy(drained, policy(latency={}))
    pruned = changes.prune_expired(edited, NOW_S)
    assert pruned.overrides.latency == made.overrides.latency
    assert clear_latency(drained).overrides.drains == drained.overrides.drains


def test_it_survives_json():
    made = set_latency(world(), measured(), by(reason="probes"))
    assert Intent.model_validate_json(made.model_dump_json()) == made


def test_sites_that_the_policy_lacks_are_refused_each_once():
    wrong = {"10.0.0.0/8": {"dc": "1ms", "lap": "2ms"}, "11.0.0.0/8": {"lap": "2ms", "moon": "1s"}}
    with pytest.raises(PolicyError) as refused:
        set_latency(world(), measured(wrong), by())
    assert [(p.rule, p.message) for p in refused.value.problems] == [
        ("unknown-site", "11.0.0.0/8: there is no site 'lap'"),
        ("unknown-site", "11.0.0.0/8: there is no site 'moon'"),
    ]
    assert refused.value.problems[0].remedy == "the sites are dc, aws, lab"


def test_a_policy_that_lacks_a_measured_site_is_refused_until_it_is_cleared():
    made = set_latency(world(), measured({"10.0.0.0/8": {"lab": "1ms"}}), by())
    fewer = {name: site for name, site in made.policy.model_dump(mode="json")["sites"].items() if name != "lab"}
    edited = changes.set_policy(made, policy(sites=fewer))
    with pytest.raises(PolicyError, match="the measured latencies name lab, which this policy lacks"):
        compile_snapshot(edited, NOW_S)
    assert compile_snapshot(clear_latency(edited), NOW_S).latency.find(ip("10.1.1.1"))[0] is None


def test_how_it_is_told():
    made = set_latency(world(), measured(), by(reason="probes"))
    seen = latency_seen(made)
    messages.LatencySeen.model_validate(seen)
    assert seen == {
        "source": "api", "at": "2023-11-14T22:13:20Z", "author": "ann", "reason": "probes", "latency": OTHER,
    }  # fmt: skip
    plain = latency_seen(world())
    assert (plain["source"], plain["at"], plain["latency"]) == ("policy", None, OWN)
    assert (latency_source(made), latency_source(world())) == (
        "measured by ann, 2 networks", "the policy's, 1 network",
    )  # fmt: skip
    assert latency_source(set_latency(world(), measured(), by(author=""))) == "measured by unknown, 2 networks"


# over the API -----------------------------------------------------------------------------------------------------------


@pytest.fixture
async def api(tmp_path):
    publisher = MemoryPublisher(world())
    async with TestClient(TestServer(build_app(publisher, "local"))) as client:
        client.publisher = publisher
        yield client


async def test_put_get_and_delete(api):
    body = {"latency": OTHER, "author": "ann", "reason": "probes"}
    answer = await (await api.put("/v1/latency", json=body)).json()
    messages.LatencyChange.model_validate(answer)
    assert answer["before"] == {"latency": "the policy's, 1 network"}
    assert answer["after"] == {"latency": "measured by ann, 2 networks"}
    assert answer["undo"] == "gslb latency clear"
    again = await (await api.put("/v1/latency", json=body)).json()
    assert again["undo"] is None
    other = await (await api.put("/v1/latency", json={"latency": OWN})).json()
    assert other["undo"] == "gslb latency set FILE, with the map before"
    assert (await (await api.get("/v1/latency")).json())["latency"] == OWN
    cleared = await (await api.delete("/v1/latency?author=bob&reason=over")).json()
    assert cleared["after"] == {"latency": "the policy's, 1 network"}
    records = [record.entry for record in api.publisher.records]
    assert [(r.author, r.action, r.detail, r.reason) for r in records] == [
        ("ann", "latency", "set 2 networks", "probes"),
        ("", "latency", "set 1 networks", ""),
        ("bob", "latency", "clear", "over"),
    ]


@pytest.mark.parametrize(
    ("latency", "words"),
    [
        ({"10.0.0.1/8": {"dc": "1ms"}}, "'10.0.0.1/8' is not a network"),
        ({"10.0.0.0/8": {"dc": 12}}, "12 is not a duration"),
        ({"10.0.0.0/8": {"dcc": "1ms"}}, "there is no site 'dcc'"),
        ({"10.0.0.0/8": {}}, "at least 1"),
        ({}, "at least 1"),
    ],
)
async def test_what_is_wrong_changes_nothing_and_says_so(api, latency, words):
    response = await api.put("/v1/latency", json={"latency": latency})
    assert response.status == 422
    assert words in (await response.json())["detail"]
    assert api.publisher.intent.overrides.latency is None


def put(api, path, data):
    return api.put(path, data=io.BytesIO(data), headers={"Content-Type": "application/json"})


def post(api, path, data):
    return api.post(path, data=io.BytesIO(data), headers={"Content-Type": "application/json"})


async def test_a_map_may_be_larger_than_other_requests_but_not_endless(api):
    many = {f"10.{n >> 8}.{n & 255}.0/24": {"dc": "12.345ms", "aws": "80ms"} for n in range(40_000)}
    assert len(json.dumps({"latency": many})) > 2**20
    assert (await put(api, "/v1/latency", json.dumps({"latency": many}).encode())).status == 200
    response = await put(api, "/v1/latency", b" " * (LATENCY_LIMIT_BYTES + 1))
    assert (response.status, (await response.json())["rule"]) == (413, "http-413")
    assert (await post(api, "/v1/drains", b" " * (2**20 + 1))).status == 413


# on the command line ----------------------------------------------------------------------------------------------------


@pytest.fixture
def gslb(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("GSLB_SERVER", raising=False)
    monkeypatch.setenv("GSLB_RUNTIME", str(tmp_path))
    monkeypatch.setenv("SUDO_USER", "ann")
    publisher = MemoryPublisher(world())

    def command(line):
        code = run(line.split())
        return code, *capsys.readouterr()

    command.folder, command.publisher = tmp_path, publisher
    with served(publisher, tmp_path):
        yield command


def test_a_file_is_set_shown_and_cleared(gslb):
    file = gslb.folder / "measured.yaml"
    file.write_text("203.0.113.0/24: {dc: 5ms}\n2001:db8:7::/48: {aws: 20ms}\n")
    code, out, _ = gslb(f"latency set {file} --reason probes")
    assert (code, out.splitlines()) == (0, [
        "environment test: latencies",
        "  latency  the policy's, 1 network -> measured by ann, 2 networks",
        "to undo: gslb latency clear",
    ])  # fmt: skip
    code, out, _ = gslb("latency show")
    assert code == 0
    assert "Latencies: measured by ann at" in out
    assert out.splitlines()[-3:-1] != []
    assert ["2001:db8:7::/48", "20ms", "-"] in [line.split() for line in out.splitlines()]
    assert json.loads(gslb("latency show --json")[1])["latency"] == OTHER
    code, out, _ = gslb("latency clear --json")
    assert json.loads(out)["after"] == {"latency": "the policy's, 1 network"}
    assert "Latencies: the policy's" in gslb("latency show")[1]


def test_json_from_standard_input(gslb, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(OTHER).encode())))
    assert gslb("latency set -")[0] == 0
    assert latency_seen(gslb.publisher.intent)["latency"] == OTHER


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("10.0.0.0/8: {dc: 1ms}\n10.0.0.0/8: {dc: 2ms}\n", "x.yaml:2:1: [duplicate-key]"),
        ("- 10.0.0.0/8\n", "[not-a-mapping]"),
        ("[]", "write NETWORK: {SITE: 12ms}"),
        ("", "[not-a-mapping]"),
        ("10.0.0.0/8: {dcc: 1ms}\n", "there is no site 'dcc'"),
        ("10.0.0.0/8: {dc: 12}\n", "12 is not a duration"),
    ],
)
def test_a_wrong_file_ends_with_1_and_says_what_to_write(gslb, text, words):
    file = gslb.folder / "x.yaml"
    file.write_text(text)
    code, out, err = gslb(f"latency set {file}")
    assert (code, out) == (1, "")
    assert words in err
    assert "Traceback" not in err
