"""SMI splits at a real Envoy: none strays at 100/0 and 0/100, and 75/25 lies within the exact bounds of the binomial."""

from __future__ import annotations

from collections import Counter

import pytest
import yaml

from gslb.model.reader import parse_policy
from gslb.snapshot.compile import compile_snapshot
from gslb.snapshot.intent import Intent
from tests.e2e_edge.conftest import DC
from tests.support.binomial import bounds
from tests.support.echo import Echo
from tests.support.http1 import Connection

TOTAL = 400


def documents(version, weights, backends, port):
    own = {
        "zone": {"name": "gslb.test", "nameservers": {"ns1": ["127.0.7.53"]}},
        "sites": {"dc": {"edges": [{"public": [DC]}], "listen": {"http": port}}},
        "services": {f"shop/{name}": {"dc": [endpoint]} for name, endpoint in backends.items()},
    }
    sides = [{"service": name, "weight": weight} for name, weight in zip(backends, weights, strict=True)]
    split = {
        "apiVersion": f"split.smi-spec.io/{version}", "kind": "TrafficSplit",
        "metadata": {"name": "canary", "namespace": "shop"}, "spec": {"service": "shop", "backends": sides},
    }  # fmt: skip
    return {"own.yaml": yaml.safe_dump(own).encode(), "split.yaml": yaml.safe_dump(split).encode()}


@pytest.mark.parametrize("version", ["v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4"])
async def test_splits(stage, version):
    echoes = {name: Echo("shop", name) for name in ("old", "new")}
    backends = {name: await echo.start("127.0.7.9") for name, echo in echoes.items()}
    async with stage.edge() as runner:
        for revision, weights in enumerate(((100, 0), (0, 100), (75, 25)), 1):
            policy = parse_policy(documents(version, weights, backends, stage.port)).policy
            await runner.publish(compile_snapshot(Intent(revision=revision, policy=policy), 0.0))
            connection, seen = Connection(DC, stage.port, "shop.gslb.test"), Counter()
            for _ in range(TOTAL):
                seen[(await connection.ask("/")).json()["pod"]] += 1
            await connection.close()
            low, high = bounds(TOTAL, weights[0] / 100)
            assert low <= seen["old"] <= high, (weights, seen)
    for echo in echoes.values():
        await echo.close()
