"""A policy folder on disk."""

import os
from pathlib import Path

import pytest

from gslb.errors import PolicyError
from gslb.model.folder import load_folder, read_folder
from gslb.model.reader import MAX_FILE_BYTES, MAX_FILES
from tests.unit.model.good_policy import GOOD

RECIPES = Path(__file__).parents[3] / "policies"


def refused(folder: Path) -> list[tuple[str, str]]:
    with pytest.raises(PolicyError) as caught:
        load_folder(folder)
    return [(os.path.relpath(p.file, folder), p.rule) for p in caught.value.problems]


def test_only_yaml_files_directly_in_the_folder_are_read(tmp_path: Path):
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / ".hidden.yaml").write_text("nonsense: [")
    (tmp_path / "notes.txt").write_text("nonsense: [")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "b.yaml").write_text("nonsense: [")
    assert list(read_folder(tmp_path)) == [str(tmp_path / "a.yaml")]
    assert load_folder(tmp_path).warnings == ()


def test_names_are_as_the_operator_gave_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "a.yaml").write_text("x: 1")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PolicyError) as caught:
        load_folder(Path("policies"))
    assert {p.file for p in caught.value.problems} == {"policies/a.yaml"}


def test_yml_files_are_warned_of_in_good_policies_and_bad_ones(tmp_path: Path):
    (tmp_path / "b.yml").write_text(GOOD)
    assert refused(tmp_path) == [(".", "folder"), ("b.yml", "file-ignored")]
    (tmp_path / "a.yaml").write_text(GOOD)
    assert [(p.rule, p.severity) for p in load_folder(tmp_path).warnings] == [("file-ignored", "warning")]


def test_folders_that_are_none(tmp_path: Path):
    (tmp_path / "file").write_text("")
    assert refused(tmp_path / "missing") == [(".", "folder")]
    assert refused(tmp_path / "file") == [(".", "folder")]
    assert refused(tmp_path) == [(".", "folder")]
    assert refused(Path("nul\0")) == [(".", "folder")]


def test_every_file_that_cannot_be_read_is_named(tmp_path: Path):
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "dangling.yaml").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder.yaml").mkdir()
    os.mkfifo(tmp_path / "pipe.yaml")
    assert refused(tmp_path) == [(f"{name}.yaml", "unreadable") for name in ("dangling", "folder", "pipe")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_files_without_permission(tmp_path: Path):
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "a.yaml").chmod(0)
    assert refused(tmp_path) == [("a.yaml", "unreadable")]


def test_limits_hold_before_everything_is_in_memory(tmp_path: Path):
    with (tmp_path / "big.yaml").open("wb") as file:
        file.truncate(1 << 33)
    assert len(read_folder(tmp_path)[str(tmp_path / "big.yaml")]) == MAX_FILE_BYTES + 1
    for n in range(MAX_FILES):
        (tmp_path / f"{n}.yaml").touch()
    assert refused(tmp_path) == [(".", "folder")]


def test_a_link_to_a_file_is_a_file(tmp_path: Path):
    (tmp_path / "real").write_text(GOOD)
    (tmp_path / "a.yaml").symlink_to("real")
    assert load_folder(tmp_path).policy.environment == "test"


@pytest.mark.parametrize("folder", sorted(p for p in RECIPES.iterdir() if p.is_dir()), ids=lambda p: p.name)
def test_recipes_are_good_without_warnings(folder: Path):
    assert load_folder(folder).warnings == ()
    for path in folder.glob("*.yaml"):
        assert path.read_text().startswith("# "), "a recipe opens by saying what it is for"
