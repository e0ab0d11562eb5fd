"""What a route may say besides where it goes: one mistake, the place and rule of its problem."""

import pytest

from gslb.model.policy import Policy
from gslb.model.reader import parse_policy
from tests.unit.model.good_policy import GOOD, load, places_of, spoiled

PAY = "match: {path: /pay}"
SPLIT = "split: {old: 95, new: 5}"


def with_word(text: str) -> str:
    """`text` is line 30, column 9."""
    return spoiled("        retries: 2\n", f"        {text}\n")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("request: {set: {x-a: b}, add: {x-c: d}, remove: [x-e]}", []),
        ("request: {remove: x-e}", []),
        ("request: {set: {Content-Length: 5}}", [(30, 41, "type")]),
        ('request: {set: {Content-Length: "5"}}', [(30, 25, "header-framing")]),
        ("request: {remove: [transfer-encoding]}", [(30, 28, "header-framing")]),
        ("response: {add: {Host: x}}", [(30, 26, "header-framing")]),
        ("request: {add: {x-gslb-probe: x}}", [(30, 25, "header-reserved")]),
        ("request: {add: {x-a: b, X-A: c}}", [(30, 33, "duplicate-header")]),
        ('request: {add: {x-a: "b\\r\\nx: y"}}', [(30, 30, "header-value")]),
        ("request: {st: {x-a: b}}", [(30, 19, "unknown-key")]),
        ("sides: {old: {host: old.example}}", []),
        ("sides: {odl: {host: old.example}}", [(30, 17, "unknown-side")]),
        ("sides: {old: {request: {set: {te: x}}}}", [(30, 39, "header-framing")]),
        ("rewrite: {prefix: /x}", []),
        ("rewrite: {path: /x, prefix: /y}", [(30, 18, "value")]),
        ("rewrite: {}", [(30, 9, "rewrite-empty")]),
        ("rewrite: {path: /a/../b}", [(30, 25, "path-plain")]),
        ('rewrite: {path: "/a?b=c"}', [(30, 25, "path-plain")]),
        ("rewrite: {path: //a}", [(30, 25, "path-plain")]),
        ("rewrite: {path: a}", [(30, 25, "value")]),
        ("redirect: {scheme: https}", [(26, 9, "value")]),
        ("cors: {origins: [https://a.example, https://*.b.example]}", []),
        ('cors: {origins: "*", methods: "*", headers: "*"}', []),
        ("cors: {methods: [GET]}", [(30, 9, "missing-key")]),
        ("cors: {origins: [https://a.example/x]}", [(30, 26, "origin")]),
        ("cors: {origins: [https://a.*.example]}", [(30, 26, "origin")]),
        ("cors: {origins: [a.example]}", [(30, 26, "value")]),
        ("cors: {origins: [https://a.example], max_age: 2d}", [(30, 55, "range")]),
        ("retries: {tries: 3, on: [502, 503], backoff: 20ms, methods: any}", []),
        ("retries: {tries: 3, on: [503, 503]}", [(30, 39, "duplicate-status")]),
        ("retries: {tries: 3, on: [200]}", [(30, 34, "range")]),
        ("retries: {trys: 3}", [(30, 19, "unknown-key")]),
        ("retries: 11", [(30, 18, "range")]),
        ("try_timeout: 20s", [(30, 22, "try-timeout")]),
        ("timeout: 0s", []),
        ("timeout: 5ms", [(30, 18, "range")]),
        ("rate: {requests: 10, burst: 5}", [(30, 15, "value")]),
        ("rate: {per: 1s}", [(30, 9, "missing-key")]),
        ("fault: {}", [(30, 16, "value")]),
        ("fault: {abort: {percent: 1, status: 200}}", [(30, 45, "range")]),
        ("fault: {delay: {percent: 101, time: 1s}}", [(30, 34, "value")]),
        ("max_body: 0", [(30, 19, "range")]),
        ("compress: yes", [(30, 19, "type")]),
        ("auth: {backend: new, path: /check, send: x-key}", []),
        ("auth: {backend: nwe, send: x-key}", [(30, 25, "unknown-backend")]),
        ("auth: {backend: new, take: [content-length], send: x-key}", [(30, 37, "header-framing")]),
        ("variants: true", []),
        ("websocket: true", []),
    ],
)
def test_a_word_of_a_route(word, expected):
    assert places_of(with_word(word)) == expected


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ("match: [{path: /pay}, {exact: /x}]", []),
        ("match: []", [(27, 16, "length")]),
        ("match: [{path: /pay}, {pth: /x}]", [(27, 32, "unknown-key")]),
        ('match: [{path: /pay}, {regex: "("}]', [(27, 39, "regex")]),
        ('match: {headers: {x-a: {regex: "(?=x)"}}}', [(27, 40, "regex")]),
        ("match: {headers: {x-a: {regex: a, exact: b}}}", [(27, 32, "value")]),
        ("match: {headers: {x-a: {}}}", [(27, 32, "value")]),
        ("match: {headers: {x-a: {presnt: true}}}", [(27, 33, "unknown-key")]),
        ("match: {headers: {x-a: {present: false}}}", []),
        ("match: {query: {a: {present: false}}}", [(27, 38, "query-absent")]),
        ("match: {query: {a: {present: true}}}", []),
        ('match: [{headers: {x-a: {exact: " b"}}}]', [(27, 41, "header-value")]),
        ("match: 5", [(27, 16, "type")]),
    ],
)
def test_matches(match, expected):
    assert places_of(spoiled(PAY, match)) == expected


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("redirect: {scheme: https, status: 301}", []),
        ("redirect: {}", [(28, 9, "redirect-loop")]),
        ("redirect: {status: 301}", [(28, 9, "redirect-loop")]),
        ("redirect: {path: /x, prefix: /y}", [(28, 19, "value")]),
        ("redirect: {host: example.org, status: 300}", [(28, 47, "value")]),
        ("respond: {status: 200, body: hello}", []),
        ("respond: {status: 204}", []),
        ("respond: {status: 204, body: hello}", [(28, 38, "respond-body")]),
        ("respond: {body: hello}", [(28, 9, "missing-key")]),
        ("respond: {status: 200}\n        websocket: true", [(29, 9, "no-backend")]),
        ("respond: {status: 200}\n        mirror: [{to: new, percent: 1}]", [(29, 9, "no-backend")]),
        ("respond: {status: 200}\n        split: {old: 100}", [(26, 9, "value")]),
        ("timeout: 1s", [(26, 9, "value")]),
        ("split: {}", [(26, 9, "value")]),
    ],
)
def test_what_answers_instead_of_a_backend(action, expected):
    text = spoiled(SPLIT, action).replace("        mirror: [{to: new, percent: 10}]\n", "")
    assert places_of(text) == expected


