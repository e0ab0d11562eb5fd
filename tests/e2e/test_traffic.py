"""What clients get: answers by weight, paths by share, copies by percentage."""

import asyncio
import shutil
from collections import Counter

import dns.asyncquery
import dns.flags
import dns.message
import dns.rcode
import pytest

from tests.support.binomial import assert_share
from tests.support.running_demo import ADDRESS, DNS_PORT, HOST, eventually


async def test_dns_answers_by_weight_over_udp_and_tcp(demo):
    seen = await demo.answered_sites(1000)
    assert set(seen) == set(ADDRESS.values())
    assert_share(seen[ADDRESS["dc"]], 1000, 0.8)
    reply = await dns.asyncquery.tcp(dns.message.make_query(HOST, "A"), "127.0.0.1", port=DNS_PORT, timeout=3)
    assert reply.answer[0].ttl == 5
    assert reply.flags & dns.flags.AA


@pytest.mark.skipif(shutil.which("dig") is None, reason="needs dig: sh .ci/debian-packages")
async def test_dig_sees_what_the_readme_promises(demo):
    async def dig(*args: str) -> str:
        process = await asyncio.create_subprocess_exec(
            "dig", "@127.0.0.1", "-p", str(DNS_PORT), *args, stdout=asyncio.subprocess.PIPE
        )
        return (await process.communicate())[0].decode()

    assert (await dig("+short", HOST)).strip() in ADDRESS.values()
    assert "status: NXDOMAIN" in await dig("nothing.gslb.test")
    assert "status: REFUSED" in await dig("example.org")
    nodata = await dig(HOST, "AAAA")
    assert "status: NOERROR" in nodata
    assert "SOA" in nodata
    assert "ns1.gslb.test." in await dig("gslb.test", "NS")
    serial = (await dig("+short", "gslb.test", "SOA")).split()[2]
    assert int(serial) == (await demo.status())["snapshot"]["revision"]


async def test_a_route_splits_by_share_and_status_shows_intended_beside_observed(demo):
    seen = await demo.services("/checkout/cart", 2000)
    checkout = seen["checkout", "aws"]
    assert seen.total() == checkout + seen["monolith", "dc"] == 2000
    assert_share(checkout, 2000, 0.1)
    split = (await demo.status())["splits"]["shop/checkout"]
    assert split["intended"] == {"checkout": 10, "monolith": 90}
    assert split["source"] == "policy"
    assert split["requests"] == 2000
    assert split["observed"]["checkout"] == round(checkout / 20, 2)


async def test_prefixes_are_per_segment_and_the_rest_goes_to_the_own_site(demo):
    for path in ("/", "/checkouts", "/Checkout", "/other?x=/checkout"):
        for site in ("dc", "aws"):
            assert set(await demo.services(path, 40, site)) == {("monolith", site)}, path
    status, _, _ = await demo.fetch("/", headers={"host": "nobody.gslb.test"})
    assert status == 404


async def test_the_mirrored_share_is_independent_of_the_split_and_nothing_is_mirrored_twice(demo):
    before = await demo.hits("checkout", "aws")
    seen = await demo.services("/checkout/cart", 2000)
    live = seen["checkout", "aws"]

    async def settled():
        hits = await demo.hits("checkout", "aws")
        sent = (await demo.status())["mirrors"]["shop/checkout"]["sent"]
        return hits if hits["shadow"] - before["shadow"] == sent else None

    hits = await eventually(settled)
    shadow = hits["shadow"] - before["shadow"]
    assert hits["live"] - before["live"] == live
    assert_share(shadow, 2000, 0.5)
    assert (await demo.hits("monolith", "dc"))["shadow"] == 0


async def test_clients_cannot_mark_a_request_as_a_shadow(demo):
    before = (await demo.hits("monolith", "dc"))["live"]
    status, body, _ = await demo.fetch("/plain", headers={"x-gslb-shadow": "1"})
    assert status == 200
    assert "x-gslb-shadow" not in body["headers"]
    assert (await demo.hits("monolith", "dc"))["live"] == before + 1


async def test_a_shadow_carries_no_credentials(demo):
    """The shadow's own headers are not answered to anybody, so the policy sends all of them to an echo of ours."""
    _, body, _ = await demo.fetch("/plain", headers={"authorization": "Basic abc", "cookie": "a=b"})
    assert body["headers"]["authorization"] == "Basic abc"
    assert body["headers"]["cookie"] == "a=b"


