"""Where a slide bears cells, on the grid of its coverage."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from tamsoat.inference_service.reviews import findings
from tamsoat.inference_service.screening.tables import AnalysisMap
from tamsoat.inference_service.slides.tile_quality import TileQuality
from tamsoat.inference_service.uploads.tables import Slide


def cell_bearing(session: Session, slide: Slide, columns: int, rows: int, cell_um: float) -> NDArray[np.bool_] | None:
    """``[rows, columns]``: whether the middle of each square of ``cell_um`` lies in a tile that was analysed.

    None: the screening has not ended, or the image is a single field, which has no map.
    """
    analysis = findings.analysis_of(session, slide)
    tiles = session.get(AnalysisMap, analysis.number) if analysis is not None else None
    if tiles is None:
        return None
    quality = np.frombuffer(tiles.quality, np.uint8).reshape(tiles.rows, tiles.columns)
    row = _tile_of(rows, cell_um, tiles.tile_um, tiles.rows)
    column = _tile_of(columns, cell_um, tiles.tile_um, tiles.columns)
    bearing: NDArray[np.bool_] = quality[np.ix_(row, column)] != TileQuality.NOT_ANALYSED
    return bearing


def _tile_of(count: int, cell_um: float, tile_um: float, tiles: int) -> NDArray[np.intp]:
    """The tile, along one axis, in which the middle of each square lies; the last one reaches to the edge."""
    middle_um = (np.arange(count) + 0.5) * cell_um
    return np.minimum((middle_um / tile_um).astype(np.intp), tiles - 1)
