"""Sign-out over HTTP, on both databases: drafts, signatures, second readers, discussion, amendments."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from people import actions, change_account, make_account
from reading_room import ASC_US, EMPTY, HSIL, LSIL, NEGATIVE, UNSATISFACTORY, Reader, Room, open_reading_service
from sqlalchemy import select, update
from starlette.testclient import TestClient

from tamsoat.inference_service.accounts.access import Role
from tamsoat.inference_service.accounts.tables import LOCAL_FACILITY
from tamsoat.inference_service.audit.deep import compare
from tamsoat.inference_service.cases.tables import Case
from tamsoat.inference_service.reports import reading_repository as repository
from tamsoat.inference_service.reports import reading_stewardship as stewardship
from tamsoat.inference_service.reports import second_reading
from tamsoat.inference_service.reports.tables import Reading
from tamsoat.inference_service.webhooks.tables import Webhook, WebhookEvent

REASON = "Đối chiếu với mô bệnh học sau sinh thiết."


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def reading_service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A service without a model that has what readers need."""
    folder = tmp_path_factory.mktemp("readings")
    url = f"sqlite:///{folder}/test.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_cluster").new_database()
    with open_reading_service(url, folder) as client:
        yield client


@pytest.fixture
def room(reading_service: TestClient) -> Room:
    return Room.at(reading_service)


def slug(response: object) -> str:
    return str(response.json()["type"]).rpartition(":")[2]  # type: ignore[attr-defined]


def test_a_draft_is_saved_as_one_types_and_two_tabs_do_not_overwrite_each_other(room: Room) -> None:
    lan = room.reader()
    first = lan.read()
    assert (first["role"], first["started_from"], first["form"], first["version"]) == ("primary", "empty", EMPTY, 0)
    assert {item["rule"] for item in first["violations"]} == {"adequacy-missing"}
    other_tab = lan.tag
    saved = lan.save(HSIL | {"comment": "nhân lớn"}).json()
    assert (saved["version"], saved["violations"], saved["second_reader_because"]) == (1, [], "grave")
    assert room.case().state == "in-review"

    late = lan.ask("PUT", "reading", json=LSIL, headers={"If-Match": other_tab})
    assert (late.status_code, slug(late)) == (412, "precondition-failed")
    assert lan.read()["form"]["comment"] == "nhân lớn"
    assert lan.ask("PUT", "reading", json=LSIL).status_code == 428

    minh = room.reader()
    theirs = minh.read()
    assert theirs["form"] == EMPTY
    assert [item["reader"] for item in theirs["others_writing"]] == ["Người Đọc 1"]


def test_unknown_terms_are_refused_where_they_stand(room: Room) -> None:
    lan = room.reader()
    lan.read()
    refused = lan.save(NEGATIVE | {"findings": ["candida"]})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "body.findings.0"


def test_a_negative_without_a_rule_is_final_at_once(room: Room) -> None:
    lan = room.reader(second_factor=True)
    assert lan.write(NEGATIVE)["reauthentication"] == "password-and-code"
    signed = lan.sign()
    assert (signed["outcome"], signed["reason"], signed["reading"]["is_result"]) == ("result", None, True)
    assert signed["report_id"]
    case = room.case()
    assert (case.state, case.signed_category, case.second_reason) == ("signed", "NILM", None)
    entry = next(json.loads(details) for name, details in reversed(actions(room.database)) if name == "reading:sign")
    assert entry["second_factor"] == "totp"
    assert entry["draw_ppm"] == second_reading.draw_ppm(room.case_id)
    again = lan.send("sign")
    assert (again.status_code, slug(again)) == (409, "signature-refused")


def test_the_rules_are_enforced_when_it_is_signed_and_use_up_no_code(room: Room) -> None:
    lan = room.reader(second_factor=True)
    lan.write(NEGATIVE | {"findings": ["hsil"]})
    refused = lan.send("sign")
    assert (refused.status_code, slug(refused)) == (422, "reading-inconsistent")
    (broken,) = refused.json()["violations"]
    assert (broken["rule"], broken["field"]) == ("negative-with-abnormality", "findings")
    assert set(broken["messages"]) == {"vi", "en"}
    assert room.case().state == "in-review"


def test_a_stale_page_does_not_sign_what_it_does_not_show(room: Room) -> None:
    lan = room.reader()
    lan.write(NEGATIVE)
    seen = lan.tag
    lan.save(HSIL)
    lan.tag = seen
    assert lan.send("sign").status_code == 412


