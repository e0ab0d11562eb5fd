"""The digest of a snapshot: of everything in it, in its order, by whatever way it was come to."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from gslb.model.folder import load_folder
from gslb.snapshot import compile_snapshot
from gslb.snapshot.digest import _text, digests
from gslb.snapshot.intent import Intent

POLICIES = Path(__file__).parents[3] / "policies"


@pytest.mark.parametrize("folder", sorted(POLICIES.iterdir()), ids=lambda folder: folder.name)
def test_every_field_of_every_policy_is_in_it_as_the_standard_library_tells_them(folder):
    snapshot = compile_snapshot(Intent(revision=1, policy=load_folder(folder).policy), 0.0)
    assert _text(snapshot) == json.dumps(dataclasses.asdict(snapshot), default=str, separators=(",", ":"))
    for changed in dataclasses.fields(snapshot):
        if changed.name not in {"version", "digest"}:
            other = dataclasses.replace(snapshot, **{changed.name: ("something", "else")} if changed.name != "apps" else
                                        {"apps": {}})  # fmt: skip
            assert digests(other).whole != digests(snapshot).whole, changed.name
    assert digests(snapshot, digests(snapshot)).whole == digests(snapshot).whole
