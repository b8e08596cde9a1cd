"""Is this image fit for screening? Says why not; never decides silently and never stops the screening.

All statistics are taken on reduced copies (about 0.5 and 2 microns per pixel), so that they mean the same for every
camera. The thresholds lie between the extremes of 182 fields of conventional smears that are all usable (given
beside each) and the same fields blurred, brightened or darkened. Optical density is -log10(value / glass), the mean
of the three channels, where the glass is the brightest twentieth of the image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FOCUS_MPP = 0.5
COLOUR_MPP = 2.0
"""Scale of the reduced copies."""

STAINED_DENSITY = 0.10
"""Optical density from which a pixel counts as stained."""

MIN_STAINED = 0.003
"""Smallest stained part of the image (usable fields: 0.05 or more)."""

MIN_DENSITY_RANGE = 0.08
"""Smallest spread of optical density, 5th to 99th percentile (usable fields: 0.20 or more)."""

MIN_SHARPNESS = 0.20
"""Fine detail over contrast in the sharpest tenth of the image, noise taken off (usable fields: 0.37 or more; blurred
by a Gaussian of 3 px of 0.25 micron: 0.09 or less)."""

MAX_CELLS_CLIPPED = 0.20
"""Largest part of the cells' area where a channel is at the sensor's end: colour that is lost. Clipped glass is no
defect (usable fields: 0.04 or less; brightened by half: 0.19 in the median)."""

MAX_CLIPPED = 0.97
"""Largest part of pixels with all channels at the sensor's end (usable fields: 0.18 or less)."""

MIN_BRIGHT = 150.0
"""Least brightness, 0-255, of the glass (usable fields: 230 or more)."""

MAX_GLASS_SATURATION = 0.20
"""Largest colour saturation of the glass (usable fields: 0.08 or less)."""

MAX_GREEN = 0.45
"""Largest part of stained pixels that let green through best; no Papanicolaou stain does (usable: 0.24 or less)."""

MAX_NEUTRAL = 0.75
"""Largest part of stained pixels without a hue: grey images (usable fields: 0.41 or less)."""

MAX_DARK = 0.35
"""Largest part of pixels of optical density over 1: photographs, pen, bubbles' rims (usable fields: 0.09 or less)."""

_ENOUGH_PIXELS = 10_000
_BLOCK_PX = 32
_MIN_BLOCK_VARIANCE = 25.0
_MIN_BLOCKS = 4
_NOISE_PERCENTILE = 5
_NOISE_FACTOR = 1.2
_MAX_NOISE = 60.0  # an image full of cells has no flat block: what is above is detail
_CELL_DENSITY = 0.04
_SENSOR_END = 254
_DARK_DENSITY = 1.0
_HUE_MARGIN = 0.05
_NEUTRAL_SPREAD = 0.08


@dataclass(frozen=True)
class QualityCheck:
    """``reasons`` holds ``blank``, ``out_of_focus``, ``over_exposed``, ``under_exposed``, ``not_cytology_stain``."""

    reasons: tuple[str, ...]

    @property
    def usable(self) -> bool:
        return not self.reasons


def check_quality(pixels: NDArray[np.uint8], mpp: float) -> QualityCheck:
    """Judge one image.

    Focus and stain are not judged on a blank image: there is nothing to judge them by.

    Args:
        pixels: uint8 RGB ``[height, width, 3]``.
        mpp: microns per pixel.
    """
    image = Image.fromarray(pixels)
    colour = _thinned(np.asarray(image.reduce(_reduction(image, COLOUR_MPP, mpp))))
    brightness = colour.mean(axis=2, dtype=np.float32)
    glass = np.median(colour[brightness >= np.percentile(brightness, 95)], axis=0)
    density = density_of(colour, glass)
    mean_density = density.mean(axis=2)
    reasons: list[str] = []
    blank = _is_blank(mean_density)
    if blank:
        reasons.append("blank")
    elif _sharpness(image.convert("L").reduce(_reduction(image, FOCUS_MPP, mpp))) < MIN_SHARPNESS:
        reasons.append("out_of_focus")
    if is_over_exposed(colour, mean_density):
        reasons.append("over_exposed")
    if glass.mean() < MIN_BRIGHT:
        reasons.append("under_exposed")
    if not blank and not is_cytology_stain(glass, density, mean_density):
        reasons.append("not_cytology_stain")
    return QualityCheck(tuple(reasons))


_LOG10_OF_BYTE = np.log10(np.maximum(np.arange(256), 1)).astype(np.float32)


