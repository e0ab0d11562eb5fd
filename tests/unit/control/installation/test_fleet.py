"""Nodes as an operator sees them: how far behind, what they wait for, and which of them nobody can ask."""

import pytest

from gslb.control.bodies.fleet_messages import NodesSeen
from gslb.control.installation.fleet import TRAIL, Fleet, followed, lag_s, nodes_seen
from gslb.control.installation.registry import Machine, Registry
from gslb.control.installation.waves import begun
from gslb.control.protocol import Applied
from gslb.snapshot import compile_snapshot
from gslb.snapshot.types import Version
from tests.unit.control.world import NOW_S, dns_state, edge_state, intent

SNAPSHOT = compile_snapshot(intent(), NOW_S)
NEWER = compile_snapshot(intent().model_copy(update={"revision": 2}), NOW_S)
TRAIL_OF_THREE = ((Version(1, 0), 10.0), (Version(1, 1), 20.0), (Version(2, 1), 30.0))


@pytest.mark.parametrize(
    ("applied", "expected_s"),
    [(None, 90), ((0, 9), 90), ((1, 0), 80), ((1, 1), 70), ((1, 7), 70), ((2, 1), 0), ((3, 0), 0)],
)
def test_a_node_is_behind_since_the_oldest_version_that_it_lacks(applied, expected_s):
    has = applied and Applied(revision=applied[0], overrides=applied[1], digest="x")
    assert lag_s(has, TRAIL_OF_THREE, 100.0) == expected_s


def test_the_trail_is_bounded():
    trail = ()
    for n in range(TRAIL + 5):
        trail = followed(trail, Version(n, 0), float(n))
    assert (len(trail), trail[0][1]) == (TRAIL, 5.0)


def seen(**given):
    roles = {
        "edge-dc": edge_state(SNAPSHOT, "dc"),
        "m2/dns": dns_state(SNAPSHOT, identity_ends_wall_s=NOW_S, snapshot_age_s=7.0),
        "m3/dns": None,
    }
    fleet = Fleet(
        machine="m1",
        registry=Registry(
            1, {"m4": Machine(name="m4", processes={"edge-aws": "https://192.0.2.4:1"})}, ("machines/x",)
        ),
        trail=((Version(1, 0), 10.0), (Version(2, 0), 30.0)),
        **{"wanted": dict.fromkeys(roles, NEWER), **given},
    )
    made = nodes_seen(fleet, roles, {"edge-dc": 0.4, "m2/dns": 0.5}, 40.0)
    NodesSeen.model_validate(made)
    return made, {(node["machine"], node["process"]): node for node in made["nodes"]}


def test_every_node_is_told_with_its_machine_and_how_far_it_is_behind():
    made, nodes = seen()
    assert [*nodes] == [("m1", "edge-dc"), ("m2", "dns"), ("m3", "dns"), ("m4", "edge-aws")]
    edge, server, lost, unknown = nodes.values()
    assert (edge["role"], edge["site"], edge["state"], edge["in_sync"], edge["lag_s"]) == (
        "edge",
        "dc",
        "ready",
        False,
        10,
    )
    assert (server["certificate_ends"], server["taken_s"]) == ("2023-11-14T22:13:20Z", 7.0)
    assert (lost["state"], lost["revision"], lost["heard_s"]) == ("unreachable", None, None)
    assert (unknown["state"], unknown["site"], "gslb identity" in unknown["notes"][0]) == ("unreachable", "aws", True)
    assert made["damaged"] == ["machines/x"]


def test_who_waits_for_a_wave_is_in_sync_with_what_it_is_to_have():
    wave = begun(2, 1, (("m1/edge-dc",), ("m2/dns", "m3/dns")), 30, {})
    made, nodes = seen(wanted={"edge-dc": NEWER, "m2/dns": SNAPSHOT, "m3/dns": None}, wave=wave)
    assert nodes["m1", "edge-dc"]["notes"] == ["wave 1 of 2: reaching"]
    assert nodes["m2", "dns"]["notes"] == ["waits for 2"]
    assert (nodes["m2", "dns"]["in_sync"], nodes["m2", "dns"]["lag_s"]) == (True, 0)
    assert (made["wave"]["here"], made["wave"]["beyond"]) == (["m1/edge-dc"], ["m2/dns", "m3/dns"])
