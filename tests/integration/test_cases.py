"""Cases and the worklist over HTTP, on SQLite and on PostgreSQL."""

from __future__ import annotations

from typing import Any

import pytest
from case_making import CASES, bring, case_of, failed, order_of, ready_case, screened, slide_of
from desk import ORDERS, Desk
from people import actions, make_account, sign_in

from tamsoat.inference_service.accounts.access import READERS, Role
from tamsoat.inference_service.audit import repository as audit
from tamsoat.inference_service.cases import service
from tamsoat.inference_service.cases.tables import STATES, Case


def listed(desk: Desk, **wanted: Any) -> list[str]:
    response = desk.client.get(CASES, params=wanted)
    assert response.status_code == 200, response.text
    return [item["case_id"] for item in response.json()["items"]]


def found(desk: Desk, text: str, view: str = "all") -> list[str]:
    return [item["case_id"] for item in desk.post(f"{CASES}/search", {"q": text, "view": view})["items"]]


def audited(desk: Desk, subject: str) -> list[str]:
    with desk.database.read() as session:
        return [row.action for row in audit.find_by_subject(session, subject)]


def test_the_slides_of_an_order_are_one_case_and_the_worst_of_them_counts(desk: Desk, field_jpeg: bytes) -> None:
    order = order_of(desk, specimens=[{"accession": f"C26-{desk.facility_id[:8]}", "preparation": "liquid-based"}])
    first = slide_of(desk.client, field_jpeg, order_id=order["order_id"])
    second = slide_of(desk.client, field_jpeg, order_id=order["order_id"])
    case = case_of(desk, first)
    assert case_of(desk, second).id == case.id
    assert (case.label, case.state) == (order["specimens"][0]["accession"], "analysing")
    screened(desk, first, "HSIL", 0.9)
    assert case_of(desk, first).state == "analysing"
    screened(desk, second, "NILM", 0.2, usable=False)
    case = case_of(desk, first)
    assert (case.state, case.ai_category, case.triage, case.suspicion) == ("ready", "HSIL", "urgent", 0.9)
    assert (case.usable, case.urgency) == (False, 31)
    assert case.ready_at is not None
    assert audited(desk, f"case:{case.id}") == ["case:create"]
    third = slide_of(desk.client, field_jpeg, order_id=order["order_id"])
    assert case_of(desk, third).state == "analysing", "a further slide: wait for it"
    failed(desk, third)
    assert case_of(desk, third).state == "ready", "a reader reads what the model could not"


def test_a_slide_without_order_is_a_case_with_a_number_of_its_own(desk: Desk, field_jpeg: bytes) -> None:
    first = case_of(desk, slide_of(desk.client, field_jpeg, priority="stat"))
    second = case_of(desk, slide_of(desk.client, field_jpeg))
    assert first.id != second.id
    assert first.label == f"{first.created_at:%y}-{first.number:06d}"
    assert (first.priority, second.priority) == (1, 3)


def test_synchronous_screening_makes_no_case(desk: Desk, field_jpeg: bytes) -> None:
    desk.sit_down(READERS)
    form = {"objective": "40"}
    response = desk.client.post("/api/v1/inference", files={"image": ("a.jpg", field_jpeg)}, data=form)
    assert response.status_code == 200, response.text
    assert listed(desk) == []


def test_an_order_has_its_result_when_its_case_is_signed(desk: Desk, field_jpeg: bytes) -> None:
    order = order_of(desk)
    slide_id = slide_of(desk.client, field_jpeg, order_id=order["order_id"])
    screened(desk, slide_id, "HSIL", 0.9)
    path = f"{ORDERS}/{order['order_id']}"
    assert desk.get(path)["status"] == "requested", "what the model says is no result"
    bring(desk, case_of(desk, slide_id).id, "signed", signed_category="HSIL")
    assert desk.get(path)["status"] == "resulted"
    assert case_of(desk, slide_id).open is False


def test_a_case_follows_its_order_and_its_slides(desk: Desk, field_jpeg: bytes) -> None:
    order = order_of(desk)
    slide_id = slide_of(desk.client, field_jpeg, order_id=order["order_id"])
    path = f"{ORDERS}/{order['order_id']}"
    tag = desk.client.get(path).headers["etag"]
    response = desk.client.patch(path, json={"priority": "stat"}, headers={"If-Match": tag})
    assert response.status_code == 200, response.text
    assert case_of(desk, slide_id).priority == 1
    cancelled = desk.client.post(f"{path}/cancel", json={"reason": "duplicate"},
                                 headers={"If-Match": response.headers["etag"]})  # fmt: skip
    assert cancelled.status_code == 200, cancelled.text
    assert case_of(desk, slide_id).state == "cancelled"
    screened(desk, slide_id)
    assert case_of(desk, slide_id).state == "cancelled", "its screening ends later"
    assert listed(desk) == []
    alone = slide_of(desk.client, field_jpeg)
    screened(desk, alone)
    case_id = case_of(desk, alone).id
    assert desk.client.delete(f"/api/v1/slides/{alone}").status_code == 204
    assert desk.get(f"{CASES}/{case_id}")["state"] == "cancelled"


