"""The guards, judged by a few lines that match headers as Envoy does (envoy.config.route.v3.HeaderMatcher)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gslb.edge.render.mirroring import CODING_HEADER, variants
from gslb.model.policy import SAFE_METHODS
from gslb.snapshot.types import BackendName, Mirror, Users

METHODS = ("GET", "HEAD", "POST", "PUT", "OPTIONS")


def holds(guard, headers):
    value = headers.get(guard["name"])
    if "present_match" in guard:
        return (value is not None) != guard.get("invert_match", False)
    if value is None:
        if not guard.get("treat_missing_header_as_empty"):
            return False
        value = ""
    if "range_match" in guard:
        inside = value.isdigit() and guard["range_match"]["start"] <= int(value) < guard["range_match"]["end"]
        return inside != guard.get("invert_match", False)
    match = guard["string_match"]
    return (
        value == match["exact"] if "exact" in match else re.fullmatch(match["safe_regex"]["regex"], value) is not None
    )


def taken(mirrors, headers):
    return next(one for one in variants(mirrors) if all(holds(guard, headers) for guard in one.guards))


def request(method, length=None, chunked=False):
    headers = {":method": method}
    if chunked:
        headers[CODING_HEADER] = "chunked"
    elif length is not None:
        headers["content-length"] = str(length)
    return headers


mirror_lists = st.lists(
    st.builds(
        Mirror,
        to=st.just(BackendName("new")),
        share_bp=st.just(10_000),
        methods=st.lists(st.sampled_from(METHODS), min_size=1, unique=True).map(tuple),
        max_body_bytes=st.sampled_from([0, 10, 1000]),
    ),
    max_size=4,
)


@given(mirror_lists, st.sampled_from(METHODS), st.none() | st.sampled_from([0, 1, 10, 11, 1000, 1001]), st.booleans())
def test_a_mirror_gets_what_fits_and_nothing_else(mirrors, method, length, chunked):
    variant = taken(mirrors, request(method, length, chunked))

    def fits(mirror):
        known = (
            length if not chunked and length is not None else (0 if not chunked and method in SAFE_METHODS else None)
        )
        return method in mirror.methods and known is not None and known <= mirror.max_body_bytes

    assert variant.mirrors == tuple(index for index, mirror in enumerate(mirrors) if fits(mirror))
    assert variant.safe == (method in SAFE_METHODS)
    assert (variant.skip is None) == (len(variant.mirrors) == len(mirrors))


@pytest.mark.parametrize(
    ("headers", "skip"),
    [
        (request("GET"), None),
        (request("POST", 100), None),
        (request("POST", 101), "body_too_large"),
        (request("GET", 101), "body_too_large"),
        (request("POST", chunked=True), "body_unknown_length"),
        (request("GET", chunked=True), "body_unknown_length"),
        (request("POST"), "body_unknown_length"),
        (request("PUT", 1), "method"),
        (request("OPTIONS"), "method"),
    ],
)
def test_why_a_request_is_not_mirrored(headers, skip):
    assert taken([Mirror(BackendName("new"), 100, ("GET", "POST"), 100)], headers).skip == skip


def test_without_mirrors_only_safe_methods_stand_apart():
    assert [(one.safe, one.mirrors, one.skip) for one in variants([])] == [(True, (), None), (False, (), None)]


def test_websockets_are_never_copied():
    mirror = Mirror(BackendName("new"), 100, ("GET", "POST"), 100, by=Users())
    first, *others = variants([mirror, mirror], upgrades=True)
    assert (first.mirrors, first.skip, first.missed, first.outside_bp) == ((), "upgrade", 2, None)
    assert holds(first.guards[0], {"upgrade": "websocket"})
    assert not holds(first.guards[0], {})
    assert others == list(variants([mirror, mirror]))
    assert list(variants([], upgrades=True)) == list(variants([]))


def shares(*mirrors):
    return [
        Mirror(BackendName(str(share)), share, ("GET",), 0, by=Users() if by == "user" else None)
        for share, by in mirrors
    ]


@pytest.mark.parametrize(
    ("mirrors", "expected"),
    [
        (shares((100, "user")), {50: (0,), 100: (), 9999: ()}),
        (shares((10_000, "user")), {0: (0,), 9999: (0,)}),
        (shares((0, "user")), {0: (), 9999: ()}),
        (shares((100, "user"), (300, "user")), {50: (0, 1), 100: (1,), 299: (1,), 300: ()}),
        (shares((100, "user"), (10, "request")), {99: (0, 1), 100: (1,)}),
        (shares((0, "user"), (300, "user")), {0: (1,), 300: ()}),
    ],
)
def test_users_are_due_below_the_share(mirrors, expected):
    def due(point):
        made = (one for one in variants(mirrors) if one.outside_bp is None or point >= one.outside_bp)
        return next(one.mirrors for one in made if all(holds(guard, request("GET")) for guard in one.guards))

    assert {point: due(point) for point in expected} == expected
