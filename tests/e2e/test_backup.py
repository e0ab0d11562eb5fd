"""The round trip: an installation runs, drains, signs, is backed up, destroyed, restored: the same answers, the same keys.
And a git repository that `gslb run` follows."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal

import dns.asyncquery
import dns.message
import dns.rdatatype
import pytest

from tests.support.git_repository import Repository
from tests.support.running_demo import GSLB, eventually, run_gslb

ADDRESS, PORT = "127.0.9.7", 15353
POLICY = {
    "environment": "backup-test",
    "zone": {"name": "back.test", "nameservers": {"ns1": ADDRESS}, "ttl": "5s", "dnssec": True},
    "sites": {
        "one": {"edges": [{"public": "192.0.2.1"}]},
        "two": {"edges": [{"public": "192.0.2.2"}]},
    },
    "apps": {
        "web": {
            "hosts": "web",
            "steer": [{"priority": ["one", "two"]}, {"first": 1}],
            "backends": {"page": {"one": ["192.0.2.11:80"], "two": ["192.0.2.12:80"]}},
            "routes": [{"name": "all", "split": {"page": 100}}],
        }
    },
}


class Installation:
    """Control and DNS, each a process of its own; no Envoy."""

    def __init__(self, folder):
        self.folder, self.data, self.process = folder, folder / "data", None
        self.env = {**os.environ, "GSLB_RUNTIME": str(folder / "run"), "GSLB_PASSPHRASE": "correct horse battery"}

    async def start(self, *source):
        with (self.folder / "log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *GSLB, "run", *source, "--roles", "control,dns", "--data", str(self.data),
                "--dns", f"{ADDRESS}:{PORT}", "--api", f"{ADDRESS}:18054",
                env=self.env, stdin=asyncio.subprocess.DEVNULL, stderr=log,
            )  # fmt: skip
        return await eventually(self.ready, 30)

    async def ready(self):
        result = await self.gslb("status", "--json", code=None)
        if result.code:
            return None
        status = json.loads(result.out)
        well = status["snapshot"] and all(r["in_sync"] and r["state"] == "ready" for r in status["roles"].values())
        return status if well else None

    async def gslb(self, *line, code=0):
        result = await run_gslb(*line, env=self.env)
        assert code is None or result.code == code, result
        return result

    async def stop(self, number=signal.SIGTERM):
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(number)
            await asyncio.wait_for(self.process.wait(), 10)

    async def answer(self, name, qtype):
        reply = await dns.asyncquery.udp(dns.message.make_query(name, qtype, want_dnssec=True), ADDRESS, 3, PORT)
        return sorted(
            rdata.to_text()
            for rrset in reply.answer
            if rrset.rdtype == dns.rdatatype.from_text(qtype)
            for rdata in rrset
        )


@pytest.fixture
async def installation(tmp_path):
    made = Installation(tmp_path)
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "policy.yaml").write_text(json.dumps(POLICY))
    yield made
    with contextlib.suppress(ProcessLookupError):
        await made.stop()


async def test_run_drain_sign_backup_destroy_restore(installation, tmp_path):
    await installation.start(str(tmp_path / "policy"))
    await installation.gslb("drain", "one", "--reason", "fire")
    token = (await installation.gslb("token", "create", "robot", "--role", "viewer")).out.strip().splitlines()[-1]
    before = {qtype: await installation.answer(name, qtype)
              for name, qtype in (("web.back.test", "A"), ("back.test", "DNSKEY"))}  # fmt: skip
    assert before["A"] == ["192.0.2.2"]
    assert len(before["DNSKEY"]) == 2
    told = json.loads((await installation.gslb("backup", str(tmp_path / "all.bak"), "--json")).out)
    assert (tmp_path / "all.bak").stat().st_mode & 0o777 == 0o600
    sealed = (tmp_path / "all.bak").read_bytes()
    assert not any(secret in sealed for secret in (b"back.test", b"192.0.2.11", b"drain", token.encode()))

    await installation.gslb("restore", str(tmp_path / "all.bak"), "--allow", "not-empty", code=2)  # it lives
    await installation.stop()
    keys = (installation.data / "trust" / "signing.key").read_bytes()
    shutil.rmtree(installation.data)
    shutil.rmtree(tmp_path / "run")

    refused = await run_gslb(
        "restore", str(tmp_path / "all.bak"), "--data", str(installation.data),
        env={**installation.env, "GSLB_PASSPHRASE": "another one that fits"},
    )  # fmt: skip
    assert (refused.code, "[passphrase]" in refused.err) == (1, True)
    done = await installation.gslb("restore", str(tmp_path / "all.bak"), "--data", str(installation.data))
    assert f"revision {told['revision'] + 1000} is in force" in done.out
    assert (installation.data / "trust" / "signing.key").read_bytes() == keys

    status = await installation.start()
    assert status["snapshot"]["revision"] == told["revision"] + 1000
    assert status["sites"]["one"]["drained"]
    assert {qtype: await installation.answer(name, qtype)
            for name, qtype in (("web.back.test", "A"), ("back.test", "DNSKEY"))} == before  # fmt: skip
    history = json.loads((await installation.gslb("history", "--json")).out)["changes"]
    assert {"restore", "drain", "token"} <= {change["action"] for change in history}
    await installation.gslb("undrain", "one")
    assert await installation.answer("web.back.test", "A") == ["192.0.2.1"], "changes go on from there"


async def test_a_node_that_was_ahead_of_the_backup_takes_what_was_restored(installation, tmp_path):
    """The node keeps what it served on its own disk, and takes nothing older."""
    await installation.start(str(tmp_path / "policy"))
    await installation.gslb("backup", str(tmp_path / "all.bak"))
    for _ in range(2):
        await installation.gslb("drain", "one")
        await installation.gslb("undrain", "one")
    await installation.stop()
    (installation.data / "gslb.db").unlink()
    await installation.gslb("restore", str(tmp_path / "all.bak"))
    status = await installation.start()
    assert status["roles"]["dns"]["revision"] == status["snapshot"]["revision"]
    assert await installation.answer("web.back.test", "A") == ["192.0.2.1"]


async def test_a_followed_repository_end_to_end(installation, tmp_path):
    repository = Repository(tmp_path / "repository")
    first = repository.commit(POLICY, "the first")
    await installation.start("--git", f"{repository.path}#main:policies", "--git-interval", "1s")

    async def is_first():
        git = json.loads((await installation.gslb("status", "--json")).out)["git"]
        return git["commit"] == first and git["in_force"]

    assert await eventually(is_first, 20), "what is in force is told a moment after it is"
    swapped = json.loads(json.dumps(POLICY).replace('["one", "two"]', '["two", "one"]'))
    second = repository.commit(swapped, "the other site\n\ngslb-allow: large-move agreed")

    async def taken():
        git = json.loads((await installation.gslb("status", "--json")).out)["git"]
        return git if git["commit"] == second else None

    assert (await eventually(taken, 20))["refused"] is None
    assert await installation.answer("web.back.test", "A") == ["192.0.2.2"]
    broken = repository.commit("zone: {", "oops")

    async def refused():
        git = json.loads((await installation.gslb("status", "--json")).out)["git"]
        return git["refused"]

    assert (await eventually(refused, 20))["commit"] == broken
    assert await installation.answer("web.back.test", "A") == ["192.0.2.2"]
