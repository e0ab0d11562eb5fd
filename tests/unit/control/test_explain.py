"""What `/v1/explain` says: the reasons beside the very packet that a node sends."""

import json
from ipaddress import ip_network

import pytest

from gslb.control import changes
from gslb.control.bodies import messages
from gslb.control.explain import explain, live_of
from gslb.control.request import side_of
from gslb.errors import PolicyError, RefusedError
from gslb.model.folder import load_folder
from gslb.snapshot import compile_snapshot
from gslb.snapshot.intent import Intent
from gslb.snapshot.networks import NetworkMap, Place, network_map
from tests.unit.control.world import NOW_S, POLICY, a_drain, by, dns_state, edge_state, intent, policy, verdict

DC, AWS = ("192.0.2.10", "2001:db8:1::10"), ("198.51.100.20", "2001:db8:2::20")


LONGITUDES = {"dc": 8.7, "aws": -77.4, "lab": 139.7}


def asked(made, *verdicts, dns=True, at_s=NOW_S, places=None, **question):
    snapshot = compile_snapshot(made, NOW_S)
    states = [dns_state(snapshot, *verdicts)] if dns else [edge_state(snapshot, "dc")]
    roles = {state.name: state for state in states}
    query = messages.ExplainQuery.model_validate({"host": "shop", **question})
    said = explain((made, snapshot), roles, dict.fromkeys(roles, 0.5), query, at_s, places)
    messages.Explanation.model_validate(said)
    return json.loads(json.dumps(said, allow_nan=False))


def changed(**shop):
    return Intent(revision=1, policy=policy(apps={**POLICY["apps"], "shop": {**POLICY["apps"]["shop"], **shop}}))


def down(app, site, addresses, reason="503"):
    return [verdict(app, site, address, "down", reason) for address in addresses]


def test_every_filter_says_what_it_did_and_every_outcome_its_probability():
    said = asked(intent(), client="203.0.113.7")
    assert (said["host"], said["app"], said["rcode"]) == ("shop.gslb.example.com", "shop", "NOERROR")
    assert said["steps"] == [
        {"filter": "healthy", "kept": ["dc", "aws"], "reason": "every site is up"},
        {"filter": "weighted", "kept": ["dc", "aws"], "reason": "by weight: dc 80, aws 20"},
    ]
    assert said["outcomes"] == [
        {"sites": ["dc"], "addresses": [DC[0]], "probability": 0.8},
        {"sites": ["aws"], "addresses": [AWS[0]], "probability": 0.2},
    ]
    assert (said["ttl_s"], said["ttl_why"]) == (10, "fixed by the policy")
    assert (said["clients"], said["scope_bits"], said["notes"]) == (None, 0, [])


def test_the_answer_of_a_client_is_foretold_and_stays_for_its_window():
    said = asked(intent(), client="203.0.113.7")
    assert said["answer"] == [f"shop.gslb.example.com. 10 IN A {said['drawn']['addresses'][0]}"]
    assert said["draw"] == "for 203.0.113.0/24, alike on every node, until 2023-11-14T22:13:30Z"
    assert asked(intent(), client="203.0.113.200", at_s=NOW_S + 9.9)["drawn"] == said["drawn"]
    six = asked(intent(), client="203.0.113.7", type="aaaa")
    assert six["drawn"]["sites"] == said["drawn"]["sites"], "the types of a name agree"
    drawn = [asked(intent(), client=f"10.0.{n}.1")["drawn"]["sites"] for n in range(60)]
    assert 30 < drawn.count(["dc"]) < 60


def test_a_client_that_stays_says_so():
    made = changed(steer=["healthy", {"weighted": {"dc": 1, "aws": 1}, "by": "client"}])
    said = asked(made, client="2001:db8:9:8::1")
    assert said["draw"] == "for 2001:db8:9::/56, alike on every node; it stays"
    assert asked(made, client="2001:db8:9:8::1", at_s=NOW_S + 1e6)["drawn"] == said["drawn"]


@pytest.mark.parametrize(("how", "client"), [("answer", "203.0.113.7"), ("window", None)])
def test_what_nobody_can_tell_is_not_told(how, client):
    made = changed(steer=["healthy", {"weighted": {"dc": 1, "aws": 1}, "by": how}])
    said = asked(made, **({"client": client} if client else {}))
    assert (said["drawn"], said["answer"], len(said["outcomes"])) == (None, [], 2)
    assert said["draw"].startswith("anew for every answer" if client else "by the client's network")


