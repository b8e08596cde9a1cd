"""Which tiles of a slide are analysed, in which order, and what has to be read for them.

The tiles are those that the engine would cut if the slide were one huge field, so that the answer does not depend on
how it is read. They are worked on in squares of 4 x 4, of which everything is read at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tamsoat.inference_service.engine.engine import Engine
from tamsoat.inference_service.engine.rescale import SCALE_TOLERANCE
from tamsoat.inference_service.engine.tiling import WHITE, TilePlan
from tamsoat.inference_service.slides.cell_area import CellArea
from tamsoat.inference_service.slides.pyramid import PyramidInfo
from tamsoat.inference_service.slides.slide_child import Region

SQUARE_TILES = 4
"""Tiles per side of a square: 16 tiles are two batches, read with a third more pixels than they have of their own."""
_LARGEST_SCALE = 4.0
"""Where the level is this much finer than the network's scale, tiles are read one by one: regions have a limit."""
_LANCZOS_PX = 3
"""Reach of the filter, in pixels of the coarser side."""


@dataclass(frozen=True)
class Scaling:
    """From one level of the slide to the network's scale.

    ``width_px``, ``height_px``: of the slide at the network's scale. ``resampled``: whether the level is of another
    scale than the network's.
    """

    level: int
    level_width_px: int
    level_height_px: int
    width_px: int
    height_px: int
    slide_width_px: int
    slide_height_px: int

    @property
    def resampled(self) -> bool:
        return (self.level_width_px, self.level_height_px) != (self.width_px, self.height_px)

    def to_slide(self, xy_px: NDArray[np.floating]) -> NDArray[np.float32]:
        """Points ``[n, 2]`` at the network's scale in level-0 pixels."""
        factors = self.width_px / self.slide_width_px, self.height_px / self.slide_height_px
        return (xy_px / factors).astype(np.float32)


def choose_scaling(info: PyramidInfo, mpp: float, network_mpp: float) -> Scaling:
    """The smallest level that is no coarser than the network's scale; ``mpp`` is that of level 0."""
    number = info.level_for(network_mpp / mpp)
    level = info.levels[number]
    factor = mpp * level.downsample / network_mpp
    width_px, height_px = level.width_px, level.height_px
    if abs(factor - 1.0) > SCALE_TOLERANCE:
        width_px, height_px = max(1, round(width_px * factor)), max(1, round(height_px * factor))
    return Scaling(number, level.width_px, level.height_px, width_px, height_px, info.width_px, info.height_px)


@dataclass(frozen=True, eq=False)
class Square:
    """Neighbouring tiles that are read together: ``tiles`` int64 ``[n]``, positions in the plan; ``region`` of the
    level holds all of them."""

    tiles: NDArray[np.int64]
    region: Region


