from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from gslb.roles.publishing.watch import changes, fingerprint

LONG_S = 5.0


@asynccontextmanager
async def watching(folder, told=None):
    seen: asyncio.Queue = asyncio.Queue()

    async def follow() -> None:
        async for _ in changes(folder, fingerprint(folder) if told is None else told):
            seen.put_nowait(sorted(item.name for item in folder.iterdir()))

    async with asyncio.TaskGroup() as group:
        task = group.create_task(follow())
        await asyncio.sleep(0.05)
        yield seen
        task.cancel()


async def one(seen):
    return await asyncio.wait_for(seen.get(), LONG_S)


async def quiet(seen) -> bool:
    await asyncio.sleep(0.6)
    return seen.empty()


async def test_an_edit_is_told_once(tmp_path):
    (tmp_path / "a.yaml").write_text("1")
    async with watching(tmp_path) as seen:
        assert await quiet(seen)
        (tmp_path / "a.yaml").write_text("22")
        await one(seen)
        assert await quiet(seen)


async def test_an_edit_from_before_it_was_watched_is_told(tmp_path):
    (tmp_path / "a.yaml").write_text("1")
    read = fingerprint(tmp_path)
    (tmp_path / "a.yaml").write_text("22")
    async with watching(tmp_path, read) as seen:
        await one(seen)
        assert await quiet(seen)


async def test_several_writes_in_a_row_are_one_change(tmp_path):
    async with watching(tmp_path) as seen:
        for number in range(8):
            (tmp_path / f"{number}.yaml").write_text("1")
            await asyncio.sleep(0.05)
        assert len(await one(seen)) == 8
        assert await quiet(seen)


@pytest.mark.parametrize("name", [".a.yaml.swp", ".hidden.yaml", "notes.txt", "a.yaml~"])
async def test_what_is_no_policy_is_no_change(tmp_path, name):
    async with watching(tmp_path) as seen:
        (tmp_path / name).write_text("1")
        assert await quiet(seen)


async def test_a_linked_folder_that_is_swapped_is_a_change(tmp_path):
    """How a mounted ConfigMap changes: the files are links through one link, which is renamed over."""
    for version in ("1", "2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "a.yaml").write_text(version)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "..data").symlink_to(tmp_path / "1")
    (folder / "a.yaml").symlink_to("..data/a.yaml")
    async with watching(folder) as seen:
        (folder / "..new").symlink_to(tmp_path / "2")
        (folder / "..new").rename(folder / "..data")
        await one(seen)


async def test_a_folder_that_goes_away_and_comes_back_is_followed(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.yaml").write_text("1")
    async with watching(folder) as seen:
        folder.rename(tmp_path / "aside")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(seen.get(), 0.1)
        (tmp_path / "aside").rename(folder)
        (folder / "a.yaml").write_text("changed")
        await one(seen)