def test_a_wrong_password_counts_and_locks(room: Room) -> None:
    lan = room.reader()
    lan.write(NEGATIVE)
    right, lan.password = lan.password, "không phải mật khẩu này"
    for _ in range(room.client.app.state.settings.lockout_attempts):  # type: ignore[attr-defined]
        refused = lan.send("sign")
        assert (refused.status_code, slug(refused)) == (403, "reauthentication-failed")
    lan.password = right
    assert lan.send("sign").status_code == 403
    assert "account:lock" in [name for name, _ in actions(room.database)]
    assert room.case().state == "in-review"


def test_a_person_without_a_password_is_told_why(room: Room) -> None:
    lan = room.reader()
    lan.write(NEGATIVE)
    change_account(room.database, lan.account_id, password_hash=None)
    assert lan.read()["reauthentication"] == "none"
    refused = lan.send("sign")
    assert (refused.status_code, slug(refused)) == (403, "sign-needs-password")


def test_another_facility_knows_nothing_of_the_case(room: Room, reading_service: TestClient) -> None:
    lan = room.reader()
    lan.reads(HSIL)
    stranger = Room.at(reading_service).reader()
    stranger.room = room
    for method, path in (("GET", "reading"), ("GET", "readings"), ("GET", "messages")):
        assert stranger.ask(method, path).status_code == 404
    assert stranger.save(NEGATIVE).status_code == 404
    assert stranger.send("sign").status_code == 404
    assert stranger.send("amend", reason=REASON).status_code == 404
    assert stranger.send("confirm", reading_id="x").status_code == 404
    assert stranger.ask("POST", "messages", json={"text": "?"}).status_code == 404


def test_a_cytotechnologist_prepares_and_a_pathologist_signs(room: Room) -> None:
    hoa, lan = room.reader(Role.CYTOTECHNOLOGIST), room.reader()
    assert hoa.read()["role"] == "screening"
    assert hoa.reads(LSIL)["outcome"] == "screened"
    assert (room.case().state, room.case().assigned_to) == ("ready", None), "for whoever is next"
    assert hoa.read()["refusal"]["code"] == "screened"
    assert hoa.save(NEGATIVE).status_code == 409
    (seen,) = lan.readings()["items"]
    assert (seen["role"], seen["category"]) == ("screening", "LSIL")
    assert lan.read()["form"] == EMPTY, "the screener's result is shown beside the form, never put into it"
    assert lan.reads(LSIL)["outcome"] == "result"
    assert hoa.read()["refusal"]["code"] == "pathologists"
    assert hoa.send("amend", reason=REASON).status_code == 403


def test_only_one_of_two_signatures_at_once_wins_and_the_other_is_told(room: Room) -> None:
    lan, minh = room.reader(), room.reader()
    lan.write(NEGATIVE)
    minh.write(LSIL)
    assert lan.sign()["outcome"] == "result"
    late = minh.send("sign")
    assert (late.status_code, slug(late)) == (409, "signature-refused")
    assert "already" in late.json()["detail"]
    assert set(late.json()["messages"]) == {"vi", "en"}


def test_two_signatures_in_the_same_moment_leave_one_result(room: Room) -> None:
    readers = (room.reader(), room.reader())
    proofs = []
    for reader, form in zip(readers, (NEGATIVE, LSIL), strict=True):
        reader.write(form)
        proofs.append((reader, reader.proof()))

    def sign(prepared: tuple[Reader, dict[str, object]]) -> int:
        reader, proof = prepared
        return reader.ask("POST", "sign", json=proof, headers={"If-Match": reader.tag}).status_code

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(sign, proofs)) == [200, 409]
    items = readers[0].readings()["items"]
    assert [item["is_result"] for item in items] == [True]
    with room.database.read() as session:
        assert len(repository.drafts(session, room.case_id)) == 1, "what the other wrote is kept"


def grave_case(room: Room) -> tuple[Reader, Reader]:
    lan, minh = room.reader(), room.reader()
    signed = lan.reads(HSIL | {"comment": "rõ ràng"})
    assert (signed["outcome"], signed["reason"], signed["report_id"]) == ("second-reader", "grave", None)
    return lan, minh


