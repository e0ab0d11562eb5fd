"""What must fit together: one spoilt place, the problems it gives."""

import pytest

from tests.unit.model.good_policy import GOOD, load, places_of, problems_of, spoiled

EDGE = "[{public: [192.0.2.10], bind: [10.0.0.4]}]"
AWS_EDGE = "[{public: [198.51.100.20]}]"
STEER = "      - healthy\n      - weighted: {dc: 80, aws: 20}\n"
PAY = "match: {path: /pay}"
GRPC = "      new:\n        protocol: http2\n        check: {grpc: {}, interval: 2s, timeout: 1s}\n"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        # names
        ("ns2: [198", "ns1.gslb.example.com: [198", [(4, 36, "duplicate-name")]),
        ("ns2: [198", "NS1: [198", [(4, 36, "duplicate-name")]),
        ("ns2: [198", "gslb.example.com: [198", [(4, 36, "nameserver-apex")]),
        ("192.0.2.53", "0.0.0.0", [(4, 23, "address-kind")]),
        ("192.0.2.53", '"ff02::1"', [(4, 23, "address-kind")]),
        ("hosts: [shop]", "hosts: [shop, shop.gslb.example.com]", [(14, 19, "duplicate-host")]),
        ("hosts: [shop]", "hosts: [shop, gslb.example.com]", []),
        ("hosts: [shop]", 'hosts: ["@"]', []),
        ("hosts: [shop]", 'hosts: ["@", gslb.example.com]', [(14, 18, "duplicate-host")]),
        ("hosts: [shop]", "hosts: [shop, ns1]", [(14, 19, "host-nameserver")]),
        ("hosts: [shop]", "hosts: shop.example.com", [(14, 5, "host-outside")]),
        ("hosts: [shop]", "hosts: [shop, shop.example.com]", []),
        ("ttl: 10s", "ttl: 1500ms", [(5, 8, "ttl-whole")]),
        ("hosts: [shop]", "hosts: [shop]\n    ttl: 2500ms", [(15, 10, "ttl-whole")]),
        ("hosts: [shop]", "hosts: [shop]\n    ttl: 2s", []),
        ("ttl: 10s", "ttl: {min: 5s, max: 60s}", []),
        # near
        ("      - healthy", "      - healthy\n      - geo", [(17, 9, "no-geo")]),
        ("      - healthy", "      - healthy\n      - latency", [(17, 9, "no-latency")]),
        (
            "      - healthy",
            "      - healthy\n      - geo: {bias: {dcc: 2}}",
            [(17, 9, "no-geo"), (17, 22, "unknown-site")],
        ),
        (
            "      - healthy",
            "      - healthy\n      - geo: {countries: {DE: dc, FR: [dc, x]}}",
            [(17, 9, "no-geo"), (17, 39, "unknown-site")],
        ),
        ("      - healthy", "      - healthy\n      - geo: {continents: {EU: [dc, aws]}}", [(17, 9, "no-geo")]),
        ("environment: test", "latency: {10.0.0.0/8: {dc: 2ms, x: 1ms}}", [(1, 33, "unknown-site")]),
        ("ttl: 10s", "ttl: {min: 5s, max: 5s}", []),
        ("ttl: 10s", "ttl: {min: 61s, max: 60s}", [(5, 24, "ttl-order")]),
        ("ttl: 10s", "ttl: {min: 1500ms, max: 2.5s}", [(5, 14, "ttl-whole"), (5, 27, "ttl-whole")]),
        ("hosts: [shop]", "hosts: [shop]\n    ttl: {min: 6s, max: 5s}", [(15, 25, "ttl-order")]),
        # sites
        (AWS_EDGE, "[{public: [192.0.2.10]}]", [(11, 23, "duplicate-address")]),
        (AWS_EDGE, "[{public: [198.51.100.20, 198.51.100.20]}]", [(11, 38, "duplicate-address")]),
        (AWS_EDGE, "[{public: [0.0.0.0]}]", [(11, 23, "address-kind")]),
        (AWS_EDGE, "[{public: [198.51.100.20], bind: [10.0.0.4]}]", [(11, 46, "duplicate-bind")]),
        (AWS_EDGE, "[{public: [198.51.100.20], bind: [192.0.2.10]}]", []),
        (AWS_EDGE, "[{public: [198.51.100.20], bind: [10.0.0.9, 10.0.0.9]}]", [(11, 56, "duplicate-bind")]),
        (AWS_EDGE, "[{public: [198.51.100.20], bind: [10.0.0.9, 0.0.0.0]}]", [(11, 56, "duplicate-bind")]),
        (AWS_EDGE, "[{public: [198.51.100.20], bind: [0.0.0.0, 10.0.0.9]}]", [(11, 55, "duplicate-bind")]),
        (AWS_EDGE, '[{public: [198.51.100.20], bind: [0.0.0.0, "::"]}]', []),
        (AWS_EDGE, "[{public: [10.0.0.4]}]", [(11, 23, "duplicate-bind")]),
        (AWS_EDGE, "[{public: [10.0.0.4]}]\n    listen: {http: 81}", []),
        (EDGE, '[{public: [192.0.2.10], peer: "10.0.0.4:8443"}]', [(8, 36, "no-effect")]),
        # trickle
        ("weighted: {dc: 80, aws: 20}", "weighted: {dc: 80, aws: 0}\n        trickle: 1", []),
        ("weighted: {dc: 80, aws: 20}", "weighted: {dc: 80, aws: 20}\n        trickle: 1", [(17, 9, "no-effect")]),
        ("weighted: {dc: 80, aws: 20}", "weighted: {dc: 80, aws: 0}\n        trickle: 11", [(18, 18, "range")]),
        ("weighted: {dc: 80, aws: 20}", "weighted: {dc: 80, aws: 0}\n        trickle: 0", [(18, 18, "range")]),
        # peers
        ("      new:\n", "      new:\n        via: edge\n", [(24, 14, "no-peer")]),
        ("      new:\n", "      new:\n        via: direct\n", []),
        ("      new:\n", "      new:\n        via: proxy\n", [(24, 14, "value")]),
        ("listen: {http: 80}", "listen: {http: 80}\n    capacity: 5", []),
        ("listen: {http: 80}", "location: {country: NO, lat: 1, lon: 2}", []),
        # chains
        (STEER, "      - healthy\n", [(15, 5, "chain-pick")]),
        (STEER, "      - healthy\n      - first: 1\n      - weighted: {dc: 1}\n", [(18, 9, "chain-pick")]),
        (STEER, "      - first: 1\n      - healthy\n", [(17, 9, "chain-order")]),
        (STEER, "      - healthy\n      - healthy\n      - first: 1\n", [(17, 9, "chain-repeat")]),
        (STEER, "      - healthy\n      - weighted: {dc: 1, awz: 2}\n", [(17, 27, "unknown-site")]),
        (STEER, "      - healthy\n      - only: [dc, zz]\n      - first: 1\n", [(17, 20, "unknown-site")]),
        (STEER, "      - healthy\n      - priority: [dc, dc]\n      - first: 1\n", [(17, 24, "duplicate-site")]),
        (STEER, "      - healthy\n      - weighted: {dc: 0, aws: 0}\n", [(17, 19, "weights-zero")]),
        (STEER, "      - healthy\n      - weighted: {dc: 1, aws: 0}\n", []),
        (STEER, "      - healthy\n      - only: [dc]\n      - weighted: {aws: 1}\n", [(18, 9, "chain-nobody")]),
        (STEER, "      - weighted: {dc: 1}\n", [(15, 5, "chain-health")]),
        (STEER, "      - weighted: {dc: 1}\n    failover: manual\n", []),
        (STEER, "      - healthy\n      - networks\n      - first: 1\n", [(17, 9, "no-networks")]),
        (STEER, "      - healthy\n      - first: 3\n", [(17, 9, "chain-first")]),
        ("    steer:\n" + STEER, "", []),
        (STEER, "      - healthy\n      - shed\n", [(17, 9, "shed-capacity")]),
        (STEER, "      - healthy\n      - first: 1\n      - shed\n", [(18, 9, "chain-pick"), (18, 9, "shed-capacity")]),
        # families
        ("[198.51.100.20]", '[198.51.100.20, "2001:db8::20"]', [(13, 3, "families")]),
        ("[198.51.100.20]", '["2001:db8::20"]', [(13, 3, "families")]),
        # backends
        ('      new:\n        aws: ["10.9.0.5:8080"]', "      new:\n        aws: []", [(23, 7, "no-endpoint")]),
        ('      new:\n        aws: ["10.9', '      new:\n        asw: ["10.9', [(24, 9, "unknown-site")]),
        ('["10.1.0.11:8080"]', '["10.1.0.11:8080", "10.1.0.11:8080"]', [(21, 32, "duplicate-endpoint")]),
        ('["10.1.0.11:8080"]', '["10.0.0.4:80"]', [(21, 14, "endpoint-loop")]),
        ('["10.1.0.11:8080"]', '["198.51.100.20:80"]', [(21, 14, "endpoint-loop")]),
        ('["10.1.0.11:8080"]', '["10.0.0.4:8080", "app.dc.example:80", "[2001:db8::1]:80"]', []),
        ("timeout: 1s", "timeout: 3s", [(20, 47, "check-timeout")]),
        ("path: /healthz", "path: /healthz, flaky: 3", [(20, 33, "check-flaky")]),
        ("path: /healthz", "path: /healthz, flaky: 4", []),
        ("path: /healthz", 'path: "/healthz#top"', [(20, 23, "path-query")]),
        ("path: /healthz", 'path: "/healthz?deep=1"', []),
        # routes
        ("name: rest", "name: pay", [(31, 15, "duplicate-route")]),
        ("new: 5}", "new: 4}", [(28, 9, "split-sum")]),
        ("split: {old: 95, new: 5}", "split: {old: 95, nex: 5}", [(28, 26, "unknown-backend")]),
        ("{to: new, percent: 10}", "{to: nev, percent: 10}", [(29, 23, "unknown-backend")]),
        ("{to: new, percent: 10}", "{to: new, percent: 0}", []),
        ("{to: new, percent: 10}", "{to: new, percent: 1}, {to: new, percent: 2}", [(29, 46, "duplicate-mirror")]),
        ("{to: new, percent: 10}", "{to: new, percent: 10, by: user}", []),
        ("{to: new, percent: 10}", "{to: new, percent: 10, by: {header: x-user}}", []),
        ("{to: new, percent: 10}", "{to: new, percent: 10, by: {header: x user}}", [(29, 46, "header-name")]),
        ("{to: new, percent: 10}", "{to: new, percent: 1, by: user}, {to: old, percent: 2}", []),
        (
            "{to: new, percent: 10}",
            "{to: new, percent: 1, by: user}, {to: old, percent: 2, by: {header: x-user}}",
            [(29, 77, "mirror-users")],
        ),
        (PAY, "match: {path: /pay, headers: {Cookie: {present: true}}}", [(29, 19, "mirror-credentials")]),
        (PAY, "match: {path: /pay, headers: {Cookie: {present: false}}}", []),
        ("{to: new, percent: 10}", "{to: new, percent: 10, remove: x-api-key}", []),
        (
            "{to: new, percent: 10}",
            "{to: new, percent: 10, remove: [x-a, X-A, host, x y]}",
            [(29, 55, "duplicate-header"), (29, 60, "header-framing"), (29, 66, "header-name")],
        ),
        ("percent: 10}]", "percent: 10}]\n        auth: {backend: old}", [(29, 19, "mirror-credentials")]),
        ("percent: 10}]", "percent: 10}]\n        auth: {backend: old, send: x-key}", []),
        (
            "percent: 10}]",
            "percent: 10}]\n        request: {set: {authorization: x}}",
            [(29, 19, "mirror-credentials")],
        ),
        ("percent: 10}]", "percent: 10}]\n        request: {set: {x-key: x}}", []),
        (
            "percent: 10}]",
            "percent: 10}]\n        cors: {origins: 'https://a.example', credentials: true}",
            [(29, 19, "mirror-credentials")],
        ),
        ("percent: 10}]", "percent: 10, credentials: true}]\n        auth: {backend: old}", []),
        ("percent: 10}]", "percent: 10, credentials: false}]\n        auth: {backend: old}", []),
        ("      new:\n", GRPC, [(31, 19, "mirror-grpc")]),
        (PAY, 'match: {path: "/pay?x=1"}', [(27, 23, "path-query")]),
        (PAY, 'match: {exact: "/pay#x"}', [(27, 24, "path-query")]),
        (PAY, "match: {path: /pay//card}", [(27, 23, "path-normal")]),
        (PAY, "match: {exact: /%7Epay}", [(27, 24, "path-normal")]),
        (PAY, "match: {path: /pay%2Fcard}", [(27, 23, "path-normal")]),
        (PAY, "match: {path: /pay/../card}", [(27, 23, "path-normal")]),
        (PAY, "match: {path: /caf%C3%A9/}", []),
        (PAY, "match: {regex: '/(?=pay)'}", [(27, 24, "regex")]),
        (PAY, "match: {regex: '/pay/[0-9]+'}", []),
        (PAY, "match: {path: /pay, headers: {x beta: a}}", [(27, 39, "header-name")]),
        (PAY, "match: {path: /pay, headers: {x_beta: a}}", [(27, 39, "header-underscore")]),
        ("{to: new, percent: 10}", "{to: new, percent: 10, by: {header: x_user}}", [(29, 46, "header-underscore")]),
        (PAY, "match: {path: /pay, headers: {':path': a}}", [(27, 39, "header-name")]),
        (PAY, "match: {path: /pay, headers: {x-a: a, X-A: a}}", [(27, 47, "duplicate-header")]),
        (PAY, "match: {path: /pay, headers: {x-a: 'a '}}", [(27, 44, "header-value")]),
        (PAY, "match: {path: /pay, headers: {x-a: é}}", [(27, 44, "header-value")]),
        (PAY, "match: {path: /pay, headers: {x-a: ''}}", []),
        (PAY, "match: {path: /pay, query: {'': a}}", [(27, 37, "query-name")]),
        # reach
        (PAY, "match: {path: /}", [(31, 9, "unreachable")]),
        (PAY, "match: {path: /, method: GET}", []),
        ("name: rest\n", "name: rest\n        match: {path: /pay/card}\n", [(31, 9, "unreachable")]),
        ("name: rest\n", "name: rest\n        match: {path: /payments}\n", []),
        ("name: rest\n", "name: rest\n        match: {exact: /pay/x, method: GET}\n", [(31, 9, "unreachable")]),
    ],
)
def test_one_mistake(old, new, expected):
    assert places_of(spoiled(old, new)) == expected


