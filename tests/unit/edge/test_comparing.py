"""What an edge gets where a mirror's answers are compared, and that nothing is paid where they are not."""

from __future__ import annotations

import json

from gslb.edge.render import render
from gslb.edge.stats import route_counts
from gslb.model.policy import Policy
from gslb.snapshot import compile_snapshot
from gslb.snapshot.intent import Intent, MirrorStop, Overrides, Provenance, Shift
from gslb.snapshot.types import RouteId, SiteName

BY = Provenance(author="ann", at_s=0.0)


def snapshot(overrides=None, hosts=None, **mirror):
    given = {"to": "new", "percent": 20, "methods": ["GET", "POST"], "compare": {"sample": 25}, **mirror}
    backends = {
        name: {"dc": [f"10.0.0.{n}:80"], **({"host": hosts[name]} if hosts and name in hosts else {})}
        for n, name in enumerate(("old", "new", "third"), 1)
    }
    routes = [
        {"name": "pay", "match": {"path": "/pay"}, "split": {"old": 60, "third": 30, "new": 10}, "mirror": [given]},
        {"name": "rest", "split": {"old": 100}, "mirror": [{"to": "new", "percent": 5}]},
    ]
    policy = Policy.model_validate(
        {
            "zone": {"name": "gslb.test", "nameservers": {"ns1": ["192.0.2.53"]}},
            "sites": {"dc": {"edges": [{"public": ["192.0.2.10"]}]}},
            "apps": {"shop": {"hosts": ["shop"], "backends": backends, "routes": routes}},
        }
    )
    return compile_snapshot(Intent(revision=1, policy=policy, overrides=overrides or Overrides()), 0.0)


def rendered(*given, **named):
    return render(snapshot(*given, **named), SiteName("dc"))


def envoy_routes(config, name):
    (host,) = config.routes["virtual_hosts"]
    return [route for route in host["routes"] if route["name"] == name]


def methods(route):
    (test,) = [item for item in route["match"]["headers"] if item["name"] == ":method"]
    return json.dumps(test["string_match"])


def copies(route):
    return [policy["cluster"] for policy in route["route"]["request_mirror_policies"]]


def test_sampled_requests_are_the_first_part_of_the_mirrored_ones_which_come_before_the_rest():
    config = rendered()
    twins = envoy_routes(config, "shop/pay~copied")
    fractions = [twin["match"]["runtime_fraction"]["default_value"] for twin in twins]
    assert fractions == [{"numerator": n, "denominator": "MILLION"} for n in (50_000, 200_000)] * 2
    names = [route["name"] for route in config.routes["virtual_hosts"][0]["routes"]]
    assert names.index("shop/pay") > names.index("shop/pay~copied")
    for twin in twins:
        (policy,) = [item for item in twin["route"]["request_mirror_policies"] if "~noise" not in item["cluster"]]
        assert policy["runtime_fraction"]["default_value"]["numerator"] == 200_000


def test_safe_requests_have_a_second_copy_to_the_old_side_and_no_others():
    by_method = {methods(twin): copies(twin) for twin in envoy_routes(rendered(), "shop/pay~copied")[::2]}
    assert by_method == {
        '{"exact": "GET"}': ["shop/pay/new~compared0", "shop/pay/old~noise0"],
        '{"exact": "POST"}': ["shop/pay/new~compared0"],
    }
    quiet = rendered(compare={"noise": False})
    assert not any("~noise" in json.dumps(route) for route in envoy_routes(quiet, "shop/pay~copied"))
    assert not any("~noise" in cluster["name"] for cluster in quiet.clusters)


def test_each_side_of_the_sampled_twin_says_who_answers_and_no_other_route_is_captured():
    config = rendered()
    sampled, copied, *_ = envoy_routes(config, "shop/pay~copied")
    sides = [
        side["typed_per_filter_config"]["gslb.capture"]["config"]["filter_context"]
        for side in sampled["route"]["weighted_clusters"]["clusters"]
    ]
    assert sides == [{"key": "shop/pay", "side": f"answer {side}", "limit": 65_536} for side in ("new", "old", "third")]
    others = [copied, *envoy_routes(config, "shop/pay"), *envoy_routes(config, "shop/rest")]
    assert "gslb.capture" not in json.dumps(others)


def test_where_everything_is_sampled_there_is_one_twin():
    assert len(envoy_routes(rendered(compare={"sample": 100}), "shop/pay~copied")) == 2


def test_whole_users_are_sampled_by_request():
    twins = envoy_routes(rendered(by={"header": "x-user"}), "shop/pay~copied")
    fractions = {twin["match"]["runtime_fraction"]["default_value"]["numerator"] for twin in twins}
    assert fractions == {250_000, 1_000_000}


def test_a_copy_to_the_old_side_is_asked_by_the_old_sides_host():
    def hosts(**given):
        (sampled, *_) = envoy_routes(rendered(hosts=given), "shop/pay~copied")
        return [item.get("host_rewrite_literal") for item in sampled["route"]["request_mirror_policies"]]

    assert hosts() == [None, None]
    assert hosts(new="new.internal") == ["new.internal", None]
    assert hosts(new="new.internal", old="old.internal") == ["new.internal", "old.internal"]


def test_nothing_of_it_is_there_where_nothing_is_compared():
    for off in ({"compare": False}, {"compare": {"sample": 0}}, {"percent": 0}):
        config = rendered(**off)
        text = json.dumps([config.listeners, config.clusters, config.routes], default=dict)
        assert not [
            word for word in ("gslb.capture", "~comparer", "~copied", "upstream_log", "access_log") if word in text
        ]


def test_a_stop_and_a_shift_change_no_resource():
    plain = rendered()
    stopped = rendered(Overrides(version=1, mirror_stops=(MirrorStop(by=BY),)))
    shifted = rendered(
        Overrides(version=1, shifts=(Shift(app="shop", route="pay", split={"old": 0, "third": 100}, by=BY),))
    )
    for other in (stopped, shifted):
        assert (other.routes, other.listeners) == (plain.routes, plain.listeners)
        assert [item for item in other.clusters if "~" in item["name"]] == [
            item for item in plain.clusters if "~" in item["name"]
        ]
    assert stopped.runtime["gslb.compare.shop.pay.0"] == {"numerator": 0, "denominator": "MILLION"}
    assert "gslb.compare.shop.pay.0" not in plain.runtime


def test_copies_count_whichever_pool_they_went_to_and_those_to_the_old_side_do_not():
    counters = {
        f"cluster.shop/pay/{pool}.upstream_rq_total": number
        for pool, number in (("new~mirror0", 7), ("new~compared0", 5), ("old~noise0", 5))
    }
    counters["cluster.shop/pay/new~compared0.upstream_rq_pending_overflow"] = 2
    found = route_counts(rendered().index, counters)[RouteId("shop", "pay")]
    assert (found.mirrored, found.skipped) == (12, {"target_busy": 2})
