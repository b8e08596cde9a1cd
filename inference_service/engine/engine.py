"""Finds and grades the nuclei of an image of any size and scale.

Thread-safe; concurrent callers share batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tamsoat.inference_service.engine.batching import BatchingWorker, Outputs
from tamsoat.inference_service.engine.errors import EngineInputError
from tamsoat.inference_service.engine.peaks import gather_peaks, settle_peaks
from tamsoat.inference_service.engine.rescale import rescale
from tamsoat.inference_service.engine.sampling import sample_bilinear, softmax
from tamsoat.inference_service.engine.session import MAP_OUTPUTS, PEAK_OUTPUTS, NetworkSession, least_side_px
from tamsoat.inference_service.engine.tiling import TilePlan, cut_tiles, plan_tiles
from tamsoat.inference_service.transport import tracing
from tamsoat.models.bundle import Bundle
from tamsoat.models.decision import decide

MERGE_RADIUS_STRIDES = 1.5
"""Two tiles may place one nucleus this many grid cells of the network apart; two nuclei are farther apart."""


FOLLOWED_BATCHES = 2
"""Batches between two reports of progress; one alone would let the network wait for the next tiles to be cut."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Findings:
    """The nuclei of one image, most certain detection first.

    ``xy_px`` float32 ``[n, 2]`` in pixels of the given image; ``score`` float32 ``[n]``, all at or above
    the bundle's detection threshold; ``probabilities`` float32 ``[n, 6]`` calibrated; ``category`` int64
    ``[n]`` channel index. ``crowded`` tells that a tile was full: the network reports a limited number of
    peaks per tile and may have found more.
    """

    xy_px: NDArray[np.float32]
    score: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    category: NDArray[np.int64]
    crowded: bool = False