def test_a_second_exact_route_for_the_same_path_is_never_reached():
    text = spoiled(PAY, "match: {exact: /pay}").replace("name: rest\n", "name: rest\n        match: {exact: /pay}\n")
    assert [rule for _, _, rule in places_of(text)] == ["unreachable"]
    text = spoiled(PAY, "match: {exact: /pay}").replace("name: rest\n", "name: rest\n        match: {exact: /pay/}\n")
    assert places_of(text) == []


@pytest.mark.parametrize("site", ["check", "tls", "via"])
def test_sites_cannot_have_the_names_of_backend_keys(site):
    text = GOOD.replace("  aws:\n    edges", f"  {site}:\n    edges").replace("aws", "dc")
    assert (10, 3, "reserved-name") in places_of(text)


def test_loopback_addresses_are_on_one_machine_for_all_sites():
    text = GOOD.replace("10.0.0.4", "127.0.7.1").replace("[198.51.100.20]", "[198.51.100.20], bind: [127.0.7.1]")
    (problem,) = problems_of(text)
    assert (problem.rule, problem.severity) == ("duplicate-bind", "error")
    assert "127.0.7.1:80 is bound at site dc already, at p/a.yaml:8:43" in problem.message


def test_private_addresses_of_two_sites_may_be_the_same():
    (problem,) = load(spoiled("[198.51.100.20]", "[198.51.100.20], bind: [10.0.0.4]")).warnings
    assert (problem.rule, problem.severity) == ("duplicate-bind", "warning")


