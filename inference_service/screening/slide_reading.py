"""Reads a slide for screening: first where its cells are, then tile after tile, in a process of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tamsoat.inference_service.screening.slide_plan import SlidePlan, Square
from tamsoat.inference_service.slides.cell_area import CellArea, find_cells, plan_look
from tamsoat.inference_service.slides.pyramid import PyramidInfo
from tamsoat.inference_service.slides.quality import FOCUS_MPP
from tamsoat.inference_service.slides.slide_child import Region
from tamsoat.inference_service.slides.slide_process import stream_regions
from tamsoat.inference_service.slides.tile_quality import focus_energy, judge_tile

READ_AHEAD = 2
"""Squares that wait, cut into tiles; each is 16 tiles."""

Stream = Callable[[Path, str, Sequence[Region]], Iterator[NDArray[np.uint8]]]
_T = TypeVar("_T")


@dataclass(frozen=True, eq=False)
class TileBatch:
    """Tiles of one square: ``tiles`` int64 ``[n]`` positions in the plan, ``pixels`` uint8 ``[n, height, width, 3]`` at
    the network's scale, ``quality`` (:class:`TileQuality`) and ``plane`` uint8 ``[n]``."""

    tiles: NDArray[np.int64]
    pixels: NDArray[np.uint8]
    quality: NDArray[np.uint8]
    plane: NDArray[np.uint8]


@dataclass(frozen=True)
class SlideSource:
    """One slide file; ``mpp`` is that of level 0, ``stream`` reads regions in order."""

    path: Path
    media_type: str
    info: PyramidInfo
    mpp: float
    stream: Stream = field(default=stream_regions)

    def cell_area(self) -> CellArea:
        """Where there is anything but glass; reads the whole slide at a small scale.

        Raises:
            ImageError: it cannot be read (as for all methods here).
        """
        look = plan_look(self.info, self.mpp)
        return find_cells(look, self.info, self.stream(self.path, self.media_type, look.regions))

    def batches(self, plan: SlidePlan, done: int, glass: NDArray[np.float64]) -> Iterator[TileBatch]:
        """The tiles of ``plan`` after the first ``done``, read, cut and judged; see :func:`ahead` to have it done
        beside other work."""
        squares = list(plan.squares(done))
        planes = self._best_planes(plan, squares)
        network_mpp = self.mpp * plan.scaling.slide_width_px / plan.scaling.width_px
        regions: list[Region] = []
        for square in squares:
            regions += [square.region._replace(plane=plane) for plane in np.unique(planes[square.tiles]).tolist()]
        with closing_stream(self.stream(self.path, self.media_type, regions)) as stream:
            for square in squares:
                shape = (len(square.tiles), plan.tiles.tile_height_px, plan.tiles.tile_width_px, 3)
                pixels = np.empty(shape, np.uint8)
                of_tile = planes[square.tiles]
                for plane in np.unique(of_tile).tolist():
                    read = next(stream)
                    for slot in np.flatnonzero(of_tile == plane).tolist():
                        pixels[slot] = plan.cut(square, read, int(square.tiles[slot]))
                quality = np.asarray([judge_tile(tile, network_mpp, glass) for tile in pixels], np.uint8)
                yield TileBatch(square.tiles, pixels, quality, of_tile)

    def _best_planes(self, plan: SlidePlan, squares: Sequence[Square]) -> NDArray[np.uint8]:
        """The focal plane with most detail for every tile, seen at about half a micron."""
        chosen = np.full(plan.tiles.n_tiles, self.info.best_plane, np.uint8)
        if self.info.planes == 1:
            return chosen
        number = self.info.level_for(max(FOCUS_MPP, self.mpp) / self.mpp)
        level = self.info.levels[number]
        boxes = plan.boxes_px() / level.downsample
        regions = []
        for square in squares:
            box = boxes[square.tiles]
            left, top = np.floor(box[:, :2].min(axis=0)).astype(int).tolist()
            right, bottom = np.ceil(box[:, 2:].max(axis=0)).astype(int).tolist()
            regions += [
                Region(number, left, top, right - left, bottom - top, plane) for plane in range(self.info.planes)
            ]
        with closing_stream(self.stream(self.path, self.media_type, regions)) as stream:
            for index, square in enumerate(squares):
                corner = regions[index * self.info.planes]
                inside = (boxes[square.tiles] - np.tile((corner.x_px, corner.y_px), 2)).astype(np.int64)
                energy = np.empty((self.info.planes, len(square.tiles)))
                for plane in range(self.info.planes):
                    read = next(stream)
                    energy[plane] = [focus_energy(read[top:bottom, left:right]) for left, top, right, bottom in inside]
                chosen[square.tiles] = energy.argmax(axis=0)
        return chosen


def closing_stream(stream: Iterator[_T]) -> closing[Iterator[_T]]:  # type: ignore[type-var]
    """Ends the reader of ``stream`` (a generator) at the end of the block."""
    return closing(stream)  # type: ignore[type-var]


def ahead(source: Iterator[_T], count: int = READ_AHEAD) -> Iterator[_T]:
    """The items of ``source``, made by a thread that is up to ``count`` of them ahead; its errors come out here.

    Closing this generator ends the thread and closes ``source``.
    """
    waiting: queue.Queue[tuple[str, object]] = queue.Queue(maxsize=count)
    stopped = threading.Event()

    def put(item: tuple[str, object]) -> None:
        while not stopped.is_set():
            try:
                waiting.put(item, timeout=0.2)
            except queue.Full:
                continue
            return

    def work() -> None:
        try:
            with closing_stream(source) as items:
                for item in items:
                    put(("item", item))
                    if stopped.is_set():
                        return
            put(("end", None))
        except BaseException as error:  # noqa: BLE001 - raised again where the items are asked for
            put(("error", error))

    thread = threading.Thread(target=work, name="tamsoat-slide-reading", daemon=True)
    thread.start()
    try:
        while True:
            kind, value = waiting.get()
            if kind == "end":
                return
            if kind == "error":
                raise value  # type: ignore[misc]
            yield value  # type: ignore[misc]
    finally:
        stopped.set()
        thread.join()
