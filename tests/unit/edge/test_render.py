"""What the resources say, where a mistake would not show in a request. Behaviour is tested on Envoy: tests/e2e_edge."""

from __future__ import annotations

import json

import pytest

from gslb.edge.render import Paths, bootstrap, discovery, render, static_bootstrap
from gslb.edge.render.config import alias_name
from gslb.edge.render.listeners import bound_addresses
from gslb.snapshot.types import BackendName, RouteId, SiteName
from tests.unit.edge.policies import BACKENDS, clusters, routes_of, snapshot

PATHS = Paths("/data/admin.sock", "/data/lds/l.json", "/data/cds/c.json", "/data/rds/r.json", "/data/rtds/r.json")
PAY = RouteId("shop", "pay")


def at(site="dc", **options):
    return render(snapshot(**options), SiteName(site))


def order_of(config, name):
    return clusters(config)[name]["cluster_type"]["typed_config"]["clusters"]


# Clusters -------------------------------------------------------------------------------------------------------------


def test_a_dead_canary_leaves_its_requests_to_the_other_sides_largest_first():
    backends = {**BACKENDS, "third": {"gcp": ["203.0.113.9:80"]}, "off": {"gcp": ["203.0.113.8:80"]}}
    split = {"new": 10, "third": 30, "mono": 60, "off": 0}
    config = at(backends=backends, routes=[{"name": "pay", "split": split}])
    mono = [f"shop/mono@{site}" for site in ("dc", "aws", "gcp")]
    assert order_of(config, alias_name(PAY, "new")) == ["shop/new@aws", *mono, "shop/third@gcp"]
    assert order_of(config, alias_name(PAY, "third")) == ["shop/third@gcp", *mono, "shop/new@aws"]
    assert order_of(config, alias_name(PAY, "mono")) == mono, "what a route needs is not replaced by another service"


def test_what_one_route_needs_is_a_canary_of_none():
    routes = [{"name": "pay", "split": {"new": 10, "mono": 90}}, {"name": "rest", "split": {"new": 50, "mono": 50}}]
    assert order_of(at(routes=routes), alias_name(PAY, "new")) == ["shop/new@aws"]


@pytest.mark.parametrize(
    ("site", "drains", "order"),
    [
        ("dc", (), ["dc", "aws", "gcp"]),
        ("aws", (), ["aws", "dc", "gcp"]),
        ("gcp", (), ["gcp", "dc", "aws"]),
        ("dc", [("dc", False)], ["aws", "gcp", "dc"]),
        ("dc", [("dc", True)], ["dc", "aws", "gcp"]),
        ("aws", [("dc", False)], ["aws", "gcp", "dc"]),
        ("dc", [("dc", False), ("aws", False)], ["gcp", "aws", "dc"]),
    ],
)
def test_an_edge_prefers_its_own_site_unless_that_is_drained(site, drains, order):
    assert order_of(at(site, drains=drains), "shop/rest/mono") == [f"shop/mono@{name}" for name in order]


def test_every_route_says_how_long_it_may_be_silent():
    """Or it would have the limit on heads."""
    actions = [route["route"] for host in at().routes["virtual_hosts"] for route in host["routes"] if "route" in route]
    assert actions
    assert {action.get("idle_timeout") for action in actions} == {"300.000s"}


@pytest.mark.parametrize(
    ("endpoints", "policy"),
    [
        (["192.0.2.1:80"], "ROUND_ROBIN"),
        (["192.0.2.1:80", "192.0.2.2:80"], "LEAST_REQUEST"),
        (["app.example:80"], "LEAST_REQUEST"),
    ],
)
def test_least_requests_where_there_may_be_something_to_choose(endpoints, policy):
    backends = {"mono": {"dc": endpoints}}
    routes = [{"name": "rest", "split": {"mono": 100}}]
    assert clusters(at(backends=backends, routes=routes))["shop/mono@dc"]["lb_policy"] == policy


