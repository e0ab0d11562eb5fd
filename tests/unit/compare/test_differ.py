import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gslb.compare.differ import MAX_DIFFERENCES, compare
from gslb.snapshot.routing import Normal
from tests.unit.compare.captures import RULES, captured

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
headers = st.dictionaries(st.sampled_from(["etag", "x-a", "content-type", "date"]), st.text("abc1", max_size=4))


def rules(**changed):
    return dataclasses.replace(RULES, **changed)


def found(old, new, **changed):
    return {(item.path, item.kind) for item in compare(captured(body=old), captured(body=new), rules(**changed))}


@given(values, headers, st.sampled_from([200, 204, 404, 500]))
def test_identical_answers_never_differ(value, given_headers, status):
    one = captured(body=value, headers=given_headers, status=status)
    assert compare(one, dataclasses.replace(one, role="copy", side="new"), RULES) == ()


@given(values, values)
def test_old_and_new_change_places_and_so_do_missing_and_extra(one, other):
    swapped = {"missing": "extra", "extra": "missing"}
    there = {(path, swapped.get(kind, kind)) for path, kind in found(one, other)}
    back = found(other, one)
    assert len(there) >= MAX_DIFFERENCES or there == back


@given(values, values)
def test_what_is_not_equal_differs_somewhere(one, other):
    if json.loads(json.dumps(one)) != json.loads(json.dumps(other)):
        assert found(one, other)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1}, {"a": 2}, {("body.a", "value")}),
        ({"a": 1}, {"a": 1.0}, set()),
        ({"a": 1}, {"a": True}, {("body.a", "type")}),
        ({"a": 1}, {"a": "1"}, {("body.a", "type")}),
        ({"a": None}, {}, {("body.a", "missing")}),
        ({}, {"a": None}, {("body.a", "extra")}),
        ({"a": [{"b": 1}, {"b": 2}]}, {"a": [{"b": 1}, {"b": 3}]}, {("body.a[].b", "value")}),
        ([1, 2, 3], [1, 9], {("body", "length"), ("body[]", "value")}),
        ({"users": {"17": {"n": 1}, "18": {"n": 2}}}, {"users": {"17": {"n": 0}, "18": {"n": 0}}}, {("body.users.*.n", "value")}),
        ({"a b": 1}, {"a b": 2}, {("body.'a b'", "value")}),
        ({"k" * 90: 1}, {"k" * 90: 2}, {(f"body.{'k' * 64!r}", "value")}),
        ({"a": {"b": 1}}, {"a": [1]}, {("body.a", "type")}),
    ],
)  # fmt: skip
def test_json_by_its_structure(old, new, expected):
    assert found(old, new) == expected


def test_values_are_shown_short_and_containers_by_their_size():
    old = captured(body={"a": "x" * 500, "b": {"c": 1}, "d": [1, 2], "e": True})
    shown = {item.path: item.old for item in compare(old, captured(body={}), RULES)}
    assert len(shown["body.a"]) == 120
    assert (shown["body.b"], shown["body.d"], shown["body.e"]) == ("{1 fields}", "[2 items]", "true")


def test_status_and_headers():
    old = captured(headers={"x-a": "1", "x-b": "1", "date": "now", "x-envoy-y": "1"}, status=200)
    new = captured(headers={"x-a": "2", "x-c": "1", "date": "then"}, status=202)
    assert [(item.path, item.kind, item.old, item.new) for item in compare(old, new, RULES)] == [
        ("status", "200 to 202", "200", "202"),
        ("header.x-a", "value", "1", "2"),
        ("header.x-b", "missing", "1", ""),
        ("header.x-c", "extra", "", "1"),
    ]


def test_of_an_answer_and_an_error_the_status_alone_is_told():
    assert [item.path for item in compare(captured(body={"a": 1}), captured(body={"b": 1}, status=500), RULES)] == [
        "status"
    ]


def test_headers_of_one_name_are_one_and_the_edges_own_are_none():
    old = dataclasses.replace(captured(), headers=(("vary", "a"), ("vary", "b"), ("x-edge", "1")))
    new = dataclasses.replace(old, headers=(("vary", "a, b"),))
    assert compare(old, new, rules(own_headers=("x-edge",))) == ()


def test_text_is_told_by_its_first_line_that_differs():
    def text(body):
        return captured(body=body, headers={"content-type": "text/html"})

    assert [(d.kind, d.old, d.new) for d in compare(text(b"a\nb\nc"), text(b"a\nx\ny"), RULES)] == [("text", "b", "x")]
    assert [(d.old, d.new) for d in compare(text(b"a\nb"), text(b"a"), RULES)] == [("b", "")]
    assert [(d.old, d.new) for d in compare(text(b"a"), text(b"a\nb"), RULES)] == [("", "b")]
    assert [(d.kind, d.old, d.new) for d in compare(text(b"a"), text(b"a\n"), RULES)] == [("text", "", "")]


