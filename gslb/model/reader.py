"""`parse_policy`: the files of a policy folder, as octets, to one checked policy with every problem at once.

The order of the passes and how documents merge. No file system here (see `folder`), no rule about values.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gslb.errors import PolicyError, Problem
from gslb.model.checks import check_policy
from gslb.model.dialects import translate
from gslb.model.policy import Policy
from gslb.model.reserved import drop_reserved
from gslb.model.shape import read_shape
from gslb.model.tree import Node, Place, TreePlaces
from gslb.model.yaml_reader import MAX_NODES, read_yaml
from gslb.model.zones import SUFFIX, take_zone_files

__all__ = ["MAX_FILES", "MAX_FILE_BYTES", "MAX_TOTAL_BYTES", "Loaded", "parse_policy", "translated"]

MAX_FILE_BYTES = 4 * 2**20
MAX_TOTAL_BYTES = 16 * 2**20
MAX_FILES = 1000
MAX_PROBLEMS = 200

_UNREAD = frozenset(
    {
        "not-a-mapping", "foreign-document", "foreign-version", "foreign-type", "foreign-missing", "foreign-field",
        "unknown-service", "unknown-gateway", "unknown-group", "unknown-subset",
    }
)  # fmt: skip
"""After these something is missing that the rest may refer to."""
_MERGED = ("sites", "apps", "checks", "services")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A policy that is good. `digest` is of the files' names and octets (16 hex digits): the same files, the same
    digest, wherever the folder stands."""

    policy: Policy
    warnings: tuple[Problem, ...]
    digest: str


def parse_policy(files: Mapping[str, bytes]) -> Loaded:
    """The one policy that `files` (name as the operator wrote it, to content) say together.

    Raises PolicyError with every problem, warnings included; of more than 200, 200, and that there are more.
    """
    problems = list(_limits(files))
    if problems:
        raise PolicyError(problems)
    roots: list[Node] = []
    complete, nodes_left = True, MAX_NODES
    zone_files = {name: data for name, data in files.items() if name.endswith(SUFFIX)}
    for name in sorted(files.keys() - zone_files.keys()):
        documents = read_yaml(name, files[name], nodes_left)
        nodes_left -= sum(root.size for root in documents.roots)
        problems += documents.problems
        complete = complete and documents.complete
        roots += documents.roots
    if not roots and not problems:
        first = min(files, default="policy")
        raise PolicyError([Problem(first, 0, 0, "no-policy", "there is no policy in it", "start with: gslb init")])
    policy = _judge(roots, zone_files, problems, complete=complete)
    if policy is None or any(problem.severity == "error" for problem in problems):
        raise PolicyError(_first(problems))
    return Loaded(policy, tuple(sorted(problems)), _digest(files))


def translated(roots: list[Node], problems: list[Problem]) -> Node | None:
    """All documents as one tree of our own words. Adds to `problems`. None: there is nothing to read."""
    ours = [root for root in roots if "apiVersion" not in root.keys]
    foreign = [root for root in roots if "apiVersion" in root.keys]
    root = _merge(ours, problems)
    if not foreign:
        return root
    found = translate(foreign, root)
    problems += found.problems
    return _with_apps(root or Node(foreign[0].place, {}), found.apps)


def _judge(
    roots: list[Node], zone_files: Mapping[str, bytes], problems: list[Problem], *, complete: bool
) -> Policy | None:
    """Merge, then each pass on what the one before could make sense of. Adds to `problems`. Where a part could not be
    read, what the rest refers to may well be there: that is left for the next run."""
    root = translated(roots, problems)
    if root is None:
        return None
    complete = complete and not any(problem.rule in _UNREAD for problem in problems)
    root, reserved = drop_reserved(root)
    shape = read_shape(root, complete=complete)
    problems += [*reserved, *shape.problems]
    if shape.policy is None:
        return None
    places = TreePlaces(shape.root)
    if complete:
        problems += check_policy(shape.policy, places)
    taken = take_zone_files(shape.policy, places, zone_files)
    problems += taken.problems
    return taken.policy


