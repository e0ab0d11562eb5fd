"""HTTPS records beside addresses: whatever the policy and the health, one client is told one site by all of them."""

import dataclasses
from ipaddress import ip_address

import dns.rdata
from dns.rdtypes.svcbbase import ParamKey
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gslb.dns.compose import compose
from gslb.dns.draw import pick
from gslb.dns.service_binding import https_data
from gslb.dns.tables import Qtype
from gslb.snapshot.types import Filter, Https
from tests.property.test_steering import CLIENTS, worlds
from tests.support.examples import examples

WALL_S = st.floats(0, 4e9, allow_nan=False)
ALPN = st.lists(st.sampled_from(["http/1.1", "h2", "h3", "x", "y" * 255]), min_size=1, max_size=5, unique=True)


def told(world, client, wall_s):
    """What one client is told, by type."""
    snapshot, live = world
    shop = dataclasses.replace(snapshot.apps["shop"], https=Https(("h2",), 443))
    tables = compose(dataclasses.replace(snapshot, apps={"shop": shop}), live)
    return {
        qtype: pick(tables.pools[place], client.packed, wall_s, 0) for qtype, place in tables.places["shop"].items()
    }


def hints(variant):
    """By address family, the addresses in the HTTPS record of `variant`."""
    if not variant.body.records:
        return {4: set(), 6: set()}
    data = variant.body.records[12:]
    params = dns.rdata.from_wire("IN", "HTTPS", data, 0, len(data)).params
    found = {4: params.get(ParamKey.IPV4HINT), 6: params.get(ParamKey.IPV6HINT)}
    return {family: set(param.addresses if param else ()) for family, param in found.items()}


def addresses(variant):
    if variant is None:
        return set()
    records = variant.body.records
    size = 12 + int.from_bytes(records[10:12]) if records else 1
    texts = (records[start + 12 : start + size] for start in range(0, len(records), size))
    kind = "A" if size == 16 else "AAAA"
    return {dns.rdata.from_wire("IN", kind, text, 0, len(text)).address for text in texts}


@settings(max_examples=examples(300), deadline=None)
@given(worlds(), CLIENTS.filter(bool), WALL_S)
def test_all_types_choose_the_same_site(world, client, wall_s):
    snapshot, _ = world
    shop = snapshot.apps["shop"]
    assume(not shop.mixed_families and shop.chain[-1].by != "answer")
    assert len({variant.sites for variant in told(world, client, wall_s).values()}) == 1


@st.composite
def loaded_worlds(draw):
    """With sizes, loads, sites that are kept warm, and sites that shed."""
    snapshot, live = draw(worlds())
    sizes = st.sampled_from([None, 100, 1000])
    sites = {
        name: dataclasses.replace(site, capacity_per_s=draw(sizes)) for name, site in sorted(snapshot.sites.items())
    }
    loads = {name: draw(st.sampled_from([0.0, 0.5, 0.85, 0.95, 1.2])) for name in sites if draw(st.booleans())}
    *chain, pick_ = snapshot.apps["shop"].chain
    if pick_.kind == "first" and draw(st.booleans()):
        pick_ = Filter("shed", low_ratio=0.6, high_ratio=0.9, by=pick_.by)
    pick_ = dataclasses.replace(pick_, trickle_ratio=draw(st.sampled_from([0.0, 0.02, 0.1])))
    shop = dataclasses.replace(snapshot.apps["shop"], chain=(*chain, pick_))
    return dataclasses.replace(snapshot, sites=sites, apps={"shop": shop}), dataclasses.replace(live, loads=loads)


@settings(max_examples=examples(500), deadline=None)
@given(loaded_worlds(), CLIENTS.filter(bool), WALL_S)
def test_every_hint_is_an_address_that_the_same_client_is_told(world, client, wall_s):
    assume(world[0].apps["shop"].chain[-1].by != "answer")
    variants = told(world, client, wall_s)
    hinted = hints(variants[Qtype.HTTPS])
    assert hinted[4] <= addresses(variants.get(Qtype.A))
    assert hinted[6] <= addresses(variants.get(Qtype.AAAA))


@settings(max_examples=examples(300), deadline=None)
@given(worlds(residency=False), CLIENTS.filter(bool), WALL_S)
def test_there_is_always_a_hint_where_nothing_forbids_it(world, client, wall_s):
    hinted = hints(told(world, client, wall_s)[Qtype.HTTPS])
    assert hinted[4] | hinted[6]


@given(ALPN, st.integers(1, 65535), st.lists(st.ip_addresses(), unique=True, max_size=40))
def test_others_read_what_was_written(alpn, port, ips):
    data = https_data(Https(tuple(alpn), port), [ip.packed for ip in ips])
    read = dns.rdata.from_wire("IN", "HTTPS", data, 0, len(data))
    assert (read.priority, read.target.to_text(), read.to_wire()) == (1, ".", data)
    params = read.params
    assert list(params) == sorted(params), "keys rise (section 2.2)"
    spoken = {protocol.decode() for protocol in params[ParamKey.ALPN].ids} if ParamKey.ALPN in params else set()
    assert spoken | (set() if ParamKey.NO_DEFAULT_ALPN in params else {"http/1.1"}) == set(alpn)
    assert (params[ParamKey.PORT].port if ParamKey.PORT in params else 443) == port
    hinted = [params[key].addresses for key in (ParamKey.IPV4HINT, ParamKey.IPV6HINT) if key in params]
    assert {ip_address(address) for some in hinted for address in some} == set(ips)
