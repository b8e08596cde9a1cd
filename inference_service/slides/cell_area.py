"""Where on a slide there is anything but empty glass: found on a small level, so that the rest need not be analysed.

Made never to lose a cell rather than to skip much. A pixel of about 4 microns counts as covered when one of its
channels is 9 % darker than the glass, or when it differs that much from its neighbours; a nucleus of 6 microns that
falls on the corner of four such pixels darkens each by 26 %. What is covered is kept in squares of 4 x 4 pixels and
widened by two of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tamsoat.inference_service.slides.pyramid import PyramidInfo
from tamsoat.inference_service.slides.slide_child import Region

LOOK_MPP = 4.0
"""Coarsest scale that is looked at, microns per pixel."""
MIN_DENSITY = 0.04
"""Optical density, of the channel where it is largest, from which something is there."""
MIN_CONTRAST = 20
"""Difference of the green channel inside a square from which something is there, whatever its density."""
WIDENED_SQUARES = 2
_SQUARE_PX = 4
_BLOCK_PX = 2048
_GLASS_PERCENTILE = 95.0
_MIN_GLASS = 100.0
"""Darker than this, what is brightest is no glass: everything is analysed."""


@dataclass(frozen=True)
class Look:
    """How a slide is looked at: ``regions`` of one level, in rows; ``square_px`` is the side of a square of the
    answer in level-0 pixels."""

    regions: tuple[Region, ...]
    rows: int
    columns: int
    square_px: float


@dataclass(frozen=True, eq=False)
class CellArea:
    """``covered`` bool ``[rows, columns]``: squares of ``square_px`` level-0 pixels that hold something; ``glass``
    ``[3]``: colour of the empty slide, 0-255."""

    covered: NDArray[np.bool_]
    square_px: float
    glass: NDArray[np.float64]

    def touched(self, boxes_px: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Which of ``boxes_px`` ``[n, 4]`` (left, top, right, bottom; level-0 pixels) reach into a covered square."""
        rows, columns = self.covered.shape
        total = np.zeros((rows + 1, columns + 1), np.int64)
        total[1:, 1:] = self.covered.cumsum(axis=0).cumsum(axis=1)
        first = np.floor(boxes_px[:, :2] / self.square_px).astype(np.int64)
        last = np.ceil(boxes_px[:, 2:] / self.square_px).astype(np.int64)
        left, right = np.clip(first[:, 0], 0, columns), np.clip(last[:, 0], 0, columns)
        top, bottom = np.clip(first[:, 1], 0, rows), np.clip(last[:, 1], 0, rows)
        inside = total[bottom, right] - total[top, right] - total[bottom, left] + total[top, left]
        touched: NDArray[np.bool_] = inside > 0
        return touched


def plan_look(info: PyramidInfo, mpp: float) -> Look:
    """The regions to read for :func:`find_cells`; ``mpp`` is that of level 0."""
    number = info.level_for(LOOK_MPP / mpp)
    level = info.levels[number]
    side_px = _SQUARE_PX * max(1, int(LOOK_MPP / (mpp * level.downsample)))
    block_px = _BLOCK_PX // side_px * side_px
    regions = tuple(
        Region(
            number,
            x_px,
            y_px,
            min(block_px, level.width_px - x_px),
            min(block_px, level.height_px - y_px),
            info.best_plane,
        )
        for y_px in range(0, level.height_px, block_px)
        for x_px in range(0, level.width_px, block_px)
    )
    rows, columns = -(-level.height_px // side_px), -(-level.width_px // side_px)
    return Look(regions, rows, columns, side_px * level.downsample)


def find_cells(look: Look, info: PyramidInfo, pixels: Iterable[NDArray[np.uint8]]) -> CellArea:
    """Judge the regions of ``look``, which come one by one in its order; only squares are kept of them."""
    side_px = round(look.square_px / info.levels[look.regions[0].level].downsample)
    darkest = np.full((look.rows, look.columns, 3), 255, np.uint8)
    contrast = np.zeros((look.rows, look.columns), np.uint8)
    histogram = np.zeros((3, 256), np.int64)
    for region, part in zip(look.regions, pixels, strict=True):
        low, high = _extremes(part, side_px)
        top, left = region.y_px // side_px, region.x_px // side_px
        place = np.s_[top : top + low.shape[0], left : left + low.shape[1]]
        darkest[place] = low
        contrast[place] = high[..., 1] - low[..., 1]
        for channel in range(3):
            histogram[channel] += np.bincount(part[..., channel].ravel(), minlength=256)
    glass = _percentiles(histogram, _GLASS_PERCENTILE)
    if glass.min() < _MIN_GLASS:
        return CellArea(np.ones((look.rows, look.columns), np.bool_), look.square_px, np.full(3, 255.0))
    covered = (darkest < glass * 10.0**-MIN_DENSITY).any(axis=2) | (contrast > MIN_CONTRAST)
    return CellArea(_widened(covered, WIDENED_SQUARES), look.square_px, glass)


def _extremes(part: NDArray[np.uint8], side_px: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Least and largest value per square and channel, ``[rows, columns, 3]``; edge squares may be smaller."""
    starts = (np.arange(0, part.shape[0], side_px), np.arange(0, part.shape[1], side_px))
    low = np.minimum.reduceat(np.minimum.reduceat(part, starts[0], axis=0), starts[1], axis=1)
    high = np.maximum.reduceat(np.maximum.reduceat(part, starts[0], axis=0), starts[1], axis=1)
    return low, high


def _percentiles(histogram: NDArray[np.int64], percent: float) -> NDArray[np.float64]:
    shares = histogram.cumsum(axis=1) / histogram.sum(axis=1, keepdims=True)
    return np.asarray([np.searchsorted(share, percent / 100.0) for share in shares], dtype=np.float64)


def _widened(mask: NDArray[np.bool_], squares: int) -> NDArray[np.bool_]:
    for axis in (0, 1):
        padded = np.pad(mask, [(squares, squares) if at == axis else (0, 0) for at in (0, 1)])
        shifts: Sequence[NDArray[np.bool_]] = [
            np.take(padded, np.arange(shift, shift + mask.shape[axis]), axis=axis) for shift in range(2 * squares + 1)
        ]
        mask = np.logical_or.reduce(shifts)
    return mask
