"""What a node holds: generations on disk, crash loops, damage, apps that cannot be served any more, and its age."""

from __future__ import annotations

import asyncio
import json

import pytest
import structlog.testing

from gslb.control import forcing, mirrors
from gslb.control.changes import drain, set_policy
from gslb.errors import HostError, RefusedError
from gslb.roles.endpoint.node_client import NodeClient
from gslb.roles.keeping.generation_files import GenerationFiles
from gslb.roles.keeping.generations import CRASHES, Record, took
from gslb.roles.keeping.offers import applied_of
from gslb.snapshot import compile_snapshot
from gslb.snapshot.intent import Forced, MirrorStop
from tests.support.trust import offer
from tests.unit.control.world import NOW_S, POLICY, a_drain, by, intent, policy
from tests.unit.roles.node_process import Process, good, process

# Generations ----------------------------------------------------------------------------------------------------------


async def test_three_good_generations_stay_on_disk(tmp_path, clocks):
    await good(tmp_path, clocks, 1, 2, 3, 4)
    async with process(tmp_path) as it:
        state = await it.state()
        assert (it.version, state.good_generations, state.stepped_back_from) == ("4.0", 3, None)


async def test_a_crash_loop_steps_back_says_so_and_takes_that_offer_no_more(tmp_path, clocks):
    await good(tmp_path, clocks, 1, 2)
    async with process(tmp_path) as it:
        await it.publish(3)
    for _ in range(CRASHES - 1):
        async with process(tmp_path) as it:
            assert it.version == "3.0"
    with structlog.testing.capture_logs() as lines:
        async with process(tmp_path) as it:
            assert it.version == "2.0"
            state = await it.state()
            assert (state.applied.revision, state.stepped_back_from.revision, state.ready) == (2, 3, True)
            assert "crashed again and again" in (await it.publish(3)).reasons[0]
            assert "older" in (await it.publish(2)).reasons[0]
            assert it.version == "2.0"
            it.node.stop()
    assert next(line["stepped_back_from"] for line in lines if line["log_level"] == "error") == "3.0"
    async with process(tmp_path) as it:
        assert "stepped-back" in (await it.publish(3)).reasons[0], "also after a restart"
        await it.publish(4)
        assert (it.version, (await it.state()).stepped_back_from) == ("4.0", None)


async def test_a_crash_while_an_offer_is_put_in_force_counts_against_it(tmp_path, clocks):
    await good(tmp_path, clocks, 1)

    class Crash(BaseException):
        """What no process survives."""

    it = Process(tmp_path)
    await it.begin()
    await it.node.resume()
    body = offer(intent().model_copy(update={"revision": 2}), NOW_S).model_dump_json().encode()
    it.role.chokes_on = {"2.0": Crash()}
    with pytest.raises(Crash):
        await it.node._holding.take(body)
    await it.end()
    for _ in range(CRASHES - 1):
        it = Process(tmp_path)
        await it.begin(**{"2_0": Crash()})
        with pytest.raises(Crash):
            await it.node.resume()
        await it.end()
    async with process(tmp_path, **{"2_0": Crash()}) as it:
        assert it.version == "1.0"


async def test_an_offer_that_the_role_refuses_leaves_no_trace(tmp_path, clocks):
    await good(tmp_path, clocks, 1)
    async with process(tmp_path, **{"2_0": RefusedError("no", "not this one", "another")}) as it:
        assert "not this one" in (await it.publish(2)).reasons[0]
        assert (await it.state()).applied.revision == 1
    async with process(tmp_path) as it:
        assert it.version == "1.0"
        await it.publish(2)
        assert it.version == "2.0", "the role changed its mind, and nothing stands in the way"


async def test_what_is_served_survives_on_disk_that_the_role_refuses_the_next(tmp_path, clocks):
    async with process(tmp_path, **{"3_0": RefusedError("no", "not this one", "another")}) as it:
        await it.publish(1)
        await it.publish(2)
        await it.publish(3)
    async with process(tmp_path) as it:
        assert it.version == "2.0"