async def test_bodies_that_could_slow_the_client_are_not_mirrored_and_are_counted_by_reason(demo):
    async def chunks():
        yield b"x" * 1000

    for _ in range(5):
        assert (await demo.fetch("/checkout/big", method="POST", data=b"x" * 1_000_000))[0] == 200
        assert (await demo.fetch("/checkout/chunked", method="POST", data=chunks()))[0] == 200
        assert (await demo.fetch("/checkout/get", method="GET", data=b"x" * 100_000))[0] == 200
        assert (await demo.fetch("/checkout/get", method="GET", data=chunks()))[0] == 200
    mirror = (await demo.status())["mirrors"]["shop/checkout"]
    assert mirror["sent"] == 0
    assert mirror["skipped"] == {"method": 10, "body_too_large": 5, "body_unknown_length": 5}


async def test_a_sticky_user_never_flips_back_as_the_share_rises_on_any_edge(demo):
    async def cookie() -> str:
        status, _, headers = await demo.fetch("/account")
        assert status == 200
        return headers["set-cookie"].split(";")[0]

    users = [await cookie() for _ in range(150)]
    assert len(set(users)) == 150

    async def sides() -> list[str]:
        found = []
        for user in users:
            served = set()
            for site in ("dc", "aws"):
                _, body, headers = await demo.fetch("/account", site, headers={"cookie": user})
                assert "set-cookie" not in headers
                served.add(body["service"])
            assert len(served) == 1, "both edges choose alike"
            found.append(served.pop())
        return found

    moved: set[int] = set()
    for share in (10, 25, 50):
        result = await demo.gslb("shift", "shop/account", f"checkout={share}")
        assert result.code == 0, result.err
        now = {index for index, service in enumerate(await sides()) if service == "checkout"}
        assert_share(len(now), len(users), share / 100)
        assert moved <= now, "a user who was moved was moved back"
        moved = now


async def test_the_first_answer_of_a_new_user_is_from_the_side_that_stays(demo):
    for _ in range(60):
        _, first, headers = await demo.fetch("/account")
        _, second, _ = await demo.fetch("/account", headers={"cookie": headers["set-cookie"].split(";")[0]})
        assert first["service"] == second["service"]


async def test_shadows_of_a_small_share_do_not_follow_one_side(demo):
    """A draw that used one random number with one denominator would mirror one side only."""
    demo.edit("percent: 50", "percent: 2")
    demo.edit("split: {monolith: 90, checkout: 10}", "split: {monolith: 50, checkout: 50}")

    async def taken():
        return (await demo.status())["splits"]["shop/checkout"]["intended"] == {"checkout": 50, "monolith": 50}

    await eventually(taken)
    ids: Counter = Counter()
    seen = await demo.services("/checkout/x", 4000)
    ids.update(seen)
    before = (await demo.status())["mirrors"]["shop/checkout"]["sent"]
    assert_share(before, 4000, 0.02)


async def test_a_mirror_stops_when_it_is_told_to_says_so_and_starts_again(demo):
    async def ask(times: int) -> dict:
        assert set(await demo.services("/checkout/x", times)) <= {("monolith", "dc"), ("checkout", "aws")}
        return await demo.hits("checkout", "aws")

    def mirrored(status) -> dict:
        return status["mirrors"]["shop/checkout"]

    before = await ask(200)
    told = await demo.gslb("mirror", "stop", "shop/checkout", "--reason", "the target is full", "--json")
    assert told.code == 0, told.err
    assert told.json["after"] == {"shop/checkout": "checkout stopped"}
    stopped = (await demo.hits("checkout", "aws"))["shadow"]
    assert stopped >= before["shadow"] > 0
    assert (await ask(300))["shadow"] == stopped

    async def counted():
        seen = mirrored(await demo.status())
        return seen if seen["skipped"].get("stopped") == 300 else None

    seen = await eventually(counted)
    assert seen["stopped"].endswith("the target is full")
    assert (await demo.gslb("mirror", "start", "shop/checkout")).code == 0
    assert (await ask(200))["shadow"] > stopped
    assert mirrored(await demo.status())["stopped"] is None
    did = [item["action"] for item in (await demo.gslb("history", "--json")).json["changes"][:2]]
    assert did == ["mirror-start", "mirror-stop"]
