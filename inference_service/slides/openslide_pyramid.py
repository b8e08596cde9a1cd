"""Whole slides that OpenSlide reads: Aperio, Hamamatsu, MIRAX, Leica, Ventana, Trestle, Philips, DICOM, tiled TIFF."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import openslide
from numpy.typing import NDArray
from PIL import Image

from tamsoat.inference_service.slides.errors import DamagedImageError
from tamsoat.inference_service.slides.pyramid import Level, Pyramid, PyramidInfo
from tamsoat.inference_service.slides.scale_of_file import mean_mpp, number

FORMAT = "openslide:"
_DEFAULT_TILE_PX = 256
_OPAQUE = 255
_UM_PER_INCH = 25_400.0


class OpenSlidePyramid(Pyramid):
    """See :class:`~tamsoat.inference_service.slides.pyramid.Pyramid`. One focal plane: the one OpenSlide chooses."""

    def __init__(self, path: Path) -> None:
        """Open the slide.

        Raises:
            openslide.OpenSlideUnsupportedFormatError: OpenSlide does not know the format.
            DamagedImageError: it knows it, and the file is damaged or a part of it is missing.
            AnisotropicScaleError: the pixels are not square.
        """
        try:
            self._slide = openslide.OpenSlide(str(path))
        except openslide.OpenSlideUnsupportedFormatError:
            raise
        except openslide.OpenSlideError as error:
            raise DamagedImageError(f"the slide is damaged or incomplete ({_short(error)}); copy it again") from error
        try:
            self.info = self._describe()
        except openslide.OpenSlideError as error:
            self.close()
            raise DamagedImageError(f"the slide is damaged ({_short(error)}); copy it again") from error
        except BaseException:
            self.close()
            raise

    def _describe(self) -> PyramidInfo:
        slide, properties = self._slide, self._slide.properties
        levels = tuple(
            Level(width, height, float(downsample))
            for (width, height), downsample in zip(slide.level_dimensions, slide.level_downsamples, strict=True)
        )
        return PyramidInfo(
            format=FORMAT + properties.get(openslide.PROPERTY_NAME_VENDOR, "unknown"),
            width_px=levels[0].width_px,
            height_px=levels[0].height_px,
            mpp=mean_mpp(
                _mpp(properties, openslide.PROPERTY_NAME_MPP_X, "X"),
                _mpp(properties, openslide.PROPERTY_NAME_MPP_Y, "Y"),
            ),
            objective=number(properties.get(openslide.PROPERTY_NAME_OBJECTIVE_POWER)),
            levels=levels,
            tile_width_px=_tile(properties, "width"),
            tile_height_px=_tile(properties, "height"),
        )

    def _read_inside(
        self, level: int, x_px: int, y_px: int, width_px: int, height_px: int, plane: int
    ) -> NDArray[np.uint8]:
        downsample = self.info.levels[level].downsample
        corner = (round(x_px * downsample), round(y_px * downsample))
        try:
            image = self._slide.read_region(corner, level, (width_px, height_px))
        except openslide.OpenSlideError as error:
            raise DamagedImageError(
                f"the slide is damaged at {corner[0]}, {corner[1]} px ({_short(error)}); copy it again"
            ) from error
        return _over_white(image)

    def close(self) -> None:
        self._slide.close()


def _over_white(image: Image.Image) -> NDArray[np.uint8]:
    if image.getchannel("A").getextrema()[0] != _OPAQUE:
        image = Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255, 255)), image)
    return np.array(image.convert("RGB"), dtype=np.uint8)


def _mpp(properties: Mapping[str, str], name: str, axis: str) -> float | None:
    """OpenSlide's own value; of a generic TIFF also from dots per inch, which OpenSlide leaves out."""
    value = number(properties.get(name))
    if value is None and properties.get("tiff.ResolutionUnit") == "inch":
        dots = number(properties.get(f"tiff.{axis}Resolution"))
        value = _UM_PER_INCH / dots if dots else None
    return value


def _tile(properties: Mapping[str, str], side: str) -> int:
    value = number(properties.get(f"openslide.level[0].tile-{side}"))
    return int(value) if value is not None and 0 < value <= 4096 else _DEFAULT_TILE_PX


def _short(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0][:160] if text else type(error).__name__