def test_the_second_reader_is_somebody_else_and_sees_nothing_of_the_first(room: Room) -> None:
    lan, minh = grave_case(room)
    lan.ask("POST", "messages", json={"text": "xem ô thứ ba"})
    case = room.case()
    assert (case.state, case.second_reason, case.signed_category) == ("second-review", None, None)
    assert case.assigned_to == lan.account_id
    assert lan.read()["refusal"]["code"] == "same-reader"
    assert lan.send("sign").status_code == 409
    assert [item["mine"] for item in lan.readings()["items"]] == [True]

    state = minh.read()
    assert (state["role"], state["form"], state["readings_hidden"]) == ("second", EMPTY, True)
    assert minh.readings() == {"items": [], "hidden": True}
    assert minh.ask("GET", "messages").json() == {"items": [], "hidden": True}

    signed = minh.reads(HSIL)
    assert signed["outcome"] == "result"
    assert signed["report_id"]
    case = room.case()
    assert (case.state, case.second_reader, case.second_reason) == ("signed", minh.account_id, "grave")
    both = minh.readings()["items"]
    assert [(item["role"], item["is_result"]) for item in both] == [("primary", True), ("second", False)]
    assert both[0]["form"]["comment"] == "rõ ràng"
    assert minh.ask("GET", "messages").json()["items"][0]["text"] == "xem ô thứ ba"


def test_marks_of_the_first_reader_are_kept_from_the_second(room: Room) -> None:
    lan, minh = room.reader(), room.reader()
    mark = {"batch": str(uuid.uuid4()), "slide_id": room.slide_id, "analysis_id": None, "kind": "add", "ranks": [],
            "x_px": 10, "y_px": 10, "category": "HSIL", "comment": None}  # fmt: skip
    assert lan.ask("POST", "marks", json=mark).status_code == 201
    assert lan.read()["marks"] == {"category": "HSIL", "counts": {"add": 1}}
    assert len(minh.ask("GET", "marks").json()["items"]) == 1
    lan.write(LSIL)
    assert lan.read()["advice"] == ["marks-are-graver"]
    lan.save(HSIL)
    lan.sign()
    assert minh.ask("GET", "marks").json()["items"] == []
    assert len(lan.ask("GET", "marks").json()["items"]) == 1
    minh.reads(HSIL)
    assert len(minh.ask("GET", "marks").json()["items"]) == 1


def test_disagreement_is_discussed_and_the_other_reader_confirms(room: Room) -> None:
    lan, minh = grave_case(room)
    assert minh.reads(LSIL)["outcome"] == "discussion"
    assert room.case().state == "discussion"
    for reader in (lan, minh):
        assert len(reader.readings()["items"]) == 2
        assert reader.ask("POST", "messages", json={"text": "?"}).status_code == 201
    state = lan.read()
    assert (state["role"], state["started_from"], state["form"]["findings"]) == ("consensus", "own", ["hsil"])
    proposed = lan.reads(LSIL)
    assert (proposed["outcome"], proposed["report_id"]) == ("confirmation", None)
    assert lan.send("confirm", reading_id=proposed["reading"]["reading_id"]).status_code == 409
    assert minh.send("confirm", reading_id="another").status_code == 409
    assert minh.read()["confirms"] == proposed["reading"]["reading_id"]
    agreed = minh.sign("confirm", reading_id=proposed["reading"]["reading_id"])
    assert (agreed["outcome"], agreed["reading"]["confirmed_by"]) == ("result", "Người Đọc 2")
    assert room.case().signed_category == "LSIL"
    assert [item["is_result"] for item in minh.readings()["items"]] == [False, False, True]


def test_a_third_pathologist_decides_alone(room: Room) -> None:
    _, minh = grave_case(room)
    minh.reads(NEGATIVE)
    hung = room.reader()
    assert hung.read()["started_from"] == "empty"
    assert hung.reads(HSIL)["outcome"] == "result"


