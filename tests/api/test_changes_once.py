"""If-Match (RFC 9110 section 13.1.1) and Idempotency-Key: a change that is made knowingly, and once."""

from __future__ import annotations

import asyncio

import pytest

from gslb.control.http.routes import TABLE
from tests.api.conftest import bearer
from tests.api.test_who_may import problem

SHIFT = {"app": "shop", "route": "pay", "split": {"checkout": 25}}
BODIES = {
    "POST /v1/shifts": SHIFT,
    "POST /v1/drains": {"site": "dc"},
    "POST /v1/forced": {"site": "dc", "state": "up", "reason": "the check is wrong"},
    "POST /v1/approvals": {"app": "shop", "site": "dc", "what": "failover"},
    "POST /v1/mirror-stops": {"app": "shop", "route": "pay"},
    "PUT /v1/latency": {"latency": {"192.0.2.0/24": {"dc": "1ms"}}},
    "POST /v1/tokens": {"name": "new", "role": "viewer"},
    "POST /v1/dnssec/rolls": {"zone": "gslb.example.com", "role": "zsk"},
    "POST /v1/dnssec/ds": {"zone": "gslb.example.com", "seen": True},
    "POST /v1/acme": {"name": "_acme-challenge.shop.gslb.example.com", "value": "x"},
    "PUT /v1/checks/{name}/state": {"state": "up"},
    "POST /v1/join-tokens": {"roles": ["dns"]},
    "POST /v1/join": {"id": "0" * 16, "secret": "x", "machine": "m2", "requests": {"dns": "x"}},
    "POST /v1/certificates": {"csr": "x"},
}
NOT_HERE = ("/v1/plan", "/v1/apply")
"""The one changes nothing, the other names its base itself; its tests are the plan's."""
CHANGES = [line for line in TABLE if line.method != "GET" and line.path not in NOT_HERE and line.conditional]
WITHOUT = [line for line in TABLE if line.method != "GET" and not line.conditional]


def path_of(line):
    return line.path.format(app="shop", route="pay", site="dc", name="viewer", backend="checkout")


def body_of(line):
    """One that is valid: a line of the table that takes a body must have one here."""
    return BODIES[f"{line.method} {line.path}"] if line.body is not None else None


@pytest.mark.parametrize("line", CHANGES, ids=lambda line: f"{line.method} {line.path}")
@pytest.mark.parametrize("tags", ['"1.0-0"', 'W/"{tag}"', '"1.0-0", W/"{tag}"', "{tag}", "", '"*"'])
async def test_no_change_is_made_on_what_is_not_in_force(api, publisher, line, tags):
    tag = (await api.get("/v1/status")).headers["ETag"].strip('"')
    headers = {**bearer("admin"), "If-Match": tags.format(tag=tag)}
    before = publisher.intent
    response = await api.request(line.method, path_of(line), json=body_of(line), headers=headers)
    await problem(response, 412, "if-match")
    assert response.headers["ETag"] == f'"{tag}"'
    assert publisher.intent is before


@pytest.mark.parametrize("line", WITHOUT, ids=lambda line: line.path)
async def test_a_condition_that_would_be_ignored_is_refused(api, line):
    headers = {**bearer("admin"), "If-Match": "*"}
    response = await api.request(line.method, path_of(line), json=body_of(line), headers=headers)
    await problem(response, 400, "if-match")


async def test_the_tag_of_an_answer_is_good_for_the_next_change(api, publisher):
    tag = (await api.get("/v1/policy")).headers["ETag"]
    for percent, tags in ((10, "{tag}"), (20, '"other", {tag}'), (30, "*")):
        wanted, headers = (
            {**SHIFT, "split": {"checkout": percent}},
            {**bearer("admin"), "If-Match": tags.format(tag=tag)},
        )
        response = await api.post("/v1/shifts", json=wanted, headers=headers)
        assert response.status == 200
        now = {(await api.get(path)).headers["ETag"] for path in ("/v1/status", "/v1/policy", "/v1/latency")}
        assert now == {response.headers["ETag"]}
        assert tag not in now
        tag = response.headers["ETag"]


async def test_the_same_key_changes_once(api, publisher):
    headers = {**bearer("operator"), "Idempotency-Key": "5cf1"}
    first = await api.post("/v1/drains", json={"site": "dc"}, headers=headers)
    publisher.broken = True
    again = await api.post("/v1/drains", json={"site": "dc"}, headers=headers)
    assert await again.read() == await first.read()
    assert again.headers["ETag"] == first.headers["ETag"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(publisher.records) == 1
    await problem(await api.post("/v1/drains", json={"site": "aws"}, headers=headers), 422, "idempotency-key")
    await problem(await api.post("/v1/shifts", json=SHIFT, headers=headers), 422, "idempotency-key")
    other = {**bearer("admin"), "Idempotency-Key": "5cf1"}
    assert (await api.post("/v1/drains", json={"site": "dc"}, headers=other)).status == 503


async def test_what_was_refused_or_failed_may_be_tried_again(api, publisher):
    headers = {**bearer("operator"), "Idempotency-Key": "5cf1"}
    publisher.broken = True
    await problem(await api.post("/v1/drains", json={"site": "dc"}, headers=headers), 503, "host")
    publisher.broken = False
    assert (await api.post("/v1/drains", json={"site": "dc"}, headers=headers)).status == 200


async def test_the_second_of_two_at_once_is_told_to_wait(api, publisher):
    headers = {**bearer("operator"), "Idempotency-Key": "5cf1"}
    change, going, go_on = publisher.change, asyncio.Event(), asyncio.Event()

    async def slowly(make, audit):
        going.set()
        await go_on.wait()
        return await change(make, audit)

    publisher.change = slowly
    async with asyncio.TaskGroup() as group:
        first = group.create_task(api.post("/v1/drains", json={"site": "dc"}, headers=headers))
        await going.wait()
        await problem(await api.post("/v1/drains", json={"site": "dc"}, headers=headers), 409, "idempotency-key")
        go_on.set()
    assert first.result().status == 200


@pytest.mark.parametrize("key", ["", "a b", "x" * 129, "ö"])
async def test_a_key_that_is_none(api, key):
    headers = {**bearer("admin"), "Idempotency-Key": key}
    await problem(await api.post("/v1/shifts", json=SHIFT, headers=headers), 400, "idempotency-key")


async def test_a_key_is_never_ignored(api):
    headers = {**bearer("admin"), "Idempotency-Key": "5cf1"}
    await problem(await api.post("/v1/tokens", json=BODIES["POST /v1/tokens"], headers=headers), 400, "idempotency-key")
    await problem(await api.delete("/v1/drains/dc", headers=headers), 400, "idempotency-key")
    await problem(await api.put("/v1/latency", json={}, headers=headers), 400, "idempotency-key")