def _thinned(colour: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Every second row and column where enough is left for the percentiles."""
    return colour[::2, ::2] if colour.shape[0] * colour.shape[1] > _ENOUGH_PIXELS else colour


def _reduction(image: Image.Image, target_mpp: float, mpp: float) -> int:
    """Integer factor that brings the image near ``target_mpp`` and leaves at least 16 px a side."""
    return max(1, min(round(target_mpp / mpp), min(image.size) // 16))


def _is_blank(mean_density: NDArray[np.floating]) -> bool:
    low, high = np.percentile(mean_density, [5, 99])
    return bool((mean_density > STAINED_DENSITY).mean() < MIN_STAINED or high - low < MIN_DENSITY_RANGE)


def density_of(colour: NDArray[np.uint8], glass: NDArray[np.floating]) -> NDArray[np.float32]:
    """Optical density per channel, of the shape of ``colour``; ``glass`` ``[3]`` is the colour of density 0."""
    density: NDArray[np.float32] = np.maximum(
        np.log10(np.maximum(glass, 1.0)).astype(np.float32) - _LOG10_OF_BYTE[colour], 0.0
    )
    return density


def is_over_exposed(colour: NDArray[np.uint8], mean_density: NDArray[np.floating]) -> bool:
    """Whether colour was lost, in the cells or nearly everywhere; ``mean_density`` ``[height, width]``."""
    cells = mean_density > _CELL_DENSITY
    lost = (colour.max(axis=2) >= _SENSOR_END) & cells
    clipped = (colour.min(axis=2) >= _SENSOR_END).mean()
    return bool(lost.sum() > MAX_CELLS_CLIPPED * max(int(cells.sum()), 1) or clipped > MAX_CLIPPED)


def _sharpness(grey: Image.Image) -> float:
    """The 90th percentile of :func:`block_sharpness`: a sparse but sharp field keeps its few sharp blocks, so it is
    not called blurred. Without any block of contrast the answer is 0."""
    blocks, wanted = block_sharpness(np.asarray(grey, dtype=np.float32))
    if wanted == 0:
        return float("inf")  # smaller than a block: too small to judge
    return float(np.percentile(blocks, 90)) if len(blocks) >= wanted else 0.0


def block_sharpness(values: NDArray[np.float32]) -> tuple[NDArray[np.float32], int]:
    """Energy of the Laplacian over variance, for every block of 32 px that has contrast.

    The energy of the flattest blocks is the camera's noise and is taken off.

    Args:
        values: ``[height, width]`` brightness, 0-255, at about :data:`FOCUS_MPP`.

    Returns:
        The blocks' values, and how many there must be to judge by; 0 for an image smaller than a block.
    """
    rows, columns = ((side - 2) // _BLOCK_PX for side in values.shape)
    if rows * columns == 0:
        return np.empty(0, np.float32), 0
    inner = values[1:-1, 1:-1]
    laplacian = 4 * inner - values[:-2, 1:-1] - values[2:, 1:-1] - values[1:-1, :-2] - values[1:-1, 2:]
    fine = _mean_square(_blocks(laplacian, rows, columns))
    blocks = _blocks(inner, rows, columns)
    contrast = _mean_square(blocks) - (np.einsum("ijkl->ik", blocks) / _BLOCK_PX**2) ** 2
    judged = contrast > _MIN_BLOCK_VARIANCE
    noise = min(_NOISE_FACTOR * float(np.percentile(fine, _NOISE_PERCENTILE)), _MAX_NOISE)
    sharpness: NDArray[np.float32] = np.maximum(fine[judged] - noise, 0.0) / (contrast[judged] + 10.0)
    return sharpness, min(_MIN_BLOCKS, rows * columns)


def _mean_square(blocks: NDArray[np.float32]) -> NDArray[np.float32]:
    mean: NDArray[np.float32] = np.einsum("ijkl,ijkl->ik", blocks, blocks) / np.float32(_BLOCK_PX**2)
    return mean


def _blocks(values: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32]:
    cropped = values[: rows * _BLOCK_PX, : columns * _BLOCK_PX]
    return cropped.reshape(rows, _BLOCK_PX, columns, _BLOCK_PX)


def is_cytology_stain(
    glass: NDArray[np.floating], density: NDArray[np.floating], mean_density: NDArray[np.floating]
) -> bool:
    """Neutral glass, and stained parts in hues that Papanicolaou's dyes have."""
    if np.ptp(glass) > MAX_GLASS_SATURATION * max(float(glass.max()), 1.0):
        return False
    if (mean_density > _DARK_DENSITY).mean() > MAX_DARK:
        return False
    stained = density[mean_density > STAINED_DENSITY]
    share = stained / stained.sum(axis=1, keepdims=True)
    green = (share[:, 1] < np.minimum(share[:, 0], share[:, 2]) - _HUE_MARGIN).mean()
    neutral = (np.ptp(share, axis=1) < _NEUTRAL_SPREAD).mean()
    return bool(green <= MAX_GREEN and neutral <= MAX_NEUTRAL)
