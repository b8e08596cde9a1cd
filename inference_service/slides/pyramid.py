"""One interface to every image and whole slide: levels of decreasing size, in physical units.

Native code reads these files, and the files come from outside: in the service nothing here runs in the main process,
only in the children of :mod:`.slide_process`. Tools and benchmarks that trust their files may call it directly::

    with open_pyramid(Path("slide.svs"), "image/tiff") as pyramid:
        pixels = pyramid.read_region(0, 1024, 2048, 512, 512)

Formats and limits: docs/slides.md.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tamsoat.inference_service.errors import EXIT_INPUT, TamsoatError

LARGEST_REGION_PX = 8192
"""Most pixels per side that one call reads."""

LARGEST_SINGLE_LEVEL_PX = 4096
"""A slide whose smallest level is larger than this on a side needs a pyramid of its own before it is looked at."""

WHITE = 255


class RegionError(TamsoatError):
    """The asked level, plane or size of region does not exist."""

    status = 422
    title = "Region cannot be read"
    slug = "region-invalid"
    exit_code = EXIT_INPUT


@dataclass(frozen=True)
class Level:
    """One size of the slide; ``downsample`` is level-0 pixels per pixel of this level (1.0 for level 0)."""

    width_px: int
    height_px: int
    downsample: float


@dataclass(frozen=True)
class PyramidInfo:
    """What a slide says of itself.

    Attributes:
        format: how it was opened: ``openslide:aperio``, ``openslide:mirax``, …, ``dicom``, ``ome-tiff``, ``tiff``,
            ``field`` (a plain image).
        width_px, height_px: of level 0.
        mpp: micrometres per level-0 pixel, the mean of both axes; None: the file does not say, or says nothing
            plausible. Never guessed from the objective.
        objective: nominal magnification of the objective, where the file says it.
        levels: from the largest (level 0) to the smallest.
        tile_width_px, tile_height_px: how level 0 is stored; regions on this grid are read fastest.
        planes: focal planes; plane 0 is the first of the file, ``best_plane`` the one the scanner calls the middle.
        plane_um: height of each plane in micrometres from the middle one, where the file says it; else empty.
    """

    format: str
    width_px: int
    height_px: int
    mpp: float | None
    objective: float | None
    levels: tuple[Level, ...]
    tile_width_px: int
    tile_height_px: int
    planes: int = 1
    best_plane: int = 0
    plane_um: tuple[float, ...] = ()

    @property
    def needs_pyramid(self) -> bool:
        """Whether even the smallest level is too large to be looked at or read at random."""
        smallest = self.levels[-1]
        return max(smallest.width_px, smallest.height_px) > LARGEST_SINGLE_LEVEL_PX

    def level_for(self, downsample: float) -> int:
        """The smallest level that is at least as fine as ``downsample``."""
        fine = [number for number, level in enumerate(self.levels) if level.downsample <= downsample * 1.01]
        return fine[-1] if fine else 0


class Pyramid(ABC):
    """An open slide; a context manager. Not thread-safe: one thread at a time.

    ``info`` never changes. Only :meth:`_read_inside` differs between formats.
    """

    info: PyramidInfo

    def read_region(
        self, level: int, x_px: int, y_px: int, width_px: int, height_px: int, plane: int = 0
    ) -> NDArray[np.uint8]:
        """Pixels of a region: RGB uint8 ``[height_px, width_px, 3]``, C-contiguous, writable.

        Args:
            level: number of the level.
            x_px, y_px: upper left corner **in pixels of that level** (multiply by its downsample for level-0 pixels);
                may lie outside.
            width_px, height_px: in pixels of that level, 1 to 8192.
            plane: focal plane.

        What lies beyond the edge is white; transparency, and what the scanner did not scan, is laid over white.

        Raises:
            RegionError: no such level, plane or size.
            ImageError: the file is damaged here (its subclass says how).
        """
        self._check(level, width_px, height_px, plane)
        size = self.info.levels[level]
        left, top = max(0, x_px), max(0, y_px)
        right, bottom = min(size.width_px, x_px + width_px), min(size.height_px, y_px + height_px)
        inside = right > left and bottom > top
        if inside and (right - left, bottom - top) == (width_px, height_px):
            return self._read_inside(level, left, top, width_px, height_px, plane)
        pixels = np.full((height_px, width_px, 3), WHITE, np.uint8)
        if inside:
            part = self._read_inside(level, left, top, right - left, bottom - top, plane)
            pixels[top - y_px : bottom - y_px, left - x_px : right - x_px] = part
        return pixels

    @abstractmethod
    def _read_inside(
        self, level: int, x_px: int, y_px: int, width_px: int, height_px: int, plane: int
    ) -> NDArray[np.uint8]:
        """:meth:`read_region` of a region that lies wholly inside the level."""

    @abstractmethod
    def close(self) -> None:
        """Give up the file; nothing may be read after."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check(self, level: int, width_px: int, height_px: int, plane: int) -> None:
        if not 0 <= level < len(self.info.levels):
            raise RegionError(f"there is no level {level}: the slide has {len(self.info.levels)}")
        if not 0 <= plane < self.info.planes:
            raise RegionError(f"there is no focal plane {plane}: the slide has {self.info.planes}")
        if not (0 < width_px <= LARGEST_REGION_PX and 0 < height_px <= LARGEST_REGION_PX):
            raise RegionError(
                f"a region of {width_px} x {height_px} px cannot be read: 1 to {LARGEST_REGION_PX} px a side"
            )


def open_pyramid(path: Path, media_type: str) -> Pyramid:
    """Open the file at ``path``.

    Args:
        path: a file; its name and ending do not matter, except where a format consists of several files (then the
            main one in its unpacked folder, see :mod:`.packed`).
        media_type: as :func:`~tamsoat.inference_service.slides.sniff.sniff_media_type` tells it by content.

    Raises:
        ImageError: it cannot be used: its subclass and text say why.
        AnisotropicScaleError: its pixels are not square.
    """
    from tamsoat.inference_service.slides.opening import open_any

    return open_any(path, media_type)
