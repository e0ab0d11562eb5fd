"""Names that follow from the hosts of apps."""

import pytest

from gslb.model.hosts import aliases, site_hosts, zone_of
from gslb.model.policy import Policy
from tests.unit.model.good_policy import GOOD, load, places_of, problems_of, spoiled

HOSTS = "hosts: [shop]"


def names(policy: Policy):
    return [made.name for app in policy.apps.values() for made in site_hosts(policy, app)]


def with_hosts(hosts, more=""):
    return load(GOOD.replace(HOSTS, f"hosts: [{hosts}]") + more).policy


@pytest.mark.parametrize(
    ("name", "zone"),
    [("a.b.c", "b.c"), ("b.c", "b.c"), ("x.a.b.c", "a.b.c"), ("c", None), ("xb.c", None), ("", None), ("a.x", None)],
)
def test_a_name_lies_in_the_nearest_zone(name, zone):
    found = zone_of(name, {"b.c", "a.b.c"} if name.startswith("x") else {"b.c"})
    assert found == zone


def test_every_host_in_a_zone_has_a_name_at_every_site():
    policy = with_hosts(
        'shop, deep.er.gslb.example.com, www.example.org, "@", www.example.net, example.net',
        "zones:\n  - {name: example.net, nameservers: {ns1: [192.0.2.53]}}\n",
    )
    assert names(policy) == [
        "shop--dc.gslb.example.com",
        "shop--aws.gslb.example.com",
        "deep--dc.er.gslb.example.com",
        "deep--aws.er.gslb.example.com",
        "www--dc.example.net",
        "www--aws.example.net",
    ]


@pytest.mark.parametrize(
    ("steer", "sites"),
    [
        ("[healthy, {weighted: {dc: 1, aws: 0}}]", ["dc", "aws"]),
        ("[healthy, {weighted: {aws: 1}}]", ["aws"]),
        ("[healthy, {only: [dc]}, {weighted: {dc: 1, aws: 1}}]", ["dc"]),
        ("[healthy, {priority: [aws]}, {first: 1}]", ["dc", "aws"]),
    ],
)
def test_a_site_that_the_chain_never_answers_with_has_none(steer, sites):
    text = GOOD.replace("    steer:\n      - healthy\n      - weighted: {dc: 80, aws: 20}\n", f"    steer: {steer}\n")
    assert names(load(text).policy) == [f"shop--{site}.gslb.example.com" for site in sites]


def test_without_a_chain_every_site_answers():
    text = GOOD.replace("    steer:\n      - healthy\n      - weighted: {dc: 80, aws: 20}\n", "")
    assert len(names(load(text).policy)) == 2


def test_a_label_has_63_octets():
    fits, longer = "s" * 59, "s" * 60
    assert [name is None for name in names(with_hosts(f"{fits}, {longer}"))] == [False, True, True, True]
    assert places_of(spoiled(HOSTS, f"hosts: [{fits}]")) == [(14, 13, "site-host-length")]


def test_a_name_has_253_octets():
    parent = ".".join(["p" * 59] * 3) + ".gslb.example.com"
    host = "s" * (253 - len(parent) - 5) + f".{parent}"
    assert [len(name or "") for name in names(with_hosts(host))] == [253, 0]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (HOSTS, "hosts: [shop, shop--dc]", [(14, 13, "site-host")]),
        (HOSTS, "hosts: [shop--dc, shop]", [(14, 23, "site-host")]),
        (HOSTS, "hosts: [shop--dc.gslb.example.com, SHOP]", [(14, 40, "site-host")]),
        ("{ns1: [192.0.2.53]", "{shop--aws: [192.0.2.53]", [(14, 13, "site-host")]),
        ("environment: test", "zones: [{name: shop--dc.gslb.example.com, nameservers: {ns: [192.0.2.53]}}]",
         [(14, 13, "site-host")]),
        (HOSTS, "hosts: [shop, shop--else]", []),
        (HOSTS, "hosts: [shop, shop.gslb.example.com]", [(14, 19, "duplicate-host")]),
    ],
)  # fmt: skip
def test_a_name_that_means_something_else_is_refused(old, new, expected):
    assert places_of(spoiled(old, new)) == expected


def test_two_ways_to_the_same_name():
    text = GOOD.replace("dc:", "x:").replace("aws:", "dc--x:").replace(HOSTS, "hosts: [a, a--dc]")
    (problem,) = problems_of(text)
    assert (problem.column, problem.rule) == (16, "site-host")
    assert problem.message == (
        "a--dc--x.gslb.example.com, which means a--dc.gslb.example.com at the site x alone, "
        "is a.gslb.example.com at the site dc--x alone already"
    )


def test_hosts_outside_are_to_point_to_the_first_inside():
    policy = with_hosts("www.example.org, pay, shop, a.example.org")
    assert list(aliases(policy)) == [
        ("www.example.org", "pay.gslb.example.com"),
        ("a.example.org", "pay.gslb.example.com"),
    ]


def test_with_no_host_inside_there_is_nothing_to_point_to():
    assert list(aliases(with_hosts("www.example.org"))) == []


def test_https_is_checked():
    text = spoiled(HOSTS, f"{HOSTS}\n    https: {{alpn: [h2, h3, h2]}}")
    assert places_of(text) == [(15, 28, "duplicate-alpn")]
    for bad, rule in (("{alpn: [h 2]}", "value"), ("{alpn: []}", "length"), ("{port: 0}", "range"),
                      ("{prot: 1}", "unknown-key"), (f"{{alpn: [{'x' * 256}]}}", "value"), ("true", "type")):  # fmt: skip
        (problem,) = problems_of(spoiled(HOSTS, f"{HOSTS}\n    https: {bad}"))
        assert problem.rule == rule, bad
        assert problem.remedy
    app = load(spoiled(HOSTS, f"{HOSTS}\n    https: {{alpn: h2}}")).policy.apps["shop"]
    assert (app.https.alpn, app.https.port) == (("h2",), 443)
    assert load(GOOD).policy.apps["shop"].https is None
