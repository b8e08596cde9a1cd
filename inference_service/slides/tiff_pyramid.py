"""TIFFs that OpenSlide does not read, or reads only in part: OME-TIFF with focal planes, sub-directories, strips."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import numpy as np
import pyvips
from numpy.typing import NDArray

from tamsoat.inference_service.slides.errors import DamagedImageError, UnsupportedImageError
from tamsoat.inference_service.slides.pyramid import Pyramid, PyramidInfo
from tamsoat.inference_service.slides.tiff_pages import TiffLayout, read_layout

_OPEN_LEVELS = 16
_DEFAULT_TILE_PX = 256


class TiffPyramid(Pyramid):
    """See :class:`~tamsoat.inference_service.slides.pyramid.Pyramid`. Pixels through libvips, structure through
    tifffile."""

    def __init__(self, path: Path, layout: TiffLayout | None = None) -> None:
        """Open the file.

        Raises:
            UnsupportedImageError, AnisotropicScaleError: see
                :func:`~tamsoat.inference_service.slides.tiff_pages.read_layout`.
            DamagedImageError: the pixels cannot be read.
        """
        self._path = path
        self._layout = layout or read_layout(path)
        self._opened: OrderedDict[tuple[int, int], pyvips.Image] = OrderedDict()
        levels = self._layout.levels
        planes = len(self._layout.directories)
        tile_px = self._layout.tile_px or (_DEFAULT_TILE_PX, _DEFAULT_TILE_PX)
        self.info = PyramidInfo(
            format=self._layout.format,
            width_px=levels[0].width_px,
            height_px=levels[0].height_px,
            mpp=self._layout.mpp,
            objective=self._layout.objective,
            levels=levels,
            tile_width_px=tile_px[0],
            tile_height_px=tile_px[1],
            planes=planes,
            best_plane=planes // 2,
            plane_um=self._layout.plane_um,
        )
        first = self._image(0, 0)
        if (first.width, first.height) != (levels[0].width_px, levels[0].height_px):
            raise DamagedImageError("the directories of the TIFF contradict each other; export it again")

    def _image(self, level: int, plane: int) -> pyvips.Image:
        key = (level, plane)
        if key not in self._opened:
            where = self._layout.directories[plane][level]
            try:
                image = pyvips.Image.tiffload(str(self._path), page=where.page, subifd=where.subifd, fail_on="error")
                self._opened[key] = to_rgb(image)
            except pyvips.Error as error:
                raise _damaged(error) from None
            while len(self._opened) > _OPEN_LEVELS:
                self._opened.popitem(last=False)
        self._opened.move_to_end(key)
        return self._opened[key]

    def _read_inside(
        self, level: int, x_px: int, y_px: int, width_px: int, height_px: int, plane: int
    ) -> NDArray[np.uint8]:
        image = self._image(level, plane)
        try:
            data = pyvips.Region.new(image).fetch(x_px, y_px, width_px, height_px)
        except pyvips.Error as error:
            raise _damaged(error) from None
        return np.frombuffer(bytearray(data), np.uint8).reshape(height_px, width_px, 3)

    def close(self) -> None:
        self._opened.clear()


def to_rgb(image: pyvips.Image) -> pyvips.Image:
    """8-bit sRGB, transparency over white; of 16 bits per channel the high byte, as for single fields.

    Raises:
        UnsupportedImageError: pixels without a defined way to RGB.
    """
    if image.format == "ushort":
        image = (image >> 8).cast("uchar").copy(interpretation="srgb" if image.bands >= 3 else "b-w")
    if image.format != "uchar":
        raise UnsupportedImageError(
            f"pixels of type {image.format} have no defined conversion to RGB; export 8-bit RGB"
        )
    if image.hasalpha():
        image = image.flatten(background=255)
    if image.interpretation != "srgb":
        image = image.colourspace("srgb")
    if image.bands != 3:
        raise UnsupportedImageError(f"an image of {image.bands} channels has no defined conversion to RGB")
    return image


def _damaged(error: pyvips.Error) -> DamagedImageError:
    lines = [line for line in str(error).splitlines() if line.strip()]
    shown = lines[-1].strip()[:160] if lines else "no reason given"
    return DamagedImageError(f"the TIFF is damaged or cut short ({shown}); copy it again")
