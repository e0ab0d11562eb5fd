"""A policy that comes as one value meets the same rules as a folder."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from gslb.errors import PolicyError
from gslb.model.folder import load_folder
from gslb.model.given import Checker, check_given
from gslb.model.policy import Policy
from tests.unit.plan.world import BASE, changed, put

POLICIES = Path(__file__).parents[3] / "policies"
ZONE = "$TTL 1h\nmail.{} A 192.0.2.25\n"


def problems(policy):
    with pytest.raises(PolicyError) as caught:
        check_given(Policy.model_validate(policy))
    return [(problem.rule, problem.message) for problem in caught.value.problems]


@pytest.mark.parametrize("folder", [item for item in sorted(POLICIES.iterdir()) if item.is_dir()], ids=lambda p: p.name)
def test_what_a_folder_says_stays_as_it_is(folder):
    policy = load_folder(folder).policy
    assert check_given(Policy.model_validate_json(policy.model_dump_json())).model_dump() == policy.model_dump()


def test_records_of_every_zone_get_their_one_form_and_keep_it():
    other = {"name": "example.org", "nameservers": {"ns1": ["198.51.100.53"]}, "records": ZONE.format("example.org")}
    given = changed(
        put("zone.records", ZONE.format("gslb.example.com")),
        put("zones", [other, {**other, "name": "example.net", "records": None}]),
    )
    once = check_given(Policy.model_validate(given))
    assert once.zone.records == r"mail.gslb.example.com 3600 IN TYPE1 \# 4 c0000219"
    assert [zone.records for zone in once.zones] == [r"mail.example.org 3600 IN TYPE1 \# 4 c0000219", None]
    assert check_given(once) == once


def test_everything_that_is_wrong_is_told_at_once_with_its_path():
    found = problems(
        changed(
            put("apps.shop.routes.0.split", {"monolith": 10}),
            put("apps.shop.ttl", "1500ms"),
            put("zone.records", ZONE.format("gslb.example.com") + "shop.gslb.example.com A 192.0.2.1\n"),
        )
    )
    assert sorted(rule for rule, _ in found) == ["split-sum", "ttl-whole", "zone-steered"]
    assert {message.partition(": ")[0] for _, message in found} == {
        "apps.shop.routes.0.split", "apps.shop.ttl", "zone line 3",
    }  # fmt: skip


def test_an_item_of_a_list_is_told_by_its_number():
    found = problems(changed(put("apps.shop.steer", ["healthy", {"priority": ["dc", "moon"]}, {"first": 1}])))
    assert [(rule, message.partition(": ")[0]) for rule, message in found] == [
        ("unknown-site", "apps.shop.steer.1.priority.1")
    ]


def test_what_was_checked_last_is_not_checked_again_and_anything_else_is():
    checker, good = Checker(), Policy.model_validate(BASE)
    made = checker.checked(good)
    assert checker.checked(Policy.model_validate(BASE)) is made == check_given(good)
    with pytest.raises(PolicyError):
        checker.checked(Policy.model_validate(changed(put("apps.shop.ttl", "1500ms"))))
    other = {**BASE, "sites": dict(reversed(BASE["sites"].items()))}
    assert list(checker.checked(Policy.model_validate(other)).sites) == list(other["sites"])


def test_what_is_only_warned_of_passes():
    slow = copy.deepcopy(BASE)
    slow["apps"]["shop"]["backends"]["monolith"]["check"] = {"path": "/", "interval": "1s", "timeout": "5s"}
    assert check_given(Policy.model_validate(slow)) == Policy.model_validate(slow)
