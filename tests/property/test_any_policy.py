"""Whatever `gslb check` takes can be served: the edges of it by a real Envoy, its names by DNS."""

from __future__ import annotations

from secrets import randbelow

import pytest

from gslb.dns.compose import compose
from gslb.edge import render
from gslb.edge.render import static_bootstrap
from gslb.snapshot.compile import compile_snapshot
from gslb.snapshot.intent import Intent
from gslb.snapshot.types import LiveState
from tests.support.any_policy import taken
from tests.support.envoy_word import PEERING, envoy_word
from tests.support.examples import EFFORT, examples

FIRST = 0 if EFFORT < 1 else randbelow(10**6)


@pytest.mark.e2e
def test_what_check_takes_envoy_takes(tmp_path):
    served = 0
    for seed in range(FIRST, FIRST + examples(160)):
        found = taken(seed)
        if found is None:
            continue
        served += 1
        snapshot = compile_snapshot(Intent(revision=1, policy=found.policy), 0.0)
        assert compose(snapshot, LiveState()).names
        for site in list(snapshot.sites)[seed % 2 :][:1]:
            resources = static_bootstrap(render(snapshot, site, PEERING), str(tmp_path / "admin.sock"))
            assert envoy_word(resources, tmp_path) == "", f"seed {seed} at {site}"
    assert served > examples(160) / 2
