"""Slides of dark spots on white glass: quickly made, and the toy network (toy_bundle) finds each spot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyvips
from numpy.typing import NDArray
from toy_bundle import draw_spots

STAMP_PX = 40


def spotted(width_px: int, height_px: int, centres_px: NDArray[np.floating]) -> NDArray[np.uint8]:
    """A white image ``[height, width, 3]`` with a shaded spot of 10 px at each of ``centres_px`` ``[n, 2]``."""
    half = STAMP_PX // 2
    stamp = draw_spots(STAMP_PX, STAMP_PX, np.array([[half, half]]))
    image = np.full((height_px + STAMP_PX, width_px + STAMP_PX, 3), 255, np.uint8)
    for x, y in centres_px.astype(int).tolist():
        place = np.s_[y : y + STAMP_PX, x : x + STAMP_PX]
        image[place] = np.minimum(image[place], stamp)
    return np.ascontiguousarray(image[half : half + height_px, half : half + width_px])


def write_slide(path: Path, image: NDArray[np.uint8], mpp: float = 0.25) -> Path:
    """A tiled, pyramidal, lossless TIFF that states its scale."""
    pyvips.Image.new_from_array(image).copy(xres=1000 / mpp, yres=1000 / mpp).tiffsave(
        str(path), tile=True, tile_width=256, tile_height=256, pyramid=True, compression="deflate", resunit="cm"
    )
    return path