def test_only_states_that_follow_can_follow(desk: Desk, field_jpeg: bytes) -> None:
    case_id = case_of(desk, slide_of(desk.client, field_jpeg)).id
    with pytest.raises(service.CaseStateError):
        bring(desk, case_id, "signed")
    assert set(service.NEXT) == set(STATES)


def test_the_most_urgent_come_first_page_by_page(desk: Desk, field_jpeg: bytes) -> None:
    routine = ready_case(desk, field_jpeg, "NILM")
    grave = ready_case(desk, field_jpeg, "HSIL", 0.9)
    urgent = ready_case(desk, field_jpeg, "NILM", priority="urgent")
    stat = ready_case(desk, field_jpeg, "LSIL", priority="stat")
    newer = ready_case(desk, field_jpeg, "NILM")
    everything = [stat, urgent, grave, routine, newer]
    assert listed(desk) == everything
    pages, before = [], {}
    while True:
        page = desk.client.get(CASES, params={"limit": 2, **before}).json()
        pages.append([item["case_id"] for item in page["items"]])
        if page["next_before"] is None:
            break
        before = {"before": page["next_before"]}
    assert pages == [everything[:2], everything[2:4], everything[4:]]
    assert listed(desk, priority="routine") == [grave, routine, newer]
    assert listed(desk, state="analysing") == []
    for number, case_id in enumerate(everything):
        bring(desk, case_id, "signed", signed_category="NILM")
        assert page["counts"]["facility"] - number == 5 - number
    assert listed(desk, view="signed") == everything[::-1], "the newest first"
    first = desk.client.get(CASES, params={"view": "signed", "limit": 3}).json()
    assert listed(desk, view="signed", limit=3, before=first["next_before"]) == everything[1::-1]
    assert first["counts"] == {"mine": 0, "facility": 0, "second": 0, "consultations": 0, "signed": 5}
    assert desk.client.get(CASES, params={"before": "x.1"}).status_code == 422


def test_taking_giving_back_and_taking_over(desk: Desk, field_jpeg: bytes) -> None:
    case_id = ready_case(desk, field_jpeg)
    path = f"{CASES}/{case_id}"
    taken = desk.post(f"{path}/assign", {})
    assert taken["assigned_to"]["me"] is True
    assert listed(desk, view="mine") == listed(desk, assigned="me") == [case_id]
    assert listed(desk, assigned="none") == []
    desk.sit_down(READERS)
    assert listed(desk, view="mine") == []
    refused = desk.client.post(f"{path}/assign", json={})
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:tamsoat:problem:case-taken")
    assert desk.post(f"{path}/assign", {"take_over": True})["assigned_to"]["me"] is True
    assert desk.post(f"{path}/release", {})["assigned_to"] is None
    assert desk.client.post(f"{path}/release").status_code == 409
    assert audited(desk, f"case:{case_id}") == ["case:create"] + ["case:assign"] * 3


def test_the_second_reader_is_somebody_else(desk: Desk, field_jpeg: bytes) -> None:
    case_id = ready_case(desk, field_jpeg, "HSIL", 0.9)
    desk.post(f"{CASES}/{case_id}/assign", {})
    bring(desk, case_id, "second-review", second_reason="high-grade")
    refused = desk.client.post(f"{CASES}/{case_id}/assign", json={})
    assert refused.json()["type"] == "urn:tamsoat:problem:own-second-reading"
    assert desk.get(f"{CASES}/next?view=second")["case_id"] is None
    desk.sit_down(READERS)
    assert listed(desk, view="second") == [case_id]
    assert desk.get(f"{CASES}/next?view=second")["case_id"] == case_id
    taken = desk.post(f"{CASES}/{case_id}/assign", {})
    assert taken["second_reader"]["me"] is True
    assert taken["assigned_to"]["me"] is False
    assert listed(desk, view="mine") == [case_id]


def test_the_next_case_is_ones_own_first_and_goes_round(desk: Desk, field_jpeg: bytes) -> None:
    free, own = ready_case(desk, field_jpeg, "HSIL", 0.9), ready_case(desk, field_jpeg)
    desk.post(f"{CASES}/{own}/assign", {})
    assert desk.get(f"{CASES}/next")["case_id"] == own
    assert desk.get(f"{CASES}/next?after={own}")["case_id"] == free
    assert desk.get(f"{CASES}/next?after={free}")["case_id"] == own
    assert desk.get(f"{CASES}/next?view=mine&after={own}") == {"case_id": None, "label": None, "remaining": 1}