@pytest.mark.parametrize(
    ("split", "suggestion"),
    [
        ("{old: 95, new: 4}", "{old: 96, new: 4}"),
        ("{old: 100, new: 5}", "{old: 95, new: 5}"),
        ("{old: 33.33, new: 33.33}", "{old: 50, new: 50}"),
        ("{old: 100, new: 100}", "{old: 50, new: 50}"),
        ("{old: 0, new: 0}", "{old: 50, new: 50}"),
        ("{old: 10, new: 20}", "{old: 33.33, new: 66.67}"),
    ],
)
def test_a_split_that_is_not_whole_gets_one_that_is(split, suggestion):
    (problem,) = problems_of(spoiled("{old: 95, new: 5}", split))
    assert problem.remedy == f"write split: {suggestion}"


def test_thirds_add_up():
    split = "{old: 33.33, new: 33.33, other: 33.34}"
    text = spoiled("{old: 95, new: 5}", split).replace(
        "      new:\n", '      other: {dc: ["10.1.0.9:80"]}\n      new:\n'
    )
    assert places_of(text) == []


FULL = ("    listen: {http: 80}\n", "    listen: {http: 80}\n    capacity: 100\n")


@pytest.mark.parametrize(
    ("steer", "expected"),
    [
        ("      - healthy\n      - shed\n", []),
        ("      - healthy\n      - shed: {}\n", []),
        ("      - healthy\n      - shed: {low: 70}\n", []),
        ("      - healthy\n      - shed: {low: 70%, high: 95.5}\n", []),
        ("      - healthy\n      - shed: {low: 95}\n", [(18, 15, "shed-marks")]),
        ("      - healthy\n      - shed: {low: 60, high: 50}\n", [(18, 15, "shed-marks")]),
        ("      - healthy\n      - only: [dc]\n      - shed\n", []),
        ("      - healthy\n      - only: [aws]\n      - shed\n", [(19, 9, "shed-capacity")]),
        ("      - healthy\n      - shed\n      - priority: [dc]\n", [(19, 9, "chain-order")]),
        ("      - healthy\n      - shed: {low: 101}\n", [(18, 21, "value")]),
        ("      - healthy\n      - shed: {lo: 1}\n", [(18, 16, "unknown-key")]),
        ("      - healthy\n      - shed: 70\n", [(18, 15, "type")]),
    ],
)
def test_shedding_needs_marks_in_order_and_a_capacity(steer, expected):
    assert places_of(spoiled(STEER, steer).replace(*FULL)) == expected