def test_names_are_resolved_and_addresses_are_not():
    kinds = {name: item["type"] for name, item in clusters(at()).items() if "@" in name}
    assert kinds == {
        "shop/mono@dc": "STATIC", "shop/mono@aws": "STRICT_DNS", "shop/mono@gcp": "STATIC", "shop/new@aws": "STATIC",
    }  # fmt: skip


def test_a_name_whose_last_label_is_a_number_is_still_a_name():
    backends = {"mono": {"dc": ["app.1:80"]}}
    assert clusters(at(backends=backends))["shop/mono@dc"]["type"] == "STRICT_DNS"


def test_the_check_is_the_policys_and_an_idle_pool_is_checked_as_often():
    (check,) = clusters(at())["shop/mono@dc"]["health_checks"]
    assert {key: check[key] for key in ("interval", "no_traffic_interval", "timeout")} == {
        "interval": "2.000s", "no_traffic_interval": "2.000s", "timeout": "1.000s",
    }  # fmt: skip
    assert (check["healthy_threshold"], check["unhealthy_threshold"]) == (2, 3)
    assert check["http_health_check"]["host"] == "shop.gslb.example.com"
    assert "outlier_detection" not in clusters(at())["shop/mono@dc"]
    assert "health_checks" not in clusters(at())["shop/new@aws"]


def test_a_backend_without_endpoints_is_an_empty_pool():
    backends = {**BACKENDS, "ghost": {}}
    routes = [{"name": "rest", "split": {"mono": 50, "ghost": 50}, "mirror": [{"to": "ghost", "percent": 1}]}]
    found = clusters(at(backends=backends, routes=routes))
    assert found["shop/rest/ghost"]["load_assignment"]["endpoints"] == []
    assert found["shop/rest/ghost~mirror0"]["load_assignment"]["endpoints"] == []


@pytest.mark.parametrize(
    ("site", "to", "zones"), [("dc", "mono", ["dc"]), ("dc", "new", ["aws"]), ("aws", "new", ["aws"])]
)
def test_a_mirror_uses_the_own_site_where_it_can(site, to, zones):
    routes = [{"name": "pay", "split": {"mono": 100}, "mirror": [{"to": to, "percent": 5}], "timeout": "2s"}]
    shadow = clusters(at(site, routes=routes))[f"shop/pay/{to}~mirror0"]
    assert [item["locality"]["zone"] for item in shadow["load_assignment"]["endpoints"]] == zones
    (options,) = shadow["typed_extension_protocol_options"].values()
    assert options["common_http_protocol_options"]["max_stream_duration"] == "2.000s"


def test_a_mirror_of_a_drained_site_leaves_it():
    routes = [{"name": "pay", "split": {"mono": 100}, "mirror": [{"to": "mono", "percent": 5}]}]
    shadow = clusters(at(routes=routes, drains=[("dc", False)]))["shop/pay/mono~mirror0"]
    groups = shadow["load_assignment"]["endpoints"]
    assert [(item["locality"]["zone"], item["priority"]) for item in groups] == [("aws", 0), ("gcp", 1), ("dc", 2)]


def test_every_cluster_that_is_named_is_there_once():
    routes = [
        {
            "name": "pay",
            "split": {"mono": 99.5, "new": 0.5},
            "mirror": [{"to": "new", "percent": 1}],
            "sticky": "cookie",
        },
        {"name": "rest", "split": {"new": 100}},
    ]
    for site in ("dc", "aws", "gcp"):
        config = at(site, routes=routes)
        names = [item["name"] for item in config.clusters]
        assert len(names) == len(set(names))
        text = json.dumps(config.routes)
        used = {part for part in text.split('"') if part.startswith("shop/") and part not in ("shop/pay", "shop/rest")}
        leaves = {
            leaf
            for item in config.clusters
            for leaf in item.get("cluster_type", {}).get("typed_config", {}).get("clusters", [])
        }
        assert {name for name in used if not name.endswith("~probe")} | leaves <= set(names)


