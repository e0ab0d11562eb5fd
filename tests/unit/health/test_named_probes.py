"""The prober with named checks: what they do to verdicts, what is remembered of them, and how it looks at itself."""

import asyncio
import ipaddress

from gslb.health.checks.tools import PushedState, Tools
from gslb.health.probes import Prober
from gslb.health.pulse import LATE_S, Pulse
from gslb.snapshot.checks import CalculatedAsk, CommandAsk, NamedCheck, PushedAsk, TcpAsk
from gslb.snapshot.targets import CheckTarget
from tests.unit.health.test_probes import free_port, running, saying, server, target

HOST = "127.0.7.3"
PLACE = ("shop", ipaddress.ip_address(HOST))


def check(name, ask, places=(PLACE,), interval_s=0.02, **options):
    return CheckTarget(NamedCheck(name, "kind", ask, interval_s, 1.0, 1, 1, **options), tuple(places))


async def until(wanted):
    async with asyncio.timeout(10):
        while not wanted():
            await asyncio.sleep(0.005)


def state(prober):
    return prober.live.verdicts[PLACE].state


async def test_a_named_check_takes_a_site_out_and_brings_it_back():
    prober = Prober(lambda _live: None)
    async with server(saying(b"HTTP/1.1 200 OK\r\n\r\n")) as (port, _):
        database = await asyncio.start_server(lambda _r, w: w.close(), HOST, 0)
        at = database.sockets[0].getsockname()[1]
        async with running(prober):
            prober.set_targets([target(port), check("db", TcpAsk(HOST, at, None, None))])
            assert await prober.first_round()
            assert state(prober) == "up"
            database.close()
            await database.wait_closed()
            await until(lambda: state(prober) == "down")
            assert prober.live.verdicts[PLACE].reason == "db: connect refused"
            database = await asyncio.start_server(lambda _r, w: w.close(), HOST, at)
            await until(lambda: state(prober) == "up")
            database.close()
    ((known, health, memory),) = prober.checks()
    assert (known.name, health.phase) == ("db", "up")
    assert [change.state for change in memory.changes] == ["up", "down", "up"] or [
        change.state for change in memory.changes
    ] == ["unknown", "up", "down", "up"]
    assert memory.changes[-2].reason == "db: connect refused"
    assert memory.last == "db: connected"
    assert memory.looked_wall_s >= memory.since_wall_s - 1
    assert memory.duration_s >= 0


async def test_what_is_pushed_counts_at_once_and_goes_out_of_date():
    now = [100.0]
    prober = Prober(lambda _live: None, mono_s=lambda: now[0])

    async def clock():
        while True:
            await asyncio.sleep(0.005)
            now[0] += 0.05

    async with running(prober), asyncio.TaskGroup() as tasks:
        ticking = tasks.create_task(clock())
        prober.set_targets([check("hand", PushedAsk(60.0, "unknown"), interval_s=1.0)])
        assert await prober.first_round(), "a check that nobody pushed is not waited for"
        assert state(prober) == "unknown"
        prober.set_pushed({"hand": PushedState(False, "nightly load", now[0] + 20)})
        await until(lambda: state(prober) == "down")
        assert prober.live.verdicts[PLACE].reason == "hand: nightly load"
        prober.set_pushed({"hand": PushedState(True, "done", now[0] + 20)})
        await until(lambda: state(prober) == "up")
        await until(lambda: state(prober) == "unknown")
        assert prober.live.verdicts[PLACE].reason == "hand: nothing was pushed for 1m"
        ticking.cancel()
    assert prober.counts["failed"] >= 1


async def test_what_this_machine_cannot_look_at_is_told_and_takes_nobody_out():
    prober = Prober(lambda _live: None, tools=Tools())
    async with running(prober):
        prober.set_targets([check("cmd", CommandAsk(("check_it",)))])
        assert await prober.first_round()
        assert state(prober) == "unknown"
    ((_, _, memory),) = prober.checks()
    assert memory.cannot == "commands are not run here, so that check_it is not"
    assert prober.counts["not_asked"] >= 1
    assert prober.counts["failed"] == 0


async def test_calculated_checks_have_a_history_and_are_never_looked_at():
    prober = Prober(lambda _live: None)
    dead = TcpAsk(HOST, free_port(), None, None)
    both = check("sum", CalculatedAsk(("a", "b"), 1, ()))
    async with running(prober):
        prober.set_targets([check("a", dead, ()), check("b", dead, (), invert=True), both])
        assert await prober.first_round()
        assert state(prober) == "up"
    assert prober.pulse.targets == 2
    _, _, (_, health, memory) = prober.checks()
    assert health.reason == "sum: 1 of 2 up, 1 needed"
    assert memory.changes[-1].state == "up"
    assert memory.looked_wall_s is None


async def test_a_slow_check_holds_up_neither_a_first_round_for_ever_nor_a_front_door():
    async def hang(reader, _writer, _head):
        await reader.read()

    prober = Prober(lambda _live: None)
    async with server(hang) as (stuck, _), server(saying(b"HTTP/1.1 200 OK\r\n\r\n")) as (port, heads), running(prober):
        slow = NamedCheck("slow", "tcp", TcpAsk(HOST, stuck, "GET / HTTP/1.1\r\n\r\n", "x"), 0.02, 300.0, 1, 1)
        prober.set_targets([target(port), CheckTarget(slow, (PLACE,))])
        await until(lambda: len(heads) > 5)
        assert state(prober) == "unknown"


def test_the_pulse_says_what_is_wrong():
    good = Pulse(running=True, age_s=0.1, behind_s=0.0, targets=1, in_flight=0)
    assert good.trouble == ""
    assert Pulse(False, 0.1, 0.0, 1, 0).trouble == "the prober does not run"
    assert Pulse(True, LATE_S + 1, 0.0, 1, 0).trouble == "the prober has not turned for 6 s"
    assert Pulse(True, 0.1, LATE_S + 2, 1, 0).trouble == "the prober is 7 s behind its schedule"


async def test_a_prober_that_died_or_was_never_started_has_a_pulse_that_says_so():
    prober = Prober(lambda _live: None)
    assert prober.pulse.trouble == "the prober does not run"
    async with running(prober):
        await until(lambda: prober.running)
        assert prober.pulse.trouble == ""
    assert prober.pulse.trouble == "the prober does not run"
