"""What every policy in policies/ becomes, per site, beside the committed output; and Envoy's own word on it.

`GOLDEN_UPDATE=1 pytest tests/golden` writes the output anew: read the difference before you commit it.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from gslb.edge import find_envoy, render
from gslb.edge.render import static_bootstrap
from gslb.model import load_folder
from gslb.snapshot.compile import compile_snapshot
from gslb.snapshot.intent import Intent

ROOT = Path(__file__).parents[2]
OUTPUT = Path(__file__).parent / "edge"
ADMIN = "/run/gslb/admin.sock"


def rendered():
    for folder in sorted(item for item in (ROOT / "policies").iterdir() if item.is_dir()):
        policy = load_folder(folder).policy
        snapshot = compile_snapshot(Intent(revision=1, policy=policy), 0.0)
        for site in snapshot.sites:
            yield pytest.param(static_bootstrap(render(snapshot, site), ADMIN), id=f"{folder.name}.{site}")


CASES = list(rendered())


@pytest.mark.parametrize("resources", CASES)
def test_the_resources_are_those_committed(resources, request):
    file = OUTPUT / f"{request.node.callspec.id}.json"
    text = json.dumps(resources, indent=1) + "\n"
    if os.environ.get("GOLDEN_UPDATE"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    assert file.read_text() == text


def test_no_output_is_left_of_a_policy_that_is_gone():
    assert {file.stem for file in OUTPUT.glob("*.json")} == {case.id for case in CASES}


@pytest.mark.e2e
@pytest.mark.parametrize("resources", CASES)
def test_envoy_takes_them(resources, tmp_path):
    file = tmp_path / "static.json"
    file.write_text(json.dumps(resources))
    result = subprocess.run(
        [find_envoy(None), "--mode", "validate", "-c", file, "-l", "warning"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr.strip()) == (0, "")
