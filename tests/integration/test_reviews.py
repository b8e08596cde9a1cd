"""Marks on cells: who may make which, undone as a whole, stored once; on both databases."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from desk import Desk
from people import actions
from review_world import ReviewCase, analysed_case, sent_slide
from sqlalchemy import select

from tamsoat.inference_service.accounts.access import Role
from tamsoat.inference_service.cases import service as cases
from tamsoat.inference_service.reviews import service
from tamsoat.inference_service.reviews.tables import Mark

READER = (Role.PATHOLOGIST,)


@pytest.fixture
def desk(shared_service: Any) -> Desk:
    return Desk.at(shared_service, READER)


@pytest.fixture
def case(desk: Desk) -> ReviewCase:
    return analysed_case(desk)


def problem(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["type"].rpartition(":")[2]


def test_an_action_is_stored_once_and_begins_the_review(desk: Desk, case: ReviewCase) -> None:
    action = case.marks("regrade", 3, 5, category="LSIL", comment="nhân to, màng nhân đều")
    first = desk.post(f"{case.path}/marks", action, 201)
    again = desk.post(f"{case.path}/marks", action, 201)
    assert first == again
    assert first["count"] == 2
    assert first["withdrawn_at"] is None
    items = desk.get(f"{case.path}/marks")["items"]
    assert [(item["rank"], item["category"], item["mine"], item["comment"]) for item in items] == [
        (3, "LSIL", True, "nhân to, màng nhân đều"),
        (5, "LSIL", True, "nhân to, màng nhân đều"),
    ]
    assert items[0]["x_px"] == pytest.approx(100 + 3 * 3800 / 30), "the server knows where the finding is"
    assert desk.get(case.path)["state"] == "in-review"
    recorded = [action for action, _ in actions(desk.database)]
    assert recorded.count("review:start") >= 1
    details = [details for action, details in actions(desk.database) if action == "mark:create"][-1]
    assert '"count":2' in details
    assert "nhân" not in details


def test_two_at_once_store_the_same_action_once(desk: Desk, case: ReviewCase) -> None:
    action = case.marks("agree", 0, 1, 2)

    def send(_: int) -> int:
        return int(desk.client.post(f"{case.path}/marks", json=action).status_code)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(send, range(4))) == [201] * 4
    assert len(desk.get(f"{case.path}/marks")["items"]) == 3


def test_undo_withdraws_the_whole_action_and_keeps_it_readable(desk: Desk, case: ReviewCase) -> None:
    desk.post(f"{case.path}/marks", case.marks("agree", 1), 201)
    bulk = case.marks("dismiss", *range(10))
    desk.post(f"{case.path}/marks", bulk, 201)
    path = f"{case.path}/marks/{bulk['batch']}/withdraw"
    first, again = desk.post(path, {}), desk.post(path, {})
    assert first == again
    assert first["count"] == 10
    assert first["withdrawn_at"] is not None
    assert [(item["kind"], item["rank"]) for item in desk.get(f"{case.path}/marks")["items"]] == [("agree", 1)]
    assert len(desk.get(f"{case.path}/marks?withdrawn=true")["items"]) == 11
    assert desk.post(f"{case.path}/marks", bulk, 201)["withdrawn_at"] is not None, "a repeat does not bring it back"


def test_the_latest_mark_that_stands_counts(desk: Desk, case: ReviewCase) -> None:
    desk.post(f"{case.path}/marks", case.marks("agree", 4), 201)
    regrade = case.marks("regrade", 4, category="AGC")
    desk.post(f"{case.path}/marks", regrade, 201)
    desk.post(f"{case.path}/marks", case.cell(10, 20, "ASC-H"), 201)
    reader = desk.get(f"{case.path}/marks")["items"][0]["author"]

    def standing() -> list[tuple[str, str | None]]:
        with desk.database.read() as session:
            return [(mark.kind, mark.category) for mark in service.latest(session, case.case_id, reader)]

    assert standing() == [("regrade", "AGC"), ("add", "ASC-H")]
    desk.post(f"{case.path}/marks/{regrade['batch']}/withdraw", {})
    assert standing() == [("agree", None), ("add", "ASC-H")]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"ranks": [30]}, (422, "mark-refused")),
        ({"analysis_id": str(uuid.uuid4())}, (422, "mark-refused")),
        ({"slide_id": str(uuid.uuid4())}, (404, "slide-not-found")),
        ({"kind": "regrade"}, (422, "request-invalid")),
        ({"kind": "regrade", "category": "unsatisfactory"}, (422, "request-invalid")),
        ({"category": "LSIL"}, (422, "request-invalid")),
        ({"ranks": [1, 1]}, (422, "request-invalid")),
        ({"ranks": []}, (422, "request-invalid")),
        ({"kind": "add", "category": "HSIL", "x_px": 4001, "y_px": 1, "ranks": [], "analysis_id": None},
         (422, "mark-refused")),
        ({"kind": "add", "category": "HSIL", "ranks": [], "analysis_id": None}, (422, "request-invalid")),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(
    desk: Desk, case: ReviewCase, change: dict[str, Any], expected: tuple[int, str]
) -> None:
    body = case.marks("agree", 1) | change
    response = desk.client.post(f"{case.path}/marks", json=body)
    assert problem(response) == expected
    assert desk.get(f"{case.path}/marks")["items"] == []


def test_the_same_identifier_is_not_two_actions(desk: Desk, case: ReviewCase) -> None:
    action = case.marks("agree", 1)
    desk.post(f"{case.path}/marks", action, 201)
    for other in ({"ranks": [2]}, {"kind": "dismiss"}):
        assert problem(desk.client.post(f"{case.path}/marks", json=action | other)) == (409, "mark-batch-exists")
    desk.sit_down(READER)
    assert problem(desk.client.post(f"{case.path}/marks", json=action)) == (409, "mark-batch-exists")
    response = desk.client.post(f"{case.path}/marks/{action['batch']}/withdraw")
    assert problem(response) == (404, "mark-batch-not-found"), "one undoes one's own actions only"


def test_ranks_wait_for_the_end_of_the_screening(desk: Desk) -> None:
    slide_id, analysis_id, case_id = sent_slide(desk)
    case = ReviewCase(case_id, slide_id, analysis_id)
    assert problem(desk.client.post(f"{case.path}/marks", json=case.marks("agree", 0))) == (422, "mark-refused")
    desk.post(f"{case.path}/marks", case.cell(10, 10), 201)
    assert desk.get(case.path)["state"] == "analysing"


def test_a_closed_case_takes_no_marks(desk: Desk, case: ReviewCase) -> None:
    action = case.marks("agree", 1)
    desk.post(f"{case.path}/marks", action, 201)
    with desk.database.write() as session:
        cases.set_state(session, cases.get(session, desk.facility_id, case.case_id, lock=True), "signed")
    assert problem(desk.client.post(f"{case.path}/marks", json=case.marks("agree", 2))) == (409, "case-closed")
    assert problem(desk.client.post(f"{case.path}/marks/{action['batch']}/withdraw")) == (409, "case-closed")
    assert desk.post(f"{case.path}/marks", action, 201)["count"] == 1, "a repeat is still answered"


def test_another_facility_sees_nothing_and_other_roles_may_not(desk: Desk, case: ReviewCase) -> None:
    desk.post(f"{case.path}/marks", case.marks("agree", 1), 201)
    desk.sit_down([Role.RESEARCHER])
    assert problem(desk.client.get(f"{case.path}/marks")) == (403, "forbidden")
    stranger = Desk.at(desk.client, READER)
    for method, path, body in (
        ("GET", "marks", None),
        ("POST", "marks", case.marks("agree", 1)),
        ("GET", f"coverage/{case.slide_id}", None),
        ("POST", "blind-read", {"category": "NILM"}),
        ("GET", f"slides/{case.slide_id}/findings/0", None),
    ):
        response = stranger.client.request(method, f"{case.path}/{path}", json=body)
        assert problem(response) == (404, "case-not-found"), path


def test_every_reader_has_marks_of_their_own(desk: Desk, case: ReviewCase) -> None:
    desk.post(f"{case.path}/marks", case.marks("agree", 1), 201)
    desk.sit_down([Role.CYTOTECHNOLOGIST])
    desk.post(f"{case.path}/marks", case.marks("dismiss", 1), 201)
    items = desk.get(f"{case.path}/marks")["items"]
    assert [(item["kind"], item["mine"]) for item in items] == [("agree", False), ("dismiss", True)]
    assert all(item["author_name"] == "Người Thử Nghiệm" for item in items)


def test_one_finding_with_its_probabilities(desk: Desk, case: ReviewCase) -> None:
    path = f"{case.path}/slides/{case.slide_id}/findings"
    found = desk.get(f"{path}/0")
    assert found["category"] == "HSIL"
    assert sum(found["probabilities"].values()) == pytest.approx(1)
    assert problem(desk.client.get(f"{path}/30")) == (404, "finding-not-found")


def test_comments_are_stored_encrypted(desk: Desk, case: ReviewCase) -> None:
    desk.post(f"{case.path}/marks", case.cell(5, 5, comment="của bà Hoa"), 201)
    with desk.database.read() as session:
        stored = session.connection().exec_driver_sql("SELECT comment FROM marks").scalars().all()
        assert all("Hoa" not in text for text in stored if text)
        assert session.scalars(select(Mark.comment).where(Mark.case_id == case.case_id)).one() == "của bà Hoa"
