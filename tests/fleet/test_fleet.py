"""Many machines as their users have them: changes reach all, and whatever dies, nobody goes back and nobody is silent."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
import pytest_asyncio

from gslb import clock
from gslb.control.installation.leader import BEAT, LEASE_S
from gslb.errors import RefusedError
from gslb.store import TERM, open_store
from tests.fleet.clients import answers, ask, load, served
from tests.fleet.installation import ADDRESS, CONTROLS, EDGES, NAMESERVERS, NODES, PROCESS, STARTS_S, installation
from tests.support.etcd import needs_etcd
from tests.support.running_demo import eventually

LONG = int(os.environ.get("CHAOS_ROUNDS", "1")) > 1
pytestmark = [
    needs_etcd, pytest.mark.e2e, pytest.mark.timeout(600), pytest.mark.asyncio(loop_scope="module"),
    *([pytest.mark.chaos] if LONG else []),
]  # fmt: skip

EQUAL_S, SERVES_S = 5.0, 1.0
NOISE = 20.0
"""What is promised may take so many times as long where others use the processors, too: the figures are printed."""
PAUSE_S = 30.0 if LONG else LEASE_S + 2
AWAY_S = float(os.environ.get("STORE_AWAY_S", "600" if LONG else "15"))
"""For how long the store is gone."""
LINES_PER_S, GROWTH_KIB = 0.5, 20_000
FALLS = 3
"""Each fall within ten minutes doubles how long a site must be well before it is answered again."""


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


async def test_a_policy_goes_in_waves_and_what_crashes_a_node_goes_back(fleet):
    first, rest, last = ("aws",), ("dc", "n1"), ("n2",)
    revision, digest = fleet.version()[0], fleet.has()[2]
    fleet.write_policy(lambda text: text.replace("ttl: 5s", "ttl: 8s"))
    apply = ("apply", str(fleet.policy), "-m", "a ttl", "--yes", "--bake", "2s", "--wait")
    await fleet.gslb("c2", *apply)
    await fleet.equal(after=(revision, 10**9))
    had_s = {name: fleet.watch.first(name, revision + 1) for name in NODES}
    for earlier, later in ((first, rest), (rest, last)):
        assert max(had_s[name] for name in earlier) < min(had_s[name] for name in later), had_s

    good = fleet.has()
    fleet.write_policy(lambda text: text.replace("ttl: 5s", "ttl: 9s"))
    async with asyncio.TaskGroup() as group:
        bad = group.create_task(fleet.gslb("c1", *apply[:-2], "20s", "--wait", code=None))
        await eventually(lambda: has_revision(fleet, "aws", revision + 2), 60, "the first wave has it")
        os.kill(fleet.machines["aws"].role_pid(), signal.SIGKILL)
    result = bad.result()
    assert (result.code, "back" in result.out + result.err) == (1, True), (result.out, result.err)
    await fleet.equal(after=(revision + 2, 10**9))
    assert fleet.has()[2] == good[2] != digest
    assert all(fleet.watch.first(name, revision + 2) is None for name in (*rest, *last)), "nobody else ever had it"
    fleet.write_policy()
    await changed(fleet, "c1", "apply", str(fleet.policy), "-m", "as before", "--yes", "--all-at-once")


async def has_revision(fleet, name: str, revision: int) -> bool:
    return fleet.watch.first(name, revision) is not None


KILLED = [("role", "c1"), ("role", "n1"), ("role", "dc"), ("envoy", "aws"), ("etcd", ""), ("all", "n2")]
ALL_KILLED = [
    *(("role", name) for name in PROCESS), *(("envoy", name) for name in EDGES),
    *(("etcd", "") for _ in range(3)), *(("all", name) for name in PROCESS),
]  # fmt: skip


async def test_whatever_is_killed_nothing_fails_but_what_was_in_flight_on_it(fleet):
    for what, name in ALL_KILLED if LONG else KILLED:
        had = fleet.has()
        async with load(fleet) as clients:
            await asyncio.sleep(1)
            killed_s = clock.mono_s()
            await kill(fleet, what, name)
            back_s = clock.mono_s() - killed_s
            await fleet.equal()
            await asyncio.sleep(1)
        print(f"{what} {name}: back after {back_s:.2f} s; {clients.counts()}")
        assert fleet.has() == had
        assert (clients.wrong, clients.lost) == ([], []), (what, name)
        assert set(clients.silent) <= {name}, "the other nameserver answers all along"
        dead = {name} if what == "envoy" else set()
        assert {site for site, _, _ in clients.failed} <= dead, clients.failed
        assert [failed for failed in clients.failed if failed[1] > killed_s] == [], "it was not in flight"
        assert set(clients.refused) <= dead, "an edge is there whatever else is not"


async def kill(fleet, what: str, name: str) -> None:
    """kill -9, and wait until whoever looks after it has brought it back. `all` is a supervisor, whose role goes with
    it."""
    if what == "etcd":
        member = await asyncio.to_thread(fleet.etcd.leader)
        member.kill()
        await asyncio.sleep(1)
        member.start(fleet.etcd.members)
        await asyncio.to_thread(fleet.etcd.wait, [member])
        return
    machine, part = fleet.machines[name], "envoy" if what == "envoy" else "role"
    before = await machine.pid(part)
    if what == "all":
        await machine.end(signal.SIGKILL)
        await machine.start()
    else:
        os.kill(before, signal.SIGKILL)

    async def is_back():
        now = await machine.pid(part)
        return now not in {None, before} and await machine.serves()

    await eventually(is_back, STARTS_S, f"{what} {name} is back")


async def test_a_leader_that_is_killed_is_followed_by_another_and_changes_do_not_wait(fleet):
    leader = await fleet.leader()
    other = next(name for name in CONTROLS if name != leader)
    term = (await fleet.lead(other))["term"]
    os.kill(fleet.machines[leader].role_pid(), signal.SIGKILL)
    await changed(fleet, other, "shift", "shop/all", "new=20")
    await eventually(lambda: fleet.leads_since(term), 60, "somebody leads")
    await changed(fleet, leader, "shift", "shop/all", "--undo")


async def test_a_leader_that_slept_is_fenced_and_what_it_had_begun_is_refused(fleet):
    leader = await fleet.leader()
    other = next(name for name in CONTROLS if name != leader)
    sleeper = fleet.machines[leader]
    store = open_store(fleet.store(leader), fleet.folder)
    term = store.document(TERM).number
    async with asyncio.TaskGroup() as group:
        try:
            async with fleet.held() as until_asked:  # it has read, and has not written
                late = group.create_task(fleet.gslb(leader, "shift", "shop/all", "new=50", code=None))
                await until_asked()
                sleeper.sleep()
            slept_s = clock.mono_s()
            await changed(fleet, other, "shift", "shop/all", "new=100")
            await eventually(lambda: fleet.leads_since(term), 60, "the other control leads")
            await asyncio.sleep(max(0.0, PAUSE_S - (clock.mono_s() - slept_s)))
            since = fleet.version()
            await changed(fleet, other, "drain", "dc")
        finally:
            asleep_log = len(sleeper.log())
            sleeper.wake()
    result = late.result()
    assert (result.code, "stale" in result.err) == (1, True), (result.out, result.err)
    with pytest.raises(RefusedError) as fenced:
        store.put(BEAT, store.document(BEAT).number, b"", term)
    assert fenced.value.rule == "fenced"
    assert fleet.version() > since
    woken_s = clock.mono_s()
    await fleet.equal(within_s=EQUAL_S * NOISE)
    print(f"{leader} slept for {woken_s - slept_s:.1f} s; all equal {clock.mono_s() - woken_s:.2f} s after")
    assert not (await fleet.lead(leader))["here"], "it knows that it leads no more"
    assert "role-unreachable" not in sleeper.log()[asleep_log:], "who slept asks before it complains"
    assert {tuple(found) for found in (await answers(fleet, "n1")).values()} == {(ADDRESS["aws"],)}
    await changed(fleet, leader, "undrain", "dc")
    await changed(fleet, leader, "shift", "shop/all", "--undo")


async def test_a_site_leaves_though_two_of_three_members_of_the_store_are_gone(fleet):
    await an_emergency_key(fleet)
    drain, ca = str(fleet.folder / "drain.json"), str(fleet.machines["c1"].data / "trust" / "ca.pem")
    async with load(fleet) as clients:
        first, second, _ = fleet.etcd.members
        await asyncio.to_thread(first.kill)
        await changed(fleet, "c1", "shift", "shop/all", "new=10")
        await asyncio.to_thread(second.kill)
        had = fleet.has()
        refused = await fleet.gslb("c2", "drain", "dc", "--reason", "fire", code=None)
        assert (refused.code, "etcd" in refused.err) == (2, True), refused.err
        assert "Traceback" not in refused.err
        assert fleet.has() == had

        await fleet.gslb("n1", "node", "drain", "dc", "--all", "--reason", "fire")
        for name in ("n2", "dc"):
            await fleet.gslb("c1", "node", "override", drain, "--node", fleet.url(name), "--ca", ca)
        await fleet.gslb("aws", "node", "override", drain, "--all")
        for nameserver in NAMESERVERS:
            found = await answers(fleet, nameserver)
            assert {tuple(addresses) for addresses in found.values()} == {(ADDRESS["aws"],)}, nameserver
        assert set(await served(fleet, "dc")) <= {"old-aws", "new-aws"}
        status = (await fleet.gslb("n2", "node", "status", "--json")).json["nodes"]["dns"]
        assert status["broken_glass"]["deeds"][0]["by"]["author"]

        for member in (first, second):
            member.start(fleet.etcd.members)
        await asyncio.to_thread(fleet.etcd.wait, fleet.etcd.members)
        back_s, before = clock.mono_s(), fleet.version()
        await eventually(lambda: done(fleet, "c1", "drain", "dc"), 60, "control drains again")
        await fleet.equal(after=before)
        print(f"all agree {fleet.watch.since(fleet.version()) - back_s:.2f} s after the store was back")
    assert (clients.wrong, clients.lost, clients.failed) == ([], [], [])
    await changed(fleet, "c2", "undrain", "dc")
    await changed(fleet, "c2", "shift", "shop/all", "--undo")


async def test_who_restarts_while_store_and_controls_are_gone_serves_from_disk(fleet):
    await changed(fleet, "c1", "drain", "dc")
    had, nameserver = fleet.has(), fleet.machines["n1"]
    for control in CONTROLS:
        await fleet.machines[control].end(signal.SIGKILL)
    await asyncio.to_thread(fleet.etcd.close)
    async with load(fleet) as clients:
        before = nameserver.role_pid()
        os.kill(before, signal.SIGKILL)
        print(f"the dns process killed: answers after {await until_answered(fleet):.2f} s")
        await nameserver.end()
        await nameserver.start()
        print(f"its machine started anew: answers after {await until_answered(fleet):.2f} s")
        await fleet.machines["dc"].end()
        await fleet.machines["dc"].start()
        await fleet.equal()
        assert set(await served(fleet, "dc")) == {"old-aws"}
        assert set(clients.answered) == {ADDRESS["aws"]}
    assert (clients.wrong, clients.lost, clients.failed) == ([], [], [])
    assert set(clients.silent) <= {"n1"}
    assert fleet.has() == had
    await fleet.heal()
    await changed(fleet, "c2", "undrain", "dc")


@pytest.mark.timeout(600 + AWAY_S)
async def test_while_the_store_is_away_all_goes_on_and_nothing_piles_up(fleet):
    """As long as it takes: answers, health by the nodes' own view, and the same memory, files and lines of log."""
    had, control = fleet.has(), [fleet.machines[name] for name in CONTROLS]
    await asyncio.to_thread(fleet.etcd.close)
    await asyncio.sleep(min(30.0, AWAY_S / 3))  # until what they say once is said
    others = [name for name in PROCESS if name != "aws"]
    before = {name: taken_by(fleet.machines[name]) for name in others}
    async with load(fleet) as clients:
        gone_s, rounds = clock.mono_s(), 0
        while clock.mono_s() - gone_s < AWAY_S or not rounds:
            rounds += 1
            if rounds <= FALLS:
                await a_site_dies_and_comes_back(fleet)
            else:
                await asyncio.sleep(5)
            refused = await fleet.gslb("c1", "drain", "dc", "--reason", "fire", code=None)
            assert (refused.code, "etcd" in refused.err) == (2, True), refused.err
            assert all(await asyncio.gather(*(machine.ask("/v1/status", 10) for machine in control)))
        lasted_s = clock.mono_s() - gone_s
        after = {name: taken_by(fleet.machines[name]) for name in others}
    print(f"without the store for {lasted_s:.0f} s, {rounds} changes refused; {clients.counts()}")
    for name in others:
        (kib, files, lines), (kib_then, files_then, lines_then) = before[name], after[name]
        print(f"{name}: {kib} KiB, then {kib_then}; {files} files, then {files_then}; {lines_then - lines} lines")
        assert kib_then - kib < GROWTH_KIB, name
        assert files_then - files < 20, name
        assert lines_then - lines < 30 + LINES_PER_S * lasted_s, fleet.machines[name].log()[-3000:]
    assert (clients.wrong, clients.lost) == ([], [])
    assert {site for site, _, _ in clients.failed} <= {"aws"}, clients.failed
    assert fleet.has() == had
    await fleet.heal()
    await changed(fleet, "c1", "drain", "dc")
    await changed(fleet, "c2", "undrain", "dc")


