import gzip
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gslb.compare.capture import Content, content_of, parse_capture
from tests.unit.compare.captures import captured, message

JSON = {"content-type": "application/json; charset=utf-8"}


def test_a_message_is_read_as_it_was_sent():
    one = captured(body={"a": 1}, headers={"x-b": "c: d"})
    assert parse_capture(message(one)) == one
    assert one.header("x-b") == "c: d"
    assert one.header("x-c") == ""


def test_a_body_may_hold_what_ends_the_head():
    one = captured(body=b"a\n\nb", headers={"content-type": "text/plain"})
    assert parse_capture(message(one)).body == b"a\n\nb"


def test_pseudo_headers_other_than_the_status_are_kept_as_they_are():
    raw = message(captured()).replace(b":status:200", b":status:200\n:x:y")
    assert parse_capture(raw).headers == ((":x", "y"),)


GOOD = message(captured(body=b"abc"))


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"\n\n", GOOD.replace(b"answer", b"question"), GOOD.replace(b":status:200", b":status:x"),
        GOOD.replace(b"dc shop/pay", b"dc"), GOOD.replace(b"r1 GET", b" GET"), GOOD + b"more",
        GOOD.replace(b"\n3\n", b"\nthree\n"), GOOD.replace(b":status:200", b"\n".join([b"a:b"] * 300)),
    ],
)  # fmt: skip
def test_what_is_no_capture_is_refused(raw):
    with pytest.raises(ValueError, match="no capture"):
        parse_capture(raw)


@given(st.binary(max_size=300))
def test_nothing_but_a_value_error_comes_of_any_octets(raw):
    try:
        content_of(parse_capture(GOOD[:40] + raw))
    except ValueError:
        pass


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        (b'{"a": 1}', JSON, Content("json", {"a": 1})),
        (b'{"a": 1}', {"content-type": "application/problem+json"}, Content("json", {"a": 1})),
        (b"[1]", {}, Content("json", [1])),
        (b'{"a": NaN}', JSON, Content("text", '{"a": NaN}')),
        (b"{", JSON, Content("text", "{")),
        (rb'["\ud83d\ude00"]', JSON, Content("json", ["\N{GRINNING FACE}"])),
        (rb'["\uD83D"]', JSON, Content("text", r'["\uD83D"]')),
        (b"\xff", JSON, Content("opaque")),
        (b"[" * 100 + b"]" * 100, JSON, Content("text", "[" * 100 + "]" * 100)),
        (b"[" * 60_000, JSON, Content("text", "[" * 60_000)),
        (b"<a/>", {"content-type": "image/svg+xml"}, Content("text", "<a/>")),
        (b"a=b", {"content-type": "application/x-www-form-urlencoded"}, Content("text", "a=b")),
        (b"\x89PNG", {"content-type": "image/png"}, Content("opaque")),
        (b"", {}, Content("text", "")),
    ],
)
def test_what_is_compared_of_a_body(body, headers, expected):
    assert content_of(captured(body=body, headers=headers)) == expected


@pytest.mark.parametrize("coding", ["gzip", "deflate", "x-gzip"])
def test_packed_bodies_are_unpacked(coding):
    pack = zlib.compress if coding == "deflate" else gzip.compress
    one = captured(body=pack(json.dumps({"a": 1}).encode()), headers={**JSON, "content-encoding": coding})
    assert content_of(one) == Content("json", {"a": 1})


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("br", b"x"),
        ("gzip", b"no gzip"),
        ("gzip", gzip.compress(b"x", mtime=0)[:-9]),
        ("gzip", gzip.compress(bytes(2 << 20), mtime=0)),
    ],
)
def test_what_cannot_be_unpacked_or_is_too_large_is_opaque(coding, body):
    assert content_of(captured(body=body, headers={**JSON, "content-encoding": coding})) == Content("opaque")


def test_what_was_cut_off_is_opaque():
    one = captured(body=b'{"a": 1}', headers=JSON, size_bytes=70_000)
    assert not one.whole
    assert content_of(one) == Content("opaque")
