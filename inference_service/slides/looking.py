"""What a file says of itself, without decoding its pixels: size, scale, levels, planes. Runs in a confined process."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

from PIL import Image

from tamsoat.inference_service.slides import image_pyramid
from tamsoat.inference_service.slides.errors import ImageTooLargeError
from tamsoat.inference_service.slides.opening import damage_named, open_any
from tamsoat.inference_service.slides.pyramid import Level, PyramidInfo
from tamsoat.inference_service.slides.sniff import PLAIN_IMAGES

LARGEST_PLAIN_PIXELS = 2_500_000_000
"""Of a JPEG, PNG, BMP or WebP."""
_ORIENTATION = 0x0112
_TURNED = (5, 6, 7, 8)


def look(path: Path, media_type: str) -> PyramidInfo:
    """The slide as :func:`~tamsoat.inference_service.slides.pyramid.open_pyramid` would open it, opened only for this.

    A plain image that is too large to lie in memory has one level here: it is read from a pyramid built from it.

    Raises:
        ImageError, AnisotropicScaleError: it cannot be opened.
    """
    if media_type not in PLAIN_IMAGES:
        with open_any(path, media_type) as pyramid:
            return pyramid.info
    with damage_named():
        return _plain(path)


def _plain(path: Path) -> PyramidInfo:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # our own limit is checked below
        try:
            with path.open("rb") as stream, Image.open(io.BufferedReader(stream)) as image:
                width_px, height_px = image.size
                if image.getexif().get(_ORIENTATION) in _TURNED:
                    width_px, height_px = height_px, width_px
        finally:
            Image.MAX_IMAGE_PIXELS = limit
    if width_px * height_px > LARGEST_PLAIN_PIXELS:
        raise ImageTooLargeError(f"the image has {width_px} x {height_px} px: more than a plain image may have")
    levels = [Level(width_px, height_px, 1.0)]
    if width_px * height_px <= image_pyramid.LIMITS.max_pixels:
        levels = list(image_pyramid.computed_levels(width_px, height_px))
    return image_pyramid.describe(tuple(levels))
