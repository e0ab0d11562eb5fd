"""YAML text to trees with positions: the core schema of YAML 1.2, with limits, every problem collected.

It reads libyaml's events rather than its nodes: so depth and size are limited while reading, and an alias is counted
before it is written out. What a policy may say is not decided here.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from gslb.errors import Problem
from gslb.model.tree import Node, Place, Value

__all__ = ["MAX_DEPTH", "MAX_NODES", "Documents", "read_yaml"]

MAX_NODES = 200_000
MAX_DEPTH = 40
_MAX_DIGITS = 40  # a longer number is no setting of anything, and int() refuses thousands of digits

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"([-+]?)\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_Event = yaml.events.Event

_WORDS = (
    ("mapping values are not allowed", "a second `:` on one line, or a line that is indented too far",
     "put the value in quotes, or align this key with the others of its mapping"),
    ("could not find expected ':'", "a key without its `:`", "write KEY: VALUE"),
    ("expected ',' or ']'", "a list that is not closed", "put a comma between its items and a ] at its end"),
    ("expected ',' or '}'", "a mapping that is not closed", "put a comma between its keys and a } at its end"),
    ("unexpected end of stream", "a quote that is not closed", "write the closing quote"),
    ("unknown escape character", "an escape that YAML does not know",
     "write the text in single quotes: they leave backslashes alone"),
    ("expected '-' indicator", "a key among the items of a list", "indent it, or start the line with `- `"),
    ("did not find expected key", "a line that does not belong to the mapping above it",
     "align it with the keys of its mapping, and check the brackets and quotes before it"),
    ("cannot start any token", "a character that cannot start a value", "put the value in quotes"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Documents:
    """What a file held. `complete` is False where reading stopped at a problem, so that more may follow unread."""

    roots: tuple[Node, ...]
    problems: tuple[Problem, ...]
    complete: bool = True


class _StopReadingError(Exception):
    """The rest of the file cannot be read; `problem` says why."""

    def __init__(self, place: Place, rule: str, message: str, remedy: str) -> None:
        self.problem = Problem(*place, rule, message, remedy)
        super().__init__(message)


def read_yaml(file: str, data: bytes, limit_nodes: int = MAX_NODES) -> Documents:
    """Every document of `data`. `file` is the name that positions carry; a document without content is left out."""
    try:
        text = _decode(file, data)
    except _StopReadingError as stop:
        return Documents((), (stop.problem,), complete=False)
    reader = _Reader(file, limit_nodes)
    try:
        reader.read(text)
    except _StopReadingError as stop:
        return Documents(tuple(reader.roots), (*reader.problems, stop.problem), complete=False)
    return Documents(tuple(reader.roots), tuple(reader.problems))


def _decode(file: str, data: bytes) -> str:
    body = data.removeprefix(codecs.BOM_UTF8)
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        before = body[: error.start].decode()
        raise _StopReadingError(
            _end_of(file, before),
            "encoding",
            f"octet {len(data) - len(body) + error.start} (0x{body[error.start]:02x}) is not UTF-8",
            "save the file as UTF-8",
        ) from None
    bad = _UNPRINTABLE.search(text)
    if bad:
        raise _StopReadingError(
            _end_of(file, text[: bad.start()]),
            "encoding",
            f"the control character U+{ord(bad.group()):04X}",
            "delete it, or write the file anew",
        )
    return text


def _end_of(file: str, before: str) -> Place:
    """The place that follows the text `before`."""
    return Place(file, before.count("\n") + 1, len(before) - before.rfind("\n"))


@dataclass(slots=True)
class _Open:
    """A list or mapping that is being read. `key` is a mapping's key whose value comes next; None as its name: the
    key was refused, and its value is read over."""

    place: Place
    anchor: str | None
    items: list[Node] | None = None
    entries: dict[str, Node] = field(default_factory=dict)
    keys: dict[str, Place] = field(default_factory=dict)
    key: tuple[str | None, Place] | None = None
    size: int = 1
    height: int = 0


class _Reader:
    def __init__(self, file: str, limit_nodes: int) -> None:
        self.roots: list[Node] = []
        self.problems: list[Problem] = []
        self._file = file
        self._limit_nodes = limit_nodes
        self._nodes = 0
        self._open: list[_Open] = []
        self._anchors: dict[str, Node] = {}

    def read(self, text: str) -> None:
        for event in self._events(text):
            place = self._place(event.start_mark)
            match event:
                case yaml.ScalarEvent():
                    self._scalar(event, place)
                case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                    self._start(event, place)
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    self._end()
                case yaml.AliasEvent():
                    self._alias(str(event.anchor), place)
                case yaml.DocumentStartEvent():
                    self._anchors.clear()

    def _events(self, text: str) -> Iterator[_Event]:
        loader = yaml.CSafeLoader(text)
        try:
            while (event := loader.get_event()) is not None:
                yield event
        except yaml.MarkedYAMLError as error:
            raise self._syntax(error, text) from None
        finally:
            loader.dispose()

    def _place(self, mark: Any) -> Place:
        return Place(self._file, mark.line + 1, mark.column + 1) if mark else Place(self._file)

    def _syntax(self, error: yaml.MarkedYAMLError, text: str) -> _StopReadingError:
        mark = error.problem_mark
        problem = str(error.problem)
        place = self._place(mark)
        if "tab character" in problem or (mark and text[mark.index : mark.index + 1] == "\t"):
            return _StopReadingError(place, "yaml", "a tab where only spaces can indent", "use spaces instead of tabs")
        for sign, message, remedy in _WORDS:
            if sign in problem:
                opened = (
                    f", opened in line {error.context_mark.line + 1}"
                    if error.context_mark and "closed" in message
                    else ""
                )
                return _StopReadingError(place, "yaml", f"not YAML: {message}{opened}", remedy)
        return _StopReadingError(place, "yaml", f"not YAML: {problem}", "correct the text here")

    def _problem(self, place: Place, rule: str, message: str, remedy: str) -> None:
        self.problems.append(Problem(*place, rule, message, remedy))

    def _tag(self, tag: str | None, place: Place) -> None:
        if tag is not None:
            name = tag.replace("tag:yaml.org,2002:", "!!")
            self._problem(
                place, "yaml-tag", f"the tag {name} is not used here", "delete it; quote a value to make it text"
            )

    def _scalar(self, event: yaml.ScalarEvent, place: Place) -> None:
        self._tag(event.tag, place)
        written_plain = event.implicit[0]
        value = _resolve(event.value) if written_plain else event.value
        top = self._open[-1] if self._open else None
        if top is not None and top.items is None and top.key is None:
            self._key(top, value, event.value == "<<" and written_plain, place)
            return
        self._add(Node(place, value), event.anchor)

    def _key(self, top: _Open, value: Value, is_merge: bool, place: Place) -> None:
        name: str | None = None
        if is_merge:
            self._problem(place, "merge-key", "merge keys (<<) are not read", "write the keys out in each place")
        elif not isinstance(value, str):
            shown = _shown(value)
            self._problem(place, "key-type", f"the key {shown} is not text", f'put it in quotes: "{shown}"')
        elif value in top.keys:
            self._problem(
                place,
                "duplicate-key",
                f"{value} stands here a second time; the first is at {top.keys[value]}",
                "keep one of the two",
            )
        else:
            name = value
            top.keys[name] = place
        top.key = (name, place)

    def _start(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent, place: Place) -> None:
        self._tag(event.tag, place)
        self._refuse_as_key(place)
        self._limit_depth(len(self._open) + 1, place)
        items: list[Node] | None = [] if isinstance(event, yaml.SequenceStartEvent) else None
        self._open.append(_Open(place, event.anchor, items))

    def _refuse_as_key(self, place: Place) -> None:
        top = self._open[-1] if self._open else None
        if top is not None and top.items is None and top.key is None:
            raise _StopReadingError(
                place,
                "key-type",
                "a list, a mapping or an alias cannot be a key",
                "write KEY: VALUE with a word as key",
            )

    def _limit_depth(self, depth: int, place: Place) -> None:
        if depth > MAX_DEPTH:
            raise _StopReadingError(
                place, "yaml-depth", f"nested more than {MAX_DEPTH} levels deep", "close the brackets before this one"
            )

    def _end(self) -> None:
        done = self._open.pop()
        value: Value = done.entries if done.items is None else done.items
        self._add(Node(done.place, value, done.keys, done.size, done.height), done.anchor)

    def _alias(self, anchor: str, place: Place) -> None:
        self._refuse_as_key(place)
        node = self._anchors.get(anchor)
        if node is None:
            raise _StopReadingError(
                place, "yaml-alias", f"*{anchor} has no &{anchor} that ends before it", f"write &{anchor} before it"
            )
        self._limit_depth(len(self._open) + node.height, place)
        self._count(node.size - 1, place)
        self._add(node, None, place)

    def _count(self, nodes: int, place: Place) -> None:
        self._nodes += nodes
        if self._nodes > self._limit_nodes:
            raise _StopReadingError(
                place,
                "too-large",
                f"more than {MAX_NODES:,} values, with every alias written out",
                "split the policy into several installations, or write fewer aliases",
            )

    def _add(self, node: Node, anchor: str | None, place: Place | None = None) -> None:
        """Put a finished node where it belongs. `place` is an alias's own, for counting only."""
        self._count(1, place or node.place)
        if anchor is not None:
            self._anchors[anchor] = node
        if not self._open:
            if node.value is not None:
                self.roots.append(node)
            return
        top = self._open[-1]
        top.size += node.size
        top.height = max(top.height, node.height + 1)
        if top.items is not None:
            top.items.append(node)
            return
        if top.key is not None and top.key[0] is not None:
            top.entries[top.key[0]] = node
        top.key = None


def _shown(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)


def _resolve(text: str) -> Value:  # noqa: PLR0911 - one return a row of the schema
    """YAML 1.2 core schema (section 10.3.2): NO, yes and on are text, and so are 12:30 and 2024-01-01."""
    if text in _NULLS:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    if len(text) > _MAX_DIGITS:
        return text
    if _INT.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    special = _SPECIAL.fullmatch(text)
    if special:
        return float("nan") if special.group(1) is None else float(special.group(1) + "inf")
    return text
