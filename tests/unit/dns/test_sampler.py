"""One in how many is taken, and what happens when nobody takes them away."""

import pytest

from gslb.dns.sampler import _QUEUE_LIMIT, Sampler


@pytest.mark.parametrize("every", [1, 2, 7])
def test_one_in_so_many_is_due(every):
    sampler = Sampler(every)
    due = [place for place in range(1, 10 * every + 1) if sampler.is_due()]
    assert due == [every * number for number in range(1, 11)]


def test_samples_come_out_once_and_in_order():
    sampler = Sampler(1)
    for sample in "abc":
        sampler.put(sample)
    assert sampler.drain() == ["a", "b", "c"]
    assert sampler.drain() == []
    assert (sampler.taken, sampler.dropped) == (3, 0)


def test_a_full_queue_drops_the_newest_and_counts_it():
    sampler = Sampler(1)
    for number in range(_QUEUE_LIMIT + 5):
        sampler.put(number)
    assert (sampler.taken, sampler.dropped) == (_QUEUE_LIMIT, 5)
    assert sampler.drain() == list(range(_QUEUE_LIMIT))
    sampler.put("again")
    assert sampler.drain() == ["again"]
