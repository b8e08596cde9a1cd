"""HTTP of slides: send one as a form, list, read, fetch its bytes, delete."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts.access import READERS, ForbiddenError, NotSignedInError, Principal, Role, allow
from tamsoat.inference_service.accounts.sessions import CsrfError
from tamsoat.inference_service.audit.schemas import Action
from tamsoat.inference_service.db.session import DatabaseUnavailableError, StorageFullError
from tamsoat.inference_service.orders.service import OrderClosedError, OrderNotFoundError
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.screening.scale import AbsurdScaleError, MissingScaleError
from tamsoat.inference_service.settings import Settings
from tamsoat.inference_service.slides.errors import (
    DamagedImageError,
    DecodeCrashedError,
    DecodeTimeoutError,
    EmptyImageError,
    ImageTooLargeError,
    UnsupportedImageError,
)
from tamsoat.inference_service.slides.sandbox import DecoderClosedError
from tamsoat.inference_service.slides.scale_of_file import AnisotropicScaleError
from tamsoat.inference_service.storage.store import ContentAlteredError, ContentMissingError, StorageUnavailableError
from tamsoat.inference_service.transport import idempotency
from tamsoat.inference_service.transport.problems import InvalidRequestError, describe
from tamsoat.inference_service.transport.uploads import BodyRule, UploadTooLargeError, UploadTooSlowError
from tamsoat.inference_service.uploads import delivery, scaling, service
from tamsoat.inference_service.uploads.acceptance import (
    DigestMismatchError,
    DuplicateGoneError,
    OtherOrderError,
    QuotaExceededError,
)
from tamsoat.inference_service.uploads.examination import ScaleDisagreesError
from tamsoat.inference_service.uploads.intent import IntentError, read_intent
from tamsoat.inference_service.uploads.schemas import ScaleStatement, SlideAccepted, SlideAnswer, SlidePage
from tamsoat.inference_service.uploads.slide_form import FILE_FIELD, SlideRequest, SlideRoute

PAGE_DEFAULT, PAGE_MOST = 50, 200
FORM_BYTES = 2**20
"""What a form may have besides its file."""

router = APIRouter(prefix="/api/v1", tags=["slides"], route_class=SlideRoute)


def body_rules(settings: Settings) -> tuple[BodyRule, ...]:
    """Slides are streamed to disk: they have limits of their own, by size and by pace."""
    most_bytes = settings.max_slide_bytes + FORM_BYTES
    return tuple(
        BodyRule(prefix, most_bytes, settings.upload_idle_s, settings.upload_timeout_s)
        for prefix in ("/api/v1/slides", "/api/v1/uploads")
    )


async def get_runtime(request: Request) -> Runtime:
    """What the process has open."""
    runtime: Runtime = request.app.state.runtime
    return runtime


def reading(runtime: Annotated[Runtime, Depends(get_runtime)]) -> Iterator[Session]:
    """A reading session, given back before the answer is sent."""
    with runtime.database.read() as session:
        yield session


RuntimeDep = Annotated[Runtime, Depends(get_runtime)]
ReadSession = Annotated[Session, Depends(reading, scope="function")]
Sender = Annotated[Principal, allow(*READERS, Role.INTEGRATOR, scope="system/Media.c")]
Reader = Annotated[Principal, allow(*READERS, Role.INTEGRATOR, scope="system/Media.r")]
Searcher = Annotated[Principal, allow(*READERS, Role.INTEGRATOR, scope="system/Media.s")]
Changer = Annotated[Principal, allow(*READERS, Role.INTEGRATOR, scope="system/Media.u")]
Remover = Annotated[Principal, allow(*READERS, Role.INTEGRATOR, scope="system/Media.d")]
SlideId = Annotated[str, Path(max_length=64, description="From the answer to a sent slide")]

COMMON = (NotSignedInError, ForbiddenError, InvalidRequestError, DatabaseUnavailableError)
WRITING = (*COMMON, CsrfError, StorageFullError)
OF_THE_FILE = (
    MissingScaleError,
    AbsurdScaleError,
    IntentError,
    EmptyImageError,
    DigestMismatchError,
    UnsupportedImageError,
    DamagedImageError,
    ImageTooLargeError,
    DecodeCrashedError,
    DecodeTimeoutError,
    AnisotropicScaleError,
    ScaleDisagreesError,
    DecoderClosedError,
    DuplicateGoneError,
    UploadTooLargeError,
    UploadTooSlowError,
    OrderNotFoundError,
    OrderClosedError,
    OtherOrderError,
    QuotaExceededError,
    StorageUnavailableError,
    ContentAlteredError,
)
FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [FILE_FIELD],
                    "properties": {
                        FILE_FIELD: {
                            "type": "string",
                            "format": "binary",
                            "description": "A field (JPEG, PNG, TIFF, BMP, WebP) or a whole slide; told by content",
                        },
                        "objective": {"type": "number", "description": "Magnification: 10, 20, 40, 60 or 100"},
                        "mpp": {"type": "number", "description": "Micrometres per pixel, instead of the objective"},
                        "scale": {
                            "type": "string",
                            "enum": ["file"],
                            "description": "`file`: the scale is in the file, none is stated beside it",
                        },
                        "order_id": {"type": "string", "maxLength": 36, "description": "The order it is for"},
                        "priority": {"type": "string", "enum": ["routine", "urgent", "stat"], "default": "routine"},
                        "sha256": {"type": "string", "description": "Of the file, hexadecimal; checked on arrival"},
                        "again": {"type": "boolean", "description": "Make a new slide of bytes that are here already"},
                    },
                }
            }
        },
    }
}


@router.post(
    "/slides",
    status_code=202,
    response_model=SlideAccepted,
    summary="Send a slide as a form",
    openapi_extra=FORM,
    dependencies=[idempotency.idempotency_key(required_for_clients=True)],
    responses={
        200: {"model": SlideAccepted, "description": "The facility has these bytes already: the slide that has them"},
        **describe(*WRITING, *OF_THE_FILE, *idempotency.ERRORS),
    },
)
async def send_slide(request: Request, response: Response, runtime: RuntimeDep, principal: Sender) -> SlideAccepted:
    """Store one image and have it screened. For files over some ten megabytes use `/api/v1/uploads`.

    The answer arrives when the bytes and the job are durable; `Location` is the analysis to watch. State exactly
    one of `objective`, `mpp` and `scale=file`. A slide whose file turns out to have no scale is kept as `needs-scale`
    (`Location` is the slide then): state it by PATCH. A SHA-256 in `sha256`, or in `Content-Digest` or `Repr-Digest`
    (RFC 9530) among the headers of the file's part, is compared with what arrived.
    """
    assert isinstance(request, SlideRequest)
    form = await request.form()
    fields = {name: value for name, value in form.items() if isinstance(value, str)}
    intent = read_intent(fields, header_sha256=request.stated_sha256)
    file = await request.whole_file()
    accepted = await to_thread.run_sync(partial(service.accept, runtime, principal, file, intent))
    response.status_code = 200 if accepted.duplicate else 202
    response.headers["Location"] = service.location(accepted)
    return accepted


@router.get(
    "/slides",
    response_model=SlidePage,
    summary="List slides, newest first",
    responses={**describe(*COMMON, service.SlideNotFoundError)},
)
def list_slides(
    session: ReadSession,
    principal: Searcher,
    limit: Annotated[int, Query(ge=1, le=PAGE_MOST, description="Most items on the page")] = PAGE_DEFAULT,
    before: Annotated[str | None, Query(max_length=64, description="`next_before` of the page before")] = None,
    order_id: Annotated[str | None, Query(max_length=64, description="Only slides of this order")] = None,
) -> SlidePage:
    """A page of the facility's slides; follow `next_before` until it is null."""
    return service.newest(session, principal.facility_id, limit, before, order_id)