def test_a_prefix_is_rewritten_only_where_one_matched():
    text = spoiled(PAY, "match: [{path: /pay}, {exact: /x}]").replace("retries: 2", "rewrite: {prefix: /z}")
    assert places_of(text) == [(30, 27, "rewrite-prefix")]


def test_a_route_whose_every_match_is_taken_before_is_told():
    first = "- name: pay\n        match: [{path: /a}, {exact: /b}]"
    text = GOOD.replace("- name: pay\n        match: {path: /pay}", first)
    text += "      - {name: late, match: [{path: /a/x}, {exact: /b}], split: {old: 100}}\n"
    text = text.replace("- name: rest\n", "- name: rest\n        match: {path: /rest}\n")
    assert [problem[2] for problem in places_of(text)] == ["unreachable"]
    reached = text.replace("exact: /b}], split: {old", "exact: /c}], split: {old")
    assert places_of(reached) == []


def test_one_match_is_written_out_as_one():
    dumped = load(GOOD).policy.model_dump(mode="json")
    assert dumped["apps"]["shop"]["routes"][0]["match"]["path"] == "/pay"
    assert Policy.model_validate(dumped).model_dump(mode="json") == dumped
    assert parse_policy({"a.yaml": GOOD.encode()}).policy == load(GOOD).policy
