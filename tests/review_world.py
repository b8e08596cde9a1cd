"""Cases with analysed slides, made without running a network: what the model found is written as given."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bad_inputs import good_jpeg
from desk import Desk
from sqlalchemy import select

from tamsoat.datasets.categories import AI_CATEGORIES
from tamsoat.inference_service.cases import service as cases
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.screening import repository as screenings
from tamsoat.inference_service.screening.tables import COMPLETED, Analysis, AnalysisMap, Screening
from tamsoat.inference_service.uploads.tables import Slide

WIDTH_PX, HEIGHT_PX, MPP = 4000, 2500, 0.25
"""1,000 x 625 um: a grid of 10 x 7 squares for coverage."""


@dataclass
class ReviewCase:
    """A case with one slide and its analysis."""

    case_id: str
    slide_id: str
    analysis_id: str

    @property
    def path(self) -> str:
        return f"/api/v1/cases/{self.case_id}"

    def marks(self, kind: str, *ranks: int, **more: Any) -> dict[str, Any]:
        """The body of one action on findings."""
        return {"batch": str(uuid.uuid4()), "slide_id": self.slide_id, "analysis_id": self.analysis_id, "kind": kind,
                "ranks": list(ranks), **more}  # fmt: skip

    def cell(self, x_px: float, y_px: float, category: str = "HSIL", **more: Any) -> dict[str, Any]:
        """The body of an added cell."""
        return {"batch": str(uuid.uuid4()), "slide_id": self.slide_id, "kind": "add", "x_px": x_px, "y_px": y_px,
                "category": category, **more}  # fmt: skip


def sent_slide(desk: Desk, order_id: str | None = None) -> tuple[str, str, str]:
    """Send an image as the person at the desk; its slide, analysis and case."""
    data = {"objective": "40", "again": "true", **({"order_id": order_id} if order_id else {})}
    response = desk.client.post(
        "/api/v1/slides", files={"image": ("f.jpg", good_jpeg(), "image/jpeg")}, data=data,
        headers={"Idempotency-Key": str(uuid.uuid4())},
    )  # fmt: skip
    assert response.status_code < 300, response.text
    sent = response.json()
    with desk.database.write() as session:
        slide = session.scalars(select(Slide).where(Slide.id == sent["slide_id"])).one()
        slide.width_px, slide.height_px, slide.mpp = WIDTH_PX, HEIGHT_PX, MPP
        slide.condition = "ready"
        assert slide.case_id is not None
        assert slide.analysis_id is not None
        return slide.id, slide.analysis_id, slide.case_id


def analysed_case(desk: Desk, findings: int = 30, *, order_id: str | None = None) -> ReviewCase:
    """A case that is ready to be read, with so many findings in a row from left to right."""
    slide_id, analysis_id, case_id = sent_slide(desk, order_id)
    write_analysis(desk.database, slide_id, findings)
    return ReviewCase(case_id, slide_id, analysis_id)


def write_analysis(database: Database, slide_id: str, findings: int = 30) -> None:
    """The screening of a slide has ended with so many findings."""
    with database.write() as session:
        slide = session.scalars(select(Slide).where(Slide.id == slide_id)).one()
        screening = session.scalars(select(Screening).where(Screening.id == slide.analysis_id)).one()
        screening.state, screening.finished_at = COMPLETED, datetime.now(UTC)
        screening.version += 1
        found = [_finding(rank, findings) for rank in range(findings)]
        screenings.add(session, _analysis(slide, screening.id, findings), found)
        cases.analysed(session, screening, slide)


def write_map(database: Database, analysis_id: str) -> None:
    """The analysis has a heat map of one square."""
    with database.write() as session:
        analysis = session.scalars(select(Analysis).where(Analysis.id == analysis_id)).one()
        session.add(
            AnalysisMap(
                analysis_number=analysis.number, columns=1, rows=1, tile_um=100.0, quality=bytes(1),
                suspicion=bytes(4), plane=bytes(1),
            )
        )  # fmt: skip


def _analysis(slide: Slide, analysis_id: str, findings: int) -> Analysis:
    return Analysis(
        id=analysis_id, facility_id=slide.facility_id, created_at=datetime.now(UTC), image_sha256=slide.sha256,
        image_bytes=slide.bytes, width_px=WIDTH_PX, height_px=HEIGHT_PX, mpp=MPP, model_name="written",
        model_version="1", model_digest="0" * 64, provider="none", usable=True, reasons=[], category="HSIL",
        abnormal_probability=0.93, triage="urgent", categories=[category.value for category in AI_CATEGORIES],
        cells=findings, seconds=0.1,
    )  # fmt: skip


def _finding(rank: int, of: int) -> dict[str, object]:
    """The more suspicious the further left; HSIL, then LSIL, then NILM."""
    suspicion = 0.95 - 0.9 * rank / of
    category = "HSIL" if suspicion > 0.6 else "LSIL" if suspicion > 0.3 else "NILM"
    rest = [(1 - suspicion), suspicion * 0.1, suspicion * 0.2, suspicion * 0.1, suspicion * 0.5, suspicion * 0.1]
    return {
        "rank": rank, "x_px": 100.0 + rank * (WIDTH_PX - 200) / of, "y_px": 200.0 + 60 * (rank % 30),
        "category": category, "score": 0.99, "probabilities": rest,
    }  # fmt: skip
