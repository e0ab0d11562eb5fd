"""What nodes see, told over real sockets, counted by places, and followed by a nameserver."""

from __future__ import annotations

import asyncio

import pytest

from gslb.control.installation.vantage import HERE, places
from gslb.control.protocol import Observations, Peer, Roster
from gslb.health import quorum
from gslb.roles.endpoint.node import Node, serve_unix
from gslb.roles.seeing.exchange import Exchange, Outlook
from gslb.roles.seeing.judge import Judge
from gslb.snapshot.types import LiveState, Verdict
from gslb.trust.signer_files import TrustFolder
from tests.unit.roles.node_process import Role
from tests.unit.steering.world import SITES, addresses_of, app, ip, policy, snapshot

WORLD = snapshot(policy(shop=app(["healthy", {"weighted": {"dc": 1, "aws": 1, "gcp": 1}}], failback={"after": "0s"})))
DC = ip("192.0.2.10")


def seeing(*dead):
    states = dict.fromkeys(map(ip, addresses_of(*SITES)), "up") | dict.fromkeys(map(ip, addresses_of(*dead)), "down")
    return LiveState(1, {("shop", address): Verdict(state, state, 0.0, 3.0) for address, state in states.items()})


class Observer:
    """A role process elsewhere, on a real socket."""

    def __init__(self, folder, name, site=None):
        self.folder, self.name, self.site = folder, name, site
        self.folder.mkdir()
        self.live, self.looking = seeing(), True
        self.outlook = Outlook(lambda: self.live, lambda: self.looking, site)

    @property
    def peer(self):
        role = "edge" if "edge" in self.name else "dns"
        return Peer(name=self.name, role=role, site=self.site, address=f"unix:{self.folder / 'x.sock'}")

    async def __aenter__(self):
        node = Node(Role(), self.folder, TrustFolder(self.folder), self.outlook.observations)
        self.server = await serve_unix(node.app(), self.folder / "x.sock")
        return self

    async def __aexit__(self, *_):
        await self.server.cleanup()


class Server:
    """The nameserver at machine `m1`, with its own probes set by hand."""

    def __init__(self, folder, *others):
        self.live = seeing()
        self.exchange = Exchange("dns", "m1")
        own = Peer(name="m1/dns", role="dns", address=f"unix:{folder / 'own.sock'}")
        self.exchange.take_roster(Roster(number=1, peers=(own, *(other.peer for other in others))))
        self.judge = Judge(lambda: self.live, lambda: True, self.exchange, folder, lambda: None)
        self.judge.follow(WORLD)

    async def __aenter__(self):
        self.task = asyncio.ensure_future(self.exchange.run())  # noqa: TID251 - a test's own task
        await self.exchange.first_round()
        self.judge.look()
        return self

    async def __aexit__(self, *_):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.exchange.close()

    def verdict(self):
        self.judge.look()
        return self.judge.live.verdicts["shop", DC]

    async def until(self, state):
        async with asyncio.timeout(10):
            while self.verdict().state != state:
                await asyncio.sleep(0.05)


async def test_two_of_three_take_a_site_out_and_one_does_not(tmp_path):
    async with Observer(tmp_path / "a", "m2/dns") as a, Observer(tmp_path / "b", "m3/observer") as b:
        async with Server(tmp_path, a, b) as server:
            assert server.verdict().state == "up"
            server.live = seeing("dc")
            assert server.verdict().state == "up", "two see it well"
            b.looking = False
            await server.until("held")
            assert server.verdict().reason.startswith("seen dead from m1 (down); well from m2; nothing heard from m3")
            b.looking = True
            await server.until("up")
            a.live = seeing("dc")
            await server.until("down")
            told = next(item for item in server.judge.told() if item.address == str(DC))
            assert told.views == {"m1": "down", "m2": "down", "m3": "up"}
            assert server.judge.places() == {"m1": True, "m2": True, "m3": True}


HELD = snapshot(policy(shop=app(["healthy", {"weighted": {"dc": 1, "aws": 1, "gcp": 1}}], failover="manual")))
SLOWLY = snapshot(policy(shop=app(["healthy", {"weighted": {"dc": 1, "aws": 1, "gcp": 1}}], failback={"after": "1h"})))


@pytest.mark.parametrize("world", [HELD, SLOWLY], ids=["waits for a person", "returns"])
async def test_a_change_of_what_is_in_force_makes_no_place_silent(world, tmp_path):
    """With each drain or shift the others counted as silent until they were read again. A hold-down began anew, and the
    alarm that a person is waited for ended, and began again."""
    async with Observer(tmp_path / "a", "m2/dns") as a, Observer(tmp_path / "b", "m3/dns") as b:
        async with Server(tmp_path, a, b) as server:
            server.judge.follow(world)
            await server.until("up")
            server.live = a.live = b.live = seeing("dc")
            await server.until("held" if world is HELD else "down")
            if world is SLOWLY:
                server.live = a.live = b.live = seeing()
                async with asyncio.timeout(10):
                    while server.verdict().seen != "up":
                        await asyncio.sleep(0.05)
            before = server.verdict()
            server.judge.follow(world)
            after = server.verdict()
            assert (after.state, after.seen, after.waits) == (before.state, before.seen, before.waits)
            assert after.reason == before.reason, "such as since when it is well"
            told = next(item for item in server.judge.told() if item.address == str(DC))
            assert "silent" not in told.views.values()