def _limits(files: Mapping[str, bytes]) -> Iterable[Problem]:
    split = "split it, or remove what is not policy"
    if len(files) > MAX_FILES:
        yield Problem(min(files), 0, 0, "too-large", f"{len(files):,} files; {MAX_FILES:,} is the limit", split)
    for name, data in files.items():
        if len(data) > MAX_FILE_BYTES:
            yield Problem(name, 0, 0, "too-large", f"larger than {MAX_FILE_BYTES >> 20} MiB", split)
    if sum(map(len, files.values())) > MAX_TOTAL_BYTES:
        yield Problem(min(files), 0, 0, "too-large", f"all files: more than {MAX_TOTAL_BYTES >> 20} MiB", split)


def _first(problems: list[Problem]) -> list[Problem]:
    """Errors before warnings where not all can be told."""
    ordered = sorted(set(problems))
    if len(ordered) > MAX_PROBLEMS:
        ordered.sort(key=lambda problem: problem.severity == "warning")
    kept = ordered[:MAX_PROBLEMS]
    if len(kept) == len(ordered):
        return kept
    message = f"more than {MAX_PROBLEMS} problems; {MAX_PROBLEMS} of them follow"
    return [Problem(min(kept).file, 0, 0, "too-many", message, "correct these, then check again"), *kept]


def _digest(files: Mapping[str, bytes]) -> str:
    content = hashlib.sha256()
    for name, data in sorted((name.rpartition("/")[2], data) for name, data in files.items()):
        content.update(f"{name}\0{len(data)}\0".encode("utf-8", "surrogateescape") + data)
    return content.hexdigest()[:16]


def _merge(roots: list[Node], problems: list[Problem]) -> Node | None:
    """One mapping of all documents: `sites`, `apps` and `checks` are put together, any other key may be given once."""
    merged: dict[str, Node] = {}
    keys: dict[str, Place] = {}
    first: Place | None = None
    for root in roots:
        if not isinstance(root.value, dict):
            what = "a list" if isinstance(root.value, list) else "a single value"
            problems.append(
                Problem(*root.place, "not-a-mapping", f"this document is {what}", "write KEY: VALUE, as in zone: ...")
            )
            continue
        first = first or root.place
        _merge_into(merged, keys, root, problems)
    return None if first is None else Node(first, merged, keys)


def _merge_into(merged: dict[str, Node], keys: dict[str, Place], root: Node, problems: list[Problem]) -> None:
    assert isinstance(root.value, dict)
    for key, node in root.value.items():
        old = merged.get(key)
        if old is None:
            # A copy, for other documents are merged into it and an alias may share the original.
            merged[key] = Node(node.place, copy.copy(node.value), dict(node.keys))
            keys[key] = root.keys[key]
        elif key in _MERGED and isinstance(old.value, dict) and isinstance(node.value, dict):
            for name, child in node.value.items():
                if name in old.value:
                    problems.append(_twice(f"{key}.{name}", node.keys[name], old.keys[name]))
                else:
                    old.value[name], old.keys[name] = child, node.keys[name]
        else:
            problems.append(_twice(key, root.keys[key], keys[key]))


def _with_apps(root: Node | None, apps: Mapping[str, Node]) -> Node | None:
    """`root` with more apps, or with others in the place of its own."""
    if root is None or not apps:
        return root
    assert isinstance(root.value, dict)
    old = root.value.get("apps")
    entries = dict(old.value) if old is not None and isinstance(old.value, dict) else {}
    keys = {**(old.keys if old is not None else {}), **{name: app.place for name, app in apps.items()}}
    place = old.place if old is not None else next(iter(apps.values())).place
    whole = {**root.value, "apps": Node(place, {**entries, **apps}, keys)}
    return Node(root.place, whole, {**root.keys, "apps": root.keys.get("apps", place)})


def _twice(what: str, second: Place, first: Place) -> Problem:
    message = f"{what} stands here a second time; the first is at {first}"
    return Problem(*second, "duplicate-key", message, "keep one of the two")
