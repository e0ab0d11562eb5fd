"""How a policy goes through its waves, on the command line: the options of `gslb apply`, and following them to the end.
Arguments and printing; control moves the waves."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import click

from gslb.cli.operate import seconds
from gslb.control.http.client import Client
from gslb.errors import HostError, RefusedError

__all__ = ["Pace", "pacing", "say_wave", "wait_for_waves", "wave_line"]

LOOK_S = 1.0
SILENCE_S = 60.0
"""How long control may be away while its waves are followed."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How a policy is to go: `bake_s` None: control's default."""

    bake_s: float | None = None
    all_at_once: bool = False
    wait: bool = False

    def asked(self) -> Mapping[str, Any]:
        """What control is told."""
        return {"all_at_once": self.all_at_once, **({} if self.bake_s is None else {"bake_s": self.bake_s})}


_OPTIONS = (
    click.option("--bake", "bake_s", metavar="TIME", callback=seconds, help="How long to watch each wave."),
    click.option("--all-at-once", is_flag=True, help="To every node without waves; with --reason."),
    click.option("--wait", is_flag=True, help="Follow the waves to the end. Exit code 1 where they are taken back."),
)


def pacing(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command these options, which it gets as `pace`."""

    @functools.wraps(command)
    def run(**given: Any) -> None:
        command(pace=Pace(**{field.name: given.pop(field.name) for field in fields(Pace)}), **given)

    return functools.reduce(lambda inner, option: option(inner), reversed(_OPTIONS), run)


def wave_line(wave: Mapping[str, Any]) -> str:
    """Where the waves are, in one line."""
    what = f"revision {wave['revision']}, wave {wave['wave']} of {wave['waves']}"
    if wave["phase"] == "done":
        return f"revision {wave['revision']} went through all {wave['waves']} waves"
    if wave["phase"] == "back":
        return f"{what} was taken back: {wave['why']}"
    if wave["phase"] == "over":
        return f"{what} ended: {wave['why']}"
    doing = "is being published" if wave["phase"] == "reaching" else f"bakes for {wave['bake_s']:g} s"
    waiting = f"; {len(wave['beyond'])} nodes wait" if wave["beyond"] else ""
    return f"{what} ({', '.join(wave['here'])}) {doing}{waiting}"


def say_wave(wave: Mapping[str, Any] | None) -> None:
    """After an apply: what is in force is the first wave alone."""
    if wave is not None:
        click.echo(f"{wave_line(wave)}\nfollow it: gslb nodes --watch")


def wait_for_waves(client: Client, wave: Mapping[str, Any]) -> None:
    """Until the waves of this revision end, with a line for each step. Raises RefusedError where they were taken back,
    HostError where control stays away."""
    told, heard_s = "", time.monotonic()  # noqa: TID251 - how long a person waits
    while True:
        try:
            wave = client.get("/v1/nodes")["wave"] or wave
            heard_s = time.monotonic()  # noqa: TID251
        except HostError:
            if time.monotonic() - heard_s > SILENCE_S:  # noqa: TID251
                raise
        if (line := wave_line(wave)) != told:
            click.echo(line, err=True)
            told = line
        if wave["phase"] in ("back", "over"):
            raise RefusedError(f"wave-{wave['phase']}", told, "gslb history and the log of control tell more")
        if wave["phase"] == "done":
            return
        time.sleep(LOOK_S)
