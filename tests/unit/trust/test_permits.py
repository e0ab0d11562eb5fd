"""The table of who may ask what of a node."""

from __future__ import annotations

import pytest

from gslb.trust.permits import NODE_PERMITS, STANDING, Known, belongs, may, require_permits
from gslb.trust.spiffe import parse_spiffe

WHO = {
    "control": "spiffe://d/m1/control",
    "dns": "spiffe://d/m1/dns",
    "edge": "spiffe://d/m1/edge/dc",
    "observer": "spiffe://d/m1/observer",
    "operator": "spiffe://d/operator/ann",
    "server": "spiffe://d/server/etcd",
}
READERS = {"control", "dns", "edge", "observer", "operator"}
TABLE = {
    "POST /prepare": {"control"},
    "POST /publish": {"control"},
    "PUT /roster": {"control"},
    "PUT /pushed": {"control"},
    "PUT /signers": {"control"},
    "GET /state": READERS,
    "GET /observations": READERS,
    "GET /comparisons/{app}/{route}": {"control"},
    "GET /outcomes/{app}": READERS,
    "POST /v1/drains": set(),
    "DELETE /v1/drains/{site}": set(),
    "POST /v1/mirror-stops": set(),
    "DELETE /v1/mirror-stops": set(),
    "POST /v1/override": {*WHO, None},
}


@pytest.mark.parametrize("route", NODE_PERMITS)
@pytest.mark.parametrize("who", [*WHO, None])
def test_who_may_what(route, who):
    caller = parse_spiffe(WHO[who]) if who else None
    assert may(caller, route, "d") == (who in TABLE[route])


def test_who_is_of_another_installation_may_nothing_that_needs_a_name():
    for route in NODE_PERMITS:
        assert may(parse_spiffe(WHO["control"]), route, "other") == (route == "POST /v1/override")


def test_a_route_without_a_line_is_noticed():
    require_permits(["GET /state"])
    with pytest.raises(AssertionError, match="GET /new"):
        require_permits(["GET /state", "GET /new"])


PROCESSES = {"dns", "edge", "observer"}
LISTED = frozenset(WHO[who] for who in PROCESSES)


@pytest.mark.parametrize(
    ("known", "refused"),
    [
        (Known(), set()),
        (Known(LISTED), set()),
        (Known(LISTED, {"m2"}), set()),
        (Known(frozenset()), PROCESSES),
        (Known(None, {"m1"}), {*PROCESSES, "control"}),
        (Known(LISTED, {"m1", "m2"}), {*PROCESSES, "control"}),
        (Known(frozenset({WHO["dns"].replace("m1", "m2")}), {"ann", "etcd"}), PROCESSES),
    ],
)
def test_who_is_still_one_of_the_installation(known, refused):
    assert {who for who, uri in WHO.items() if not belongs(parse_spiffe(uri), known)} == refused


def test_every_kind_has_its_standing():
    assert set(STANDING) == set(WHO)
