from __future__ import annotations

import pytest

from gslb import clock
from tests.unit.control.world import NOW_S


@pytest.fixture
def clocks(monkeypatch):
    """Moves both clocks."""
    now = {"mono": 1000.0, "wall": NOW_S}
    monkeypatch.setattr(clock, "mono_s", lambda: now["mono"])
    monkeypatch.setattr(clock, "wall_s", lambda: now["wall"])

    def pass_time(seconds):
        now["mono"] += seconds
        now["wall"] += seconds

    return pass_time