def test_a_dead_site_leaves_with_its_reason_and_nothing_is_left_to_draw():
    said = asked(intent(), *down("shop", "dc", DC))
    assert said["steps"][0] == {"filter": "healthy", "kept": ["aws"], "reason": "down: dc"}
    assert (said["drawn"], said["draw"]) == (
        {"sites": ["aws"], "addresses": [AWS[0]]},
        "one possible answer: nothing is drawn",
    )


def test_the_network_that_is_told_the_same_is_named():
    sites = {**POLICY["sites"], "dc": {**POLICY["sites"]["dc"], "networks": ["10.0.0.0/8"]}}
    shop = {**POLICY["apps"]["shop"], "steer": ["healthy", "networks", {"first": 1}]}
    made = Intent(revision=1, policy=policy(sites=sites, apps={"shop": shop}))
    said = asked(made, client="10.10.3.4")
    assert (said["clients"], said["scope_bits"], said["drawn"]["sites"]) == ("10.0.0.0/8", 8, ["dc"])


def test_residency_with_nobody_left_is_nodata():
    made = changed(steer=["healthy", {"only": ["dc"]}, {"weighted": {"dc": 1, "aws": 1}}], families="mixed")
    sites = {**POLICY["sites"], "dc": {"edges": [{"public": [DC[1]]}]}}
    made = made.model_copy(update={"policy": made.policy.model_validate(made.policy.model_dump() | {"sites": sites})})
    said = asked(made)
    assert (said["rcode"], said["answer"], said["drawn"], said["draw"]) == ("NOERROR", [], None, "nothing to draw")
    assert said["why"] == "no site may answer with an IPv4 address (NODATA)"
    assert (said["ttl_s"], said["ttl_why"]) == (10, "the zone's, for negative answers")


@pytest.mark.parametrize(
    ("question", "rcode", "why"),
    [
        ({"host": "nowhere"}, "NXDOMAIN", "neither an app nor the zone gslb.example.com has this name"),
        ({"host": "other.example.net"}, "REFUSED", "the name is outside the zone gslb.example.com, and nothing else"),
        ({"type": "MX"}, "NOERROR", "the name exists, and has no records of type MX (NODATA)"),
        ({"type": "AXFR"}, "REFUSED", "questions of type AXFR are not answered"),
        ({"host": "ns1"}, "NOERROR", "a record of the zone itself, the same for every client"),
        ({"host": "gslb.example.com.", "type": "SOA"}, "NOERROR", "a record of the zone itself"),
        ({"host": "SHOP.gslb.example.com"}, "NOERROR", "shop.gslb.example.com is a host of shop"),
    ],
)
def test_every_kind_of_answer_is_explained(question, rcode, why):
    said = asked(intent(), **question)
    assert said["rcode"] == rcode
    assert said["why"].startswith(why)
    assert bool(said["answer"]) == (rcode == "NOERROR" and "NODATA" not in why and said["app"] is None)


def test_a_host_outside_the_zone_shows_its_chain():
    said = asked(changed(hosts=["shop.example.net"]), host="shop.example.net", client="203.0.113.7")
    assert (said["rcode"], said["app"], said["answer"], said["drawn"]) == ("REFUSED", "shop", [], None)
    assert "let it be a CNAME" in said["why"]
    assert (len(said["outcomes"]), said["ttl_why"]) == (2, "refusals are not kept")


def test_a_host_outside_is_to_point_to_the_one_inside():
    said = asked(changed(hosts=["shop.example.net", "shop"]), host="shop.example.net")
    assert said["why"].endswith("let it be a CNAME to shop.gslb.example.com")


def test_an_https_record_is_explained_like_the_addresses_that_it_holds():
    made = changed(https={"alpn": ["h2", "http/1.1"], "port": 8443})
    said = asked(made, client="203.0.113.7", type="https")
    assert (said["type"], said["rcode"]) == ("HTTPS", "NOERROR")
    assert said["drawn"]["sites"] == asked(made, client="203.0.113.7")["drawn"]["sites"]
    four, six = said["drawn"]["addresses"]
    (record,) = said["answer"]
    assert record == f"shop.gslb.example.com. 10 IN HTTPS 1 . alpn=h2 port=8443 ipv4hint={four} ipv6hint={six}"
    assert [outcome["addresses"] for outcome in said["outcomes"]] == [list(DC), list(AWS)]


def test_without_the_word_https_there_is_no_such_record():
    said = asked(intent(), client="203.0.113.7", type="HTTPS")
    assert (said["why"], said["steps"], said["drawn"]) == (
        "the name exists, and has no records of type HTTPS (NODATA)", [], None,
    )  # fmt: skip


