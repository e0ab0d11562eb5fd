"""`gslb node`, against real node endpoints on unix sockets, with no control anywhere."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import contextmanager

import pytest
import structlog.testing

from gslb.cli.main import run
from gslb.errors import HostError
from gslb.roles.endpoint.node import Node, serve_unix
from gslb.roles.endpoint.node_client import NodeClient
from tests.support.trust import offer, trust_in
from tests.unit.control.world import NOW_S, intent
from tests.unit.roles.node_process import Role


@contextmanager
def nodes(folder, *names):
    """Yields the roles by name, each with the policy in force."""
    started, ended, roles = threading.Event(), [], {name: Role() for name in names}

    async def serve():
        stop, servers = asyncio.Event(), []
        for name, role in roles.items():
            (folder / name).mkdir()
            node = Node(role, folder / name, trust_in(folder))
            node.overrides.copies = name.startswith("edge-")
            servers.append(await serve_unix(node.app(), folder / f"{name}.sock"))
            client = NodeClient(name, folder / f"{name}.sock")
            await client.offer("/publish", offer(intent(), NOW_S), 5)
            await client.close()
        ended.extend([asyncio.get_running_loop(), stop])
        started.set()
        await stop.wait()
        for server in servers:
            await server.cleanup()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert started.wait(10)
    loop, stop = ended
    try:
        yield roles
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


@pytest.fixture
def roles(tmp_path, monkeypatch):
    monkeypatch.setenv("GSLB_RUNTIME", str(tmp_path))
    monkeypatch.setenv("SUDO_USER", "ann")
    with structlog.testing.capture_logs(), nodes(tmp_path, "dns", "edge-dc") as made:
        (tmp_path / "control.sock").touch()
        (tmp_path / "comparer.sock").touch()
        yield made


@pytest.fixture
def gslb(roles, capsys):
    def command(line):
        code = run(line.split())
        return code, *capsys.readouterr()

    return command


def drained(role, site="dc"):
    return sorted(name for name, app in role.snapshot.apps.items() if site in app.no_entry)


def test_a_drain_at_every_node_edges_first_and_the_way_back(gslb, roles):
    code, out, err = gslb("node drain dc --all --for 1h --reason fire")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "environment test: drain of dc at edge-dc",
        "  shop  in service -> drained",
        "  blog  in service -> drained",
        "to undo: gslb node undrain dc --all",
        "environment test: drain of dc at dns",
        "  shop  in service -> drained",
        "  blog  in service -> drained",
        "to undo: gslb node undrain dc --all",
        "it holds until control publishes; once control is back: gslb drain dc",
    ]
    assert [drained(role) for role in roles.values()] == [["blog", "shop"]] * 2
    code, out, _ = gslb("node undrain dc --all")
    assert (code, [drained(role) for role in roles.values()]) == (0, [[], []])
    assert "to undo: gslb node drain dc --all" in out


def test_one_node_and_one_app(gslb, roles, tmp_path):
    code, out, _ = gslb(f"node drain dc --app shop --entry --socket {tmp_path}/dns.sock")
    assert code == 0
    assert f"to undo: gslb node undrain dc --app shop --socket {tmp_path}/dns.sock" in out
    assert (drained(roles["dns"]), drained(roles["edge-dc"])) == (["shop"], [])
    assert gslb(f"node undrain dc --app shop --socket {tmp_path}/dns.sock")[0] == 0
    assert drained(roles["dns"]) == []


def stopped(role):
    return role.snapshot.apps["shop"].routes[0].mirrors[0].stopped is not None


def test_mirrors_are_stopped_at_the_edges_alone_and_started_again(gslb, roles, tmp_path):
    code, out, err = gslb("node mirror stop shop/pay --all --for 1h --reason full")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "environment test: mirrors of shop/pay stopped at edge-dc",
        "  shop/pay  checkout 10 % -> checkout stopped",
        "to undo: gslb node mirror start shop/pay --all",
        "it holds until control publishes; once control is back: gslb mirror stop shop/pay",
    ]
    assert (stopped(roles["edge-dc"]), stopped(roles["dns"])) == (True, False)
    code, out, _ = gslb("node status")
    assert (code, "broken glass: mirror stop shop/pay by ann until 20" in " ".join(out.split())) == (0, True), out
    code, out, _ = gslb("node mirror start shop/pay --all --json")
    assert (code, set(json.loads(out)["nodes"]), stopped(roles["edge-dc"])) == (0, {"edge-dc"}, False)
    code, out, _ = gslb(f"node mirror stop --socket {tmp_path}/edge-dc.sock")
    assert (code, f"to undo: gslb node mirror start --socket {tmp_path}/edge-dc.sock" in out) == (0, True)
    assert stopped(roles["edge-dc"])


def test_where_no_edge_is_no_mirror_is_stopped(gslb, roles, tmp_path):
    code, _, err = gslb(f"node mirror stop --socket {tmp_path}/dns.sock")
    assert (code, "[no-edge]" in err) == (1, True)
    (tmp_path / "edge-dc.sock").unlink()
    code, _, err = gslb("node mirror stop --all")
    assert (code, "no edge has a socket" in err) == (2, True)
    assert not stopped(roles["dns"])


def test_status_tells_what_each_node_does_by_itself(gslb):
    gslb("node drain dc --all --reason fire")
    code, out, _ = gslb("node status")
    assert code == 0
    for words in ("edge-dc", "dns", "1.0", "s ago", "broken glass: drain dc by ann"):
        assert words in out
    code, out, _ = gslb("node status --json")
    seen = json.loads(out)
    assert set(seen["nodes"]) == {"dns", "edge-dc"}
    assert seen["nodes"]["dns"]["broken_glass"]["deeds"][0]["by"]["reason"] == "fire"


def test_as_json(gslb):
    code, out, _ = gslb("node drain dc --all --json")
    assert (code, set(json.loads(out)["nodes"])) == (0, {"dns", "edge-dc"})


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("node drain dc", 2, "say which nodes"),
        ("node drain dc --all --socket x.sock", 2, "say which nodes"),
        ("node undrain dc", 2, "say which nodes"),
        ("node drain dc --all --for soon", 2, "soon"),
        ("node drain nowhere --all", 1, "there is no site 'nowhere'"),
        ("node undrain nowhere --all", 1, "there is no site 'nowhere'"),
        ("node mirror stop shop/pay", 2, "say which nodes"),
        ("node mirror start", 2, "say which nodes"),
        ("node mirror stop shop/ --all", 2, "write APP or APP/ROUTE"),
        ("node mirror stop shop/pya --all", 1, "did you mean pay?"),
        ("node mirror stop shop/find --all", 1, "routes of shop that have one: pay"),
        ("node drain dc --socket /nowhere/dns.sock", 2, "there is no gslb at /nowhere/dns.sock"),
        ("node status --runtime /nowhere", 2, "no node has a socket in /nowhere"),
    ],
)
def test_what_does_not_fit(gslb, roles, line, code, words):
    got, _, err = gslb(line)
    assert (got, words in err, "Traceback" in err) == (code, True, False), err
    assert drained(roles["dns"]) == []


def test_the_last_site_takes_insisting(gslb, roles):
    gslb("node drain dc --all")
    gslb("node drain lab --all")
    code, _, err = gslb("node drain aws --all")
    assert (code, "last-site" in err) == (1, True)
    assert gslb("node drain aws --all --allow last-site")[0] == 0
    assert drained(roles["dns"], "aws") == ["blog", "shop"]


def test_a_node_that_is_dead_is_named_and_holds_nobody_up(gslb, roles, tmp_path):
    dead = tmp_path / "edge-aws.sock"
    dead.touch()
    roles["edge-dc"].chokes_on = {"1.1": HostError("Envoy is gone", "start it")}
    code, out, err = gslb("node drain dc --all")
    assert (code, drained(roles["dns"])) == (2, ["blog", "shop"])
    assert "at dns" in out
    assert "edge-aws: " in err
    assert "edge-dc: Envoy is gone" in err
