"""The quality page over HTTP, on both databases: a known set of cases gives known figures, of one facility only."""

from __future__ import annotations

import csv
import io
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from people import actions
from reading_room import EMPTY, Reader, Room
from starlette.testclient import TestClient

from tamsoat.inference_service.accounts.access import Role
from tamsoat.inference_service.cases.tables import Case
from tamsoat.inference_service.quality import measuring
from tamsoat.inference_service.reports.tables import PRIMARY, SECOND, SIGNED, Reading
from tamsoat.inference_service.screening.tables import FIELD, SLIDE, Analysis

NOON = datetime(2026, 6, 10, 5, 0, tzinfo=UTC)
PERIOD = {"first": "2026-06-01", "last": "2026-06-30"}
MODEL = "ab" * 32


def reading(room: Room, case_id: str, role: str, category: str, ai: str | None, **more: Any) -> Reading:
    form = EMPTY | ({"reasons": ["scant-cells"]} if category == "unsatisfactory" else {})
    return Reading(
        id=str(uuid.uuid4()), facility_id=room.facility_id, case_id=case_id, reader="r", role=role, state=SIGNED,
        form=json.dumps(form), category=category, ai_category=ai, blind=False, needs_confirmation=False,
        created_at=NOON, updated_at=NOON, signed_at=NOON, version=1, **more,
    )  # fmt: skip


def signed_case(
    room: Room, first: str, result: str, ai: str | None, hours: float, *, second: bool = False, at: datetime = NOON
) -> None:
    case_id = str(uuid.uuid4())
    with room.database.write() as session:
        session.add(
            Case(
                id=case_id, facility_id=room.facility_id, label=case_id[:30], priority=3, urgency=34, state="signed",
                open=False, signed_category=result, created_at=at - timedelta(hours=hours), signed_at=at,
                updated_at=at, version=1, example=False,
            )
        )  # fmt: skip
        final = {"final_at": at}
        session.add(reading(room, case_id, PRIMARY, first, ai, **({} if second else final)))
        if second:
            session.add(reading(room, case_id, SECOND, result, ai, **final))


def analysis(room: Room, score: float, kind: str, *, usable: bool = True) -> None:
    with room.database.write() as session:
        session.add(
            Analysis(
                id=str(uuid.uuid4()), facility_id=room.facility_id, created_at=NOON, image_sha256="0" * 64,
                image_bytes=1, width_px=1, height_px=1, mpp=0.25, model_name="m", model_version="1",
                model_digest=MODEL, provider="CPU", usable=usable, reasons=[], category="NILM",
                abnormal_probability=score, triage="routine", categories=[], cells=0, seconds=0.1, kind=kind,
            )
        )  # fmt: skip


@pytest.fixture(scope="module")
def room(shared_service: TestClient) -> Room:
    """30 signed cases: 20 NILM, 4 ASC-US, 3 LSIL, 2 HSIL of which one was raised from LSIL, 1 unsatisfactory."""
    room = Room.at(shared_service)
    for number in range(20):
        signed_case(room, "NILM", "NILM", "ASC-US" if number < 5 else "NILM", 10)
    for _ in range(4):
        signed_case(room, "ASC-US", "ASC-US", "ASC-US", 20)
    for _ in range(3):
        signed_case(room, "LSIL", "LSIL", "HSIL", 30)
    signed_case(room, "HSIL", "HSIL", "HSIL", 40, second=True)
    signed_case(room, "LSIL", "HSIL", "HSIL", 50, second=True)
    signed_case(room, "unsatisfactory", "unsatisfactory", None, 60)
    signed_case(room, "SCC", "SCC", "SCC", 5, at=datetime(2026, 6, 30, 17, 0, tzinfo=UTC))  # 1 July in Viet Nam
    for number in range(40):
        analysis(room, number / 40, FIELD)
    analysis(room, 0.5, SLIDE)
    analysis(room, 0.5, FIELD, usable=False)
    return room


@pytest.fixture(scope="module")
def head(room: Room) -> Reader:
    return room.reader(Role.PATHOLOGIST)


def ask(reader: Reader, **query: str) -> dict[str, Any]:
    response = reader.ask("GET", "/api/v1/quality", params=PERIOD | query)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def now(body: dict[str, Any], section: str) -> dict[str, Any]:
    return {item["now"]["name"]: item["now"] for item in body[section]}


