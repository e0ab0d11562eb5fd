"""Shares that are not the policy's come and go in Envoy's runtime: one small file, and never a wrong share meanwhile."""

from __future__ import annotations

import json
import os
import signal

import pytest

from gslb.snapshot.intent import Overrides, Provenance, Shift
from tests.e2e_edge.conftest import DC, HOST, eventually
from tests.support.http1 import load


def shifted(route="pay", version=1, **split):
    by = Provenance(at_s=0)
    return Overrides(version=version, shifts=(Shift(app="shop", route=route, split=split, by=by),))


def three(stage):
    return {name: {"dc": [stage.backend(name).endpoint]} for name in ("old", "new", "other")}


def pay(**split):
    return [{"name": "pay", "split": split}]


def structure(stage):
    """The files that Envoy has to take whole, with the time of their last change."""
    folder = stage.folder / "dc"
    files = [folder / "cds/clusters.json", folder / "rds/routes.json", folder / "lds/listeners.json"]
    return [(file.stat().st_ino, file.stat().st_mtime_ns) for file in files]


def runtime(stage):
    (resource,) = json.loads((stage.folder / "dc/rtds/runtime.json").read_bytes())["resources"]
    return {key: value for key, value in resource["layer"].items() if key != "gslb.mark"}


async def names(stage, n=60):
    connection = stage.connection()
    return {(await connection.ask("/")).json()["name"] for _ in range(n)}


async def test_a_shift_replaces_one_small_file_and_outlives_envoy(stage):
    backends = three(stage)
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot(backends, pay(old=90, new=10)))
        before = structure(stage)
        await runner.publish(stage.snapshot(backends, pay(old=90, new=10), shifted(old=100, new=0)))
        assert structure(stage) == before
        assert await names(stage) == {"old"}

        envoy, _ = await runner.state()
        os.kill(envoy.pid, signal.SIGKILL)

        async def live_again():
            now, _ = await runner.state()
            return now.state == "live" and now.pid != envoy.pid

        await eventually(live_again)
        assert await names(stage) == {"old"}

        await runner.publish(stage.snapshot(backends, pay(old=90, new=10)))
        assert structure(stage) == before
        assert runtime(stage) == {}
        assert await names(stage, 200) == {"old", "new"}


SAME_SHARES = {
    "the policy takes over what a shift said": (
        (pay(old=100, new=0), shifted(old=0, new=100)),
        (pay(old=0, new=100), None),
    ),
    "a shift keeps what the policy says no more": (
        (pay(old=0, new=100), None),
        (pay(old=100, new=0), shifted(old=0, new=100)),
    ),
    "a shift stays while a side of no share comes": (
        (pay(old=100, new=0), shifted(old=0, new=100)),
        (pay(old=100, new=0, other=0), shifted(old=0, new=100)),
    ),
    "a shift stays while the policy moves the same sides": (
        (pay(old=100, new=0, other=0), shifted(old=0, new=100)),
        (pay(old=0, new=0, other=100), shifted(old=0, new=100)),
    ),
    "a route with a shift gets another match": (
        (pay(old=100, new=0), shifted(old=0, new=100)),
        ([{"name": "pay", "match": {"path": "/"}, "split": {"old": 100, "new": 0}}], shifted(old=0, new=100)),
    ),
}


@pytest.mark.parametrize("case", SAME_SHARES)
async def test_no_request_meets_another_share_while_it_changes_where_it_stands(stage, case):
    before, after = SAME_SHARES[case]
    backends = three(stage)
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot(backends, *before))
        async with load(DC, stage.port, HOST, "/") as result:
            for routes, overrides in (after, before) * 4:
                await runner.publish(stage.snapshot(backends, routes, overrides))
                total = result.total
                await eventually(lambda total=total: _grown(result, total + 20))
        assert not result.failures
        assert set(result.answered) == {"new"}


async def test_shifts_to_and_fro_under_load_lose_no_request(stage):
    backends = three(stage)
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot(backends, pay(old=90, new=10)))
        async with load(DC, stage.port, HOST, "/") as result:
            for percent in range(0, 101, 5):
                overrides = shifted(old=100 - percent, new=percent)
                await runner.publish(stage.snapshot(backends, pay(old=90, new=10), overrides))
                total = result.total
                await eventually(lambda total=total: _grown(result, total + 20))
        assert not result.failures
        assert await names(stage) == {"new"}


async def _grown(result, total):
    return result.total >= total
