"""The command line against an API that is really served, with a publisher of the test's choice."""

from __future__ import annotations

import click
import pytest

from gslb.cli.main import run
from tests.unit.control.serving import served
from tests.unit.control.world import MemoryPublisher, intent


@pytest.fixture
def publisher():
    return MemoryPublisher(intent())


@pytest.fixture
def gslb(publisher, tmp_path, monkeypatch, capsys):
    """Runs a command line, and `more` words that may have blanks in them, as `ann` in a folder of her own: (exit code,
    stdout, stderr), without colours."""
    monkeypatch.delenv("GSLB_SERVER", raising=False)
    monkeypatch.setenv("GSLB_RUNTIME", str(tmp_path))
    monkeypatch.setenv("SUDO_USER", "ann")
    monkeypatch.chdir(tmp_path)

    def command(line, *more):
        code = run([*line.split(), *more])
        out, err = capsys.readouterr()
        return code, click.unstyle(out), err

    with served(publisher, tmp_path):
        yield command