def test_an_amendment_keeps_the_original_readable(room: Room) -> None:
    lan, minh = room.reader(), room.reader()
    first = lan.reads(NEGATIVE)
    state = minh.read()
    assert (state["role"], state["started_from"], state["form"]) == ("amendment", "result", NEGATIVE)
    minh.save(NEGATIVE)
    same = minh.send("amend", reason=REASON)
    assert (same.status_code, "the same as the result" in same.json()["detail"]) == (409, True)
    minh.write(ASC_US)
    assert minh.send("amend", reason="vì").status_code == 422, "a reason is a sentence"
    refused = minh.send("sign")
    assert (refused.status_code, "amend" in refused.json()["detail"]) == (409, True)
    amended = minh.sign("amend", reason=REASON)
    assert amended["reading"]["supersedes"] == first["reading"]["reading_id"]
    assert (amended["outcome"], amended["reading"]["reason"]) == ("result", REASON)
    again = lan.write(LSIL)
    assert again["role"] == "amendment"
    last = lan.sign("amend", reason=REASON)
    assert last["reading"]["supersedes"] == amended["reading"]["reading_id"]
    items = lan.readings()["items"]
    assert [(item["category"], item["is_result"], item["was_result"]) for item in items] == [
        ("NILM", False, True), ("ASC-US", False, True), ("LSIL", True, True),
    ]  # fmt: skip
    assert room.case().signed_category == "LSIL"
    assert len({first["report_id"], amended["report_id"], last["report_id"]}) == 3


def test_the_facility_hears_of_the_result_and_of_its_amendment(room: Room) -> None:
    with room.database.write() as session:
        session.add(
            Webhook(
                id=str(uuid.uuid4()), facility_id=room.facility_id, url="https://his.example/", secret="whsec_x",
                event_types=["report.signed", "report.amended"], enabled=True, version=1,
                created_at=datetime.now(UTC),
            )
        )  # fmt: skip
    lan, minh = grave_case(room)
    with room.database.read() as session:
        assert session.scalars(select(WebhookEvent).where(WebhookEvent.facility_id == room.facility_id)).all() == []
    signed = minh.reads(HSIL)
    lan.write(HSIL | {"organisms": ["candida"]})
    amended = lan.sign("amend", reason=REASON)
    with room.database.read() as session:
        query = select(WebhookEvent).where(WebhookEvent.facility_id == room.facility_id)
        events = {event.type: event.data for event in session.scalars(query)}
    assert events["report.signed"]["report_id"] == signed["report_id"]
    assert events["report.signed"]["category"] == "HSIL"
    assert (events["report.amended"]["report_id"], events["report.amended"]["report_number"]) == (
        amended["report_id"], 2,
    )  # fmt: skip


def test_an_amendment_to_a_grave_result_counts_once_somebody_else_confirms_it(room: Room) -> None:
    lan, minh = room.reader(), room.reader()
    lan.reads(NEGATIVE)
    lan.write(HSIL)
    waiting = lan.sign("amend", reason=REASON)
    assert (waiting["outcome"], waiting["reason"], waiting["reading"]["is_result"]) == (
        "confirmation", "amendment", False,
    )  # fmt: skip
    case = room.case()
    assert (case.state, case.signed_category, case.second_reason) == ("second-review", "NILM", "amendment")
    assert lan.read()["refusal"]["code"] == "waits-for-other"
    confirmed = minh.sign("confirm", reading_id=minh.read()["confirms"])
    assert confirmed["reading"]["is_result"]
    assert (room.case().state, room.case().signed_category) == ("signed", "HSIL")


def test_there_is_nothing_to_amend_before_there_is_a_result(room: Room) -> None:
    lan = room.reader()
    lan.write(NEGATIVE)
    refused = lan.send("amend", reason=REASON)
    assert (refused.status_code, "no result" in refused.json()["detail"]) == (409, True)


@pytest.mark.parametrize(
    ("ai", "form", "share", "reason"),
    [
        ("NILM", NEGATIVE, 0.0, None),
        ("NILM", NEGATIVE, 1.0, "drawn"),
        ("ASC-US", NEGATIVE, 0.0, None),
        ("LSIL", NEGATIVE, 0.0, "ai-disagreement"),
        ("HSIL", UNSATISFACTORY, 0.0, "ai-disagreement"),
        (None, UNSATISFACTORY, 1.0, None),
        ("HSIL", HSIL, 0.0, "grave"),
        ("LSIL", LSIL, 1.0, None),
    ],
)
def test_who_needs_a_second_reader(
    reading_service: TestClient, ai: str | None, form: dict[str, object], share: float, reason: str | None
) -> None:
    signed = Room.at(reading_service, ai=ai, negative_share=share).reader().reads(form)
    assert (signed["reason"], signed["outcome"]) == (reason, "second-reader" if reason else "result")
    assert signed["reading"]["second_reason"] == reason


