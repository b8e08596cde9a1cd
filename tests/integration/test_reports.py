"""Reports over HTTP, on both databases: issued with the signature, frozen, fetched as PDF, checked by the public."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from case_making import case_of, order_of, screened, slide_of
from desk import Desk
from people import actions
from reading_room import ASC_US, NEGATIVE, Reader, Room
from sqlalchemy import select
from starlette.testclient import TestClient

from tamsoat.inference_service.accounts.access import Role
from tamsoat.inference_service.audit import checkpoints, proofs
from tamsoat.inference_service.operations import repository as operations
from tamsoat.inference_service.reports import rendering, report_repository, report_stewardship, service, workflow
from tamsoat.inference_service.reports.content import ReportContent, digest_of
from tamsoat.inference_service.reports.report_tables import Report
from tamsoat.inference_service.reports.typesetting import TypesettingError

PATIENT = "Nguyễn Thị Ưỡng Ngọc"
FORM = ASC_US | {"comment": "Bà Ưỡng cần khám lại."}
REASON = "Đối chiếu với mô bệnh học."


@pytest.fixture(scope="module")
def signed(shared_service: TestClient, good_field: bytes) -> Signed:
    """A case with a patient, a slide, an agreed cell and a signed reading."""
    return Signed.at(shared_service, good_field)


@pytest.fixture(scope="module")
def good_field() -> bytes:
    from bad_inputs import good_jpeg

    return good_jpeg()


class Signed:
    """Who signed what."""

    def __init__(self, room: Room, reader: Reader, outcome: dict[str, Any], slide_id: str) -> None:
        self.room, self.reader, self.outcome, self.slide_id = room, reader, outcome, slide_id
        self.report_id: str = outcome["report_id"]

    @classmethod
    def at(cls, client: TestClient, jpeg: bytes) -> Signed:
        desk = Desk.at(client)
        order = order_of(desk, PATIENT)
        slide_id = slide_of(client, jpeg, order_id=order["order_id"])
        screened(desk, slide_id, "ASC-US", 0.7)
        room = Room(client, desk.facility_id, case_of(desk, slide_id).id)
        reader = room.reader()
        with room.database.read() as session:
            analysis_id = reader_slide(session, slide_id)
        mark = {"batch": "5a493f2d-1c0b-4f7e-8d6c-1b2a39485760", "kind": "agree", "slide_id": slide_id}
        made = reader.ask("POST", "marks", json=mark | {"analysis_id": analysis_id, "ranks": [0]})
        assert made.status_code in (200, 201), made.text
        return cls(room, reader, reader.reads(FORM), slide_id)

    @property
    def runtime(self) -> Any:
        return self.room.client.app.state.runtime  # type: ignore[attr-defined]

    def row(self) -> Report:
        with self.room.database.read() as session:
            return service.get(session, self.room.facility_id, self.report_id)

    def public(self, path: str, **content: Any) -> Any:
        self.room.client.cookies.clear()
        return self.room.client.get(path, **content)


def reader_slide(session: Any, slide_id: str) -> str:
    from tamsoat.inference_service.uploads.tables import Slide

    found = session.scalar(select(Slide.analysis_id).where(Slide.id == slide_id))
    assert isinstance(found, str)
    return found


def test_a_report_says_what_was_signed_and_its_digest_covers_it(signed: Signed) -> None:
    response = signed.reader.ask("GET", f"/api/v1/reports/{signed.report_id}")
    assert response.status_code == 200, response.text
    body = response.json()
    content = ReportContent.model_validate(body["content"])
    assert body["digest"] == digest_of(content.canonical()) == signed.row().digest
    assert content.patient is not None
    assert content.patient.name == PATIENT
    assert content.result == FORM
    assert (content.number, content.amendment, body["state"]) == (1, None, "current")
    assert [(reader.role, reader.category) for reader in content.readers] == [("primary", "ASC-US")]
    (image,) = content.key_images
    assert (image.slide_id, image.category, image.kind) == (signed.slide_id, "ASC-US", "agree")
    assert content.proposal is not None
    assert (content.proposal.category, content.proposal.suspicion) == ("ASC-US", 0.7)
    again = signed.reader.ask(
        "GET", f"/api/v1/reports/{signed.report_id}", headers={"If-None-Match": response.headers["etag"]}
    )
    assert again.status_code == 304


def test_nothing_personal_is_stored_in_the_clear(signed: Signed) -> None:
    with signed.room.database.engine.connect() as connection:
        raw = connection.exec_driver_sql("SELECT * FROM reports").fetchall()
    assert PATIENT not in repr(raw)
    entries = [details for name, details in actions(signed.room.database) if name.startswith("report:")]
    assert PATIENT not in repr(entries)


def test_the_pdf_is_made_once_sealed_and_recorded(signed: Signed) -> None:
    found = signed.reader.ask("GET", f"/api/v1/reports/{signed.report_id}/pdf?language=en")
    assert found.status_code == 200, found.text
    assert found.content.startswith(b"%PDF-")
    assert found.headers["content-type"] == "application/pdf"
    name = found.headers["content-disposition"]
    assert name == f'attachment; filename="report-{signed.report_id[:8]}-v1-en.pdf"'
    row = signed.row()
    assert hashlib.sha256(found.content).hexdigest() == row.pdf_en_sha256
    with signed.runtime.store.open(row.pdf_en_stored) as stream:
        assert b"%PDF" not in stream.read()
    vietnamese = signed.reader.ask("GET", f"/api/v1/reports/{signed.report_id}/pdf")
    assert hashlib.sha256(vietnamese.content).hexdigest() == row.pdf_vi_sha256
    assert signed.row().pdf_vi_sha256 == row.pdf_vi_sha256
    again = signed.reader.ask(
        "GET", f"/api/v1/reports/{signed.report_id}/pdf", headers={"If-None-Match": vietnamese.headers["etag"]}
    )
    assert again.status_code == 304
    with signed.room.database.read() as session:
        assert signed.report_id not in [found for found, _ in report_repository.due(session, row.created_at, 1000)]
    reads = [json.loads(details) for action, details in actions(signed.room.database) if action == "report:read"]
    assert {"number": 1, "language": "en"} in reads


def test_the_public_sees_that_it_holds_and_nothing_of_the_patient(signed: Signed) -> None:
    rendering.ensure(signed.runtime, signed.report_id)
    checkpoints.make(signed.room.database, signed.runtime.keyring, signed.runtime.settings)
    code = signed.row().code
    typed = "-".join(code[at : at + 4] for at in range(0, 26, 4)).lower()
    page = signed.public("/verify", params={"code": typed})
    assert page.status_code == 200
    assert str(page.url).endswith(f"/verify/{code}")
    text = page.text.replace(" ", "")
    assert signed.row().digest in text
    assert str(signed.row().pdf_vi_sha256) in text
    for secret in (PATIENT, "1990", "BN-", "ASC-US", "Người Đọc", signed.reader.account_id, signed.room.case_id):
        assert secret not in page.text
    proof = signed.public(f"/verify/{code}/proof.json")
    checked, _ = proofs.check(proof.text, signed.runtime.keyring.signing.public_key())
    assert checked.entry.digests["report"] == signed.row().digest
    assert checked.entry.digests["pdf-vi"] == signed.row().pdf_vi_sha256
    assert checked.entry.actor == "system"


def test_a_check_is_recorded_once_a_day(signed: Signed) -> None:
    for _ in range(3):
        assert signed.public(f"/verify/{signed.row().code}").status_code == 200
    with signed.room.database.read() as session:
        from tamsoat.inference_service.audit import repository

        rows = repository.find_by_subject(session, f"report:{signed.report_id}")
    assert [row.actor for row in rows if row.action == "report:verify"] == ["anonymous"]


@pytest.mark.parametrize("typed", ["0" * 26, "ABCDEFGHJKMNPQRSTVWXYZ0123", "kurz", "ệ" * 26])
def test_an_unknown_code_is_said_to_be_unknown(signed: Signed, typed: str) -> None:
    before = len(actions(signed.room.database))
    page = signed.public(f"/verify/{typed}", params={"language": "en"})
    assert page.status_code == 404
    assert ("no report with this code" in page.text) == (len(typed) == 26 and typed.isascii())
    assert signed.public(f"/verify/{typed}/proof.json").status_code == 404
    assert len(actions(signed.room.database)) == before


def test_another_facility_and_other_roles_see_nothing(signed: Signed, shared_service: TestClient) -> None:
    stranger = Room.at(shared_service).reader()
    auditor = signed.room.reader(Role.AUDITOR)
    for path in (f"/api/v1/reports/{signed.report_id}", f"/api/v1/reports/{signed.report_id}/pdf"):
        assert stranger.ask("GET", path).status_code == 404
        assert auditor.ask("GET", path).status_code == 403
    assert stranger.ask("GET", f"/api/v1/cases/{signed.room.case_id}/reports").status_code == 404


def test_an_amendment_supersedes_and_the_first_version_stays(shared_service: TestClient) -> None:
    room = Room.at(shared_service)
    reader = room.reader()
    first = reader.reads(ASC_US)["report_id"]
    reader.write(NEGATIVE | {"comment": "Đã xem lại."})
    changed = reader.sign("amend", reason=REASON)
    if changed["report_id"] is None:  # a second person has to confirm this amendment
        other = room.reader()
        changed = other.sign("confirm", reading_id=changed["reading"]["reading_id"])
    listed = reader.ask("GET", "reports").json()["items"]
    assert [(item["number"], item["state"]) for item in listed] == [(2, "current"), (1, "superseded")]
    assert listed[1]["superseded_by"] == changed["report_id"]
    content = reader.ask("GET", f"/api/v1/reports/{changed['report_id']}").json()["content"]
    assert content["amendment"]["reason"] == REASON
    assert content["amendment"]["digest"] == listed[1]["digest"]
    old = reader.ask("GET", f"/api/v1/reports/{first}").json()
    assert old["content"]["result"]["findings"] == ["asc-us"]
    room.client.cookies.clear()
    page = room.client.get(f"/verify/{old['code']}?language=en")
    assert "replaced by a newer version" in page.text


def refuse(*_: object) -> bytes:
    raise TypesettingError("no")


def test_a_failure_to_typeset_keeps_the_signature_and_is_tried_again(
    shared_service: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = Room.at(shared_service)
    report_id = room.reader().reads(NEGATIVE)["report_id"]
    runtime = shared_service.app.state.runtime  # type: ignore[attr-defined]
    monkeypatch.setattr(workflow.context, "current", lambda: runtime)
    with monkeypatch.context() as patch:
        patch.setattr(runtime.decoder, "call", refuse)
        workflow._attempt(f"{report_id}:0")
        workflow._attempt(f"{report_id}:0")
    assert room.case().state == "signed"
    with room.database.read() as session:
        row = service.get(session, room.facility_id, report_id)
        assert (row.render_attempts, row.pdf_vi_sha256) == (1, None)
        assert row.render_at is not None
        assert row.render_at > row.created_at
    workflow._attempt(f"{report_id}:1")
    with room.database.read() as session:
        row = service.get(session, room.facility_id, report_id)
        assert rendering.is_made(row)
        assert row.render_at is None


def test_an_erased_report_is_gone_but_for_its_proof(shared_service: TestClient) -> None:
    desk = Desk.at(shared_service)
    order = str(order_of(desk)["order_id"])
    room = Room(shared_service, desk.facility_id)
    room.case_id = room.new_case(order_id=order)
    reader = room.reader()
    report_id = reader.reads(NEGATIVE)["report_id"]
    rendering.ensure(shared_service.app.state.runtime, report_id)  # type: ignore[attr-defined]
    with room.database.write() as session:
        report_stewardship.erase(session, [order])
    with room.database.read() as session:
        assert report_stewardship.collect(session, [order])[0]["content"] is None
    for path in (f"/api/v1/reports/{report_id}", f"/api/v1/reports/{report_id}/pdf"):
        assert reader.ask("GET", path).status_code == 410
    with room.database.read() as session:
        row = service.get(session, room.facility_id, report_id)
        assert row.pdf_vi_stored in {file.sha256 for file in operations.stored_files(session)}
        assert operations.is_named(session, str(row.pdf_en_stored))
    room.client.cookies.clear()
    assert room.client.get(f"/verify/{row.code}").status_code == 200


def test_an_altered_file_is_noticed() -> None:
    from tamsoat.inference_service.reports.sealing_files import ReportFileAlteredError, seal, unseal

    key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    sealed = seal(b"%PDF-1.7", key, "r:vi")
    assert sealed == seal(b"%PDF-1.7", key, "r:vi")
    assert unseal(sealed, key, "r:vi") == b"%PDF-1.7"
    for wrong in (sealed[:-1] + bytes([sealed[-1] ^ 1]), b"", sealed[12:]):
        with pytest.raises(ReportFileAlteredError):
            unseal(wrong, key, "r:vi")
    with pytest.raises(ReportFileAlteredError):
        unseal(sealed, key, "r:en")
