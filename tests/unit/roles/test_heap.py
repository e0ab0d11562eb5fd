"""Setting aside what stays."""

import gc
import weakref

import pytest

from gslb.roles.heap import YOUNG, LongLived, collect_seldom


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
    held.look(None)
    assert gc.get_freeze_count() == 0
    held.look(1)
    aside = gc.get_freeze_count()
    assert aside > 1000
    held.look(1)
    assert gc.get_freeze_count() == aside


def test_a_cycle_that_was_set_aside_is_found_with_the_next_revision():
    held, cycle = LongLived(), Cycle()
    gone = weakref.ref(cycle)
    held.look(1)
    del cycle
    gc.collect()
    assert gone() is not None
    held.look(2)
    assert gone() is None


def test_a_role_looks_through_new_objects_seldom():
    collect_seldom()
    assert gc.get_threshold()[0] == YOUNG
