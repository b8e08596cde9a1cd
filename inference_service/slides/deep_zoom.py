"""Deep Zoom numbering: level L (the highest) is full resolution, every level below has half the sides, rounded up.

Tiles are squares of :data:`TILE_PX` without overlap; those at the right and lower edges are smaller. Source: Microsoft
Deep Zoom file format, as OpenSeadragon reads it. 256 and not 512: a view of 860 x 700 px needs a third fewer pixels
in small tiles, each of about 11 kB, so that something is seen early on a slow line.
"""

from __future__ import annotations

from dataclasses import dataclass

from tamsoat.inference_service.errors import TamsoatError

TILE_PX = 256


class TileNotFoundError(TamsoatError):
    """The slide has no such level, tile or focal plane."""

    status = 404
    title = "No such tile"
    slug = "tile-not-found"


@dataclass(frozen=True)
class Area:
    """A rectangle of the slide and the size in pixels that it is to be shown in.

    Attributes:
        left_px, top_px, right_px, bottom_px: in level-0 pixels, not rounded; may lie outside the slide (white).
        width_px, height_px: of the picture.
        plane: focal plane.
    """

    left_px: float
    top_px: float
    right_px: float
    bottom_px: float
    width_px: int
    height_px: int
    plane: int = 0


@dataclass(frozen=True)
class DeepZoom:
    """The levels and tiles of a slide of ``width_px`` x ``height_px``."""

    width_px: int
    height_px: int

    @property
    def levels(self) -> int:
        """Number of the highest level."""
        return (max(self.width_px, self.height_px) - 1).bit_length()

    def size(self, level: int) -> tuple[int, int]:
        """Width and height of a level in its own pixels."""
        shrunk = self.levels - level
        return -(-self.width_px >> shrunk), -(-self.height_px >> shrunk)

    def tile(self, level: int, column: int, row: int, plane: int = 0) -> Area:
        """What a tile shows.

        Raises:
            TileNotFoundError: there is none.
        """
        if not 0 <= level <= self.levels:
            raise TileNotFoundError(f"the slide has the levels 0 to {self.levels}")
        width_px, height_px = self.size(level)
        left, top = column * TILE_PX, row * TILE_PX
        if not (0 <= left < width_px and 0 <= top < height_px):
            columns, rows = -(-width_px // TILE_PX), -(-height_px // TILE_PX)
            raise TileNotFoundError(f"level {level} has {columns} columns and {rows} rows of tiles")
        right, bottom = min(left + TILE_PX, width_px), min(top + TILE_PX, height_px)
        return self._area((left, top, right, bottom), (width_px, height_px), plane)

    def whole(self, longest_px: int, plane: int = 0) -> Area:
        """The whole slide in at most ``longest_px`` on a side; never enlarged."""
        scale = min(1.0, longest_px / max(self.width_px, self.height_px))
        width_px, height_px = max(1, round(self.width_px * scale)), max(1, round(self.height_px * scale))
        return self._area((0, 0, width_px, height_px), (width_px, height_px), plane)

    def _area(self, box: tuple[int, int, int, int], size: tuple[int, int], plane: int) -> Area:
        """``box`` in pixels of a level of ``size``, which shows the whole slide."""
        across, down = self.width_px / size[0], self.height_px / size[1]
        left, top, right, bottom = box
        return Area(left * across, top * down, right * across, bottom * down, right - left, bottom - top, plane)
