"""Who may do what over TCP, by door, token, role and app (RFC 6750, RFC 9110 sections 15.5.2 and 15.5.4)."""

from __future__ import annotations

import pytest

from gslb.control.http import rate
from tests.api.conftest import SECRETS, bearer

DRAIN = {"site": "dc", "app": "shop", "author": "somebody else", "reason": "try"}
CHALLENGE = {"name": "_acme-challenge.shop.gslb.example.com", "value": "x"}
SHIFT = {"app": "shop", "route": "pay", "split": {"checkout": 25}}

PLANNED = {"base": None, "digest": "", "message": "try"}


async def problem(response, status, rule):
    body = await response.json(content_type="application/problem+json")
    assert (response.status, body["rule"]) == (status, rule), body
    assert body["request"] == response.headers["X-Request-Id"]
    return body


@pytest.mark.parametrize(
    ("who", "method", "path", "body", "status"),
    [
        ("viewer", "GET", "/v1/status", None, 200),
        ("viewer", "POST", "/v1/drains", DRAIN, 403),
        ("viewer", "GET", "/v1/tokens", None, 403),
        ("viewer", "POST", "/v1/acme", CHALLENGE, 403),
        ("acme", "POST", "/v1/acme", CHALLENGE, 200),
        ("acme", "DELETE", f"/v1/acme/{CHALLENGE['name']}", None, 200),
        ("acme", "POST", "/v1/drains", DRAIN, 403),
        ("acme", "GET", "/v1/tokens", None, 403),
        ("operator", "POST", "/v1/acme", CHALLENGE, 200),
        ("operator", "POST", "/v1/drains", DRAIN, 200),
        ("operator", "POST", "/v1/drains", {"site": "dc"}, 200),
        ("operator", "PUT", "/v1/latency", {"latency": {"192.0.2.0/24": {"dc": "1ms"}}}, 200),
        ("operator", "POST", "/v1/tokens", {"name": "me", "role": "admin"}, 403),
        ("operator", "DELETE", "/v1/tokens/admin", None, 403),
        ("operator", "POST", "/v1/dnssec/rolls", {"zone": "gslb.example.com", "role": "zsk"}, 403),
        ("admin", "DELETE", "/v1/tokens/viewer", None, 200),
        ("shop", "POST", "/v1/shifts", SHIFT, 200),
        ("shop", "POST", "/v1/drains", DRAIN, 200),
        ("shop", "POST", "/v1/drains", {"site": "dc"}, 403),
        ("shop", "POST", "/v1/drains", {**DRAIN, "app": "blog"}, 403),
        ("shop", "POST", "/v1/shifts", {"app": "blog", "route": "all", "split": {"pages": 100}}, 403),
        ("shop", "DELETE", "/v1/shifts/shop/pay", None, 200),
        ("shop", "DELETE", "/v1/shifts/blog/all", None, 403),
        ("shop", "DELETE", "/v1/drains/dc", None, 403),
        ("shop", "DELETE", "/v1/drains/dc?app=shop", None, 200),
        ("shop", "PUT", "/v1/latency", {"latency": {"192.0.2.0/24": {"dc": "1ms"}}}, 403),
        ("shop", "GET", "/v1/policy", None, 200),
        ("viewer", "GET", "/v1/mirrors/shop/pay/report", None, 403),
        ("shop", "GET", "/v1/mirrors/blog/all/report", None, 403),
        ("shop", "GET", "/v1/mirrors/shop/pay/report", None, 409),
        ("shop", "POST", "/v1/plan", {"revision": 9, "app": "shop"}, 409),
        ("shop", "POST", "/v1/plan", {"revision": 1, "app": "blog"}, 403),
        ("shop", "POST", "/v1/plan", {"revision": 1}, 403),
        ("shop", "POST", "/v1/apply", {"revision": 1, "app": "blog", **PLANNED}, 403),
        ("shop", "POST", "/v1/apply", {"revision": 1, **PLANNED}, 403),
        ("viewer", "POST", "/v1/plan", {"revision": 1, "app": "shop"}, 403),
    ],
)
async def test_a_token_may_what_its_role_may(api, publisher, who, method, path, body, status):
    before = publisher.intent
    response = await api.request(method, path, json=body, headers=bearer(who))
    assert response.status == status, await response.text()
    if status != 200:
        assert publisher.intent is before