@router.get(
    "/slides/{slide_id}",
    response_model=SlideAnswer,
    summary="Read what is known of one slide",
    responses={**describe(*COMMON, service.SlideNotFoundError)},
)
def read_slide(runtime: RuntimeDep, session: ReadSession, principal: Reader, slide_id: SlideId) -> SlideAnswer:
    """One slide; recorded as a read where it belongs to an order."""
    slide = service.get(session, principal.facility_id, slide_id)
    if slide.order_id is not None:
        runtime.read_log.record(principal, Action.SLIDE_READ, f"slide:{slide.id}", {"order": slide.order_id})
    return service.answer(slide)


@router.get(
    "/slides/{slide_id}/image",
    summary="Fetch the bytes of a slide as they came",
    response_class=Response,
    responses={
        200: {"content": {"*/*": {}}, "description": "The file, as an attachment"},
        206: {"content": {"*/*": {}}, "description": "One range of it"},
        304: {"description": "The caller has it already (`If-None-Match`)"},
        **describe(
            *COMMON,
            service.SlideNotFoundError,
            delivery.RangeError,
            ContentMissingError,
            StorageUnavailableError,
        ),
    },
)
def read_image(request: Request, runtime: RuntimeDep, principal: Reader, slide_id: SlideId) -> Response:
    """The original file; single ranges are supported. Every fetch is recorded."""
    with runtime.database.read() as session:
        slide = service.get(session, principal.facility_id, slide_id)
    details = {"order": slide.order_id} if slide.order_id is not None else {}
    runtime.read_log.record(principal, Action.SLIDE_READ, f"slide:{slide.id}", {**details, "image": True})
    return delivery.deliver(request, runtime.store, slide)


@router.patch(
    "/slides/{slide_id}",
    response_model=SlideAnswer,
    summary="State the scale of a slide",
    responses={
        **describe(*WRITING, service.SlideNotFoundError, MissingScaleError, AbsurdScaleError, scaling.ScaleKnownError),
    },
)
def state_scale(runtime: RuntimeDep, principal: Changer, slide_id: SlideId, statement: ScaleStatement) -> SlideAnswer:
    """Say the objective or the micrometres per pixel of a slide in `needs-scale`; its screening is requested then.

    A scale that is known (stated when the slide was sent, or in its file) is not changed: 409.
    """
    return service.answer(scaling.state_scale(runtime, principal, slide_id, statement))


@router.delete(
    "/slides/{slide_id}",
    status_code=204,
    summary="Delete a slide",
    responses={
        **describe(*WRITING, service.SlideNotFoundError, service.SlideInUseError, StorageUnavailableError),
    },
)
def delete_slide(runtime: RuntimeDep, principal: Remover, slide_id: SlideId) -> None:
    """Delete one slide and, unless another slide has the same, its bytes; its analyses stay.

    Refused while it is being screened, and while its order is not cancelled. There is no way back: ask the person
    before calling this.
    """
    service.delete(runtime, principal, slide_id)
