"""HTTP of screening: analyse one field image while the caller waits."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import structlog
from anyio import to_thread
from fastapi import APIRouter, Depends, File, Form, Request, UploadFile

from tamsoat.inference_service.accounts.access import READERS, ForbiddenError, NotSignedInError, Principal, Role, allow
from tamsoat.inference_service.db.session import DatabaseUnavailableError, StorageFullError
from tamsoat.inference_service.engine.errors import EngineError, EngineInputError
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.screening import service
from tamsoat.inference_service.screening.answers import AnalysisAnswer
from tamsoat.inference_service.screening.scale import AbsurdScaleError, MissingScaleError, resolve_scale
from tamsoat.inference_service.settings import Settings
from tamsoat.inference_service.slides import errors as image_errors
from tamsoat.inference_service.slides.sandbox import DecoderClosedError
from tamsoat.inference_service.transport import idempotency
from tamsoat.inference_service.transport.admission import AdmittedRoute, BusyError
from tamsoat.inference_service.transport.idempotency import IdempotentRoute, idempotency_key
from tamsoat.inference_service.transport.problems import InvalidRequestError, describe
from tamsoat.inference_service.transport.uploads import BodyRule, UploadTooLargeError, UploadTooSlowError

log = structlog.get_logger("tamsoat.screening")


class InferenceRoute(AdmittedRoute, IdempotentRoute):
    """Takes a place first, then looks at the ``Idempotency-Key``."""


inference = APIRouter(prefix="/api/v1", tags=["screening"], route_class=InferenceRoute)


class ClientGoneError(TamsoatError):
    """The client closed the connection before its image was analysed; nothing was stored."""

    status = 499
    title = "Client closed the connection"
    slug = "client-gone"


def body_rule(settings: Settings) -> BodyRule:
    """An image may be as large as the settings say, and has as long as they say."""
    time_s = settings.upload_timeout_s
    return BodyRule("/api/v1/inference", settings.max_upload_bytes, time_s, time_s, None)


async def get_runtime(request: Request) -> Runtime:
    """What the process has open."""
    runtime: Runtime = request.app.state.runtime
    return runtime


RuntimeDep = Annotated[Runtime, Depends(get_runtime)]


@inference.post(
    "/inference",
    response_model=AnalysisAnswer,
    summary="Screen one field image",
    dependencies=[idempotency_key()],
    responses={
        **describe(
            NotSignedInError,
            ForbiddenError,
            MissingScaleError,
            image_errors.EmptyImageError,
            UploadTooSlowError,
            UploadTooLargeError,
            image_errors.ImageTooLargeError,
            image_errors.UnsupportedImageError,
            InvalidRequestError,
            AbsurdScaleError,
            image_errors.DamagedImageError,
            image_errors.DecodeTimeoutError,
            image_errors.DecodeCrashedError,
            DecoderClosedError,
            image_errors.MultiPageImageError,
            image_errors.ImageTooSmallError,
            EngineInputError,
            EngineError,
            BusyError,
            DatabaseUnavailableError,
            StorageFullError,
            *idempotency.ERRORS,
        )
    },
)
async def infer(
    request: Request,
    runtime: RuntimeDep,
    principal: Annotated[Principal, allow(*READERS, Role.RESEARCHER, Role.INTEGRATOR, scope="system/Observation.c")],
    image: Annotated[UploadFile, File(description="One microscope field: JPEG, PNG, TIFF, BMP or WebP")],
    objective: Annotated[
        float | None, Form(description="Magnification of the objective (10, 20, 40, 60, 100)", examples=[40])
    ] = None,
    mpp: Annotated[
        float | None, Form(description="Micrometres per pixel, instead of the objective", examples=[0.25])
    ] = None,
) -> AnalysisAnswer:
    """Find and grade the nuclei of one image, store the analysis with its audit entry, and answer it.

    State exactly one of `objective` and `mpp`; the scale is never guessed. When the answer arrives, the analysis
    is already stored durably; when an error arrives instead, nothing was stored.
    """
    scale_mpp = resolve_scale(objective, mpp)
    async with runtime.admission.slot():
        if await request.is_disconnected():
            raise ClientGoneError("the client left before its image was analysed; nothing was stored")
        data = await image.read()
        await image.close()
        screened = await to_thread.run_sync(
            partial(service.screen, runtime.engine, data, scale_mpp, runtime.limits, runtime.decoder)
        )
        del data
        if await request.is_disconnected():
            raise ClientGoneError("the client left before its analysis was stored; nothing was stored")
        # The transaction begins and commits inside this one call: the write lock is never held while the
        # event loop does something else, and no answer can leave before the commit.
        await to_thread.run_sync(partial(service.store, runtime.database, screened, principal))
    answer = screened.answer
    runtime.metrics.inference_seconds.observe(answer.seconds)
    runtime.metrics.tiles.inc(screened.tiles)
    runtime.metrics.analyses.labels(answer.field.triage).inc()
    log.info(
        "analysis_stored",
        analysis_id=answer.analysis_id,
        cells=len(answer.cells),
        tiles=screened.tiles,
        seconds=round(answer.seconds, 4),
    )
    return answer
