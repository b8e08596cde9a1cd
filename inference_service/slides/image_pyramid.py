"""A plain image (JPEG, PNG, BMP, WebP, small TIFF) as a pyramid: decoded whole, smaller levels computed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tamsoat.inference_service.slides.decode import DecodeLimits, decode_file
from tamsoat.inference_service.slides.pyramid import Level, Pyramid, PyramidInfo

FORMAT = "field"
SMALLEST_LEVEL_PX = 512
LIMITS = DecodeLimits(max_bytes=512 * 2**20, max_pixels=64_000_000)
_TILE_PX = 512


class ImagePyramid(Pyramid):
    """See :class:`~tamsoat.inference_service.slides.pyramid.Pyramid`. Upright, as the screening sees it.

    A plain image states no scale that could be relied on (``mpp`` is None): a person states it.
    """

    def __init__(self, path: Path, name: str = "image") -> None:
        """Decode the image.

        Raises:
            ImageError: any of its subclasses, as
                :func:`~tamsoat.inference_service.slides.decode.decode_file` raises them.
        """
        pixels = decode_file(path, name=name, limits=LIMITS).pixels
        self._levels = [pixels]
        while max(self._levels[-1].shape[:2]) > SMALLEST_LEVEL_PX:
            self._levels.append(np.asarray(Image.fromarray(self._levels[-1]).reduce(2), dtype=np.uint8))
        self.info = describe(tuple(computed_levels(pixels.shape[1], pixels.shape[0])))

    def _read_inside(
        self, level: int, x_px: int, y_px: int, width_px: int, height_px: int, plane: int
    ) -> NDArray[np.uint8]:
        return self._levels[level][y_px : y_px + height_px, x_px : x_px + width_px].copy()

    def close(self) -> None:
        self._levels.clear()


def computed_levels(width_px: int, height_px: int) -> Iterator[Level]:
    """The levels of a plain image: each half of the one before, until it fits into 512 px."""
    downsample = 1
    while True:
        yield Level(width_px, height_px, float(downsample))
        if max(width_px, height_px) <= SMALLEST_LEVEL_PX:
            return
        width_px, height_px, downsample = -(-width_px // 2), -(-height_px // 2), downsample * 2


def describe(levels: tuple[Level, ...]) -> PyramidInfo:
    """What a plain image of these levels says of itself."""
    return PyramidInfo(
        format=FORMAT,
        width_px=levels[0].width_px,
        height_px=levels[0].height_px,
        mpp=None,
        objective=None,
        levels=levels,
        tile_width_px=_TILE_PX,
        tile_height_px=_TILE_PX,
    )
