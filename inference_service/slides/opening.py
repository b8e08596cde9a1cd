"""Which reader opens which file. Libraries are imported where they are needed: a child needs one or two of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import openslide

from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.slides.errors import DamagedImageError, ImageTooLargeError, UnsupportedImageError
from tamsoat.inference_service.slides.image_pyramid import ImagePyramid
from tamsoat.inference_service.slides.openslide_pyramid import OpenSlidePyramid
from tamsoat.inference_service.slides.pyramid import LARGEST_SINGLE_LEVEL_PX, Pyramid
from tamsoat.inference_service.slides.sniff import DICOM, PLAIN_IMAGES, TIFF

LARGEST_SIDE_PX = 500_000
"""No scanner makes more; a larger statement is damage or harm."""


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
    except Exception as error:  # noqa: BLE001
        reason = str(error).strip().splitlines()
        shown = reason[0][:120] if reason else type(error).__name__
        raise DamagedImageError(f"the slide is damaged or incomplete ({shown}); copy it again") from None


def open_any(path: Path, media_type: str) -> Pyramid:
    """See :func:`~tamsoat.inference_service.slides.pyramid.open_pyramid`."""
    with damage_named():
        pyramid = _open(path, media_type)
    if max(pyramid.info.width_px, pyramid.info.height_px) > LARGEST_SIDE_PX:
        pyramid.close()
        raise ImageTooLargeError(f"the slide says that it is larger than {LARGEST_SIDE_PX} px a side")
    return pyramid


def _open(path: Path, media_type: str) -> Pyramid:
    if media_type in PLAIN_IMAGES:
        return ImagePyramid(path)
    if media_type == DICOM:
        return _open_dicom(path)
    if media_type == TIFF:
        return _open_tiff(path)
    try:
        return OpenSlidePyramid(path)
    except openslide.OpenSlideUnsupportedFormatError:
        raise UnsupportedImageError("the files are not a slide that can be read") from None


def _open_tiff(path: Path) -> Pyramid:
    """OME-TIFF by its own reader (OpenSlide would see one plane of it), then OpenSlide, then what is left."""
    from tamsoat.inference_service.slides.tiff_pages import is_ome, read_layout, refuse_olympus

    if is_ome(path):
        return _tiff_pyramid(path)
    try:
        return OpenSlidePyramid(path)
    except openslide.OpenSlideUnsupportedFormatError:
        refuse_olympus(path)
        layout = read_layout(path)
    largest = layout.levels[0]
    if max(largest.width_px, largest.height_px) <= LARGEST_SINGLE_LEVEL_PX:
        return ImagePyramid(path)
    return _tiff_pyramid(path)


def _tiff_pyramid(path: Path) -> Pyramid:
    from tamsoat.inference_service.slides.tiff_pyramid import TiffPyramid

    return TiffPyramid(path)


def _open_dicom(path: Path) -> Pyramid:
    from tamsoat.inference_service.slides.dicom_pyramid import DicomPyramid, focal_planes_of, instances_beside

    if focal_planes_of(path) == 1:
        with contextlib.suppress(openslide.OpenSlideUnsupportedFormatError):
            return OpenSlidePyramid(path)
    return DicomPyramid(instances_beside(path))
