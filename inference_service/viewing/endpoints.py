"""HTTP of viewing: what the viewer needs of a slide, and its pictures. Who may look is checked for each of them."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from tamsoat.inference_service.accounts.access import READERS, ForbiddenError, NotSignedInError, Principal, Role, allow
from tamsoat.inference_service.db.session import DatabaseUnavailableError, StorageFullError
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.settings import Settings
from tamsoat.inference_service.slides import errors as image_errors
from tamsoat.inference_service.slides.deep_zoom import TileNotFoundError
from tamsoat.inference_service.slides.sandbox import DecoderClosedError
from tamsoat.inference_service.storage.store import ContentAlteredError, ContentMissingError, StorageUnavailableError
from tamsoat.inference_service.transport import conditional
from tamsoat.inference_service.transport.problems import InvalidRequestError, describe
from tamsoat.inference_service.uploads.service import SlideNotFoundError
from tamsoat.inference_service.uploads.slide_files import SlideNotReadyError, SlideUnreadableError
from tamsoat.inference_service.viewing import service
from tamsoat.inference_service.viewing.cache import open_cache
from tamsoat.inference_service.viewing.schemas import SlideView
from tamsoat.inference_service.viewing.sights import Sight, Sights
from tamsoat.inference_service.viewing.turns import TilesBusyError, TileTurns

A_YEAR_S = 365 * 24 * 3600
CACHE_READERS = 4
"""Threads that fetch finished tiles from disk."""
HEADERS = {"Cache-Control": f"private, max-age={A_YEAR_S}, immutable", "Vary": "Authorization, Cookie"}
"""A picture never changes under its address; whoever signs in next in the same browser asks again."""

router = APIRouter(prefix="/api/v1", tags=["viewing"])


class Viewing:
    """What a process remembers for its viewers; belongs to the event loop."""

    def __init__(self, settings: Settings, makers: int) -> None:
        self.cache = open_cache(settings)
        self.sights = Sights()
        self.turns = TileTurns(makers, settings.queued_tiles)
        self.readers = CapacityLimiter(CACHE_READERS)


async def get_runtime(request: Request) -> Runtime:
    """What the process has open."""
    runtime: Runtime = request.app.state.runtime
    return runtime


RuntimeDep = Annotated[Runtime, Depends(get_runtime)]
Reader = Annotated[Principal, allow(*READERS, Role.INTEGRATOR, scope="system/Media.r")]
SlideId = Annotated[str, Path(max_length=64, description="From the answer to a sent slide")]
Number = Annotated[int, Path(ge=0, le=2**31 - 1, description="Deep Zoom number, from 0")]
Plane = Annotated[int, Query(ge=0, le=1000, description="Focal plane")]

_ERRORS = (
    NotSignedInError,
    ForbiddenError,
    InvalidRequestError,
    DatabaseUnavailableError,
    StorageFullError,
    StorageUnavailableError,
    ContentMissingError,
    ContentAlteredError,
    DecoderClosedError,
    SlideNotFoundError,
    SlideNotReadyError,
    SlideUnreadableError,
    image_errors.DamagedImageError,
    image_errors.DecodeTimeoutError,
    image_errors.DecodeCrashedError,
)
_PICTURE_ERRORS = (*_ERRORS, TileNotFoundError, TilesBusyError)
_JPEG: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/jpeg": {}}, "description": "A JPEG, to be kept by the browser for a year"},
    304: {"description": "`If-None-Match` names it"},
}


@router.get(
    "/slides/{slide_id}/view",
    response_model=SlideView,
    summary="What a viewer needs of a slide",
    responses={**describe(*_ERRORS)},
)
def view_slide(request: Request, runtime: RuntimeDep, principal: Reader, slide_id: SlideId) -> SlideView:
    """Size, scale, levels, focal planes. Asked for when somebody opens the slide, and recorded in the audit log.

    Also for a slide of another facility about which a colleague there has asked the caller.
    """
    return service.view(runtime, _viewing(request).sights, principal, slide_id)


@router.get(
    "/slides/{slide_id}/tiles/{level}/{column}_{row}.jpg",
    summary="One Deep Zoom tile of a slide",
    response_class=Response,
    responses={**_JPEG, **describe(*_PICTURE_ERRORS)},
)
async def read_tile(
    request: Request,
    runtime: RuntimeDep,
    principal: Reader,
    slide_id: SlideId,
    level: Number,
    column: Number,
    row: Number,
    plane: Plane = 0,
) -> Response:
    """A square of 256 px, smaller at the right and lower edges. The highest level is full resolution."""
    sight = await _sight(request, runtime, principal, slide_id)
    picture = service.tile(sight, runtime.settings.tile_quality, level, column, row, plane)
    return await _answer(request, runtime, picture)


@router.get(
    "/slides/{slide_id}/thumbnail.jpg",
    summary="A picture of the whole slide",
    response_class=Response,
    responses={**_JPEG, **describe(*_PICTURE_ERRORS)},
)
async def read_thumbnail(request: Request, runtime: RuntimeDep, principal: Reader, slide_id: SlideId) -> Response:
    """At most 512 px on a side. Of the specimen: never the label of the glass."""
    sight = await _sight(request, runtime, principal, slide_id)
    return await _answer(request, runtime, service.thumbnail(sight, runtime.settings.tile_quality))


@router.get(
    "/slides/{slide_id}/crop.jpg",
    summary="A square of a slide around a place",
    response_class=Response,
    responses={**_JPEG, **describe(*_PICTURE_ERRORS, service.ScaleUnknownError)},
)
async def read_crop(
    request: Request,
    runtime: RuntimeDep,
    principal: Reader,
    slide_id: SlideId,
    x: Annotated[
        float | None, Query(ge=0, le=2**31, allow_inf_nan=False, description="Middle, level-0 pixels; absent: half")
    ] = None,
    y: Annotated[
        float | None, Query(ge=0, le=2**31, allow_inf_nan=False, description="Middle, level-0 pixels; absent: half")
    ] = None,
    side_um: Annotated[
        float, Query(ge=5, le=1000, allow_inf_nan=False, description="Side on the specimen, micrometres")
    ] = 80.0,
    px: Annotated[int, Query(ge=16, le=1024, description="Side of the picture, pixels")] = 256,
    plane: Annotated[int | None, Query(ge=0, le=1000, description="Focal plane; absent: the best")] = None,
) -> Response:
    """For galleries and key images; white beyond the edge of the slide."""
    sight = await _sight(request, runtime, principal, slide_id)
    quality = runtime.settings.tile_quality
    return await _answer(request, runtime, service.crop_of(sight, quality, x, y, side_um, px, plane))


async def _sight(request: Request, runtime: Runtime, principal: Principal, slide_id: str) -> Sight:
    sights = _viewing(request).sights
    sight = sights.recent(principal, slide_id)
    if sight is not None:
        return sight
    return await to_thread.run_sync(service.find, runtime, sights, principal, slide_id)


async def _answer(request: Request, runtime: Runtime, picture: service.Picture) -> Response:
    headers = {**HEADERS, "ETag": conditional.etag_of(picture.name)}
    if conditional.is_known(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    viewing = _viewing(request)
    data = await to_thread.run_sync(viewing.cache.get, picture.name, limiter=viewing.readers)
    if data is None:
        data = await viewing.turns.once(picture.name, partial(service.make, runtime, viewing.cache, picture))
    return Response(data, headers=headers, media_type="image/jpeg")


def _viewing(request: Request) -> Viewing:
    viewing: Viewing = request.app.state.viewing
    return viewing
