from __future__ import annotations

import pytest

from gslb.control.http import once
from gslb.control.http.once import BusyKeyError, Once, OtherRequestError

KEY = ("deploy", "k1")


def test_the_same_request_gets_the_first_answer():
    kept = Once()
    assert kept.begin(KEY, b"drain", 0) is None
    kept.done(KEY, b"{}", "1.2-x")
    again = kept.begin(KEY, b"drain", once.LASTING_S - 1)
    assert (again.content, again.tag) == (b"{}", "1.2-x")
    assert kept.begin(("other", "k1"), b"drain", 1) is None, "callers do not see each other's"
    assert kept.begin(KEY, b"drain", once.LASTING_S) is None, "a day is over"


def test_another_request_and_one_under_way_are_refused():
    kept = Once()
    kept.begin(KEY, b"drain", 0)
    with pytest.raises(BusyKeyError):
        kept.begin(KEY, b"drain", 1)
    with pytest.raises(OtherRequestError):
        kept.begin(KEY, b"shift", 1)
    kept.done(KEY, b"{}", "")
    with pytest.raises(OtherRequestError):
        kept.begin(KEY, b"shift", 1)


def test_what_changed_nothing_may_be_tried_again():
    kept = Once()
    kept.begin(KEY, b"drain", 0)
    kept.failed(KEY)
    assert kept.begin(KEY, b"other", 1) is None


def test_there_is_an_end_to_what_is_kept(monkeypatch):
    monkeypatch.setattr(once, "LIMIT", 3)
    kept = Once()
    kept.begin(("busy", "k"), b"x", 0)
    for number in range(5):
        kept.begin(("a", str(number)), b"x", number)
        kept.done(("a", str(number)), b"%d" % number, "")
    assert kept.begin(("a", "4"), b"x", 9).content == b"4"
    assert kept.begin(("a", "0"), b"x", 9) is None, "the oldest was forgotten"
    with pytest.raises(BusyKeyError):
        kept.begin(("busy", "k"), b"x", 9)
