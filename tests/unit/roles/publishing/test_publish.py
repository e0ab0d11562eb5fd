"""Publishing, over real unix sockets to real node endpoints; only what a role does with a snapshot is a fake."""

from __future__ import annotations

import asyncio
import dataclasses
import ssl
from contextlib import asynccontextmanager

import pytest

from gslb.control.changes import drain, require, set_policy, shift
from gslb.control.installation.registry import Machine, Registry
from gslb.control.installation.rosters import REGISTERED, here
from gslb.control.protocol import RoleState, Roster
from gslb.errors import PolicyError, RefusedError
from gslb.model.policy import Policy
from gslb.roles.endpoint.node import Node, serve_unix
from gslb.roles.endpoint.node_client import NodeClient
from gslb.roles.publishing.publish import RolePublisher
from gslb.snapshot.intent import Drain, Provenance
from gslb.store import AuditEntry
from gslb.store.embedded import EmbeddedStore
from gslb.trust.signer_files import TrustFolder
from tests.support.trust import bundle, offer, signing_in

AUDIT = AuditEntry(at_s=1.0, author="test", action="test", detail="")
BY = Provenance(at_s=1.0, author="test")
POLICY = {
    "zone": {"name": "gslb.example", "nameservers": {"ns1": "192.0.2.53"}},
    "sites": {"dc": {"edges": [{"public": "192.0.2.1"}]}, "aws": {"edges": [{"public": "192.0.2.2"}]}},
    "apps": {
        "shop": {
            "hosts": "shop",
            "backends": {"old": {"dc": ["192.0.2.9:80"]}, "new": {"aws": ["192.0.2.8:80"]}},
            "routes": [{"name": "pay", "split": {"old": 90, "new": 10}}],
        }
    },
}


