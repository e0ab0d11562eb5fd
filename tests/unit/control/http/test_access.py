from __future__ import annotations

import pytest

from gslb.control.http import access
from gslb.control.http.access import LOCAL, NEEDS, READER, Caller, Need
from gslb.control.http.routes import TABLE
from gslb.errors import RefusedError

ROUTES = [f"{line.method} {line.path}" for line in TABLE]


def test_every_route_says_who_may_use_it():
    access.require_complete(ROUTES)


def test_a_route_without_a_line_and_a_line_without_a_route_keep_the_api_from_starting():
    with pytest.raises(AssertionError, match=r"access\.py who may do this: POST /v1/new"):
        access.require_complete([*ROUTES, "POST /v1/new"])
    with pytest.raises(AssertionError, match="no route: GET /metrics"):
        access.require_complete([route for route in ROUTES if route != "GET /metrics"])


def test_no_change_is_open_to_viewers_and_only_reading_is():
    for route, need in NEEDS.items():
        assert route.startswith("GET ") or need.role != "viewer" or need.open, route
    assert {route for route, need in NEEDS.items() if need.role == "admin"} == {
        "GET /v1/tokens", "POST /v1/tokens", "DELETE /v1/tokens/{name}", "POST /v1/dnssec/rolls", "POST /v1/dnssec/ds",
        "POST /v1/join-tokens", "DELETE /v1/machines/{name}",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("has", "needs", "may"),
    [
        ("viewer", "viewer", True), ("viewer", "operator", False), ("viewer", "admin", False), ("viewer", "acme", False),
        ("acme", "viewer", True), ("acme", "acme", True), ("acme", "operator", False), ("operator", "acme", True),
        ("operator", "viewer", True), ("operator", "operator", True), ("operator", "admin", False),
        ("admin", "viewer", True), ("admin", "operator", True), ("admin", "admin", True),
    ],
)  # fmt: skip
def test_each_role_may_what_those_below_it_may(has, needs, may):
    caller = Caller("ann", has)
    if may:
        access.require_role(caller, Need(needs))
        return
    with pytest.raises(access.ForbiddenError) as caught:
        access.require_role(caller, Need(needs))
    assert caught.value.rule == "role"
    assert "ann" in caught.value.message
    assert f"--role {needs}" in caught.value.remedy


def test_over_the_socket_everything_is_allowed_and_without_a_token_reading_is():
    for need in NEEDS.values():
        access.require_role(LOCAL, need)
        access.require_app(LOCAL, need, None)
    access.require_role(READER, Need("viewer"))
    with pytest.raises(access.UnknownCallerError) as caught:
        access.require_role(READER, Need("operator"))
    assert caught.value.rule == "no-token"
    assert "GSLB_TOKEN" in caught.value.remedy


@pytest.mark.parametrize(
    ("need", "app", "words"),
    [
        (Need("operator", per_app=True), "shop", None),
        (Need("viewer"), None, None),
        (Need("operator", per_app=True), "blog", "is about blog"),
        (Need("operator", per_app=True), None, "changes more than one app"),
        (Need("operator"), "shop", "changes more than one app"),
    ],
)
def test_a_token_with_apps_changes_those_alone(need, app, words):
    caller = Caller("deploy", "operator", frozenset({"shop", "shop2"}))
    if words is None:
        access.require_app(caller, need, app)
        return
    with pytest.raises(access.ForbiddenError, match=words) as caught:
        access.require_app(caller, need, app)
    assert caught.value.rule == "app"
    assert "shop, shop2" in caught.value.message


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True), ("127.9.8.7", True), ("::1", True), ("[::1]", True), ("localhost", True), ("LOCALHOST", True),
        ("0.0.0.0", False), ("::", False), ("192.0.2.1", False), ("2001:db8::1", False), ("gslb.example.com", False),
        ("localhost.example.com", False), ("", False),
    ],
)  # fmt: skip
def test_beyond_loopback_the_api_needs_tls(host, loopback):
    assert access.is_loopback(host) is loopback
    access.require_guarded(host, tls=True)
    if loopback:
        access.require_guarded(host, tls=False)
        return
    with pytest.raises(RefusedError) as caught:
        access.require_guarded(host, tls=False)
    assert caught.value.rule == "api-open"
    assert "--api-cert" in caught.value.remedy
