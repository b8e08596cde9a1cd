"""Which reader opens which file."""

from __future__ import annotations

from pathlib import Path

import openslide

from tamsoat.inference_service.slides.image_pyramid import ImagePyramid
from tamsoat.inference_service.slides.openslide_pyramid import OpenSlidePyramid
from tamsoat.inference_service.slides.pyramid import Pyramid
from tamsoat.inference_service.slides.sniff import PLAIN_IMAGES


def open_any(path: Path, media_type: str) -> Pyramid:
    """See :func:`~tamsoat.inference_service.slides.pyramid.open_pyramid`."""
    if media_type in PLAIN_IMAGES:
        return ImagePyramid(path)
    try:
        return OpenSlidePyramid(path)
    except openslide.OpenSlideUnsupportedFormatError:
        return ImagePyramid(path)
