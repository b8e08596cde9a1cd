"""Which reader opens which file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import openslide

from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.slides.errors import DamagedImageError
from tamsoat.inference_service.slides.image_pyramid import ImagePyramid
from tamsoat.inference_service.slides.openslide_pyramid import OpenSlidePyramid
from tamsoat.inference_service.slides.pyramid import Pyramid
from tamsoat.inference_service.slides.sniff import PLAIN_IMAGES


@contextlib.contextmanager
def damage_named() -> Iterator[None]:
    """Turn whatever a library raises on damaged content into one error of ours; memory and our own errors pass.

    Raises:
        DamagedImageError: the library failed.
    """
    try:
        yield
    except (TamsoatError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001: the libraries raise anything on hostile content
        reason = str(error).strip().splitlines()
        shown = reason[0][:120] if reason else type(error).__name__
        raise DamagedImageError(f"the slide is damaged or incomplete ({shown}); copy it again") from None


def open_any(path: Path, media_type: str) -> Pyramid:
    """See :func:`~tamsoat.inference_service.slides.pyramid.open_pyramid`."""
    with damage_named():
        if media_type in PLAIN_IMAGES:
            return ImagePyramid(path)
        try:
            return OpenSlidePyramid(path)
        except openslide.OpenSlideUnsupportedFormatError:
            return ImagePyramid(path)
