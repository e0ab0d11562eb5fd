"""`gslb explain` against the served API, as an operator runs it."""

from __future__ import annotations

import json

import pytest

from gslb.cli.main import run
from gslb.control import changes
from gslb.control.bodies import messages
from gslb.control.protocol import Applied, BrokenGlass, Deed, Offer
from gslb.roles.keeping.broken_glass import GlassFile
from gslb.roles.keeping.generation_files import GenerationFiles
from gslb.roles.keeping.generations import Record
from gslb.snapshot.bundle import Bundle
from gslb.snapshot.intent import MirrorStop
from tests.unit.control.world import NOW_S, POLICY, by, dns_state, intent, verdict

SHOP = {**POLICY["apps"]["shop"], "backends": {**POLICY["apps"]["shop"]["backends"]}}
SHOP["backends"].pop("paper")  # it has no endpoint, which check refuses


def test_it_says_the_answer_and_why(gslb, publisher):
    down = [verdict("shop", "dc", a, "down", "checkout: 503 [x]") for a in ("192.0.2.10", "2001:db8:1::10")]
    publisher.hear(dns_state(publisher.snapshot, *down))
    code, out, err = gslb("explain shop --client 203.0.113.7 --path /checkout/cart")
    assert (code, err) == (0, "")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    for line in (
        "shop.gslb.example.com A for 203.0.113.7: NOERROR, shop.gslb.example.com is a host of shop",
        "healthy aws down: dc",
        "aws 198.51.100.20 100 % <- this client, now",
        "clients everybody is told the same (scope 0)",
        "ttl 10 s: fixed by the policy",
        "answer shop.gslb.example.com. 10 IN A 198.51.100.20",
        "route shop/pay: the first route that matches",
        "split checkout 5 %, monolith 95 % (source: policy)",
        "mirror to checkout: 10 % of requests, drawn anew for each",
    ):
        assert line in lines, out


def test_it_needs_nobody(tmp_path, capsys):
    made = changes.shift(intent(), "shop", "pay", {"checkout": 25}, by(reason="try"))
    policy = tmp_path / "policy"
    policy.mkdir()
    (policy / "policy.yaml").write_text(json.dumps({**POLICY, "apps": {"shop": SHOP}}))
    node = tmp_path / "edge-dc"
    files = GenerationFiles(node)
    offer = Offer(bundle=Bundle.of(made), wall_s=NOW_S)
    applied = Applied(revision=1, overrides=1, digest="0" * 16)
    files.save(Record(generations=(files.add(offer.model_dump_json().encode(), applied, NOW_S),)))
    for folder, split, note in (
        (policy, "checkout 5 %, monolith 95 % (source: policy)", f"by the policy in {policy} without overrides"),
        (node, "checkout 25 %, monolith 75 % (source: shift by ann try)", "by revision 1.1 as edge-dc keeps it"),
    ):
        assert run(["explain", "shop", "--path", "/checkout", "--offline", str(folder)]) == 0
        lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
        assert f"split {split}" in lines
        assert f"note: offline, {note}; verdicts and loads are unknown" in lines
    glass = BrokenGlass(
        over=applied, drains=(), mirror_stops=(MirrorStop(app="shop", by=by()),),
        deeds=(Deed(did="mirror stop shop", by=by()),),
    )  # fmt: skip
    for below, note, mirror in (
        (applied, "with what was done there: mirror stop shop", "to checkout: no: stopped by ann"),
        (applied.model_copy(update={"overrides": 0}), "by revision 1.1", "to checkout: 10 % of requests"),
    ):
        GlassFile(node).write(glass.model_copy(update={"over": below}))
        assert run(["explain", "shop", "--path", "/checkout", "--offline", str(node)]) == 0
        lines = " ".join(capsys.readouterr().out.split())
        assert (note in lines, mirror in lines) == (True, True), lines
    next((node / "generations").glob("1.*")).write_text("damaged")
    assert run(["explain", "shop", "--offline", str(node)]) == 2
    assert "no generation that can be read" in capsys.readouterr().err
    assert run(["explain", "shop", "--path", "no path", "--offline", str(policy)]) == 2
    assert "path: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("mirror", "words", "copied"),
    [
        ({}, "", "10 % of requests, drawn anew for each"),
        ({}, "--method POST", "no: POST is none of GET, HEAD, OPTIONS"),
        ({"by": "user"}, "", "10 % of users, by the cookie gslb_shop; a first request draws, and keeps what it drew"),
        ({"by": "user", "percent": 43.39}, "--user ann",
         "yes, on every edge: by the cookie gslb_shop=ann, which stands at 43.38 of 100, below 43.39"),
        ({"by": "user", "percent": 43.38}, "--user ann",
         "no, on every edge: by the cookie gslb_shop=ann, which stands at 43.38 of 100, not below 43.38"),
        ({"by": {"header": "X-User"}, "percent": 43.38}, "--user bob --header x-user:ann",
         "no, on every edge: by the header x-user=ann, which stands at 43.38 of 100, not below 43.38"),
        ({"by": {"header": "x-user"}}, "--user ann", "10 % of users, by the header x-user; who has none is not copied"),
    ],
)  # fmt: skip
def test_it_says_who_is_mirrored(tmp_path, capsys, mirror, words, copied):
    route = {"name": "all", "split": {"monolith": 100}, "mirror": [{"to": "checkout", "percent": 10, **mirror}]}
    policy = {**POLICY, "apps": {"shop": {**SHOP, "routes": [route]}}}
    (tmp_path / "policy.yaml").write_text(json.dumps(policy))
    assert run(["explain", "shop", "--path", "/", *words.split(), "--offline", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["request"]["copies"] == {"checkout": copied}


def test_names_that_do_not_exist_and_paths_that_nobody_takes_print_too(gslb):
    code, out, _ = gslb("explain nowhere")
    assert (code, out.splitlines()[0]) == (
        0,
        "nowhere.gslb.example.com A: NXDOMAIN, neither an app nor the zone gslb.example.com has this name",
    )
    code, out, _ = gslb("explain blog --path /a%2fb")
    assert code == 0
    assert "route    none: the edges refuse the path with 400" in out


def test_json_is_the_answer_itself(gslb):
    code, out, _ = gslb("explain shop --client 203.0.113.7 --type AAAA --json")
    said = json.loads(out)
    messages.Explanation.model_validate(said)
    assert (code, said["type"], said["request"]) == (0, "AAAA", None)


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("explain shop --client here", 1, "client: "),
        ("explain a..b", 1, "host: "),
        ("explain shop --type WRONG", 1, "WRONG is no type"),
        ("explain shop --path checkout", 1, "path: "),
        ("explain shop --path / --user a;b", 1, "user: "),
        ("explain shop --user ann", 2, "--path"),
        ("explain", 2, "HOST"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_words(gslb, line, code, said):
    got, out, err = gslb(line)
    assert (got, out) == (code, "")
    assert said in err
    assert "Traceback" not in err
