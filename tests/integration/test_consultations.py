"""A colleague in another facility is asked: what is opened, for how long, and what the log says of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from case_making import CASES, bring, ready_case
from desk import Desk
from people import make_account, make_facility, sign_in, username_of
from sqlalchemy import text, update

from tamsoat.inference_service.accounts.access import READERS, Role
from tamsoat.inference_service.audit import repository as audit
from tamsoat.inference_service.consultations.tables import Consultation

URL = "/api/v1/consultations"
QUESTION = "Nhóm tế bào góc trên: HSIL hay hoá sinh?"


class Colleague:
    """Somebody in another facility; ``desk`` is the asker's."""

    def __init__(self, desk: Desk, roles: Any = READERS) -> None:
        self.desk = desk
        self.facility_id = make_facility(desk.database, f"K{desk.facility_id[:4].upper()}")
        self.account = make_account(desk.database, self.facility_id, roles)
        self.username = username_of(desk.database, self.account[0])

    def sits_down(self) -> None:
        sign_in(self.desk.client, self.desk.database, *self.account)


@pytest.fixture
def colleague(desk: Desk) -> Colleague:
    return Colleague(desk)


def ask(desk: Desk, case_id: str, colleague: Colleague, status: int = 201, days: int = 7) -> dict[str, Any]:
    sent = {"case_id": case_id, "consultant": colleague.username, "question": QUESTION, "days": days}
    return desk.post(URL, sent, status)


def events(desk: Desk, consultation_id: str) -> list[tuple[str, str | None]]:
    with desk.database.read() as session:
        return [(row.action, row.facility) for row in audit.find_by_subject(session, f"consultation:{consultation_id}")]


def test_the_colleague_sees_the_case_without_the_patient_and_answers(
    desk: Desk, colleague: Colleague, field_jpeg: bytes
) -> None:
    case_id = ready_case(desk, field_jpeg, "HSIL", 0.9)
    asked = ask(desk, case_id, colleague)
    assert (asked["state"], asked["mine"], asked["asked_of_me"]) == ("open", True, False)
    desk.sit_down(READERS)
    asker = desk.client.headers.copy(), dict(desk.client.cookies)
    colleague.sits_down()
    page = desk.client.get(CASES, params={"view": "consultations"}).json()
    assert [item["case_id"] for item in page["items"]] == [case_id]
    assert page["counts"]["consultations"] == 1
    case = desk.get(f"{CASES}/{case_id}")
    assert (case["read_only"], case["patient"], case["order"]) == (True, None, None)
    assert case["clinical"]["age_years"] is not None
    assert case["ai_category"] == "HSIL"
    assert "Nguyễn Thị Mẫu" not in desk.client.get(f"{CASES}/{case_id}").text
    assert [item["question"] for item in desk.get(URL)["items"]] == [QUESTION]
    for step in ("assign", "release"):
        assert desk.client.post(f"{CASES}/{case_id}/{step}", json={}).status_code == 404
    assert desk.client.post(f"{URL}/{asked['consultation_id']}/withdraw").status_code == 404
    answered = desk.post(f"{URL}/{asked['consultation_id']}/answer", {"opinion": "HSIL.", "category": "HSIL"})
    assert answered["state"] == "answered"
    assert desk.client.get(f"{CASES}/{case_id}").status_code == 404, "closed with the answer"
    assert desk.client.get(f"{URL}/{asked['consultation_id']}").status_code == 404
    assert asker
    desk.sit_down(READERS)
    seen = desk.get(f"{URL}?case_id={case_id}")["items"][0]
    assert (seen["opinion"], seen["category"], seen["consultant"]) == ("HSIL.", "HSIL", colleague.username)
    log = events(desk, asked["consultation_id"])
    assert {facility for _, facility in log} == {desk.facility_id}, "in the asking facility's log"
    kinds = [action for action, _ in log]
    assert kinds[0] == "consultation:create"
    assert kinds.count("consultation:answer") == 1
    assert kinds.count("consultation:read") >= 3