def test_residency_leaves_no_https_record():
    steer = ["healthy", {"only": ["lab"]}, {"weighted": {"lab": 1, "dc": 1}}]
    made = changes.drain(changed(steer=steer, https={"alpn": "h2"}), a_drain("lab"), allow={"last-site"})
    said = asked(made, type="HTTPS")
    assert (said["rcode"], said["answer"], said["drawn"]) == ("NOERROR", [], None)
    assert said["why"] == "no site may answer (NODATA)"


def test_the_name_for_one_site_asks_nobody():
    made = changes.drain(intent(), a_drain("dc"))
    said = asked(made, *down("shop", "dc", DC), host="shop--dc", path="/checkout")
    assert (said["app"], said["answer"], said["steps"]) == ("shop", [f"shop--dc.gslb.example.com. 10 IN A {DC[0]}"], [])
    assert said["why"] == "shop at the site dc alone, whether or not it is well"
    assert said["request"]["route"] == "shop/pay"


def test_a_host_in_another_zone_of_ours_is_inside():
    more = policy(zones=[{"name": "example.org", "nameservers": {"ns1": ["198.51.100.53"]}}])
    shop = {**POLICY["apps"]["shop"], "hosts": ["www.example.org"]}
    made = Intent(revision=1, policy=more.model_validate({**more.model_dump(), "apps": {"shop": shop}}))
    assert asked(made, host="www.example.org", client="203.0.113.7")["why"] == "www.example.org is a host of shop"


def test_what_is_delegated_is_said_to_be_and_every_zone_is_named(tmp_path):
    """A referral was called an empty name, and of two zones one was named."""
    (tmp_path / "a.zone").write_text("sub 60 IN NS ns.sub\nsub 60 IN NS ns.elsewhere.net.\nns.sub 60 IN A 192.0.2.78\n")
    backends = {"pages": {"dc": ["192.0.2.12:8080"], "aws": ["192.0.2.13:8080"]}}
    given = {
        **POLICY,
        "apps": {"blog": {**POLICY["apps"]["blog"], "backends": backends}},
        "zone": {**POLICY["zone"], "records": "a.zone"},
        "zones": [{"name": "east.example", "nameservers": {"ns1.gslb.example.com": ["198.51.100.53"]}}],
    }
    (tmp_path / "p.yaml").write_text(json.dumps(given))
    made = Intent(revision=1, policy=load_folder(tmp_path).policy)
    for host in ("sub.gslb.example.com", "a.b.sub.gslb.example.com"):
        said = asked(made, host=host)
        assert (said["rcode"], said["answer"], said["ttl_s"]) == ("NOERROR", [], 60)
        assert said["why"] == (
            "others answer: sub.gslb.example.com is delegated to ns.elsewhere.net, ns.sub.gslb.example.com"
        )
    assert "the zone east.example has" in asked(made, host="x.east.example")["why"]
    assert "outside the zones gslb.example.com, east.example" in asked(made, host="x.example.net")["why"]


def test_a_type_that_does_not_exist_is_the_askers_mistake():
    with pytest.raises(PolicyError, match="AB is no type of DNS record"):
        asked(intent(), type="AB")


def test_before_the_first_policy_nothing_can_be_explained():
    with pytest.raises(RefusedError, match="no policy is in force"):
        explain(None, {}, {}, messages.ExplainQuery(host="shop"), NOW_S)


def test_without_a_dns_role_verdicts_are_unknown_and_that_is_said():
    said = asked(intent(), dns=False)
    assert len(said["outcomes"]) == 2
    assert said["notes"][0].startswith("no dns role was heard for 3 s")


def test_verdicts_of_a_silent_role_are_not_taken():
    state = dns_state(compile_snapshot(intent(), NOW_S), *down("shop", "dc", DC))
    assert len(live_of({"dns": state}, {"dns": 0.5}).verdicts) == 2
    assert not live_of({"dns": state}, {"dns": 9.0}).verdicts


def test_a_ttl_that_follows_health_says_what_bounds_it():
    made = changed(ttl={"min": "5s", "max": "60s"})
    up = [verdict("shop", site, a) for site, both in (("dc", DC), ("aws", AWS)) for a in both]
    steady = [state.model_copy(update={"flip_s": 30.0}) for state in up]
    said = asked(made, *steady, client="203.0.113.7")
    assert (said["ttl_s"], said["ttl_why"]) == (30, "health may change in 30 s; bounds 5 s to 60 s")
    assert " 30 IN A " in said["answer"][0]
    said = asked(made, *up)
    assert (said["ttl_s"], said["ttl_why"]) == (5, "health may change at any moment; bounds 5 s to 60 s")


