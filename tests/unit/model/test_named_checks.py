"""Named checks and `ready`: one mistake each, where it is told and what it is called."""

import pytest

from gslb.model.words import parse_comparison, parse_status
from tests.unit.model.good_policy import GOOD, load, places_of, problems_of

CHECKS = """\
checks:
  web: {http: {url: "http://10.1.0.20:8008/primary", expect: {status: [200-299, 304]}}, flaky: 10}
  port: {tcp: {to: "10.1.0.20:5432"}, invert: true}
  cert: {tls: {to: "10.1.0.20:443", warn: 14d, fail: 2d}, monitor: true}
  cart: {grpc: {to: "10.1.0.20:9000", service: shop.Cart, tls: {ca: internal.pem, client: probe.pem}}}
  name: {dns: {server: "10.1.0.53:53", name: db.example.com, expect: 10.1.0.20}}
  ping: {icmp: {to: gw.example.com}}
  lag: {command: {run: [check_lag, --max, "30"]}, timeout: 2s}
  hand: {pushed: {expires: 60s, then: down}}
  prom: {prometheus: {url: "http://10.1.0.30:9090", query: "max(lag)", healthy: "< 30"}}
  any: {calculated: {of: [web, port, cart, name, ping, lag, hand, prom], at_least: 2, critical: [web]}}
"""
POLICY = CHECKS + GOOD.replace("    hosts: [shop]\n", "    hosts: [shop]\n    ready: {dc: [any, web], aws: any}\n")


def test_every_kind_reads_and_refers():
    loaded = load(POLICY)
    checks = loaded.policy.checks
    assert [check.kind for check in checks.values()] == [
        "http", "tcp", "tls", "grpc", "dns", "icmp", "command", "pushed", "prometheus", "calculated",
    ]  # fmt: skip
    assert loaded.policy.apps["shop"].ready == {"dc": ("any", "web"), "aws": ("any",)}
    assert checks["web"].http.expect.status == ("200-299", "304")
    assert checks["name"].dns.expect == ("10.1.0.20",)
    assert loaded.warnings == ()


def test_a_policy_with_checks_is_the_same_after_json():
    policy = load(POLICY).policy
    assert type(policy).model_validate_json(policy.model_dump_json()) == policy


def spot(text, new, marker):
    """Line and column of `marker`: in what was written anew, or else wherever it stands."""
    start = text.index(new) + new.index(marker) if marker in new else text.index(marker)
    return text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        # which
        ('port: {tcp: {to: "10.1.0.20:5432"}, invert', "port: {invert", [("{invert", "value")]),
        ("ping: {icmp: {to: gw.example.com}}", "ping: {icmp: {to: gw}, pushed: {}}", [("{icmp", "value")]),
        ("ping: {icmp:", "ping: {imcp:", [("imcp", "unknown-key")]),
        ("icmp: {to:", "icmp: {too:", [("too", "unknown-key")]),
        # values
        ('healthy: "< 30"', 'healthy: "about 30"', [('"about', "value")]),
        ("[200-299, 304]", "[299-200]", [("299", "value")]),
        ("[200-299, 304]", "[200-299, 999]", [("999", "value")]),
        ("[200-299, 304]", "[true]", [("true", "type")]),
        ('url: "http://10.1.0.20:8008/primary"', 'url: "ftp://10.1.0.20"', [('"ftp', "value")]),
        ('url: "http://10.1.0.20:8008/primary"', 'url: "http://10.1.0.20:99999/"', [('"http', "url")]),
        ('url: "http://10.1.0.20:8008/primary"', 'url: "http://me:secret@10.1.0.20/"', [('"http', "url")]),
        ('url: "http://10.1.0.20:8008/primary"', 'url: "http://10.1.0.20/#a"', [('"http', "path-query")]),
        ("expect: {status: [200-299, 304]}", "expect: {regex: '(?=a)'}", [("'(?", "regex")]),
        ("expect: {status: [200-299, 304]}", "method: HEAD, expect: {body: a}", [("a}", "check-body")]),
        ("expect: {status: [200-299, 304]}", "headers: {'a b': c}", [("'a b'", "header-name")]),
        ("expect: {status: [200-299, 304]}", "headers: {Host: c}", [("Host", "header-name")]),
        ("expect: {status: [200-299, 304]}", "headers: {x-gslb-probe: c}", [("x-gslb", "header-name")]),
        ("expect: {status: [200-299, 304]}", 'headers: {a: "\\u00e9"}', [('"\\u', "header-value")]),
        ("expect: {status: [200-299, 304]}", "tls: {ca: a.pem}", [("tls", "check-tls")]),
        ("expect: {status: [200-299, 304]}", "bearer: a, headers: {Authorization: b}", [("bearer", "header-name")]),
        ("ca: internal.pem", "ca: ../internal.pem", [("../", "value")]),
        ("ca: internal.pem", "ca: .hidden", [(".hidden", "value")]),
        ("fail: 2d", "fail: 15d", [("15d", "check-expiry")]),
        ("to: gw.example.com", 'to: "10.1.0.1:7"', [('"10', "host")]),
        ("to: gw.example.com", 'to: "10.1.0.256"', [('"10', "host")]),
        ("to: gw.example.com", 'to: "2001:db8::1"', []),
        ("[check_lag,", "[/bin/sh,", [("/bin", "command")]),
        ("[check_lag,", "[../check_lag,", [("../", "command")]),
        ("[check_lag, --max,", '[check_lag, "a\\0b",', [('"a', "command")]),
        ("expires: 60s", "expires: 500ms", [("500ms", "range")]),
        ("flaky: 10", "flaky: 3", [("flaky", "check-flaky")]),
        ("invert: true", "timeout: 3s", [("timeout", "check-timeout")]),
        ("then: down}}", "then: down}, fall: 2}", [("fall", "check-rounds")]),
        # references
        ("of: [web, port", "of: [wep, port", [("wep", "unknown-check"), ("web]}}", "check-critical")]),
        ("of: [web, port", "of: [web, web, port", [("web, port", "duplicate-check")]),
        ("at_least: 2", "at_least: 9", [("9", "check-never")]),
        ("critical: [web]", "critical: [cert]", [("cert", "check-critical")]),
        ("of: [web, port", "of: [web, any, port", [("of", "check-circle")]),
        ("dc: [any, web]", "dc: [any, wep]", [("wep", "unknown-check")]),
        ("aws: any", "aws: ani", [("ani", "unknown-check")]),
        ("aws: any", "asw: any", [("asw", "unknown-site")]),
        ("dc: [any, web]", "dc: [any, any]", [("any]", "duplicate-check")]),
        ("dc: [any, web]", "dc: [any, cert]", [("cert", "check-monitor")]),
        ("dc: [any, web]", "dc: []", [("[]", "length"), ("any: {calc", "check-unused")]),  # the app is left out
        (", monitor: true", "", [("cert: {tls", "check-unused")]),
    ],
)
def test_one_mistake_is_told_at_its_place(old, new, expected):
    assert POLICY.count(old) == 1, old
    text = POLICY.replace(old, new)
    assert sorted(places_of(text)) == sorted((*spot(text, new, marker), rule) for marker, rule in expected)


