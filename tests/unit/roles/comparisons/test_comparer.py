"""The comparer over its sockets: captures as an edge sends them, rules as an edge role writes them, logs as Envoy does."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import stat
from contextlib import asynccontextmanager

import h2.config
import h2.connection
import h2.events
import pytest
from aiohttp import ClientSession, UnixConnector

from gslb.compare.access_log import Line
from gslb.compare.rules import written_rules
from gslb.control.compared import Compared, ComparerState
from gslb.roles.comparisons import comparing as comparing_room
from gslb.roles.comparisons.comparer import run
from gslb.roles.comparisons.comparing import ComparerDesk, forget_comparisons, is_wanted
from gslb.roles.comparisons.log_door import MAX_MESSAGE_BYTES
from gslb.roles.settings import Settings
from gslb.snapshot.types import SiteName
from tests.unit.compare.captures import RULES, captured, message
from tests.unit.compare.test_access_log import message as log_message
from tests.unit.compare.test_rules import route, snapshot

KEY = "shop/pay"


class Running:
    def __init__(self, settings, session):
        self.settings, self.session = settings, session
        self.desk = ComparerDesk(settings, SiteName("dc"))

    async def send(self, *captures):
        statuses = []
        for one in captures:
            body = one if isinstance(one, bytes) else message(one)
            async with self.session.post("http://comparer/captures", data=body) as answer:
                statuses.append(answer.status)
        return statuses

    async def state(self) -> ComparerState:
        async with self.session.get("http://comparer/state?site=dc") as answer:
            return ComparerState.model_validate_json(await answer.read())

    async def told(self) -> Compared | None:
        answer = await self.desk.comparison(KEY)
        return Compared.model_validate_json(answer) if answer is not None else None

    async def until(self, check):
        async with asyncio.timeout(20):
            while not check(found := await self.told()):
                await asyncio.sleep(0.05)
        return found


@pytest.fixture
async def comparer(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "nice", lambda _: 0)
    settings = Settings(runtime=tmp_path, data=tmp_path)
    stop = asyncio.get_running_loop().create_future()
    task = asyncio.get_running_loop().create_task(run(settings, stop))
    async with ClientSession(connector=UnixConnector(str(settings.socket("comparer")))) as session:
        async with asyncio.timeout(10):
            while not settings.socket("comparer-log").exists() and not (tmp_path / "comparer.sock-log").exists():
                await asyncio.sleep(0.01)
        yield Running(settings, session)
    stop.set_result(None)
    await task


@pytest.fixture
async def comparing(comparer):
    comparer.desk.publish(snapshot(route()))
    await comparer.until(lambda told: told is not None)
    return comparer


async def test_captures_meet_and_are_told(comparing):
    bodies = {"answer": {"a": 1}, "copy": {"a": 2}, "noise": {"a": 1}}
    sides = {"answer": "old", "copy": "new", "noise": "old"}
    assert await comparing.send(*(captured(role, sides[role], bodies[role]) for role in bodies)) == [204] * 3
    told = await comparing.told()
    assert (told.pairs, told.measured, told.target, told.reference) == (1, 1, "new", "old")
    assert [(item.path, item.only_new) for item in told.fields] == [("body.a", 1)]
    state = await comparing.state()
    assert (state.captures, state.waiting) == ({"taken": 3}, 0)
    assert [(item.route, item.pairs, item.verdicts) for item in state.comparisons] == [("pay", 1, {"unsettled": 1})]


async def test_the_state_names_fields_without_what_they_held_or_what_may_be_data(comparing):
    answers = {"answer": {"a": 1, "by user": {"ann@example.com": "no"}}, "copy": {"a": 2, "by user": {}}}
    answers["noise"], sides = answers["answer"], {"answer": "old", "copy": "new", "noise": "old"}
    await comparing.send(*(captured(role, sides[role], answers[role]) for role in answers))
    state = await comparing.state()
    (counts,) = state.comparisons
    assert [(item.path, item.kind, item.seen) for item in counts.fields] == [
        ("body.*", "missing", 1),
        ("body.a", "value", 1),
    ]
    assert "ann" not in state.model_dump_json()
    assert [(item.old, item.new) for item in counts.fields] == [("", "")] * 2


async def test_what_is_no_capture_or_of_no_comparison_is_counted(comparing):
    unknown = captured(key="shop/other")
    assert await comparing.send(b"x", b"", unknown, captured(site="aws")) == [400, 400, 204, 204]
    assert (await comparing.state()).captures == {"refused": 2, "unknown": 2}


async def test_a_capture_that_is_too_long_is_refused(comparing):
    assert await comparing.send(message(captured(body=bytes(200_000)))) == [413]


async def test_what_is_compared_in_another_way_is_counted_anew(comparing):
    pair = [captured("answer", "old", {"a": 1}), captured("copy", "new", {"a": 2}), captured("noise", "old", {"a": 1})]
    await comparing.send(*pair)
    assert (await comparing.told()).pairs == 1
    comparing.desk.publish(snapshot(route()))
    await asyncio.sleep(1.5)
    assert (await comparing.told()).pairs == 1
    comparing.desk.publish(snapshot(route(compare={"ignore": ["body.a"]})))
    await comparing.until(lambda told: told is not None and told.pairs == 0)
    await comparing.send(*pair)
    assert (await comparing.told()).fields == ()


async def test_rules_that_cannot_be_read_change_nothing(comparing):
    file = comparing.settings.runtime / "comparer" / "dc.json"
    file.write_bytes(b"{")
    await asyncio.sleep(1.5)
    assert (await comparing.told()).pairs == 0
    rules = dataclasses.replace(RULES, key="shop/other")
    file.write_bytes(written_rules([rules]))
    await comparing.until(lambda told: told is None)


async def test_nothing_is_told_of_what_is_not_compared_any_more(comparing):
    assert is_wanted(comparing.settings)
    comparing.desk.publish(snapshot(route(compare=False)))
    assert not is_wanted(comparing.settings)
    assert not comparing.desk.wanted
    await comparing.until(lambda told: told is None)


async def test_the_sockets_are_for_their_owner_alone(comparing):
    for name in ("comparer.sock", "comparer.sock-log"):
        assert stat.S_IMODE((comparing.settings.runtime / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((comparing.settings.runtime / "comparer" / "dc.json").stat().st_mode) == 0o600


async def test_the_desk_asks_for_the_state_and_a_silent_comparer_is_none(comparing):
    task = asyncio.get_running_loop().create_task(comparing.desk.run())
    async with asyncio.timeout(10):
        while comparing.desk.state is None:
            await asyncio.sleep(0.02)
    task.cancel()
    lost = ComparerDesk(
        Settings(runtime=comparing.settings.runtime / "nowhere", data=comparing.settings.data), SiteName("dc")
    )
    assert await lost.comparison(KEY) is None


async def test_the_desk_knows_how_long_nothing_was_heard_of_a_comparer_that_should_be_there(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(comparing_room.clock, "mono_s", lambda: now[0])
    desk = ComparerDesk(Settings(runtime=tmp_path, data=tmp_path), SiteName("dc"))
    await desk.look()
    assert desk.silent_s is None
    desk.publish(snapshot(route()))
    for passed_s in (0.0, 7.0):
        now[0] = 100.0 + passed_s
        await desk.look()
        assert desk.silent_s == passed_s
    desk.publish(snapshot(route(compare=False)))
    await desk.look()
    assert desk.silent_s is None


def test_the_desk_knows_how_long_ago_captures_were_dropped(tmp_path, monkeypatch):
    """An Envoy that was there before has dropped its own: they are not news."""
    monkeypatch.setattr(comparing_room.clock, "mono_s", lambda: now[0])
    desk = ComparerDesk(Settings(runtime=tmp_path, data=tmp_path), SiteName("dc"))
    now, seen = [0.0], []
    for now[0], total in ((0.0, 500), (1.0, 500), (2.0, 501), (5.0, 501)):
        seen.append(desk.dropped_ago_s(total))
    assert seen == [None, None, 0.0, 3.0]


def test_what_an_earlier_run_compared_is_forgotten(tmp_path):
    settings = Settings(runtime=tmp_path, data=tmp_path)
    ComparerDesk(settings, SiteName("dc")).publish(snapshot(route()))
    assert is_wanted(settings)
    forget_comparisons(settings)
    assert not is_wanted(settings)


# Access logs ----------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def logging(comparer):
    """An Envoy's stream: `send` takes octets of the body."""
    reader, writer = await asyncio.open_unix_connection(str(comparer.settings.runtime / "comparer.sock-log"))
    http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    http.initiate_connection()
    path = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs"
    http.send_headers(1, [(":method", "POST"), (":scheme", "http"), (":authority", "x"), (":path", path)])

    async def send(octets):
        while octets:
            window = min(http.local_flow_control_window(1), http.max_outbound_frame_size, len(octets))
            if window:
                http.send_data(1, octets[:window])
                octets = octets[window:]
                writer.write(http.data_to_send())
                continue
            for event in http.receive_data(await reader.read(65_536)):
                assert not isinstance(event, h2.events.StreamReset)
        writer.write(http.data_to_send())
        await writer.drain()

    try:
        yield send, reader
    finally:
        writer.close()