def test_geo_says_where_the_client_is_or_that_there_is_no_database():
    places = network_map([(ip_network("203.0.113.0/24"), Place("DE", "EU", 52.5, 13.4))])
    located = {name: {**POLICY["sites"][name], "location": {"lat": 50, "lon": lon}} for name, lon in LONGITUDES.items()}
    shop = {**POLICY["apps"]["shop"], "steer": ["geo", {"weighted": {"dc": 1, "aws": 1}}]}
    made = Intent(revision=1, policy=policy(sites=located, apps={"shop": shop}))
    said = asked(made, client="203.0.113.7", places=places)
    assert said["steps"][0]["reason"].startswith("the client is in DE: dc 429 km, aws 5,")
    assert (said["clients"], said["scope_bits"], said["drawn"]["sites"]) == ("203.0.113.0/24", 24, ["dc"])
    said = asked(made, client="203.0.113.7")
    assert said["steps"][0]["reason"] == "no database of places is loaded: the order stays"
    assert asked(made, places=NetworkMap())["steps"][0]["reason"] == "the client is unknown"


def test_a_drain_is_a_step_of_its_own():
    said = asked(changes.drain(intent(), a_drain("dc")))
    assert said["steps"][0] == {"filter": "drain", "kept": ["aws"], "reason": "drained: dc"}


# Requests -------------------------------------------------------------------------------------------------------------


def test_a_request_names_its_route_split_source_and_mirrors():
    made = changes.shift(intent(), "shop", "pay", {"checkout": 25}, by(reason="try"))
    request = asked(made, path="/x/..//checkout/cart?a=b")["request"]
    assert (request["method"], request["path"], request["route"]) == ("GET", "/checkout/cart", "shop/pay")
    assert request["steps"] == [{"route": "pay", "takes": True, "reason": "everything of its match holds"}]
    assert request["split"] == {"checkout": 25, "monolith": 75}
    assert (request["source"], request["mirrors"]) == ("shift by ann try", {"checkout": 10})
    assert (request["side"], request["side_why"]) == (None, "drawn anew for every request: the route is not sticky")


def test_the_routes_that_do_not_take_it_say_why():
    request = asked(intent(), path="/checkouts")["request"]
    assert request["steps"][0] == {"route": "pay", "takes": False, "reason": "takes paths below /checkout"}
    assert request["route"] == "shop/find"


def test_no_route_and_no_path():
    made = changed(routes=[{"name": "pay", "match": {"path": "/pay"}, "split": {"monolith": 100}}])
    request = asked(made, path="/")["request"]
    assert (request["route"], request["why"]) == (None, "no route takes it: the edges answer 404")
    request = asked(made, path="/pay%2f1")["request"]
    assert (request["path"], request["steps"], request["why"][:31]) == (None, [], "the edges refuse the path with ")


def test_a_sticky_user_has_a_side_and_never_goes_back_as_its_share_rises():
    before = {}
    for share in (0, 10, 50, 90, 100):
        split = {"checkout": share, "monolith": 100 - share}
        made = changed(routes=[{"name": "pay", "split": split, "sticky": "cookie"}])
        route = compile_snapshot(made, NOW_S).apps["shop"].routes[0]
        sides = {f"user-{n}": side_of(route, f"user-{n}") for n in range(300)}
        gone = [user for user, side in sides.items() if before.get(user) == "checkout" and side != "checkout"]
        assert not gone
        assert abs(list(sides.values()).count("checkout") / 300 - share / 100) < 0.1
        before = sides
    request = asked(made, path="/", user="user-1")["request"]
    assert (request["side"], request["side_why"]) == ("checkout", "by the cookie gslb_shop=user-1")
    request = asked(made, path="/")["request"]
    assert (request["side"], request["side_why"][:23]) == (None, "by the cookie gslb_shop")


def test_the_point_of_a_user_is_xxh64_of_the_cookie():
    """XXH64 of `a` with seed 0 is d24ec4f1a98c6e5b: 15154266338359012955, at 0.38587 of the line."""
    assert 15154266338359012955 % 1_000_003 == 385_867
    for share, side in ((38.58, "monolith"), (38.59, "checkout")):
        split = {"checkout": share, "monolith": round(100 - share, 2)}
        made = changed(routes=[{"name": "pay", "split": split, "sticky": "cookie"}])
        assert side_of(compile_snapshot(made, NOW_S).apps["shop"].routes[0], "a") == side
