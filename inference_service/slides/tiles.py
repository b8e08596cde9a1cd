"""From an area of a slide to a JPEG. Runs in the confined processes that read slides (:mod:`.slide_child`)."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tamsoat.inference_service.slides.deep_zoom import Area
from tamsoat.inference_service.slides.pyramid import Pyramid
from tamsoat.inference_service.slides.slide_child import opened

_WHOLE = 1e-3
"""Coordinates this near to a whole pixel are one."""


def area_jpeg(path: Path, media_type: str, area: Area, quality: int) -> bytes:
    """:func:`jpeg` of the slide in a file, which stays open for the next call.

    Raises:
        ImageError, RegionError: as :func:`~tamsoat.inference_service.slides.pyramid.open_pyramid` and
            ``Pyramid.read_region`` raise them.
    """
    with opened(path, media_type) as pyramid:
        return jpeg(pyramid, area, quality)


def jpeg(pyramid: Pyramid, area: Area, quality: int) -> bytes:
    """The area as a baseline JPEG without metadata (and so without the file's labels, names or profiles)."""
    stream = io.BytesIO()
    Image.fromarray(pixels(pyramid, area)).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def pixels(pyramid: Pyramid, area: Area) -> NDArray[np.uint8]:
    """The area as RGB uint8 ``[height_px, width_px, 3]``, from the smallest level that is fine enough.

    Where the level has just the wanted pixels they are returned unchanged; otherwise they are averaged (or, where the
    area is shown larger than the slide was scanned, interpolated).
    """
    info = pyramid.info
    shrink = min((area.right_px - area.left_px) / area.width_px, (area.bottom_px - area.top_px) / area.height_px)
    number = info.level_for(shrink)
    level = info.levels[number]
    across, down = level.width_px / info.width_px, level.height_px / info.height_px
    left, right = _near_whole(area.left_px * across), _near_whole(area.right_px * across)
    top, bottom = _near_whole(area.top_px * down), _near_whole(area.bottom_px * down)
    x_px, y_px = math.floor(left), math.floor(top)
    read = pyramid.read_region(
        number, x_px, y_px, max(1, math.ceil(right) - x_px), max(1, math.ceil(bottom) - y_px), area.plane
    )
    box = (left - x_px, top - y_px, right - x_px, bottom - y_px)
    size = (area.width_px, area.height_px)
    if box == (0, 0, *size):
        return read
    resample = Image.Resampling.BOX if box[2] - box[0] >= size[0] else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(read).resize(size, resample, box), dtype=np.uint8)


def _near_whole(value: float) -> float:
    whole = round(value)
    return float(whole) if abs(value - whole) < _WHOLE else value
