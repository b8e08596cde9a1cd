"""Peaks as they come out of the tiles of one image, and the nuclei that they make together.

Coordinates are those of the image at the network's scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tamsoat.inference_service.engine.merge import merge_peaks
from tamsoat.inference_service.engine.tiling import TilePlan


@dataclass(frozen=True, eq=False)
class Peaks:
    """Aligned arrays: ``tile`` int64 ``[n]``, ``xy_px`` float32 ``[n, 2]``, ``score`` float32 ``[n]``,
    ``probabilities`` float32 ``[n, categories]``."""

    tile: NDArray[np.int64]
    xy_px: NDArray[np.float32]
    score: NDArray[np.float32]
    probabilities: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.tile)

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> Self:
        """Some of them, in the order of ``index``."""
        return type(self)(self.tile[index], self.xy_px[index], self.score[index], self.probabilities[index])


def gather_peaks(
    plan: TilePlan, tiles: NDArray[np.int64], outputs: Sequence[NDArray[np.float32]], threshold: float
) -> tuple[Peaks, NDArray[np.bool_]]:
    """The peaks inside the image, at or above ``threshold``.

    Args:
        tiles: ``[n]`` which tiles of ``plan`` the ``outputs`` (scores, xy, probabilities) are of.

    Returns:
        The peaks by tile and then by falling score; and, ``[n]``, which tiles were full: the network reports a limited
        number of peaks per tile and may have found more.
    """
    scores, xy_px, probabilities = outputs
    found = (scores >= threshold) & (scores > 0)
    slot, peak = np.nonzero(found)
    in_image = xy_px[slot, peak] + plan.origins_px()[tiles[slot]].astype(np.float32)
    inside = ((in_image >= 0) & (in_image < (plan.width_px, plan.height_px))).all(axis=1)
    slot, peak = slot[inside], peak[inside]
    peaks = Peaks(tiles[slot], in_image[inside], scores[slot, peak], probabilities[slot, peak])
    return peaks, found[:, -1]


def settle_peaks(plan: TilePlan, peaks: Peaks, radius_px: float) -> NDArray[np.int64]:
    """Indices of the peaks that stay when every nucleus is told once, the most certain first.

    The peaks must be ordered by tile; those that lie more than ``radius_px`` outside the region that their tile
    answers for have no say and may be left out.
    """
    kept = merge_peaks(plan, peaks.xy_px, peaks.score, peaks.tile, radius_px)
    order: NDArray[np.int64] = kept[np.argsort(-peaks.score[kept], kind="stable")]
    return order
