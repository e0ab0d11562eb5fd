"""Draws have the shares that the policy says, agree among types and nodes, and move no more than they must."""

from ipaddress import ip_address, ip_network
from itertools import pairwise

import pytest

from gslb.dns.compose import compose, recompile
from gslb.dns.draw import pick
from gslb.snapshot.types import LiveState
from tests.support.binomial import assert_share
from tests.unit.dns.policies import app, down, snapshot, weighted

N = 20_000
PREFIXES = [network.network_address.packed for network in list(ip_network("100.64.0.0/10").subnets(new_prefix=24))]
PREFIXES_V6 = [(int(ip_address("2001:db8:4000::")) + (number << 72)).to_bytes(16) for number in range(len(PREFIXES))]


def pools(steer, **more):
    """The pools of the one app: A, AAAA."""
    return compose(snapshot({"shop": app("healthy", steer, **more)}), LiveState()).pools[:2]


def site(pool, address=b"\xc0\0\2\1", wall_s=0.0, random_u32=0):
    return pick(pool, address, wall_s, random_u32).sites[0]


WEIGHTS = {"dc": 70, "aws": 25, "gcp": 5}


def test_by_answer_follows_the_random_number_exactly():
    pool, _ = pools(weighted("answer", **WEIGHTS))
    edges = [(0, "dc"), (int(0.7 * 2**32) - 1, "dc"), (int(0.7 * 2**32) + 1, "aws"), (2**32 - 1, "gcp")]
    assert [site(pool, random_u32=number) for number, _ in edges] == [name for _, name in edges]


@pytest.mark.parametrize("addresses", [PREFIXES, PREFIXES_V6], ids=["v4", "v6"])
@pytest.mark.parametrize("by", ["window", "client"])
def test_shares_over_clients(by, addresses):
    pool, _ = pools(weighted(by, **WEIGHTS))
    drawn = [site(pool, address, wall_s=1e9) for address in addresses]
    for name, weight in WEIGHTS.items():
        assert_share(drawn.count(name), len(drawn), weight / 100)


def test_shares_over_windows_of_one_client():
    pool, _ = pools(weighted("window", **WEIGHTS), ttl="10s")
    drawn = [site(pool, wall_s=10.0 * window) for window in range(N)]
    for name, weight in WEIGHTS.items():
        assert_share(drawn.count(name), N, weight / 100)


def test_neighbouring_windows_are_independent():
    pool, _ = pools(weighted("window", dc=50, aws=50), ttl="10s")
    drawn = [site(pool, wall_s=10.0 * window) for window in range(N)]
    assert_share(sum(a == b for a, b in pairwise(drawn)), N - 1, 0.5)


def test_apps_draw_independently():
    two = compose(
        snapshot({name: app(weighted("client", dc=50, aws=50), hosts=[name]) for name in ("a", "b")}), LiveState()
    )
    same = sum(site(two.pools[0], prefix) == site(two.pools[2], prefix) for prefix in PREFIXES)
    assert_share(same, len(PREFIXES), 0.5)


def test_a_window_lasts_one_ttl():
    pool, _ = pools(weighted("window", dc=50, aws=50), ttl="10s")
    for window in range(200):
        assert site(pool, wall_s=10.0 * window) == site(pool, wall_s=10.0 * window + 9.999)


@pytest.mark.parametrize("by", ["window", "client"])
def test_one_prefix_is_one_client(by):
    pool, _ = pools(weighted(by, dc=50, aws=50))
    for network in ("192.0.2.0/24", "2001:db8:77:4200::/56"):
        first, last = ip_network(network)[0].packed, ip_network(network)[-1].packed
        for window in range(100):
            assert site(pool, first, 30.0 * window) == site(pool, last, 30.0 * window)


def test_by_client_stays_for_good():
    pool, _ = pools(weighted("client", dc=50, aws=50))
    assert len({site(pool, wall_s=seconds * 1e5) for seconds in range(1000)}) == 1


@pytest.mark.parametrize("by", ["window", "client"])
def test_types_of_one_name_agree_and_the_random_number_does_not_count(by):
    a, aaaa = pools(weighted(by, **WEIGHTS))
    for step, prefix in enumerate(PREFIXES):
        assert site(a, prefix, 1e9 + step, 1) == site(aaaa, prefix, 1e9 + step, 2**32 - 1)


def test_nodes_agree_on_values_that_never_change():
    """Pinned: nodes of different versions, and the native loop, must draw alike."""
    pool, _ = pools(weighted("window", dc=50, aws=30, gcp=20), ttl="10s")
    drawn = "".join(site(pool, prefix, 1.7e9)[0] for prefix in PREFIXES[:40])
    assert drawn == "dgdadgddaaadgddaadadaddaggdgaaddddaaddgd"


def test_a_changed_weight_moves_only_the_share_it_must():
    before, _ = pools(weighted("client", dc=70, aws=30))
    after, _ = pools(weighted("client", dc=60, aws=40))
    moves = [(site(before, prefix), site(after, prefix)) for prefix in PREFIXES]
    assert ("aws", "dc") not in moves
    assert_share(moves.count(("dc", "aws")), len(moves), 0.10)


def test_a_new_site_takes_only_its_own_share():
    before, _ = pools(weighted("client", dc=50, aws=50))
    after, _ = pools(weighted("client", dc=40, aws=40, gcp=20))
    moves = [(site(before, prefix), site(after, prefix)) for prefix in PREFIXES]
    assert {new for old, new in moves if old != new} == {"gcp"}
    assert_share(sum(old != new for old, new in moves), len(moves), 0.2)


def test_a_dead_site_moves_its_own_clients_and_they_come_back():
    policy = snapshot({"shop": app("healthy", weighted("client", **WEIGHTS))})
    tables = compose(policy, LiveState())
    dead = recompile(tables, policy, down("198.51.100.20", "2001:db8:2::20"))
    for prefix in PREFIXES[:4000]:
        alive = site(tables.pools[0], prefix)
        assert site(dead.pools[0], prefix) == alive or alive == "aws"
    assert recompile(dead, policy, LiveState()) == tables