async def test_the_history_has_the_tokens_name_whatever_the_request_says(api, publisher):
    await api.post("/v1/drains", json=DRAIN, headers=bearer("operator"))
    await api.delete("/v1/drains/dc?app=shop&author=root", headers=bearer("shop"))
    assert [record.entry.author for record in publisher.records] == ["token operator", "token shop"]


@pytest.mark.parametrize(
    "given",
    [
        "Bearer", "Bearer ", "Bearer x", "Basic YTpi", SECRETS["admin"], f"Bearer {SECRETS['admin']}x", "",
        f"Bearer {SECRETS['admin'][:-1]}", f"Bearer {SECRETS['admin']} {SECRETS['admin']}",
    ],
)  # fmt: skip
async def test_a_wrong_token_is_never_taken_for_none(api, given):
    for path in ("/v1/status", "/nothing"):
        response = await api.get(path, headers={"Authorization": given})
        body = await problem(response, 401, "token")
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        assert SECRETS["admin"] not in str(body)


async def test_two_tokens_are_none(api):
    both = [("Authorization", f"Bearer {SECRETS['admin']}"), ("Authorization", f"Bearer {SECRETS['viewer']}")]
    await problem(await api.get("/v1/status", headers=both), 401, "token")


async def test_a_name_as_host_is_for_those_with_a_token(api):
    await problem(await api.get("/v1/status", headers={"Host": "gslb.example"}), 421, "host")
    assert (await api.get("/v1/status", headers={"Host": "gslb.example", **bearer("viewer")})).status == 200


async def test_a_token_is_made_used_and_revoked(api, publisher):
    wanted = {"name": "new", "role": "operator", "apps": ["shop"], "expires_in_s": 60, "reason": "try"}
    response = await api.post("/v1/tokens", json=wanted, headers=bearer("admin"))
    made = await response.json()
    secret = {"Authorization": f"bearer {made['token']}"}
    assert made["undo"] == "gslb token revoke new"
    assert (made["before"].get("new"), made["after"]["new"]) == (None, "operator")
    assert (await api.post("/v1/drains", json=DRAIN, headers=secret)).status == 200
    for path in ("/v1/tokens", "/v1/history", "/v1/status", "/v1/policy", "/metrics"):
        assert made["token"] not in await (await api.get(path, headers=bearer("admin"))).text()
    assert (await api.delete("/v1/tokens/new?reason=done", headers=bearer("admin"))).status == 200
    await problem(await api.post("/v1/drains", json=DRAIN, headers=secret), 401, "token")
    details = [record.entry.detail for record in publisher.records if record.entry.action == "token"]
    assert details == ["create new --role operator --app shop", "revoke new"]


async def test_apps_belong_to_operators(api):
    wanted = {"name": "new", "role": "admin", "apps": ["shop"]}
    body = await problem(await api.post("/v1/tokens", json=wanted, headers=bearer("admin")), 422, "value")
    assert "operator" in body["detail"]


async def test_who_changes_too_often_is_told_to_wait(api, monkeypatch):
    monkeypatch.setattr(rate, "BURST", 2)
    for status in (200, 200, 429):
        response = await api.post("/v1/shifts", json=SHIFT, headers=bearer("operator"))
        assert response.status == status
    await problem(response, 429, "rate")
    assert response.headers["Retry-After"] == "1"
    assert (await api.post("/v1/shifts", json=SHIFT, headers=bearer("admin"))).status == 200
    assert (await api.get("/v1/status", headers=bearer("operator"))).status == 200


async def test_what_is_asked_over_tcp_stands_in_the_log_without_the_token(api, capsys):
    response = await api.post("/v1/shifts", json=SHIFT, headers=bearer("operator"))
    await api.post("/v1/shifts", json=SHIFT)
    said = capsys.readouterr().out
    assert response.headers["X-Request-Id"] in said
    assert "token=operator" in said
    assert "status=401" in said
    assert not any(secret in said for secret in SECRETS.values())