def test_without_a_first_impression_nothing_of_the_ai_is_shown_and_nothing_signed(reading_service: TestClient) -> None:
    room = Room.at(reading_service, ai="HSIL", blind_first=True)
    lan = room.reader()
    state = lan.write(NEGATIVE)
    assert (state["proposal"], state["ai_hidden"], state["second_reader_because"]) == (None, True, None)
    refused = lan.send("sign")
    assert (refused.status_code, slug(refused)) == (403, "blind-reading")
    assert lan.ask("POST", "blind-read", json={"category": "NILM"}).status_code == 201
    lan.write(NEGATIVE)
    assert lan.sign()["reading"]["blind"] is True


def test_without_accounts_a_reading_is_written_but_not_signed(tmp_path: Path) -> None:
    with open_reading_service(f"sqlite:///{tmp_path}/test.db", tmp_path) as client:
        room = Room(client, LOCAL_FACILITY)
        room.case_id = room.new_case()
        local = Reader(room, "", "", {})
        local.write(NEGATIVE)
        state = local.read()
        assert (state["refusal"]["code"], state["reauthentication"]) == ("no-account", "none")
        refused = local.ask("POST", "sign", json={"password": "x"}, headers={"If-Match": local.tag})
        assert (refused.status_code, slug(refused)) == (409, "signature-refused")


def test_what_was_signed_is_compared_with_the_log(room: Room) -> None:
    lan, minh = grave_case(room)
    minh.reads(HSIL)
    with room.database.read() as session:
        whole = compare(session)
        digests = list(session.scalars(select(Reading.digest).where(Reading.case_id == room.case_id)))
    assert whole.first_bad_sequence is None, whole.reason
    assert all(digests)
    assert lan.readings()["items"][0]["digest"] in digests
    for change in ({"category": "NILM"}, {"form": json.dumps(NEGATIVE)}, {"reader": "somebody"}, {"sealed": "{}"}):
        with room.database.write() as session:
            row = session.scalars(select(Reading).where(Reading.case_id == room.case_id)).first()
            assert row is not None
            before = {name: getattr(row, name) for name in change}
            session.execute(update(Reading).where(Reading.id == row.id).values(**change))
        with room.database.read() as session:
            found = compare(session)
        assert found.first_bad_sequence is not None, change
        assert row.id in found.reason
        with room.database.write() as session:
            session.execute(update(Reading).where(Reading.id == row.id).values(**before))


def test_an_account_of_a_role_that_reads_no_slides_is_refused(room: Room) -> None:
    make_account(room.database, room.facility_id, [Role.RESEARCHER])
    researcher = room.reader(Role.RESEARCHER)
    assert researcher.ask("GET", "reading").status_code == 403
    assert researcher.ask("GET", "/api/v1/reporting-terms").status_code == 200


def test_erasing_the_words_of_a_patient_leaves_what_was_signed_provable(room: Room) -> None:
    lan, minh = room.reader(), room.reader()
    lan.reads(NEGATIVE | {"comment": "bà Lan, số nhà 5"})
    minh.write(ASC_US | {"comment": "xem lại"})
    minh.sign("amend", reason=REASON)
    minh.write(LSIL)
    lan.ask("POST", "messages", json={"text": "bà Lan"})
    with room.database.read() as session:
        case = session.scalars(select(Case).where(Case.id == room.case_id)).one()
        told = [stewardship._reading(row) for row in repository.signed(session, case.id)]
    assert [row["form"]["comment"] for row in told] == ["bà Lan, số nhà 5", "xem lại"]
    with room.database.write() as session:
        session.execute(update(Case).where(Case.id == room.case_id).values(order_id="erased-order"))
    with room.database.write() as session:
        stewardship.erase(session, ["erased-order"])
    with room.database.read() as session:
        assert compare(session).first_bad_sequence is None
        kept = repository.signed(session, room.case_id)
        assert repository.drafts(session, room.case_id) == []
        assert [row.text for row in repository.messages(session, room.case_id)] == [None]
    assert [(row.category, row.reason, row.salt) for row in kept] == [("NILM", None, None), ("ASC-US", None, None)]
    assert all('"comment":""' in row.form for row in kept)
    with room.database.write() as session:
        session.execute(update(Case).where(Case.id == room.case_id).values(order_id=None))
