"""Conditional requests (RFC 9110, section 13): strong ``ETag``, ``If-None-Match`` and ``If-Match``.

A read answers ``return conditional.answer(request, model)``. A change calls
``conditional.require_match(request, etag)`` with the tag of what is stored, inside its transaction.
"""

from __future__ import annotations

import hashlib
import re

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from tamsoat.inference_service.errors import TamsoatError

_TAG = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')


class PreconditionFailedError(TamsoatError):
    """What is stored is not what `If-Match` names: someone changed it meanwhile."""

    status = 412
    title = "Changed meanwhile"
    slug = "precondition-failed"


class PreconditionRequiredError(TamsoatError):
    """This change needs `If-Match` with the `ETag` of what was read."""

    status = 428
    title = "If-Match required"
    slug = "precondition-required"


def etag_of(*parts: object) -> str:
    """The strong tag of a version: equal for equal parts, for example an identifier and a version number."""
    return _tag("\x00".join(str(part) for part in parts).encode())


def answer(request: Request, model: BaseModel, *, etag: str | None = None, status: int = 200) -> Response:
    """``model`` as JSON with its tag (default: that of its bytes), or 304 where the caller has it already."""
    body = model.model_dump_json(by_alias=True).encode()
    tag = etag or _tag(body)
    if request.method in ("GET", "HEAD") and is_known(request, tag):
        return Response(status_code=304, headers={"ETag": tag})
    return Response(body, status, {"ETag": tag}, media_type="application/json")


def is_known(request: Request, etag: str) -> bool:
    """Whether ``If-None-Match`` names ``etag`` (weak comparison) or anything."""
    sent = _listed(request, "if-none-match")
    return sent is not None and ("*" in sent or etag in [tag.removeprefix("W/") for tag in sent])


def require_match(request: Request, etag: str, *, required: bool = True) -> None:
    """Refuse a change of something else than what the caller has read.

    Raises:
        PreconditionFailedError: ``If-Match`` names neither ``etag`` (strong comparison) nor ``*``.
        PreconditionRequiredError: there is no ``If-Match``, and ``required``.
    """
    sent = _listed(request, "if-match")
    if sent is None:
        if required:
            raise PreconditionRequiredError("send If-Match with the ETag of what you have read")
        return
    if "*" not in sent and etag not in sent:
        raise PreconditionFailedError("it was changed since you read it: read it again and repeat your change")


def _listed(request: Request, name: str) -> list[str] | None:
    values = request.headers.getlist(name)
    if not values:
        return None
    joined = ",".join(values).strip()
    return ["*"] if joined == "*" else ["".join(found) for found in _TAG.findall(joined)]


def _tag(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'
