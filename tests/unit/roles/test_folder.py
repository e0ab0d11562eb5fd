"""A folder that is followed: what the log tells of each edit."""

from __future__ import annotations

import json

from structlog.testing import capture_logs

from gslb.roles.control import ControlRole
from gslb.roles.settings import Settings
from tests.unit.plan.world import BASE, changed, cut


async def test_each_edit_is_foretold_in_the_log_and_held_up_by_no_guard_rail(tmp_path):
    for name in ("policy", "data"):
        (tmp_path / name).mkdir()
    given = {"runtime": tmp_path, "data": tmp_path / "data", "policy": tmp_path / "policy"}
    role = ControlRole(Settings(**given, roles=("control",), sites=tuple(BASE["sites"])))
    told = []
    for policy in (BASE, changed(cut("apps.blog")), changed(cut("apps.blog"))):
        (tmp_path / "policy" / "all.yaml").write_text(json.dumps(policy))
        with capture_logs() as logs:
            await role._take_folder(tmp_path / "policy")
        told.append([entry["plan"] for entry in logs if entry["event"] == "the policy folder is in force"])
    first, second, same = told
    assert first[0].startswith("environment test: no policy -> 1: apps added: shop, blog;")
    assert second == [
        "environment test: revision 1 -> 2: apps removed: blog; guard rails: app-removed; 1 difference",
    ]  # fmt: skip
    assert same == []
    await role.publisher.close()
    role.store.close()
