"""What was looked at, first impressions before the AI is shown, and what becomes of both with the patient."""

from __future__ import annotations

import base64
import uuid
from typing import Any

import numpy as np
import pytest
from desk import Desk, named
from people import actions
from review_world import ReviewCase, analysed_case
from sqlalchemy import select

from tamsoat.inference_service.accounts.access import Role
from tamsoat.inference_service.cases import service as cases
from tamsoat.inference_service.cases.tables import FacilityReviewSettings
from tamsoat.inference_service.reviews import service, stewardship
from tamsoat.inference_service.screening.tables import Analysis, AnalysisMap
from tamsoat.inference_service.slides.tile_quality import TileQuality

READER = (Role.PATHOLOGIST,)


@pytest.fixture
def desk(shared_service: Any) -> Desk:
    return Desk.at(shared_service, READER)


@pytest.fixture
def case(desk: Desk) -> ReviewCase:
    return analysed_case(desk)


def problem(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["type"].rpartition(":")[2]


def bits(*squares: int) -> str:
    flags = bytearray(9)
    for square in squares:
        flags[square >> 3] |= 1 << (square & 7)
    return base64.b64encode(bytes(flags)).decode()


def read_blind_first(desk: Desk) -> None:
    with desk.database.write() as session:
        found = cases.settings_of(session, desk.facility_id)
        session.add(
            FacilityReviewSettings(
                facility_id=desk.facility_id, blind_first=True, negative_share=0.1, disagreement_steps=2,
                updated_at=found.updated_at,
            )
        )  # fmt: skip


def test_what_was_seen_adds_up_per_reader(desk: Desk, case: ReviewCase) -> None:
    path = f"{case.path}/coverage/{case.slide_id}"
    empty = desk.get(path)
    assert (empty["columns"], empty["rows"], empty["cell_um"]) == (10, 7, 100)
    assert empty["share_of_slide"] == 0
    assert empty["looked"] == []
    grid = {name: empty[name] for name in ("columns", "rows", "cell_um")}
    for body in ({"bits": bits(0, 1)}, {"bits": bits(1, 69)}, {"looked": [0, 7]}, {"looked": [7]}):
        response = desk.client.put(path, json=grid | body)
        assert response.status_code == 200, response.text
    seen = desk.get(path)
    assert seen["share_of_slide"] == pytest.approx(3 / 70)
    assert seen["looked"] == [0, 7]
    assert base64.b64decode(seen["bits"]) == base64.b64decode(bits(0, 1, 69))
    reader = desk.post(f"{case.path}/marks", case.marks("agree", 0), 201) and desk.get(f"{case.path}/marks")
    with desk.database.read() as session:
        share = service.coverage_share(session, case.case_id, reader["items"][0]["author"])
    assert share.slides == pytest.approx(3 / 70)
    desk.sit_down(READER)
    assert desk.get(path)["share_of_slide"] == 0


def test_the_share_of_the_area_that_bears_cells(desk: Desk, case: ReviewCase) -> None:
    quality = np.zeros((4, 5), np.uint8)  # tiles of 200 um: 5 x 4 of them
    quality[0, :2] = TileQuality.GOOD, TileQuality.OUT_OF_FOCUS
    with desk.database.write() as session:
        number = session.scalars(select(Analysis.number).where(Analysis.id == case.analysis_id)).one()
        nothing = np.zeros(20)
        session.add(
            AnalysisMap(
                analysis_number=number, columns=5, rows=4, tile_um=200.0, quality=quality.tobytes(),
                suspicion=nothing.astype("<f4").tobytes(), plane=nothing.astype(np.uint8).tobytes(),
            )
        )  # fmt: skip
    path = f"{case.path}/coverage/{case.slide_id}"
    grid = {"columns": 10, "rows": 7, "cell_um": 100, "bits": bits(0, 1, 10, 11, 60)}
    seen = desk.client.put(path, json=grid).json()
    assert seen["share_of_slide"] == pytest.approx(5 / 70)
    assert seen["share_of_cells"] == pytest.approx(4 / 8), "two tiles of four squares each bear cells"


def test_another_grid_is_refused(desk: Desk, case: ReviewCase) -> None:
    path = f"{case.path}/coverage/{case.slide_id}"
    for body in ({"columns": 9, "rows": 7, "cell_um": 100}, {"columns": 10, "rows": 7, "cell_um": 50}):
        assert problem(desk.client.put(path, json=body)) == (422, "coverage-grid")
    too_long = {"columns": 10, "rows": 7, "cell_um": 100, "bits": base64.b64encode(bytes(10)).decode()}
    assert problem(desk.client.put(path, json=too_long)) == (422, "coverage-grid")
    assert problem(desk.client.put(path, json=too_long | {"bits": "§"})) == (422, "request-invalid")


def test_nothing_of_the_ai_is_shown_before_the_first_impression(desk: Desk, case: ReviewCase) -> None:
    read_blind_first(desk)
    hidden = (f"{case.path}/slides/{case.slide_id}/findings/0", f"/api/v1/analyses/{case.analysis_id}")
    for path in hidden:
        assert problem(desk.client.get(path)) == (403, "blind-reading"), path
    page = desk.client.get(f"/cases/{case.case_id}").text
    assert "0.93" not in page
    assert '"proposal": {' not in page
    assert '"blind": true' in page
    refused = desk.client.post(f"{case.path}/marks", json=case.marks("agree", 0))
    assert problem(refused) == (403, "blind-reading")
    desk.post(f"{case.path}/marks", case.cell(50, 50), 201)
    listed = desk.get("/api/v1/cases")["items"][0]
    assert listed["ai_category"] is None
    assert listed["suspicion"] is None
    desk.post(f"{case.path}/blind-read", {"category": "NILM"}, 201)
    desk.post(f"{case.path}/blind-read", {"category": "NILM"}, 201)
    assert problem(desk.client.post(f"{case.path}/blind-read", json={"category": "HSIL"})) == (409, "case-state")
    for path in hidden:
        assert desk.client.get(path).status_code == 200, path
    assert "0.93" in desk.client.get(f"/cases/{case.case_id}").text
    starts = [details for action, details in actions(desk.database) if action == "review:start"]
    assert '"blind":true' in starts[-1]
    assert "NILM" in starts[-1]
    desk.sit_down([Role.CYTOTECHNOLOGIST])
    assert problem(desk.client.get(hidden[0])) == (403, "blind-reading"), "each reader for oneself"
    assert desk.get(f"{case.path}/marks")["items"] == [], "nor what others say"
    desk.sit_down([Role.RESEARCHER])
    assert desk.client.get(hidden[1]).status_code == 200


def test_marks_and_coverage_go_with_the_patient(desk: Desk) -> None:
    desk.sit_down([Role.PATHOLOGIST, Role.ADMINISTRATOR])
    patient = desk.patient(named("Nguyễn Thị Hoa", ("patient-internal-id", "BN-1")))
    order = desk.order({"number": f"P-{uuid.uuid4().hex[:8]}", "patient_id": patient["patient_id"]})
    case = analysed_case(desk, order_id=order["order_id"])
    desk.post(f"{case.path}/marks", case.cell(5, 5, comment="bà Hoa, đã khoét chóp"), 201)
    grid = {"columns": 10, "rows": 7, "cell_um": 100, "bits": bits(3)}
    assert desk.client.put(f"{case.path}/coverage/{case.slide_id}", json=grid).status_code == 200
    with desk.database.write() as session:
        told = stewardship.collect(session, [order["order_id"]])
        assert told[0]["marks"][0]["comment"] == "bà Hoa, đã khoét chóp"
        assert told[0]["coverage"][0]["share"] == pytest.approx(1 / 70)
        stewardship.erase(session, [order["order_id"]])
    mark = desk.get(f"{case.path}/marks")["items"][0]
    assert mark["comment"] is None
    assert mark["category"] == "HSIL"
    assert desk.get(f"{case.path}/coverage/{case.slide_id}")["share_of_slide"] == 0
