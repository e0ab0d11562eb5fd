"""`load_folder`: a policy folder on disk to one checked policy. Only file access; reading and rules are `reader`'s."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from gslb.errors import PolicyError, Problem
from gslb.model.reader import MAX_FILE_BYTES, MAX_FILES, Loaded, parse_policy
from gslb.model.zones import SUFFIX

__all__ = ["load_folder", "read_folder"]


def load_folder(folder: Path) -> Loaded:
    """Every `*.yaml` directly in `folder`, with the `*.zone` files that they name, as one policy. Hidden files and
    subfolders are not read; `.yml` files are warned of. Raises PolicyError with every problem, files that cannot be
    read among them."""
    warnings = _ignored(folder)
    try:
        loaded = parse_policy(read_folder(folder))
    except PolicyError as error:
        raise PolicyError([*error.problems, *warnings]) from None
    return dataclasses.replace(loaded, warnings=tuple(sorted([*loaded.warnings, *warnings])))


def read_folder(folder: Path) -> dict[str, bytes]:
    """The octets of every policy file, by its name with the folder as it was given. A file over the limit is cut just
    above it, for `parse_policy` to refuse. Raises PolicyError."""
    names = [name for name in _names(folder) if name.endswith((".yaml", SUFFIX))]
    if not any(name.endswith(".yaml") for name in names):
        raise _folder_error(
            folder, "no *.yaml file is in this folder", "start one with: gslb init, or name another folder"
        )
    if len(names) > MAX_FILES:
        raise _folder_error(folder, f"more than {MAX_FILES:,} policy files", "name the policy folder itself")
    files, problems = {}, []
    for name in names:
        path = folder / name
        try:
            files[str(path)] = _read(path)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            remedy = "make it a readable file, or take it out of the folder"
            problems.append(Problem(str(path), 0, 0, "unreadable", f"cannot be read: {reason}", remedy))
    if problems:
        raise PolicyError(problems)
    return files


def _names(folder: Path) -> list[str]:
    try:
        names = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        raise _folder_error(
            folder, "there is no such folder", "name a policy folder, or start one with: gslb init"
        ) from None
    except NotADirectoryError:
        raise _folder_error(folder, "this is a file, not a folder", f"name its folder: {folder.parent}") from None
    except (OSError, ValueError) as error:
        raise _folder_error(folder, f"cannot be read: {error}", "check its name and its permissions") from None
    return sorted(name for name in names if not name.startswith("."))


def _folder_error(folder: Path, message: str, remedy: str) -> PolicyError:
    return PolicyError([Problem(str(folder), 0, 0, "folder", message, remedy)])


def _read(path: Path) -> bytes:
    if path.exists() and not path.is_file():  # a pipe would wait for ever
        raise OSError(0, "not a regular file")
    with path.open("rb") as file:
        return file.read(MAX_FILE_BYTES + 1)


def _ignored(folder: Path) -> list[Problem]:
    try:
        names = _names(folder)
    except PolicyError:
        return []
    return [
        Problem(str(folder / name), 0, 0, "file-ignored", "only *.yaml is read", "rename it to end in .yaml", "warning")
        for name in names
        if name.endswith(".yml")
    ]
