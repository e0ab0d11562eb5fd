"""What breaks is replaced or left out, and nobody else notices."""

import asyncio
import contextlib
import io
import os
import signal
import socket

from tests.support.running_demo import ADDRESS, HOST, eventually, running_demo


async def replaced(demo, site: str, old: int) -> None:
    async def new():
        with contextlib.suppress(AssertionError):
            envoy = (await demo.status())["edges"][site]
            return envoy["state"] == "live" and envoy["pid"] != old
        return False

    await eventually(new, 20)

    async def serves():
        with contextlib.suppress(Exception):
            return (await demo.fetch("/rest", site))[0] == 200
        return False

    await eventually(serves)


async def test_a_killed_envoy_is_replaced_and_the_other_site_is_untouched(demo):
    old = await demo.envoy_pid("dc")
    async with demo.load("/rest", rate=200, site="aws") as outcomes:
        os.kill(old, signal.SIGKILL)
        await replaced(demo, "dc", old)
    assert set(outcomes) == {200}, outcomes


async def test_a_frozen_envoy_is_replaced_and_the_other_site_is_untouched(demo):
    old = await demo.envoy_pid("dc")
    async with demo.load("/rest", rate=200, site="aws") as outcomes:
        os.kill(old, signal.SIGSTOP)
        await replaced(demo, "dc", old)
    assert set(outcomes) == {200}, outcomes


async def test_killed_roles_come_back_and_traffic_goes_on_meanwhile(demo):
    pids = {name: role["pid"] for name, role in (await demo.status())["roles"].items() if name != "control"}
    envoy = await demo.envoy_pid("dc")
    async with demo.load("/rest", rate=200) as outcomes:
        os.kill(demo.facts["pids"]["control"], signal.SIGKILL)
        assert await demo.addresses()
        for name in ("dns", "edge-aws"):
            os.kill(pids[name], signal.SIGKILL)

        async def back():
            result = await demo.gslb("status", "--json")
            return result.code == 0 and all(
                role["in_sync"] and role["state"] == "ready" for role in result.json["roles"].values()
            )

        await eventually(back, 20)
    assert set(outcomes) == {200}, outcomes
    assert await demo.addresses()
    assert await demo.envoy_pid("dc") == envoy
    assert (await demo.gslb("shift", "shop/checkout", "checkout=20")).code == 0


async def test_a_dead_backend_is_hidden_from_gets_and_its_site_leaves_dns(demo):
    async with demo.load("/rest", rate=200) as outcomes:
        os.kill(demo.backend_pid("monolith", "dc"), signal.SIGKILL)

        async def left():
            return set(await demo.answered_sites(40)) == {ADDRESS["aws"]}

        await eventually(left, 20)
        site = (await demo.status())["sites"]["dc"]
        assert site["verdict"] == "down"
        assert "monolith" in site["reason"]
    assert set(outcomes) == {200}, outcomes
    assert set(await demo.services("/rest", 40, "dc")) == {("monolith", "aws")}


async def test_a_frozen_backend_is_hidden_from_gets(demo):
    async with demo.load("/rest", rate=100) as outcomes:
        os.kill(demo.backend_pid("monolith", "dc"), signal.SIGSTOP)

        async def left():
            return set(await demo.answered_sites(40)) == {ADDRESS["aws"]}

        await eventually(left, 20)
    assert set(outcomes) == {200}, outcomes


async def test_a_site_that_comes_back_is_answered_again(demo):
    pid = demo.backend_pid("monolith", "dc")
    os.kill(pid, signal.SIGSTOP)

    async def down():
        return (await demo.status())["sites"]["dc"]["verdict"] == "down"

    async def up():
        return (await demo.status())["sites"]["dc"]["verdict"] == "up"

    await eventually(down)
    os.kill(pid, signal.SIGCONT)
    await eventually(up)
    assert set(await demo.answered_sites(200)) == set(ADDRESS.values())


async def test_everything_down_answers_with_everybody(demo):
    for site in ("dc", "aws"):
        os.kill(demo.backend_pid("monolith", site), signal.SIGKILL)

    async def down():
        sites = (await demo.status())["sites"]
        return all(site["verdict"] == "down" for site in sites.values())

    await eventually(down)
    assert sorted(await demo.addresses()) == sorted(ADDRESS.values())


async def test_a_dead_canary_removes_nobody(tmp_path):
    """The demo's policy with every share of checkout under half: then it is a canary."""
    canary = lambda text: text.replace("{monolith: 50, checkout: 50}", "{monolith: 80, checkout: 20}")  # noqa: E731
    async with running_demo(tmp_path, edit=canary) as demo:
        async with demo.load("/checkout/x", rate=200) as outcomes:
            os.kill(demo.backend_pid("checkout", "aws"), signal.SIGKILL)
            await asyncio.sleep(5)
        assert set(outcomes) == {200}, outcomes
        sites = (await demo.status())["sites"]
        assert {name: site["verdict"] for name, site in sites.items()} == {"dc": "up", "aws": "up"}
        assert set(await demo.answered_sites(200)) == set(ADDRESS.values())
        assert set(await demo.services("/rest", 100)) == {("monolith", "dc")}
        assert set(await demo.services("/checkout/x", 200)) == {("monolith", "dc")}


async def test_a_mirror_target_that_accepts_and_never_reads_hurts_nobody(tmp_path):
    with socket.create_server(("127.0.2.1", 0), backlog=4096) as stalled:
        port = stalled.getsockname()[1]

        def edit(text: str) -> str:
            return text.replace(
                "    routes:", f'      stalled:\n        aws: ["127.0.2.1:{port}"]\n    routes:', 1
            ).replace("mirror: [{to: checkout, percent: 50}]", "mirror: [{to: stalled, percent: 100}]")

        async with running_demo(tmp_path, edit=edit) as demo:
            async with demo.load("/checkout/x", rate=300) as outcomes:
                for _ in range(4):
                    status, _, _ = await asyncio.wait_for(
                        demo.fetch("/checkout/upload", method="POST", data=io.BytesIO(b"x" * 5_000_000)), 10
                    )
                    assert status == 200
                await asyncio.sleep(2)
            assert set(outcomes) == {200}, outcomes
            mirror = (await demo.status())["mirrors"]["shop/checkout"]
            assert mirror["skipped"]["method"] == 4
            assert mirror["sent"] > 0


async def test_host_header_with_port_is_the_same_host(demo):
    status, _, _ = await demo.fetch("/rest", headers={"host": f"{HOST}:8080"})
    assert status == 200
