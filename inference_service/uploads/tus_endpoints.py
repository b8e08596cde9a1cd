"""HTTP of resumable uploads: tus 1.0.0 with creation, checksum, expiration and termination."""

from __future__ import annotations

from datetime import datetime
from email.utils import format_datetime
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Header, Path, Request, Response
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from tamsoat.inference_service.accounts.access import READERS, Principal, Role, allow, public
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.transport.problems import describe
from tamsoat.inference_service.uploads import receiving, resumable
from tamsoat.inference_service.uploads.endpoints import COMMON, OF_THE_FILE, WRITING, RuntimeDep
from tamsoat.inference_service.uploads.incoming import UploadDamagedError, UploadLockedError
from tamsoat.inference_service.uploads.intent import read_intent, read_metadata
from tamsoat.inference_service.uploads.receiving import CHECKSUM_ALGORITHMS, Patch, Turns
from tamsoat.inference_service.uploads.resumable import UploadFailedError, UploadNotFoundError
from tamsoat.inference_service.uploads.schemas import UploadAnswer
from tamsoat.inference_service.uploads.tables import Upload

VERSION = "1.0.0"
EXTENSIONS = "creation,checksum,expiration,termination"
PATH = "/api/v1/uploads"
BODY_TYPE = "application/offset+octet-stream"

router = APIRouter(prefix="/api/v1", tags=["uploads"])


