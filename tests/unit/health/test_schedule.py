"""Who is looked at when: lanes with their own room, and what waits longest."""

import ipaddress

from gslb.health.schedule import Schedule, Watch, lane_of
from gslb.snapshot.checks import CommandAsk, HealthCheck, IcmpAsk, NamedCheck
from gslb.snapshot.targets import CheckTarget, ProbeTarget

ROOM = {"doors": 2, "checks": 1, "commands": 1}


def door(due_s=0.0):
    check = HealthCheck("/", 1.0, 1.0, 1, 1)
    return Watch(ProbeTarget("a", "dc", ipaddress.ip_address("192.0.2.1"), 80, "h", None, check), due_s)


def named(ask=None, due_s=0.0):
    return Watch(CheckTarget(NamedCheck("n", "icmp", ask or IcmpAsk("192.0.2.1"), 1.0, 1.0, 1, 1)), due_s)


def test_lanes():
    assert [lane_of(watch.target) for watch in (door(), named(), named(CommandAsk(("x",))))] == [
        "doors", "checks", "commands",
    ]  # fmt: skip


def test_what_is_due_is_taken_in_its_order_as_far_as_there_is_room():
    schedule = Schedule(ROOM)
    first, second, third, later = door(1.0), door(2.0), door(3.0), door(9.0)
    schedule.restart([later, third, second, first])
    assert schedule.pause_s(0.0) == 1.0
    assert list(schedule.take(5.0)) == [first, second]
    assert schedule.pause_s(5.0) is None, "not before one of them ends"
    assert schedule.behind_s(5.0) == 2.0
    schedule.end(first)
    assert list(schedule.take(5.0)) == [third]
    schedule.end(second)
    assert schedule.pause_s(5.0) == 4.0
    assert schedule.behind_s(5.0) == -4.0


def test_a_lane_that_hangs_holds_up_no_other():
    schedule = Schedule(ROOM)
    hung, waiting, free = named(), named(), door()
    schedule.restart([hung, waiting, free])
    assert set(schedule.take(1.0)) == {hung, free}
    assert set(schedule.take(2.0)) == set()
    schedule.end(free)
    schedule.put(free)
    assert set(schedule.take(2.0)) == {free}


def test_those_in_flight_do_not_wait_a_second_time():
    schedule = Schedule(ROOM)
    watch = door()
    schedule.restart([watch])
    assert list(schedule.take(1.0)) == [watch]
    schedule.restart([watch])
    assert list(schedule.take(1.0)) == []
    schedule.end(watch)
    schedule.end(watch)
    schedule.put(watch)
    assert list(schedule.take(1.0)) == [watch]
    schedule.abandon()
    schedule.restart([watch])
    assert list(schedule.take(1.0)) == [watch]