# Routes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ({}, {"prefix": "/"}),
        ({"path": "/"}, {"prefix": "/"}),
        ({"path": "/a/b/"}, {"path_separated_prefix": "/a/b"}),
        ({"exact": "/a/"}, {"path": "/a/"}),
        ({"regex": "/[0-9]+"}, {"safe_regex": {"regex": "/[0-9]+"}}),
        ({"query": {"q": "1"}}, {"prefix": "/", "query_parameters": [{"name": "q", "string_match": {"exact": "1"}}]}),
    ],
)
def test_a_match_is_the_policys(match, expected):
    last = routes_of(at(routes=[{"name": "pay", "match": match, "split": {"mono": 100}}]), "shop/pay")[-1]
    assert last["match"] == expected


def test_headers_and_methods_must_hold_too():
    match = {"method": ["GET", "PUT"], "headers": {"X-Beta": "yes"}}
    last = routes_of(at(routes=[{"name": "pay", "match": match, "split": {"mono": 100}}]), "shop/pay")[-1]
    assert last["match"]["headers"] == [
        {"name": ":method", "string_match": {"safe_regex": {"regex": "GET|PUT"}}},
        {"name": "x-beta", "string_match": {"exact": "yes"}},
    ]


@pytest.mark.parametrize(
    ("timeout", "retries", "per_try"), [("15s", 2, "1.000s"), ("900ms", 2, "0.300s"), ("1h", 0, None)]
)
def test_only_safe_methods_have_a_time_per_try(timeout, retries, per_try):
    routes = [{"name": "pay", "split": {"mono": 100}, "timeout": timeout, "retries": retries}]
    safe, other = (route["route"] for route in routes_of(at(routes=routes), "shop/pay"))
    assert safe.get("retry_policy", {}).get("per_try_timeout") == per_try
    assert "per_try_timeout" not in other.get("retry_policy", {})
    assert ("hedge_policy" in safe, "hedge_policy" in other) == (per_try is not None, False)


def test_a_checked_backend_is_probed_at_the_own_pool_or_at_the_others():
    routes = [{"name": "pay", "split": {"mono": 60, "new": 40}}]
    for site, cluster in (("dc", "shop/mono@dc"), ("gcp", "shop/mono@gcp")):
        (probe,) = routes_of(at(site, routes=routes), "shop/mono~probe")
        assert (probe["match"]["path"], probe["route"]["cluster"]) == ("/healthz", cluster)
    backends = {"mono": {"check": {"path": "/ok"}, "aws": ["192.0.2.9:80"]}}
    config = at("dc", backends=backends)
    (probe,) = routes_of(config, "shop/mono~probe")
    assert probe["route"]["cluster"] == "shop/mono@*"
    assert order_of(config, "shop/mono@*") == ["shop/mono@aws"]


def test_an_app_without_checks_is_answered_by_the_edge():
    config = at(backends={"mono": {"dc": ["192.0.2.9:80"]}})
    assert routes_of(config)[0]["direct_response"] == {"status": 200}


def test_hosts_are_the_domains_and_marks_are_taken_off():
    config = at()
    assert config.routes["virtual_hosts"][0]["domains"] == [
        "shop.gslb.example.com", "www.example.com",
        "shop--dc.gslb.example.com", "shop--aws.gslb.example.com", "shop--gcp.gslb.example.com",
    ]  # fmt: skip
    assert config.routes["request_headers_to_remove"] == ["x-gslb-shadow", "x-gslb-probe"]


def test_the_coding_is_taken_off_where_something_is_mirrored():
    config = at(routes=[{"name": "pay", "split": {"mono": 100}, "mirror": [{"to": "new", "percent": 1}]}])
    assert config.routes["request_headers_to_remove"] == ["x-gslb-shadow", "x-gslb-probe", "x-gslb-transfer-encoding"]