def test_known_cases_give_known_figures(head: Reader) -> None:
    body = ask(head)
    assert now(body, "volumes")["signed"]["value"] == 30
    rates = now(body, "rates")
    assert rates["unsatisfactory"]["value"] == pytest.approx(1 / 30)
    assert rates["abnormal"]["value"] == pytest.approx(9 / 29)
    assert rates["hsil-plus"]["value"] == pytest.approx(2 / 29)
    assert rates["asc-us-sil"]["value"] == pytest.approx(4 / 5)
    assert now(body, "categories")["NILM"]["value"] == pytest.approx(20 / 30)
    agreement = now(body, "agreement")
    assert agreement["same-category"]["n"] == 29
    assert agreement["same-category"]["value"] == pytest.approx((15 + 4 + 1) / 29)
    second = now(body, "second_reading")
    assert second["second-read"]["value"] == pytest.approx(2 / 30)
    assert (second["changed"]["value"], second["changed-up"]["value"], second["changed-down"]["value"]) == (0.5, 0.5, 0)
    assert second["changed"]["few"] is True
    assert now(body, "turnaround")["turnaround-median"]["value"] == 10
    assert body["reasons"] == [{"code": "scant-cells", "count": 1}]
    table = body["confusion"]
    assert table["counts"][table["levels"].index("ASC-US")][table["levels"].index("NILM")] == 5
    weeks = {week["monday"]: (week["received"], week["signed"]) for week in body["weeks"]}
    assert weeks["2026-06-08"] == (30, 30)
    assert weeks["2026-06-15"] == (0, 0)


def test_the_period_before_stands_beside_it(head: Reader) -> None:
    body = ask(head, first="2026-07-01", last="2026-07-30")
    signed = next(item for item in body["volumes"] if item["now"]["name"] == "signed")
    assert (signed["now"]["value"], signed["before"]["value"]) == (1, 30)
    assert body["before"] == {"first": "2026-06-01", "last": "2026-06-30"}


def test_drift_compares_usable_fields_of_one_model(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    monkeypatch.setattr(measuring, "reference_scores", lambda _: np.linspace(0, 1, 60))
    with room.database.read() as session:
        rows = measuring.load(session, room.facility_id, NOON - timedelta(days=1), NOON + timedelta(days=1))
    found = measuring.drift(rows, MODEL)
    assert found is not None
    assert (found.stability.n, found.reference_n) == (40, 60)
    assert found.distance.value is not None
    assert found.critical is not None
    assert found.distance.value < found.critical
    assert measuring.drift(rows, "cd" * 32) is None


def test_an_empty_facility_has_an_empty_page(shared_service: TestClient) -> None:
    body = ask(Room.at(shared_service).reader(Role.ADMINISTRATOR, second_factor=True))
    assert now(body, "volumes")["signed"]["value"] == 0
    assert all(item["now"]["value"] is None for item in body["rates"])
    assert body["drift"] is None


def test_the_csv_holds_aggregates_and_is_recorded(head: Reader, room: Room) -> None:
    response = head.ask("GET", "/api/v1/quality.csv", params=PERIOD)
    assert response.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(response.text)))
    found = {(row["section"], row["name"]): row for row in rows if row["first_day"] == "2026-06-01"}
    assert float(found["rates", "asc-us-sil"]["value"]) == pytest.approx(0.8)
    assert found["second-reading", "changed"]["few"] == "yes"
    with room.database.read() as session:
        ids = {row.id for row in measuring.repository.signed_cases(session, room.facility_id, NOON, NOON)}
    assert not any(one in response.text for one in ids)
    name, details = actions(room.database)[-1]
    assert (name, json.loads(details)) == ("quality:export", PERIOD)


@pytest.mark.parametrize("role", [Role.CYTOTECHNOLOGIST, Role.RESEARCHER])
def test_others_do_not_see_it(room: Room, role: Role) -> None:
    other = room.reader(role)
    assert other.ask("GET", "/api/v1/quality").status_code == 403
    assert other.ask("GET", "/quality", headers={"accept": "text/html"}).status_code == 403


def test_a_period_that_is_none_is_refused(head: Reader) -> None:
    response = head.ask("GET", "/api/v1/quality", params={"first": "2026-02-01", "last": "2026-01-01"})
    assert response.status_code == 422
    assert response.json()["type"].endswith("quality-period")
