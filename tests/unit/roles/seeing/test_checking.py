"""What control hands on to nodes that look, what they tell, and the watch over the prober."""

import asyncio
import contextlib

from gslb.control.protocol import Pushed, PushedStates
from gslb.health.probes import Prober
from gslb.roles.seeing import checking
from gslb.roles.seeing.checking import Pushes, Told, probing_told, tools_of, watch_prober
from gslb.roles.settings import Settings
from gslb.snapshot.checks import NamedCheck, PushedAsk
from gslb.snapshot.targets import CheckTarget


def told(**states):
    return PushedStates(states={n: Pushed(ok=ok, reason=n, left_s=left_s) for n, (ok, left_s) in states.items()})


def test_the_younger_of_two_controls_words_counts(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(checking.clock, "mono_s", lambda: now[0])
    prober = Prober(lambda _live: None)
    pushes = Pushes(prober)
    pushes.take(told(hand=(False, 30.0), other=(True, 5.0)))
    now[0] = 101.0
    pushes.take(told(hand=(True, 20.0)))  # from a control that heard of it before the first
    assert pushes._states["hand"].ok is False
    pushes.take(told(hand=(True, 40.0)))
    assert pushes._states["hand"].ok is True
    pushes.take(told())
    assert set(pushes._states) == {"hand", "other"}, "a control that knows nothing takes nothing away"
    now[0] = 106.0
    pushes.take(told())
    assert set(pushes._states) == {"hand"}


async def test_a_pushed_state_reaches_what_is_told():
    prober = Prober(lambda _live: None)
    prober.set_targets([CheckTarget(NamedCheck("hand", "pushed", PushedAsk(60.0, "unknown"), 1.0, 1.0, 1, 1))])
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(prober.run())
        Pushes(prober).take(told(hand=(False, 30.0)))
        async with asyncio.timeout(5):
            while Told(prober).checks()[0].state != "down":
                await asyncio.sleep(0.01)
        telling = Told(prober)
        (first,), (second,) = telling.checks(), telling.checks()
        assert first.reason == "hand: hand"
        assert second == first
        assert probing_told(prober).running
        assert probing_told(prober).targets == 1
        running.cancel()
    assert not probing_told(prober).running


async def test_a_prober_that_died_is_complained_of_once_and_its_recovery_is_told(monkeypatch, capsys):
    monkeypatch.setattr(checking, "WATCH_S", 0.01)
    prober = Prober(lambda _live: None)
    watching = asyncio.get_running_loop().create_task(watch_prober(prober))
    await asyncio.sleep(0.2)
    out = capsys.readouterr().out
    assert out.count("the prober is in trouble") == 1
    assert "the prober does not run" in out
    running = asyncio.get_running_loop().create_task(prober.run())
    async with asyncio.timeout(5):
        while "the prober is well again" not in capsys.readouterr().out:
            await asyncio.sleep(0.02)
    for task in (running, watching):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def test_tools_come_from_the_settings(tmp_path):
    given = Settings(runtime=tmp_path, data=tmp_path, check_commands=tmp_path / "c", check_secrets=tmp_path / "s")
    tools = tools_of(given)
    assert (tools.commands, tools.secrets) == (tmp_path / "c", tmp_path / "s")
    assert tools_of(Settings(runtime=tmp_path, data=tmp_path)).commands is None
