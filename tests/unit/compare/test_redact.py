import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gslb.compare.differ import Difference
from gslb.compare.redact import HIDDEN, redacted_body, redacted_difference, redacted_headers, redacted_path
from tests.unit.compare.captures import captured

SECRET = "s3cr3t-Value.17"
NAMES = (
    "password", "userPassword", "passwd", "token", "access_token", "apiKey", "api_key", "clientSecret", "Authorization",
    "session", "sessionId", "jwt", "csrfToken", "iban", "card_number", "cvv", "email", "phoneNumber", "sid",
)  # fmt: skip


@given(st.sampled_from(NAMES), st.lists(st.sampled_from(["a", "b", "list"]), max_size=4))
def test_a_secret_by_name_is_never_kept_wherever_it_lies(name, way):
    value = {name: SECRET, "other": "seen"}
    for step in way:
        value = [value] if step == "list" else {step: value}
    text = redacted_body(captured(body=value), (), 10_000)
    assert SECRET not in text
    assert "seen" in text


@pytest.mark.parametrize(
    "text",
    [
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl", "Bearer abcdef0123456789", "Basic dXNlcjpwYXNz",
        "AKIAIOSFODNN7EXAMPLE", "ann.b+c@example.com", "4111 1111 1111 1111", "4111111111111111",
    ],
)  # fmt: skip
def test_a_secret_by_its_shape_is_never_kept(text):
    assert text not in redacted_body(captured(body={"note": f"x {text} y"}), (), 1000)
    assert text not in redacted_body(
        captured(body=f"x {text} y".encode(), headers={"content-type": "text/plain"}), (), 1000
    )
    assert text not in redacted_headers(captured(headers={"x-note": text}), ())["x-note"]


def test_numbers_that_look_like_cards_and_pairs_in_text():
    assert json.loads(redacted_body(captured(body={"n": 4111111111111111, "m": 7, "t": True}), (), 1000)) == {
        "n": HIDDEN, "m": 7, "t": True,
    }  # fmt: skip
    page = captured(body=b'<a href="?token=abc&x=1">password: hunter2</a>', headers={"content-type": "text/html"})
    assert redacted_body(page, (), 1000) == f'<a href="?token={HIDDEN}&x=1">password: {HIDDEN}</a>'


def test_headers_and_paths():
    given_headers = {"set-cookie": "sid=1", "authorization": "x", "x-api-key": "k", "etag": "e"}
    shown = redacted_headers(captured(headers=given_headers), ("header.etag",))
    assert shown == dict.fromkeys(given_headers, HIDDEN)
    assert redacted_path("/a?token=abc&q=1&e=") == "/a?token=[redacted]&q=1&e="
    assert redacted_path("/u/ann@example.com") == f"/u/{HIDDEN}"
    assert redacted_path("/a") == "/a"


def test_what_the_policy_names():
    body = {"customer": {"name": "Ann", "n": 1}, "items": [{"price": 1, "id": 2}]}
    text = redacted_body(captured(body=body), ("body.customer", "body.items[].price"), 1000)
    assert json.loads(text) == {"customer": HIDDEN, "items": [{"price": HIDDEN, "id": 2}]}
    page = captured(body=b"all of it", headers={"content-type": "text/plain"})
    assert redacted_body(page, ("body",), 1000) == HIDDEN


def test_what_is_long_is_cut_and_what_cannot_be_shown_is_told_by_its_size():
    page = captured(body=b"x" * 100, headers={"content-type": "text/plain"})
    assert redacted_body(page, (), 10) == "x" * 10 + "…"
    assert redacted_body(captured(body=b"\x89PNG"), (), 10) == "(4 octets)"
    assert redacted_body(captured(), (), 10) == ""


def test_values_of_differences():
    assert redacted_difference(Difference("body.user.token", "value", "a", ""), ()) == Difference(
        "body.user.token", "value", HIDDEN, ""
    )
    assert redacted_difference(Difference("body.x", "value", "a", "b"), ("body.x",)).new == HIDDEN
    assert redacted_difference(Difference("body.x", "value", "a@b.c", "b"), ()) == Difference(
        "body.x", "value", HIDDEN, "b"
    )
