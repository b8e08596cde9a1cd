"""How good one tile of a slide is, and which focal plane shows it best.

A tile is too small to bring its own empty glass, so the colour of the glass is that of the slide. The verdict is told
with the findings and never keeps a tile from being analysed.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tamsoat.inference_service.slides.quality import (
    COLOUR_MPP,
    FOCUS_MPP,
    STAINED_DENSITY,
    block_sharpness,
    density_of,
    is_cytology_stain,
    is_over_exposed,
)

MIN_TILE_SHARPNESS = 0.12
"""Fine detail over contrast in the sharpest tenth of a tile. Lower than that of a field (0.20): parts of a sharp field
hold cytoplasm alone. 1,092 tiles of 512 px of 182 usable fields: lowest 0.26, 1st percentile 0.48; the same blurred by
a Gaussian of 3 px of 0.25 micron: median 0.04, 99th percentile 0.11."""


class TileQuality(IntEnum):
    """What a map of a slide says of each tile."""

    NOT_ANALYSED = 0
    """Empty glass, or not reached yet."""
    GOOD = 1
    SPARSE = 2
    """Too little in it to judge the focus by."""
    OUT_OF_FOCUS = 3
    OVER_EXPOSED = 4
    NOT_CYTOLOGY_STAIN = 5
    """Pen, rims of bubbles, other dyes."""


def judge_tile(pixels: NDArray[np.uint8], mpp: float, glass: NDArray[np.floating]) -> TileQuality:
    """Judge one tile, uint8 RGB ``[height, width, 3]`` of ``mpp`` microns per pixel.

    Args:
        glass: ``[3]`` colour of the slide's empty glass.
    """
    image = Image.fromarray(pixels)
    colour = np.asarray(image.reduce(_factor(COLOUR_MPP, mpp)))
    density = density_of(colour, glass)
    mean_density = density.mean(axis=2)
    if not (mean_density > STAINED_DENSITY).any():
        return TileQuality.SPARSE
    if not is_cytology_stain(glass, density, mean_density):
        return TileQuality.NOT_CYTOLOGY_STAIN
    if is_over_exposed(colour, mean_density):
        return TileQuality.OVER_EXPOSED
    grey = np.asarray(image.convert("L").reduce(_factor(FOCUS_MPP, mpp)), dtype=np.float32)
    blocks, wanted = block_sharpness(grey)
    if len(blocks) < max(wanted, 1):
        return TileQuality.SPARSE
    sharp = float(np.percentile(blocks, 90)) >= MIN_TILE_SHARPNESS
    return TileQuality.GOOD if sharp else TileQuality.OUT_OF_FOCUS


def focus_energy(pixels: NDArray[np.uint8]) -> float:
    """How much fine detail a tile of one focal plane has: the mean square of the Laplacian of its brightness.

    Comparable between planes of the same place only.
    """
    grey = np.asarray(Image.fromarray(pixels).convert("L"), dtype=np.float32)
    if min(grey.shape) < 3:
        return 0.0
    inner = grey[1:-1, 1:-1]
    laplacian = 4 * inner - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
    return float(np.mean(np.square(laplacian)))


def _factor(target_mpp: float, mpp: float) -> int:
    return max(1, round(target_mpp / mpp))
