"""Every endpoint × every role × own and other facility × anonymous × machine clients: each cell as declared.

The cells are made from the OpenAPI document (``x-access``); docs/security/access-matrix.csv declares the same a second
time, by hand, so that a loosened endpoint is noticed here whoever loosens it.
"""

from __future__ import annotations

import csv
import re
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from access_world import OTHER, OWN, SAFE_METHODS, UNLIMITED, Caller, World, make_world
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from tamsoat.inference_service.accounts.access import Role, declaration
from tamsoat.inference_service.app import create_app
from tamsoat.inference_service.settings import Settings

TABLE = Path(__file__).resolve().parents[2] / "docs" / "security" / "access-matrix.csv"
DENIALS = {"not-signed-in": 401, "forbidden": 403, "csrf": 403, "account-setup": 403}
"""Problems that say: not you."""
ALLOWED, SIGN_IN, REFUSED, MISSING = "allowed", "401", "403", "404"
UNDECLARED_ROUTES = {"/openapi.json", "/static"}
"""Routes outside FastAPI: public files and the document itself, without data."""

BODIES: dict[str, dict[str, Any]] = {
    "create_account": {"json": {"username": "moi.nguoi", "display_name": "Người Mới", "roles": ["pathologist"]}},
    "update_account": {"json": {"display_name": "Người Khác"}},
    "add_identifier": {"json": {"system": "patient-internal-id", "value": "BN-9"}},
    "retire_identifier": {"json": {}},
    "merge_patient": {"json": {"source_id": "{patient_id}", "target_id": "b", "reason": "entered-twice"}},
    "unmerge_patient": {"json": {"target_id": "b"}},
    "set_legal_hold": {"json": {"reason": None}},
    "erase_patient": {"json": {"patient_id": "{patient_id}", "reason": "patient-request"}},
    "state_scale": {"json": {"objective": 40}},
    "cancel_order": {"json": {"reason": "entered-in-error"}},
    "add_specimen": {"json": {"preparation": "liquid-based"}},
    "append_to_upload": {
        "content": b"x",
        "headers": {"content-type": "application/offset+octet-stream", "Upload-Offset": "0"},
    },
}
"""Valid bodies of operations on an object: a foreign object must be answered 404, not 422."""

HEADERS = {"If-Match": "*", "Tus-Resumable": "1.0.0"}
"""What some operations ask for."""


@dataclass(frozen=True)
class Operation:
    """One operation of the OpenAPI document."""

    method: str
    path: str
    name: str
    roles: frozenset[str]
    scope: str | None
    public: bool
    content: dict[str, Any]

    @property
    def parameters(self) -> list[str]:
        return re.findall(r"\{(\w+)", self.path)