async def hung_up(reader):
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionResetError):
            while await reader.read(65_536):
                pass


def framed(body):
    return b"\0" + len(body).to_bytes(4) + body


def pair(number, status=200):
    return (
        Line("shop/pay~copied", "shop/pay/old", f"r{number}", 200, 0.01, 10),
        Line("", "shop/pay/new~mirror0", f"r{number}", status, 0.02, 20),
    )


async def test_lines_of_a_log_meet_however_the_octets_come(comparing):
    octets = framed(log_message(*pair(1), name="dc"))
    octets += b"".join(framed(log_message(*pair(number, 500))) for number in range(2, 600))
    async with logging(comparing) as (send, _):
        for place in range(0, len(octets), 1777):
            await send(octets[place : place + 1777])
        told = await comparing.until(lambda told: told.traffic.pairs == 599)
    assert told.traffic.changes == {"200 500": 598}
    assert told.traffic.new.statuses == {200: 1, 500: 598}


@pytest.mark.parametrize(
    "octets", [b"\x01" + bytes(4), b"\0" + (MAX_MESSAGE_BYTES + 1).to_bytes(4), framed(b"\xff"), framed(b"\x80")]
)
async def test_who_sends_what_is_no_log_is_hung_up_on_and_others_are_not(comparing, octets):
    async with logging(comparing) as (send, reader):
        await send(octets)
        await hung_up(reader)
    async with logging(comparing) as (send, _):
        await send(framed(log_message(*pair(1), name="dc")))
        await comparing.until(lambda told: told.traffic.pairs == 1)


async def test_what_is_not_http2_is_hung_up_on(comparing):
    reader, writer = await asyncio.open_unix_connection(str(comparing.settings.runtime / "comparer.sock-log"))
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    await hung_up(reader)
    writer.close()
    assert (await comparing.state()).pid == os.getpid()
