"""Analyses of slides in the database: many findings, written and compared without holding them as objects."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.screening import part_repository, repository
from tamsoat.inference_service.screening.schemas import (
    ModelIdentity,
    Quality,
    SlideAssessment,
    SlideFacts,
    SlideSummary,
)
from tamsoat.inference_service.screening.slide_result import CELL, SlideResult, findings_digest, result_digest
from tamsoat.inference_service.screening.tables import SLIDE, Analysis, AnalysisMap

BATCH = 5_000


def add(
    session: Session,
    result: SlideResult,
    analysis_id: str,
    facility_id: str,
    image: tuple[str, int],
    provider: str,
    actor: str,
) -> Event:
    """Insert the analysis, its map and its findings and delete the parts they were made of.

    Args:
        image: SHA-256 and bytes of the slide's file.

    Returns:
        The event, to be appended to the audit log in the same transaction.
    """
    summary = result.summary
    analysis = Analysis(
        id=analysis_id,
        facility_id=facility_id,
        created_at=datetime.now(UTC),
        image_sha256=image[0],
        image_bytes=image[1],
        width_px=summary.width_px,
        height_px=summary.height_px,
        mpp=summary.mpp,
        model_name=summary.model.name,
        model_version=summary.model.version,
        model_digest=summary.model.digest,
        provider=provider,
        usable=summary.quality.usable,
        reasons=summary.quality.reasons,
        category=summary.field.category,
        abnormal_probability=summary.field.abnormal_probability,
        triage=summary.field.triage,
        categories=list(result.categories),
        cells=len(result.cells),
        seconds=summary.seconds,
        kind=SLIDE,
        slide_facts=summary.slide.model_dump(mode="json"),
    )
    repository.add(session, analysis, [])
    for begin in range(0, len(result.cells), BATCH):
        repository.add_findings(session, _rows(analysis, result.cells[begin : begin + BATCH], begin))
    session.add(
        AnalysisMap(
            analysis_number=analysis.number,
            columns=result.map.quality.shape[1],
            rows=result.map.quality.shape[0],
            tile_um=result.map.tile_um,
            quality=result.map.quality.tobytes(),
            suspicion=result.map.suspicion.astype("<f4").tobytes(),
            plane=result.map.plane.tobytes(),
        )
    )
    part_repository.discard(session, analysis_id)
    digests = {
        "image": image[0],
        "model": summary.model.digest,
        "result": result_digest(summary, analysis_id, findings_digest([result.cells])),
    }
    return Event(actor, Action.ANALYSIS_CREATE, f"analysis:{analysis_id}", digests, facility_id)


def stored_summary(analysis: Analysis) -> SlideSummary:
    """The summary that was stored.

    Raises:
        ValueError: the row holds what no summary can.
    """
    return SlideSummary(
        image=f"sha256:{analysis.image_sha256}",
        width_px=analysis.width_px,
        height_px=analysis.height_px,
        mpp=analysis.mpp,
        model=ModelIdentity(name=analysis.model_name, version=analysis.model_version, digest=analysis.model_digest),
        quality=Quality(usable=analysis.usable, reasons=analysis.reasons),
        field=SlideAssessment(
            category=analysis.category,
            abnormal_probability=analysis.abnormal_probability,
            triage=analysis.triage,  # type: ignore[arg-type]
        ),
        slide=SlideFacts.model_validate(analysis.slide_facts),
        cells_total=analysis.cells,
        seconds=analysis.seconds,
    )


def stored_digest(session: Session, analysis: Analysis) -> str:
    """The digest of the result as it is stored now, for comparison with the audit log.

    Raises:
        ValueError: the rows hold what no result can.
    """
    cells = list(stored_cells(session, analysis))
    if sum(len(part) for part in cells) != analysis.cells:
        raise ValueError("findings are missing, or there are too many")
    return result_digest(stored_summary(analysis), analysis.id, findings_digest(cells))


def stored_cells(session: Session, analysis: Analysis) -> Iterator[NDArray[np.void]]:
    """The findings as records of :data:`CELL`, most suspicious first, some thousand at a time.

    Raises:
        ValueError: a rank is missing, or a row holds what no finding can.
    """
    channels = {name: channel for channel, name in enumerate(analysis.categories)}
    expected = 0
    for rows in repository.found_in_parts(session, analysis.number, BATCH):
        part = np.empty(len(rows), CELL)
        for at, (rank, x_px, y_px, category, score, probabilities) in enumerate(rows):
            if rank != expected or category not in channels or len(probabilities) != len(channels):
                raise ValueError(f"finding {rank} is none")
            part[at] = (x_px, y_px, channels[category], score, probabilities)
            expected += 1
        yield part


def _rows(analysis: Analysis, cells: NDArray[np.void], first_rank: int) -> list[dict[str, object]]:
    return [
        {
            "analysis_number": analysis.number,
            "rank": first_rank + offset,
            "x_px": x_px,
            "y_px": y_px,
            "category": analysis.categories[channel],
            "score": score,
            "probabilities": probabilities,
        }
        for offset, (x_px, y_px, channel, score, probabilities) in enumerate(
            zip(
                cells["x_px"].tolist(),
                cells["y_px"].tolist(),
                cells["category"].tolist(),
                cells["score"].tolist(),
                cells["probabilities"].tolist(),
                strict=True,
            )
        )
    ]