def test_other_bodies_are_compared_by_size_and_hash_and_kinds_with_each_other():
    old = captured(body=b"x", size_bytes=9, hash32=-1)
    new = captured(body=b"x", size_bytes=9, hash32=2)
    assert [(d.kind, d.old, d.new) for d in compare(old, new, RULES)] == [
        ("hash", "9 octets, ffffffff", "9 octets, 00000002")
    ]
    page = captured(body=b"x", headers={"content-type": "text/html"})
    kinds = [(d.path, d.kind) for d in compare(captured(body={}), page, RULES)]
    assert kinds == [("header.content-type", "value"), ("body", "type")]


@pytest.mark.parametrize("more", [{"method": "HEAD"}, {"status": 304}, {"status": 204}])
def test_answers_without_a_body_have_none_to_compare(more):
    assert compare(captured(body=b"a", **more), captured(body=b"b", **more), RULES) == ()


def test_what_is_ignored_is_ignored_with_all_that_lies_in_it():
    old, new = (
        {"meta": {"x": 1}, "items": [{"id": 1, "n": 1}], "a": 1},
        {"meta": {"x": 2}, "items": [{"id": 2, "n": 2}], "a": 2},
    )
    assert found(old, new, ignore=("body.meta", "body.items[].id")) == {
        ("body.items[].n", "value"),
        ("body.a", "value"),
    }
    assert found(old, new, ignore=("body.*", "body.items[].*")) == set()
    assert found(old, new, ignore=("**.x", "body.it*", "body.a")) == set()
    assert found(old, new, ignore=("status",)) == found(old, new)


def test_differences_of_one_pair_are_bounded():
    old, new = {f"k{i}": 1 for i in range(200)}, {f"k{i}": 2 for i in range(200)}
    assert len(found(old, new)) == MAX_DIFFERENCES
    assert len(compare(captured(body=[1] * 50_000), captured(body=[2] * 50_000), RULES)) == 1


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        ("timestamps", "at 2026-11-29T10:00:00.123Z", "at 2026-11-30T11:01:01+01:00"),
        ("timestamps", "Sun, 29 Nov 2026 10:00:00 GMT", "Mon, 30 Nov 2026 10:00:00 GMT"),
        ("timestamps", "1764411111", "1764411112.5"),
        ("timestamps", 1764411111, 1764411112),
        ("timestamps", 1764411111000, 1764411112000),
        ("ids", "x-2b1cf4f8-3f4e-4d2c-9a91-8a2f5f1f0b11", "x-7c0e4d5a-1b2c-4d3e-8f90-1a2b3c4d5e6f"),
        ("ids", "trace 4bf92f3577b34da6", "trace 00f067aa0ba902b7"),
        ("ids", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "01BX5ZZKBKACTAV9WEVGEMMVRZ"),
    ],
)
def test_times_and_ids_are_alike_where_that_is_asked_for(kind, old, new):
    assert found({"a": old}, {"a": new}) == {("body.a", "value")}
    assert found({"a": old}, {"a": new}, normal=(Normal(kind),)) == set()
    assert found({"a": old}, {"a": new}, normal=(Normal(kind, "body.b"),)) == {("body.a", "value")}


def test_what_is_no_time_stays_different():
    assert found({"a": 17}, {"a": 18}, normal=(Normal("timestamps"), Normal("ids"))) == {("body.a", "value")}
    assert found({"a": "17"}, {"a": "18"}, normal=(Normal("timestamps"), Normal("ids"))) == {("body.a", "value")}


def test_patterns_and_order():
    build = (Normal("regex", "**", "build-[0-9]+"),)
    assert found({"a": "build-1 x"}, {"a": "build-2 x"}, normal=build) == set()
    assert found({"a": "build-1 x"}, {"a": "build-2 y"}, normal=build) == {("body.a", "value")}
    assert found({"a": 12}, {"a": 13}, normal=(Normal("regex", "body.a", "[0-9]{2}"),)) == set()
    tags = (Normal("sorted", "body.tags"),)
    assert found({"tags": ["a", "b"]}, {"tags": ["b", "a"]}) == {("body.tags[]", "value")}
    assert found({"tags": ["a", "b"]}, {"tags": ["b", "a"]}, normal=tags) == set()
    assert found({"tags": [{"b": 1, "a": 2}, 3]}, {"tags": [3, {"a": 2, "b": 1}]}, normal=tags) == set()
    assert found({"tags": ["a", "b"]}, {"tags": ["b", "c"]}, normal=tags) == {("body.tags[]", "value")}
