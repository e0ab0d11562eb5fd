"""How two policies differ as they are written: paths with the value before and after, not lines of text.

Lists whose items have names are compared by name, the others by place. The order of what has names is content too.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from gslb.model.policy import Policy
from gslb.plan.types import PathChange

__all__ = ["policy_changes"]

_CUT = 200
_WHOLE_LIST = 12


def policy_changes(before: Policy, after: Policy) -> Iterator[PathChange]:
    """Every difference; none where the two say the same, in the same order. Apps that are the same object in both are
    not looked at."""
    same = {name for name, app in after.apps.items() if before.apps.get(name) is app}
    yield from _differences("", _plain(before, same), _plain(after, same))


def _plain(policy: Policy, left_out: Collection[str]) -> dict[str, Any]:
    """As JSON has it, with nothing but the names of these apps."""
    apps = {name: None if name in left_out else app.model_dump(mode="json") for name, app in policy.apps.items()}
    others = policy.model_dump(mode="json", exclude={"apps"})
    return {name: apps if name == "apps" else others[name] for name in Policy.model_fields}


def _differences(path: str, old: Any, new: Any) -> Iterator[PathChange]:
    if old == new and not isinstance(old, dict | list):
        return
    old_keys, new_keys = _keyed(old, new), _keyed(new, old)
    if old_keys is not None and new_keys is not None:
        yield from _of_mappings(path, old_keys, new_keys)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _of_lists(path, old, new)
    elif path.endswith(".records"):
        yield _records(path, old, new)
    else:
        yield PathChange(path=path, before=_text(old), after=_text(new))


def _keyed(value: Any, other: Any) -> Mapping[str, Any] | None:
    """A mapping as it is, a list of things with names by their names, nothing at all like `other`; None for anything
    else."""
    if isinstance(value, dict):
        return value
    if not isinstance(value, list) or not isinstance(other, list):
        return None
    named = all(isinstance(item, dict) and "name" in item for item in (*value, *other))
    return {item["name"]: item for item in value} if named else None


def _of_mappings(path: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[PathChange]:
    for key, value in new.items():
        below = f"{path}.{key}" if path else key
        if key in old:
            yield from _differences(below, old[key], value)
        else:
            yield PathChange(path=below, before=None, after=_text(value))
    for key, value in old.items():
        if key not in new:
            yield PathChange(path=f"{path}.{key}" if path else key, before=_text(value), after=None)
    yield from _order(path, [key for key in old if key in new], [key for key in new if key in old])


def _of_lists(path: str, old: Sequence[Any], new: Sequence[Any]) -> Iterator[PathChange]:
    """Short lists of plain values whole, long ones by what comes and goes; others place by place."""
    if any(isinstance(item, dict | list) for item in (*old, *new)):
        for index in range(max(len(old), len(new))):
            pair = [some[index] if index < len(some) else None for some in (old, new)]
            yield from _differences(f"{path}.{index}", *pair)
        return
    if old == new:
        return
    if max(len(old), len(new)) <= _WHOLE_LIST:
        yield PathChange(path=path, before=_text(old), after=_text(new))
        return
    gone, come = set(old) - set(new), set(new) - set(old)
    yield from (PathChange(path=path, before=None, after=_text(item)) for item in new if item in come)
    yield from (PathChange(path=path, before=_text(item), after=None) for item in old if item in gone)
    yield from _order(path, [item for item in old if item not in gone], [item for item in new if item not in come])


def _order(path: str, old: Sequence[str], new: Sequence[str]) -> Iterator[PathChange]:
    """The order of what is on both sides."""
    if old != new:
        yield PathChange(path=f"{path} (order)", before=_text(old), after=_text(new))


def _records(path: str, old: str | None, new: str | None) -> PathChange:
    was, now = (frozenset((text or "").splitlines()) for text in (old, new))
    came, went = len(now - was), len(was - now)
    return PathChange(
        path=path,
        before=_records_in(was) if old is not None else None,
        after=f"{_records_in(now)}: {came:,} added, {went:,} removed" if new is not None else None,
    )


def _records_in(lines: Collection[str]) -> str:
    return "1 record" if len(lines) == 1 else f"{len(lines):,} records"


def _lean(value: Any) -> Any:
    """Without what a policy says by leaving it out; whole numbers as people write them."""
    if isinstance(value, dict):
        return {key: _lean(item) for key, item in value.items() if item is not None and item not in ({}, [])}
    if isinstance(value, list):
        return [_lean(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _text(value: Any) -> str | None:
    """Compact JSON: without control characters, whatever a policy holds."""
    if value is None:
        return None
    text = json.dumps(_lean(value))
    return text if len(text) <= _CUT else f"{text[:_CUT]} ..."
