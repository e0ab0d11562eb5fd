"""The description of the HTTP API, made from its table, so that the two cannot disagree. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Protocol

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from gslb import __version__
from gslb.control.bodies.messages import ProblemAnswer
from gslb.control.http.access import NEEDS

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
    @property
    def versioned(self) -> bool: ...
    @property
    def repeatable(self) -> bool: ...
    @property
    def conditional(self) -> bool: ...


_DESCRIPTION = """Over the unix socket nobody needs a token. Over TCP every change needs one; reading does where TLS is
spoken. A change is made once: with If-Match only where that version is in force, with an Idempotency-Key only the first
time. Every answer has an X-Request-Id, which the log has, too."""

_TEXT = {"type": "string"}
_IF_MATCH = {
    "name": "If-Match", "in": "header", "schema": _TEXT,
    "description": "change nothing unless this ETag is in force; otherwise 412",
}  # fmt: skip
_KEY = {
    "name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "pattern": "^[!-~]{1,128}$"},
    "description": "the same request with the same key gets the first answer again, for a day",
}  # fmt: skip
_REQUEST_ID = {"X-Request-Id": {"schema": _TEXT}}
_TAG = {"ETag": {"schema": _TEXT, "description": "the version that is in force, for If-Match"}}


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
            "description": _DESCRIPTION,
        },
        "paths": paths,
        "components": {
            "schemas": _schemas(table),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "as gslb token create prints it"}
            },
        },
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
    need = NEEDS[f"{line.method} {line.path}"]
    tagged = line.versioned or (line.method != "GET" and line.conditional)
    own_app = ", for an app of the token" if need.per_app else ""
    told = "Anybody may ask." if need.open else f"Needs the role {need.role}{own_app}."
    operation: dict[str, Any] = {
        "summary": line.summary,
        "description": told,
        "security": [{"token": []}, *([{}] if need.role == "viewer" else [])],
        "operationId": "-".join([line.method.lower(), *re.findall(r"[a-z]+", line.path)]),
        "parameters": [*_path_parameters(line.path), *_query_parameters(line.query), *_headers(line)],
        "responses": {
            "200": {"description": "done", "content": media, "headers": _REQUEST_ID | (_TAG if tagged else {})},
            "default": {
                "description": "what is wrong, and what to do about it (RFC 9457)",
                "content": {"application/problem+json": {"schema": _ref(ProblemAnswer)}},
                "headers": _REQUEST_ID,
            },
        },
    }
    if line.body is not None:
        operation["requestBody"] = {"required": True, "content": _json(line.body)}
    return operation


def _headers(line: Described) -> list[dict[str, Any]]:
    if line.method == "GET" or not line.conditional:
        return []
    return [_IF_MATCH, _KEY] if line.method == "POST" and line.repeatable else [_IF_MATCH]


def _json(model: type[BaseModel]) -> dict[str, Any]:
    return {"application/json": {"schema": _ref(model)}}


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _path_parameters(path: str) -> list[dict[str, Any]]:
    names = re.findall(r"\{(\w+)\}", path)
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _query_parameters(query: type[BaseModel] | None) -> list[dict[str, Any]]:
    described = query.model_json_schema() if query is not None else {}
    required = described.get("required", ())
    return [
        {"name": name, "in": "query", "required": name in required, "schema": schema}
        for name, schema in described.get("properties", {}).items()
    ]