def test_time_ends_it(desk: Desk, colleague: Colleague, field_jpeg: bytes) -> None:
    case_id = ready_case(desk, field_jpeg)
    asked = ask(desk, case_id, colleague, days=1)
    colleague.sits_down()
    assert desk.client.get(f"{CASES}/{case_id}").status_code == 200
    with desk.database.write() as session:
        session.execute(update(Consultation).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    assert desk.client.get(f"{CASES}/{case_id}").status_code == 404
    late = desk.client.post(f"{URL}/{asked['consultation_id']}/answer", json={"opinion": "muộn"})
    assert late.status_code == 404
    assert desk.client.get(CASES, params={"view": "consultations"}).json()["items"] == []
    desk.sit_down(READERS)
    assert desk.get(f"{URL}/{asked['consultation_id']}")["state"] == "expired"
    assert desk.client.post(f"{URL}/{asked['consultation_id']}/withdraw").status_code == 409
    ask(desk, case_id, colleague)


def test_withdrawing_and_declining(desk: Desk, colleague: Colleague, field_jpeg: bytes) -> None:
    case_id = ready_case(desk, field_jpeg)
    first = ask(desk, case_id, colleague)
    assert ask(desk, case_id, colleague, status=409)["type"].endswith("consultation-open")
    assert desk.client.post(f"{URL}/{first['consultation_id']}/withdraw").json()["state"] == "withdrawn"
    colleague.sits_down()
    assert desk.client.get(f"{CASES}/{case_id}").status_code == 404
    desk.sit_down(READERS)
    second = ask(desk, case_id, colleague)
    colleague.sits_down()
    assert desk.post(f"{URL}/{second['consultation_id']}/decline", {"reason": "không rõ"})["state"] == "declined"
    assert desk.client.get(f"{CASES}/{case_id}").status_code == 404


def test_only_a_named_reader_elsewhere_can_be_asked(desk: Desk, field_jpeg: bytes) -> None:
    case_id = ready_case(desk, field_jpeg)
    own, _ = make_account(desk.database, desk.facility_id, READERS)
    elsewhere = Colleague(desk, [Role.AUDITOR])
    answers = []
    for username in ("khong.co.ai", username_of(desk.database, own), elsewhere.username):
        sent = {"case_id": case_id, "consultant": username, "question": "?", "days": 7}
        answers.append(desk.post(URL, sent, 422))
    assert len({(answer["type"], answer["detail"]) for answer in answers}) == 1, "names are not to be found out"
    for days in (0, 31):
        desk.post(URL, {"case_id": case_id, "consultant": "a.b.c", "question": "?", "days": days}, 422)


def test_others_in_either_facility_see_nothing_of_it(desk: Desk, colleague: Colleague, field_jpeg: bytes) -> None:
    case_id = ready_case(desk, field_jpeg)
    asked = ask(desk, case_id, colleague)
    neighbour = make_account(desk.database, colleague.facility_id, READERS)
    sign_in(desk.client, desk.database, *neighbour)
    assert desk.client.get(f"{CASES}/{case_id}").status_code == 404
    assert desk.client.get(f"{URL}/{asked['consultation_id']}").status_code == 404
    assert desk.get(URL)["items"] == []
    desk.client.post(f"{URL}/{asked['consultation_id']}/answer", json={"opinion": "x"})
    desk.sit_down(READERS)
    assert desk.get(f"{URL}/{asked['consultation_id']}")["state"] == "open"
    assert desk.client.post(f"{URL}/{asked['consultation_id']}/answer", json={"opinion": "x"}).status_code == 404


def test_a_cancelled_case_is_not_asked_about_and_words_are_encrypted(
    desk: Desk, colleague: Colleague, field_jpeg: bytes
) -> None:
    case_id = ready_case(desk, field_jpeg)
    asked = ask(desk, case_id, colleague)
    with desk.database.read() as session:
        row = session.execute(
            text("SELECT question FROM consultations WHERE id = :id"), {"id": asked["consultation_id"]}
        ).scalar_one()
    assert row.startswith("k1:")
    other = ready_case(desk, field_jpeg)
    bring(desk, other, "cancelled")
    assert ask(desk, other, colleague, status=409)["type"].endswith("case-state")
