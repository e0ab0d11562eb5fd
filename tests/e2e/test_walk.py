"""An operator's day, in an order that nobody thought of: changes of every kind after each other, under load. Each is in
force when it is said to be, whatever came before it. WALK_STEPS and WALK_SEED say how many and which (`make chaos`: 300
of another walk each time)."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import dns.rcode
import pytest

from tests.support.running_demo import eventually

STEPS, SEED = int(os.environ.get("WALK_STEPS", "16")), int(os.environ.get("WALK_SEED", "4"))
EXPECTED = ("last-site", "no-shift", "not-drained", "not-forced", "no-earlier")
"""Rules that refuse what a walk may well ask for; anything else that is refused is a fault."""

KINDS = ("edit", "edit", "shift", "undo", "drain", "undrain", "force", "unforce", "mirrors", "rollback", "kill")


class Walk:
    """`edits` are places of the policy file, each with the texts that may stand there."""

    def __init__(self, demo, chance: random.Random) -> None:
        self.demo, self.chance = demo, chance
        self.edits = {
            "split": [f"split: {{monolith: {100 - n}, checkout: {n}}}" for n in (10, 0, 35, 100)],
            "mirror": [f"mirror: [{{to: checkout, percent: {n}}}]" for n in (50, 1, 100)],
            "hosts": ["hosts: [shop]", "hosts: [shop, store]"],
            "weights": [f"weighted: {{dc: {n}, aws: 20}}" for n in (80, 20)],
            "sticky": ["sticky: cookie", "timeout: 9s"],
        }
        self.stands = {what: texts[0] for what, texts in self.edits.items()}

    async def step(self) -> str:
        """One change; what it was."""
        return await getattr(self, self.chance.choice(KINDS))()

    async def command(self, *words: str) -> str:
        result = await self.demo.gslb(*words)
        said = " ".join(words)
        assert result.code == 0 or any(f"[{rule}]" in result.err for rule in EXPECTED), (said, result.err)
        return said

    async def edit(self) -> str:
        what = self.chance.choice(sorted(self.edits))
        text = self.chance.choice([text for text in self.edits[what] if text != self.stands[what]])
        self.demo.edit(self.stands[what], text)
        self.stands[what] = text

        async def taken():
            planned = await self.demo.gslb("plan", str(self.demo.policy), "--json")
            return planned.json["plan"]["changes"] == []

        await eventually(taken)
        return text

    async def shift(self) -> str:
        return await self.command("shift", "shop/checkout", f"checkout={self.chance.randint(0, 100)}")

    async def undo(self) -> str:
        return await self.command("shift", "shop/checkout", "--undo")

    async def drain(self) -> str:
        return await self.command("drain", self.chance.choice(["dc", "aws"]), *self.chance.choice([[], ["--entry"]]))

    async def undrain(self) -> str:
        return await self.command("undrain", self.chance.choice(["dc", "aws"]))

    async def force(self) -> str:
        return await self.command("force", self.chance.choice(["dc", "aws"]), "down", "--reason", "a walk")

    async def unforce(self) -> str:
        return await self.command("unforce", self.chance.choice(["dc", "aws"]))

    async def mirrors(self) -> str:
        return await self.command("mirror", self.chance.choice(["stop", "start"]))

    async def rollback(self) -> str:
        return await self.command("rollback", "--yes", "-m", "a walk")

    async def kill(self) -> str:
        """A role's process dies, Envoys live on; the supervisor starts it anew."""
        roles = (await self.demo.status())["roles"]
        name = self.chance.choice(sorted(roles))
        os.kill(roles[name]["pid"], signal.SIGKILL)

        async def is_back():
            role = (await self.demo.status())["roles"][name]
            return role["state"] == "ready" and role["in_sync"] and role["pid"] != roles[name]["pid"]

        await eventually(is_back, 30.0)
        return f"kill {name}"


@pytest.mark.timeout(120 + 5 * STEPS)
async def test_any_order_of_changes_is_taken_and_fails_no_request(demo):
    walk, told = Walk(demo, random.Random(SEED)), [f"seed {SEED}"]
    async with demo.load("/checkout/x", rate=50) as at_dc, demo.load("/account", rate=50, site="aws") as at_aws:
        for _ in range(STEPS):
            told.append(await walk.step())
            status = await demo.status()
            assert all(role["in_sync"] for role in status["roles"].values()), told
            reply = await demo.ask()
            assert reply.rcode() == dns.rcode.NOERROR
            assert reply.answer, told
    assert set(at_dc) == {200}, (told, at_dc)
    assert set(at_aws) == {200}, (told, at_aws)
    assert "refused" not in Path(demo.log).read_text(), told