def test_mixed_families_are_good_when_they_are_said():
    text = spoiled("[198.51.100.20]", '["2001:db8::20"]').replace("hosts: [shop]", "hosts: [shop]\n    families: mixed")
    assert places_of(text) == []


def test_families_count_only_where_an_app_can_be_answered():
    text = spoiled("[198.51.100.20]", '["2001:db8::20"]')
    assert places_of(text.replace("{dc: 80, aws: 20}", "{dc: 80}")) == []
    assert places_of(text.replace("      - healthy\n", "      - healthy\n      - only: [dc]\n")) == []
    (problem,) = problems_of(text)
    assert "dc: IPv4, aws: IPv6" in problem.message


def test_a_misspelt_name_gets_the_right_one():
    (problem,) = problems_of(spoiled("{dc: 80, aws: 20}", "{dc: 80, awss: 20}"))
    assert problem.message == "there is no site awss"
    assert problem.remedy == "write aws; the sites are dc, aws"
    (problem,) = problems_of(spoiled("{dc: 80, aws: 20}", "{dc: 80, xyz: 20}"))
    assert problem.remedy == "the sites are dc, aws"


def test_a_name_that_is_too_long_with_its_zone():
    zone = ".".join(["a" * 60] * 3) + ".example"
    text = GOOD.replace("gslb.example.com", zone).replace("hosts: [shop]", f"hosts: [{'s' * 63}]")
    text = text.replace("ns1:", f"{'n' * 63}:")
    assert [rule for _, _, rule in places_of(text)] == ["name-length", "name-length"]


