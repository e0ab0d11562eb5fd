"""The table of trials and bakes, event by event, and the folder behind it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gslb.control.protocol import Applied
from gslb.errors import HostError
from gslb.roles.keeping.generation_files import RECORD, GenerationFiles
from gslb.roles.keeping.generations import (
    BAKE_S,
    CRASHES,
    GOOD_KEPT,
    Generation,
    Record,
    looked,
    lost,
    pruned,
    refuses,
    serving,
    started,
    stopped,
    took,
)


def applied(number, digest=None):
    return Applied(revision=number, overrides=0, digest=digest or f"{number:04x}")


def new(number):
    return Generation(file=f"{number}", applied=applied(number))


def taken(*numbers, every_s=BAKE_S):
    """A process that took these, one after the other, and at last lived through a bake."""
    record, now_s = started(Record()), 0.0
    for number in numbers:
        record = looked(took(looked(record, now_s), new(number), now_s), now_s)
        now_s += every_s
    return record, now_s


def files(record):
    return [item.file + ("" if item.good else "?") for item in record.generations]


def start(record):
    """The newest can be served."""
    record = started(record)
    return serving(record, record.generations[0].file, 0.0)


def crashed(record, times):
    for _ in range(times):
        record = start(record)
    return record


def test_an_offer_is_good_after_a_bake_and_three_good_ones_are_kept_beside_the_one_on_trial():
    record, now_s = taken(1, 2, 3, 4, 5)
    assert files(record) == ["5?", "4", "3", "2"]
    assert files(looked(record, now_s - 0.1)) == ["5?", "4", "3", "2"]
    record = looked(record, now_s)
    assert (files(record), record.good, record.baking) == (["5", "4", "3"], GOOD_KEPT, None)
    assert looked(record, now_s + 99) is record


def test_changes_faster_than_a_bake_still_become_good_in_the_end():
    record, _ = taken(*range(1, 8), every_s=10)
    assert files(record) == ["7?", "6?", "3", "1"], "what was newest when a bake ended is baked next"
    assert record.baking == "6"
    record = took(record, new(8), 61.0)
    assert files(record) == ["8?", "7?", "6?", "3", "1"]
    assert files(pruned(record)) == ["8?", "6?", "3", "1"]


def test_what_is_served_stays_until_the_role_has_taken_the_next():
    record, _ = taken(1)
    record = took(took(record, new(2), 1.0), new(3), 2.0)
    assert files(record) == ["3?", "2?", "1?"]
    assert files(took(record, new(4), 3.0)) == ["4?", "3?", "1?"]


def test_what_was_never_good_goes_when_something_newer_is():
    record, _ = taken(1, 2, every_s=10)
    record = took(start(record), new(3), 5.0)
    assert files(record) == ["3?", "2?"], "the bake of 2 began anew with the process"
    assert files(looked(record, BAKE_S)) == ["3?", "2"]
    assert files(looked(looked(record, BAKE_S), 2 * BAKE_S)) == ["3", "2"]
    assert files(looked(start(record), BAKE_S)) == ["3"], "after a restart only the newest is served"


def test_the_third_crash_steps_back_one_generation():
    record, _ = taken(1, 2, 3)
    for crashes in range(1, CRASHES):
        record = start(record)
        assert (files(record), record.crashes, record.stepped_back_from) == (["3?", "2", "1"], crashes, None)
    record = start(record)
    assert (files(record), record.stepped_back_from) == (["2", "1"], applied(3))
    assert files(crashed(record, 10)) == ["2", "1"], "a good one is not given up: something else is wrong"


def test_a_start_after_a_stop_is_no_crash():
    record, _ = taken(1, 2)
    for _ in range(10):
        record = stopped(start(record))
    assert files(start(record)) == ["2?", "1"]


def test_crashes_before_a_stop_and_after_it_count_together_until_something_is_good():
    record, _ = taken(1, 2)
    record = start(stopped(crashed(record, CRASHES - 1)))
    assert files(record) == ["2?", "1"]
    assert files(start(record)) == ["1"]
    survived = looked(record, BAKE_S)
    assert files(crashed(survived, 10)) == ["2", "1"]


def test_the_only_generation_is_never_given_up():
    record, _ = taken(1)
    assert files(crashed(record, 10)) == ["1?"]


def test_two_bad_ones_in_a_row_are_both_stepped_back_from():
    record, _ = taken(1)
    record = took(took(looked(record, BAKE_S), new(2), BAKE_S), new(3), BAKE_S)
    assert files(record) == ["3?", "2?", "1"]
    record = crashed(record, CRASHES)
    assert (files(record), record.stepped_back_from) == (["2?", "1"], applied(3))
    record = crashed(record, CRASHES)
    assert (files(record), record.stepped_back_from) == (["1"], applied(3))


def test_what_was_stepped_back_from_is_refused_until_something_newer_comes():
    record, _ = taken(1, 2, 3)
    record = crashed(record, CRASHES)
    assert refuses(record, applied(3)) == "stepped-back"
    assert refuses(record, applied(2)) == "older", "it serves 2 by its own decision, not because it was told to"
    assert refuses(record, applied(3, "another")) is None
    assert refuses(record, applied(4)) is None
    record = took(record, new(4), 0.0)
    assert (record.stepped_back_from, refuses(record, applied(3))) == (None, "older")


def test_no_older_version_is_taken_even_where_the_newest_was_lost():
    record, _ = taken(1, 2)
    record = lost(lost(record, "2"), "1")
    assert (files(record), refuses(record, applied(1)), refuses(record, applied(2))) == ([], "older", None)
    assert files(started(record)) == []


def test_only_what_is_served_is_baked():
    """The newest may be refused by the role at a start: the one before is served, and nobody vouches for the newest."""
    record, _ = taken(1, 2)
    record = serving(started(record), "1", 0.0)
    assert files(looked(record, 2 * BAKE_S)) == ["2?", "1"]
    record = took(took(Record(), new(1), 0.0), new(2), 0.0)
    record = serving(started(record), "1", 0.0)
    assert files(looked(record, BAKE_S)) == ["2?", "1"]


def test_a_process_that_serves_nothing_bakes_nothing():
    record, _ = taken(1, 2)
    assert files(looked(started(record), 2 * BAKE_S)) == ["2?", "1"]


def test_the_same_offer_again_begins_no_second_generation():
    record = took(took(Record(), new(1), 0.0), new(1), 7.0)
    assert (files(record), record.since_mono_s) == (["1?"], 7.0)


# The folder --------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    return GenerationFiles(tmp_path)


def keep(folder, record, number, content=b"{}"):
    record = took(record, folder.add(content, applied(number), 7.0), 0.0)
    folder.save(record)
    return looked(record, BAKE_S)


def durable(record):
    """Without what belongs to one process."""
    return Record.model_validate_json(record.model_dump_json())


def test_what_was_saved_is_loaded_and_only_that_is_on_disk(folder, tmp_path):
    record = folder.load()
    assert record == Record()
    for number in range(1, 9):
        record = keep(folder, record, number, f"{number}".encode())
    folder.save(record)
    assert folder.load() == durable(record)
    assert [folder.read(item) for item in record.generations] == [b"8", b"7", b"6"]
    assert {path.name for path in (tmp_path / "generations").iterdir()} == {
        RECORD, *(item.file for item in record.generations),
    }  # fmt: skip


@pytest.mark.parametrize("damage", [b"", b"{", b'{"generations": [{"file": 1}]}', b" " * 70_000, None])
def test_a_damaged_record_is_made_again_from_the_files(folder, tmp_path, damage):
    record = folder.load()
    for number in (1, 2, 3):
        record = keep(folder, record, number)
    path = tmp_path / "generations" / RECORD
    path.unlink() if damage is None else path.write_bytes(damage)
    found = folder.load()
    assert [item.applied for item in found.generations] == [applied(3), applied(2), applied(1)]
    assert [item.good for item in found.generations] == [False, True, True]
    assert found.highest == (3, 0)
    folder.save(found)
    assert folder.load() == found


@pytest.mark.parametrize("damage", [b"", b"{]", None])
def test_a_damaged_offer_is_noticed(folder, tmp_path, damage):
    record = keep(folder, folder.load(), 1)
    (item,) = record.generations
    path = tmp_path / "generations" / item.file
    path.unlink() if damage is None else path.write_bytes(damage)
    assert folder.read(item) is None


def test_a_file_that_is_too_large_is_not_read(folder, tmp_path, monkeypatch):
    record = keep(folder, folder.load(), 1, b"12345")
    monkeypatch.setattr("gslb.roles.keeping.generation_files.MAX_OFFER_BYTES", 4)
    assert folder.read(record.generations[0]) is None


def test_left_overs_of_a_power_cut_go(folder, tmp_path):
    record = keep(folder, folder.load(), 1)
    left = tmp_path / "generations" / ".2.0.ab.0123456789abcdef.json.new"
    left.write_bytes(b"half")
    folder.save(record)
    assert not left.exists()


@pytest.mark.parametrize("step", ["add", "save"])
def test_a_disk_that_takes_nothing_is_a_host_error(tmp_path, step):
    (tmp_path / "file").touch()
    folder = GenerationFiles(tmp_path / "file")
    with pytest.raises(HostError, match="cannot be written"):
        folder.add(b"", applied(1), 0.0) if step == "add" else folder.save(Record())


def test_the_folder_is_synced_after_the_record_was_put_in_place(folder, monkeypatch):
    order, fsync, replace = [], os.fsync, Path.replace
    monkeypatch.setattr(
        os, "fsync", lambda handle: order.append(os.path.isdir(f"/proc/self/fd/{handle}")) or fsync(handle)
    )
    monkeypatch.setattr(Path, "replace", lambda self, target: order.append(target.name) or replace(self, target))
    keep(folder, Record(), 1)
    assert order == [False, order[1], False, RECORD, True]
