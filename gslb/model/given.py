"""A policy that came as one value (over the API) instead of a folder: the same rules as for a folder, without lines.

Shapes and values are the models' business; here is what `reader` does after them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from gslb.errors import PolicyError, Problem
from gslb.model.checks import check_policy
from gslb.model.policy import Policy
from gslb.model.tree import Node, Place
from gslb.model.zones import SUFFIX, all_zones, take_zone_files

__all__ = ["check_given"]

_WHOLE_NAMES = "$ORIGIN .\n"


def check_given(policy: Policy) -> Policy:
    """`policy` with the records of its zones in their one form. `records` are the lines of a zone file here, in which
    every name is whole, with or without its last dot.

    Raises PolicyError with every problem; messages begin with the path of what is wrong, such as `apps.shop.hosts`.
    """
    root = _tree(policy.model_dump(mode="json"), "policy")
    files = {f"{name}{SUFFIX}": (_WHOLE_NAMES + records).encode() for name, records in _records(policy)}
    taken = take_zone_files(_naming_files(policy), root, files)
    errors = [p for p in (*check_policy(policy, root), *taken.problems) if p.severity == "error"]
    if errors:
        raise PolicyError(map(_placed, errors))
    return taken.policy


def _records(policy: Policy) -> Iterator[tuple[str, str]]:
    """The records of each zone that has some, by the zone's path."""
    for path, zone in all_zones(policy):
        if zone.records is not None:
            yield ".".join(map(str, path)), zone.records


def _naming_files(policy: Policy) -> Policy:
    """With names of files where `policy` has records, as a folder's YAML says it."""
    names = [(f"{'.'.join(map(str, path))}{SUFFIX}", zone) for path, zone in all_zones(policy)]
    zone, *zones = (zone if zone.records is None else zone.model_copy(update={"records": name}) for name, zone in names)
    return policy.model_copy(update={"zone": zone, "zones": tuple(zones)})


def _tree(value: Any, path: str) -> Node:
    """The tree that the rules look at, with paths for places."""
    place = Place(path)
    if isinstance(value, dict):
        children = {key: _tree(child, f"{path}.{key}") for key, child in value.items()}
        return Node(place, children, {key: child.place for key, child in children.items()})
    if isinstance(value, list):
        return Node(place, [_tree(child, f"{path}.{index}") for index, child in enumerate(value)])
    return Node(place, value)


def _placed(problem: Problem) -> Problem:
    """The API tells messages alone, so that they say where."""
    where = problem.file.removeprefix("policy.").removesuffix(SUFFIX)
    where += f" line {problem.line - 1}" if problem.line else ""
    return dataclasses.replace(problem, file="policy", line=0, column=0, message=f"{where}: {problem.message}")