def test_found_by_patient_order_specimen_and_slide(desk: Desk, field_jpeg: bytes) -> None:
    accession = f"X{desk.facility_id[:8]}"
    order = order_of(desk, "Lê Thị Thử Nghiệm", specimens=[{"accession": accession, "preparation": "conventional"}])
    slide_id = slide_of(desk.client, field_jpeg, order_id=order["order_id"])
    case_id = case_of(desk, slide_id).id
    other = ready_case(desk, field_jpeg)
    number = desk.get(f"/api/v1/patients/{order['patient_id']}")["identifiers"][0]["value"]
    for text in ("lê nghiệm", number, order["number"], order["number"][:-2], accession[:4], slide_id, case_id):
        assert case_id in found(desk, text), text
        assert other not in found(desk, text), text
    assert found(desk, "không ai cả") == []
    assert found(desk, "%_") == []
    assert found(desk, case_id, "signed") == []
    assert "patient:search" in [action for action, _ in actions(desk.database)]
    assert not any("nghiệm" in details for _, details in actions(desk.database))


def test_every_patient_who_is_shown_is_a_read_event_once(desk: Desk, field_jpeg: bytes) -> None:
    case_id = ready_case(desk, field_jpeg)
    case = desk.client.get(CASES).json()["items"][0]
    assert case["case_id"] == case_id
    assert case["patient"]["name"] == "Nguyễn Thị Mẫu"
    desk.client.get(CASES)
    assert audited(desk, f"patient:{case['patient']['patient_id']}").count("patient:read") == 1
    desk.get(f"{CASES}/{case_id}")
    assert "case:read" in audited(desk, f"case:{case_id}")


def test_another_facility_knows_nothing_of_it(desk: Desk, field_jpeg: bytes) -> None:
    order = order_of(desk)
    slide_id = slide_of(desk.client, field_jpeg, order_id=order["order_id"])
    case_id = case_of(desk, slide_id).id
    other = Desk.at(desk.client, READERS)
    assert listed(other) == []
    for text in (case_id, slide_id, order["number"], "Nguyễn Thị Mẫu"):
        assert found(other, text) == []
    assert other.client.get(f"{CASES}/{case_id}").status_code == 404
    for step in ("assign", "release"):
        assert other.client.post(f"{CASES}/{case_id}/{step}", json={}).status_code == 404
    assert other.client.get(f"{CASES}/next", params={"after": case_id}).status_code == 404


def test_personal_data_is_for_readers(desk: Desk, field_jpeg: bytes) -> None:
    case_id = ready_case(desk, field_jpeg)
    for role in (Role.ADMINISTRATOR, Role.RESEARCHER, Role.AUDITOR):
        account_id, password = make_account(desk.database, desk.facility_id, [role])
        sign_in(desk.client, desk.database, account_id, password)
        assert desk.client.get(CASES).status_code == 403
        assert desk.client.get(f"{CASES}/{case_id}").status_code == 403


def test_review_settings_are_the_administrators(desk: Desk) -> None:
    path = "/api/v1/review-settings"
    desk.sit_down([Role.ADMINISTRATOR])
    response = desk.client.get(path)
    assert response.json()["negative_share"] == 0.1
    wanted = {"blind_first": True, "negative_share": 0.25, "disagreement_steps": 1, "report_name": "Viện Thử",
              "report_address": ""}  # fmt: skip
    assert desk.client.put(path, json=wanted).status_code == 428
    changed = desk.client.put(path, json=wanted, headers={"If-Match": response.headers["etag"]})
    assert changed.status_code == 200, changed.text
    assert (changed.json()["version"], changed.json()["report_address"]) == (1, None)
    stale = desk.client.put(path, json=wanted, headers={"If-Match": response.headers["etag"]})
    assert stale.status_code == 412
    with desk.database.read() as session:
        row = service.settings_of(session, desk.facility_id)
        assert (row.blind_first, row.report_name) == (True, "Viện Thử")
    assert ("review:settings" in audited(desk, f"facility:{desk.facility_id}")) is True
    desk.sit_down(READERS)
    assert desk.client.get(path).status_code == 200
    assert desk.client.put(path, json=wanted, headers={"If-Match": changed.headers["etag"]}).status_code == 403


def test_blind_first_keeps_the_models_words_from_the_worklist(desk: Desk, field_jpeg: bytes) -> None:
    case_id = ready_case(desk, field_jpeg, "HSIL", 0.9)
    desk.sit_down([Role.ADMINISTRATOR])
    tag = desk.client.get("/api/v1/review-settings").headers["etag"]
    wanted = {"blind_first": True, "negative_share": 0.1, "disagreement_steps": 2}
    assert desk.client.put("/api/v1/review-settings", json=wanted, headers={"If-Match": tag}).status_code == 200
    desk.sit_down(READERS)
    case = desk.get(f"{CASES}/{case_id}")
    assert (case["blinded"], case["ai_category"], case["triage"], case["suspicion"]) == (True, None, None, None)


def test_rows_hold_no_more_than_they_should(desk: Desk, field_jpeg: bytes) -> None:
    case_id = ready_case(desk, field_jpeg)
    with desk.database.read() as session:
        row = service.get(session, desk.facility_id, case_id)
        assert "Nguyễn" not in str({column.name: getattr(row, column.key) for column in Case.__table__.columns})
