"""Signed overrides at a node over its socket, with control and store dead, or never there."""

from __future__ import annotations

import pytest

from gslb.trust.emergency import LIMIT_BYTES, SiteEmergency, signed_override
from gslb.trust.signing import Signer, make_key, public_of
from tests.support.trust import trust_in
from tests.unit.control.world import NOW_S
from tests.unit.roles.node_process import process

KEY = make_key(b"a" * 32)


@pytest.fixture
def believed(tmp_path):
    trust = trust_in(tmp_path)
    signer = Signer.of(public_of(KEY), "ann's key", "emergency")
    trust.change(lambda known: known.with_signer(signer))


def signed(number=1, key=KEY, **given):
    common = {"environment": "test", "action": "drain", "site": "dc", "author": "ann", "reason": "fire"}
    times = {"signed_s": NOW_S, "good_until_s": NOW_S + 3600}
    return signed_override(key, SiteEmergency(id=f"{number:032x}", **{**common, **times, **given})).model_dump(
        mode="json"
    )


def drained(it, site="dc"):
    return {name for name, app in it.role.snapshot.apps.items() if site in app.no_entry}


async def test_it_drains_is_shown_with_who_signed_and_holds_over_a_restart(tmp_path, clocks, believed):
    async with process(tmp_path) as it:
        assert (await it.ask("POST", "/v1/override", **signed()))[0] == 409, "nothing is in force yet"
        await it.publish(1)
        status, told = await it.ask("POST", "/v1/override", **signed(2))
        assert (status, told["after"]) == (200, {"shop": "drained", "blog": "drained"})
    async with process(tmp_path) as it:
        assert drained(it) == {"shop", "blog"}
        (deed,) = (await it.state()).broken_glass.deeds
        assert (deed.did, deed.by.author, deed.by.reason) == ("drain dc", "ann (signed: ann's key)", "fire")


async def test_it_is_taken_once_also_over_restarts_and_after_it_was_undone(tmp_path, clocks, believed):
    async with process(tmp_path) as it:
        await it.publish(1)
        await it.ask("POST", "/v1/override", **signed())
        status, told = await it.ask("POST", "/v1/override", **signed())
        assert (status, told["rule"]) == (409, "replayed")
        assert (await it.ask("POST", "/v1/override", **signed(2, action="undrain")))[0] == 200
        assert drained(it) == set()
    async with process(tmp_path) as it:
        assert (await it.ask("POST", "/v1/override", **signed()))[1]["rule"] == "replayed"
        assert drained(it) == set()


async def test_control_that_comes_back_has_the_last_word_and_the_old_one_does_not_come_again(
    tmp_path, clocks, believed
):
    async with process(tmp_path) as it:
        await it.publish(1)
        await it.ask("POST", "/v1/override", **signed())
        await it.publish(2)
        assert drained(it) == set()
        assert (await it.ask("POST", "/v1/override", **signed()))[1]["rule"] == "replayed"


async def test_the_rules_of_drains_hold_for_signed_ones(tmp_path, clocks, believed):
    async with process(tmp_path) as it:
        await it.publish(1)
        assert (await it.ask("POST", "/v1/override", **signed(1, site="nowhere")))[0] == 422
        assert (await it.ask("POST", "/v1/override", **signed(2, site="dc")))[0] == 200
        status, told = await it.ask("POST", "/v1/override", **signed(3, site="aws"))
        assert (status, told["rule"]) == (409, "last-site")
        assert (await it.ask("POST", "/v1/override", **signed(4, site="aws", allow=("last-site",))))[0] == 200


async def test_nobody_else_and_nothing_else_is_taken(tmp_path, clocks, believed):
    async with process(tmp_path) as it:
        await it.publish(1)
        for body, rule in (
            (signed(key=make_key(b"s" * 32)), "unknown-signer"),
            (signed(environment="production"), "other-environment"),
            ({**signed(), "override": signed()["override"].replace("dc", "aws")}, "bad-signature"),
            (signed(good_until_s=NOW_S - 1), "over"),
        ):
            status, told = await it.ask("POST", "/v1/override", **body)
            assert (status, told["rule"]) == (409, rule)
        assert (await it.ask("POST", "/v1/override", format="x"))[0] == 422
        assert (await it.ask("POST", "/v1/override", override="x" * LIMIT_BYTES))[0] == 413
        assert drained(it) == set()
        assert not (tmp_path / "overrides-taken.json").exists(), "what is not taken leaves nothing behind"


async def test_where_it_cannot_be_told_what_was_taken_nothing_is(tmp_path, clocks, believed):
    async with process(tmp_path) as it:
        await it.publish(1)
        (tmp_path / "overrides-taken.json").write_text("[")
        assert (await it.ask("POST", "/v1/override", **signed()))[0] == 503
        assert drained(it) == set()