class Engine:
    """One model bundle, ready to answer. ``provider`` is ONNX Runtime's name of the device in use."""

    def __init__(
        self,
        bundle: Bundle,
        *,
        providers: Sequence[str] | None = None,
        threads: int | None = None,
        batch_tiles: int = 8,
    ) -> None:
        """Open the network, test it, start the batching worker.

        Args:
            providers: execution providers to try in order, without fallback; None takes the fastest that
            works.
            threads: CPU threads of one inference; None takes every core this process may use.
            batch_tiles: most tiles of one shape that run together.

        Raises:
            EngineError: no provider works, the graph cannot be read, or its self-test fails.
        """
        self.bundle = bundle
        self._session = NetworkSession(bundle, providers=providers, threads=threads)
        self.provider = self._session.provider
        self._worker = BatchingWorker(self._session.run, batch_tiles=batch_tiles)
        self._followed_tiles = FOLLOWED_BATCHES * batch_tiles

    def detect(self, image: NDArray[np.uint8], mpp: float, progress: Progress | None = None) -> Findings:
        """Find and grade every nucleus.

        Args:
            image: uint8 RGB ``[height, width, 3]``.
            mpp: microns per pixel of ``image``; it is resized when that is over 2 % off the bundle's scale.
            progress: called with (tiles done, tiles in all) before the first and after every few of them; what it
                raises ends the work.

        Raises:
            EngineInputError: wrong array type or shape, or an image too large at the bundle's scale.
            EngineError: inference failed, or the engine is busy or closed.
        """
        scaled = rescale(image, mpp, self.bundle.mpp)
        height_px, width_px = scaled.pixels.shape[:2]
        plan = self.plan(width_px, height_px)
        with tracing.span("engine", tiles=plan.n_tiles):
            outputs = self._run(scaled.pixels, plan, progress)
        threshold = self.bundle.operating_points.detection_score
        peaks, full = gather_peaks(plan, np.arange(plan.n_tiles), outputs, threshold)
        found = peaks.take(settle_peaks(plan, peaks, self.merge_radius_px))
        return Findings(
            xy_px=scaled.to_given(found.xy_px),
            score=found.score,
            probabilities=found.probabilities,
            category=decide(found.probabilities, self.bundle.operating_points.category_weights),
            crowded=bool(full.any()),
        )

    @property
    def merge_radius_px(self) -> float:
        """How far apart, at the network's scale, two tiles may place one nucleus."""
        return MERGE_RADIUS_STRIDES * self.bundle.stride_px

    def run_tiles(self, tiles: NDArray[np.uint8]) -> Outputs:
        """Scores ``[n, k]``, positions ``[n, k, 2]`` and probabilities ``[n, k, categories]`` of the peaks of tiles
        uint8 ``[n, height, width, 3]`` at the network's scale; blocks.

        Raises:
            EngineError: inference failed, or the engine is busy or closed.
        """
        return self._worker.run(tiles, PEAK_OUTPUTS)

    def plan(self, width_px: int, height_px: int) -> TilePlan:
        """The tiles of an image of this size at the network's scale."""
        size_px, overlap_px = self.bundle.tile_size_px, self.bundle.tile_overlap_px
        return plan_tiles(width_px, height_px, size_px, overlap_px, least_side_px(self.bundle))

    def _run(self, pixels: NDArray[np.uint8], plan: TilePlan, progress: Progress | None) -> Outputs:
        """The peaks of every tile; all tiles at once, or a few batches at a time where someone wants to follow."""
        if progress is None:
            return self.run_tiles(cut_tiles(pixels, plan))
        parts = []
        for begin in range(0, plan.n_tiles, self._followed_tiles):
            progress(begin, plan.n_tiles)
            these = np.arange(begin, min(begin + self._followed_tiles, plan.n_tiles))
            parts.append(self.run_tiles(cut_tiles(pixels, plan, these)))
        progress(plan.n_tiles, plan.n_tiles)
        return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]

    def classify_points(self, image: NDArray[np.uint8], mpp: float, xy_px: NDArray[np.floating]) -> NDArray[np.float32]:
        """Grade the nuclei at known positions.

        Each point is read from the tile in which it lies most central, by bilinear interpolation of the
        logits.

        Args:
            xy_px: ``[n, 2]`` (x, y) in pixels of ``image``, inside it.

        Returns:
            Calibrated probabilities, float32 ``[n, 6]``.

        Raises:
            EngineInputError: as :meth:`detect`, or a point that is not finite or lies outside the image.
            EngineError: as :meth:`detect`.
        """
        points = np.asarray(xy_px, dtype=np.float64).reshape(-1, 2)
        scaled = rescale(image, mpp, self.bundle.mpp)
        _check_points(points, image)
        if len(points) == 0:
            return np.empty((0, len(self.bundle.categories)), dtype=np.float32)
        height_px, width_px = scaled.pixels.shape[:2]
        plan = self.plan(width_px, height_px)
        in_scaled = scaled.from_given(points)
        needed, slot = np.unique(plan.owner(in_scaled), return_inverse=True)
        (logit_map,) = self._worker.run(cut_tiles(scaled.pixels, plan, needed), MAP_OUTPUTS)
        in_tile = in_scaled - plan.origins_px()[needed][slot]
        return softmax(sample_bilinear(logit_map, slot, in_tile, self.bundle.stride_px))

    def close(self) -> None:
        """Stop the worker; requests still waiting raise EngineClosedError."""
        self._worker.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _check_points(points: NDArray[np.float64], image: NDArray[np.uint8]) -> None:
    height_px, width_px = image.shape[:2]
    outside = ~((points >= 0) & (points <= (width_px, height_px))).all(axis=1)
    if outside.any():
        index = int(np.flatnonzero(outside)[0])
        x, y = points[index]
        raise EngineInputError(
            f"point {index + 1} ({x:g}, {y:g}) lies outside the image of {width_px} x {height_px} px "
            f"({int(outside.sum())} such points)"
        )
