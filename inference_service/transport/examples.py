"""Examples for schemas of the OpenAPI document that have none: made of their fields' examples, kinds and names."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

_BY_FORMAT = {
    "date-time": "2026-03-02T08:15:00Z",
    "date": "2026-03-02",
    "uuid": "0b7e9f8e-6f0e-4f6c-9a53-0f3c7f1f2d11",
    "uri": "https://his.hospital.example/",
    "password": "••••••••",
}
_BY_ENDING = {
    "_id": "0b7e9f8e-6f0e-4f6c-9a53-0f3c7f1f2d11",
    "_at": "2026-03-02T08:15:00Z",
    "sha256": "3f5a7c0f6d0c9e0b7b1f9b2fd5f3b6f4f2e1d0c9b8a79685746352413f2e1d0c",
    "digest": "9b2fd5f3b6f4f2e1d0c9b8a79685746352413f2e1d0c3f5a7c0f6d0c9e0b7b1f",
    "hash": "9b2fd5f3b6f4f2e1d0c9b8a79685746352413f2e1d0c3f5a7c0f6d0c9e0b7b1f",
}
_DEEPEST = 8


class _NoExampleError(Exception):
    """The schema does not say enough to make one up."""


def complete(schemas: dict[str, Any]) -> None:
    """Give every schema of an object an example, where one can be made that is valid."""
    for schema in schemas.values():
        for example in schema.get("examples", ()):
            _restore_nulls(example, schema, schemas)
    for name, schema in schemas.items():
        if "properties" in schema and not {"example", "examples"} & set(schema):
            try:
                schema["examples"] = [_make(schema, name, schemas, 0)]
            except _NoExampleError:
                continue


def _restore_nulls(example: Any, schema: dict[str, Any], schemas: dict[str, Any]) -> None:
    """FastAPI drops every member that is null from the document, from its examples too."""
    schema = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    if isinstance(example, list):
        for item in example:
            _restore_nulls(item, schema.get("items", {}), schemas)
    if not isinstance(example, dict):
        return
    fields = schema.get("properties", {})
    for name, value in example.items():
        _restore_nulls(value, fields.get(name, {}), schemas)
    for name in schema.get("required", ()):
        if name not in example and any(choice.get("type") == "null" for choice in fields[name].get("anyOf", ())):
            example[name] = None


def _make(schema: dict[str, Any], name: str, schemas: dict[str, Any], depth: int) -> Any:
    if depth > _DEEPEST:
        raise _NoExampleError
    if "$ref" in schema:
        target = schema["$ref"].rpartition("/")[2]
        return _make(schemas[target], name, schemas, depth + 1)
    for stated in ("examples", "enum"):
        if schema.get(stated):
            return schema[stated][0]
    for stated in ("example", "const", "default"):
        if schema.get(stated) is not None:
            return schema[stated]
    choices = [choice for kind in ("anyOf", "oneOf", "allOf") for choice in schema.get(kind, ())]
    for choice in sorted(choices, key=lambda choice: choice.get("type") == "null"):
        with suppress(_NoExampleError):
            return _make(choice, name, schemas, depth + 1)
    return _of_kind(schema, name, schemas, depth)


def _of_kind(schema: dict[str, Any], name: str, schemas: dict[str, Any], depth: int) -> Any:
    kind = schema.get("type")
    if kind == "object":
        fields = schema.get("properties", {})
        return {field: _make(inner, field, schemas, depth + 1) for field, inner in fields.items()}
    if kind == "array":
        return [_make(schema["items"], name, schemas, depth + 1)] * max(1, schema.get("minItems", 1))
    if kind in ("integer", "number"):
        return max(schema.get("minimum", 1), schema.get("exclusiveMinimum", 0) + 1)
    if kind == "boolean":
        return True
    if kind == "null":
        return None
    if kind == "string" and "pattern" not in schema:
        return _text(schema, name)
    raise _NoExampleError


def _text(schema: dict[str, Any], name: str) -> str:
    known = _BY_FORMAT.get(schema.get("format", ""))
    if known is None:
        known = next((text for ending, text in _BY_ENDING.items() if name.endswith(ending)), "text")
    text = known.ljust(schema.get("minLength", 0), "x")
    if len(text) > schema.get("maxLength", len(text)):
        raise _NoExampleError
    return text
