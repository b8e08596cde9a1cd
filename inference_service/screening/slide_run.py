"""Runs the network over the tiles of a slide while the next ones are read."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tamsoat.inference_service.engine.batching import Outputs
from tamsoat.inference_service.engine.engine import Engine
from tamsoat.inference_service.engine.peaks import Peaks, gather_peaks
from tamsoat.inference_service.screening.slide_plan import SlidePlan
from tamsoat.inference_service.screening.slide_reading import SlideSource, TileBatch, ahead

IN_FLIGHT = 2
"""Squares handed to the network at once: it never waits for the peaks of one to be looked at."""


@dataclass(frozen=True, eq=False)
class TileFindings:
    """What was found in some tiles. ``peaks`` hold those near the border of a tile's own region too; only
    :func:`~tamsoat.inference_service.engine.peaks.settle_peaks` over the whole slide says which stay.

    ``tiles`` int64, ``quality``, ``plane`` uint8 and ``full`` bool are aligned, ``[n]``.
    """

    tiles: NDArray[np.int64]
    quality: NDArray[np.uint8]
    plane: NDArray[np.uint8]
    full: NDArray[np.bool_]
    peaks: Peaks


def screen_tiles(
    engine: Engine, source: SlideSource, plan: SlidePlan, glass: NDArray[np.float64], done: int = 0
) -> Iterator[TileFindings]:
    """Find the nuclei of the tiles after the first ``done``, square by square, in the order of the plan.

    Raises:
        ImageError: the slide cannot be read any further; what was yielded before stands.
        EngineError: inference failed, or the engine is busy or closed.
    """
    batches = ahead(source.batches(plan, done, glass))
    pending: deque[tuple[TileBatch, Future[Outputs]]] = deque()
    with ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="tamsoat-slide") as pool:
        try:
            for batch in batches:
                pending.append((batch, pool.submit(engine.run_tiles, batch.pixels)))
                if len(pending) >= IN_FLIGHT:
                    yield _findings(engine, plan, *pending.popleft())
            while pending:
                yield _findings(engine, plan, *pending.popleft())
        finally:
            batches.close()  # type: ignore[attr-defined]


def _findings(engine: Engine, plan: SlidePlan, batch: TileBatch, outputs: Future[Outputs]) -> TileFindings:
    threshold = engine.bundle.operating_points.detection_score
    peaks, full = gather_peaks(plan.tiles, batch.tiles, outputs.result(), threshold)
    near = plan.tiles.outside_own_region_px(peaks.xy_px, peaks.tile) <= engine.merge_radius_px
    return TileFindings(batch.tiles, batch.quality, batch.plane, full, peaks.take(near))
