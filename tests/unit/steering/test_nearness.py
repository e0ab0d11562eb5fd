"""`geo` and `latency`: which site is near, how far that holds, and what is said about it."""

import dataclasses
import ipaddress

import pytest

from gslb.snapshot.networks import Place, network_map
from gslb.steering import client_classes, decide, telling_filters
from gslb.steering.nearness import distance_km
from tests.unit.steering.world import SITES, app, dead, ip, policy, seeing, snapshot

FRANKFURT, ASHBURN, TOKYO = (50.11, 8.68), (38.95, -77.45), (35.68, 139.69)
WHERE = {"dc": ("DE", FRANKFURT), "aws": ("US", ASHBURN), "gcp": ("JP", TOKYO)}
PLACED = {
    name: {**SITES[name], "location": {"country": country, "lat": at[0], "lon": at[1]}}
    for name, (country, at) in WHERE.items()
}
PICK = {"weighted": {"dc": 1, "aws": 1, "gcp": 1}}
BERLIN, PARIS = Place("DE", "EU", 52.52, 13.4), Place("FR", "EU", 48.86, 2.35)
MEXICO, SEOUL = Place("MX", "NA", 19.43, -99.13), Place("KR", "AS", 37.57, 126.98)
CLIENTS = {
    "10.1.0.0/16": BERLIN,
    "10.2.0.0/16": MEXICO,
    "10.3.0.0/16": SEOUL,
    "10.4.0.0/16": PARIS,
    "2001:db8::/32": SEOUL,
}


def world(*chain, sites=None, latency=None, geo=CLIENTS, live=None):
    more = {"latency": latency} if latency else {}
    made = policy(sites or PLACED, shop=app(list(chain)))
    snap = snapshot(type(made).model_validate({**made.model_dump(), **more}))
    places = None if geo is None else network_map((ipaddress.ip_network(n), place) for n, place in geo.items())
    return snap, dataclasses.replace(live or seeing(), geo=places)


def told(made, client):
    """(sites, bits, what geo or latency said)"""
    snap, live = made
    decision = decide(snap, live, snap.apps["shop"], client and ip(client), 4)
    said = next(step.reason for step in decision.steps if step.filter in ("geo", "latency"))
    return [site for o in decision.outcomes for site in o.sites], decision.client_bits, said


def test_distances_on_the_globe():
    assert distance_km(FRANKFURT, ASHBURN) == pytest.approx(6540, rel=0.01)
    assert distance_km(FRANKFURT, TOKYO) == pytest.approx(9350, rel=0.01)
    assert distance_km((0, 179.5), (0, -179.5)) == pytest.approx(111.2, rel=0.01), "across the date line"
    assert distance_km((90, 0), (-90, 77)) == pytest.approx(20015, rel=0.01)
    assert distance_km(TOKYO, TOKYO) == 0


@pytest.mark.parametrize(
    ("client", "site"), [("10.1.2.3", "dc"), ("10.2.2.3", "aws"), ("10.3.2.3", "gcp"), ("2001:db8::1", "gcp")]
)
def test_the_nearest_site_is_told(client, site):
    assert told(world("healthy", "geo", PICK), client)[0] == [site]


def test_the_reason_says_where_and_how_far_and_the_bits_how_far_it_holds():
    sites, bits, reason = told(world("healthy", "geo", PICK), "10.1.2.3")
    assert (sites, bits) == (["dc"], 16)
    assert reason.startswith("the client is in DE: dc 423 km, aws 6,7")


def test_where_the_nearest_is_down_the_next_is_told():
    assert told(world("healthy", "geo", PICK, live=dead("dc")), "10.1.2.3")[0] == ["aws"]
    assert told(world("healthy", "geo", {"first": 2}, live=dead("dc")), "10.3.2.3")[0] == ["gcp", "aws"]


def test_bias_makes_a_site_nearer_or_farther():
    assert told(world("geo", PICK), "10.2.0.1")[0] == ["aws"]
    chain = {"geo": {"bias": {"aws": 4, "dc": 0.5}}}
    sites, _, reason = told(world(chain, PICK), "10.2.0.1")
    assert sites == ["dc"]
    assert "km x 0.5, aws " in reason
    assert "km x 4" in reason


def test_countries_come_before_continents_and_both_before_distance():
    chain = {"geo": {"countries": {"DE": "aws"}, "continents": {"EU": ["gcp", "aws"], "AS": "dc"}}}
    assert told(world(chain, PICK), "10.1.0.1")[::2] == (["aws"], "the client is in DE, which is for aws")
    assert told(world(chain, PICK), "10.4.0.1")[::2] == (["gcp"], "the client is in FR, which is for gcp, aws")
    assert told(world("healthy", chain, {"first": 3}, live=dead("gcp")), "10.4.0.1")[0] == ["aws", "dc"]
    assert told(world(chain, PICK), "10.2.0.1")[0] == ["aws"], "nobody named America: distance"


