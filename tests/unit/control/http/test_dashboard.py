"""The page at control's root, in a real browser: what is told there is seen there."""

from __future__ import annotations

import asyncio
import re
import shutil
from html import unescape

import pytest
from aiohttp import web

from gslb.control import changes
from gslb.control.http.api import build_app
from gslb.control.protocol import BrokenGlass, Deed
from tests.unit.control.world import MemoryPublisher, a_drain, applied, by, dns_state, edge_state, intent, verdict

BROWSER = shutil.which("chromium")
LIMIT_S = 60

pytestmark = pytest.mark.skipif(BROWSER is None, reason="chromium is not installed: sh .ci/debian-packages")


async def seen(publisher, folder):
    """The page's text once it has looked, without markup."""
    runner = web.AppRunner(build_app(publisher, "loopback"), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.7.1", 0).start()
        host, port = runner.addresses[0]
        arguments = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}", "--dump-dom"]
        url = f"http://{host}:{port}/"
        process = await asyncio.create_subprocess_exec(
            BROWSER, *arguments, "--virtual-time-budget=3000", url,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            async with asyncio.timeout(LIMIT_S):
                page, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    finally:
        await runner.cleanup()
    hidden = re.sub(r'<section[^>]* hidden="">.*?</section>', "", page.decode(), flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", hidden)))


async def test_what_runs_well_is_shown_and_no_alarm(tmp_path):
    publisher = MemoryPublisher(intent())
    publisher.registrar, snapshot = None, publisher.snapshot
    reports = [
        verdict(app, name, str(address))
        for app in snapshot.apps
        for name, site in snapshot.sites.items()
        for edge in site.edges
        for address in edge.public
    ]
    publisher.hear(dns_state(snapshot, *reports), *(edge_state(snapshot, site) for site in snapshot.sites))
    text = await seen(publisher, tmp_path)
    assert "gslb test policy revision 1" in text
    assert " live " in text
    assert "shop/pay" in text
    assert "Comparisons" not in text
    assert "Alarms" not in text
    assert "does not answer" not in text


async def test_alarms_and_what_was_done_at_nodes_are_shown(tmp_path):
    publisher = MemoryPublisher(changes.drain(intent(), a_drain("aws", reason="<b>rack</b> 4")))
    snapshot = publisher.snapshot
    here = BrokenGlass(
        over=applied(snapshot), drains=(a_drain("dc"),), deeds=(Deed(did="drain dc", by=by(reason="fire")),)
    )
    down = verdict("shop", "lab", "203.0.113.30", "down", "connection refused")
    publisher.hear(dns_state(snapshot, down, broken_glass=here), edge_state(snapshot, "dc"))
    text = await seen(publisher, tmp_path)
    assert "Alarms" in text
    assert "broken glass" in text
    assert "somebody did at the node itself: drain dc" in text
    assert "at dns: drained by ann" in text
    assert "not alike everywhere" in text
    assert "<b>rack</b> 4" in text, "as text, never as markup"
