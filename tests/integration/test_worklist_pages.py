"""The worklist and the review settings as pages: who sees what, and what an altered address does."""

from __future__ import annotations

import re

import pytest
from case_making import CASES, bring, case_of, order_of, ready_case, screened, slide_of
from desk import Desk
from people import actions

from tamsoat.inference_service.accounts.access import READERS, Role
from tamsoat.inference_service.cases.schemas import CaseSearch
from tamsoat.inference_service.web import messages, worklist_pages

PAGE_BYTES_MOST = 300_000


def labels(html: str) -> list[str]:
    return re.findall(r'class="open">([^<]+)<', html)


def get(desk: Desk, path: str, status: int = 200) -> str:
    response = desk.client.get(path, follow_redirects=False)
    assert response.status_code == status, response.text[:300]
    return response.text


def test_the_page_shows_the_cases_of_the_facility_to_its_readers(desk: Desk, field_jpeg: bytes) -> None:
    case_id = ready_case(desk, field_jpeg, "HSIL", 0.9, priority="urgent")
    html = get(desk, "/worklist?language=en")
    assert len(labels(html)) == 1
    for text in ("Nguyễn Thị Mẫu", "HSIL", "highly suspicious", "Urgent", f"/cases/{case_id}", "Ready to read"):
        assert text in html, text
    assert len(html.encode()) < PAGE_BYTES_MOST
    assert 'style="' not in html
    assert "<script>" not in html
    assert "Chờ đọc" in get(desk, "/worklist?language=vi")
    Desk.at(desk.client, READERS)
    assert labels(get(desk, "/worklist")) == []
    for role in (Role.ADMINISTRATOR, Role.AUDITOR):
        Desk.at(desk.client, [role])
        get(desk, "/worklist", 403)
    desk.client.cookies.clear()
    assert desk.client.get("/worklist?view=mine", follow_redirects=False).headers["location"].startswith("/sign-in")
    assert desk.client.get("/worklist/rows").status_code == 401


def test_filters_stand_in_the_address_and_altered_ones_do_no_harm(desk: Desk, field_jpeg: bytes) -> None:
    ready_case(desk, field_jpeg, priority="stat")
    ready_case(desk, field_jpeg)
    assert len(labels(get(desk, "/worklist?priority=stat"))) == 1
    assert len(labels(get(desk, "/worklist?state=analysing"))) == 0
    assert "no-such" not in get(desk, "/worklist?view=no-such&state=no-such&priority=no-such&before=no-such&assigned=x")
    assert len(labels(get(desk, "/worklist?view=no-such&before=no-such"))) == 2
    for view in ("mine", "second", "consultations", "signed"):
        assert 'id="empty"' in get(desk, f"/worklist?view={view}")
    assert 'href="/worklist?view=facility"' in get(desk, "/worklist?assigned=me&language=en")


def test_rows_and_search_come_alone(desk: Desk, field_jpeg: bytes) -> None:
    ready_case(desk, field_jpeg)
    rows = get(desk, "/worklist/rows?view=facility")
    assert len(labels(rows)) == 1
    assert "<html" not in rows
    found = desk.client.post("/worklist/rows", json={"q": "mẫu nguyễn"})
    assert len(labels(found.text)) == 1
    nothing = desk.client.post("/worklist/rows", json={"q": "<script>alert(1)</script>"})
    assert labels(nothing.text) == []
    assert "alert(1)" not in nothing.text
    assert "patient:search" in [action for action, _ in actions(desk.database)]
    token = desk.client.headers.pop("X-CSRF-Token")
    assert desk.client.post("/worklist/rows", json={"q": "mẫu"}).status_code == 403
    desk.client.headers["X-CSRF-Token"] = token


def test_progress_failures_and_readers_are_shown(desk: Desk, field_jpeg: bytes) -> None:
    order = order_of(desk)
    first = slide_of(desk.client, field_jpeg, order_id=order["order_id"])
    slide_of(desk.client, field_jpeg, order_id=order["order_id"])
    screened(desk, first, "LSIL", 0.6, usable=False)
    html = get(desk, "/worklist?language=en")
    assert "data-progress" in html
    assert "poor quality" in html
    case = case_of(desk, first)
    desk.post(f"{CASES}/{case.id}/assign", {})
    assert "data-release" in get(desk, "/worklist?view=mine")
    desk.sit_down(READERS)
    assert "data-holder" in get(desk, "/worklist")


def test_a_signed_case_has_its_turnaround(desk: Desk, field_jpeg: bytes) -> None:
    bring(desk, ready_case(desk, field_jpeg), "signed", signed_category="NILM")
    html = get(desk, "/worklist?view=signed&language=en")
    assert "NILM" in html
    assert "0 min" in html
    assert "data-since" not in html


@pytest.mark.parametrize(
    ("seconds", "words"), [(59, "0 min"), (3600, "1 h 0 min"), (47 * 3600 + 60, "47 h 1 min"), (49 * 3600, "2 d 1 h")]
)
def test_durations(seconds: int, words: str) -> None:
    assert worklist_pages.duration(seconds, dict(messages.catalogue("en"))) == words


def test_the_settings_page_is_the_administrators(desk: Desk) -> None:
    desk.sit_down([Role.ADMINISTRATOR])
    assert 'name="blind_first"' in get(desk, "/review-settings")
    desk.sit_down(READERS)
    get(desk, "/review-settings", 403)
    assert CaseSearch(q="ab").view == "all"
