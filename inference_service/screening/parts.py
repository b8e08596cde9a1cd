"""The parts of a slide's screening as bytes: exact, compact, and readable in one step.

``findings``: records of :data:`PEAK`; ``quality``: records of :data:`TILE`. Both little-endian, without padding.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tamsoat.datasets.categories import N_AI_CATEGORIES
from tamsoat.inference_service.engine.peaks import Peaks
from tamsoat.inference_service.screening.slide_run import TileFindings

PEAK = np.dtype(
    [("tile", "<i4"), ("xy_px", "<f4", (2,)), ("score", "<f4"), ("probabilities", "<f4", (N_AI_CATEGORIES,))]
)
"""A peak; its position is at the network's scale."""
TILE = np.dtype([("tile", "<i4"), ("quality", "u1"), ("plane", "u1"), ("full", "u1")])


def join(found: Sequence[TileFindings]) -> TileFindings:
    """Several as one."""
    peaks = [item.peaks for item in found]
    return TileFindings(
        np.concatenate([item.tiles for item in found]),
        np.concatenate([item.quality for item in found]),
        np.concatenate([item.plane for item in found]),
        np.concatenate([item.full for item in found]),
        Peaks(
            np.concatenate([item.tile for item in peaks]),
            np.concatenate([item.xy_px for item in peaks]),
            np.concatenate([item.score for item in peaks]),
            np.concatenate([item.probabilities for item in peaks]),
        ),
    )


def pack(found: TileFindings) -> tuple[bytes, bytes]:
    """``findings`` and ``quality``."""
    peaks = np.empty(len(found.peaks), PEAK)
    peaks["tile"], peaks["xy_px"] = found.peaks.tile, found.peaks.xy_px
    peaks["score"], peaks["probabilities"] = found.peaks.score, found.peaks.probabilities
    tiles = np.empty(len(found.tiles), TILE)
    tiles["tile"], tiles["quality"] = found.tiles, found.quality
    tiles["plane"], tiles["full"] = found.plane, found.full
    return peaks.tobytes(), tiles.tobytes()


def unpack(findings: bytes, quality: bytes) -> TileFindings:
    """What :func:`pack` packed."""
    peaks, tiles = np.frombuffer(findings, PEAK), np.frombuffer(quality, TILE)
    return TileFindings(
        tiles["tile"].astype(np.int64),
        tiles["quality"].copy(),
        tiles["plane"].copy(),
        tiles["full"].astype(np.bool_),
        Peaks(
            peaks["tile"].astype(np.int64),
            peaks["xy_px"].astype(np.float32),
            peaks["score"].astype(np.float32),
            peaks["probabilities"].astype(np.float32),
        ),
    )
