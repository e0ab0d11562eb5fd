"""Who comes when, what alarms, and what follows: tables, without a clock."""

import pytest

from gslb.control.installation.waves import (
    BAKE_S,
    QUIET_S,
    REACH_S,
    SERVFAILS,
    Reading,
    Wave,
    alarms,
    begun,
    event_of,
    next_stage,
    stages,
    step,
    superseding,
)
from gslb.control.protocol import Applied, EdgeState, EnvoyState, RoleState, VerdictState

FLEET = ("m1/dns", "m1/edge-dc", "m2/dns", "m2/edge-aws", "m3/edge-lab")
PARTS = (("m1/edge-dc",), ("m2/edge-aws",), ("m3/edge-lab", "m1/dns"), ("m2/dns",))
SITES = {"edge-dc": "dc", "edge-aws": "aws", "edge-lab": "lab"}


def down(app="shop", site="dc", address="192.0.2.1"):
    return VerdictState(app=app, site=site, address=address, state="down", reason="x", since_wall_s=0)


def state(name, revision=1, **more):
    process = name.partition("/")[2]
    role = "dns" if process == "dns" else "edge"
    given = {"applied": Applied(revision=revision, overrides=0, digest="d"), "ready": True, "started_wall_s": 5.0}
    if role == "edge":
        given["edge"] = EdgeState(envoy=EnvoyState(state="live", restarts=1))
    return RoleState(**{"name": process, "role": role, "site": SITES.get(process), "pid": 1, **given, **more})


def well(revision_of=lambda _: 1, **changed):
    """Readings of the fleet; `changed` by process and machine, as `m1_dns={...}`."""
    made = {}
    for name in FLEET:
        given = dict(changed.get(name.replace("/", "_").replace("-", "_"), {}))
        silent_s, refused = given.pop("silent_s", 0.3), given.pop("refused", "")
        made[name] = Reading(state(name, revision_of(name), **given), silent_s, refused)
    return made


def wave(position=0, **more):
    made = begun(2, 1, PARTS, BAKE_S, {name: state(name) for name in FLEET})
    for _ in range(position):
        made = next_stage(made, {name: state(name) for name in FLEET})
    return made.model_copy(update=more)


def taken(made):
    """Readings of a fleet in which the nodes that the wave has reached have the revision."""
    return lambda name: 2 if name in made.reached else 1


@pytest.mark.parametrize(
    ("nodes", "machines", "expected"),
    [
        (FLEET, 3, PARTS),
        (FLEET, 1, ()),
        (FLEET[:2], 2, ()),
        ([f"m{n}/dns" for n in range(1, 6)], 5, (("m1/dns",), ("m2/dns", "m3/dns"), ("m4/dns", "m5/dns"))),
        (["a/edge-x", "b/edge-y", "c/edge-z"], 3, (("a/edge-x",), ("b/edge-y",), ("c/edge-z",))),
        (["a/edge-x", "a/dns", "b/dns"], 2, (("a/edge-x", "a/dns"), ("b/dns",))),
    ],
)
def test_one_then_half_then_all_and_name_servers_after_the_edges(nodes, machines, expected):
    assert stages(nodes, machines) == expected


@pytest.mark.parametrize("count", range(3, 60))
def test_every_node_stands_in_one_wave_and_the_first_is_one_alone(count):
    nodes = [f"m{n:02}/{'dns' if n % 3 == 0 else f'edge-s{n}'}" for n in range(count)]
    parts = stages(nodes, count)
    assert sorted(name for part in parts for name in part) == sorted(nodes)
    assert len(parts[0]) == 1 or count == 3
    servers = [n for n, part in enumerate(parts) if any(name.endswith("/dns") for name in part)]
    edges = [n for n, part in enumerate(parts) if any("/edge" in name for name in part)]
    assert max(edges) <= min(servers)


def test_nodes_beyond_the_wave_keep_the_policy_and_only_of_this_revision():
    made = wave(1)
    assert [name for name in FLEET if made.is_beyond(name, 2)] == ["m1/dns", "m2/dns", "m3/edge-lab"]
    assert not made.is_beyond("m2/dns", 3), "a later revision is not this wave's"
    assert not made.model_copy(update={"phase": "done"}).is_beyond("m2/dns", 2)
    assert made.is_beyond("m9/dns", 2), "who joins meanwhile waits with the last"


ILL = {
    "refuses": ({"refused": "no such filter"}, "no such filter"),
    "silent": ({"silent_s": QUIET_S + 1}, "silent for 6 s"),
    "restarted": ({"started_wall_s": 6.0}, "ended and started again"),
    "stepped back": (
        {"stepped_back_from": Applied(revision=2, overrides=0, digest="x")},
        "crashed with it and stepped back",
    ),
    "left out": ({"left_out": ("shop",)}, "cannot serve shop"),
    "not ready": ({"ready": False}, "not ready"),
    "envoy": (
        {"edge": EdgeState(envoy=EnvoyState(state="live", restarts=2, last_end="signal 11"))},
        "its Envoy ended: signal 11",
    ),
}


@pytest.mark.parametrize("what", ILL)
def test_what_is_wrong_with_a_node_of_the_wave_alarms_and_of_another_does_not(what):
    change, said = ILL[what]
    made = wave()
    (found,) = alarms(made, well(taken(made), m1_edge_dc=change))
    assert found.startswith("m1/edge-dc: ")
    assert said in found
    assert alarms(made, well(taken(made), m2_edge_aws=change)) == []


@pytest.mark.parametrize("what", ILL)
def test_a_node_of_an_earlier_wave_is_still_watched(what):
    made = wave(2)
    assert alarms(made, well(taken(made), m1_edge_dc=ILL[what][0]))


