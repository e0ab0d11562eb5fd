"""Foreign documents to apps of ours as they would be written: what `gslb import` prints. No file system here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gslb.errors import Problem
from gslb.model.dialects import translate
from gslb.model.reader import translated
from gslb.model.tree import Node, plain
from gslb.model.yaml_reader import read_yaml

__all__ = ["import_documents"]


def import_documents(file: str, data: bytes, ours: Mapping[str, bytes]) -> tuple[dict[str, Any], list[Problem]]:
    """The apps that the foreign documents of `data` mean beside `ours` (documents of ours, by file), and every problem.
    A list of documents (`kind: List`, as kubectl prints it) is read as what it holds."""
    problems: list[Problem] = []
    mine: list[Node] = []
    for name, octets in ours.items():
        documents = read_yaml(name, octets)
        problems += documents.problems
        mine += (root for root in documents.roots if "apiVersion" not in root.keys)
    found = read_yaml(file, data)
    problems += found.problems
    root = translated(mine, problems)
    made = translate((item for document in found.roots for item in _items(document)), root)
    return {name: plain(app) for name, app in made.apps.items()}, [*problems, *made.problems]


def _items(document: Node) -> list[Node]:
    children = document.value if isinstance(document.value, dict) else {}
    kind, items = children.get("kind"), children.get("items")
    if kind is not None and kind.value == "List" and items is not None and isinstance(items.value, list):
        return items.value
    return [document]