@pytest.mark.parametrize("path", ["/prepare", "/publish"])
async def test_a_bug_that_an_offer_meets_refuses_it(tmp_path, clocks, path):
    async with process(tmp_path, **{"2_0": ZeroDivisionError("of something")}) as it:
        await it.publish(1)
        wanted = intent().model_copy(update={"revision": 2})
        with structlog.testing.capture_logs() as lines:
            answer = await it.client.offer(path, offer(wanted, NOW_S), 5)
        assert answer.reasons == ("unexpected ZeroDivisionError: of something",)
        assert [line["log_level"] for line in lines] == ["error"]
        assert it.version == "1.0"


async def test_a_damaged_generation_is_passed_over_and_never_baked(tmp_path, clocks):
    await good(tmp_path, clocks, 1, 2, 3)
    (newest,) = (tmp_path / "generations").glob("3.0.*")
    newest.write_bytes(newest.read_bytes()[:-1])
    async with process(tmp_path) as it:
        assert it.version == "2.0"
        assert "older" in (await it.publish(2, policy_of("x"))).reasons[0]
        await it.publish(3)
        assert it.version == "3.0"


def policy_of(environment):
    return intent().model_copy(update={"policy": policy(environment=environment)})


async def test_a_generation_that_cannot_be_served_any_more_gives_way_to_the_one_before(tmp_path, clocks):
    await good(tmp_path, clocks, 1, 2)
    async with process(tmp_path, **{"2_0": KeyError("x")}) as it:
        assert it.version == "1.0"
        it.node.stop()
    async with process(tmp_path) as it:
        assert it.version == "2.0", "its time has come again"


async def test_the_machine_in_the_way_ends_the_role_and_is_no_crash(tmp_path, clocks):
    await good(tmp_path, clocks, 1)
    async with process(tmp_path) as it:
        await it.publish(2)
        it.node.stop()
    for _ in range(2 * CRASHES):
        it = Process(tmp_path)
        await it.begin(**{"2_0": HostError("port 53 is taken", "give it back")})
        with pytest.raises(HostError):
            await it.node.resume()
        await it.end()
    async with process(tmp_path) as it:
        assert it.version == "2.0"


async def test_control_that_is_quicker_than_the_disk_wins(tmp_path, clocks):
    await good(tmp_path, clocks, 1)
    async with process(tmp_path, resumes=False) as it:
        await it.publish(2)
        await it.node.resume()
        assert it.version == "2.0"


async def test_a_full_disk_costs_the_memory_and_not_the_change(tmp_path, clocks, monkeypatch):
    await good(tmp_path, clocks, 1)

    def full(*_):
        raise HostError("no space left", "free some")

    async with process(tmp_path) as it:
        monkeypatch.setattr("gslb.roles.keeping.generation_files.write_whole", full)
        await it.publish(2)
        assert it.version == "2.0"
        assert "older" in (await it.publish(1)).reasons[0]
        it.node.stop()
    monkeypatch.undo()
    async with process(tmp_path) as it:
        assert it.version == "1.0"


def unsigned_offer():
    """As gslb 0.1 kept it."""
    return {"intent": intent().model_dump(mode="json"), "wall_s": NOW_S}


async def test_what_gslb_0_1_kept_is_taken_over(tmp_path, clocks):
    old = tmp_path / "last-good.json"
    old.write_text(json.dumps(unsigned_offer()))
    async with process(tmp_path) as it:
        assert it.version == "1.0"
    assert not old.exists()
    async with process(tmp_path) as it:
        assert it.version == "1.0"


# A bug that meets one app ---------------------------------------------------------------------------------------------