async def test_whoever_is_silent_or_does_not_look_has_no_vote(tmp_path, monkeypatch):
    monkeypatch.setattr(quorum, "STALE_S", 0.8)
    async with Observer(tmp_path / "a", "m2/dns") as a, Observer(tmp_path / "b", "m3/dns") as b:
        async with Server(tmp_path, a, b) as server:
            a.live = b.live = seeing("dc")
            await server.until("down")
            await a.server.cleanup()
            b.looking = False
            async with asyncio.timeout(10):
                while any(server.judge.places()[place] for place in ("m2", "m3")):
                    await asyncio.sleep(0.05)
            assert server.verdict().state == "down", "silence brings nobody back"
            assert server.judge.places() == {"m1": True, "m2": False, "m3": False}


async def test_who_does_not_answer_holds_up_nobody(tmp_path):
    """A place that is cut off once made every reading of the others as slow as its own timeout."""
    asked_of_living: list[int] = []

    async def never(reader, writer):
        asked_of_living.append(living.outlook.observations().number)
        await reader.read()
        writer.close()

    async with Observer(tmp_path / "a", "m2/dns") as living:
        frozen = await asyncio.start_unix_server(never, tmp_path / "frozen.sock")
        silent = Peer(name="m3/dns", role="dns", address=f"unix:{tmp_path / 'frozen.sock'}")
        server = Server(tmp_path, living)
        server.exchange.take_roster(Roster(number=2, peers=(living.peer, silent)))
        async with server:
            living.live = seeing("dc")
            server.live = seeing("dc")
            await server.until("down")
            async with asyncio.timeout(20):
                while len(asked_of_living) < 3:
                    await asyncio.sleep(0.05)
        frozen.close()
    first, second, third = asked_of_living[:3]
    assert min(second - first, third - second) > 2, "the living one is asked on while the other keeps silent"


async def test_of_two_the_edges_own_word_decides(tmp_path):
    async with Observer(tmp_path / "e", "m2/edge-dc", "dc") as edge:
        edge.looking, edge.outlook.serves = False, True
        async with Server(tmp_path, edge) as server:
            server.live = seeing("dc")
            assert server.verdict().state == "held"
            assert "the edge itself serves" in server.verdict().reason
            edge.outlook.serves = False
            await server.until("down")


async def test_a_machine_that_has_joined_believes_nobody_until_it_knows_who_else_looks(tmp_path):
    """It once believed itself for a third of a second, changed its mind, and held that change against the next site to
    fall: the guard rail of one machine kept what all three saw dead."""
    async with Observer(tmp_path / "a", "m2/dns") as a, Observer(tmp_path / "b", "m3/dns") as b:
        server = Server(tmp_path)
        server.exchange = Exchange("dns", "m1")
        server.judge = Judge(lambda: server.live, lambda: True, server.exchange, tmp_path, lambda: None)
        server.judge.follow(WORLD)
        assert server.verdict().state == "unknown", "its own probes say that it is up"
        a.live = b.live = seeing("aws")
        own = Peer(name="m1/dns", role="dns", address="unix:/nobody")
        server.exchange.take_roster(Roster(number=1, peers=(own, a.peer, b.peer)))
        async with server:
            a.live = b.live = seeing()
            await server.until("up")
            server.live = a.live = seeing("dc")
            await server.until("down")


async def test_a_restart_remembers_what_was_out(tmp_path):
    async with Observer(tmp_path / "a", "m2/dns") as a, Observer(tmp_path / "b", "m3/dns") as b:
        async with Server(tmp_path, a, b) as server:
            a.live = server.live = seeing("dc")
            await server.until("down")
            run = asyncio.ensure_future(server.judge.run())  # noqa: TID251 - a test's own task
            async with asyncio.timeout(10):
                while not (tmp_path / "standings.json").exists():
                    await asyncio.sleep(0.05)
            run.cancel()
            again = Judge(LiveState, lambda: True, Exchange("dns", HERE), tmp_path, lambda: None)
            again.follow(WORLD)
            again.look()
            assert again.live.verdicts["shop", DC].state == "down"
            (tmp_path / "standings.json").write_text("{")
            broken = Judge(LiveState, lambda: True, Exchange("dns", HERE), tmp_path, lambda: None)
            broken.follow(WORLD)
            broken.look()
            assert broken.live.verdicts["shop", DC].state == "unknown"


def peer(name, site=None):
    return Peer(name=name, role="edge" if "edge" in name else "dns", site=site, address="unix:/x")


@pytest.mark.parametrize(
    ("peers", "machine", "expected"),
    [
        ([], HERE, {HERE: HERE}),
        ([peer("dns"), peer("edge-dc", "dc"), peer("edge-aws", "aws")], HERE, {HERE: HERE}),
        ([peer("dns"), peer("edge-dc", "dc")], HERE, {HERE: "dc"}),
        (
            [
                peer("a/dns", "dc"),
                peer("b/edge-dc", "dc"),
                peer("c/observer"),
                peer("d/edge-x", "x"),
                peer("d/edge-y", "y"),
            ],
            "a",
            {"a": "dc", "b": "dc", "c": "c", "d": "d"},
        ),
    ],
)
def test_a_place_is_a_site_or_a_machine_outside_every_site(peers, machine, expected):
    assert places(peers, machine) == expected


def test_observations_are_numbered_and_tell_no_reason_of_what_is_up():
    outlook = Outlook(lambda: seeing("dc"), lambda: True, "dc")
    one, two = outlook.observations(), outlook.observations()
    assert (two.number, two.life) == (one.number + 1, one.life)
    assert one.views["shop"][str(DC)] == ("down", 3.0, "down")
    assert one.views["shop"]["198.51.100.20"] == ("up", 3.0, "")
    assert Observations.model_validate_json(one.model_dump_json()) == one