def test_a_node_that_was_ill_before_holds_nobody_up_and_tells_nothing():
    seen = {name: state(name, ready=name != "m1/edge-dc") for name in FLEET}
    made = begun(2, 1, PARTS, BAKE_S, seen)
    assert event_of(made, well(m1_edge_dc={"ready": False})) == ("in force", "")
    assert event_of(begun(2, 1, PARTS, BAKE_S, {}), {})[0] == "in force"


@pytest.mark.parametrize("what", ["refuses", "stepped back"])
def test_what_a_node_that_was_ill_before_says_of_the_policy_itself_counts(what):
    change, said = ILL[what]
    made = begun(2, 1, PARTS, BAKE_S, {})
    assert alarms(made, well(m1_edge_dc=change)) == [f"m1/edge-dc: {said}"]
    assert alarms(made, well(m2_edge_aws=change)) == [], "its turn has not come"


@pytest.mark.parametrize(("phase", "then"), [("reaching", ("baking", 0)), ("baking", ("reaching", 1))])
def test_a_node_that_was_silent_when_its_wave_began_is_watched_once_it_is_well(phase, then):
    seen = {name: state(name) for name in FLEET}
    before = begun(2, 1, PARTS, 0, {}).model_copy(update={"phase": phase, "down": ("shop dc 192.0.2.1",)})
    after = step(before, "in force", "", 1.0, seen)
    assert (after.phase, after.position, list(after.baselines)) == (phase, 0, ["m1/edge-dc"])
    assert after.down == before.down, "what was down when the wave began"
    assert alarms(after, well(taken(after), m1_edge_dc=ILL["restarted"][0]))
    moved = step(after, "in force", "", 1.0, seen)
    assert (moved.phase, moved.position) == then, "it holds the wave up once"


@pytest.mark.parametrize(("count", "alarmed"), [(SERVFAILS, False), (SERVFAILS + 1, True)])
def test_servfails_are_counted_from_the_beginning_of_the_wave(count, alarmed):
    seen = {name: state(name, dns_counts={"responses_servfail": 100}) for name in FLEET}
    made = next_stage(next_stage(begun(2, 1, PARTS, BAKE_S, seen), seen), seen)
    now = well(taken(made), m1_dns={"dns_counts": {"responses_servfail": 100 + count}})
    assert bool(alarms(made, now)) == alarmed


@pytest.mark.parametrize(
    ("position", "verdicts", "alarmed"),
    [
        (0, {"m1_dns": [down()], "m2_dns": [down()]}, True),
        (0, {"m1_dns": [down()]}, True),
        (0, {"m1_dns": [down(site="aws")]}, False),
        (0, {"m1_dns": [down(), down(site="aws")]}, False),
        (0, {"m1_dns": [down(), down(app="blog", site="aws")]}, True),
        (3, {"m2_dns": [down()]}, True),
        (3, {"m2_dns": [down()], "m1_dns": [down()]}, False),
        (3, {"m1_dns": [down()]}, False),
        (0, {}, False),
    ],
)
def test_what_goes_down_with_the_wave_alone_alarms(position, verdicts, alarmed):
    made = wave(position)
    now = well(taken(made), **{name: {"verdicts": tuple(items)} for name, items in verdicts.items()})
    assert bool(alarms(made, now)) == alarmed, alarms(made, now)


def test_what_was_down_before_is_no_alarm():
    seen = {name: state(name, verdicts=(down(),)) for name in FLEET if name.endswith("dns")}
    made = begun(2, 1, PARTS, BAKE_S, seen | {"m1/edge-dc": state("m1/edge-dc")})
    assert alarms(made, well(taken(made), m1_dns={"verdicts": (down(),)})) == []


@pytest.mark.parametrize(
    ("phase", "event", "in_phase_s", "after", "position"),
    [
        ("reaching", "waiting", 1, "reaching", 0),
        ("reaching", "waiting", REACH_S + 1, "back", 0),
        ("reaching", "in force", 1, "baking", 0),
        ("reaching", "alarm", 1, "back", 0),
        ("baking", "in force", BAKE_S - 1, "baking", 0),
        ("baking", "in force", BAKE_S, "reaching", 1),
        ("baking", "waiting", BAKE_S, "reaching", 1),
        ("baking", "alarm", 1, "back", 0),
    ],
)
def test_what_follows_from_a_look(phase, event, in_phase_s, after, position):
    before = wave(phase=phase)
    made = step(before, event, "why", in_phase_s, {name: state(name) for name in FLEET})
    assert (made.phase, made.position) == (after, position)
    assert (made is before) == (after == phase and position == 0)
    assert ("why" in made.why) == (after == "back")


def test_all_waves_one_after_the_other_end_in_done():
    made, seen, order = wave(), {name: state(name) for name in FLEET}, []
    while made.is_on:
        order += made.here
        assert event_of(made, well(lambda _: 1))[0] == "waiting"
        event, why = event_of(made, well(taken(made)))
        made = step(made, event, why, 0, seen)
        assert made.phase == "baking"
        made = step(made, *event_of(made, well(taken(made))), BAKE_S, seen)
    assert made.phase == "done"
    assert sorted(order) == sorted(FLEET)


def test_a_revision_that_comes_in_the_middle_goes_first_to_those_that_have_the_unbaked_one():
    assert superseding(wave(1), PARTS) == (("m1/edge-dc", "m2/edge-aws"), ("m3/edge-lab", "m1/dns"), ("m2/dns",))
    assert superseding(wave(3, phase="done"), PARTS) == PARTS
    assert superseding(None, PARTS) == PARTS
    assert superseding(wave(1), ()) == ()


def test_the_position_is_text_and_the_same_again():
    made = wave(2)
    assert Wave.model_validate_json(made.model_dump_json()) == made
