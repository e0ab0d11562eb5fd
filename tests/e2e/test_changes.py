"""Change without loss: shift, drain, undrain, edits, and what is refused."""

import asyncio

from tests.support.binomial import assert_share
from tests.support.running_demo import ADDRESS, eventually


async def test_shift_is_in_force_when_the_command_returns_and_tells_how_to_undo(demo):
    result = await demo.gslb("shift", "shop/checkout", "checkout=100", "--reason", "test", "--json")
    assert result.code == 0, result.err
    said = result.json
    assert said["environment"] == "demo"
    assert said["before"] == {"checkout": 10, "monolith": 90}
    assert said["after"] == {"checkout": 100, "monolith": 0}
    for site in ("dc", "aws"):
        assert set(await demo.services("/checkout/x", 200, site)) == {("checkout", "aws")}
    status = await demo.status()
    assert status["splits"]["shop/checkout"]["source"] == "shift"
    undo = said["undo"].split()
    assert undo[0] == "gslb"
    assert (await demo.gslb(*undo[1:])).code == 0
    assert (await demo.status())["splits"]["shop/checkout"]["source"] == "policy"
    assert_share((await demo.services("/checkout/x", 1000))["checkout", "aws"], 1000, 0.1)


async def test_a_shift_for_a_time_ends_by_itself(demo):
    result = await demo.gslb("shift", "shop/checkout", "checkout=50", "--for", "2s")
    assert result.code == 0, result.err

    async def back():
        return (await demo.status())["splits"]["shop/checkout"]["source"] == "policy"

    await eventually(back)
    assert_share((await demo.services("/checkout/x", 1000))["checkout", "aws"], 1000, 0.1)


async def test_drain_takes_a_site_out_of_dns_and_of_its_own_edge_at_once(demo):
    result = await demo.gslb("drain", "dc", "--reason", "maintenance")
    assert result.code == 0, result.err
    assert set(await demo.answered_sites(60)) == {ADDRESS["aws"]}
    assert set(await demo.services("/rest", 60, "dc")) == {("monolith", "aws")}
    _, _, headers = await demo.fetch("/rest", "dc")
    assert headers.get("connection") == "close"
    site = (await demo.status())["sites"]["dc"]
    assert site["drained"]
    last = await demo.gslb("drain", "aws")
    assert last.code == 1
    assert "last-site" in last.err
    result = await demo.gslb("undrain", "dc")
    assert result.code == 0, result.err
    assert set(await demo.answered_sites(200)) == set(ADDRESS.values())
    assert set(await demo.services("/rest", 60, "dc")) == {("monolith", "dc")}


async def test_entry_drain_leaves_the_edge_as_it_is(demo):
    assert (await demo.gslb("drain", "dc", "--entry")).code == 0
    assert set(await demo.answered_sites(60)) == {ADDRESS["aws"]}
    assert set(await demo.services("/rest", 60, "dc")) == {("monolith", "dc")}


async def test_fifty_share_changes_and_ten_drains_under_load_fail_no_request(demo):
    async with demo.load("/checkout/x", rate=300) as outcomes, demo.load("/account", rate=100, site="aws") as others:
        for step in range(50):
            result = await demo.gslb("shift", "shop/checkout", f"checkout={step * 2 + 1}")
            assert result.code == 0, result.err
        for _ in range(5):
            for command in ("drain", "undrain"):
                result = await demo.gslb(command, "dc")
                assert result.code == 0, result.err
    assert set(outcomes) == {200}, outcomes
    assert set(others) == {200}, others


async def test_an_edit_is_taken_without_loss_and_raises_the_serial(demo):
    before = await demo.status()
    async with demo.load("/rest", rate=300) as outcomes:
        demo.edit("split: {monolith: 90, checkout: 10}", "split: {monolith: 20, checkout: 80}")

        async def taken():
            return (await demo.status())["splits"]["shop/checkout"]["intended"] == {"checkout": 80, "monolith": 20}

        await eventually(taken)
        assert_share((await demo.services("/checkout/x", 1000))["checkout", "aws"], 1000, 0.8)
        demo.edit('aws: ["127.0.2.1:9002"]', 'aws: ["127.0.2.1:9002", "127.0.2.1:9001"]')

        async def taken_too():
            return (await demo.status())["snapshot"]["revision"] >= before["snapshot"]["revision"] + 2

        await eventually(taken_too)
    assert set(outcomes) == {200}, outcomes
    after = await demo.status()
    assert after["snapshot"]["digest"] != before["snapshot"]["digest"]
    assert all(role["in_sync"] for role in after["roles"].values())


async def test_a_new_host_is_known_to_the_edges_before_dns_tells_it(demo):
    demo.edit("hosts: [shop]", "hosts: [shop, store]")

    async def answered():
        reply = await demo.ask("store.gslb.test")
        return bool(reply.answer)

    await eventually(answered)
    for site in ("dc", "aws"):
        status, _, _ = await demo.fetch("/x", site, headers={"host": "store.gslb.test"})
        assert status == 200


async def test_a_broken_edit_changes_nothing_and_says_why(demo):
    before = await demo.status()
    demo.edit("split: {monolith: 90, checkout: 10}", "split: {monolith: 90, chekout: 20}")

    async def complained():
        return "chekout" in demo.log.read_text()

    await eventually(complained)
    after = await demo.status()
    assert after["snapshot"] == before["snapshot"]
    assert set(await demo.services("/rest", 50)) == {("monolith", "dc")}
    check = await demo.gslb("check", str(demo.policy), "--json")
    assert check.code == 1
    assert {"file", "line", "column", "rule", "message", "remedy"} <= set(check.json["problems"][0])
    demo.edit("split: {monolith: 90, chekout: 20}", "split: {monolith: 60, checkout: 40}")

    async def taken():
        return (await demo.status())["splits"]["shop/checkout"]["intended"]["checkout"] == 40

    await eventually(taken)


async def test_half_written_files_are_not_taken(demo):
    """A writer that takes its time over a file: nothing in between is published, and nothing is complained about."""
    file = demo.policy / "demo.yaml"
    text = file.read_text().replace("monolith: 90, checkout: 10", "monolith: 70, checkout: 30")
    with file.open("w") as handle:
        for start in range(0, len(text), 200):
            handle.write(text[start : start + 200])
            handle.flush()
            await asyncio.sleep(0.02)

    async def taken():
        return (await demo.status())["splits"]["shop/checkout"]["intended"]["checkout"] == 30

    await eventually(taken)
    assert "refused" not in demo.log.read_text()
    assert (await demo.status())["snapshot"]["revision"] == 2


async def test_refused_requests_say_what_to_write_and_change_nothing(demo):
    before = (await demo.status())["snapshot"]
    for arguments, words in (
        (("shift", "shop/checkot", "checkout=20"), "checkout"),
        (("shift", "shop/checkout", "chekout=20"), "checkout"),
        (("shift", "shop/checkout", "checkout=120"), "100"),
        (("drain", "dcc"), "dc"),
        (("undrain", "moon"), "dc"),
    ):
        result = await demo.gslb(*arguments)
        assert result.code == 1, arguments
        assert words in result.err
        assert "Traceback" not in result.err
    assert (await demo.status())["snapshot"] == before
