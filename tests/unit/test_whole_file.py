"""Files written whole: content, mode, a disk that does not take them, and several who write one at once."""

from __future__ import annotations

import errno
import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from gslb.errors import HostError
from gslb.whole_file import sync_folder, write_whole


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_is_written_stands_there_alone_and_with_its_mode(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"before")
    write_whole(path, b"after", 0o600)
    assert (path.read_bytes(), names(tmp_path)) == (b"after", ["x"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_who_reads_while_it_is_replaced_has_the_old_one_whole(tmp_path):
    path = tmp_path / "x"
    write_whole(path, b"before")
    with path.open("rb") as file:
        write_whole(path, b"and after")
        assert file.read() == b"before"


def test_a_disk_that_is_full_leaves_what_was_and_nothing_aside(tmp_path, monkeypatch):
    path = tmp_path / "x"
    write_whole(path, b"before")

    def full(_handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(HostError, match="x cannot be written: No space left") as caught:
        write_whole(path, b"after")
    assert "free space" in caught.value.remedy
    assert (path.read_bytes(), names(tmp_path)) == (b"before", ["x"])
    with pytest.raises(HostError, match="No space left"):
        sync_folder(tmp_path)


def test_where_there_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "x", tmp_path / "missing" / "x"):
        with pytest.raises(HostError, match="x cannot be written"):
            write_whole(path, b"")
    with pytest.raises(HostError, match="missing cannot be written"):
        sync_folder(tmp_path / "missing")


def test_whoever_writes_at_once_one_of_them_stands_there_whole(tmp_path):
    contents = [bytes([number]) * 100_000 for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda octets: write_whole(tmp_path / "x", octets), contents))
    assert (tmp_path / "x").read_bytes() in contents
    assert names(tmp_path) == ["x"]
