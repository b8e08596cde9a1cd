"""The OpenAPI document: FastAPI's, with access, and with the problems that the service answers everywhere.

Endpoints declare the problems of their own; what middleware, sign-in and the database may answer to any request is
added here, once, so that it cannot be forgotten.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from tamsoat.inference_service.accounts.access import ForbiddenError, NotSignedInError, describe_access
from tamsoat.inference_service.db.session import DatabaseUnavailableError
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.transport import examples, problems
from tamsoat.inference_service.transport.middleware import CrossSiteError, ForeignHostError
from tamsoat.inference_service.transport.rate_limits import TooManyRequestsError
from tamsoat.inference_service.transport.uploads import UploadTooLargeError, UploadTooSlowError

Kinds = tuple[type[TamsoatError], ...]


class MalformedBodyError(TamsoatError):
    """The body is not what its content type says."""

    status = 400
    title = "Bad Request"
    slug = "bad-request"


SIGNED_IN: Kinds = (NotSignedInError, ForbiddenError, DatabaseUnavailableError)
CHANGING: Kinds = (CrossSiteError,)
WITH_BODY: Kinds = (MalformedBodyError, UploadTooSlowError, UploadTooLargeError)
EVERYWHERE: Kinds = (ForeignHostError,)

SAFE_METHODS = ("get", "head", "options")


def operation_id(route: APIRoute) -> str:
    """The name of an operation: that of its function, which is unique and stays."""
    return route.name


def document(app: FastAPI) -> dict[str, Any]:
    """The document of ``app``, made once."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        describe_access(app, schema)
        _complete(schema)
        app.openapi_schema = schema
    return app.openapi_schema


def _complete(schema: dict[str, Any]) -> None:
    components = schema.setdefault("components", {}).setdefault("schemas", {})
    components["Problem"] = problems.PROBLEM_SCHEMA
    invalid = problems.describe(problems.InvalidRequestError)[422]
    for operations in schema["paths"].values():
        for method, operation in operations.items():
            declared = operation["responses"].get("422", {}).get("content", {})
            if "application/json" in declared:
                operation["responses"]["422"] = invalid
            _add(operation["responses"], _common(method, operation))
    for name in ("HTTPValidationError", "ValidationError"):
        components.pop(name, None)
    examples.complete(components)


def _common(method: str, operation: dict[str, Any]) -> Kinds:
    """What may be answered to this operation before its own code runs."""
    kinds = EVERYWHERE
    if "public" not in operation.get("x-access", {}):
        kinds += SIGNED_IN
    if "x-rate-limit" in operation:
        kinds += (TooManyRequestsError,)
    if method not in SAFE_METHODS:
        kinds += CHANGING
    if "requestBody" in operation:
        kinds += WITH_BODY
    return kinds


def _add(responses: dict[str, Any], kinds: Kinds) -> None:
    """Add the problems that ``responses`` do not name yet."""
    for kind in kinds:
        described = problems.describe(kind)[kind.status]
        present = responses.setdefault(str(kind.status), described)
        content = present.setdefault("content", {}).get(problems.MEDIA_TYPE)
        if present is described or content is None or kind.slug in content.setdefault("examples", {}):
            continue
        present["description"] = "; ".join(filter(None, [present["description"], kind.title]))
        content["examples"] |= described["content"][problems.MEDIA_TYPE]["examples"]
