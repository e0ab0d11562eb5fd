"""How control begins: from its store and its folder, alone or beside another control."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest

from gslb.errors import HostError, RefusedError
from gslb.roles.control import ControlRole
from gslb.roles.settings import Settings
from gslb.store import etcd_client
from tests.unit.roles.publishing.test_publish import POLICY


@pytest.fixture
async def control(tmp_path):
    """Makes a control without any role, on the SQLite file of this test."""
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "all.yaml").write_text(json.dumps(POLICY))
    (tmp_path / "data").mkdir()
    async with contextlib.AsyncExitStack() as stack:

        def make(**given):
            usual = {"runtime": tmp_path, "data": tmp_path / "data", "policy": tmp_path / "policy"}
            made = ControlRole(Settings(**{**usual, "roles": ("control",), "sites": ("dc", "aws"), **given}))
            stack.callback(made.store.close)
            stack.push_async_callback(made.publisher.close)
            return made

        yield make


async def test_two_controls_that_start_at_once_on_an_empty_store_both_start(control):
    one, two = control(), control()
    await asyncio.gather(one.start(), two.start())
    assert one.publisher.current()[0] == two.publisher.current()[0]
    assert len(one.store.history(10)) == 1


@pytest.mark.parametrize(
    ("every_site", "sites", "taken"),
    [
        (True, ("dc", "aws"), True),
        (True, ("dc",), False),
        (True, ("dc", "aws", "lab"), False),
        (False, ("dc",), True),
        (False, ("dc", "lab"), False),
    ],
)
async def test_a_policy_must_have_the_sites_whose_edges_run_here(control, tmp_path, every_site, sites, taken):
    role = control(roles=("control", "edge"), sites=sites, every_site=every_site)
    if taken:
        await role._take_folder(tmp_path / "policy")
        assert role.publisher.current() is not None
        return
    with pytest.raises(RefusedError) as caught:
        await role._take_folder(tmp_path / "policy")
    assert caught.value.rule == "sites-changed"


async def test_a_store_that_cannot_be_understood_is_fatal(control):
    with pytest.raises(HostError, match="cannot be understood"):
        control(store="etcd://")


async def test_an_etcd_that_is_away_is_waited_for(control, monkeypatch):
    monkeypatch.setattr(etcd_client, "PATIENCE_S", 0.0)
    role = control(store="etcd://127.0.7.1:1/x", policy=None)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await role.start()
    assert role.publisher.current() is None
