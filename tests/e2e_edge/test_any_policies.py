"""One Envoy takes one policy after another, however little they have in common: listeners, routes and clusters come and
go in an order in which none of them is ever missed."""

from __future__ import annotations

import os
import shutil

from gslb.edge.render.peers import needs_peers
from gslb.errors import GslbError
from gslb.snapshot.compile import compile_snapshot
from gslb.snapshot.intent import Intent
from gslb.snapshot.types import RouteId
from tests.support.any_policy import taken

STEPS, FIRST = int(os.environ.get("POLICIES", "40")), int(os.environ.get("POLICIES_FROM", "0"))


async def test_any_policy_follows_any_other(stage):
    given = stage.folder / "dc" / "certificates"
    given.mkdir(parents=True)
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", given / "ca.pem")
    taken_so_far = []
    async with stage.edge() as runner:
        for seed in range(FIRST, FIRST + STEPS):
            found = taken(seed)
            snapshot = found and compile_snapshot(Intent(revision=seed + 1, policy=found.policy), 0.0)
            if snapshot is None or needs_peers(snapshot):
                continue  # which takes an identity
            taken_so_far.append(seed)
            try:
                await runner.prepare(snapshot)
                await runner.publish(snapshot)
            except GslbError as error:
                raise AssertionError(taken_so_far) from error
            assert runner.serves
            state, routes = await runner.state()
            assert state.state == "live", taken_so_far
            assert {route.route for route in routes} == {
                RouteId(app.name, route.name) for app in snapshot.apps.values() for route in app.routes if route.split
            }
    assert len(taken_so_far) > STEPS / 3
