"""What a browser sees of a slide: its outline, its tiles, a thumbnail, crops around a place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from tamsoat.inference_service.accounts.access import Principal
from tamsoat.inference_service.audit.schemas import Action
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.slides import tiles
from tamsoat.inference_service.slides.deep_zoom import TILE_PX, Area, DeepZoom, TileNotFoundError
from tamsoat.inference_service.uploads.slide_files import readable
from tamsoat.inference_service.uploads.tables import Slide
from tamsoat.inference_service.viewing.cache import TileCache
from tamsoat.inference_service.viewing.schemas import Condition, SlideView
from tamsoat.inference_service.viewing.sights import Sight, Sights, find_slide

THUMBNAIL_PX = 512
"""Longest side of a thumbnail."""


class ScaleUnknownError(TamsoatError):
    """What was asked for in micrometres cannot be found: the scale of this slide was not stated yet."""

    status = 409
    title = "Scale of the slide is not stated"
    slug = "slide-scale-unknown"


@dataclass(frozen=True)
class Picture:
    """Something to be shown; ``name`` is its place in the cache and changes with everything that it depends on."""

    sight: Sight
    area: Area
    name: str


def find(runtime: Runtime, sights: Sights, principal: Principal, slide_id: str) -> Sight:
    """What the caller may look at; the reading is recorded unless one was within the hour. Blocks.

    Raises:
        SlideNotFoundError: nothing.
        SlideNotReadyError, SlideUnreadableError: it cannot be looked at (yet).
        ImageError: the file is damaged.
    """
    with runtime.database.read() as session:
        slide = find_slide(session, principal, slide_id)
        session.expunge_all()
    sight = _look(runtime, slide)
    if not sights.is_recorded(principal, slide_id):
        _record(runtime, sights, principal, slide)
    sights.put(principal, sight)
    return sight


def view(runtime: Runtime, sights: Sights, principal: Principal, slide_id: str) -> SlideView:
    """What the viewer needs before it asks for tiles; recorded as a reading of the slide, each time. Blocks.

    Raises: as :func:`find`.
    """
    fresh = not sights.is_recorded(principal, slide_id)
    sight = find(runtime, sights, principal, slide_id)
    if not fresh:
        _record(runtime, sights, principal, sight.slide)
    slide = sight.slide
    return SlideView(
        slide_id=slide.id,
        case_id=slide.case_id,
        width_px=sight.zoom.width_px,
        height_px=sight.zoom.height_px,
        mpp=slide.mpp,
        tile_px=TILE_PX,
        levels=sight.zoom.levels,
        objective=slide.objective,
        planes=slide.planes,
        best_plane=sight.best_plane,
        format=slide.format,
        condition=cast(Condition, slide.condition),
        thumbnail=f"/api/v1/slides/{slide.id}/thumbnail.jpg",
    )


def tile(sight: Sight, quality: int, level: int, column: int, row: int, plane: int) -> Picture:
    """A Deep Zoom tile.

    Raises:
        TileNotFoundError: there is none.
    """
    area = sight.zoom.tile(level, column, row, _plane(sight, plane))
    return Picture(sight, area, f"{sight.sha256}-{quality}-{plane}-{level}-{column}_{row}")


def thumbnail(sight: Sight, quality: int) -> Picture:
    """The whole slide, never its label or the photograph of its glass: both may show names."""
    area = sight.zoom.whole(THUMBNAIL_PX, sight.best_plane)
    return Picture(sight, area, f"{sight.sha256}-{quality}-{sight.best_plane}-thumbnail")


def crop_of(
    sight: Sight, quality: int, x_px: float | None, y_px: float | None, side_um: float, px: int, plane: int | None
) -> Picture:
    """A square around a place (default: the middle of the slide), as :func:`crop`.

    Raises:
        ScaleUnknownError: the slide's scale is not known.
        TileNotFoundError: the place is not on the slide.
    """
    plane = _plane(sight, sight.best_plane if plane is None else plane)
    zoom = sight.zoom
    centre = (zoom.width_px / 2 if x_px is None else x_px, zoom.height_px / 2 if y_px is None else y_px)
    area = _square(sight.slide, zoom, centre, side_um, px, plane)
    where = f"{centre[0]:.1f}_{centre[1]:.1f}_{side_um:.1f}_{px}".replace(".", "-")
    return Picture(sight, area, f"{sight.sha256}-{quality}-{plane}-crop-{where}")


def make(runtime: Runtime, cache: TileCache, picture: Picture) -> bytes:
    """Read the slide in a confined process, encode, and keep the result. Blocks.

    Raises:
        ImageError: the slide is damaged there.
        SlideNotReadyError, SlideUnreadableError, DecoderClosedError, StorageUnavailableError, ContentMissingError.
    """
    data = _jpeg(runtime, picture.sight.slide, picture.area)
    cache.put(picture.name, data)
    return data


def crop(runtime: Runtime, slide: Slide, x_px: float, y_px: float, side_um: float, px: int) -> bytes:
    """A JPEG of ``px`` x ``px`` around a place, in the best focal plane; white beyond the slide. Blocks.

    Args:
        x_px, y_px: the middle, in level-0 pixels.
        side_um: side of the square on the specimen.

    Raises:
        ScaleUnknownError: the slide's scale is not known.
        TileNotFoundError: the place is not on the slide.
        Exception: as :func:`make`.
    """
    sight = _look(runtime, slide)
    area = _square(slide, sight.zoom, (x_px, y_px), side_um, px, sight.best_plane)
    return _jpeg(runtime, slide, area)


def _square(slide: Slide, zoom: DeepZoom, centre_px: tuple[float, float], side_um: float, px: int, plane: int) -> Area:
    if slide.mpp is None:
        raise ScaleUnknownError("the scale of this slide was not stated: state it first")
    x_px, y_px = centre_px
    if not (0 <= x_px <= zoom.width_px and 0 <= y_px <= zoom.height_px):
        raise TileNotFoundError(f"the slide has {zoom.width_px} x {zoom.height_px} px")
    half_px = side_um / slide.mpp / 2
    return Area(x_px - half_px, y_px - half_px, x_px + half_px, y_px + half_px, px, px, plane)


def _jpeg(runtime: Runtime, slide: Slide, area: Area) -> bytes:
    with readable(runtime, slide) as file:
        return runtime.slides.call(tiles.area_jpeg, *file, area, runtime.settings.tile_quality)


def _look(runtime: Runtime, slide: Slide) -> Sight:
    """The slide with its size; the file is asked where the row does not say enough."""
    if slide.width_px is not None and slide.height_px is not None and slide.planes == 1:
        return Sight(slide, DeepZoom(slide.width_px, slide.height_px), 0)
    with readable(runtime, slide) as file:
        info = runtime.slides.describe(*file)
    return Sight(slide, DeepZoom(info.width_px, info.height_px), info.best_plane)


def _plane(sight: Sight, plane: int) -> int:
    if not 0 <= plane < sight.slide.planes:
        raise TileNotFoundError(f"the slide has {sight.slide.planes} focal planes")
    return plane


def _record(runtime: Runtime, sights: Sights, principal: Principal, slide: Slide) -> None:
    details = {} if slide.order_id is None else {"order": slide.order_id}
    runtime.read_log.record(principal, Action.SLIDE_READ, f"slide:{slide.id}", details)
    sights.recorded(principal, slide.id)
