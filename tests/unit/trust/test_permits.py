"""The table of who may ask what of a node."""

from __future__ import annotations

import pytest

from gslb.trust.permits import NODE_PERMITS, may, require_permits
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
    "GET /state": READERS,
    "GET /observations": READERS,
    "POST /v1/drains": set(),
    "DELETE /v1/drains/{site}": set(),
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
