from __future__ import annotations

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gslb import __version__
from gslb.control import changes
from gslb.control.compared import ComparerLife
from gslb.control.followed import Commit, Followed
from gslb.control.installation.leader import Lead
from gslb.control.protocol import BrokenGlass
from gslb.control.scrape.metrics import exposition
from tests.unit.control.world import (
    NOW_S,
    MemoryPublisher,
    a_drain,
    applied,
    dns_state,
    edge_state,
    intent,
    pay,
    verdict,
)  # fmt: skip


@pytest.fixture
def publisher():
    made = MemoryPublisher(changes.drain(intent(), a_drain("lab")))
    up, down = verdict("shop", "dc", "192.0.2.10"), verdict("shop", "aws", "198.51.100.20", "down", "refused")
    unknown = verdict("blog", "dc", "192.0.2.10", "unknown")
    made.hear(
        dns_state(made.snapshot, up, down, unknown),
        edge_state(made.snapshot, "dc", pay({"monolith": 3, "checkout": 1}, 4, body=2)),
    )
    made.hear(edge_state(made.snapshot, "aws"))
    made.ages["edge-aws"] = 9.0
    return made


def families(publisher):
    return {family.name: family for family in text_string_to_metric_families(exposition(publisher).decode())}


def value(publisher, sample, **labels):
    found = [
        item.value
        for family in families(publisher).values()
        for item in family.samples
        if item.name == sample and item.labels.items() >= labels.items()
    ]
    assert len(found) == 1, f"{sample} {labels}: {found}"
    return found[0]


def test_restarts_of_comparers_are_counted_where_something_is_compared(publisher):
    state = edge_state(publisher.snapshot, "dc")
    told = {"comparing": True, "comparer_life": ComparerLife(restarts=2, last_end="the comparer ended")}
    publisher.hear(state.model_copy(update={"edge": state.edge.model_copy(update=told)}))
    assert value(publisher, "gslb_comparer_restarts_total", role="edge-dc") == 2
    assert value(publisher, "gslb_comparer_up", role="edge-dc") == 0


def test_what_a_node_holds_and_does_by_itself(publisher):
    given_up = applied(publisher.snapshot)
    glass = BrokenGlass(over=given_up, drains=(), deeds=())
    own = {"snapshot_age_s": 70.0, "control_silence_s": 1.5, "good_generations": 3}
    publisher.hear(
        dns_state(publisher.snapshot, **own, stepped_back_from=given_up, broken_glass=glass, left_out=("a", "b"))
    )
    for sample, expected in {
        "gslb_node_snapshot_age_seconds": 70,
        "gslb_node_control_silence_seconds": 1.5,
        "gslb_node_good_generations": 3,
        "gslb_node_stepped_back": 1,
        "gslb_node_broken_glass": 1,
        "gslb_node_left_out_apps": 2,
        "gslb_role_up": 1,
        "gslb_role_in_sync": 0,
    }.items():
        assert value(publisher, sample, role="dns") == expected
    assert value(publisher, "gslb_node_stepped_back", role="edge-dc") == 0
    assert "gslb_node_snapshot_age_seconds" in families(publisher)


@pytest.mark.parametrize(
    ("sample", "labels", "expected"),
    [
        ("gslb_build_info", {"version": __version__, "wire": "native"}, 1),
        ("gslb_snapshot_revision", {}, 1),
        ("gslb_snapshot_overrides", {}, 1),
        ("gslb_role_up", {"role": "dns"}, 1),
        ("gslb_role_up", {"role": "edge-aws"}, 0),
        ("gslb_role_in_sync", {"role": "edge-dc"}, 1),
        ("gslb_role_in_sync", {"role": "edge-aws"}, 0),
        ("gslb_role_age_seconds", {"role": "edge-aws"}, 9),
        ("gslb_verdict_up", {"app": "shop", "site": "dc", "address": "192.0.2.10"}, 1),
        ("gslb_verdict_up", {"app": "shop", "site": "aws"}, 0),
        ("gslb_verdict_changed_timestamp_seconds", {"app": "blog"}, NOW_S),
        ("gslb_site_drained", {"app": "shop", "site": "lab"}, 1),
        ("gslb_site_drained", {"app": "shop", "site": "dc"}, 0),
        ("gslb_dns_answered_total", {"role": "dns"}, 7),
        ("gslb_dns_bad_packets_total", {"role": "dns"}, 1),
        ("gslb_split_intended_ratio", {"app": "shop", "route": "pay", "backend": "checkout"}, 0.05),
        ("gslb_split_requests_total", {"site": "dc", "route": "pay", "backend": "monolith"}, 3),
        ("gslb_mirror_sent_total", {"site": "dc", "route": "pay"}, 4),
        ("gslb_mirror_skipped_total", {"route": "pay", "reason": "body"}, 2),
        ("gslb_envoy_restarts_total", {"site": "dc"}, 2),
        ("gslb_envoy_up", {"site": "dc"}, 1),
        ("gslb_peer_requests_total", {"site": "dc", "app": "shop", "backend": "checkout"}, 5),
    ],
)
def test_every_metric_says_what_the_roles_told(publisher, sample, labels, expected):
    assert value(publisher, sample, **labels) == expected


def test_who_leads(publisher):
    assert (value(publisher, "gslb_leader", control="berlin"), value(publisher, "gslb_leader_term")) == (1, 3)
    publisher.lead = Lead("munich", 4, here=False)
    assert (value(publisher, "gslb_leader", control="munich"), value(publisher, "gslb_leader_term")) == (0, 4)
    publisher.lead = Lead()
    assert families(publisher)["gslb_leader"].samples == []


def test_what_is_unknown_or_silent_has_no_number(publisher):
    got = families(publisher)
    assert {sample.labels["app"] for sample in got["gslb_verdict_up"].samples} == {"shop"}
    assert {sample.labels["site"] for sample in got["gslb_envoy_up"].samples} == {"dc"}


def test_before_the_first_policy_and_the_first_contact():
    publisher = MemoryPublisher()
    publisher.states = {"dns": None}
    assert value(publisher, "gslb_role_up", role="dns") == 0
    assert value(publisher, "gslb_build_info", wire="unknown") == 1


def test_names_follow_the_conventions(publisher):
    """https://prometheus.io/docs/practices/naming/: one prefix, base units, _total on counters alone, help for each."""
    odd_units = re.compile(r"_(ms|milliseconds|minutes|hours|kb|kilobytes|mb|percent|percentage)(_|$)")
    for family in families(publisher).values():
        assert re.fullmatch(r"gslb_[a-z][a-z0-9_]*[a-z0-9]", family.name), family.name
        assert "__" not in family.name
        assert family.documentation.endswith("."), family.name
        assert not odd_units.search(family.name), family.name
        assert family.type != "gauge" or not family.name.endswith(("_total", "_count", "_sum")), family.name
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter"), sample.name
            assert all(re.fullmatch(r"[a-z]+", label) for label in sample.labels)


def test_a_followed_repository(publisher):
    assert not any(name.startswith("gslb_git") for name in families(publisher))
    taken = Commit("ab" * 20, "git: Ann", "try")
    publisher.git = Followed("https://git.example/p", taken, 1)
    assert value(publisher, "gslb_git_commit_info", commit="ab" * 20) == 1
    assert [value(publisher, f"gslb_git_{name}") for name in ("in_force", "refused", "unreadable")] == [1, 0, 0]
    publisher.git = Followed("https://git.example/p", taken, 9, refused=taken, why="no", error="gone")
    assert [value(publisher, f"gslb_git_{name}") for name in ("in_force", "refused", "unreadable")] == [0, 1, 1]
