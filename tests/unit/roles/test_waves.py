"""Policies in waves, over real node endpoints, publishers and stores; only what a role does with a snapshot is a fake."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager

import pytest

from gslb.control.changes import drain, require, set_policy
from gslb.control.installation.registry import Machine, Registry
from gslb.control.installation.waves import overtaken
from gslb.errors import RefusedError
from gslb.model.policy import Policy
from gslb.roles.endpoint.node import Node, serve_unix
from gslb.roles.publishing.publish import RolePublisher
from gslb.snapshot.intent import Drain
from gslb.store.embedded import EmbeddedStore
from tests.support.trust import signing_in, trust_in
from tests.unit.roles.publishing.test_publish import AUDIT, BY, POLICY, Role

FLEET = ("m1/edge-dc", "m2/edge-aws", "m3/dns", "m4/dns")
"""Four machines with a process each; controls run on machines of their own."""


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    monkeypatch.setattr("gslb.roles.publishing.waving.LOOK_S", 0.05)
    for module in ("publish", "nodes", "rounds"):
        monkeypatch.setattr(f"gslb.roles.publishing.{module}.CONTACT_S", 0.1)
    monkeypatch.setattr("gslb.roles.publishing.nodes.POLL_S", 0.19)
    monkeypatch.setattr("gslb.roles.publishing.publish.HEAD_START_S", 0.1)


class Fleet:
    def __init__(self, folder):
        self.folder, self.log, self.servers, self.controls = folder, [], {}, {}
        self.roles = {name: Role(name, self.log) for name in FLEET}
        urls = {name: f"unix:{folder}/{name.replace('/', '-')}.sock" for name in FLEET}
        machines = [name.partition("/")[::2] for name in FLEET]
        self.registry = Registry(
            1, {m: Machine(name=m, processes={process: urls[f"{m}/{process}"]}) for m, process in machines}
        )

    async def start(self):
        for name, role in self.roles.items():
            folder = self.folder / name.replace("/", "-")
            folder.mkdir()
            self.servers[name] = await serve_unix(
                Node(role, folder, trust_in(self.folder)).app(), folder.with_suffix(".sock")
            )

    async def stop(self, name):
        await self.servers.pop(name).cleanup()

    def control(self, name, leads=True):
        made = RolePublisher(EmbeddedStore(self.folder), signing_in(self.folder), (), lambda _: None)
        made.nodes.reach_by(name, "gslb.example", ssl.create_default_context)
        made.nodes.take(self.registry)
        made.waving.term = lambda: 0 if leads else None
        self.controls[name] = made
        return made

    def have(self, revision):
        return {name for name, role in self.roles.items() if role.snapshot.version.revision == revision}


@asynccontextmanager
async def fleet(folder):
    made = Fleet(folder)
    await made.start()
    try:
        yield made
    finally:
        for name in list(made.servers):
            await made.stop(name)
        for control in made.controls.values():
            await control.close()
            control._store.close()


@asynccontextmanager
async def working(*controls):
    """Each follows its nodes, the store and the waves, as in the control role."""

    async def follow(control):
        while True:
            await asyncio.sleep(0.05)
            await control.load()

    async with asyncio.TaskGroup() as group:
        tasks = []
        for control in controls:
            await control.reach_all(0)
            tasks += [
                group.create_task(control.follow()),
                group.create_task(control.waving.run(control)),
                group.create_task(follow(control)),
            ]
        yield
        for task in tasks:
            task.cancel()


async def until(condition, seconds=20):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def apply(control, environment, bake_s=0.3):
    policy = Policy.model_validate({**POLICY, "environment": environment})
    return await control.change(lambda intent: set_policy(intent, policy), AUDIT, bake_s)


@asynccontextmanager
async def with_first_policy(folder, **given):
    async with fleet(folder) as it:
        control = it.control("c1", **given)
        async with working(control):
            published = await apply(control, "one")
            assert published.wave is None, "there is nothing to go back to, and nobody who serves anything"
            await until(lambda: it.have(1) == set(FLEET))
            yield it, control


async def test_a_policy_goes_from_wave_to_wave_and_returns_with_the_first(tmp_path):
    async with with_first_policy(tmp_path) as (it, control):
        published = await apply(control, "two")
        assert published.wave.stages == (("m1/edge-dc",), ("m2/edge-aws", "m3/dns"), ("m4/dns",))
        assert it.have(2) == {"m1/edge-dc"}
        assert published.unacknowledged == {}
        await until(lambda: control.waving.wave.phase == "done")
        assert it.have(2) == set(FLEET)
        assert [line.split()[0] for line in it.log if line.endswith(" 2.0")] == list(FLEET), "edges before name servers"


async def test_all_at_once_where_nobody_asked_for_waves(tmp_path):
    async with with_first_policy(tmp_path) as (it, control):
        published = await apply(control, "two", None)
        assert published.wave is None
        assert it.have(2) == set(FLEET)


async def test_a_wave_that_alarms_goes_back_everywhere_as_a_newer_revision(tmp_path):
    async with with_first_policy(tmp_path) as (it, control):
        digest = control.current()[1].digest
        await apply(control, "two", 30)
        ill = it.roles["m1/edge-dc"]
        state = await ill.state()

        async def restarted():
            return state.model_copy(update={"started_wall_s": 99.0})

        ill.state = restarted
        await until(lambda: control.waving.wave.phase == "back")
        await until(lambda: it.have(3) == set(FLEET))
        assert "m1/edge-dc: its process ended" in control.waving.wave.why
        assert {role.snapshot.digest for role in it.roles.values()} == {digest}
        assert not [line for line in it.log if line.endswith(" 2.0") and "m1" not in line], "nobody else ever had it"
        assert (await control.history(1))[0].entry.action == "wave-back"


async def test_a_wave_whose_node_falls_silent_goes_back_without_it(tmp_path, monkeypatch):
    monkeypatch.setattr("gslb.control.installation.waves.QUIET_S", 0.5)
    async with with_first_policy(tmp_path) as (it, control):
        await apply(control, "two", 30)
        await it.stop("m1/edge-dc")
        await until(lambda: control.waving.wave.phase == "back")
        assert it.have(3) == set(FLEET[1:])
        assert "silent" in control.waving.wave.why


async def test_a_refusal_in_a_wave_goes_back(tmp_path):
    async with with_first_policy(tmp_path) as (it, control):
        await apply(control, "two", 0.1)

        async def refuse(snapshot):
            if snapshot.version.revision == 2:
                raise RefusedError("no", "not on this machine", "never")
            it.roles["m2/edge-aws"].snapshot = snapshot

        it.roles["m2/edge-aws"].publish = refuse
        await until(lambda: control.waving.wave.phase == "back")
        assert "m2/edge-aws: " in control.waving.wave.why
        await until(lambda: it.have(3) == set(FLEET))


async def test_a_refusal_in_the_first_wave_is_told_at_once(tmp_path):
    async with with_first_policy(tmp_path) as (it, control):
        it.roles["m1/edge-dc"].refuses_publish = True
        with pytest.raises(RefusedError, match=r"m1/edge-dc: .*will not"):
            await apply(control, "two")
        await until(lambda: it.have(3) == set(FLEET))
        assert not control.waving.wave.is_on


async def test_who_leads_may_end_a_wave_at_the_moment_of_its_refusal(tmp_path):
    async with with_first_policy(tmp_path) as (it, control):
        await apply(control, "two", 30)
        await until(lambda: control.waving.wave.phase == "baking")  # it does not move any more by itself
        other = it.control("c2")
        await other.waving.read()
        await other.waving._put(overtaken(other.waving.wave, 3), None)
        await control.waving.end("m1/edge-dc will not")
        assert control.waving.wave == other.waving.wave


async def test_a_drain_reaches_everybody_while_a_policy_bakes_and_nobody_gets_that_with_it(tmp_path):
    async with with_first_policy(tmp_path) as (it, control):
        await apply(control, "two", 30)
        await control.change(lambda intent: drain(require(intent), Drain(site="dc", by=BY)), AUDIT)
        assert {name: str(role.snapshot.version) for name, role in it.roles.items()} == {
            "m1/edge-dc": "2.1", "m2/edge-aws": "1.1", "m3/dns": "1.1", "m4/dns": "1.1",
        }  # fmt: skip
        assert all("dc" in role.snapshot.apps["shop"].no_entry for role in it.roles.values())
        assert {role.snapshot.environment for name, role in it.roles.items() if name != "m1/edge-dc"} == {"one"}


async def test_going_back_keeps_what_was_drained_meanwhile(tmp_path):
    async with with_first_policy(tmp_path) as (it, control):
        await apply(control, "two", 30)
        await control.change(lambda intent: drain(require(intent), Drain(site="dc", by=BY)), AUDIT)
        state = await it.roles["m1/edge-dc"].state()

        async def not_ready():
            return state.model_copy(update={"ready": False})

        it.roles["m1/edge-dc"].state = not_ready
        await until(lambda: it.have(3) == set(FLEET))
        assert all("dc" in role.snapshot.apps["shop"].no_entry for role in it.roles.values())


async def test_another_control_carries_on_when_the_one_that_led_is_gone(tmp_path):
    async with fleet(tmp_path) as it:
        first, second = it.control("c1"), it.control("c2")
        async with working(second):
            async with working(first):
                await apply(first, "one")
                second.waving.term = lambda: None
                await apply(first, "two", 0.4)
            assert it.have(2) == {"m1/edge-dc"}
            await until(lambda: second.waving.wave is not None and second.revision() == 2)
            await asyncio.sleep(1)
            assert it.have(2) == {"m1/edge-dc"}, "who does not lead does not move it, nor catches up who must wait"
            second.waving.term = lambda: 0
            await until(lambda: second.waving.wave.phase == "done")
            assert it.have(2) == set(FLEET)


async def test_another_control_takes_back_what_alarms_after_the_leader_is_gone(tmp_path):
    async with fleet(tmp_path) as it:
        first, second = it.control("c1"), it.control("c2", leads=False)
        async with working(second):
            async with working(first):
                await apply(first, "one")
                await apply(first, "two", 30)
            state = await it.roles["m1/edge-dc"].state()

            async def restarted():
                return state.model_copy(update={"started_wall_s": 99.0})

            it.roles["m1/edge-dc"].state = restarted
            second.waving.term = lambda: 0
            await until(lambda: second.waving.wave is not None and second.waving.wave.phase == "back")
            assert it.have(3) == set(FLEET)


async def test_a_later_policy_ends_the_waves_and_goes_first_to_who_has_the_unbaked_one(tmp_path):
    async with with_first_policy(tmp_path) as (it, control):
        await apply(control, "two", 30)
        published = await apply(control, "three", 30)
        assert (published.wave.before, published.wave.here) == (1, ("m1/edge-dc",))
        assert (it.have(3), it.have(1)) == ({"m1/edge-dc"}, set(FLEET[1:]))
        await apply(control, "four", None)
        assert it.have(4) == set(FLEET)
        await until(lambda: control.waving.wave.phase == "over")


async def test_a_position_that_does_not_read_stops_nobody(tmp_path):
    async with with_first_policy(tmp_path) as (it, control):
        control._store.put("wave", control._store.document("wave").number, b"{}")
        await apply(control, "two", 0.1)
        await until(lambda: control.waving.wave.phase == "done")
        assert it.have(2) == set(FLEET)