@pytest.fixture(scope="module")
def world(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    settings = Settings(
        model=tiny_bundle,
        database_url=f"sqlite:///{tmp_path_factory.mktemp('matrix')}/service.db",
        threads=1,
        log_level="error",
        password_memory_mib=8,
        password_passes=1,
        run_worker=False,
        **UNLIMITED,
    )
    with TestClient(create_app(settings), base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield make_world(client)


def operations(document: dict[str, Any]) -> list[Operation]:
    found = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            access = operation.get("x-access")
            assert access is not None, f"{method} {path} declares no access"
            found.append(
                Operation(
                    method.upper(),
                    path,
                    operation["operationId"],
                    frozenset(access.get("roles", ())),
                    access.get("scope"),
                    "public" in access,
                    BODIES.get(operation["operationId"]) or _example(document, operation),
                )
            )
    return found


def _example(document: dict[str, Any], operation: dict[str, Any]) -> dict[str, Any]:
    """The documented example of the body; an empty object where there is none."""
    media = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if media is None:
        return {}
    name = media["schema"].get("$ref", "").rpartition("/")[2]
    schema = document["components"]["schemas"].get(name, media["schema"])
    return {"json": schema.get("examples", [{}])[0]}


def expected(operation: Operation, caller: Caller) -> str:
    """What the declaration says about this cell."""
    if operation.public:
        return ALLOWED
    if caller.role is None:
        return SIGN_IN
    if caller.role not in operation.roles or caller.kind in ("client without the scope", "person without CSRF token"):
        return REFUSED
    if caller.kind == "client" and operation.scope is None:
        return REFUSED
    return MISSING if caller.facility == OTHER and operation.parameters else ALLOWED


def callers_of(world: World, operation: Operation) -> Iterator[Caller]:
    """Everyone who asks for this operation."""
    yield from world.callers
    if operation.public:
        return
    if operation.method not in SAFE_METHODS:
        for caller in world.callers:
            if caller.kind == "person" and caller.facility == OWN and caller.role in operation.roles:
                bare = {"Cookie": caller.headers["Cookie"]}
                yield replace(caller, name=f"{caller.name} no CSRF", kind="person without CSRF token", headers=bare)
    for facility in (OWN, OTHER):
        headers = world.token(facility, "system/*.cruds")
        yield Caller(f"client ({facility})", facility, Role.INTEGRATOR, "client", headers)
    if operation.scope is not None:
        resource, _, letters = operation.scope.rpartition(".")
        rest = "".join(letter for letter in "cruds" if letter not in letters)
        for scope in (f"system/{'Device' if 'Device' not in resource else 'Group'}.cruds", f"{resource}.{rest}"):
            if not scope.endswith("."):
                headers = world.token(OWN, scope)
                yield Caller(f"client {scope}", OWN, Role.INTEGRATOR, "client without the scope", headers)


def check(world: World, operation: Operation, caller: Caller) -> str | None:
    """Send the request of this cell; what is wrong with the answer, or None."""
    path, content, objects = operation.path, dict(operation.content), world.objects_of(caller)
    for name in operation.parameters:
        path = re.sub(rf"\{{{name}[^}}]*\}}", objects[name], path)
    if "json" in content:
        content["json"] = {name: _filled(value, objects) for name, value in content["json"].items()}
    content["headers"] = {"Idempotency-Key": str(uuid.uuid4()), **HEADERS, **content.get("headers", {})}
    response = world.send(caller, operation.method, path, **content)
    wanted, status = expected(operation, caller), response.status_code
    problem = _problem(response)
    if status >= 500:
        return f"{status} {response.text[:200]}"
    if wanted == SIGN_IN:
        return None if (status, problem) == (401, "not-signed-in") else f"{status} {problem}"
    if wanted == REFUSED:
        kinds = ("csrf",) if caller.kind == "person without CSRF token" else ("forbidden",)
        return None if status == 403 and problem in kinds else f"{status} {problem}"
    if wanted == MISSING:
        return None if status == 404 else f"{status} {problem}"
    if problem in DENIALS and status == DENIALS[problem]:
        return f"{status} {problem}"
    if caller.facility == OWN and operation.method in ("GET", "HEAD") and not 200 <= status < 300:
        return f"{status} {problem} for an object of the own facility"
    leaked = [value for value in world.objects.values() if len(value) > 8 and value in response.text]
    return f"shows {leaked} to the other facility" if caller.facility == OTHER and leaked else None


def _filled(value: Any, objects: dict[str, str]) -> Any:
    """``{order_id}`` in a body stands for the object's identifier."""
    return objects.get(value[1:-1], value) if isinstance(value, str) and value.startswith("{") else value


def _problem(response: Any) -> str | None:
    if response.request.method == "HEAD":
        return {401: "not-signed-in", 403: "forbidden"}.get(response.status_code)
    if "problem+json" not in response.headers.get("content-type", ""):
        return None
    return str(response.json()["type"]).rpartition(":")[2]


def test_every_cell_is_as_declared(world: World) -> None:
    document = world.client.get("/openapi.json").json()
    found = operations(document)
    unknown = {name for operation in found for name in operation.parameters} - set(world.objects)
    assert not unknown, f"no object for the path parameters {unknown}: add them to tests/access_world.py"
    cells = [(operation, caller) for operation in found for caller in callers_of(world, operation)]

    # Those who may not, and those who only read, go first: what changes objects comes last.
    def harm(cell: tuple[Operation, Caller]) -> bool:
        return expected(*cell) == ALLOWED and cell[0].method not in SAFE_METHODS

    wrong, counts = [], Counter[str]()
    for operation, caller in sorted(cells, key=harm):
        fault = check(world, operation, caller)
        counts[expected(operation, caller)] += 1
        if fault is not None:
            wrong.append(
                f"{operation.method} {operation.path} · {caller.name}: {fault}, not {expected(operation, caller)}"
            )
        if harm((operation, caller)):
            world.revive(caller)
    print(f"\n{len(found)} operations, {len(cells)} cells: {dict(counts)}; {len(wrong)} wrong")
    assert wrong == [], "\n".join(wrong)


def test_no_route_is_undeclared(world: World) -> None:
    undeclared = []
    for route in iter_route_contexts(world.client.app.routes):  # type: ignore[attr-defined]
        original = route.original_route
        if isinstance(original, APIRoute):
            if declaration(route) is None:
                undeclared.append(route.path)
        elif isinstance(original, Route | Mount) and route.path not in UNDECLARED_ROUTES:
            undeclared.append(route.path)
    assert undeclared == []


def table_rows(found: list[Operation]) -> list[dict[str, str]]:
    """The declarations as rows of the reviewed table."""
    return [
        {
            "method": operation.method,
            "path": operation.path,
            **{
                role.value: "public" if operation.public else ("yes" if role.value in operation.roles else "")
                for role in Role
            },
            "client scope": operation.scope or "",
        }
        for operation in sorted(found, key=lambda item: (item.path, item.method))
    ]


def test_the_reviewed_table_says_the_same(world: World) -> None:
    with TABLE.open(encoding="utf-8", newline="") as stream:
        reviewed = {(row["method"], row["path"]): row for row in csv.DictReader(stream)}
    declared = {(row["method"], row["path"]): row for row in table_rows(operations(world.client.app.openapi()))}  # type: ignore[attr-defined]
    differing = [
        f"{method} {path} · {column}: declared {declared.get((method, path), {}).get(column)!r}, "
        f"reviewed {reviewed.get((method, path), {}).get(column)!r}"
        for method, path in sorted(set(declared) | set(reviewed))
        for column in ("method", "path", *(role.value for role in Role), "client scope")
        if declared.get((method, path), {}).get(column) != reviewed.get((method, path), {}).get(column)
    ]
    assert differing == [], "\n".join(differing)
