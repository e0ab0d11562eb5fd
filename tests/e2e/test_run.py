"""`gslb run`: an installation that is restarted while its Envoys serve on."""

import asyncio
import contextlib
import json
import os
import signal
from pathlib import Path

import aiohttp
import pytest

from tests.support.running_demo import GSLB, eventually, run_gslb

ADDRESS = "127.0.9.1"
POLICY = f"""
environment: run-test
zone: {{name: run.test, nameservers: {{ns1: {ADDRESS}}}, ttl: 5s}}
sites:
  one: {{edges: [{{public: {ADDRESS}}}], listen: {{http: 18080}}}}
apps:
  web:
    hosts: web
    backends:
      page: {{one: ["{ADDRESS}:19001"]}}
    routes: [{{name: all, split: {{page: 100}}}}]
"""


class Installation:
    def __init__(self, folder) -> None:
        self.folder = folder
        self.policy = folder / "policy"
        self.env = {**os.environ, "GSLB_RUNTIME": str(folder / "run")}
        self.process = None

    async def start(self, *args: str, threads: int = 1) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *GSLB, "run", *args, "--data", str(self.folder / "data"), "--dns", f"{ADDRESS}:15353",
                "--api", f"{ADDRESS}:18053", "--concurrency", str(threads),
                env=self.env, stdin=asyncio.subprocess.DEVNULL, stderr=log,
            )  # fmt: skip
        await eventually(self.ready, 30)

    async def ready(self):
        result = await run_gslb("status", "--json", env=self.env)
        if result.code:
            return None
        status = json.loads(result.out)
        well = status["snapshot"] and all(r["in_sync"] and r["state"] == "ready" for r in status["roles"].values())
        return status if well else None

    async def stop(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        assert await asyncio.wait_for(self.process.wait(), 10) == 0


@pytest.fixture
async def installation(tmp_path):
    made = Installation(tmp_path)
    made.policy.mkdir()
    (made.policy / "policy.yaml").write_text(POLICY)
    backend = await asyncio.create_subprocess_exec(
        GSLB[0].removesuffix("gslb") + "python", "-m", "gslb.demo.backend",
        "--service", "page", "--site", "one", "--listen", f"{ADDRESS}:19001", stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    await backend.stdout.readline()
    try:
        yield made
    finally:
        for process in (made.process, backend):
            with contextlib.suppress(ProcessLookupError, AttributeError):
                process.send_signal(signal.SIGINT)
                await process.wait()


async def gone(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return False
    return True


async def test_a_restart_adopts_the_envoys_or_replaces_them_and_loses_nothing(installation):
    await installation.start(str(installation.policy))
    before = await installation.ready()
    envoy = before["edges"]["one"]["pid"]
    failed, stop = [], asyncio.Event()

    async def load() -> None:
        async with aiohttp.ClientSession() as session:
            while not stop.is_set():
                async with session.get(f"http://{ADDRESS}:18080/x", headers={"host": "web.run.test"}) as response:
                    if response.status != 200:
                        failed.append(response.status)
                await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as group:
        group.create_task(load())
        await installation.stop(signal.SIGTERM)
        os.kill(envoy, 0)
        await installation.start()
        after = await installation.ready()
        await installation.stop(signal.SIGTERM)
        await installation.start(threads=2)
        other = await installation.ready()
        await eventually(lambda: gone(envoy), 20)
        stop.set()
    assert not failed
    assert after["edges"]["one"]["pid"] == envoy
    assert after["edges"]["one"]["adopted"]
    assert after["snapshot"] == before["snapshot"], "without a folder the policy in the data folder goes on"
    assert (other["edges"]["one"]["adopted"], other["edges"]["one"]["pid"] != envoy) == (False, True)
    await installation.stop(signal.SIGINT)
    await eventually(lambda: gone(other["edges"]["one"]["pid"]))


async def test_an_edit_made_while_it_was_off_is_taken_at_the_next_start(installation):
    await installation.start(str(installation.policy))
    await installation.stop(signal.SIGTERM)
    (installation.policy / "policy.yaml").write_text(POLICY.replace("hosts: web", "hosts: [web, shop]"))
    await installation.start(str(installation.policy))

    async def taken():
        status = await installation.ready()
        return status and status["snapshot"]["revision"] == 2

    await eventually(taken)
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{ADDRESS}:18080/", headers={"host": "shop.run.test"}) as response,
    ):
        assert response.status == 200


async def test_a_bad_edit_made_while_it_was_off_leaves_what_was_in_force(installation):
    await installation.start(str(installation.policy))
    await installation.stop(signal.SIGTERM)
    (installation.policy / "policy.yaml").write_text(POLICY.replace("page: 100", "page: 90"))
    refused = await run_gslb("run", str(installation.policy), "--data", str(installation.folder / "data"),
                             env=installation.env)  # fmt: skip
    assert refused.code == 1
    assert "split-sum" in refused.err
    await installation.start()
    assert (await installation.ready())["snapshot"]["revision"] == 1


def control_of(installation):
    """The process id of its control, None while there is none."""
    folder = Path(f"/proc/{installation.process.pid}/task/{installation.process.pid}/children")
    for child in folder.read_text().split():
        with contextlib.suppress(OSError):
            if b"gslb.roles\0control\0" in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
    return None


async def crash_control(installation, meanwhile=lambda: None):
    """The status once another control has taken the place of one that was killed."""
    old = control_of(installation)
    os.kill(old, signal.SIGKILL)
    meanwhile()

    async def another():
        return control_of(installation) not in (None, old) and await installation.ready()

    return await eventually(another, 30)


async def test_a_control_that_crashed_goes_on_with_what_is_in_force(installation):
    """Neither is a rollback undone, nor an edit taken that nobody has applied; a new `gslb run` takes the folder."""
    await installation.start(str(installation.policy))
    other = installation.folder / "other"
    other.mkdir()
    (other / "policy.yaml").write_text(POLICY.replace("hosts: web", "hosts: [web, shop]"))
    applied = await run_gslb("apply", str(other), "-m", "try", "--yes", env=installation.env)
    assert applied.code == 0, applied.err

    def edit():
        (installation.policy / "policy.yaml").write_text(POLICY.replace("hosts: web", "hosts: unasked"))

    assert (await crash_control(installation, edit))["snapshot"]["revision"] == 2
    history = await run_gslb("history", "--json", env=installation.env)
    assert [change["action"] for change in history.json["changes"]] == ["apply", "policy"]
    await installation.stop(signal.SIGTERM)
    await installation.start(str(installation.policy))
    assert (await installation.ready())["snapshot"]["revision"] == 3


async def test_an_edit_of_a_followed_folder_is_taken_though_control_crashed(installation):
    await installation.start(str(installation.policy), "--watch")
    assert (await crash_control(installation))["snapshot"]["revision"] == 1

    def edit():
        (installation.policy / "policy.yaml").write_text(POLICY.replace("hosts: web", "hosts: [web, shop]"))

    await crash_control(installation, edit)

    async def taken():
        status = await installation.ready()
        return status and status["snapshot"]["revision"] == 2

    await eventually(taken, 30)
    assert (await run_gslb("rollback", "--yes", env=installation.env)).code == 0
    assert (await crash_control(installation))["snapshot"]["revision"] == 3, "the rollback stays"