@dataclass(frozen=True, eq=False)
class SlidePlan:
    """``order`` int64 ``[n]``: the tiles that are analysed, in the order of work; ``across``: tiles per side of a
    square."""

    scaling: Scaling
    tiles: TilePlan
    order: NDArray[np.int64]
    across: int = SQUARE_TILES

    def boxes_px(self) -> NDArray[np.float64]:
        """Left, top, right and bottom of every tile of the plan in level-0 pixels, ``[n_tiles, 4]``."""
        return _boxes_px(self.scaling, self.tiles)

    def squares(self, done: int = 0) -> Iterator[Square]:
        """The work after the first ``done`` tiles of the order."""
        square = _square_of(self.tiles, self.order, self.across)
        borders = np.flatnonzero(np.diff(square)) + 1
        for begin, end in zip([0, *borders.tolist()], [*borders.tolist(), len(self.order)], strict=True):
            if end > done:
                tiles = self.order[max(begin, done) : end]
                yield Square(tiles, self._region(tiles))

    def cut(self, square: Square, pixels: NDArray[np.uint8], tile: int) -> NDArray[np.uint8]:
        """One tile at the network's scale, ``[tile height, tile width, 3]``, white beyond the slide; ``pixels`` is
        what the square's region holds."""
        plan, scaling = self.tiles, self.scaling
        x_px, y_px = plan.origins_px()[tile].tolist()
        width_px = min(plan.tile_width_px, plan.width_px - x_px)
        height_px = min(plan.tile_height_px, plan.height_px - y_px)
        left_px, top_px, right_px, bottom_px = self._source(x_px, y_px, width_px, height_px)
        left_px, right_px = left_px - square.region.x_px, right_px - square.region.x_px
        top_px, bottom_px = top_px - square.region.y_px, bottom_px - square.region.y_px
        if scaling.resampled:
            # Around the tile alone, so that the result does not depend on what else was read.
            reach = [math.ceil(_LANCZOS_PX * max(1.0, scale)) + 1 for scale in self._scales()]
            x0, y0 = max(0, math.floor(left_px) - reach[0]), max(0, math.floor(top_px) - reach[1])
            x1, y1 = math.ceil(right_px) + reach[0], math.ceil(bottom_px) + reach[1]
            around = Image.fromarray(np.ascontiguousarray(pixels[y0:y1, x0:x1]))
            box = (left_px - x0, top_px - y0, min(right_px - x0, around.width), min(bottom_px - y0, around.height))
            part = np.asarray(around.resize((width_px, height_px), Image.Resampling.LANCZOS, box=box))
        else:
            part = pixels[int(top_px) : int(bottom_px), int(left_px) : int(right_px)]
        if part.shape[:2] == (plan.tile_height_px, plan.tile_width_px):
            return part
        whole = np.full((plan.tile_height_px, plan.tile_width_px, 3), WHITE, np.uint8)
        whole[:height_px, :width_px] = part
        return whole

    def _scales(self) -> tuple[float, float]:
        """Level pixels per pixel of the network's scale."""
        scaling = self.scaling
        return scaling.level_width_px / scaling.width_px, scaling.level_height_px / scaling.height_px

    def _source(self, x_px: int, y_px: int, width_px: int, height_px: int) -> tuple[float, float, float, float]:
        """Left, top, right, bottom in level pixels of a box at the network's scale."""
        x_scale, y_scale = self._scales()
        return x_px * x_scale, y_px * y_scale, (x_px + width_px) * x_scale, (y_px + height_px) * y_scale

    def _region(self, tiles: NDArray[np.int64]) -> Region:
        plan, scaling = self.tiles, self.scaling
        origins = plan.origins_px()[tiles]
        x_px, y_px = origins.min(axis=0).tolist()
        width_px, height_px = (origins.max(axis=0) - origins.min(axis=0)).tolist()
        width_px = min(width_px + plan.tile_width_px, plan.width_px - x_px)
        height_px = min(height_px + plan.tile_height_px, plan.height_px - y_px)
        left, top, right, bottom = self._source(x_px, y_px, width_px, height_px)
        reach = [math.ceil(_LANCZOS_PX * max(1.0, scale)) + 1 for scale in self._scales()]
        if not scaling.resampled:
            reach = [0, 0]
        x0, y0 = max(0, math.floor(left) - reach[0]), max(0, math.floor(top) - reach[1])
        x1 = min(scaling.level_width_px, math.ceil(right) + reach[0])
        y1 = min(scaling.level_height_px, math.ceil(bottom) + reach[1])
        return Region(scaling.level, x0, y0, x1 - x0, y1 - y0)


def plan_slide(engine: Engine, scaling: Scaling, area: CellArea | None) -> SlidePlan:
    """The tiles that touch ``area``; all of them where it is None."""
    tiles = engine.plan(scaling.width_px, scaling.height_px)
    chosen = np.arange(tiles.n_tiles) if area is None else np.flatnonzero(area.touched(_boxes_px(scaling, tiles)))
    return plan_of(scaling, tiles, chosen)


def plan_of(scaling: Scaling, tiles: TilePlan, chosen: NDArray[np.int64]) -> SlidePlan:
    """The plan that analyses the ``chosen`` tiles (ascending)."""
    across = SQUARE_TILES if scaling.level_width_px <= _LARGEST_SCALE * scaling.width_px else 1
    order = chosen[np.argsort(_square_of(tiles, chosen, across), kind="stable")]
    return SlidePlan(scaling, tiles, order, across)


def _square_of(tiles: TilePlan, index: NDArray[np.int64], across: int) -> NDArray[np.int64]:
    """Number of the square of ``across`` x ``across`` tiles that each tile belongs to."""
    row, column = np.divmod(index, len(tiles.x_starts_px))
    in_a_row = -(-len(tiles.x_starts_px) // across)
    square: NDArray[np.int64] = row // across * in_a_row + column // across
    return square


def _boxes_px(scaling: Scaling, tiles: TilePlan) -> NDArray[np.float64]:
    origins = tiles.origins_px().astype(np.float64)
    far = origins + np.asarray((tiles.tile_width_px, tiles.tile_height_px))
    corners = np.concatenate([origins, far], axis=1)
    x_scale, y_scale = scaling.slide_width_px / scaling.width_px, scaling.slide_height_px / scaling.height_px
    boxes: NDArray[np.float64] = corners * (x_scale, y_scale, x_scale, y_scale)
    return boxes
