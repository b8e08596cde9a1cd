"""The OpenAPI document: every endpoint described, with examples and with the problems it answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from tamsoat.inference_service.screening.answers import EXAMPLE, AnalysisAnswer

OAUTH_ERRORS = {("/oauth2/token", "400"), ("/oauth2/token", "401")}
"""Errors in the form of RFC 6749, 5.2."""


@pytest.fixture
def document(client: TestClient) -> dict[str, Any]:
    response = client.get("/openapi.json")
    assert response.status_code == 200
    return response.json()


def test_public_contract_is_there(document: dict[str, Any]) -> None:
    assert set(document["paths"]) >= {
        "/api/v1/inference",
        "/api/v1/slides",
        "/api/v1/analyses",
        "/api/v1/analyses/{analysis_id}",
        "/healthz",
        "/readyz",
        "/metrics",
    }


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, found in document["paths"].items():
        for method, operation in found.items():
            yield path, method, operation


def test_operations_have_short_stable_names(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch(r"[a-z][a-z0-9_]{3,50}", name)] == []


def test_what_any_request_may_meet_is_declared(document: dict[str, Any]) -> None:
    for path, _, operation in operations(document):
        needed = {"421"}
        if "public" not in operation["x-access"]:
            needed |= {"401", "403", "503"}
        if "x-rate-limit" in operation:
            needed |= {"429"}
        if "{" in path:
            needed |= {"404"}
        if "requestBody" in operation:
            needed |= {"408", "413"}
        assert needed <= set(operation["responses"]), (path, needed - set(operation["responses"]))


def test_every_body_has_an_example(document: dict[str, Any]) -> None:
    def has_example(content: dict[str, Any]) -> bool:
        schema = content.get("schema", {})
        name = schema.get("$ref", "").removeprefix("#/components/schemas/")
        return bool({"example", "examples"} & (set(content) | set(document["components"]["schemas"].get(name, schema))))

    lacking = []
    for path, method, operation in operations(document):
        bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
        for body in bodies:
            content = body.get("content", {}).get("application/json")
            if content is not None and "$ref" in content.get("schema", {}) and not has_example(content):
                lacking.append((method, path, content["schema"].get("$ref", "")))
    assert lacking == []


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], (path, method)
            assert operation["description"], (path, method)
            for parameter in operation.get("parameters", []):
                assert parameter["description"] or parameter["schema"]["description"], (path, parameter["name"])


def test_errors_are_problem_documents(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if status[0] in "45" and (path, status) not in OAUTH_ERRORS:
                    assert list(response["content"]) == ["application/problem+json"], (path, status)
    inference = document["paths"]["/api/v1/inference"]["post"]["responses"]
    assert {"400", "408", "413", "415", "422", "500", "503", "507"} <= set(inference)


def test_references_lead_somewhere(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]

    def walk(node: object) -> None:
        if isinstance(node, dict):
            reference = node.get("$ref")
            if isinstance(reference, str):
                assert reference.removeprefix("#/components/schemas/") in schemas
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(document)


def test_examples_fit_their_schemas(document: dict[str, Any]) -> None:
    from jsonschema import Draft202012Validator

    wrong = []
    for name, schema in document["components"]["schemas"].items():
        checker = Draft202012Validator({**schema, "components": document["components"]})
        for example in schema.get("examples", ()):
            wrong += [f"{name}: {error.message[:120]}" for error in checker.iter_errors(example)]
    assert wrong == []


def test_example_is_valid(document: dict[str, Any]) -> None:
    AnalysisAnswer.model_validate(EXAMPLE)
    assert document["components"]["schemas"]["AnalysisAnswer"]["examples"] == [EXAMPLE]
