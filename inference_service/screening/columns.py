"""Findings as columns of numbers: what the viewer draws from, for a slide as it is screened and afterwards.

Layout, little-endian: length of the header (uint32), the header (JSON, padded with blanks so that what follows begins
at a multiple of 8 bytes), then one column after the other, as ``columns`` of the header names and types them.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from tamsoat.inference_service.engine.engine import Engine
from tamsoat.inference_service.screening import part_repository, parts, repository, slide_work
from tamsoat.inference_service.screening.slide_result import tile_map
from tamsoat.inference_service.screening.slide_run import TileFindings
from tamsoat.inference_service.screening.slide_work import SlideWork
from tamsoat.inference_service.screening.tables import COMPLETED, Analysis, Screening
from tamsoat.inference_service.slides.tile_quality import TileQuality
from tamsoat.models.decision import decide

COLUMNS = (
    ("x_px", "<f4"),
    ("y_px", "<f4"),
    ("score", "<f4"),
    ("suspicion", "<f4"),
    ("category", "u1"),
    ("rank", "<u4"),
)
TYPES = {"<f4": "f32", "u1": "u8", "<u4": "u32"}
BATCH = 10_000


@dataclass(frozen=True, eq=False)
class Table:
    """Findings as arrays by column name. ``parts``: number of the last part that is in it; ``suspicion`` is
    1 - P(NILM). While a slide is being screened ``rank`` only numbers the findings as they came."""

    values: dict[str, NDArray[Any]]
    categories: Sequence[str]
    complete: bool
    parts: int

    def encode(self) -> bytes:
        """The bytes that are sent."""
        head = {
            "count": len(self.values["x_px"]),
            "categories": list(self.categories),
            "complete": self.complete,
            "parts": self.parts,
            "columns": [{"name": name, "type": TYPES[kind]} for name, kind in COLUMNS],
        }
        text = json.dumps(head).encode()
        text += b" " * (-(4 + len(text)) % 8)
        body = [np.ascontiguousarray(self.values[name], dtype=kind).tobytes() for name, kind in COLUMNS]
        return b"".join([struct.pack("<I", len(text)), text, *body])


def stored(session: Session, analysis: Analysis, *, empty: bool) -> Table:
    """The findings of a completed analysis, most suspicious first; ``empty``: none of them, but that it is complete."""
    count = 0 if empty else analysis.cells
    values = {name: np.zeros(count, kind) for name, kind in COLUMNS}
    channels = {name: channel for channel, name in enumerate(analysis.categories)}
    begin = 0
    for rows in [] if empty else repository.found_in_parts(session, analysis.number, BATCH):
        here = slice(begin, begin + len(rows))
        rank, x_px, y_px, category, score, probabilities = zip(*rows, strict=True)
        values["rank"][here], values["x_px"][here], values["y_px"][here] = rank, x_px, y_px
        values["category"][here] = [channels[name] for name in category]
        values["score"][here] = score
        values["suspicion"][here] = [1.0 - of[0] for of in probabilities]
        begin += len(rows)
    return Table(values, analysis.categories, True, 0)


def partial(session: Session, engine: Engine, row: Screening, after_part: int) -> Table:
    """What was found so far in a slide, in the parts after ``after_part``. A nucleus near a seam may be there twice, or
    not yet; the complete table has it once."""
    work, found, last = _so_far(session, engine, row, after_part)
    categories = engine.bundle.categories
    if work is None:
        return Table({name: np.zeros(0, kind) for name, kind in COLUMNS}, categories, False, last)
    own = work.plan.tiles.outside_own_region_px(found.peaks.xy_px, found.peaks.tile) <= 0
    peaks = found.peaks.take(own)
    xy_px = work.plan.scaling.to_slide(peaks.xy_px)
    values = {
        "x_px": xy_px[:, 0],
        "y_px": xy_px[:, 1],
        "score": peaks.score,
        "suspicion": 1.0 - peaks.probabilities[:, 0],
        "category": decide(peaks.probabilities, engine.bundle.operating_points.category_weights),
        "rank": np.arange(len(peaks)),
    }
    return Table(values, categories, False, last)


def map_members(session: Session, engine: Engine, row: Screening, analysis: Analysis | None) -> dict[str, Any] | None:
    """The members of ``AnalysisMapView``; None where there is no map: of a field, or before the work began."""
    if row.state == COMPLETED and analysis is not None:
        kept = repository.map_of(session, analysis.number)
        if kept is None:
            return None
        quality, plane = np.frombuffer(kept.quality, np.uint8), np.frombuffer(kept.plane, np.uint8)
        suspicion = np.frombuffer(kept.suspicion, "<f4")
        columns, rows, tile_um = kept.columns, kept.rows, kept.tile_um
    else:
        work, found, _ = _so_far(session, engine, row, 0)
        if work is None:
            return None
        now = tile_map(work, found)
        quality, suspicion, plane = now.quality.ravel(), now.suspicion.ravel(), now.plane.ravel()
        rows, columns = now.quality.shape
        tile_um = now.tile_um
    done = quality != TileQuality.NOT_ANALYSED
    return {
        "complete": row.state == COMPLETED,
        "columns": columns,
        "rows": rows,
        "tile_um": tile_um,
        "qualities": {str(code.value): code.name.lower() for code in TileQuality},
        "quality": quality.tolist(),
        "suspicion": [
            round(value, 4) if known else None for value, known in zip(suspicion.tolist(), done, strict=True)
        ],
        "plane": plane.tolist(),
    }


def _so_far(
    session: Session, engine: Engine, row: Screening, after_part: int
) -> tuple[SlideWork | None, TileFindings, int]:
    """The work, what the parts after ``after_part`` hold, and the number of the last part."""
    first = part_repository.first(session, row.id, row.attempts)
    work = slide_work.go_on(engine, first.quality) if first is not None else None
    later = part_repository.of_attempt(session, row.id, row.attempts, max(0, after_part)) if work is not None else []
    found = parts.join([parts.unpack(b"", b""), *(parts.unpack(part.findings, part.quality) for part in later)])
    return work, found, later[-1].part if later else max(0, after_part)