def test_a_circle_says_how_it_goes():
    text = POLICY.replace(
        "  ping:", "  a: {calculated: {of: [b]}, monitor: true}\n  b: {calculated: {of: [a]}}\n  ping:"
    )
    (problem,) = problems_of(text)
    assert problem.rule == "check-circle"
    assert problem.message == "a is calculated from itself: a, which needs b, which needs a"


@pytest.mark.parametrize("text", ["", "20", "2000", "200-", "200-199", "abc", "099"])
def test_what_is_no_status(text):
    with pytest.raises(ValueError, match="such as 200"):
        parse_status(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("< 30", ("<", 30.0)), ("==1", ("==", 1.0)), (">= -0.5", (">=", -0.5)), ("!= 1e3", ("!=", 1000.0))],
)
def test_comparisons(text, expected):
    assert parse_comparison(text) == expected


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        ("path: /healthz, method: HEAD, expect: {body: ok}", [("ok", "check-body")]),
        ("path: /healthz, method: POST", [("POST", "value")]),
        ("path: /healthz, expect: {status: [200-399]}, host: a.example", []),
        ("path: /healthz, expect: {headers: {a: b}}", [("headers", "unknown-key")]),
        ("path: /healthz, headers: {x-a: b, host: c}", [("host", "header-name")]),
        ("path: /healthz, http2: true, tls: false", []),
        ("path: /healthz, tls: {sni: inner.example, ca: inner.pem}", []),
        ("path: /healthz, tls: {name: inner.example}", [("name", "unknown-key")]),
        ("path: /healthz, tls: true", [("true", "value")]),
        ("tcp: {}", []),
        ('tcp: {send: "PING", expect: "+PONG"}', []),
        ("grpc: {service: shop.v1.Cart}", [("{service", "check-grpc")]),
    ],
)
def test_checks_of_backends(new, expected):
    text = GOOD.replace("path: /healthz", new)
    assert places_of(text) == [(*spot(text, new, marker), rule) for marker, rule in expected]


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ("tcp: {}, method: HEAD", "method is a word of HTTP checks; leave it out beside tcp"),
        ("path: /healthz, tcp: {}", "it is path and tcp at once; write one of path: /healthz, grpc: {}, tcp: {}"),
        ("grpc: {}, expect: {body: a}", "expect is a word of HTTP checks; leave it out beside grpc"),
        ("fall: 2", "it does not say what it asks; write one of path: /healthz, grpc: {}, tcp: {}"),
    ],
)
def test_a_check_of_a_backend_asks_one_thing(new, said):
    (problem,) = problems_of(GOOD.replace("path: /healthz", new))
    assert said in problem.message + "; " + problem.remedy
