"""Setting aside what stays."""

import gc
import weakref

import pytest

from gslb.roles.heap import WHOLE_S, YOUNG, LongLived, collect_seldom


@pytest.fixture(autouse=True)
def as_before():
    threshold = gc.get_threshold()
    gc.unfreeze()  # what other tests of this process have set aside
    yield
    gc.set_threshold(*threshold)
    gc.unfreeze()


class Cycle:
    def __init__(self):
        self.own = self


def test_what_stays_is_set_aside_once_for_each_revision():
    held = LongLived()
    held.look(None, 0.0)
    assert gc.get_freeze_count() == 0
    held.look(1, 1.0)
    aside = gc.get_freeze_count()
    assert aside > 1000
    held.look(1, 2.0)
    assert gc.get_freeze_count() == aside


def test_a_cycle_that_was_set_aside_is_found_with_a_revision_after_an_hour():
    held, cycle = LongLived(), Cycle()
    gone = weakref.ref(cycle)
    held.look(1, 0.0)
    del cycle
    gc.collect()
    held.look(2, WHOLE_S - 1)
    assert gone() is not None
    held.look(3, WHOLE_S)
    assert gone() is None


def test_what_came_with_a_revision_is_set_aside_with_it():
    held = LongLived()
    held.look(1, 0.0)
    aside, new = gc.get_freeze_count(), [[] for _ in range(1000)]
    held.look(2, 1.0)
    assert gc.get_freeze_count() >= aside + len(new) / 2


def test_a_role_looks_through_new_objects_seldom():
    collect_seldom()
    assert gc.get_threshold()[0] == YOUNG
