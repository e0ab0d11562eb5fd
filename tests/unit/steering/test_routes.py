"""Which route takes a request, told without an Envoy."""

import pytest

from gslb.steering import Request, normal_path, take_route
from tests.unit.steering.world import app, policy, snapshot


def compiled(*matches):
    routes = [{"name": f"r{n}", "match": match, "split": {"monolith": 100}} for n, match in enumerate(matches)]
    return snapshot(policy(shop=app(routes=routes))).apps["shop"]


def taken(matches, path, method="GET", query=""):
    step = take_route(compiled(*matches), Request(method, path, query))[-1]
    return step.missing or step.route.name


@pytest.mark.parametrize(
    ("match", "takes", "leaves"),
    [
        ({}, ["/", "/anything/x"], []),
        ({"path": "/"}, ["/", "/x"], []),
        ({"path": "/v2"}, ["/v2", "/v2/", "/v2/x"], ["/v2x", "/V2", "/", "/x/v2"]),
        ({"path": "/v2/"}, ["/v2", "/v2/x"], ["/v2x"]),
        ({"exact": "/v2"}, ["/v2"], ["/v2/", "/v2/x", "/"]),
        ({"regex": "/u/[0-9]+"}, ["/u/1", "/u/22"], ["/u/", "/u/1/", "/x/u/1"]),
        ({"regex": "/a|/ab"}, ["/a", "/ab"], ["/abc"]),
        ({"regex": "(?i)/a\\pL"}, ["/ab", "/AB"], ["/a1"]),
    ],
)
def test_a_path_is_compared_as_the_edges_do(match, takes, leaves):
    assert [path for path in takes + leaves if taken([match], path) == "r0"] == takes


def test_the_first_that_matches_wins_and_those_before_it_say_why_not():
    steps = take_route(
        compiled({"exact": "/a"}, {"regex": "/b+"}, {"path": "/c"}, {"path": "/d"}, {}), Request("GET", "/d/x")
    )
    assert [(step.route.name, step.missing) for step in steps] == [
        ("r0", "takes the path /a only"),
        ("r1", "takes paths like /b+"),
        ("r2", "takes paths below /c"),
        ("r3", ""),
    ]


def test_methods_headers_and_queries_must_hold_too():
    assert taken([{"method": ["POST", "PUT"]}], "/") == "takes POST, PUT only"
    assert taken([{"method": "POST"}], "/", "POST") == "r0"
    assert taken([{"headers": {"X-Beta": "1"}}], "/") == "wants the header x-beta: 1"
    assert taken([{"query": {"v": "2"}}], "/", query="v=1") == "wants v=2 in the query"
    assert taken([{"query": {"v": "2"}}], "/", query="a=b&v=2&v=1") == "r0", "the first value counts"
    assert taken([{"query": {"v": "a b"}}], "/", query="v=a%20b") != "r0", "nothing is decoded"
    assert taken([{"query": {"v": ""}}], "/", query="v") == "r0"


def test_a_preflight_is_of_the_route_that_takes_the_method_it_asks_for():
    routes = [
        {"name": "plain", "match": {"path": "/plain", "method": "POST"}, "split": {"monolith": 100}},
        {"name": "cors", "match": {"method": "POST"}, "split": {"monolith": 100}, "cors": {"origins": "*"}},
    ]
    shop = snapshot(policy(shop=app(routes=routes))).apps["shop"]

    def missing(path, **headers):
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return take_route(shop, Request("OPTIONS", path, headers=sent))[-1].missing

    asked = {"origin": "https://a.example", "access_control_request_method": "POST"}
    assert not missing("/x", **asked)
    assert not missing("/plain", **asked), "the first has no cors"
    assert missing("/x", **{**asked, "access_control_request_method": "PUT"})
    assert missing("/x", access_control_request_method="POST")


def test_no_route_may_take_it():
    assert taken([{"path": "/a"}], "/b") == "takes paths below /a"


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("/", "/"),
        ("/a//b", "/a/b"),
        ("//", "//"),
        ("///", "//"),
        ("/a/./b/../c", "/a/c"),
        ("/a/..", "/"),
        ("/a/.", "/a/"),
        ("/../../a", "/a"),
        ("/a/%2e%2E/b", "/b"),
        ("/%61%2Db%20", "/a-b%20"),
        ("/a\\b", "/a/b"),
        ("/a%2Fb", None),
        ("/a%5cb", None),
        ("/a#b", None),
    ],
)
def test_a_path_is_made_normal_before_it_is_compared(written, normal):
    assert normal_path(written) == normal


def test_a_pattern_that_would_take_for_ever_elsewhere_does_not():
    assert taken([{"regex": "/(a+)+$"}], "/" + "a" * 2000 + "!") == "takes paths like /(a+)+$"
