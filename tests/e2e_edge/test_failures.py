"""What dies: Envoy, backends, this process. Clients must not see what can be hidden from them."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess

import pytest

from tests.e2e_edge.conftest import AWS, CHECK, DC, HOST, counted, eventually, seen
from tests.support.http1 import load


def two_sites(stage, **options):
    near, far = stage.backend("near", **options), stage.backend("far")
    return near, far, {"old": {"check": CHECK, "dc": [near.endpoint], "aws": [far.endpoint]}}


ROUTES = [{"name": "pay", "split": {"old": 100}, "timeout": "10s"}]


async def reached(result, name, more=30):
    before = result.answered[name]

    async def grown():
        return result.answered[name] >= before + more

    await eventually(grown)


@pytest.mark.parametrize("how", ["kill", "freeze"])
async def test_no_get_fails_when_the_local_backend_dies_or_freezes(stage, how):
    near, _, backends = two_sites(stage)
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot(backends, ROUTES))
        async with load(DC, stage.port, HOST, "/", workers=16, pause_s=0.002) as result:
            await reached(result, "near")
            getattr(near, how)()
            await reached(result, "far", 200)
    assert not result.failures


async def test_no_get_fails_when_an_unchecked_backend_freezes(stage):
    near, far, _ = two_sites(stage)
    backends = {"old": {"dc": [near.endpoint], "aws": [far.endpoint]}}
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot(backends, ROUTES))
        async with load(DC, stage.port, HOST, "/") as result:
            await reached(result, "near")
            near.freeze()
            await reached(result, "far", 200)
    assert not result.failures


async def test_a_slow_answer_is_awaited_although_others_were_asked_meanwhile(stage):
    slow = stage.backend("slow", delay="1.5")
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot({"old": {"dc": [slow.endpoint]}}, ROUTES))
        assert (await stage.connection().ask("/", "GET")).status == 200
        assert (await stage.connection().ask("/", "POST", b"x")).status == 200
        await counted(runner, "pay", 2)
        posts = [item for item in await seen(slow) if item["method"] == "POST"]
    assert len(posts) == 1


@pytest.mark.parametrize(
    ("method", "status", "tries"), [("GET", 503, 3), ("GET", 500, 1), ("POST", 503, 1), ("PUT", 502, 1)]
)
async def test_only_safe_methods_are_tried_again_after_an_answer(stage, method, status, tries):
    near = stage.backend("near", status=str(status))
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot({"old": {"dc": [near.endpoint]}}, ROUTES))
        assert (await stage.connection().ask("/", method, b"", x_envoy_retry_on="5xx")).status == status
        assert (await counted(runner, "pay", 1)).requests == {"old": 1}
        assert len(await seen(near)) == tries


async def test_a_post_that_could_not_be_sent_goes_to_the_next_site(stage):
    near, far, _ = two_sites(stage)
    near.kill()
    backends = {"old": {"dc": [near.endpoint], "aws": [far.endpoint]}}
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot(backends, ROUTES))
        for _ in range(20):
            reply = await stage.connection().ask("/", "POST", b"hello")
            assert (reply.status, reply.json()["name"]) == (200, "far")
        assert len(await seen(far)) == 20


@pytest.mark.parametrize(("number", "words"), [(signal.SIGKILL, "SIGKILL"), (signal.SIGSTOP, "frozen")])
async def test_an_envoy_that_dies_or_freezes_is_replaced_and_counts_go_on(stage, number, words):
    _, _, backends = two_sites(stage)
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot(backends, ROUTES))
        for _ in range(5):
            await stage.connection().ask("/")
        await counted(runner, "pay", 5)
        first, _ = await runner.state()
        os.kill(first.pid, number)

        async def replaced():
            state, _ = await runner.state()
            return state if state.pid != first.pid and state.state == "live" else None

        state = await eventually(replaced)
        assert words in state.last_end
        assert (state.restarts, state.adopted) == (1, False)
        assert (await stage.connection().ask("/")).status == 200
        await counted(runner, "pay", 6)


async def test_a_restarted_role_adopts_the_envoy_that_served_meanwhile(stage):
    _, _, backends = two_sites(stage)
    async with stage.edge(end_envoy=False) as runner:
        await runner.publish(stage.snapshot(backends, ROUTES))
        first, _ = await runner.state()
    async with load(DC, stage.port, HOST, "/") as result:
        async with stage.edge() as runner:
            await runner.publish(stage.snapshot(backends, [{**ROUTES[0], "timeout": "9s"}]))
            second, _ = await runner.state()
            assert (second.pid, second.adopted, second.restarts) == (first.pid, True, 0)
            await reached(result, "near")
            assert not result.failures
            os.kill(second.pid, signal.SIGKILL)

            async def replaced():
                state, _ = await runner.state()
                return state.state == "live" and state.pid != first.pid

            await eventually(replaced)
    assert _gone(first.pid)


async def test_a_frozen_envoy_of_an_earlier_run_is_not_adopted(stage):
    _, _, backends = two_sites(stage)
    async with stage.edge(end_envoy=False) as runner:
        await runner.publish(stage.snapshot(backends, ROUTES))
        first, _ = await runner.state()
    os.kill(first.pid, signal.SIGSTOP)
    async with stage.edge() as runner:

        async def live():
            state, _ = await runner.state()
            return state if state.state == "live" else None

        state = await eventually(live)
        assert state.pid != first.pid
        assert not state.adopted
        assert (await stage.connection().ask("/")).status == 200


async def test_an_edge_starts_from_its_files_with_everything_else_gone(stage):
    _, _, backends = two_sites(stage)
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot(backends, ROUTES))
        first, _ = await runner.state()
    assert _gone(first.pid)
    async with stage.edge() as runner:

        async def serves():
            try:
                return (await stage.connection().ask("/")).status == 200
            except OSError:
                return False

        await eventually(serves)


async def test_the_admin_interface_is_a_private_socket_only(stage):
    _, _, backends = two_sites(stage)
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot(backends, ROUTES))
        envoy, _ = await runner.state()
        assert stat.S_IMODE((stage.folder / "dc" / "admin.sock").stat().st_mode) == 0o600
        listening = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True).stdout.splitlines()
        own = [line.split()[3] for line in listening if f"pid={envoy.pid}," in line]
    assert set(own) == {f"{DC}:{stage.port}"}
    assert AWS not in str(own)


def _gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_leaving_does_not_wait(stage):
    """A cancelled role lets go at once, before its first policy too."""
    async with stage.edge() as runner:
        await asyncio.sleep(0)
        state, routes = await runner.state()
    assert (state.state, state.pid, routes) == ("starting", None, ())