def test_two_apps_cannot_have_one_host():
    text = GOOD + GOOD[GOOD.index("  shop:") :].replace("  shop:", "  blog:", 1)
    (problem,) = problems_of(text)
    assert (problem.line, problem.rule) == (34, "duplicate-host")
    assert "belongs to the app shop already, at p/a.yaml:14:13" in problem.message


def test_the_contact_may_be_a_mailbox_or_a_name():
    for contact in ("hostmaster@example.com", "hostmaster.example.com"):
        policy = load(spoiled("ttl: 10s", f"contact: {contact}")).policy
        assert policy.zone.contact == "hostmaster.example.com"
    assert places_of(spoiled("ttl: 10s", "contact: host.master@example.com")) == [(5, 12, "value")]


@pytest.mark.parametrize(
    ("dc", "aws", "expected"),
    [
        ("10.0.0.4:8443", "10.9.0.4:8443", []),
        ("dc.internal:8443", "[2001:db8::1]:8443", []),
        ("10.0.0.4:8443", "10.0.0.4:8443", [(11, 45, "duplicate-address")]),
        ("0.0.0.0:8443", "10.9.0.4:8443", [(8, 60, "address-kind")]),
        ("10.0.0.4:80", "10.9.0.4:8443", [(8, 60, "duplicate-bind")]),
        ("10.1.0.11:8080", "10.9.0.4:8443", [(21, 14, "endpoint-loop")]),
    ],
)
def test_peer_addresses_are_checked_where_a_backend_uses_them(dc, aws, expected):
    text = spoiled("bind: [10.0.0.4]", f'bind: [10.0.0.4], peer: "{dc}"')
    text = text.replace("public: [198.51.100.20]", f'public: [198.51.100.20], peer: "{aws}"')
    assert places_of(text.replace("      new:\n", "      new:\n        via: edge\n")) == expected


def test_a_backend_that_has_its_peer_address_is_good_and_says_so_in_the_snapshot():
    text = spoiled("public: [198.51.100.20]", 'public: [198.51.100.20], peer: "10.9.0.4:8443"')
    policy = load(text.replace("      new:\n", "      new:\n        via: edge\n")).policy
    assert (policy.apps["shop"].backends["new"].via, policy.apps["shop"].backends["old"].via) == ("edge", "direct")


@pytest.mark.parametrize(("methods", "word"), [("", "are POST"), (", methods: [POST]", "content-length")])
def test_a_mirror_of_grpc_says_what_is_copied(methods, word):
    text = spoiled("      new:\n", GRPC).replace("percent: 10}", f"percent: 10{methods}}}")
    (problem,) = problems_of(text)
    assert word in problem.message
