"""The one place where an error becomes an HTTP answer (RFC 9457, ``application/problem+json``)."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import compile_path

from tamsoat.inference_service.db.session import StorageFullError, is_full_disk
from tamsoat.inference_service.errors import PROBLEM_TYPE_PREFIX, TamsoatError

MEDIA_TYPE = "application/problem+json"
log = structlog.get_logger("tamsoat.http")


class InvalidRequestError(TamsoatError):
    """A field of the request is missing or has a value of the wrong kind."""

    status = 422
    title = "Request is not valid"
    slug = "request-invalid"


class Problem(JSONResponse):
    """A problem document."""

    media_type = MEDIA_TYPE


def answer_error(request: Request, error: Exception) -> Problem:
    """Return the answer for ``error``: what is wrong and the request id, never a traceback.

    Faults of the program (anything without a status of its own) are logged with their traceback and answered 500.
    """
    headers: dict[str, str] = {}
    extra: dict[str, Any] = {}
    if isinstance(error, RequestValidationError):
        extra["errors"] = _field_errors(error)
        shown: TamsoatError | None = InvalidRequestError(_first_sentence(extra["errors"]))
    elif isinstance(error, TamsoatError):
        shown = error
    elif is_full_disk(error) or is_full_disk(error.__cause__):
        shown = StorageFullError(StorageFullError.DETAIL)
    else:
        shown = None
    if shown is not None:
        status, title, type_uri, detail = shown.status, shown.title, shown.type_uri(), shown.detail
        headers.update(shown.http_headers())
        extra.update(shown.members())
    elif isinstance(error, HTTPException):
        status, detail = error.status_code, str(error.detail)
        title = HTTPStatus(status).phrase
        type_uri = PROBLEM_TYPE_PREFIX + title.lower().replace(" ", "-")
        headers.update(error.headers or {})
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = ", ".join(sorted(_methods_of_path(request)))
    else:
        log.error("unhandled_error", exc_info=error)
        status, title, type_uri = TamsoatError.status, TamsoatError.title, TamsoatError.type_uri()
        detail = "the server failed on this request; give the request id to whoever runs it"
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.setdefault("Retry-After", str(request.app.state.settings.retry_after_s))
    if status == HTTPStatus.UNAUTHORIZED:
        headers.setdefault("WWW-Authenticate", 'Bearer realm="tamsoat"')
    request.scope["tamsoat.problem"] = type_uri
    body = {"type": type_uri, "title": title, "status": status, "detail": detail}
    body |= {"request_id": request.scope.get("tamsoat.request_id", ""), **extra}
    return Problem(body, status_code=status, headers=headers)


def _methods_of_path(request: Request) -> set[str]:
    """Every method of the path, whichever route serves it; a router knows those of the first route only."""
    methods: dict[str, set[str]] = {}
    for route in iter_route_contexts(request.app.routes):
        if route.path is not None and route.methods and compile_path(route.path)[0].match(request.url.path):
            methods.setdefault(route.path, set()).update(route.methods)
    # A path that is written out goes before one with parameters that it happens to fit.
    return methods.get(request.url.path) or set().union(*methods.values())


def _field_errors(error: RequestValidationError) -> list[dict[str, str]]:
    """Where and why, without the values that were sent: they may be personal."""
    return [{"field": ".".join(str(part) for part in item["loc"]), "message": item["msg"]} for item in error.errors()]


def _first_sentence(errors: list[dict[str, str]]) -> str:
    return "; ".join(f"{item['field']}: {item['message']}" for item in errors[:5]) or "the request is not valid"


def install(app: FastAPI) -> None:
    """Register the handler for every kind of error that routes raise."""
    for kind in (TamsoatError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, answer_error)


def describe(*kinds: type[TamsoatError]) -> Mapping[int | str, dict[str, Any]]:
    """OpenAPI ``responses`` for the errors that an endpoint answers; several kinds may share a status."""
    responses: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        entry = responses.setdefault(
            kind.status, {"description": "", "content": {MEDIA_TYPE: {"schema": _SCHEMA_REF, "examples": {}}}}
        )
        entry["description"] = "; ".join(filter(None, [entry["description"], kind.title]))
        entry["content"][MEDIA_TYPE]["examples"][kind.slug] = {
            "value": {
                "type": kind.type_uri(),
                "title": kind.title,
                "status": kind.status,
                "detail": (kind.__doc__ or kind.title).strip().splitlines()[0],
                "request_id": "5f0c1c8e1d8b4f1fa1b0a8a1f3f0a9d2",
            }
        }
    return responses


_SCHEMA_REF = {"$ref": "#/components/schemas/Problem"}
PROBLEM_SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "RFC 9457 problem details",
    "type": "object",
    "required": ["type", "title", "status", "detail", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri", "description": "Kind of problem; stable"},
        "title": {"type": "string", "description": "Constant summary of the kind"},
        "status": {"type": "integer", "description": "The HTTP status"},
        "detail": {"type": "string", "description": "What is wrong this time and what to do about it"},
        "request_id": {"type": "string", "description": "Names this request in the server's log"},
        "patient_id": {"type": "string", "description": "Of `patient-exists`: the patient who has the identifier"},
        "patient_ids": {
            "type": "array",
            "description": "Of `patient-ambiguous`: the patients who have the identifiers",
            "items": {"type": "string"},
        },
        "order_id": {"type": "string", "description": "Of `order-exists`: the order that has the number"},
        "confirm": {
            "type": "array",
            "description": "Of `identifier-needs-confirmation`: the codes to send in `confirm`",
            "items": {"type": "string"},
        },
        "errors": {
            "type": "array",
            "description": "Only for requests with invalid fields",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}
