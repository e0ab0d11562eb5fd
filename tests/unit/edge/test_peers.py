"""The hop to another edge, as resources; what it does is tried on Envoy: tests/e2e_edge/test_peers.py."""

from __future__ import annotations

import re

import pytest

from gslb.edge.render import Peering, needs_peers, render
from gslb.edge.stats import COUNTERS_FILTER, hop_counts
from gslb.errors import RefusedError
from gslb.snapshot.types import SiteName
from tests.unit.edge.policies import BACKENDS, CHECK, clusters, snapshot

PEERING = Peering("gslb.example.com", "/d/sds/identity.json", "/d/sds/peers.json", "/d/ecds/removed.json")
THROUGH = {"mono": {**BACKENDS["mono"], "via": "edge"}, "new": BACKENDS["new"]}
PEERS = {"dc": "10.0.0.4:8443", "aws": "edge.aws.example.com:8443", "gcp": "[2001:db8::4]:9443"}


def through(drains=(), **backends):
    return snapshot(backends={**THROUGH, **backends}, drains=drains, peers=PEERS)


def at(site="dc", **options):
    return render(through(**options), SiteName(site), PEERING)


def tls(cluster):
    return cluster["transport_socket"]["typed_config"]


def believed(context):
    (san,) = context["common_tls_context"]["combined_validation_context"]["default_validation_context"][
        "match_typed_subject_alt_names"
    ]
    assert san["san_type"] == "URI"
    return re.compile(san["matcher"]["safe_regex"]["regex"])


def test_pools_at_other_sites_are_peers_and_the_own_one_is_not():
    pools = clusters(at())
    assert "transport_socket" not in pools["shop/mono@dc"]
    assert "transport_socket" not in pools["shop/new@aws"], "this backend is reached directly"
    aws = pools["shop/mono@aws"]
    assert tls(aws)["sni"] == "mono.shop.gslb-hop"
    assert tls(aws)["max_session_keys"] == 0
    (place,) = aws["load_assignment"]["endpoints"]
    (endpoint,) = place["lb_endpoints"]
    assert endpoint["endpoint"]["address"]["socket_address"] == {
        "address": "edge.aws.example.com",
        "port_value": 8443,
    }
    assert aws["type"] == "STRICT_DNS"
    (check,) = aws["health_checks"]
    assert check["http_health_check"]["codec_client_type"] == "HTTP2"


@pytest.mark.parametrize(
    ("spiffe", "good"),
    [
        ("spiffe://gslb.example.com/m1/edge/aws", True),
        ("spiffe://gslb.example.com/m1/edge/dc", False),
        ("spiffe://gslb.example.com/m1/dns", False),
        ("spiffe://gslb.example.com/m1/x/edge/aws", False),
        ("spiffe://gslbxexample.com/m1/edge/aws", False),
        ("spiffe://gslb.example.com/m1/edge/aws2", False),
    ],
)
def test_a_pool_believes_the_edge_of_its_site_alone(spiffe, good):
    assert bool(believed(tls(clusters(at())["shop/mono@aws"])).fullmatch(spiffe)) is good


def test_a_peer_listens_where_others_reach_it_and_believes_edges_of_other_sites():
    ordinary, *peers = at().listeners
    (peer,) = peers
    assert "transport_socket" not in ordinary["filter_chains"][0]
    assert peer["address"]["socket_address"] == {"address": "10.0.0.4", "port_value": 8443}
    context = peer["filter_chains"][0]["transport_socket"]["typed_config"]
    assert context["require_client_certificate"] is True
    for site, good in (("aws", True), ("gcp", True), ("dc", False), ("lab", False)):
        assert bool(believed(context).fullmatch(f"spiffe://gslb.example.com/m/edge/{site}")) is good
    assert {str(item["address"]["socket_address"]["address"]) for item in at("aws").listeners} == {"198.51.100.20"}, (
        "a name is reached on every address that is bound"
    )


def test_a_peer_knows_its_own_endpoints_and_nothing_else():
    peer = at("gcp", only={"dc": ["192.0.2.9:80"], "via": "edge"}).listeners[-1]
    manager = peer["filter_chains"][0]["filters"][0]["typed_config"]
    (host,) = manager["route_config"]["virtual_hosts"]
    *hops, rest = host["routes"]
    assert {route["route"]["cluster"] for route in hops} == {"shop/mono@gcp"}
    parts = {"cluster", "timeout", "idle_timeout", "retry_policy", "upgrade_configs"}
    assert all(route["route"].keys() == parts for route in hops)
    assert rest["direct_response"]["status"] == 503


def test_a_policy_without_peers_has_no_trace_of_them():
    plain = snapshot()
    assert not needs_peers(plain)
    config = render(plain, SiteName("dc"), PEERING)
    assert len(config.listeners) == 1
    assert config.index.hops == {}
    assert config == render(plain, SiteName("dc"))
    assert needs_peers(through())


def test_who_has_no_identity_is_told_so():
    with pytest.raises(RefusedError, match="no certificate") as refusal:
        render(through(), SiteName("dc"))
    assert refusal.value.rule == "no-identity"


def test_a_mirror_of_a_drained_site_goes_to_the_others_through_their_edges():
    routes = [{"name": "rest", "split": {"mono": 100}, "mirror": [{"to": "mono", "percent": 1}]}]
    config = render(
        snapshot(routes=routes, backends=THROUGH, drains=[("dc", False)], peers=PEERS), SiteName("dc"), PEERING
    )
    shadow = clusters(config)["shop/rest/mono~mirror0"]
    zones = [place["locality"]["zone"] for place in shadow["load_assignment"]["endpoints"]]
    assert zones == ["aws", "gcp"]
    (options,) = shadow["typed_extension_protocol_options"].values()
    assert options["common_http_protocol_options"]["max_stream_duration"] == "5.000s"


def test_what_was_answered_for_others_is_counted():
    index = at("aws", more={"check": CHECK, "aws": ["198.51.100.2:80"], "via": "edge"}).index
    counters = {"vhost.~peer.route.shop/mono.upstream_rq_completed": 7}
    assert all(re.search(COUNTERS_FILTER, name) for name in counters)
    assert hop_counts(index, counters) == {("shop", "mono"): 7, ("shop", "more"): 0}