def test_a_database_of_countries_tells_by_country():
    geo = {"10.1.0.0/16": Place("DE", "EU"), "10.2.0.0/16": Place("MX", "NA"), "10.3.0.0/16": Place(None, "AS")}
    sites, _, reason = told(world("geo", PICK, geo=geo), "10.1.0.1")
    assert (sites, reason[:60]) == (["dc"], "the client is in DE; the database has no coordinates, so tha")
    assert told(world("geo", PICK, geo=geo), "10.2.0.1")[0] == ["dc", "aws", "gcp"]
    assert told(world("geo", PICK, geo=geo), "10.3.0.1")[2].startswith("the client is in AS;")
    assert told(world("geo", PICK, geo={"10.0.0.0/8": Place(lat=1.0, lon=2.0)}), "10.3.0.1")[2].startswith(
        "the client is in a place without a country: dc "
    )


def test_a_site_without_a_location_comes_last():
    sites = {**PLACED, "dc": SITES["dc"]}
    made = world("healthy", "geo", {"first": 3}, sites=sites)
    assert told(made, "10.1.0.1")[0] == ["aws", "gcp", "dc"]
    assert "dc has no location" in told(made, "10.1.0.1")[2]


@pytest.mark.parametrize(
    ("geo", "client", "reason"),
    [
        (None, "10.1.0.1", "no database of places is loaded: the order stays"),
        (CLIENTS, None, "the client is unknown"),
        (CLIENTS, "192.0.2.1", "the database does not know where the client is"),
    ],
)
def test_without_a_place_it_says_so_and_goes_on(geo, client, reason):
    sites, bits, said = told(world({"priority": ["aws", "dc"]}, "geo", {"first": 1}, geo=geo), client)
    assert (sites, said) == (["aws"], reason)
    assert bits == (1 if client == "192.0.2.1" else 0)


LATENCY = {"10.1.0.0/16": {"dc": "12ms", "aws": "80.5ms"}, "10.1.9.0/24": {"dc": "99ms", "aws": "9ms", "gcp": "9ms"}}


def test_the_quickest_measured_site_is_told_by_the_longest_network():
    made = world("healthy", "latency", PICK, latency=LATENCY)
    assert told(made, "10.1.2.3") == (["dc"], 21, "measured: dc 12 ms, aws 80.5 ms, gcp -")
    assert told(made, "10.1.9.3") == (["aws", "gcp"], 24, "measured: dc 99 ms, aws 9 ms, gcp 9 ms")
    assert told(made, "192.0.2.1")[2] == "nothing was measured from the client's network"
    assert told(made, None)[1:] == (0, "the client is unknown")


def test_who_was_not_measured_comes_last():
    made = world("healthy", "latency", {"first": 3}, latency=LATENCY, live=dead("dc"))
    assert told(made, "10.1.2.3")[0] == ["aws", "gcp"]


def test_filters_that_order_refine_each_other():
    """An order before geo is kept; geo decides among equals."""
    made = world({"priority": ["aws"]}, "geo", {"first": 3})
    assert told(made, "10.3.0.1")[0] == ["aws", "gcp", "dc"]
    sites = {name: {**site, "networks": ["10.3.7.0/24"]} if name == "dc" else site for name, site in PLACED.items()}
    made = world("networks", "geo", {"first": 3}, sites=sites)
    assert told(made, "10.3.7.1")[0] == ["dc", "gcp", "aws"]
    assert told(made, "10.3.6.1")[0] == ["gcp", "dc", "aws"]


# Classes --------------------------------------------------------------------------------------------------------------


def classes(made, version=4):
    snap, live = made
    return client_classes(snap, live.geo, telling_filters(snap.apps["shop"].chain), version)


def test_a_chain_that_looks_at_no_address_has_one_class():
    assert classes(world("healthy", PICK)).starts == (0,)


def test_places_with_the_same_order_of_sites_are_one_class():
    spans = classes(world("geo", PICK, geo={"10.1.0.0/16": BERLIN, "10.2.0.0/16": PARIS, "10.3.0.0/16": SEOUL}))
    assert spans.starts == tuple(int(ip(a)) for a in ("0.0.0.0", "10.1.0.0", "10.3.0.0", "10.4.0.0"))
    assert classes(world("geo", PICK, geo=None)).starts == (0,)


def test_clients_of_one_class_are_told_the_same():
    snap, live = made = world("healthy", "networks", "geo", "latency", PICK, latency=LATENCY)
    spans = classes(made)
    seen = {}
    for start, value in zip(spans.starts, spans.values, strict=True):
        decision = decide(snap, live, snap.apps["shop"], ipaddress.IPv4Address(start), 4)
        assert seen.setdefault(value, decision.outcomes) == decision.outcomes
    assert len(seen) >= 4