class Role:
    """Takes everything, unless told to refuse; remembers what it did, in one list for all roles."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self.log = name, log
        self.refuses_prepare = self.refuses_publish = False
        self.snapshot = None

    async def prepare(self, snapshot) -> None:
        if self.refuses_prepare:
            raise RefusedError("no", f"{self.name} cannot", "try another")

    async def publish(self, snapshot) -> None:
        if self.refuses_publish:
            self.refuses_publish = False
            raise RefusedError("no", f"{self.name} will not", "try another")
        self.log.append(f"{self.name} {snapshot.version}")
        self.snapshot = snapshot

    async def state(self) -> RoleState:
        return RoleState(name=self.name, role="edge", pid=1, started_wall_s=0, ready=True)


class World:
    """`elsewhere` are names of nodes of the machine m2; the others are those of the machine that control runs on."""

    def __init__(self, folder, names=("edge-dc", "edge-aws", "dns"), elsewhere=()) -> None:
        self.folder, self.log, self.servers = folder, [], {}
        self.roles = {name: Role(name, self.log) for name in (*names, *elsewhere)}
        self.store = EmbeddedStore(folder)
        self.intents = []
        self.own, self.elsewhere = names, elsewhere
        self.publisher = self.control()

    def control(self) -> RolePublisher:
        """One more control of this installation, on the machine m1."""
        nodes = tuple(NodeClient(name, self.folder / f"{name}.sock") for name in self.own)
        made = RolePublisher(self.store, signing_in(self.folder), nodes, self.intents.append)
        made.nodes.reach_by("m1", "gslb.example", ssl.create_default_context)
        return made

    def registry(self, *machines: str, number: int = 1) -> Registry:
        urls = {name: f"unix:{self.folder}/{name}.sock" for name in self.elsewhere}
        here = {name: f"unix:{self.folder}/{name}.sock" for name in self.own}
        known = {"m1": Machine(name="m1", processes=here), "m2": Machine(name="m2", processes=urls)}
        return Registry(number, {name: known[name] for name in machines})

    async def start(self, name: str) -> Node:
        (self.folder / name).mkdir(exist_ok=True)
        node = Node(self.roles[name], self.folder / name, TrustFolder(self.folder / "trust"))
        self.servers[name] = await serve_unix(node.app(), self.folder / f"{name}.sock")
        return node

    async def stop(self, name: str) -> None:
        await self.servers.pop(name).cleanup()

    async def begin(self):
        await self.publisher.reach_all(5)
        return await self.publisher.change(lambda intent: set_policy(intent, Policy.model_validate(POLICY)), AUDIT)

    async def shift(self, percent: float):
        return await self.publisher.change(
            lambda intent: shift(require(intent), "shop", "pay", {"new": percent}, BY), AUDIT
        )

    def shares(self, name: str) -> dict[str, int]:
        (route,) = self.roles[name].snapshot.apps["shop"].routes
        return {share.backend: share.share_bp for share in route.split}


@asynccontextmanager
async def world(folder, *absent: str, **given):
    made = World(folder, **given)
    for name in made.roles:
        if name not in absent:
            await made.start(name)
    try:
        yield made
    finally:
        for name in list(made.servers):
            await made.stop(name)
        await made.publisher.close()
        made.store.close()


async def test_edges_take_a_change_before_dns_does(tmp_path):
    async with world(tmp_path) as it:
        published = await it.begin()
        assert (published.before, published.unacknowledged) == (None, {})
        assert sorted(it.log[:2]) == ["edge-aws 1.0", "edge-dc 1.0"]
        assert it.log[2:] == ["dns 1.0"]
        await it.shift(30)
        assert it.log[-1] == "dns 1.1"
        assert it.store.read().intent() == it.publisher.current()[0] == it.intents[-1]


async def test_a_change_that_changes_nothing_reaches_nobody(tmp_path):
    async with world(tmp_path) as it:
        await it.begin()
        log = list(it.log)
        published = await it.begin()
        assert published.before is published.after
        assert it.log == log


@pytest.mark.parametrize("name", ["edge-dc", "edge-aws", "dns"])
async def test_a_refused_preparation_changes_nothing_anywhere(tmp_path, name):
    async with world(tmp_path) as it:
        await it.begin()
        log, intent = list(it.log), it.store.read()
        it.roles[name].refuses_prepare = True
        with pytest.raises(RefusedError, match=f"{name}: .*cannot"):
            await it.shift(30)
        assert (it.log, it.store.read()) == (log, intent)


@pytest.mark.parametrize("name", ["edge-dc", "edge-aws", "dns"])
async def test_a_refused_publication_puts_the_old_content_back_everywhere_as_a_newer_version(tmp_path, name):
    async with world(tmp_path) as it:
        await it.begin()
        digest = it.publisher.current()[1].digest
        it.roles[name].refuses_publish = True
        with pytest.raises(RefusedError, match=f"{name}: .*will not"):
            await it.shift(30)
        _, snapshot = it.publisher.current()
        assert snapshot.digest == digest
        assert snapshot.version.overrides == 2, "versions only rise"
        assert {role.snapshot.digest for role in it.roles.values()} == {digest}
        assert {str(role.snapshot.version) for role in it.roles.values()} == {"1.2"}
        assert it.store.read().intent().overrides.shifts == ()
        await it.shift(30)
        assert it.shares("dns") == it.shares("edge-dc") == {"new": 3000, "old": 7000}


async def test_a_refused_policy_raises_the_revision_all_the_same(tmp_path):
    async with world(tmp_path) as it:
        await it.begin()
        it.roles["edge-dc"].refuses_publish = True
        other = Policy.model_validate({**POLICY, "environment": "other"})
        with pytest.raises(RefusedError):
            await it.publisher.change(lambda intent: set_policy(intent, other), AUDIT)
        intent, snapshot = it.publisher.current()
        assert intent.policy.environment == "default"
        assert snapshot.version.revision == 3
        assert {role.snapshot.version.revision for role in it.roles.values()} == {3}


async def test_who_is_away_is_named_holds_nobody_up_and_catches_up(tmp_path):
    async with world(tmp_path, "edge-aws") as it:
        await it.publisher.reach_all(0)
        published = await it.begin()
        assert set(published.unacknowledged) == {"edge-aws"}
        await it.shift(30)
        async with asyncio.TaskGroup() as group:
            following = group.create_task(it.publisher.follow())
            await it.start("edge-aws")
            async with asyncio.timeout(10):
                while it.roles["edge-aws"].snapshot is None:
                    await asyncio.sleep(0.01)
            following.cancel()
        assert str(it.roles["edge-aws"].snapshot.version) == "1.1"


async def test_changes_at_the_same_time_are_made_one_after_the_other(tmp_path):
    async with world(tmp_path) as it:
        await it.begin()
        await asyncio.gather(*(it.shift(percent) for percent in range(20, 30)))
        assert it.publisher.current()[1].version.overrides == 10
        assert [line for line in it.log if line.startswith("dns")] == [f"dns 1.{n}" for n in range(11)]


async def test_a_stale_writer_is_refused_and_nothing_reaches_the_roles(tmp_path):
    async with world(tmp_path) as it:
        await it.begin()
        elsewhere = EmbeddedStore(tmp_path)
        log = list(it.log)

        def overtaken(intent):
            """Somebody else writes after this one has read."""
            newer = drain(require(intent), Drain(site="dc", by=BY))
            elsewhere.write(it.publisher.current()[1].version, bundle(newer), AUDIT)
            return shift(require(intent), "shop", "pay", {"new": 30}, BY)

        with pytest.raises(RefusedError, match="stale"):
            await it.publisher.change(overtaken, AUDIT)
        assert it.log == log
        assert elsewhere.read().intent().overrides.shifts == ()
        elsewhere.close()


async def test_a_request_that_does_not_fit_is_told_before_anybody_is_asked(tmp_path):
    async with world(tmp_path) as it:
        await it.begin()
        with pytest.raises(PolicyError, match="unknown-route"):
            await it.publisher.change(lambda intent: shift(require(intent), "shop", "nothing", {"new": 1}, BY), AUDIT)


async def test_a_node_goes_on_from_its_own_disk_and_never_back(tmp_path):
    async with world(tmp_path) as it:
        await it.begin()
        first = it.publisher.current()[0]
        await it.shift(30)
        await it.stop("dns")
        it.roles["dns"].snapshot = None
        node = await it.start("dns")
        await node.resume()
        assert str(it.roles["dns"].snapshot.version) == "1.1"
        old = NodeClient("dns", tmp_path / "dns.sock")
        answer = await old.offer("/publish", offer(first), 5)
        await old.close()
        assert "older" in answer.reasons[0]
        assert "gslb restore" in answer.reasons[0], "asking again does not help where the store itself has gone back"
        assert str(it.roles["dns"].snapshot.version) == "1.1"


@pytest.mark.parametrize("content", ["", "{", '{"intent": {}}'])
async def test_a_last_good_that_does_not_read_is_left_and_waited_out(tmp_path, content):
    async with world(tmp_path, "dns") as it:
        (tmp_path / "dns").mkdir()
        (tmp_path / "dns" / "last-good.json").write_text(content)
        node = await it.start("dns")
        await node.resume()
        assert it.roles["dns"].snapshot is None
        assert (tmp_path / "dns" / "last-good.json").read_text() == content
        await it.begin()
        assert it.roles["dns"].snapshot is not None


async def test_every_node_is_told_of_the_others_once(tmp_path):
    async with world(tmp_path) as it:
        await it.begin()
        it.publisher.nodes.own_peers = here({name: tmp_path / f"{name}.sock" for name in it.roles})
        async with asyncio.TaskGroup() as group:
            following = group.create_task(it.publisher.follow())
            async with asyncio.timeout(10):
                while {state.roster.number for state in it.publisher.roles().values()} != {1}:
                    await asyncio.sleep(0.05)
            await it.publisher.refresh()
            following.cancel()
        (digest,) = {state.roster.digest for state in it.publisher.roles().values()}
        assert digest == Roster(peers=it.publisher.nodes.own_peers).digest


ACROSS = {"names": ("edge-dc", "dns"), "elsewhere": ("edge-aws", "dns-2")}


async def until(condition, seconds=10):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def following(publisher):
    async with asyncio.TaskGroup() as group:
        task = group.create_task(publisher.follow())
        yield
        task.cancel()


async def test_nodes_of_a_machine_that_joins_are_published_to_and_those_of_one_removed_no_more(tmp_path):
    async with world(tmp_path, **ACROSS) as it:
        it.publisher.nodes.take(it.registry("m1", "m2"))
        assert [node.name for node in it.publisher.nodes.all] == ["edge-dc", "dns", "m2/edge-aws", "m2/dns-2"]
        published = await it.begin()
        assert published.unacknowledged == {}
        assert {str(role.snapshot.version) for role in it.roles.values()} == {"1.0"}
        assert it.log[-1] in ("dns 1.0", "dns-2 1.0")
        it.publisher.nodes.take(it.registry("m1", number=2))
        await it.shift(30)
        assert str(it.roles["edge-dc"].snapshot.version) == "1.1"
        assert str(it.roles["edge-aws"].snapshot.version) == "1.0"


async def test_the_registry_numbers_the_roster_and_every_node_holds_the_same(tmp_path):
    async with world(tmp_path, **ACROSS) as it:
        it.publisher.nodes.take(it.registry("m1", "m2", number=7))
        await it.begin()
        async with following(it.publisher):
            await until(lambda: all(state and state.roster.number for state in it.publisher.roles().values()))
        assert {state.roster.number for state in it.publisher.roles().values()} == {REGISTERED + 7}
        assert len({state.roster.digest for state in it.publisher.roles().values()}) == 1


async def test_nodes_hear_within_seconds_of_a_machine_that_was_removed(tmp_path):
    async with world(tmp_path, names=("edge-dc", "dns")) as it:
        await it.begin()
        it.publisher.nodes.take(it.registry("m1", number=7))
        await it.publisher.nodes.hand_rosters()
        gone = Machine(name="m2", roles=("control",), state="removed")
        it.publisher.nodes.take(Registry(8, {**it.registry("m1").machines, "m2": gone}))
        await it.publisher.refresh()
        await it.publisher.nodes.hand_rosters()
        for name in ("edge-dc", "dns"):
            assert Roster.model_validate_json((tmp_path / name / "roster.json").read_bytes()).removed == ("m2",)


async def test_what_another_control_wrote_is_left_to_it_for_a_moment_and_then_brought_to_who_lacks_it(tmp_path):
    async with world(tmp_path, **ACROSS) as it:
        second = it.control()
        second.nodes.take(it.registry("m1", "m2"))
        await it.begin()
        await second.reach_all(5)
        await second.load()
        assert str(it.roles["dns"].snapshot.version) == "1.0"
        assert it.roles["edge-aws"].snapshot is None, "its writer does not know that machine, and has a moment for it"
        async with following(second):
            await until(lambda: it.roles["edge-aws"].snapshot and it.roles["dns-2"].snapshot)
        assert sorted(it.log) == sorted(f"{name} 1.0" for name in it.roles), "nobody was published to twice"
        await second.close()


async def test_two_controls_that_publish_at_the_same_time_end_with_one_version_everywhere(tmp_path):
    async with world(tmp_path, **ACROSS) as it:
        second = it.control()
        for control in (it.publisher, second):
            control.nodes.take(it.registry("m1", "m2"))
            await control.reach_all(5)
        await it.begin()
        stale = []

        async def shift_by(control, percent):
            try:
                await control.change(lambda i: shift(require(i), "shop", "pay", {"new": percent}, BY), AUDIT)
            except RefusedError as error:
                stale.append(error.rule)

        await asyncio.gather(*(shift_by(control, 20 + n) for n in range(5) for control in (it.publisher, second)))
        assert set(stale) <= {"stale"}
        async with following(it.publisher), following(second):
            await it.publisher.load()
            await second.load()
            newest = str(it.publisher.current()[1].version)
            await until(lambda: {str(role.snapshot.version) for role in it.roles.values()} == {newest})
        for name in it.roles:
            versions = [line.split()[1] for line in it.log if line.split()[0] == name]
            assert versions == sorted(versions, key=lambda text: [*map(int, text.split("."))]), "versions only rise"
        await second.close()


async def test_a_drain_does_not_wait_for_a_node_that_froze_just_now(tmp_path):
    async with world(tmp_path) as it:
        await it.begin()
        frozen = asyncio.Event()
        async with following(it.publisher):
            it.roles["edge-dc"].prepare = it.roles["edge-dc"].publish = lambda _: frozen.wait()
            it.roles["edge-dc"].state = frozen.wait
            started = asyncio.get_running_loop().time()
            published = await it.publisher.change(lambda i: drain(require(i), Drain(site="dc", by=BY)), AUDIT)
            assert asyncio.get_running_loop().time() - started < 9, "far less than what an offer may take"
        assert set(published.unacknowledged) == {"edge-dc"}
        assert str(it.roles["dns"].snapshot.version) == "1.1"
        frozen.set()


async def test_a_node_may_take_the_longer_the_larger_the_offer_is(tmp_path):
    async with world(tmp_path, names=("dns",)) as it:
        await it.begin()
        current = it.publisher._current
        few, many = current.publish_s, dataclasses.replace(current, offer=bytes(5_300_000)).publish_s
        assert (round(few), many) == (15, 333), "an edge of 10,000 routes that starts takes a minute and a half"
