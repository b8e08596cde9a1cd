"""What a reader has had in view of a slide, on a grid of squares at the specimen."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.reviews import repository
from tamsoat.inference_service.reviews.cell_area import cell_bearing
from tamsoat.inference_service.reviews.schemas import MOST_LOOKED, CoverageIn, CoverageOut
from tamsoat.inference_service.reviews.tables import Coverage
from tamsoat.inference_service.uploads import repository as uploads
from tamsoat.inference_service.uploads.tables import Slide

CELL_UM = 100.0
"""Side of a square: a fifth of a field of view at 40 x, so that what was seen is told well from what was not."""
MOST_CELLS = 2**20
"""On larger specimens the squares grow, so that the grid stays below 128 KiB."""

Bits = NDArray[np.bool_]


class CoverageUnavailableError(TamsoatError):
    """The slide has no stated scale or was not opened yet: nothing can be said about magnification."""

    status = 409
    title = "Coverage not known"
    slug = "coverage-unavailable"


class CoverageGridError(TamsoatError):
    """The grid is not the one of this slide."""

    status = 422
    title = "Another grid"
    slug = "coverage-grid"


@dataclass(frozen=True)
class Grid:
    """Squares of ``cell_um`` that cover a slide, row after row from its top left corner."""

    columns: int
    rows: int
    cell_um: float

    @property
    def n_bytes(self) -> int:
        return (self.columns * self.rows + 7) // 8

    def unpack(self, bits: bytes) -> Bits:
        """``[rows, columns]``; bytes that are missing mean: not seen."""
        padded = np.frombuffer(bits.ljust(self.n_bytes, b"\0"), np.uint8)
        flat = np.unpackbits(padded, bitorder="little")[: self.columns * self.rows]
        return flat.astype(bool).reshape(self.rows, self.columns)


@dataclass(frozen=True)
class CoverageShare:
    """How much of the slides of a case one reader has had in view, 0..1.

    Attributes:
        slides: of their whole area; 0 where nothing was looked at.
        cells: of the area that bears cells; None where no slide says where that is.
    """

    slides: float
    cells: float | None


def grid_of(slide: Slide) -> Grid:
    """The grid of a slide.

    Raises:
        CoverageUnavailableError: its size or scale is not known.
    """
    if slide.mpp is None or slide.width_px is None or slide.height_px is None:
        raise CoverageUnavailableError("the slide has no stated scale, or was not opened yet")
    width_um, height_um = slide.width_px * slide.mpp, slide.height_px * slide.mpp
    cell_um = CELL_UM * max(1, math.ceil(math.sqrt(width_um * height_um / CELL_UM**2 / MOST_CELLS)))
    return Grid(math.ceil(width_um / cell_um), math.ceil(height_um / cell_um), cell_um)


def add(session: Session, case_id: str, slide: Slide, reader: str, seen: CoverageIn) -> CoverageOut:
    """Add what was in view; the order and the repetition of additions do not matter.

    Raises:
        CoverageUnavailableError, CoverageGridError: the slide has no grid, or another one.
    """
    grid = grid_of(slide)
    bits = base64.b64decode(seen.bits)
    if (seen.columns, seen.rows) != (grid.columns, grid.rows) or not math.isclose(seen.cell_um, grid.cell_um):
        raise CoverageGridError(f"the grid of this slide is {grid.columns} x {grid.rows} squares of {grid.cell_um} um")
    if len(bits) > grid.n_bytes:
        raise CoverageGridError(f"the grid of this slide has {grid.n_bytes} bytes")
    uploads.lock(session, f"coverage:{case_id}:{slide.id}:{reader}")
    row = repository.coverage_of(session, case_id, slide.id, reader, lock=True)
    if row is None:
        row = Coverage(case_id=case_id, slide_id=slide.id, reader=reader, bits=b"", looked=b"",
                       columns=grid.columns, rows=grid.rows, cell_um=grid.cell_um)  # fmt: skip
        session.add(row)
    before = row.bits if (row.columns, row.rows) == (grid.columns, grid.rows) else b""
    row.columns, row.rows, row.cell_um = grid.columns, grid.rows, grid.cell_um
    row.bits = _merged(before, bits)
    row.looked = _merged(row.looked, _packed(seen.looked))
    row.updated_at = datetime.now(UTC)
    session.flush()
    return describe(session, slide, row)


def read(session: Session, case_id: str, slide: Slide, reader: str) -> CoverageOut:
    """What is known of one reader and slide.

    Raises:
        CoverageUnavailableError: the slide has no grid.
    """
    return describe(session, slide, repository.coverage_of(session, case_id, slide.id, reader))


def describe(session: Session, slide: Slide, row: Coverage | None) -> CoverageOut:
    """One row as it goes over the wire; None: nothing was looked at."""
    grid = grid_of(slide)
    seen = _seen(grid, row)
    bearing = cell_bearing(session, slide, grid.columns, grid.rows, grid.cell_um)
    looked = np.unpackbits(np.frombuffer(row.looked if row else b"", np.uint8), bitorder="little")
    return CoverageOut(
        columns=grid.columns,
        rows=grid.rows,
        cell_um=grid.cell_um,
        bits=base64.b64encode(np.packbits(seen.ravel(), bitorder="little").tobytes()).decode("ascii"),
        looked=[int(rank) for rank in np.flatnonzero(looked)],
        share_of_slide=float(seen.mean()),
        share_of_cells=_share(seen, bearing),
    )


def coverage_share(session: Session, case_id: str, reader: str) -> CoverageShare:
    """How much of the case's slides ``reader`` has had in view at the magnification of screening or a higher one.

    Slides without a scale are left out. Each slide counts by its area.
    """
    rows = {row.slide_id: row for row in repository.coverages_of(session, case_id, reader)}
    total = seen_total = bearing_total = seen_bearing = 0.0
    for slide in repository.slides_of(session, case_id):
        if slide.mpp is None or slide.width_px is None or slide.height_px is None:
            continue
        grid = grid_of(slide)
        area = grid.cell_um**2
        seen = _seen(grid, rows.get(slide.id))
        total, seen_total = total + seen.size * area, seen_total + seen.sum() * area
        bearing = cell_bearing(session, slide, grid.columns, grid.rows, grid.cell_um)
        if bearing is not None:
            bearing_total += bearing.sum() * area
            seen_bearing += (seen & bearing).sum() * area
    return CoverageShare(
        slides=float(seen_total / total) if total else 0.0,
        cells=float(seen_bearing / bearing_total) if bearing_total else None,
    )


def _seen(grid: Grid, row: Coverage | None) -> Bits:
    if row is None or (row.columns, row.rows) != (grid.columns, grid.rows):
        return np.zeros((grid.rows, grid.columns), dtype=bool)
    return grid.unpack(row.bits)


def _share(seen: Bits, bearing: Bits | None) -> float | None:
    return float(seen[bearing].mean()) if bearing is not None and bearing.any() else None


def _packed(ranks: Iterable[int]) -> bytes:
    flags = np.zeros(MOST_LOOKED, np.uint8)
    flags[list(ranks)] = 1
    return np.packbits(flags, bitorder="little").tobytes()


def _merged(before: bytes, more: bytes) -> bytes:
    length = max(len(before), len(more))
    one = np.frombuffer(before.ljust(length, b"\0"), np.uint8)
    other = np.frombuffer(more.ljust(length, b"\0"), np.uint8)
    return np.bitwise_or(one, other).tobytes()