async def a_site_dies_and_comes_back(fleet) -> None:
    """Nodes see that by themselves, and answer with the other site alone; it comes back from its own disk."""
    machine = fleet.machines["aws"]
    for turn, sites in ((lambda: machine.end(signal.SIGINT), ("dc",)), (machine.start, EDGES)):
        await turn()
        wanted = {(ADDRESS[site],) for site in sites}

        async def is_seen(wanted=wanted):
            found = [await answers(fleet, nameserver) for nameserver in NAMESERVERS]
            return all(set(map(tuple, (v for v in one.values() if v))) == wanted for one in found)

        await eventually(is_seen, STARTS_S, f"{' and '.join(sites)} are answered")


def taken_by(machine) -> tuple[int, int, int]:
    """KiB of memory, open files, and lines of log, of its role process."""
    pid = machine.role_pid()
    status = Path(f"/proc/{pid}/status").read_text()
    kib = int(status.partition("VmRSS:")[2].split()[0])
    return kib, len(list(Path(f"/proc/{pid}/fd").iterdir())), machine.log().count("\n")


async def until_answered(fleet) -> float:
    """Seconds from now until the first nameserver answers, with what was drained."""
    began_s = clock.mono_s()
    found = await eventually(lambda: ask(fleet, "n1", timeout_s=0.1), SERVES_S * NOISE, "n1 answers from its disk")
    assert found == [ADDRESS["aws"]]
    return clock.mono_s() - began_s


async def an_emergency_key(fleet) -> None:
    """One that the machines believe, because a control was told, and a drain of dc that it has signed."""
    key, c1 = str(fleet.folder / "ann.key"), "c1"
    await fleet.gslb(c1, "override", "key", "ann", "-o", key)
    await fleet.gslb(c1, "override", "believe", f"{key}.pub", "--data", str(fleet.machines[c1].data))
    believed = (await fleet.gslb(c1, "trust", "signers", "--json", "--data", str(fleet.machines[c1].data))).json

    async def is_told():
        states = [await fleet.machines[name].ask("/state") for name in NODES]
        return all(state and state["signers"] >= believed["number"] for state in states)

    asked_s = clock.mono_s()
    await eventually(is_told, 60, "every node believes the key")
    print(f"every node believes another key {clock.mono_s() - asked_s:.2f} s after a control does")
    wanted = ("--environment", "fleet", "--for", "1h", "--reason", "fire", "--key", key)
    await fleet.gslb(c1, "override", "sign", "drain", "dc", *wanted, "-o", str(fleet.folder / "drain.json"))


async def done(fleet, control: str, *arguments: str) -> bool:
    return (await fleet.gslb(control, *arguments, code=None)).code == 0
