"""`compare: true` in a running installation: the supervisor starts a comparer, and `gslb mirror report` tells."""

from __future__ import annotations

import os
import signal

import aiohttp
import pytest

from tests.support.running_demo import eventually


async def report(demo, *more: str):
    result = await demo.gslb("mirror", "report", "shop/checkout", "--json", *more)
    assert result.code == 0, result.err
    return result.json


@pytest.mark.timeout(300)
async def test_a_comparer_runs_while_something_is_compared_and_comes_back_when_it_dies(demo, tmp_path):
    refused = await demo.gslb("mirror", "report", "shop/checkout")
    assert (refused.code, "not-compared" in refused.err) == (1, True)
    demo.edit("percent: 50", "percent: 50, compare: {sample: 100}")

    async def compared():
        result = await demo.gslb("mirror", "report", "shop/checkout", "--json")
        return result.json if result.code == 0 and set(result.json["edges"].values()) == {0} else None

    assert (await eventually(compared))["edges"] == {"edge-dc": 0, "edge-aws": 0}
    await demo.services("/checkout/cart", 100, width=2)

    async def found():
        seen = await report(demo)
        verdicts = {item["path"]: item["verdict"] for item in seen["fields"]}
        return seen if verdicts.get("body.service") == "difference" else None

    seen = await eventually(found)
    assert (seen["reference"], seen["target"]) == ("monolith", "checkout")
    text = await demo.gslb("mirror", "report", "shop/checkout", "--samples")
    assert "body.service" in text.out
    page = tmp_path / "report.html"
    assert (await demo.gslb("mirror", "report", "shop/checkout", "--html", str(page))).code == 0
    assert "body.service" in page.read_text()

    for number in (signal.SIGKILL, signal.SIGSTOP):
        await replaced(demo, number)

    async def told():
        edges = (await demo.status())["edges"].values()
        return all(edge["comparer"]["answers"] and edge["comparer"]["restarts"] == 2 for edge in edges)

    await eventually(told, 20, "status counts the restarts")
    async with demo.session.get("http://127.0.0.1:8053/metrics") as answer:
        assert 'gslb_comparer_restarts_total{role="edge-dc"} 2.0' in await answer.text()
    text = " ".join((await demo.gslb("status")).out.split())
    assert "dc: the comparer answers; it was started again 2 ×" in text
    assert "because the comparer answers nothing" in text
    demo.edit("percent: 50, compare: {sample: 100}", "percent: 50")

    async def gone():
        return (await comparer_pid(demo)) is None

    await eventually(gone)


async def replaced(demo, number: signal.Signals) -> None:
    """After `number` another comparer answers, and requests do not see it. A frozen one is given half a minute."""
    pid = await comparer_pid(demo)
    os.kill(pid, number)

    async def alarmed():
        result = await demo.gslb("status", "--json")
        return {alarm["subject"] for alarm in result.json["alarms"] if alarm["rule"] == "comparer-silent"}

    async def again():
        return (await comparer_pid(demo)) not in (None, pid)

    if number == signal.SIGSTOP:
        assert await eventually(alarmed, 60) <= {"edge-dc", "edge-aws"}
    answered = await demo.services("/checkout/cart", 50)
    assert {type(key) for key in answered} == {tuple}, answered
    await eventually(again, 90)


async def comparer_pid(demo) -> int | None:
    """Of the process whose socket answers."""
    socket = os.path.join(demo.env["GSLB_RUNTIME"], "comparer.sock")
    try:
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(socket), timeout=aiohttp.ClientTimeout(total=2)
            ) as session,
            session.get("http://comparer/state?site=dc") as answer,
        ):
            return (await answer.json())["pid"]
    except (aiohttp.ClientError, TimeoutError, OSError):
        return None
