"""How edges are reached: one mistake, the place and rule of its problem."""

import pytest

from tests.unit.model.good_policy import GOOD, load, places_of, spoiled


@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        ("http: 80, https: 443", []),
        ("http: 80, https: 80", [(8, 43, "duplicate-bind"), (9, 31, "duplicate-port")]),
        ("http: 80, also: [8080, 8080]", [(9, 37, "duplicate-port")]),
        ("http: 80, also: [8080], https: 8080", [(9, 45, "duplicate-port")]),
        ("http: 80, http3: true", [(9, 31, "no-https-port")]),
        ("http: 80, proxy_protocol: true", [(9, 40, "untrusted-proxies")]),
        ("http: 80, proxy_hops: 2", [(9, 36, "untrusted-proxies")]),
        ("http: 80, trusted_proxies: [10.0.0.0/8], proxy_protocol: true", []),
        ("http: 80, trusted_proxies: [10.0.0.1/8]", [(9, 42, "value")]),
        ("http: 80, max_connection_age: 0s", [(9, 44, "range")]),
        ("htps: 443", [(9, 14, "unknown-key")]),
    ],
)
def test_a_site_listens(listen, expected):
    assert places_of(spoiled("http: 80", listen)) == expected


TLS = GOOD.replace("listen: {http: 80}", "listen: {https: 443}").replace(
    "edges: [{public: [198.51.100.20]}]", "edges: [{public: [198.51.100.20]}]\n    listen: {https: 443}"
)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("tls: {cert: a.crt, key: a.key, redirect: true}", []),
        ("tls: {cert: a.crt}", [(16, 5, "missing-key")]),
        ("tls: {cert: /etc/a.crt, key: a.key}", [(16, 17, "value")]),
        ("tls: {cert: ../a.crt, key: a.key}", [(16, 17, "value")]),
        ('tls: {cert: a.crt, key: a.key, min_version: "1.1"}', [(16, 49, "value")]),
        ("ports: [81]", [(16, 13, "unknown-port")]),
        ("ports: [80]\n    tls: {cert: a.crt, key: a.key}", [(16, 5, "tls-ports")]),
    ],
)
def test_an_app_is_served(word, expected):
    assert places_of(TLS.replace("    hosts: [shop]\n", f"    hosts: [shop]\n    {word}\n")) == expected


def test_tls_needs_a_port_at_every_site_and_the_same_one_for_its_record():
    app = "    hosts: [shop]\n    tls: {cert: a, key: b}\n"
    assert places_of(GOOD.replace("    hosts: [shop]\n", app)) == [(15, 5, "no-https-port")]
    uneven = TLS.replace("    listen: {https: 443}", "    listen: {https: 8443}", 1).replace("    hosts: [shop]\n", app)
    assert places_of(uneven) == [(16, 5, "https-port")]


@pytest.mark.parametrize("host", ['"*.shop"', '"*.shop.gslb.example.com"', '"*"', '["*.a.gslb.example.com", shop]'])
def test_hosts_may_be_wildcards(host):
    loaded = load(spoiled("hosts: [shop]", f"hosts: {host}"))
    assert {problem.rule for problem in loaded.warnings} <= {"host-outside"}


@pytest.mark.parametrize("host", ['"a*.shop"', '"*shop"', '"*.*.shop"', '"*."'])
def test_a_wildcard_is_the_first_label_alone(host):
    assert places_of(spoiled("hosts: [shop]", f"hosts: {host}")) == [(14, 12, "value")]


@pytest.mark.parametrize(("ports", "is_twice"), [("", True), ("ports: [80]\n    ", True), ("ports: [81]\n    ", False)])
def test_a_host_that_is_not_steered_means_one_app_at_each_port(ports, is_twice):
    """Port 80 is where an app without ports is, too."""
    app = GOOD[GOOD.index("  shop:") :].replace("hosts: [shop]", "hosts: [shop, www.example.net]")
    other = app.replace("  shop:", "  blog:", 1).replace("hosts: [shop,", f"{ports}hosts: [blog,")
    text = GOOD[: GOOD.index("  shop:")].replace("listen: {http: 80}", "listen: {http: 80, also: [81]}") + app + other
    text = text.replace(
        "edges: [{public: [198.51.100.20]}]", "edges: [{public: [198.51.100.20]}]\n    listen: {also: [81]}"
    )
    assert [rule for _, _, rule in places_of(text)] == ["duplicate-host"] * is_twice