class MethodOverride:
    """Lets proxies that know only GET and POST through: POST with ``X-HTTP-Method-Override`` (tus 1.0, core protocol).

    Only to methods that change something, as POST does: nothing that is asked of a change is asked less.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"].startswith(f"{PATH}/"):
            wanted = Headers(scope=scope).get("x-http-method-override", "").upper()
            if wanted in ("PATCH", "DELETE"):
                scope = {**scope, "method": wanted}
        await self.app(scope, receive, send)


class TusVersionError(TamsoatError):
    """`Tus-Resumable` is missing or names another version of the protocol."""

    status = 412
    title = "Version of the upload protocol"
    slug = "tus-version"

    def http_headers(self) -> dict[str, str]:
        return {"Tus-Version": VERSION}


class TusFieldError(TamsoatError):
    """A field of the upload protocol is missing or malformed."""

    status = 400
    title = "Field of the upload protocol"
    slug = "tus-field"


class TusBodyTypeError(TamsoatError):
    """The body is not `application/offset+octet-stream`."""

    status = 415
    title = "Type of the upload's body"
    slug = "tus-body-type"


Sender = Annotated[Principal, allow(*READERS, Role.INTEGRATOR, scope="system/Media.c")]
UploadId = Annotated[str, Path(max_length=64, description="Last part of the `Location` that creation answered")]
Resumable = Annotated[str | None, Header(description="The protocol's version", examples=[VERSION])]
Length = Annotated[str | None, Header(description="Size of the whole file in bytes", examples=["201139"])]
Offset = Annotated[str | None, Header(description="Where the bytes of this request begin", examples=["0"])]
Metadata = Annotated[
    str | None,
    Header(
        description="`key base64` pairs: objective, mpp or scale=file (one of them is required), order_id, priority, "
        "sha256, again",
        examples=["objective NDA="],
    ),
]
ChecksumField = Annotated[
    str | None, Header(description="`sha256` or `sha1`, a space, and the base64 of the checksum of this body")
]
TUS = (TusVersionError, TusFieldError)
ENDED = (UploadNotFoundError, UploadFailedError, UploadDamagedError, UploadLockedError)
BODY: dict[str, Any] = {
    "requestBody": {"content": {BODY_TYPE: {"schema": {"type": "string", "format": "binary"}}}, "required": True}
}


@router.options(
    "/uploads",
    name="upload_capabilities",
    status_code=204,
    summary="What the upload protocol offers here",
    dependencies=[public("says which protocol is spoken")],
)
def capabilities(runtime: RuntimeDep) -> Response:
    """Version, extensions, largest file, checksum algorithms."""
    headers = {
        "Tus-Resumable": VERSION,
        "Tus-Version": VERSION,
        "Tus-Extension": EXTENSIONS,
        "Tus-Max-Size": str(runtime.settings.max_slide_bytes),
        "Tus-Checksum-Algorithm": ",".join(CHECKSUM_ALGORITHMS),
    }
    return Response(status_code=204, headers=headers)


@router.post(
    "/uploads",
    name="create_upload",
    status_code=201,
    summary="Begin a resumable upload",
    response_class=Response,
    responses={**describe(*WRITING, *TUS, *OF_THE_FILE)},
)
async def create(
    runtime: RuntimeDep,
    principal: Sender,
    tus_resumable: Resumable = None,
    upload_length: Length = None,
    upload_metadata: Metadata = None,
) -> Response:
    """Announce a file; `Location` is where its bytes go. Names of files are not read, let alone kept."""
    _check_version(tus_resumable)
    length_bytes = _count("Upload-Length", upload_length)
    intent = read_intent(read_metadata(upload_metadata or ""))
    upload = await to_thread.run_sync(resumable.create, runtime, principal, length_bytes, intent)
    headers = {"Location": f"{PATH}/{upload.id}", "Upload-Expires": _http_date(upload.expires_at)}
    return Response(status_code=201, headers={"Tus-Resumable": VERSION, **headers})


@router.head(
    "/uploads/{upload_id}",
    name="inspect_upload",
    summary="How far has the upload come?",
    response_class=Response,
    responses={**describe(*COMMON, *TUS, *ENDED, *OF_THE_FILE)},
)
async def inspect(
    request: Request, runtime: RuntimeDep, principal: Sender, upload_id: UploadId, tus_resumable: Resumable = None
) -> Response:
    """`Upload-Offset` is what has arrived for certain; of a whole file `Tamsoat-Analysis` names the screening."""
    _check_version(tus_resumable)
    upload = await receiving.inspect(runtime, _turns(request), principal, upload_id)
    headers = {"Upload-Length": str(upload.expected_bytes), "Cache-Control": "no-store"}
    return Response(status_code=200, headers={**_progress(upload), **headers})


@router.patch(
    "/uploads/{upload_id}",
    name="append_to_upload",
    status_code=204,
    summary="Send the next bytes",
    openapi_extra=BODY,
    response_class=Response,
    responses={
        **describe(
            *WRITING,
            *TUS,
            *ENDED,
            *OF_THE_FILE,
            TusBodyTypeError,
            receiving.OffsetError,
            receiving.UploadOverrunError,
            receiving.ChecksumFieldError,
            receiving.ChecksumError,
        )
    },
)
async def append(
    request: Request,
    runtime: RuntimeDep,
    principal: Sender,
    upload_id: UploadId,
    tus_resumable: Resumable = None,
    upload_offset: Offset = None,
    upload_checksum: ChecksumField = None,
) -> Response:
    """Append the body at `Upload-Offset`. The last bytes make the slide and ask for its screening, once.

    After any interruption ask for the offset with HEAD and go on from there.
    """
    _check_version(tus_resumable)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != BODY_TYPE:
        raise TusBodyTypeError(f"Content-Type must be {BODY_TYPE}")
    length = request.headers.get("content-length", "")
    patch = Patch(
        _count("Upload-Offset", upload_offset),
        int(length) if length.isdecimal() else None,
        receiving.read_checksum(upload_checksum),
    )
    upload = await receiving.receive(runtime, _turns(request), principal, upload_id, patch, request.stream())
    return Response(status_code=204, headers=_progress(upload))


@router.delete(
    "/uploads/{upload_id}",
    name="discard_upload",
    status_code=204,
    summary="Give an upload up",
    response_class=Response,
    responses={**describe(*WRITING, *TUS, UploadNotFoundError, UploadLockedError)},
)
async def discard(
    request: Request, runtime: RuntimeDep, principal: Sender, upload_id: UploadId, tus_resumable: Resumable = None
) -> Response:
    """Remove the upload and what has arrived of it. A slide that it became already stays."""
    _check_version(tus_resumable)
    await receiving.discard(runtime, _turns(request), principal, upload_id)
    return Response(status_code=204, headers={"Tus-Resumable": VERSION})


@router.get(
    "/uploads/{upload_id}",
    name="read_upload",
    response_model=UploadAnswer,
    summary="Read the state of an upload as JSON",
    responses={**describe(*COMMON, UploadNotFoundError)},
)
def read(runtime: RuntimeDep, principal: Sender, upload_id: UploadId) -> UploadAnswer:
    """What HEAD says, and the slide, the analysis, or what was wrong. Not part of tus."""
    return resumable.answer(resumable.load(runtime, principal, upload_id))


def _turns(request: Request) -> Turns:
    turns: Turns = request.app.state.upload_turns
    return turns


def _progress(upload: Upload) -> dict[str, str]:
    headers = {
        "Tus-Resumable": VERSION,
        "Upload-Offset": str(upload.received_bytes),
        "Upload-Expires": _http_date(upload.expires_at),
    }
    if upload.slide_id is not None:
        headers["Tamsoat-Slide"] = upload.slide_id
        if upload.analysis_id is not None:
            headers["Tamsoat-Analysis"] = upload.analysis_id
        headers["Tamsoat-Duplicate"] = "true" if upload.duplicate else "false"
    return headers


def _check_version(version: str | None) -> None:
    if version != VERSION:
        raise TusVersionError(f"send Tus-Resumable: {VERSION}")


def _count(name: str, value: str | None) -> int:
    if value is None or not (value.isascii() and value.isdecimal()) or len(value) > 18:
        raise TusFieldError(f"{name} must be a number of bytes")
    return int(value)


def _http_date(moment: datetime) -> str:
    return format_datetime(moment, usegmt=True)
