"""Differences of policies as paths."""

from __future__ import annotations

import copy

import pytest

from gslb.model.policy import Policy
from gslb.plan import policy_changes
from tests.unit.plan.world import BASE, changed, cut, put

HOSTS = [f"h{n}" for n in range(20)]


def differences(old, new):
    found = policy_changes(Policy.model_validate(old), Policy.model_validate(new))
    return [(change.path, change.before, change.after) for change in found]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([], [], []),
        ([], [put("zone.ttl", "20s")], [("zone.ttl", '"10s"', '"20s"')]),
        ([], [put("zone.ttl", {"min": "5s", "max": "10s"})], [("zone.ttl", '"10s"', '{"min": "5s", "max": "10s"}')]),
        ([], [put("apps.shop.hosts", ["shop"])], [("apps.shop.hosts", '["shop", "store"]', '["shop"]')]),
        ([], [put("sites.lab.capacity", 5)], [("sites.lab.capacity", None, "5")]),
        ([], [cut("apps.shop.backends.monolith.aws")],
         [("apps.shop.backends.monolith.aws", '["198.51.100.21:8080"]', None)]),
        ([], [put("apps.shop.routes.0.split", {"checkout": 5, "monolith": 95})],
         [("apps.shop.routes.pay.split (order)", '["monolith", "checkout"]', '["checkout", "monolith"]')]),
        ([], [put("apps.shop.routes", BASE["apps"]["shop"]["routes"][::-1])],
         [("apps.shop.routes (order)", '["pay", "rest"]', '["rest", "pay"]')]),
        ([], [put("apps.shop.steer.0", "networks")], [("apps.shop.steer.0", '"healthy"', '"networks"')]),
        ([], [put("apps.shop.steer", ["networks", *BASE["apps"]["shop"]["steer"]])],
         [("apps.shop.steer.0", '"healthy"', '"networks"'),
          ("apps.shop.steer.1", '{"weighted": {"dc": 80, "aws": 20}, "by": "window"}', '"healthy"'),
          ("apps.shop.steer.2", None, '{"weighted": {"dc": 80, "aws": 20}, "by": "window"}')]),
        ([put("apps.shop.hosts", HOSTS)], [put("apps.shop.hosts", ["new", *HOSTS[1:]])],
         [("apps.shop.hosts", None, '"new"'), ("apps.shop.hosts", '"h0"', None)]),
        ([put("zone.records", "a\nb")], [put("zone.records", "b\nc\nd")],
         [("zone.records", "2 records", "3 records: 2 added, 1 removed")]),
        ([], [put("zone.records", "a")], [("zone.records", None, "1 record: 1 added, 0 removed")]),
        ([put("zone.records", "a")], [], [("zone.records", "1 record", None)]),
        ([], [put("environment", "\\u2028")], [("environment", '"test"', '"\\\\u2028"')]),
        ([], [put("zones", [{"name": "example.org", "nameservers": {"ns1": ["192.0.2.1"]}}])],
         [("zones.example.org", None,
           '{"name": "example.org", "nameservers": {"ns1": ["192.0.2.1"]}, "ttl": "10s", "dnssec": false}')]),
    ],
)  # fmt: skip
def test_each_kind_of_difference(before, after, expected):
    assert differences(changed(*before), changed(*after)) == expected


def test_the_order_of_a_long_list_counts():
    (found,) = differences(
        changed(put("apps.shop.hosts", HOSTS)), changed(put("apps.shop.hosts", [*HOSTS[1:], HOSTS[0]]))
    )
    assert found[0] == "apps.shop.hosts (order)"


def test_long_values_are_cut_and_nothing_reaches_a_terminal_raw():
    odd = {"x": "\x1b[2J" + "y" * 300}
    (found,) = differences(BASE, changed(put("apps.shop.routes.0.match", {"path": "/checkout", "headers": odd})))
    assert found[0] == "apps.shop.routes.pay.match.headers.x"
    assert found[2].startswith('"\\u001b[2Jyyy')
    assert found[2].endswith(" ...")
    assert len(found[2]) == 204


def test_the_order_of_sites_is_content():
    other = copy.deepcopy(BASE)
    other["sites"] = dict(reversed(BASE["sites"].items()))
    assert differences(BASE, other) == [("sites (order)", '["dc", "aws", "lab"]', '["lab", "aws", "dc"]')]
