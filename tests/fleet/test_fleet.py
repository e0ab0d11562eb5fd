"""Many machines as their users have them: changes reach all, and whatever dies, nobody goes back and nobody is silent."""

from __future__ import annotations

import asyncio
import os

import pytest
import pytest_asyncio

from gslb import clock
from tests.fleet.clients import answers, served
from tests.fleet.installation import ADDRESS, CONTROLS, EDGES, NODES, installation
from tests.support.etcd import needs_etcd

LONG = int(os.environ.get("CHAOS_ROUNDS", "1")) > 1
pytestmark = [
    needs_etcd, pytest.mark.e2e, pytest.mark.timeout(600), pytest.mark.asyncio(loop_scope="module"),
    *([pytest.mark.chaos] if LONG else []),
]  # fmt: skip

EQUAL_S = 5.0
NOISE = 6.0
"""What is promised in EQUAL_S may take so many times as long where others use the processors, too."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory):
    async with installation(tmp_path_factory.mktemp("fleet")) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def fleet(running):
    await running.heal()
    yield running
    assert running.watch.went_back() == {}


async def changed(fleet, control: str, *arguments: str):
    """Something is changed at a control; every node has it, and nothing else."""
    before, asked_s = fleet.version(), clock.mono_s()
    await fleet.gslb(control, *arguments, "--reason", "a test")
    await fleet.equal(after=before, within_s=EQUAL_S * NOISE)
    took_s = fleet.watch.since(fleet.version()) - asked_s
    print(f"{arguments[0]} at {control}: all nodes have it {took_s:.2f} s after Enter")


async def test_a_change_at_either_control_is_the_same_everywhere(fleet):
    await changed(fleet, "c1", "shift", "shop/all", "new=100")
    assert [set(await served(fleet, site)) for site in EDGES] == [{"new-aws"}, {"new-aws"}]
    await changed(fleet, "c2", "shift", "shop/all", "--undo")
    assert [set(await served(fleet, site)) for site in EDGES] == [{"old-dc"}, {"old-aws"}]

    here, there = await asyncio.gather(answers(fleet, "n1"), answers(fleet, "n2"))
    assert here == there
    assert {tuple(found) for found in here.values()} == {(ADDRESS["dc"],), (ADDRESS["aws"],)}

    await changed(fleet, "c2", "drain", "dc")
    here, there = await asyncio.gather(answers(fleet, "n1"), answers(fleet, "n2"))
    assert here == there
    assert {tuple(found) for found in here.values()} == {(ADDRESS["aws"],)}
    assert set(await served(fleet, "dc")) == {"old-aws"}, "who still comes to dc is served from elsewhere"
    await changed(fleet, "c1", "undrain", "dc")

    revision = fleet.version()[0]
    fleet.write_policy(lambda text: text.replace("ttl: 5s", "ttl: 7s"))
    await changed(fleet, "c2", "apply", str(fleet.policy), "-m", "another ttl", "--yes", "--all-at-once")
    assert fleet.version()[0] == revision + 1
    for seen in [await fleet.told(control) for control in CONTROLS]:
        assert sorted(seen) == sorted(NODES)
        assert {(n["revision"], n["overrides"], n["digest"]) for n in seen.values()} == {fleet.has()}
        assert all(node["in_sync"] for node in seen.values()), seen