async def test_an_app_that_cannot_be_served_any_more_is_left_out_alone(tmp_path, clocks):
    apps = {f"app{n}": {**POLICY["apps"]["blog"], "hosts": [f"h{n}"]} for n in range(5)}
    wanted = drain(set_policy(None, policy(apps=apps)), a_drain("dc", "app3"))
    async with process(tmp_path) as it:
        await it.publish(1, wanted)
        it.node.stop()
    with structlog.testing.capture_logs() as lines:
        async with process(tmp_path, app3=ZeroDivisionError()) as it:
            assert sorted(it.role.snapshot.apps) == ["app0", "app1", "app2", "app4"]
            state = await it.state()
            assert (state.left_out, state.ready) == (("app3",), True)
            it.node.stop()
    assert "app3" in {line.get("app") for line in lines}
    async with process(tmp_path) as it:
        assert len(it.role.snapshot.apps) == 5
        assert (await it.state()).left_out == ()


async def test_whatever_people_said_of_an_app_that_is_left_out_is_in_nobodys_way(tmp_path, clocks):
    wanted = mirrors.stop(intent(), MirrorStop(app="shop", route="pay", by=by()))
    wanted = forcing.force(wanted, Forced(app="shop", site="dc", state="up", by=by(reason="probes lie")))
    async with process(tmp_path) as it:
        await it.publish(1, wanted)
        it.node.stop()
    async with process(tmp_path, shop=ZeroDivisionError()) as it:
        assert (list(it.role.snapshot.apps), (await it.state()).left_out) == (["blog"], ("shop",))


async def test_an_offer_that_this_version_does_not_understand_in_one_place_loses_that_place_alone(tmp_path, clocks):
    content = unsigned_offer()
    content["intent"]["policy"]["apps"]["shop"]["from_another_version"] = 1
    (tmp_path / "last-good.json").write_text(json.dumps(content))
    async with process(tmp_path) as it:
        assert it.version is None, "what never was a generation is nothing to save"
    await good(tmp_path, clocks, 1)
    folder = tmp_path / "generations"
    (item,) = folder.glob("1.0.*")
    item.unlink()
    files = GenerationFiles(tmp_path)
    applied = applied_of(compile_snapshot(intent(), NOW_S))
    files.save(took(Record(), files.add(json.dumps(content).encode(), applied, 0.0), 0.0))
    async with process(tmp_path) as it:
        assert list(it.role.snapshot.apps) == ["blog"]
        assert (await it.state()).left_out == ("shop",)


@pytest.mark.parametrize("error", [RefusedError("no", "nothing at all", "wait"), KeyError("all")])
async def test_where_no_app_can_be_served_the_node_waits_for_control(tmp_path, clocks, error):
    await good(tmp_path, clocks, 1)
    async with process(tmp_path, shop=error, blog=error) as it:
        assert (it.version, (await it.state()).applied) == (None, None)
        it.role.chokes_on = {}
        await it.publish(1)
        assert it.version == "1.0"


# Age ------------------------------------------------------------------------------------------------------------------


async def test_the_age_of_what_a_node_has_survives_a_restart_and_silence_is_of_control_alone(tmp_path, clocks):
    async with process(tmp_path) as it:
        state = await it.state()
        assert (state.snapshot_age_s, state.control_silence_s) == (None, 0)
        await it.publish(1)
        clocks(100)
        other = NodeClient("dns", it.socket, "supervisor")
        await other.read()
        clocks(10)
        await other.read()
        await other.close()
        assert other.state.control_silence_s == 110
        state = await it.state()
        assert (state.snapshot_age_s, state.control_silence_s) == (110, 110)
        clocks(5)
        assert (await it.state()).control_silence_s == 5
    clocks(1000)
    async with process(tmp_path) as it:
        state = await it.state()
        assert (state.snapshot_age_s, state.control_silence_s, state.ready) == (1115, 0, True)


async def test_looking_goes_on_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr("gslb.roles.endpoint.node.LOOK_S", 0.01)
    monkeypatch.setattr("gslb.roles.keeping.generations.BAKE_S", 0.05)
    async with process(tmp_path) as it:
        await it.publish(1)
        async with asyncio.TaskGroup() as group:
            looking = group.create_task(it.node.look())
            async with asyncio.timeout(10):
                while (await it.state()).good_generations == 0:
                    await asyncio.sleep(0.01)
            looking.cancel()
