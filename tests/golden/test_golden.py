"""What every policy in policies/ becomes: the snapshot, the DNS zone, each site's Envoy resources, beside the committed
output; and Envoy's own word on it.

`GOLDEN_UPDATE=1 pytest tests/golden` writes the output anew: read the difference before you commit it.
"""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import dns.name
import pytest

from gslb.dns.compose import compose
from gslb.dns.tables import Body
from gslb.edge import render
from gslb.edge.render import static_bootstrap
from gslb.model.folder import load_folder
from gslb.snapshot.compile import compile_snapshot
from gslb.snapshot.intent import Intent
from gslb.snapshot.types import LiveState
from tests.support.envoy_word import PEERING, envoy_word

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
ADMIN = "/run/gslb/admin.sock"


def snapshots():
    for folder in sorted(item for item in (ROOT / "policies").iterdir() if item.is_dir()):
        policy = load_folder(folder).policy
        yield folder.name, compile_snapshot(Intent(revision=1, policy=policy), 0.0)


def zone_of(snapshot):
    """Every name, type and answer with its probability, as DNS would give it with nothing known to be down."""
    tables = compose(snapshot, LiveState())
    return {
        dns.name.from_wire(name, 0)[0].to_text(): {
            str(qtype): found.records.hex()
            if isinstance(found, Body)
            else [
                [variant.sites, round(variant.weight, 6), variant.body.records.hex()]
                for variant in tables.pools[found].v4.choices[-1].variants
            ]
            for qtype, found in sorted(entry.items())
        }
        for name, entry in sorted(tables.names.items())
    }


SNAPSHOTS = [pytest.param(snapshot, id=name) for name, snapshot in snapshots()]
RESOURCES = [
    pytest.param(static_bootstrap(render(snapshot, site, PEERING), ADMIN), id=f"{name}.{site}")
    for name, snapshot in snapshots()
    for site in snapshot.sites
]


def assert_committed(file: Path, content) -> None:
    text = json.dumps(content, indent=1, default=str) + "\n"
    if os.environ.get("GOLDEN_UPDATE"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    assert file.read_text() == text


@pytest.mark.parametrize("snapshot", SNAPSHOTS)
def test_the_snapshot_is_the_one_committed(snapshot, request):
    assert_committed(HERE / "snapshot" / f"{request.node.callspec.id}.json", dataclasses.asdict(snapshot))


@pytest.mark.parametrize("snapshot", SNAPSHOTS)
def test_the_zone_is_the_one_committed(snapshot, request):
    assert_committed(HERE / "zone" / f"{request.node.callspec.id}.json", zone_of(snapshot))


@pytest.mark.parametrize("resources", RESOURCES)
def test_the_resources_are_those_committed(resources, request):
    assert_committed(HERE / "edge" / f"{request.node.callspec.id}.json", resources)


@pytest.mark.parametrize(
    ("folder", "cases"), [("snapshot", SNAPSHOTS), ("zone", SNAPSHOTS), ("edge", RESOURCES)], ids=str
)
def test_no_output_is_left_of_a_policy_that_is_gone(folder, cases):
    assert {file.stem for file in (HERE / folder).glob("*.json")} == {case.id for case in cases}


@pytest.mark.e2e
@pytest.mark.parametrize("resources", RESOURCES)
def test_envoy_takes_them(resources, tmp_path):
    assert envoy_word(resources, tmp_path) == ""
