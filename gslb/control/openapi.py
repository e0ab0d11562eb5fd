"""The description of the HTTP API, made from its table, so that the two cannot disagree. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Protocol

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from gslb import __version__
from gslb.control.messages import ProblemAnswer

__all__ = ["describe"]


class _HasMedia(Protocol):
    @property
    def content_type(self) -> str: ...


class Described(Protocol):
    """What a line of the table tells about itself."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def summary(self) -> str: ...
    @property
    def answer(self) -> type[BaseModel] | _HasMedia: ...
    @property
    def query(self) -> type[BaseModel] | None: ...
    @property
    def body(self) -> type[BaseModel] | None: ...


def describe(table: Sequence[Described]) -> dict[str, Any]:
    """An OpenAPI 3.1 document."""
    paths: dict[str, Any] = {}
    for line in table:
        paths.setdefault(line.path, {})[line.method.lower()] = _operation(line)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "gslb",
            "version": __version__,
            "description": "Reading works over TCP and over the unix socket; writing over the unix socket alone.",
        },
        "paths": paths,
        "components": {"schemas": _schemas(table)},
    }


def _schemas(table: Sequence[Described]) -> dict[str, Any]:
    models: dict[type[BaseModel], JsonSchemaMode] = {ProblemAnswer: "serialization"}
    for line in table:
        if line.body is not None:
            models[line.body] = "validation"
        if isinstance(line.answer, type):
            models[line.answer] = "serialization"
    _, document = models_json_schema(list(models.items()), ref_template="#/components/schemas/{model}")
    schemas: dict[str, Any] = document["$defs"]
    return schemas


def _operation(line: Described) -> dict[str, Any]:
    media = _json(line.answer) if isinstance(line.answer, type) else {line.answer.content_type: {}}
    operation: dict[str, Any] = {
        "summary": line.summary,
        "operationId": "-".join([line.method.lower(), *re.findall(r"[a-z]+", line.path)]),
        "parameters": [*_path_parameters(line.path), *_query_parameters(line.query)],
        "responses": {
            "200": {"description": "done", "content": media},
            "default": {
                "description": "what is wrong, and what to do about it (RFC 9457)",
                "content": {"application/problem+json": {"schema": _ref(ProblemAnswer)}},
            },
        },
    }
    if line.body is not None:
        operation["requestBody"] = {"required": True, "content": _json(line.body)}
    return operation


def _json(model: type[BaseModel]) -> dict[str, Any]:
    return {"application/json": {"schema": _ref(model)}}


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _path_parameters(path: str) -> list[dict[str, Any]]:
    names = re.findall(r"\{(\w+)\}", path)
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _query_parameters(query: type[BaseModel] | None) -> list[dict[str, Any]]:
    properties = query.model_json_schema()["properties"] if query is not None else {}
    return [{"name": name, "in": "query", "schema": schema} for name, schema in properties.items()]
