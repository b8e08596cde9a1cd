"""Cases in any state, without a model: slides are sent, what the model would have found is written down."""

from __future__ import annotations

import itertools
from typing import Any

from desk import ORDERS, Desk, named
from sqlalchemy import select
from starlette.testclient import TestClient

from tamsoat.datasets.categories import AI_CATEGORIES
from tamsoat.inference_service.cases import service as cases
from tamsoat.inference_service.cases.tables import Case
from tamsoat.inference_service.screening import outcome
from tamsoat.inference_service.screening.answers import AnalysisAnswer
from tamsoat.inference_service.screening.outcome import Outcome
from tamsoat.inference_service.screening.service import Screened
from tamsoat.inference_service.screening.tables import Screening
from tamsoat.inference_service.slides.errors import UnreadableImageError
from tamsoat.inference_service.uploads.tables import Slide

SLIDES, CASES = "/api/v1/slides", "/api/v1/cases"
_numbers = itertools.count(1)
_TRIAGE = {"NILM": "routine", "ASC-US": "review", "LSIL": "review"}


def order_of(desk: Desk, name: str = "Nguyễn Thị Mẫu", **more: Any) -> dict[str, Any]:
    """An order for a new patient."""
    number = next(_numbers)
    patient = named(name, ("patient-internal-id", f"BN-{number}"), birth_date="1990-05-03")
    return desk.post(ORDERS, {"patient": patient, **more}, 201)


def slide_of(client: TestClient, jpeg: bytes, **form: str) -> str:
    """A slide of its own; its identifier."""
    data = jpeg + b"%d" % next(_numbers)
    response = client.post(SLIDES, files={"image": ("a.jpg", data)}, data={"objective": "40"} | form)
    assert response.status_code == 202, response.text
    return str(response.json()["slide_id"])


def case_of(desk: Desk, slide_id: str) -> Case:
    """The case of a slide, as it is stored now."""
    with desk.database.read() as session:
        case = session.scalar(select(Case).join(Slide, Slide.case_id == Case.id).where(Slide.id == slide_id))
        assert case is not None
        return case


def screened(desk: Desk, slide_id: str, category: str = "NILM", suspicion: float = 0.1, *, usable: bool = True) -> None:
    """Let the model have found this."""
    analysis_id, attempt = _screening(desk, slide_id)
    shares = {name.value: 0.0 for name in AI_CATEGORIES} | {category: 1.0}
    answer = AnalysisAnswer.model_validate(
        {
            "image": "sha256:" + "0" * 64, "width_px": 320, "height_px": 256, "mpp": 0.25, "analysis_id": analysis_id,
            "model": {"name": "none", "version": "0", "digest": "0" * 64}, "seconds": 0.1,
            "quality": {"usable": usable, "reasons": [] if usable else ["blurred"]},
            "field": {"category": category, "abnormal_probability": suspicion,
                      "triage": _TRIAGE.get(category, "urgent")},
            "cells": [{"x_px": 10.0, "y_px": 10.0, "category": category, "score": 0.9, "probabilities": shares}],
        }
    )  # fmt: skip
    found = Outcome.completed(Screened(answer, "0" * 64, 1, "none", 1))
    assert outcome.record(desk.database, analysis_id, attempt, found) == "completed"


def failed(desk: Desk, slide_id: str) -> None:
    """Let the screening have failed."""
    analysis_id, attempt = _screening(desk, slide_id)
    error = UnreadableImageError("damaged")
    assert outcome.record(desk.database, analysis_id, attempt, Outcome.failed(error)) == "failed"


def ready_case(desk: Desk, jpeg: bytes, category: str = "NILM", suspicion: float = 0.1, **order: Any) -> str:
    """A case that waits for its reader; its identifier."""
    slide_id = slide_of(desk.client, jpeg, order_id=order_of(desk, **order)["order_id"])
    screened(desk, slide_id, category, suspicion)
    return case_of(desk, slide_id).id


def bring(desk: Desk, case_id: str, state: str, **fields: Any) -> None:
    """Put a case into a state, as those do who own the step."""
    with desk.database.write() as session:
        cases.set_state(session, cases.get(session, desk.facility_id, case_id, lock=True), state, **fields)


def _screening(desk: Desk, slide_id: str) -> tuple[str, int]:
    with desk.database.read() as session:
        slide = session.get(Slide, slide_id)
        assert slide is not None
        row = session.scalar(select(Screening).where(Screening.id == slide.analysis_id))
        assert row is not None
        return row.id, row.attempts