@pytest.mark.parametrize(
    ("endpoints", "split", "chosen"),
    [
        ({"dc": ["10.0.0.1:80"]}, {"web": 100}, set()),
        ({"dc": ["10.0.0.1:80", "10.0.0.2:80"]}, {"web": 100}, {"retry_host_predicate"}),
        ({"dc": ["web.example.com:80"]}, {"web": 100}, {"retry_host_predicate"}),
        ({"dc": ["10.0.0.1:80"], "aws": ["10.0.0.2:80"]}, {"web": 100}, {"retry_priority"}),
        ({"dc": ["10.0.0.1:80"]}, {"web": 100, "new": 0}, {"retry_priority"}),
    ],
)
def test_a_further_try_chooses_only_where_there_is_a_choice(endpoints, split, chosen):
    backends = {**BACKENDS, "web": endpoints}
    config = at(backends=backends, routes=[{"name": "pay", "split": split}])
    policies = [route["route"]["retry_policy"] for route in routes_of(config, "shop/pay")]
    assert len(policies) == 2
    for policy in policies:
        assert policy.keys() & {"retry_host_predicate", "retry_priority"} == chosen


# Index, listeners, bootstrap ------------------------------------------------------------------------------------------


def test_the_index_names_what_is_rendered():
    mirror = [{"to": "new", "percent": 1}, {"to": "mono", "percent": 2, "methods": ["GET", "POST"]}]
    config = at(routes=[{"name": "pay", "split": {"mono": 100}, "mirror": mirror}])
    assert config.index.aliases == {"shop/pay/mono": (PAY, BackendName("mono"))}
    assert config.index.shadows == {"shop/pay/new~mirror0": (PAY, 0), "shop/pay/mono~mirror1": (PAY, 1)}
    prefixes = {f"vhost.shop.route.{route['stat_prefix']}" for route in routes_of(config) if "stat_prefix" in route}
    assert config.index.skips.keys() == prefixes
    assert {(skip.reason, skip.mirrors) for skip in config.index.skips.values()} == {
        ("method", 1), ("method", 2), ("body_too_large", 2), ("body_unknown_length", 2),
    }  # fmt: skip
    assert config.version.startswith("3.7 ")


def test_each_address_is_bound_once():
    edges = [
        {"public": ["192.0.2.10", "2001:db8::10"], "bind": ["10.0.0.4", "fd00::4"]},
        {"public": ["192.0.2.11"], "bind": ["10.0.0.4"]},
    ]
    config = at(edges=edges)
    assert [item["name"] for item in config.listeners] == ["http-10.0.0.4-80", "http-fd00::4-80"]
    assert [str(address) for address in bound_addresses(snapshot(edges=edges).sites[SiteName("dc")])] == [
        "10.0.0.4",
        "fd00::4",
    ]


def test_discovery_and_static_hold_the_same_resources():
    config = at()
    files = discovery(config, PATHS)
    assert [item["name"] for item in files[PATHS.clusters][1]] == [item["name"] for item in config.clusters]
    _, (listener,) = files[PATHS.listeners]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    assert manager["rds"]["config_source"]["path_config_source"] == {
        "path": PATHS.routes, "watched_directory": {"path": "/data/rds"},
    }  # fmt: skip
    static = static_bootstrap(config, "/admin.sock")["static_resources"]
    assert static["clusters"] == list(config.clusters)
    inline = static["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    assert inline["route_config"] == config.routes
    assert {key: value for key, value in inline.items() if key != "route_config"} == {
        key: value for key, value in manager.items() if key != "rds"
    }


def test_the_admin_interface_is_a_private_socket_and_folders_are_separate():
    boot = bootstrap(PATHS, SiteName("dc"))
    assert boot["admin"] == {"address": {"pipe": {"path": "/data/admin.sock", "mode": 0o600}}}
    watched = [
        boot["dynamic_resources"][key]["path_config_source"]["watched_directory"]["path"]
        for key in ("lds_config", "cds_config")
    ]
    assert watched == ["/data/lds", "/data/cds"]


def test_the_drain_of_a_site_is_told_to_envoy_and_the_entry_alone_is_not():
    assert at(drains=[("dc", False)]).drained
    assert not at(drains=[("dc", True)]).drained
    assert not at("aws", drains=[("dc", False)]).drained


def test_equal_snapshots_render_equally():
    assert at() == at()
